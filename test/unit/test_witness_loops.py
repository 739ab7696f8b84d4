"""The witness sees every load in a fused loop that reads another row than it should."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import jit
import mutants
import numpy as np
import pytest
from mutants import trace
from tosa_nets import TosaNet, Value, Window

from lowtide.bound.bind import Binder
from lowtide.emulate.witness.witness import Witnessed, check_trace
from lowtide.errors import InternalError
from lowtide.graph import loop_schedule, program
from lowtide.graph.fusion import Fusion
from lowtide.graph.pixel_schedule import PixelSchedule
from lowtide.graph.program import Loop
from lowtide.graph.row_ranges import LineBuffer, RowRange, RowSchedule
from lowtide.graph.stages import Stage
from lowtide.ir import Module
from lowtide.normalise.form import network_layers
from lowtide.placement import LayerAccess, PlacedBuffer
from lowtide.transform.fuse import fuse

# x: 3 rows of 2 bytes → a: ring of 2 rows → b: y, 2 rows, each of two rows of the ring
X = PlacedBuffer("x", 6, 0, 0, 2, pixels=3)
RING = PlacedBuffer("ring", 4, 6, 1, 2, pixels=2)
Y = PlacedBuffer("y", 4, 10, 1, 3, pixels=2)
ONE, TWO = program.Window(1, 0, 0), program.Window(1, 0, 1)
A = LayerAccess("a", "map_0", "forwards", ("x",), "ring", 2, windows=((ONE, None),))
B = LayerAccess("b", "map_1", "forwards", ("ring",), "y", 2, windows=((TWO, None),))
RUNS = [(0, 0, 0, 2), (1, 0, 0, 1), (0, 1, 2, 3), (1, 1, 1, 2)]
LOOP = program.Loop(0, 1, tuple(program.Run(*run) for run in RUNS))
RIGHT = "l0 s6 l1 s7 l2 s8 l3 s9  l6 l8 s10 l7 l9 s11  l4 s6 l5 s7  l8 l6 s12 l9 l7 s13"


def test_right_loop_is_clean() -> None:
    seen = check_trace(trace(RIGHT), [A, B], [X, RING, Y], 14, [LOOP])
    assert (seen.layers, seen.runs, seen.loads, seen.stores) == (2, 4, 14, 10)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        # b reads row 2 after it has taken row 0's place, or before
        (RIGHT.replace("l8 l6 s12", "l8 l10 s12"), "rows 1 to 2.*none of its inputs"),
        (RIGHT.replace("l4 s6 l5 s7  l8 l6", "l4 s8 l5 s9  l8 l6"), "outside its part of its output 'ring'"),
        (RIGHT.replace("s10 l7 l9 s11", "s12 l7 l9 s13"), "rows 0 to 1.* outside its part"),
        (RIGHT.replace("l0 s6", "l4 s6"), "rows 0 to 2.*byte 4 of the arena, where none of its inputs"),
        (RIGHT.replace("s10", "l4 s10"), "none of its inputs"),
        (RIGHT.replace("l4 s6 l5 s7", "l4 s6 l5 s6"), "twice"),
    ],
)
def test_wrong_run_is_refused(text: str, message: str) -> None:
    with pytest.raises(InternalError, match=message):
        check_trace(trace(text), [A, B], [X, RING, Y], 14, [LOOP])


def test_a_row_that_the_ring_has_lost_is_refused() -> None:
    late = replace(LOOP, runs=(*LOOP.runs[:1], LOOP.runs[2], LOOP.runs[1], LOOP.runs[3]))
    text = "l0 s6 l1 s7 l2 s8 l3 s9  l4 s6 l5 s7  l6 l8 s10 l7 l9 s11  l8 l6 s12 l9 l7 s13"
    with pytest.raises(InternalError, match="for row 0, which holds a byte of 'ring', row 2"):
        check_trace(trace(text), [A, B], [X, RING, Y], 14, [late])


def test_two_rows_of_one_run_in_one_place_are_refused() -> None:
    small = replace(RING, size=2, pixels=1)
    loop = replace(LOOP, runs=tuple(program.Run(*run) for run in [(0, 0, 0, 1), (0, 0, 1, 2), (1, 0, 0, 1)]))
    text = "l0 s6 l1 s7  l2 s6 l3 s7  l6 l6 s10 l7 l7 s11"
    with pytest.raises(InternalError, match="two of its inputs share, or two rows of one"):
        check_trace(trace(text), [A, B], [X, small, Y], 14, [loop])


def test_an_accumulator_is_read_and_stored_in_every_run() -> None:
    total = PlacedBuffer("total", 1, 6, 1, 3)
    start = LayerAccess("start", "map_0", "forwards", (), "total", 1)
    add = LayerAccess("add", "dense_0", "forwards", ("x",), "total", 1, windows=((ONE, None),), accumulates=True)
    loop = program.Loop(1, 1, tuple(program.Run(1, i, i, i + 1) for i in range(3)))
    right = "s6  l6 l0 l1 s6  l6 l2 l3 s6  l6 l4 l5 s6"
    assert check_trace(trace(right), [start, add], [X, total], 7, [loop]).runs == 4
    for wrong, message in (("l6 l2 l1 s6", "rows 0 to 1"), ("l6 l0 l1", "not what the code stores")):
        with pytest.raises(InternalError, match=message):
            check_trace(trace(right.replace("l6 l0 l1 s6", wrong)), [start, add], [X, total], 7, [loop])


# -- the compiler, gone wrong --------------------------------------------------------------------------------------

SAME = ((1, 1), (1, 1))


def _chain() -> tuple[TosaNet, Value]:
    """Rings of three rows and of one, a stride, and a pool that adds up the rows."""
    net = TosaNet(np.random.default_rng(1))
    x = net.input((1, 9, 5, 2), "int8")
    for channels, window in ((4, Window((3, 3), SAME)), (3, Window((1, 1))), (2, Window((3, 3), SAME, (2, 2)))):
        weights = net.random((channels, *window.kernel, x.array.shape[3]), "int8")
        x = net.rescale(net.conv(x, weights, window))
    return net, net.avg_pool(x, Window((5, 3)))


NET = _chain()


def _fused(columns: int, *, backwards: bool = False) -> Module:
    """The network in one loop."""
    net, output = NET
    module = jit.lowered(net.text([output]), "lowtide-import-tosa,lowtide-normalise,lowtide-outline")
    direction = "backwards" if backwards else "forwards"
    layers = network_layers(module, "test")
    fuse(module, layers, Fusion(1, len(layers), 1, columns, direction), Binder())
    return module


def _run(module: Module, folder: Path, overlap: mutants.Overlap | None = None, shift: int = 0) -> str:
    """What the witness says of a run; where it finds nothing wrong, the outputs must be right."""
    net, output = NET
    seen = mutants.run(module, folder, overlap, shift, inputs=[value.array for value in net.inputs])
    if isinstance(seen.witnessed, InternalError):
        return str(seen.witnessed)
    assert seen.outputs == (output.array.tobytes(),), overlap
    return f"clean: {seen.witnessed.runs} runs"


def _sliced_net() -> tuple[TosaNet, Value]:
    """Fan-out, a layer on slices and a fan-in."""
    net = TosaNet(np.random.default_rng(1))
    x = net.rescale(net.conv(net.input((1, 5, 4, 3), "int8"), net.random((7, 1, 1, 3), "int8"), Window((1, 1))))
    x = net.rescale(net.depthwise(x, net.random((3, 3, 7, 1), "int8"), Window((3, 3), SAME)))
    return net, net.rescale(net.conv(x, net.random((2, 1, 1, 7), "int8"), Window((1, 1))))


@pytest.mark.parametrize(("layers", "slice_size"), [(3, 2), (2, 3)])
def test_loops_by_channels_are_followed(layers: int, slice_size: int, tmp_path: Path) -> None:
    net, output = _sliced_net()

    def run(change: mutants.Change) -> mutants.Seen:
        module = jit.lowered(net.text([output]), "lowtide-import-tosa,lowtide-normalise,lowtide-outline")
        chain = network_layers(module, "test")[:layers]
        fuse(module, chain, Fusion(1, layers, slice_size, axis="channels"), Binder())
        inputs = [value.array for value in net.inputs]
        return mutants.run(module, tmp_path / f"{len(list(tmp_path.iterdir()))}", inputs=inputs, report=change)

    seen = run(lambda loops: loops)
    assert isinstance(seen.witnessed, Witnessed), seen.witnessed
    assert seen.outputs == (output.array.tobytes(),)
    for call in range(layers):
        seen = run(lambda loops, call=call: _moved(loops, call))
        assert isinstance(seen.witnessed, InternalError), call


def _moved(loops: Sequence[Loop], position: int) -> tuple[Loop, ...]:
    """One call of the loop said to go through other channels in the last two iterations than it does."""
    (loop,) = loops
    call = loop.first + position
    *_, one, two = (run for run in loop.runs if run.call == call)
    swapped = {one: two._replace(iteration=one.iteration), two: one._replace(iteration=two.iteration)}
    return (replace(loop, runs=tuple(swapped.get(run, run) for run in loop.runs)),)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("columns", [0, 2])
def test_the_loop_as_it_should_be_is_clean(columns: int, backwards: bool, tmp_path: Path) -> None:
    assert _run(_fused(columns, backwards=backwards), tmp_path / "out").startswith("clean")


@pytest.mark.parametrize("tensor", [0, 1])
def test_a_ring_one_row_too_small_is_seen(tensor: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = loop_schedule.schedule_rows

    def wrong(
        stages: Sequence[Stage], escaping: Collection[int], tile: int = 1, recompute: Sequence[int] = ()
    ) -> RowSchedule:
        schedule = right(stages, escaping, tile, recompute)
        return replace(schedule, line_buffers=_less(schedule.line_buffers, tensor))

    monkeypatch.setattr(loop_schedule, "schedule_rows", wrong)
    assert _run(_fused(0), tmp_path / "out").startswith("witness at layer")


@pytest.mark.parametrize("tensor", [0, 1])
def test_a_ring_one_pixel_too_small_is_seen(tensor: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = loop_schedule.schedule_pixels

    def wrong(
        stages: Sequence[Stage], escaping: Collection[int], tile: int = 1, recompute: Sequence[int] = ()
    ) -> PixelSchedule:
        schedule = right(stages, escaping, tile, recompute)
        return replace(schedule, line_buffers=_less(schedule.line_buffers, tensor))

    monkeypatch.setattr(loop_schedule, "schedule_pixels", wrong)
    assert _run(_fused(1), tmp_path / "out").startswith("witness at layer")


def _less(line_buffers: Mapping[int, LineBuffer], tensor: int) -> dict[int, LineBuffer]:
    """One of the tensors that outlive an iteration, with a row (pixel) less."""
    carried = [number for number, of_one in line_buffers.items() if of_one.carried]
    chosen = carried[tensor % len(carried)]
    assert line_buffers[chosen].rows > 1
    return {**line_buffers, chosen: replace(line_buffers[chosen], rows=line_buffers[chosen].rows - 1)}


@pytest.mark.parametrize(("stage", "rows"), [(0, -1), (0, 1), (1, -1), (1, 1), (2, -1)])
def test_rows_shifted_by_one_are_seen(stage: int, rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that are made an iteration too late are not there; too early, they take the places of others."""
    right = loop_schedule.schedule_rows

    def wrong(
        stages: Sequence[Stage], escaping: Collection[int], tile: int = 1, recompute: Sequence[int] = ()
    ) -> RowSchedule:
        schedule = right(stages, escaping, tile, recompute)
        ranges = list(schedule.ranges)
        shifted = ranges[stage]
        assert isinstance(shifted, RowRange)
        ranges[stage] = replace(shifted, offset=shifted.offset + rows * shifted.divisor)
        return replace(schedule, ranges=tuple(ranges), start=schedule.start - 1)

    monkeypatch.setattr(loop_schedule, "schedule_rows", wrong)
    assert _run(_fused(0), tmp_path / "out").startswith("witness at layer")


def test_code_that_makes_other_rows_than_the_report_says_is_seen(tmp_path: Path) -> None:
    seen = mutants.run(_fused(0), tmp_path / "out", report=_shifted_report).witnessed
    assert isinstance(seen, InternalError)


def _shifted_report(loops: Sequence[Loop]) -> tuple[Loop, ...]:
    (loop,) = loops
    runs = tuple(
        run._replace(begin=run.begin + 1, end=run.end + 1) if run.call == loop.first else run for run in loop.runs
    )
    return (replace(loop, runs=runs),)


@pytest.mark.parametrize("columns", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_one_byte_too_far_is_seen_in_a_loop(columns: int, tmp_path: Path) -> None:
    """Where two buffers are as close as they may be the run is clean; a byte further, what goes wrong is seen."""

    def made() -> Module:
        return mutants.general(_fused(columns))

    caught, found = 0, mutants.overlaps(made())
    for number, overlap in enumerate(found):
        assert _run(made(), tmp_path / f"{number}", overlap, overlap.allowed).startswith("clean"), overlap
        # the layers' own kernels load earlier and store later
        assert _run(_fused(columns), tmp_path / f"{number}own", overlap, overlap.allowed).startswith("clean"), overlap
        beyond = _run(made(), tmp_path / f"{number}beyond", overlap, overlap.beyond)
        caught += beyond.startswith("witness")
    assert caught == len(found) > 2
