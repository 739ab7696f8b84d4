"""The output folder of `lowtide compile`, as the backends see it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

from lowtide.errors import InputError, UsageError
from lowtide.limits import MOST_ARENA
from lowtide.network import IoTensor, Slot, State, Stream, all_inputs
from lowtide.report import schema
from lowtide.targets import Target, target_named

_MOST = {
    "arena_bytes": MOST_ARENA,
    "stack_bytes": schema.MOST_STACK,
    "data_bytes": schema.MOST_DATA,
    "sram_bytes": MOST_ARENA + schema.MOST_STACK + schema.MOST_DATA,
}
_REMEDY = "name a folder that `lowtide compile -o DIR` wrote, or compile again"


@dataclass(frozen=True)
class ArtifactView:
    """One compiled network on disk.

    Attributes:
        directory: the folder with NAME.o, NAME.elf, NAME.vmfb and report.json.
        name: NAME, a C identifier.
        target: the core it was compiled for.
        arena_bytes, stack_bytes, data_bytes: the three parts of `sram_bytes`, as the report claims them.
        inputs, outputs: what the caller writes to and reads from the arena.
        states: what the network remembers from one run to the next; `mark_offset` is where the word lies that says so.
        streams: the inputs that arrive row by row; `position_offset` is where the words lie that say how far a run is.
        digests: SHA-256 of the files, by name, as they were compiled; files that it does not name may hold anything.
    """

    directory: Path
    name: str
    target: Target
    arena_bytes: int
    stack_bytes: int
    data_bytes: int
    sram_bytes: int
    inputs: tuple[Slot, ...]
    outputs: tuple[Slot, ...]
    digests: Mapping[str, str] = field(default_factory=dict[str, str])
    states: tuple[State, ...] = ()
    mark_offset: int | None = None
    streams: tuple[Stream, ...] = ()
    position_offset: int | None = None

    @property
    def given(self) -> tuple[IoTensor, ...]:
        """The model's inputs in their order, those that arrive row by row included."""
        return tuple(slot.tensor for slot in all_inputs(self.inputs, self.streams))

    def file(self, suffix: str) -> Path:
        """NAME + suffix in the folder; `InputError` where it is missing or has changed since it was compiled."""
        path = self.directory / f"{self.name}{suffix}"
        if not path.is_file():
            if self.digests and path.name not in self.digests:
                why = "a float network on a core without FPU has the .o alone"
                if self.streams:
                    why = "a network whose inputs arrive row by row has the .o alone"
                message, remedy = f"there is no {path.name}: {why}", "run the object, or --backend host"
                raise InputError("run", message, where=str(self.directory), remedy=remedy)
            raise InputError("run", f"{path.name} is missing", where=str(self.directory), remedy=_REMEDY)
        digest = self.digests.get(path.name)
        # Damaged code would look like a bug of the compiler, and native code would take this process along.
        if digest is not None and digest != _digest(path):
            message = f"{path.name} has changed since it was compiled"
            raise InputError("run", message, where=str(self.directory), remedy="compile again")
        return path


def _digest(path: Path) -> str:
    try:
        return sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise InputError("run", f"can't be read: {error.strerror}", where=str(path), remedy=_REMEDY) from error


def load_artifact(directory: Path) -> ArtifactView:
    """Read `report.json` in that folder; `InputError` where the folder or the report is missing or damaged."""
    if not directory.is_dir():
        message = "not a folder" if directory.exists() else "no such folder"
        raise InputError("run", message, where=str(directory), remedy=_REMEDY)
    path = directory / "report.json"
    try:
        loaded: object = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError("run", "the folder has no report.json", where=str(directory), remedy=_REMEDY) from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError("run", f"the report can't be read: {error}", where=str(path), remedy=_REMEDY) from error
    try:
        return _view(directory, _mapping(loaded))
    except KeyError as error:
        message = f"the report has no {error.args[0]!r}"
    except UsageError as error:
        message = error.message
    except (TypeError, ValueError, OverflowError) as error:
        message = f"the report is damaged: {error}"
    raise InputError("run", message, where=str(path), remedy=_REMEDY)


def _view(directory: Path, report: Mapping[str, Any]) -> ArtifactView:
    name = report["name"]
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
        raise ValueError(f"name {name!r} is not a C identifier")
    arena, stack, data, sram = (schema.whole(report[key], key, 0, most) for key, most in _MOST.items())
    if arena + stack + data != sram:
        raise ValueError(f"sram_bytes {sram} is not arena + stack + data = {arena + stack + data}")
    streams = schema.streams(report.get("streams", []), arena)
    return ArtifactView(
        directory=directory,
        name=name,
        target=target_named(str(report["target"])),
        arena_bytes=arena,
        stack_bytes=stack,
        data_bytes=data,
        sram_bytes=sram,
        inputs=_slots(report["inputs"], arena),
        outputs=_slots(report["outputs"], arena),
        states=schema.states(report.get("states", []), arena),
        mark_offset=schema.mark_offset(report.get("mark_offset"), arena),
        streams=streams,
        position_offset=schema.position_offset(report.get("position_offset"), arena, len(streams)),
        digests={str(file): str(digest) for file, digest in _mapping(report.get("files", {})).items()},
    )


def _slots(entries: object, arena_bytes: int) -> tuple[Slot, ...]:
    if not isinstance(entries, list):
        raise TypeError("inputs and outputs must be lists")
    return tuple(
        schema.slot(entry, f"tensor {number}", arena_bytes)
        for number, entry in enumerate(cast("list[object]", entries))
    )


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"expected an object, found {type(value).__name__}")
    return cast("dict[str, Any]", value)
