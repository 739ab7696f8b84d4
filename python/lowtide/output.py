"""Writes folders and files whole or not at all: aside first, then renamed, with nothing left over after an error."""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lowtide.errors import InputError, UsageError

REPORT = "report.json"
MEMORY_MAP = "memory_map.svg"
EXPLORATION = "pareto.json"
PICTURE, PAGE = "pareto.svg", "pareto.html"
SUFFIXES = (".o", ".h", ".elf", ".vmfb", ".plan.mlir")
"""What follows NAME in the names of the other files of an output folder."""

_ATTEMPTS = 100
_LONGEST_SCRATCH_NAME = 40


def check_replaceable(directory: Path, stage: str = "compile") -> Path:
    """The folder's absolute path, links followed, if `replaced` may put a new one in its place.

    That is so for a folder that is missing, empty, or holds nothing but what lowtide wrote.

    Raises:
        UsageError: it is a file, holds other files, or the process works in it.
        InputError: it can't be read.
    """
    where, remedy = str(directory), "choose another -o DIR"
    try:
        here = _current()
        resolved = directory.resolve()
        foreign = _foreign(resolved)
    except NotADirectoryError as error:
        raise UsageError(stage, "the output is not a folder", where=where, remedy=remedy) from error
    except (OSError, RuntimeError) as error:
        raise _refused(stage, directory, error, remedy) from error
    if here is not None and (resolved == here or resolved in here.parents):
        message = "the output folder is replaced whole, and it is the current folder or above it"
        raise UsageError(stage, message, where=where, remedy="name a folder inside it: -o DIR")
    if foreign:
        shown = ", ".join(foreign[:3]) + (f" and {len(foreign) - 3} more" if len(foreign) > 3 else "")
        message = f"the output folder is replaced whole, and holds what lowtide did not write: {shown}"
        raise UsageError(stage, message, where=where, remedy=f"{remedy}, or empty it")
    return resolved


def _current() -> Path | None:
    """The current folder, unless somebody has removed it."""
    try:
        return Path.cwd()
    except OSError:
        return None


def _foreign(directory: Path) -> list[str]:
    """What is in a folder that the `lowtide compile` which wrote its report can't have put there."""
    for _ in range(_ATTEMPTS):
        try:
            descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            return []
        try:
            # The report first: another lowtide may be replacing the folder and removing this one.
            own = _own_names(descriptor)
            foreign = sorted({entry.name for entry in os.scandir(descriptor)} - own)
            if not foreign or _is_at(descriptor, directory):
                return foreign
        finally:
            os.close(descriptor)
    return []


def _own_names(descriptor: int) -> set[str]:
    """The names that belong to the report, or to the exploration, in an open folder."""
    try:
        report = _read_json(descriptor, REPORT)
        if report is not None:
            name = str(report["name"])
            return {REPORT, MEMORY_MAP, *(f"{name}{suffix}" for suffix in SUFFIXES)}
        exploration = _read_json(descriptor, EXPLORATION)
        if exploration is not None:
            return {EXPLORATION, PICTURE, PAGE, *(point_name(int(point["number"])) for point in exploration["points"])}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass
    return set()


def point_name(number: int) -> str:
    """The file of a point of an exploration."""
    return f"point-{number}.mlir"


def _read_json(descriptor: int, name: str) -> Any:
    """The content of a file in an open folder; None where there is no such file."""
    try:
        opened = os.open(name, os.O_RDONLY | os.O_NONBLOCK, dir_fd=descriptor)
    except FileNotFoundError:
        return None
    with os.fdopen(opened, encoding="utf-8") as file:
        return json.load(file)


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether an open folder is still where it was."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


@contextmanager
def replaced(directory: Path, stage: str = "compile") -> Generator[Path]:
    """A new folder that takes the place of `directory` at the end; nothing is left of it after an error.

    Args:
        directory: as `check_replaceable` returned it.
        stage: the stage to name in errors.

    Raises:
        InputError: the folder can't be made or put into place; `directory` is as it was.
    """
    # Named before it is made, so that an interrupt at any moment finds it.
    scratch = _existing(directory.parent, stage) / f".{directory.name[:_LONGEST_SCRATCH_NAME]}.{secrets.token_hex(8)}"
    try:
        try:
            scratch.mkdir()
        except OSError as error:
            raise _cannot_write(directory, stage, error) from error
        yield scratch
        try:
            _swap(scratch, directory, scratch.with_name(f"{scratch.name}.old"))
        except OSError as error:
            raise _cannot_write(directory, stage, error) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _existing(folder: Path, stage: str) -> Path:
    """The folder, or the nearest one above it that exists: the two are on one disk."""
    try:
        return next(parent for parent in (folder, *folder.parents) if parent.exists())
    except OSError as error:
        raise _cannot_write(folder, stage, error) from error


def _swap(scratch: Path, directory: Path, old: Path) -> None:
    """Rename `scratch` to `directory`; what was there waits as `old` until the new one is in place.

    Others may do the same at the same time: then the last one's folder stays.
    """
    missing = [folder for folder in directory.parents if not folder.exists()]
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        for attempt in range(_ATTEMPTS):
            try:
                scratch.rename(directory)
                return
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or attempt + 1 == _ATTEMPTS:
                    raise
            shutil.rmtree(old, ignore_errors=True)
            with suppress(FileNotFoundError):
                directory.rename(old)
    except BaseException:
        with suppress(OSError):
            old.rename(directory)
        for folder in missing:
            with suppress(OSError):
                folder.rmdir()
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _cannot_write(directory: Path, stage: str, error: OSError) -> InputError:
    remedy = "free some space or choose another -o DIR"
    if error.errno in (errno.EBUSY, errno.EXDEV):
        remedy = "it may be a mount point, which cannot be replaced: name a folder inside it"
    elif error.errno in (errno.EEXIST, errno.ENOTDIR):
        remedy = "a part of this path is a file: choose another -o DIR"
    return _refused(stage, directory, error, remedy)


def write_file(path: Path, data: bytes | str, stage: str) -> None:
    """Write a file whole or not at all; a device or a pipe is written to as it is.

    Args:
        path: the file; links are followed.
        data: bytes, or text for UTF-8.
        stage: the stage to name in errors.

    Raises:
        InputError: it can't be written; what was there before still is.
    """
    content = data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data
    try:
        # asked before links are followed: the link /dev/stdout leads to no path where it is a pipe
        if path.exists() and not path.is_file():
            path.write_bytes(content)
            return
        target = path.resolve()
        aside = target.with_name(f".{target.name[:_LONGEST_SCRATCH_NAME]}.{secrets.token_hex(8)}")
        try:
            aside.write_bytes(content)
            aside.replace(target)
        finally:
            aside.unlink(missing_ok=True)
    except (OSError, RuntimeError) as error:
        raise _refused(stage, path, error, "free some space or choose another place") from error


def _refused(stage: str, path: Path, error: OSError | RuntimeError, remedy: str) -> InputError:
    reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
    return InputError(stage, f"cannot write: {reason}", where=str(path), remedy=remedy)
