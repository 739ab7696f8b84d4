"""The witness: every load from the arena reads what the right layer stored.

The shipped code runs as it is, and every access to the arena is recorded. What the report says of the layers is then
held against the record; values play no part. Why nothing escapes:

- *Which layer runs.* Layers run one after another. Each stores every byte of its output, or of its part of it, exactly
  once, and loads all that an element is computed from before it stores the element. So the layer that an access belongs
  to follows from the bytes stored so far. That this holds is checked too: stores must fill the outputs of the report,
  layer by layer, to the byte. A layer that copies an input onto itself has no code: its bytes just change their name.
- *Which buffer a load means.* A layer's inputs are all live while it runs, and share no byte, or no load may touch
  the bytes that they share. So an address tells the buffer, and a fixed offset tells the element. The compiler may move
  a load up past the last stores of the layer before, which don't touch it; where none of that layer's inputs lies, a
  load is taken for one of the next layer's.
- *What it reads.* Every byte remembers the buffer that it was last stored for. A load is right only if that is the
  input that lies there. An output that has run into an input too far, a buffer that lies over one that waits, an
  element that nobody has written: each leaves another memory.

At the end the outputs, and inputs that are to be kept, must still be whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
import numpy.typing as npt

from lowtide.emulate.trace import Trace
from lowtide.errors import InternalError
from lowtide.network import LayerAccess
from lowtide.report.memory_map import PlacedBuffer

_NOBODY = -1
_SHARED = -2

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Witnessed:
    """What was checked: accesses to the arena, in as many layers."""

    layers: int
    loads: int
    stores: int


def check_trace(
    trace: Trace, layers: Sequence[LayerAccess], buffers: Sequence[PlacedBuffer], arena_bytes: int
) -> Witnessed:
    """Hold one run's accesses against what the layers should have read and written.

    Args:
        trace: every access to the arena, in order.
        layers: in the order of execution.
        buffers: where each lies, and when it lives; those live at step 0 are the inputs.
        arena_bytes: size of the arena.

    Raises:
        InternalError: a load read what the wrong layer stored, or the stores are not those of the layers.
    """
    shadow = _Shadow(buffers, arena_bytes)
    for number, (layer, part) in enumerate(zip(layers, _parts(trace, layers), strict=True)):
        if layer.in_place_bytes:
            shadow.rename(layer)
        else:
            shadow.run(layer, layers[number + 1 :], part)
    shadow.check_end()
    stores = int(np.count_nonzero(trace.stores))
    return Witnessed(len(layers), len(trace.stores) - stores, stores)


def _parts(trace: Trace, layers: Sequence[LayerAccess]) -> Iterator[Trace]:
    """The accesses of each layer: up to the store with which its output is complete."""
    stored = np.cumsum(np.where(trace.stores, trace.sizes, 0))
    begin = done = 0
    for layer in layers:
        if layer.in_place_bytes:
            yield Trace(trace.offsets[:0], trace.sizes[:0], trace.stores[:0])
            continue
        done += layer.stored_bytes
        end = int(np.searchsorted(stored, done)) + 1
        if end > len(stored) or stored[end - 1] != done:
            raise _wrong(layer, f"its {layer.stored_bytes:,} bytes of output are not what the code stores")
        yield Trace(trace.offsets[begin:end], trace.sizes[begin:end], trace.stores[begin:end])
        begin = end
    if begin != len(trace.stores):
        message = f"the code goes on with {len(trace.stores) - begin:,} accesses to the arena after its last layer"
        raise InternalError("witness", message)


class _Shadow:
    """For each byte of the arena the buffer that it was last stored for."""

    def __init__(self, buffers: Sequence[PlacedBuffer], arena_bytes: int) -> None:
        self._buffers = buffers
        self._numbers = {buffer.name: number for number, buffer in enumerate(buffers)}
        self._holds = np.full(arena_bytes, _NOBODY, dtype=np.int64)
        for number, buffer in enumerate(buffers):
            if buffer.first == 0:
                self._holds[_bytes_of(buffer)] = number

    def rename(self, layer: LayerAccess) -> None:
        """What a layer without code copies onto itself belongs to its output from now on."""
        place, output = self._in_place(layer), self._numbers[layer.output]
        inputs = [self._numbers[name] for name in layer.inputs]
        lost = np.flatnonzero(~np.isin(self._holds[place], inputs))
        if len(lost):
            found = self._name(int(self._holds[place][lost[0]]))
            raise _wrong(layer, f"byte {lost[0]:,} of what it has in place holds {found}")
        self._holds[place] = output

    def _in_place(self, layer: LayerAccess) -> slice:
        start = self._buffers[self._numbers[layer.output]].offset + layer.in_place_first
        return slice(start, start + layer.in_place_bytes)

    def _renamed(self, holds: Indices, moves: Sequence[LayerAccess]) -> Indices:
        """What the arena holds after layers without code."""
        holds = holds.copy()
        for move in moves:
            holds[self._in_place(move)] = self._numbers[move.output]
        return holds

    def run(self, layer: LayerAccess, following: Sequence[LayerAccess], part: Trace) -> None:
        """Check one layer's accesses, early ones of the next among them, and note what it stored."""
        places, times = _by_byte(part, stores=True)
        output = self._numbers[layer.output]
        self._check_stores(layer, places)
        stored_at = np.full(len(self._holds), len(part.stores), dtype=np.int64)
        stored_at[places] = times
        loaded, times = _by_byte(part, stores=False)
        moves = list(takewhile(lambda other: other.in_place_bytes, following))
        wanted, own = self._wanted(layer), np.full(len(self._holds), output, dtype=np.int64)
        early = wanted == _NOBODY
        if len(moves) < len(following):
            wanted = np.where(early, self._wanted(following[len(moves)]), wanted)
        stored, held = (np.where(early, self._renamed(array, moves), array) for array in (own, self._holds))
        found, wanted = np.where(stored_at[loaded] < times, stored[loaded], held[loaded]), wanted[loaded]
        wrong = np.flatnonzero((found != wanted) | (wanted < 0))
        if len(wrong):
            first = wrong[np.argmin(times[wrong])]
            raise self._misread(layer, int(loaded[first]), int(found[first]), int(wanted[first]))
        self._holds[places] = output

    def check_end(self) -> None:
        """What lives to the end is whole: outputs, and inputs that are kept."""
        end = max((buffer.last for buffer in self._buffers), default=0)
        for number, buffer in enumerate(self._buffers):
            lost = np.flatnonzero(self._holds[_bytes_of(buffer)] != number)
            if buffer.last == end and len(lost):
                found = self._name(int(self._holds[buffer.offset + int(lost[0])]))
                message = f"at the end byte {lost[0]:,} of '{buffer.name}' holds {found}"
                raise InternalError("witness", message)

    def _check_stores(self, layer: LayerAccess, places: Indices) -> None:
        output = self._buffers[self._numbers[layer.output]]
        outside = places[(places < output.offset) | (places >= output.offset + output.size)]
        if len(outside):
            raise _wrong(layer, f"it stores to byte {outside[0]:,} of the arena, outside its output '{layer.output}'")
        if len(np.unique(places)) != len(places):
            raise _wrong(layer, f"it stores a byte of '{layer.output}' twice, and another not at all")

    def _wanted(self, layer: LayerAccess) -> Indices:
        """For each byte of the arena the input that lies there."""
        wanted = np.full(len(self._holds), _NOBODY, dtype=np.int64)
        for name in layer.inputs:
            place = _bytes_of(self._buffers[self._numbers[name]])
            wanted[place] = np.where(wanted[place] == _NOBODY, self._numbers[name], _SHARED)
        return wanted

    def _misread(self, layer: LayerAccess, place: int, found: int, wanted: int) -> InternalError:
        if wanted == _NOBODY:
            return _wrong(layer, f"it loads byte {place:,} of the arena, where none of its inputs lies")
        if wanted == _SHARED:
            return _wrong(layer, f"it loads byte {place:,} of the arena, which two of its inputs share")
        buffer = self._buffers[wanted]
        what = f"it loads byte {place - buffer.offset:,} of '{buffer.name}' (byte {place:,} of the arena)"
        return _wrong(layer, f"{what}, which holds {self._name(found)}")

    def _name(self, number: int) -> str:
        return "what nobody has written" if number == _NOBODY else f"a byte of '{self._buffers[number].name}'"


def _bytes_of(buffer: PlacedBuffer) -> slice:
    return slice(buffer.offset, buffer.offset + buffer.size)


def _by_byte(part: Trace, *, stores: bool) -> tuple[Indices, Indices]:
    """Place and time of each byte stored (or loaded); the time is the access's number within the part."""
    chosen = np.flatnonzero(part.stores == stores)
    sizes = part.sizes[chosen]
    starts = np.cumsum(sizes) - sizes
    within = np.arange(int(sizes.sum()), dtype=np.int64) - np.repeat(starts, sizes)
    return np.repeat(part.offsets[chosen], sizes) + within, np.repeat(chosen, sizes)


def _wrong(layer: LayerAccess, message: str) -> InternalError:
    where = f"layer '{layer.name}' ({layer.function}, {layer.direction})"
    return InternalError("witness", message, where=where, remedy="report this with the model")
