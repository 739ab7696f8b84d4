"""Networks that remember: variables that are read and assigned, over many runs, against numpy and LiteRT Micro.

Each network is run on an emulated core whose memory is filled with garbage before every run, but for what it remembers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from shared_models import SHARED
from tflite import BuiltinOperator, TensorType
from tflite_nets import Net

import lowtide
from lowtide.emulate import backend_named, load_artifact
from lowtide.emulate.backends.unicorn import UnicornSession
from lowtide.emulate.image.link import link_object
from lowtide.errors import InputError
from lowtide.importer.tflite.model import Operator, Tensor

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
        return self.operator("MAXIMUM", (x, y), self.value(name))

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


REFUSED: dict[str, tuple[Build, str]] = {
    "no handle": (_unknown_handle, "its variable has no VAR_HANDLE before it"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, tmp_path: Path) -> None:
    build, message = REFUSED[name]
    with pytest.raises(InputError, match=message):
        lowtide.compile(_saved(tmp_path, build), target="cortex-m4", out=tmp_path / "out")


@pytest.mark.skipif(not WAKE_WORD.exists(), reason="needs ../shared/models")
@pytest.mark.parametrize(("target", "runs"), [("cortex-m4", 100), ("rv32imac", 20)])
def test_a_wake_word_model_over_many_runs(target: str, runs: int, tmp_path: Path) -> None:
    """Six variables that a subgraph fills once; exact against LiteRT Micro, which remembers as well."""
    verified = lowtide.verify(WAKE_WORD, target=target, count=runs, out=tmp_path / "out")
    assert verified.passed and verified.runs == verified.emulated == runs
    states: list[Any] = list(verified.report.states)
    assert len(states) == 6 and sum(state.tensor.nbytes for state in states) == 3408
