"""Builds the firmware that runs a network on an emulated board: its C sources, a compiler found on this machine."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from lowtide.emulate.artifact import ArtifactView
from lowtide.emulate.backends.rows import Interface
from lowtide.errors import InputError, InternalError, UsageError
from lowtide.targets import Target

CompilerKind = Literal["zig", "gcc"]

_HOST = "run --backend host"


@dataclass(frozen=True)
class Board:
    """A board that QEMU emulates, for one target; the words come from the firmware's boards.json.

    Attributes:
        name: the word after `-DLOWTIDE_BOARD=` and the name of its linker script.
        family: "arm" or "riscv", the folder of its assembly.
        qemu: the command that starts it, without a program and without counting.
        qemu_package: the Debian package that has it.
        instruction_shift: QEMU's `-icount shift` with which the firmware counts instructions exactly.
        defines: the C macros that describe its clock.
        flags: the core, in each compiler's words.
    """

    name: str
    family: str
    qemu: tuple[str, ...]
    qemu_package: str
    instruction_shift: int
    defines: tuple[str, ...]
    flags: dict[CompilerKind, tuple[str, ...]]


@dataclass(frozen=True)
class Compiler:
    """A C compiler: how it is called, and in which words boards.json talks to it."""

    kind: CompilerKind
    command: tuple[str, ...]


def firmware_directory() -> Path:
    """The folder with the C sources: the checkout's, or that of the installed package `lowtide_firmware`."""
    checkout = Path(__file__).parents[4] / "firmware" / "lowtide_firmware"
    if (checkout / "boards.json").is_file():
        return checkout
    spec = importlib.util.find_spec("lowtide_firmware")
    if spec is None or spec.origin is None:
        raise InternalError("run", "the firmware's sources are not installed")
    return Path(spec.origin).parent


def board_of(target: Target) -> Board:
    """The board with that core; `UsageError` where QEMU has none."""
    described = _description()
    for name, entry in described["boards"].items():
        if target.name in entry["targets"]:
            core = described["targets"][target.name]
            return Board(
                name=name,
                family=entry["family"],
                qemu=(*entry["qemu"], *described["run"], *core["qemu"]),
                qemu_package=described["families"][entry["family"]]["qemu_package"],
                instruction_shift=entry["instruction_shift"],
                defines=tuple(entry["defines"]),
                flags={"zig": tuple(core["zig"]), "gcc": tuple(core["gcc"])},
            )
    raise UsageError("run", f"QEMU has no board for {target.name}", remedy=_HOST)


def find_compiler(family: str) -> Compiler:
    """Zig's C compiler (the Python package, or on the path), else the cross-gcc; `UsageError` where there is none."""
    if importlib.util.find_spec("ziglang") is not None:
        return Compiler("zig", (sys.executable, "-m", "ziglang", "cc"))
    if (zig := shutil.which("zig")) is not None:
        return Compiler("zig", (zig, "cc"))
    name: str = _description()["families"][family]["gcc"]
    if (gcc := shutil.which(name)) is not None:
        return Compiler("gcc", (gcc,))
    remedy = f"pip install 'lowtide[firmware]', or install {name} (Debian: gcc-{name[:-4]}), or {_HOST}"
    raise UsageError("run", "no C compiler for the board was found", remedy=remedy)


def build_runner(
    artifact: ArtifactView,
    kind: Literal["object", "elf"],
    board: Board,
    directory: Path,
    *,
    symbols: bool = False,
    interface: Interface = "pull",
) -> Path:
    """Compile the test firmware around NAME.o or NAME.elf.

    Args:
        artifact: the network.
        kind: link NAME.o, or carry NAME.elf and load it at run time.
        board: where it will run.
        directory: an empty folder, which keeps the program and what it was made of.
        symbols: let the program name its functions.
        interface: how rows are brought to a network whose inputs arrive row by row.

    Returns:
        the program, for QEMU's `-kernel`.

    Raises:
        UsageError: there is no compiler.
        InputError: a file is missing, the object needs what no library supplies, or the board's memory is too small.
    """
    compiler = find_compiler(board.family)
    sources = firmware_directory()
    code = artifact.file(".o" if kind == "object" else ".elf")
    copies = {
        "sections.ld": sources / "sections.ld",
        f"{board.name}.ld": sources / "boards" / f"{board.name}.ld",
        "network_header.h": artifact.file(".h"),
        f"network{code.suffix}": code,
    }
    # The linker scripts, and the file that is included as bytes, are looked up in the working directory.
    for name, path in copies.items():
        shutil.copy(path, directory / name)
    command = _command(compiler, board, sources, artifact, interface, code, _digest(copies.values()))
    # Zig strips what has no debug information.
    command += ["-g"] if symbols else []
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        raise _refusal(done.stderr, code)
    return directory / "firmware.elf"


def _streams(artifact: ArtifactView, interface: Interface) -> list[str]:
    """What the firmware must know of inputs that arrive row by row, as macros; none where there are none."""
    if not artifact.streams:
        return []
    listed = ", ".join(f"{{{stream.rows}, {stream.row_bytes}}}" for stream in artifact.streams)
    total = sum(stream.tensor.nbytes for stream in artifact.streams)
    return [f"LT_STREAMS={listed}", f"LT_STREAM_BYTES={total}", *(["LT_PULL=1"] if interface == "pull" else [])]


def _command(
    compiler: Compiler,
    board: Board,
    sources: Path,
    artifact: ArtifactView,
    interface: Interface,
    code: Path,
    digest: str,
) -> list[str]:
    described = _description()
    own = described["compilers"][compiler.kind]
    # Zig's cache doesn't look into some of the files, and takes others from the folder of an earlier build.
    defines = [*board.defines, f"LT_NAME={artifact.name}", 'LT_HEADER="network_header.h"', f"LT_FILES_HASH={digest}"]
    defines += _streams(artifact, interface)
    application = sources / "application"
    network = "elf" if code.suffix == ".elf" else "streamed" if artifact.streams else "object"
    parts = [*sorted((sources / "runtime").glob("*.c")), *sorted((sources / "runtime" / board.family).glob("*.S"))]
    parts += [application / "runner.c", application / f"network_{network}.c"]
    linked = ["network.o"]
    if code.suffix == ".elf":
        defines.append('LT_ELF_FILE="network.elf"')
        parts.append(application / "blob.S")
        linked = []
    return [
        *compiler.command,
        *board.flags[compiler.kind],
        *described["compile"],
        *own["compile"],
        *(f"-D{define}" for define in defines),
        "-I.",
        f"-I{sources / 'runtime'}",
        f"-I{application}",
        *map(str, parts),
        *linked,
        *("-T", f"{board.name}.ld"),
        *described["link"],
        *own["link"],
        *("-o", "firmware.elf"),
    ]


def _digest(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _refusal(stderr: str, code: Path) -> InputError:
    lines = [line.strip() for line in stderr.splitlines()]
    told = [
        line for line in lines if any(word in line for word in ("error:", "undefined", "will not fit", "overflowed"))
    ]
    message = f"the firmware around it does not build: {told[0] if told else stderr.strip() or 'the compiler failed'}"
    if any("will not fit" in line or "overflowed" in line for line in told):
        return InputError("run", message, where=code.name, remedy=f"it is too large for the board: {_HOST}")
    return InputError("run", message, where=code.name, remedy=f"compile again, or {_HOST}")


@cache
def _description() -> dict[str, Any]:
    return json.loads((firmware_directory() / "boards.json").read_text(encoding="utf-8"))
