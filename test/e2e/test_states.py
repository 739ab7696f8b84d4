"""Networks that remember: variables that are read and assigned, over many runs, against numpy and LiteRT Micro.

Each network is run on an emulated core whose memory is filled with garbage before every run, but for what it remembers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import state_nets as nets
from oracles import needs_micro
from shared_models import SHARED
from tflite import BuiltinOperator, TensorType
from tflite_nets import Net

import lowtide
from lowtide.emulate import backend_named, load_artifact
from lowtide.emulate.backends.unicorn import UnicornBackend, UnicornSession
from lowtide.emulate.image.link import link_object
from lowtide.errors import InputError
from lowtide.importer.tflite.model import Model, Operator, Tensor
from lowtide.importer.tflite.writer import write

Bytes = npt.NDArray[np.int8]
WAKE_WORD = SHARED / "models" / "reach" / "micro_wake_word_okay_nabu.tflite"
SHAPE = (1, 4, 2)
SCALE = 0.5


class Remembering(Net):
    """A network with variables of one shape."""

    def handle(self, name: str) -> int:
        self.tensors.append(Tensor(f"{name}/handle{len(self.tensors)}", TensorType.RESOURCE, ()))
        return self.operator("VAR_HANDLE", (), len(self.tensors) - 1, {"shared_name": tuple(name.encode())})

    def value(self, name: str, shape: Sequence[int] = SHAPE) -> int:
        return self.tensor(name, shape, np.int8, SCALE, 3)

    def read(self, handle: int, name: str) -> int:
        return self.operator("READ_VARIABLE", (handle,), self.value(name))

    def assign(self, handle: int, value: int) -> None:
        self.operators.append(Operator(len(self.operators), BuiltinOperator.ASSIGN_VARIABLE, (handle, value), ()))

    def sum(self, x: int, y: int, name: str) -> int:
        return self.operator("MAXIMUM", (x, y), self.value(name, self.tensors[x].shape))

    def rows(self, x: int, first: int, count: int, name: str) -> int:
        begin, size = self.constant(f"{name}/begin", [0, first, 0]), self.constant(f"{name}/size", [1, count, 2])
        return self.operator("SLICE", (x, begin, size), self.value(name, (1, count, 2)))


def _delay(net: Remembering, x: int) -> int:
    """The input of the run before."""
    held = net.handle("held")
    before = net.read(held, "before")
    net.assign(held, x)
    return before


def _two_delays(net: Remembering, x: int) -> int:
    """The input of two runs ago: one variable takes what the other held."""
    first, second = net.handle("first"), net.handle("second")
    one, two = net.read(first, "one"), net.read(second, "two")
    net.assign(second, one)
    net.assign(first, x)
    return two


def _peak(net: Remembering, x: int) -> int:
    """The most so far: the new state is the output, too, and computed where the old one lies."""
    held = net.handle("held")
    most = net.sum(net.read(held, "before"), x, "most")
    net.assign(held, most)
    return most


def _window(net: Remembering, x: int) -> int:
    """The last rows of what was held and the first of the input, as streaming convolutions do it."""
    held = net.handle("held")
    both = net.operator("CONCATENATION", (net.read(held, "before"), x), net.value("both", (1, 8, 2)), {"axis": 1})
    net.assign(held, net.rows(both, 4, 4, "last"))
    return net.rows(both, 2, 4, "middle")


def _peak_in_another_shape(net: Remembering, x: int) -> int:
    """The most so far, worked out in other shapes than that in which it is held."""
    held = net.handle("held")

    def reshaped(value: int, shape: Sequence[int], name: str) -> int:
        return net.operator("RESHAPE", (value, net.constant(f"{name}/shape", shape)), net.value(name, shape))

    flat = net.tensor("most", (2, 4), np.int8, SCALE, 3)
    net.operator("MAXIMUM", (reshaped(net.read(held, "before"), (2, 4), "old"), reshaped(x, (2, 4), "new")), flat)
    net.assign(held, reshaped(flat, SHAPE, "after"))
    turned = net.operator("TRANSPOSE", (flat, net.constant("axes", [1, 0])), net.value("turned", (4, 2)))
    back = net.operator("TRANSPOSE", (turned, net.constant("back/axes", [1, 0])), net.value("back", (2, 4)))
    return reshaped(net.sum(back, flat, "again"), SHAPE, "out")


def _late_reader(net: Remembering, x: int) -> int:
    """The old value is still read when the new one has been computed."""
    held = net.handle("held")
    before = net.read(held, "before")
    most = net.sum(before, x, "most")
    net.assign(held, most)
    return net.operator("MINIMUM", (net.sum(most, x, "again"), before), net.value("least"))


def _read_after_assign(net: Remembering, x: int) -> int:
    """What is read after an assignment is what was assigned."""
    held = net.handle("held")
    before = net.read(held, "before")
    net.assign(held, net.sum(before, x, "most"))
    return net.sum(net.read(net.handle("held"), "now"), x, "out")


def _unchanged(net: Remembering, x: int) -> int:
    """A variable that nobody assigns holds its first value for ever."""
    return net.sum(net.read(net.handle("held"), "before"), x, "most")


def _two_steps(xs: Sequence[Bytes]) -> list[Bytes]:
    return [*(np.full(SHAPE, 3, np.int8),) * 2, *xs][: len(xs)]


def _peaks(xs: Sequence[Bytes]) -> list[Bytes]:
    return list(np.maximum.accumulate([np.full(SHAPE, 3, np.int8), *xs])[1:])


def _windows(xs: Sequence[Bytes]) -> list[Bytes]:
    stream = np.concatenate([np.full(SHAPE, 3, np.int8), *xs], axis=1)
    return [stream[:, 4 * n + 2 : 4 * n + 6] for n in range(len(xs))]


def _late(xs: Sequence[Bytes]) -> list[Bytes]:
    before = [np.full(SHAPE, 3, np.int8), *_peaks(xs)]
    return [np.minimum(np.maximum(now, x), old) for now, x, old in zip(before[1:], xs, before, strict=False)]


Build = Callable[[Remembering, int], int]
CASES: dict[str, tuple[Build, Callable[[Sequence[Bytes]], list[Bytes]], int]] = {
    "delay": (_delay, lambda xs: [np.full(SHAPE, 3, np.int8), *xs][: len(xs)], 1),
    "two delays": (_two_delays, _two_steps, 2),
    "peak": (_peak, _peaks, 1),
    "peak in another shape": (_peak_in_another_shape, _peaks, 1),
    "window": (_window, _windows, 1),
    "late reader": (_late_reader, _late, 1),
    "read after assignment": (_read_after_assign, _peaks, 1),
    "unchanged": (_unchanged, lambda xs: [np.maximum(x, np.int8(3)) for x in xs], 0),
}


def _saved(folder: Path, build: Build) -> Path:
    net = Remembering()
    x = net.value("x")
    return net.save(folder, [x], [build(net, x)])


@pytest.mark.parametrize("backend", ["unicorn", "host"])
@pytest.mark.parametrize("name", CASES)
def test_against_numpy(name: str, backend: str, tmp_path: Path) -> None:
    build, expected, states = CASES[name]
    report = lowtide.compile(_saved(tmp_path, build), target="cortex-m4", out=tmp_path / "out").report
    assert len(report.states) == states and (report.mark_offset is not None) == (states > 0)
    xs = list(np.random.default_rng(5).integers(-128, 128, (20, *SHAPE), np.int8))
    session = backend_named(backend).open(load_artifact(tmp_path / "out"))
    for run, (x, y) in enumerate(zip(xs, expected(xs), strict=True)):
        found = session.run([x], probe=backend == "unicorn").outputs[0]
        np.testing.assert_array_equal(found, y, f"run {run}")


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case[2]])
def test_every_load_is_witnessed(name: str, tmp_path: Path) -> None:
    lowtide.compile(_saved(tmp_path, CASES[name][0]), target="cortex-m4", out=tmp_path / "out")
    assert lowtide.run(tmp_path / "out", witness=True).witnessed_loads


@pytest.mark.parametrize("name", ["delay", "peak", "late reader"])
def test_rows_arrive_at_a_network_that_remembers(name: str, tmp_path: Path) -> None:
    """Against numpy over some runs, pushed and pulled; without a reset no run begins."""
    build, expected, _ = CASES[name]
    lowtide.compile(_saved(tmp_path, build), target="cortex-m4", stream_input=["x"], out=tmp_path / "out")
    session = UnicornBackend().open(load_artifact(tmp_path / "out"))
    xs = list(np.random.default_rng(5).integers(-128, 128, (5, *SHAPE), np.int8))
    for run, (x, y) in enumerate(zip(xs, expected(xs), strict=True)):
        before = session.held
        np.testing.assert_array_equal(session.run([x], probe=True).outputs[0], y, f"run {run}")
        np.testing.assert_array_equal(session.pulled([x], before).outputs[0], y, f"run {run}")
    assert lowtide.run(tmp_path / "out", witness=True).witnessed_loads
    machine = session.machine(count=False)
    machine.reset()
    assert machine.call(session.functions["begin"], [session.layout.arena.start]) == 0xFFFFFFFE


def test_a_new_state_is_computed_where_the_old_one_lies(tmp_path: Path) -> None:
    """One buffer of 8 bytes is the state and the output; beside it lie the input and the mark."""
    report = lowtide.compile(_saved(tmp_path, _peak), target="cortex-m4", out=tmp_path / "out").report
    assert report.outputs[0].offset == report.states[0].offset
    assert report.arena_bytes == 8 + 8 + 4
    assert len(report.layers) == 1


def test_reset_fills_the_states_and_run_wants_that(tmp_path: Path) -> None:
    """NAME_run refuses an arena that NAME_reset has not seen, and touches nothing; a null or odd arena is refused."""
    lowtide.compile(_saved(tmp_path, _window), target="cortex-m4", out=tmp_path / "out")
    view = load_artifact(tmp_path / "out")
    session = backend_named("unicorn").open(view)
    assert isinstance(session, UnicornSession)
    machine, image = session.machine(count=False), link_object(view)
    places = {function.name: function.address for function in image.functions}
    run, reset = (places[f"{view.name}_{what}"] for what in ("run", "reset"))
    arena = session.layout.arena
    machine.reset(inverted=False)
    before = machine.bytes_of(arena).copy()
    assert machine.call(run, [arena.start]) == 0xFFFFFFFE
    np.testing.assert_array_equal(machine.bytes_of(arena), before)
    assert machine.call(reset, [0]) == machine.call(reset, [arena.start + 4]) == 0xFFFFFFFF
    np.testing.assert_array_equal(machine.bytes_of(arena), before)
    assert machine.call(reset, [arena.start]) == 0
    (state,) = view.states
    place = slice(state.offset, state.offset + state.tensor.nbytes)
    assert machine.bytes_of(arena)[place].tobytes() == state.initial == bytes([3]) * 8
    assert machine.call(run, [arena.start]) == 0


def _unknown_handle(net: Remembering, x: int) -> int:
    return net.operator("READ_VARIABLE", (x,), net.value("y"))


def _of_another_shape(net: Remembering, x: int) -> int:
    held = net.handle("held")
    before = net.read(held, "before")
    net.assign(held, net.rows(x, 0, 2, "half"))
    return net.sum(before, x, "most")


def _of_another_type(net: Remembering, x: int) -> int:
    held = net.handle("held")
    before = net.read(held, "before")
    net.assign(held, net.operator("CAST", (x,), net.tensor("wide", SHAPE, np.int32)))
    return net.sum(before, x, "most")


def _too_large(net: Remembering, x: int) -> int:
    return net.sum(
        net.operator("READ_VARIABLE", (net.handle("held"),), net.value("before", (1 << 20, 1 << 20))), x, "y"
    )


REFUSED: dict[str, tuple[Build, str]] = {
    "no handle": (_unknown_handle, "its variable has no VAR_HANDLE before it"),
    "another shape": (_of_another_shape, r"is assigned 'half', INT8 \[1, 2, 2\], and read as INT8 \[1, 4, 2\]"),
    "another type": (_of_another_type, r"is assigned 'wide', INT32 \[1, 4, 2\], and read as INT8 \[1, 4, 2\]"),
    "too large": (_too_large, "lowtide takes 1 to 16,777,216 elements"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, tmp_path: Path) -> None:
    build, message = REFUSED[name]
    with pytest.raises(InputError, match=message):
        lowtide.compile(_saved(tmp_path, build), target="cortex-m4", out=tmp_path / "out")


# -- operators with a state of their own ------------------------------------------------------------------------------

CELLS: dict[str, tuple[Callable[[np.random.Generator], Model], int]] = {
    "SVDF": (lambda rng: nets.svdf(rng, "int8", depth=5, units=3, rank=2, memory=4), 1),
    "SVDF, state of int8": (lambda rng: nets.svdf(rng, "int8", depth=5, units=3, rank=1, memory=4, state="int8"), 1),
    "LSTM": (lambda rng: nets.lstm(rng, "int8", (1, 2, 5), 3), 2),
}


def _cell(folder: Path, model: Model, changes: Mapping[int, Any] | None = None) -> Path:
    """A file of it, in which what it remembers is marked as variable."""
    marked = {index: replace(model.tensors[index], variable=True) for index in nets.states_of(model)}
    marked |= {index: replace(marked[index], **changed) for index, changed in (changes or {}).items()}
    path = folder / "cell.tflite"
    path.write_bytes(write(model.with_tensors(marked)))
    return path


@needs_micro
@pytest.mark.parametrize("name", CELLS)
def test_cells_against_micro(name: str, tmp_path: Path) -> None:
    """50 steps, with each state as large as the file says."""
    build, states = CELLS[name]
    path = _cell(tmp_path, build(np.random.default_rng(7)))
    verified = lowtide.verify(path, target="cortex-m4", count=50, out=tmp_path / "out")
    assert verified.passed and len(verified.report.states) == states


ODD_STATES: dict[str, tuple[dict[str, Any], str]] = {
    "no variable": ({"variable": False}, "its state 'state' is not marked as variable"),
    "a constant": ({"variable": False, "data": bytes(24)}, "its state 'state' is a constant"),
    "another shape": ({"shape": (1, 10)}, r"its state is \[1, 10\], not \[1, 12\]"),
    "another type": ({"type": TensorType.INT8}, "which LiteRT Micro does not take together"),
    "no type that lowtide takes": ({"type": TensorType.RESOURCE}, "its type is RESOURCE"),
    "too large": ({"shape": (1 << 20, 1 << 20)}, "takes 2199023255552 bytes, more than"),
    "less than nothing": ({"shape": (1, -12)}, "has a dimension below 1"),
}


@pytest.mark.parametrize("name", ODD_STATES)
def test_odd_states_are_refused(name: str, tmp_path: Path) -> None:
    changed, message = ODD_STATES[name]
    model = nets.svdf(np.random.default_rng(7), "int8", depth=5, units=3, rank=1, memory=4)
    (state,) = nets.states_of(model)
    with pytest.raises(InputError, match=message) as caught:
        lowtide.compile(_cell(tmp_path, model, {state: changed}), target="cortex-m4", out=tmp_path / "out")
    assert "operator 0 SVDF → 'y'" in str(caught.value) or "tensor 'state'" in str(caught.value)


def _two_cells(model: Model, second: int) -> Model:
    """The cell twice, one after the other; `second` is the state of the other one."""
    operator = model.operators[0]
    more = replace(model.tensors[operator.outputs[0]], name="z")
    other = replace(operator, index=1, inputs=(*operator.inputs[:-1], second), outputs=(len(model.tensors),))
    return replace(
        model, tensors=(*model.tensors, more), operators=(operator, other), outputs=(*model.outputs, *other.outputs)
    )


SHARED_STATES: list[tuple[Callable[[Model, int], Model], str]] = [
    (lambda model, state: replace(model, inputs=(*model.inputs, state)), "its state 'state' is a model input"),
    (lambda model, state: replace(model, outputs=(*model.outputs, state)), "its state 'state' is a model output"),
    (_two_cells, "its state 'state' is that of another operator, too: operator 1 SVDF → 'z'"),
    (lambda model, _: _two_cells(model, -1), "operator 1 SVDF → 'z': its input 4, the state, is missing"),
]


@pytest.mark.parametrize(("change", "message"), SHARED_STATES)
def test_a_state_is_one_operators(change: Callable[[Model, int], Model], message: str, tmp_path: Path) -> None:
    model = nets.svdf(np.random.default_rng(7), "int8", depth=5, units=3, rank=1, memory=4)
    (state,) = nets.states_of(model)
    with pytest.raises(InputError, match=message):
        lowtide.compile(_cell(tmp_path, change(model, state)), target="cortex-m4", out=tmp_path / "out")


@pytest.mark.skipif(not WAKE_WORD.exists(), reason="needs ../shared/models")
@pytest.mark.parametrize(("target", "runs"), [("cortex-m4", 100), ("rv32imac", 20)])
def test_a_wake_word_model_over_many_runs(target: str, runs: int, tmp_path: Path) -> None:
    """Six variables that a subgraph fills once; exact against LiteRT Micro, which remembers as well."""
    verified = lowtide.verify(WAKE_WORD, target=target, count=runs, out=tmp_path / "out")
    assert verified.passed and verified.runs == verified.emulated == runs
    states: list[Any] = list(verified.report.states)
    assert len(states) == 6 and sum(state.tensor.nbytes for state in states) == 3408
