"""Runs NAME.vmfb, the same IR compiled for this machine, through IREE's runtime, in a process of its own.

The file is native code, and the process has the rights of who started it: a folder is to be trusted like a program.
"""

from __future__ import annotations

import os
import selectors
import time
import weakref
from collections.abc import Sequence
from typing import IO, cast

import numpy as np

from lowtide.emulate.artifact import ArtifactView
from lowtide.emulate.backend import Array, Backend, RunResult, check_inputs, first_states
from lowtide.emulate.children import cause_of_death, end_child, start_child
from lowtide.errors import InputError, InternalError
from lowtide.messages import Message, TooLongError, received, send, with_arrays
from lowtide.network import IoTensor, Slot

SECONDS = 600.0
"""How long the process may take for an answer."""
_REMEDY = "compile again"
_LONGEST_MESSAGE = 1 << 20


class HostBackend(Backend):
    """Runs any target's network on this machine: right results, nothing to count or measure."""

    def open(self, artifact: ArtifactView) -> HostSession:
        """Load NAME.vmfb; `InputError` where it is missing or IREE's runtime refuses it."""
        return HostSession(artifact)


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
        self.held = first_states(artifact)
        self._process = start_child("lowtide.emulate.backends.host_child")
        weakref.finalize(self, end_child, self._process)
        refusal = self._asked(Message({}, (module,))).header.get("error")
        if refusal is not None:
            message = f"IREE's runtime can't load it: {refusal.splitlines()[0]}"
            raise InputError("run", message, where=str(path), remedy=_REMEDY)

    def run(self, inputs: Sequence[Array], *, count: bool = True, probe: bool = False) -> RunResult:  # noqa: ARG002
        """Run once; there are no figures, whatever is asked for.

        Raises:
            InputError: the code crashed or did not end.
            InternalError: IREE's runtime refused the inputs, or gave other outputs than the network has.
        """
        check_inputs(self._artifact.given, inputs)
        states = self._artifact.states
        remembered = [np.frombuffer(data, state.tensor.dtype) for data, state in zip(self.held, states, strict=True)]
        arrays = map(_signless, [*inputs, *remembered], [*self._artifact.given, *(state.tensor for state in states)])
        answer = self._asked(with_arrays({}, list(arrays)))
        if "error" in answer.header:
            message = f"IREE's runtime failed: {answer.header['error']}"
            raise InternalError("run", message, where=str(self._artifact.directory))
        outputs = self._artifact.outputs
        if len(answer.blobs) != len(outputs) + len(states):
            raise InternalError("run", f"{len(answer.blobs)} results, but {len(outputs)} outputs, {len(states)} states")
        made = [*map(self._output, answer.blobs, [*outputs, *states])]
        self.held = tuple(array.tobytes() for array in made[len(outputs) :])
        return RunResult(tuple(made[: len(outputs)]), None, None, None, 0)

    def _output(self, data: bytes, slot: Slot) -> Array:
        if len(data) != slot.tensor.nbytes:
            message = f"the code gives {len(data)} bytes of {slot.tensor.name}, the report says {slot.tensor.nbytes}"
            raise InternalError("run", message, where=str(self._artifact.directory))
        return np.frombuffer(data, np.uint8).copy().view(slot.tensor.dtype).reshape(slot.tensor.shape)

    def _asked(self, request: Message) -> Message:
        """The answer to a request."""
        try:
            send(cast("IO[bytes]", self._process.stdin), request)
        except BrokenPipeError:
            raise self._crash() from None
        deadline = time.monotonic() + SECONDS
        most = max(
            _LONGEST_MESSAGE, *(slot.tensor.nbytes for slot in (*self._artifact.outputs, *self._artifact.states))
        )
        try:
            return received(lambda size: self._bytes(size, deadline), most)
        except TooLongError as error:
            message = f"the code gives {error.size:,} bytes where {most:,} are expected at most"
            raise InputError("run", message, where=str(self._artifact.directory), remedy=_REMEDY) from None

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
        message = f"the native code in {self._artifact.name}.vmfb crashed ({cause_of_death(self._process.wait())})"
        return InputError("run", message, where=str(self._artifact.directory), remedy=_REMEDY)


def _signless(array: Array, tensor: IoTensor) -> Array:
    """IREE's integers have no sign: unsigned tensors travel as signed ones of the same width."""
    kind = np.dtype(tensor.dtype)
    signless = np.dtype(f"i{kind.itemsize}") if kind.kind == "u" else kind
    return np.ascontiguousarray(array).view(signless).reshape(tensor.shape)
