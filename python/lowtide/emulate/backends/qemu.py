"""Runs the compiled network on a board that QEMU emulates: the cores that Unicorn lacks, too."""

from __future__ import annotations

import shutil
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lowtide.emulate.artifact import ArtifactView
from lowtide.emulate.backend import (
    Array,
    ArtifactKind,
    Backend,
    Bytes,
    RunResult,
    check_inputs,
    first_states,
    probed,
    read_outputs,
    read_states,
    write_inputs,
    write_states,
)
from lowtide.emulate.backends.firmware import Board, board_of, build_runner
from lowtide.emulate.backends.rows import Interface, split_inputs
from lowtide.emulate.measure.blocks import BlockLog
from lowtide.emulate.measure.counting import Isa
from lowtide.errors import InternalError, UsageError

# As the test firmware writes it: return code, stack bytes, guards intact, padding, instructions.
_RESULT = struct.Struct("<iII4xQ")
_STACK_OVERFLOW = 0xFFFF_FFFF
_STACK_ALIGNMENT = {"arm": 8, "riscv": 16}
_LONGEST_SECONDS = 3600
_SEED = 1


@dataclass(frozen=True)
class _Record:
    return_code: int
    stack_bytes: int
    intact: bool
    instructions: int
    arena: Bytes


class QemuBackend(Backend):
    """Emulates every target but the host, on a whole board with its own start-up code.

    Unlike Unicorn it does not fence the network in: what is written right beside the arena is found, other strays only
    where the board has no memory.

    Args:
        artifact: run NAME.o, linked in, or the embedded ELF NAME.elf, loaded by the firmware's loader.
        interface: how rows are brought to a network whose inputs arrive row by row; "pull" is done by the header.
    """

    def __init__(self, artifact: ArtifactKind = "object", interface: Interface = "pull") -> None:
        self._kind: ArtifactKind = artifact
        self._interface: Interface = interface

    def open(self, artifact: ArtifactView) -> QemuSession:
        """Build the firmware.

        Raises:
            UsageError: QEMU or a C compiler is missing, or there is no board for the target.
            InputError: a file is missing, or the firmware around the network doesn't build.
        """
        return QemuSession(artifact, self._kind, interface=self._interface)


class QemuSession:
    """A firmware with a network in it, run on many inputs; see `Session`.

    Attributes:
        program: the firmware; it names its functions with `symbols`.
        isa: what its code is.
    """

    def __init__(
        self, artifact: ArtifactView, kind: ArtifactKind, *, symbols: bool = False, interface: Interface = "pull"
    ) -> None:
        self._artifact = artifact
        self._board = board_of(artifact.target)
        self.isa: Isa = "thumb" if self._board.family == "arm" else "rv32"
        self._qemu = _find_qemu(self._board)
        # Deleted with the session.
        self._scratch = tempfile.TemporaryDirectory(prefix="lowtide-")
        self._directory = Path(self._scratch.name)
        self.program = build_runner(artifact, kind, self._board, self._directory, symbols=symbols, interface=interface)
        self.held = first_states(artifact)
        self._garbage = np.random.default_rng(_SEED).integers(0, 256, artifact.arena_bytes, np.uint8)

    def run(self, inputs: Sequence[Array], *, count: bool = True, probe: bool = False) -> RunResult:
        """Run once, or twice with `probe`; see `Session.run`.

        Raises:
            InternalError: the code faulted, wrote beside the arena, overflowed the stack or refused the arena, or its
                output depends on what nobody had written.
        """
        check_inputs(self._artifact.given, inputs)
        garbage = [self._garbage, ~self._garbage] if probe else [self._garbage]
        arenas = [self._filled(start, inputs) for start in garbage]
        records = self._emulate(arenas, self._rows(inputs), count)
        for record in records:
            self._check(record)
        results = [self._result(record, count) for record in records]
        self.held = read_states(records[0].arena, self._artifact)
        if not probe:
            return results[0]
        one, two = (before != record.arena for before, record in zip(arenas, records, strict=True))
        return probed(self._artifact, results[0], results[1], one | two, "the arena")

    def _filled(self, garbage: Bytes, inputs: Sequence[Array]) -> Bytes:
        arena = garbage.copy()
        write_inputs(arena, self._artifact.inputs, split_inputs(self._artifact, inputs)[0])
        write_states(arena, self._artifact, self.held)
        return arena

    def _rows(self, inputs: Sequence[Array]) -> bytes:
        """The inputs that arrive row by row."""
        return b"".join(array.tobytes() for array in split_inputs(self._artifact, inputs)[1])

    def _emulate(self, arenas: Sequence[Bytes], rows: bytes, count: bool) -> list[_Record]:
        """Start QEMU once and run the network on each arena."""
        self._write(arenas, rows)
        clock = ["-icount", f"shift={self._board.instruction_shift}"] if count else []
        try:
            done = subprocess.run(
                self._command(*clock),
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=_LONGEST_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise InternalError("run", f"no end after {_LONGEST_SECONDS} s in QEMU") from None
        self._check_end(done.returncode, done.stderr)
        return self._records(len(arenas))

    def blocks(self, inputs: Sequence[Array]) -> BlockLog:
        """Run once and log the blocks executed, the firmware's own included; errors as for `run`."""
        check_inputs(self._artifact.given, inputs)
        self._write([self._filled(self._garbage, inputs)], self._rows(inputs))
        log = BlockLog()
        with subprocess.Popen(
            self._command("-d", "in_asm,exec,nochain"),
            cwd=self._directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        ) as qemu:
            assert qemu.stderr is not None
            log.read(qemu.stderr)
        self._check_end(qemu.returncode, "\n".join(log.said))
        return log

    def _command(self, *options: str) -> list[str]:
        return [self._qemu, *self._board.qemu[1:], *options, "-kernel", str(self.program)]

    def _write(self, arenas: Sequence[Bytes], rows: bytes) -> None:
        (self._directory / "arena.in").write_bytes(b"".join(arena.tobytes() + rows for arena in arenas))

    def _check_end(self, code: int, stderr: str) -> None:
        if code != 0:
            said = " ".join(stderr.split()) or "nothing was printed"
            message = f"the firmware failed on {self._board.name} (exit code {code}): {said}"
            raise InternalError("run", message, where=str(self._artifact.directory))

    def _records(self, runs: int) -> list[_Record]:
        results = (self._directory / "result.out").read_bytes()
        arenas = (self._directory / "arena.out").read_bytes()
        size = self._artifact.arena_bytes
        if len(results) != runs * _RESULT.size or len(arenas) != runs * size:
            raise InternalError("run", f"QEMU left {len(results)} and {len(arenas)} bytes for {runs} runs")
        return [
            _Record(code, stack, intact == 1, instructions, np.frombuffer(arenas, np.uint8, size, index * size))
            for index, (code, stack, intact, instructions) in enumerate(_RESULT.iter_unpack(results))
        ]

    def _check(self, record: _Record) -> None:
        name, where = self._artifact.name, str(self._artifact.directory)
        if record.stack_bytes == _STACK_OVERFLOW:
            raise InternalError("run", "the code overflowed the firmware's stack", where=where)
        if record.return_code != 0:
            what = "run_stream" if self._artifact.streams else "run"
            raise InternalError("run", f"{name}_{what} returned {record.return_code}", where=where)
        if not record.intact:
            raise InternalError("run", "the code wrote beside the arena", where=where)

    def _result(self, record: _Record, count: bool) -> RunResult:
        alignment = _STACK_ALIGNMENT[self._board.family]
        return RunResult(
            outputs=read_outputs(record.arena, self._artifact.outputs),
            instructions=record.instructions if count else None,
            # the frame of the firmware's own function, which brings the rows, lies on it then
            stack_used_bytes=None if self._artifact.streams else -(-record.stack_bytes // alignment) * alignment,
            arena_touched_bytes=None,
            return_code=record.return_code,
        )


def _find_qemu(board: Board) -> str:
    found = shutil.which(board.qemu[0])
    if found is None:
        remedy = f"install QEMU (Debian: {board.qemu_package}), or run --backend host"
        raise UsageError("run", f"{board.qemu[0]} is not installed", remedy=remedy)
    return found
