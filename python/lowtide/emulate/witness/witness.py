"""The witness: every load from the arena reads what the right layer stored, and of a line buffer the right row.

The shipped code runs as it is, and every access to the arena is recorded. What the report says of the layers and loops
is then held against the record; values play no part. A *run* is one execution of a layer, or in a fused loop of a part
of it: some rows and columns of its output, or some channels. A *pixel* is one row at one column. Why nothing escapes:

- *Which run it is.* Runs follow one another, and no access crosses from one to the next: the code has fences between
  them. Each stores every byte of its part of the output exactly once, and loads all that an element is computed from
  before it stores the element; a run of no rows does nothing. An accumulating run goes by rows of its input; it sums
  them in registers, and stores each element of the accumulator once. So how much a run stores is known, and the run
  that an access belongs to follows from the bytes stored so far. That this holds is checked too: stores must fill the
  outputs of the report, run by run, to the byte. A layer that copies an input onto itself has no code: its bytes just
  change their name.
- *Which pixel a load means.* The pixels that a run needs of its inputs are known: all, or in a loop those under the
  windows of its rows and columns, where an accumulator is an input too. They lie at known bytes; no two share one, or
  no load may touch it. So an address tells the buffer and the pixel, and a place in the pixel tells the element.
- *Workspaces.* A layer may have buffers in which it keeps what nobody else reads. Stores there are none of its
  output's, and a load there reads what the same run has stored; at every other time those bytes are as any.
- *What it reads.* Every byte remembers the buffer and the pixel that it was last stored for. A load is right only if
  those are the ones that it means. An output that has run into an input too far, a buffer that lies over one that
  waits, a ring that has come round to a row still to be read, an element that nobody has written: each leaves another
  memory.

At the end the outputs, and inputs that are to be kept, must still be whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lowtide.emulate.machine.trace import Trace
from lowtide.emulate.witness.runs import Indices, LayerRun, Layout, runs_of
from lowtide.errors import InternalError
from lowtide.graph.program import Loop
from lowtide.placement import LayerAccess, PlacedBuffer

_NOBODY = -1
_SHARED = -2


@dataclass(frozen=True)
class Witnessed:
    """What was checked: accesses to the arena, in as many layers, by as many runs of them."""

    layers: int
    loads: int
    stores: int
    runs: int


def check_trace(
    trace: Trace,
    layers: Sequence[LayerAccess],
    buffers: Sequence[PlacedBuffer],
    arena_bytes: int,
    loops: Sequence[Loop] = (),
) -> Witnessed:
    """Hold one inference's accesses against what the layers should have read and written.

    Args:
        trace: every access to the arena, in order.
        layers: in the order of execution.
        buffers: where each lies, and when it lives; those live at step 0 are the inputs.
        arena_bytes: size of the arena.
        loops: of the layers; calls in them are positions in `layers`.

    Raises:
        InternalError: a load read what the wrong run stored, or the stores are not those of the runs.
    """
    layout = Layout(buffers)
    runs = list(runs_of(layers, loops, layout))
    shadow = _Shadow(layout, arena_bytes)
    for run, part in zip(runs, _parts(trace, runs), strict=True):
        if run.layer.in_place_bytes:
            shadow.rename(run)
        else:
            shadow.check(run, part)
    shadow.check_end()
    stores = int(np.count_nonzero(trace.stores))
    return Witnessed(len(layers), len(trace.stores) - stores, stores, len(runs))


def _parts(trace: Trace, runs: Sequence[LayerRun]) -> list[Trace]:
    """The accesses of each run: up to the store with which its output is complete."""
    progress: dict[tuple[PlacedBuffer, ...], Indices] = {}
    parts: list[Trace] = []
    begin = 0
    for run in runs:
        if run.workspaces not in progress:
            progress[run.workspaces] = np.cumsum(np.where(trace.stores & ~_in(trace, run.workspaces), trace.sizes, 0))
        stored, end = progress[run.workspaces], begin
        if run.stored_bytes:
            total = run.stored_bytes + (int(stored[begin - 1]) if begin else 0)
            end = int(np.searchsorted(stored, total)) + 1
            if end > len(stored) or stored[end - 1] != total:
                raise _wrong(run, f"its {run.stored_bytes:,} bytes of output are not what the code stores")
        parts.append(trace.between(begin, end))
        begin = end
    if begin != len(trace.stores):
        message = f"the code goes on with {len(trace.stores) - begin:,} accesses to the arena after its last layer"
        raise InternalError("witness", message)
    return parts


def _in(trace: Trace, buffers: Sequence[PlacedBuffer]) -> npt.NDArray[np.bool_]:
    """bool[accesses], which of them begin in one of these buffers."""
    inside = np.zeros(len(trace.offsets), np.bool_)
    for buffer in buffers:
        inside |= (trace.offsets >= buffer.offset) & (trace.offsets < buffer.offset + buffer.size)
    return inside


def _check_workspaces(run: LayerRun, part: Trace) -> None:
    """Accesses to workspaces load no byte but what the run has stored there before."""
    for buffer in run.workspaces:
        inside = _in(part, (buffer,))
        own = Trace(part.offsets[inside] - buffer.offset, part.sizes[inside], part.stores[inside])
        if int((own.offsets + own.sizes).max(initial=0)) > buffer.size:
            raise _wrong(run, f"an access goes past the end of '{buffer.name}'")
        stored, stored_at = _by_byte(own, stores=True)
        loaded, loaded_at = _by_byte(own, stores=False)
        first = np.full(buffer.size, np.iinfo(np.int64).max, np.int64)
        np.minimum.at(first, stored, stored_at)
        early = np.flatnonzero(first[loaded] > loaded_at)
        if len(early):
            raise _wrong(run, f"it loads byte {loaded[early[0]]:,} of '{buffer.name}' before it stores it")


class _Shadow:
    """For each byte of the arena the pixel of the buffer that it was last stored for."""

    def __init__(self, layout: Layout, arena_bytes: int) -> None:
        self._layout = layout
        self._holds = np.full(arena_bytes, _NOBODY, dtype=np.int64)
        # of one run; as they were again after it
        self._wanted = np.full(arena_bytes, _NOBODY, dtype=np.int64)
        self._stored_at = np.full(arena_bytes, np.iinfo(np.int64).max, dtype=np.int64)
        self._will_hold = np.full(arena_bytes, _NOBODY, dtype=np.int64)
        for number, buffer in enumerate(layout.buffers):
            if buffer.first == 0:
                places, marks = layout.whole(number)
                self._holds[places] = marks

    def rename(self, run: LayerRun) -> None:
        """What a layer without code copies onto itself belongs to its output from now on."""
        first, count = run.layer.in_place_first, run.layer.in_place_bytes
        places, marks = (array[first : first + count] for array in self._layout.whole(run.output))
        lost = np.flatnonzero(~np.isin(self._layout.buffer_of(self._holds[places]), run.inputs))
        if len(lost):
            found = self._name(int(self._holds[places][lost[0]]))
            raise _wrong(run, f"byte {lost[0]:,} of what it has in place holds {found}")
        self._holds[places] = marks

    def check(self, run: LayerRun, part: Trace) -> None:
        """Check one run's accesses, and note what it stored."""
        may_store, marks = run.writes
        self._will_hold[may_store] = marks
        needed = self._note_wanted(run)
        if run.workspaces:
            self._take_workspaces(run)
            _check_workspaces(run, part)
            part = part.only(~_in(part, run.workspaces))
        places, times = _by_byte(part, stores=True)
        self._check_stores(run, places)
        self._stored_at[places] = times
        loaded, times = _by_byte(part, stores=False)
        wanted = self._wanted[loaded]
        found = np.where(self._stored_at[loaded] < times, self._will_hold[loaded], self._holds[loaded])
        wrong = np.flatnonzero((found != wanted) | (wanted < 0))
        if len(wrong):
            first = wrong[np.argmin(times[wrong])]
            raise self._misread(run, int(loaded[first]), int(found[first]), int(wanted[first]))
        self._holds[places] = self._will_hold[places]
        self._wanted[needed] = _NOBODY
        self._stored_at[places] = np.iinfo(np.int64).max
        self._will_hold[may_store] = _NOBODY

    def _take_workspaces(self, run: LayerRun) -> None:
        """What lay there is lost, and nothing that the run reads or writes may."""
        for buffer in run.workspaces:
            own = slice(buffer.offset, buffer.offset + buffer.size)
            if (self._wanted[own] != _NOBODY).any() or (self._will_hold[own] != _NOBODY).any():
                raise _wrong(run, f"'{buffer.name}' lies over its input or its output")
            self._holds[own] = _NOBODY

    def check_end(self) -> None:
        """What lives to the end is whole: outputs, and inputs that are kept."""
        end = max((buffer.last for buffer in self._layout.buffers), default=0)
        for number, buffer in enumerate(self._layout.buffers):
            places, marks = self._layout.whole(number)
            lost = np.flatnonzero(self._holds[places] != marks)
            if buffer.last == end and len(lost):
                found = self._name(int(self._holds[places[lost[0]]]))
                message = f"at the end byte {lost[0]:,} of '{buffer.name}' holds {found}"
                raise InternalError("witness", message)

    def _check_stores(self, run: LayerRun, places: Indices) -> None:
        name = run.layer.output
        outside = places[self._will_hold[places] == _NOBODY]
        if len(outside):
            raise _wrong(run, f"it stores to byte {outside[0]:,} of the arena, outside its part of its output '{name}'")
        if len(np.unique(places)) != len(places):
            raise _wrong(run, f"it stores a byte of '{name}' twice, and another not at all")

    def _note_wanted(self, run: LayerRun) -> Indices:
        """Note for each byte of the arena the pixel of an input that lies there; the bytes that there are."""
        all_places: list[Indices] = []
        for places, marks in run.reads():
            order = np.argsort(places, kind="stable")
            ambiguous = places[order[1:]][np.diff(places[order]) == 0]
            taken = places[self._wanted[places] != _NOBODY]
            self._wanted[places] = marks
            self._wanted[ambiguous] = _SHARED
            self._wanted[taken] = _SHARED
            all_places.append(places)
        return np.concatenate(all_places) if all_places else np.empty(0, np.int64)

    def _misread(self, run: LayerRun, place: int, found: int, wanted: int) -> InternalError:
        if wanted == _NOBODY:
            return _wrong(run, f"it loads byte {place:,} of the arena, where none of its inputs lies")
        if wanted == _SHARED:
            return _wrong(
                run, f"it loads byte {place:,} of the arena, which two of its inputs share, or two rows of one"
            )
        buffer = self._layout.buffers[int(self._layout.buffer_of(wanted))]
        what = f"it loads byte {place - buffer.offset:,} of '{buffer.name}' (byte {place:,} of the arena)"
        means = self._layout.pixel_name(wanted)
        return _wrong(run, f"{what}{means and f' for {means}'}, which holds {self._name(found)}")

    def _name(self, mark: int) -> str:
        if mark == _NOBODY:
            return "what nobody has written"
        pixel = self._layout.pixel_name(mark)
        name = self._layout.buffers[int(self._layout.buffer_of(mark))].name
        return f"a byte of '{name}'{pixel and f', {pixel}'}"


def _by_byte(part: Trace, *, stores: bool) -> tuple[Indices, Indices]:
    """Place and time of each byte stored (or loaded); the time is the access's number within the part."""
    chosen = np.flatnonzero(part.stores == stores)
    sizes = part.sizes[chosen]
    starts = np.cumsum(sizes) - sizes
    within = np.arange(int(sizes.sum()), dtype=np.int64) - np.repeat(starts, sizes)
    return np.repeat(part.offsets[chosen], sizes) + within, np.repeat(chosen, sizes)


def _wrong(run: LayerRun, message: str) -> InternalError:
    where = f"layer '{run.layer.name}' ({run.layer.function}, {run.layer.direction}{run.part})"
    return InternalError("witness", message, where=where, remedy="report this with the model")
