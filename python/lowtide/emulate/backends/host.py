"""Runs NAME.vmfb, the same IR compiled for this machine, through IREE's runtime, in a process of its own.

The file is native code, and the process has the rights of who started it: a folder is to be trusted like a program.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Sequence
from typing import IO, cast

import numpy as np

from lowtide.emulate.artifact import ArtifactView
from lowtide.emulate.backend import Array, RunResult, check_inputs
from lowtide.emulate.backends.host_child import LENGTH, write_frames
from lowtide.errors import InputError, InternalError
from lowtide.network import Slot

SECONDS = 600.0
"""How long the process may take for an answer."""
_REMEDY = "compile again"
_LONGEST_MESSAGE = 1 << 20


class HostBackend:
    """Runs any target's network on this machine: right results, nothing to count or measure."""

    def open(self, artifact: ArtifactView) -> HostSession:
        """Load NAME.vmfb; `InputError` where it is missing or IREE's runtime refuses it."""
        return HostSession(artifact)

    def run(
        self, artifact: ArtifactView, inputs: Sequence[Array], *, count: bool = True, probe: bool = False
    ) -> RunResult:
        """Open and run once."""
        return self.open(artifact).run(inputs, count=count, probe=probe)


class HostSession:
    """A loaded .vmfb; see `Session`. Its process ends with it."""

    def __init__(self, artifact: ArtifactView) -> None:
        self._artifact = artifact
        path = artifact.file(".vmfb")
        try:
            # Read, not mapped: the folder may be written anew while the session lives.
            module = path.read_bytes()
        except OSError as error:
            raise InputError("run", f"can't be read: {error.strerror}", where=str(path), remedy=_REMEDY) from error
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "lowtide.emulate.backends.host_child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        weakref.finalize(self, _end, self._process)
        kinds = [(_signless(slot).str, list(slot.tensor.shape)) for slot in artifact.inputs]
        self._send([json.dumps(kinds).encode(), module])
        refusal = self._frame(_LONGEST_MESSAGE).decode("utf-8", "replace")
        if refusal:
            message = f"IREE's runtime can't load it: {refusal.splitlines()[0]}"
            raise InputError("run", message, where=str(path), remedy=_REMEDY)

    def run(self, inputs: Sequence[Array], *, count: bool = True, probe: bool = False) -> RunResult:  # noqa: ARG002
        """Run once; there are no figures, whatever is asked for.

        Raises:
            InputError: the code crashed or did not end.
            InternalError: IREE's runtime refused the inputs, or gave other outputs than the network has.
        """
        check_inputs(self._artifact.inputs, inputs)
        self._send([np.ascontiguousarray(array).tobytes() for array in inputs] or [b""])
        answer = json.loads(self._frame(_LONGEST_MESSAGE))
        if "error" in answer:
            raise InternalError("run", f"IREE's runtime failed: {answer['error']}", where=str(self._artifact.directory))
        outputs = self._artifact.outputs
        if answer["outputs"] != len(outputs):
            raise InternalError("run", f"{answer['outputs']} results, but {len(outputs)} outputs")
        return RunResult(tuple(self._output(slot) for slot in outputs), None, None, None, 0)

    def _output(self, slot: Slot) -> Array:
        data = self._frame(slot.tensor.nbytes)
        if len(data) != slot.tensor.nbytes:
            message = f"the code gives {len(data)} bytes of {slot.tensor.name}, the report says {slot.tensor.nbytes}"
            raise InternalError("run", message, where=str(self._artifact.directory))
        return np.frombuffer(data, np.uint8).copy().view(slot.tensor.dtype).reshape(slot.tensor.shape)

    def _send(self, frames: Sequence[bytes]) -> None:
        try:
            write_frames(cast("IO[bytes]", self._process.stdin), frames)
        except BrokenPipeError:
            raise self._crash() from None

    def _frame(self, most: int) -> bytes:
        """The next frame of the answer, which is of `most` bytes at most."""
        deadline = time.monotonic() + SECONDS
        (size,) = LENGTH.unpack(self._bytes(LENGTH.size, deadline))
        if size > most:
            message = f"the code gives {size:,} bytes where {most:,} are expected at most"
            raise InputError("run", message, where=str(self._artifact.directory), remedy=_REMEDY)
        return self._bytes(size, deadline)

    def _bytes(self, size: int, deadline: float) -> bytes:
        descriptor = cast("IO[bytes]", self._process.stdout).fileno()
        data = bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            while len(data) < size:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    self._process.kill()
                    message = f"the code did not end within {SECONDS:g} s"
                    raise InputError("run", message, where=str(self._artifact.directory), remedy=_REMEDY)
                part = os.read(descriptor, size - len(data))
                if not part:
                    raise self._crash()
                data += part
        return bytes(data)

    def _crash(self) -> InputError:
        code = self._process.wait()
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        message = f"the native code in {self._artifact.name}.vmfb crashed ({how})"
        return InputError("run", message, where=str(self._artifact.directory), remedy=_REMEDY)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            try:
                stream.close()
            except BrokenPipeError:
                # what was never read goes with the process
                continue


def _signless(slot: Slot) -> np.dtype[np.generic]:
    """IREE's integers have no sign: unsigned tensors travel as signed ones of the same width."""
    kind = np.dtype(slot.tensor.dtype)
    return np.dtype(f"i{kind.itemsize}") if kind.kind == "u" else kind
