"""Networks whose input arrives row by row: right through both interfaces, witnessed, and what they refuse.

Each network is run on an emulated core whose memory is filled with garbage before every run. `LOWTIDE_TEST_SEED` draws
other networks.
"""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from fused_chains import Chain, random_chain
from shared_models import SHARED
from tosa_nets import TosaNet, Value, Window

import lowtide
from lowtide.artifact import Artifact, compile_model
from lowtide.emulate import backend_named, load_artifact
from lowtide.emulate.backends.qemu import QemuBackend
from lowtide.emulate.backends.rows import INTERFACES, Interface, Rows
from lowtide.emulate.backends.unicorn import UnicornBackend, UnicornSession
from lowtide.errors import InputError, UsageError
from lowtide.plan.plan import Objective
from lowtide.verification import run_artifact, verify_model

SEED = int(os.environ.get("LOWTIDE_TEST_SEED", "0"))
OBJECTIVES: tuple[Objective, ...] = ("free", "ram", "untiled")
ARENA, ORDER, NOT_BEGUN, OVER = -1, -3, -2, -4
"""What the functions of a streamed network return."""


def _written(tmp_path: Path, text: str, name: str = "net") -> Path:
    path = tmp_path / f"{name}.mlir"
    path.write_text(text)
    return path


def _compiled(tmp_path: Path, chain: Chain, objective: Objective = "free", target: str = "cortex-m4") -> Artifact:
    model = _written(tmp_path, chain.text)
    return compile_model(model, target=target, objective=objective, stream_input=[""], out=tmp_path / "out")


def _session(artifact: Artifact) -> UnicornSession:
    return UnicornBackend().open(load_artifact(artifact.directory))


def _alike(got: tuple[np.ndarray, ...], wanted: tuple[Value, ...]) -> None:
    for one, two in zip(got, wanted, strict=True):
        if two.array.dtype == np.float32:
            np.testing.assert_allclose(one, two.array, rtol=1e-4, atol=1e-4)
        else:
            np.testing.assert_array_equal(one, two.array)


@pytest.mark.parametrize("number", range(9))
def test_random_networks_give_what_numpy_gives(number: int, tmp_path: Path) -> None:
    """Pushed, pulled and on the host; every load of the pushed run is witnessed."""
    seed = 1000 * SEED + number
    print(f"seed {seed}")
    choose = random.Random(seed)
    chain = random_chain(choose, seed, "float32" if number % 4 == 3 else "int8")
    artifact = _compiled(tmp_path, chain, OBJECTIVES[number % 3], "rv32imafc" if number % 2 else "cortex-m4")
    inputs = [value.array for value in chain.net.inputs]
    result = run_artifact(artifact.directory, inputs, witness=True)
    _alike(result.outputs, chain.outputs)
    assert result.witnessed_loads
    assert result.instructions and result.call_instructions and result.call_instructions <= result.instructions
    _alike(_session(artifact).pulled(inputs, ()).outputs, chain.outputs)
    _alike(backend_named("host").open(load_artifact(artifact.directory)).run(inputs).outputs, chain.outputs)


def _pools() -> Chain:
    """Two pools over 8 rows."""
    net = TosaNet(np.random.default_rng(SEED))
    x = net.input((1, 8, 5, 3), "int8")
    y = net.max_pool(x, Window((3, 3), ((1, 1), (1, 1))))
    return Chain(net, (net.max_pool(y, Window((2, 2), ((0, 0), (0, 1)), (2, 2))),))


@pytest.fixture(scope="module")
def pools(tmp_path_factory: pytest.TempPathFactory) -> tuple[Chain, Artifact]:
    chain = _pools()
    return chain, _compiled(tmp_path_factory.mktemp("pools"), chain, "ram")


class _Caller:
    """A firmware with one network: its calls, and its memory, which is garbage at first."""

    def __init__(self, artifact: Artifact, rows: np.ndarray) -> None:
        session = _session(artifact)
        self.machine = session.machine(False)
        self.machine.reset()
        names = load_artifact(artifact.directory)
        self.rows = Rows.of(self.machine, session.functions, names, [rows])
        self.arena = self.machine.bytes_of(session.layout.arena)
        self._output = names.outputs[0]

    def begin(self) -> int:
        return self.rows.call("begin")

    def feed(self, number: int, input_number: int = 0) -> int:
        """Hand over the row of that number; of one beyond the last the last."""
        rows = self.rows.streams[0]
        row = rows[min(max(number, 0), len(rows) - 1)]
        memory = self.machine.bytes_of(self.machine.layout.loader)
        memory[: len(row)] = row
        return self.rows.call("feed", input_number, self.machine.layout.loader.start, number & 0xFFFF_FFFF)

    @property
    def output(self) -> np.ndarray:
        tensor = self._output.tensor
        found = self.arena[self._output.offset : self._output.offset + tensor.nbytes]
        return found.copy().view(tensor.dtype).reshape(tensor.shape)


def test_a_row_is_told_by_its_number(pools: tuple[Chain, Artifact]) -> None:
    """Late, twice, out of order, of another input, one too many: an error, and nothing is changed."""
    chain, artifact = pools
    caller = _Caller(artifact, chain.net.inputs[0].array)
    assert caller.begin() == 0
    states: list[int] = []
    for number in range(8):
        for wrong in (number - 1, number + 1, 8, -1):
            before = caller.arena.copy()
            assert caller.feed(wrong) == ORDER
            assert caller.feed(number, 1) == ORDER
            np.testing.assert_array_equal(caller.arena, before)
        states.append(caller.feed(number))
    assert states == [0] * 7 + [1]
    before = caller.arena.copy()
    assert [caller.feed(7), caller.feed(8), caller.feed(0)] == [OVER] * 3
    np.testing.assert_array_equal(caller.arena, before)
    np.testing.assert_array_equal(caller.output, chain.outputs[0].array)


def test_without_a_beginning_nothing_runs(pools: tuple[Chain, Artifact]) -> None:
    chain, artifact = pools
    caller = _Caller(artifact, chain.net.inputs[0].array)
    before = caller.arena.copy()
    assert caller.feed(0) == NOT_BEGUN
    start = caller.machine.layout.arena.start
    functions, loader = caller.rows.functions, caller.machine.layout.loader.start
    misaligned = [functions["begin"], functions["feed"], functions["arrived"]]
    for function in misaligned:
        assert caller.machine.call(function, [start + 4, 0, loader, 0]) == ARENA & 0xFFFF_FFFF
        assert caller.machine.call(function, [0, 0, loader, 0]) == ARENA & 0xFFFF_FFFF
    assert caller.machine.call(functions["feed"], [start, 0, 0, 0]) == ARENA & 0xFFFF_FFFF
    assert caller.machine.call(functions["next"], [start, 0, loader, loader + 4]) == 0
    np.testing.assert_array_equal(caller.arena, before)


def test_too_many_rows_at_once_are_refused(pools: tuple[Chain, Artifact]) -> None:
    chain, artifact = pools
    caller = _Caller(artifact, chain.net.inputs[0].array)
    assert caller.begin() == 0
    before = caller.arena.copy()
    assert [caller.rows.call("arrived", 0, count) for count in (9, -1 & 0xFFFF_FFFF)] == [ORDER] * 2
    np.testing.assert_array_equal(caller.arena, before)


def test_a_run_can_be_begun_anew_at_any_row(pools: tuple[Chain, Artifact]) -> None:
    chain, artifact = pools
    caller = _Caller(artifact, chain.net.inputs[0].array)
    for stop in (0, 3, 7, 8):
        assert caller.begin() == 0
        for number in range(stop):
            caller.feed(number)
    np.testing.assert_array_equal(caller.output, chain.outputs[0].array)


def test_two_runs_in_two_arenas_do_not_meet(pools: tuple[Chain, Artifact]) -> None:
    """One machine has one arena: the other run's waits elsewhere."""
    chain, artifact = pools
    x = chain.net.inputs[0].array
    first, second = _Caller(artifact, x), _Caller(artifact, x[:, ::-1].copy())
    waiting = second.arena.copy()
    first.machine.reset()
    assert first.begin() == 0
    state = [0, 0]
    for number in range(-1, 8):
        for run, rows in enumerate((first.rows.streams[0], second.rows.streams[0])):
            if number < 0:
                state[run] = first.begin()
            else:
                first.machine.bytes_of(first.machine.layout.loader)[: len(rows[number])] = rows[number]
                state[run] = first.rows.call("feed", 0, first.machine.layout.loader.start, number)
            # the other's turn
            held, first.arena[:] = first.arena.copy(), waiting
            waiting = held
    assert state == [1, 1]
    np.testing.assert_array_equal(first.output, chain.outputs[0].array)
    first.arena[:] = waiting
    flipped = _Caller(artifact, x[:, ::-1].copy())
    assert flipped.rows.run("pull") == 0
    np.testing.assert_array_equal(first.output, flipped.output)


@pytest.mark.skipif(shutil.which("qemu-system-arm") is None, reason="QEMU is not installed")
@pytest.mark.parametrize("interface", INTERFACES)
def test_a_firmware_brings_the_rows(interface: Interface, pools: tuple[Chain, Artifact]) -> None:
    """The header's own functions, compiled by a C compiler, on a board that QEMU emulates."""
    chain, artifact = pools
    inputs = [value.array for value in chain.net.inputs]
    result = QemuBackend(interface=interface).open(load_artifact(artifact.directory)).run(inputs, probe=True)
    _alike(result.outputs, chain.outputs)


def test_the_arena_does_not_hold_the_input(pools: tuple[Chain, Artifact]) -> None:
    """What the report says of the stream is what the memory map says."""
    _, artifact = pools
    (stream,) = artifact.report.streams
    assert (stream.rows, stream.row_bytes, stream.number) == (8, 15, 0)
    assert stream.held < stream.rows
    assert not artifact.report.inputs
    assert lowtide.load(artifact.directory).report == artifact.report


def test_a_simulated_core_takes_no_rows(tmp_path: Path) -> None:
    artifact = _compiled(tmp_path, _pools(), target="rv32imac")
    with pytest.raises(UsageError, match="ibex runs a network in one call, and this one's inputs arrive row by row"):
        backend_named("ibex").open(load_artifact(artifact.directory))


def _two_inputs() -> Chain:
    net = TosaNet(np.random.default_rng(SEED))
    x, y = net.input((1, 6, 4, 2), "int8"), net.input((1, 6, 4, 2), "int8")
    pooled = net.max_pool(x, Window((3, 3), ((1, 1), (1, 1))))
    return Chain(net, (net.op_add(net.cast_i32(pooled), net.cast_i32(y)),))


@pytest.mark.parametrize("streamed", [("main_arg0", "main_arg1"), ("main_arg1",)])
@pytest.mark.parametrize("objective", ["free", "untiled"])
def test_several_inputs(objective: Objective, streamed: tuple[str, ...], tmp_path: Path) -> None:
    """Of the second input alone, or of both, rows arrive when they are wanted; they take turns."""
    chain = _two_inputs()
    model = _written(tmp_path, chain.text)
    artifact = compile_model(
        model, target="cortex-m4", objective=objective, stream_input=streamed, out=tmp_path / "out"
    )
    assert [stream.number for stream in artifact.report.streams] == [2 - len(streamed), 1][: len(streamed)]
    inputs = [value.array for value in chain.net.inputs]
    _alike(run_artifact(artifact.directory, inputs, witness=True).outputs, chain.outputs)
    _alike(backend_named("host").open(load_artifact(artifact.directory)).run(inputs).outputs, chain.outputs)


def _turned() -> Chain:
    net = TosaNet(np.random.default_rng(SEED))
    return Chain(net, (net.max_pool(net.transpose(net.input((1, 6, 4, 2), "int8"), [0, 2, 1, 3]), Window((2, 2))),))


def test_what_needs_all_rows_is_refused_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"needs all rows of 'input 0' before it can begin") as refused:
        _compiled(tmp_path, _turned())
    assert refused.value.where
    assert "--stream-input" in (refused.value.remedy or "")


@pytest.mark.parametrize(
    ("names", "message"),
    [([""], "2 inputs, and --stream-input does not say which"), (["nobody"], "no input is called 'nobody'")],
)
def test_inputs_are_named(names: list[str], message: str, tmp_path: Path) -> None:
    model = _written(tmp_path, _two_inputs().text)
    with pytest.raises(UsageError, match=message):
        compile_model(model, target="cortex-m4", stream_input=names, out=tmp_path / "out")


def test_streaming_excludes_a_kept_input_and_a_plan(tmp_path: Path) -> None:
    model = _written(tmp_path, _pools().text)
    with pytest.raises(UsageError, match="--stream-input and --keep-input exclude each other"):
        compile_model(model, target="cortex-m4", stream_input=[""], keep_input=True, out=tmp_path / "out")
    with pytest.raises(UsageError, match="--stream-input and --plan exclude each other"):
        compile_model(model, target="cortex-m4", stream_input=[""], plan=model, out=tmp_path / "out")


def test_the_script_alone_says_what_is_streamed(pools: tuple[Chain, Artifact], tmp_path: Path) -> None:
    chain, artifact = pools
    model = _written(tmp_path, chain.text)
    again = compile_model(model, target="cortex-m4", plan=artifact.file(".plan.mlir"), out=tmp_path / "again")
    assert again.file(".o").read_bytes() == artifact.file(".o").read_bytes()
    assert again.report.streams == artifact.report.streams


@pytest.mark.skipif(not SHARED.is_dir(), reason="the models beside the repository are not there")
def test_a_keyword_model_is_right_in_less_than_its_whole_input_takes() -> None:
    model = SHARED / "models" / "mlperf-tiny" / "kws_ref_model.tflite"
    golden = SHARED / "golden" / "kws_ref_model.npz"
    verified = verify_model(model, target="cortex-m4", golden=golden, count=3, stream_input=[""])
    assert verified.passed
    # a row of the loop lies over the row that it is computed from: 4,852 without
    assert verified.report.arena_bytes <= 4800
