"""The witness sees every load that reads what the wrong layer stored, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jit
import mutants
import numpy as np
import pytest
from mutants import trace
from shifted import BUFFERS, kernel_of
from single_layers import Single, conv, dense, depthwise, moved, pool
from tflite_nets import Net
from tosa_nets import TosaNet, Value, Window

from lowtide.artifact import compile_model
from lowtide.emulate import load_artifact
from lowtide.emulate.backends.unicorn import UnicornBackend
from lowtide.emulate.image.link import link_object
from lowtide.emulate.machine.cores import core_of
from lowtide.emulate.machine.machine import Machine
from lowtide.emulate.machine.trace import Recorder, Trace
from lowtide.emulate.witness.witness import check_trace
from lowtide.errors import InputError, InternalError, UsageError
from lowtide.lower import normalised
from lowtide.passes import run_passes
from lowtide.placement import LayerAccess, PlacedBuffer
from lowtide.stages import Stages
from lowtide.verification import run_artifact

SHARED = Path(__file__).resolve().parents[3] / "shared" / "models"

# x (4 bytes) → a: y = x reversed → b: z = y + x, all apart
X, Y, Z = PlacedBuffer("x", 4, 0, 0, 2), PlacedBuffer("y", 4, 4, 1, 2), PlacedBuffer("z", 4, 8, 2, 3)
A = LayerAccess("a", "map_0", "forwards", ("x",), "y", 4)
B = LayerAccess("b", "map_1", "backwards", ("x", "y"), "z", 4)
RIGHT = "l3 s4 l2 s5 l1 s6 l0 s7  l0 l4 s8 l1 l5 s9 l2 l6 s10 l3 l7 s11"


def test_right_run_is_clean() -> None:
    seen = check_trace(trace(RIGHT), [A, B], [X, Y, Z], 12)
    assert (seen.layers, seen.loads, seen.stores) == (2, 12, 8)


def test_wide_accesses_are_seen_byte_by_byte() -> None:
    wide = Trace(np.array([0, 4, 0, 4, 8]), np.full(5, 4), np.array([False, True, False, False, True]))
    assert check_trace(wide, [A, B], [X, Y, Z], 12).loads == 3


def _halves(loads: str, stores: str = "") -> Trace:
    """Loads and stores of words, at these offsets."""
    offsets = [int(word) for word in (loads + " " + stores).split()]
    kinds = [False] * len(loads.split()) + [True] * len(stores.split())
    return Trace(np.array(offsets), np.full(len(offsets), 4), np.array(kinds))


def test_halves_of_a_load_are_one() -> None:
    seen = _halves("4 8 8 4 8", "0")
    assert seen.ambiguous and not _halves("4 0 8", "12").ambiguous
    found = seen.resolved(_halves("5 8 4 8"))
    assert found.offsets.tolist() == [5, 8, 4, 8, 0] and found.stores.tolist() == [False] * 4 + [True]
    assert seen.resolved(_halves("4 8 8 7")).offsets.tolist() == [4, 8, 8, 7, 0]
    for other in ("5 8 4", "5 8 4 12", "5 9 4 8"):
        with pytest.raises(InternalError, match="loads otherwise when its loads are watched"):
            seen.resolved(_halves(other))


# x → a: y = x reversed → p: the lower half of z is y, which lies there → q: the upper half is y + 1
HALF = [PlacedBuffer("x", 4, 0, 0, 1), PlacedBuffer("y", 4, 4, 1, 3), PlacedBuffer("z", 8, 4, 2, 4)]
P = LayerAccess("p", "concat_0", "forwards", ("y",), "z", 0, 0, 4)
Q = LayerAccess("q", "concat_1", "forwards", ("x",), "z", 4)
R = LayerAccess("r", "map_2", "forwards", ("z",), "w", 4)


def test_a_copy_onto_itself_has_no_code() -> None:
    buffers = [replace(HALF[0], last=3), *HALF[1:]]
    text = "l3 s4 l2 s5 l1 s6 l0 s7  l0 s8 l1 s9 l2 s10 l3 s11"
    assert check_trace(trace(text), [A, P, Q], buffers, 12).stores == 8


def test_no_load_comes_early() -> None:
    buffers = [*HALF[:2], PlacedBuffer("z", 4, 4, 2, 3), PlacedBuffer("w", 4, 8, 3, 4)]
    in_time, early = (
        "l3 s4 l2 s5 l1 s6 l0 {} s7 {} s8 l5 s9 l6 s10 l7 s11".format(*at) for at in (("", "l4"), ("l4", ""))
    )
    assert check_trace(trace(in_time), [A, P, R], buffers, 12).stores == 8
    with pytest.raises(InternalError, match="none of its inputs lies"):
        check_trace(trace(early), [A, P, R], buffers, 12)


def test_what_is_to_be_in_place_must_be_there() -> None:
    with pytest.raises(InternalError, match="byte 0 of what it has in place holds a byte of 'x'"):
        check_trace(trace("l3 s4 l2 s5 l1 s6 l0 s7"), [A, P], [*HALF[:2], replace(HALF[2], offset=0)], 12)


# each lies a little too far over x; its layer runs as it should
OVER_X = "l3 s2 l2 s3 l1 s4 l0 s5 l0 l2 s8 l1 l3 s9 l2 l4 s10 l3 l5 s11"
TWO_INPUTS = "l0 s3 l0 s4 l0 s5 l0 s6 l3 l4 s8 l0 l4 s9 l0 l4 s10 l0 l4 s11"
OVER_KEPT = "l0 s4 l0 s5 l0 s6 l0 s7 l0 l7 s3 l0 s4 l0 s5 l0 s6"


@pytest.mark.parametrize(
    ("buffers", "text", "message"),
    [
        ((X, replace(Y, offset=2), Z), OVER_X, "byte 2 of 'x'.* which holds a byte of 'y'"),
        ((X, replace(Y, offset=3), Z), TWO_INPUTS, "two of its inputs share"),
        ((replace(X, last=3), Y, replace(Z, offset=3)), OVER_KEPT, "byte 3 of 'x' holds a byte of 'z'"),
        ((replace(X, first=1), Y, Z), RIGHT, "what nobody has written"),
        ((X, Y, Z), RIGHT.replace("l1 l5 s9", "l1 l9 s9"), "none of its inputs lies"),
        ((X, Y, Z), RIGHT.replace("s9", "s3"), "outside its part of its output 'z'"),
        ((X, Y, Z), RIGHT.replace("s9", "s8"), "twice"),
        ((X, Y, Z), RIGHT + " l4", "after its last layer"),
        ((X, Y, Z), RIGHT.removesuffix("s11"), "not what the code stores"),
    ],
)
def test_wrong_run_is_refused(buffers: tuple[PlacedBuffer, ...], text: str, message: str) -> None:
    with pytest.raises(InternalError, match=message):
        check_trace(trace(text), [A, B], buffers, 12)


# a keeps two bytes of its own, behind all else
W = PlacedBuffer("w", 2, 12, 1, 1)
KEEPS = replace(A, workspaces=("w",))
IN_TURN = RIGHT.replace("l2 s5", "s12 s13 l2 l12 s5 l13 s13 l13")


def test_a_workspace_is_what_its_run_stores_there() -> None:
    assert check_trace(trace(IN_TURN), [KEEPS, B], [X, Y, Z, W], 14).stores == 11


@pytest.mark.parametrize(
    ("workspace", "text", "message"),
    [
        (W, IN_TURN.replace("s12 s13", "s13"), "loads byte 0 of 'w' before it stores it"),
        (W, RIGHT.replace("l1 l5 s9", "l1 l12 s9"), "none of its inputs lies"),
        (replace(W, offset=2), RIGHT, "'w' lies over its input or its output"),
        (replace(W, offset=5), RIGHT, "its 4 bytes of output are not what the code stores"),
    ],
)
def test_a_wrong_workspace_is_refused(workspace: PlacedBuffer, text: str, message: str) -> None:
    with pytest.raises(InternalError, match=message):
        check_trace(trace(text), [KEEPS, B], [X, Y, Z, workspace], 14)


def test_an_access_past_a_workspace_is_refused() -> None:
    words = Trace(np.array([0, 13, 4, 0, 4, 8]), np.full(6, 4), np.array([False, True, True, False, False, True]))
    with pytest.raises(InternalError, match="past the end of 'w'"):
        check_trace(words, [KEEPS, B], [X, Y, Z, W], 18)


def test_what_lay_under_a_workspace_is_lost() -> None:
    # b keeps its bytes where a third layer's input waits
    keeps = replace(B, inputs=("y",), workspaces=("w",))
    last = LayerAccess("c", "map_2", "forwards", ("x",), "v", 4)
    buffers = [replace(X, last=3), Y, replace(Z, last=4), replace(W, offset=2, first=2, last=2)]
    text = "l3 s4 l2 s5 l1 s6 l0 s7  s2 l4 s8 l5 s9 l2 l6 s10 l7 s11  l0 s12 l1 s13 l2 s14 l3 s15"
    with pytest.raises(InternalError, match=r"byte 2 of 'x'.* which holds what nobody has written"):
        check_trace(trace(text), [A, keeps, last], [*buffers, PlacedBuffer("v", 4, 12, 3, 4)], 16)


def test_run_is_witnessed(folder: Path) -> None:
    loads = run_artifact(folder, witness=True).witnessed_loads
    assert loads is not None and loads > 5_000


def test_tiny_layers_in_place_are_clean(tmp_path: Path) -> None:
    """The compiler would drop stores that the next layer overwrites, but for the fences between layers."""
    net = TosaNet(np.random.default_rng(1))
    x = net.input((1, 1, 1, 1), "int8")
    for _ in range(4):
        x = net.rescale(net.conv(x, net.random((1, 1, 1, 1), "int8"), Window((1, 1))))
    (tmp_path / "tiny.mlir").write_text(net.text([x]).replace("@test", "@main"), encoding="utf-8")
    artifact = compile_model(tmp_path / "tiny.mlir", target="cortex-m4", out=tmp_path / "out")
    assert artifact.report.arena_bytes < 4
    result = run_artifact(tmp_path / "out", inputs=[net.inputs[0].array], witness=True)
    assert result.witnessed_loads == 4
    assert np.array_equal(result.outputs[0], x.array)


def test_the_report_is_held_to(folder: Path) -> None:
    path = folder / "report.json"
    report = json.loads(path.read_text(encoding="utf-8"))
    report["layers"][-1]["inputs"] = ["input_0"]
    path.write_text(json.dumps(report), encoding="utf-8")
    with pytest.raises(InputError, match="none of its inputs lies"):
        run_artifact(folder, witness=True)
    del report["layers"], report["loops"]
    path.write_text(json.dumps(report), encoding="utf-8")
    with pytest.raises(InputError, match="does not say what the layers read"):
        run_artifact(folder, witness=True)


def test_too_large_a_run_is_refused(folder: Path) -> None:
    view = load_artifact(folder)
    session = UnicornBackend().open(view)
    machine = Machine(core_of(view.target), link_object(view), session.layout, explain=False, count=False)
    recorder = Recorder(machine, session.layout.arena, capacity=100)
    machine.reset()
    with pytest.raises(InternalError, match="stopped before"):
        machine.call(link_object(view).entry, [session.layout.arena.start])
    assert recorder.full


def test_only_unicorn_witnesses(folder: Path) -> None:
    with pytest.raises(UsageError, match="only Unicorn"):
        run_artifact(folder, backend="host", witness=True)


# -- one byte too far is seen --------------------------------------------------------------------------------------


def _int8_add(net: TosaNet, x: list[Value]) -> Value:
    return net.add(x[0], x[1])


def _joined(net: TosaNet, x: list[Value], axis: int = 3) -> Value:
    """Convolutions written straight into their places in a concat."""
    window = Window((3, 3), SAME)
    parts = [net.rescale(net.conv(value, net.random((3, 3, 3, 2), "int8"), window)) for value in x]
    return net.concat(parts, axis)


SAME = ((1, 1), (1, 1))
FEW = [
    conv((5, 5), (2, 3), Window((3, 3), SAME)),
    conv((7, 7), (3, 4), Window((3, 3), ((0, 0), (0, 0)), (2, 2))),
    depthwise((5, 5), 3, 1, Window((3, 3), SAME)),
    pool((6, 6), 2, Window((2, 2), stride=(2, 2)), "max"),
]
MORE = [
    conv((5, 5), (3, 2), Window((1, 1))),
    conv((5, 5), (2, 2), Window((3, 3), SAME, (2, 2))),
    conv((7, 5), (1, 4), Window((3, 3), ((2, 0), (0, 2)), (2, 2))),
    conv((7, 7), (2, 2), Window((3, 3), ((2, 2), (2, 2)), dilation=(2, 2))),
    depthwise((7, 7), 2, 1, Window((3, 3), SAME, (2, 2))),
    depthwise((5, 5), 1, 3, Window((3, 3), SAME)),
    depthwise((5, 5), 2, 3, Window((3, 3), SAME)),
    pool((5, 5), 2, Window((3, 3)), "avg"),
    pool((5, 5), 2, Window((3, 3), SAME), "avg"),
    pool((5, 5), 2, Window((3, 3), SAME, (2, 2)), "avg"),
    dense(5, 3, 3),
    dense(4, 2, 5),
    dense(1, 6, 9),
    Single("add", ((1, 3, 4, 2), (1, 3, 4, 2)), _int8_add),
    Single("add with broadcast", ((1, 3, 4, 2), (1, 3, 1, 1)), _int8_add),
    Single("concat", ((1, 4, 3, 2), (1, 4, 3, 2)), lambda n, x: n.concat([x[0], x[1]], 3)),
    Single("concat of rows", ((1, 2, 3, 2), (1, 3, 3, 2)), lambda n, x: n.concat([x[0], x[1]], 1)),
    Single("concat of layers", ((1, 4, 3, 2), (1, 4, 3, 2)), _joined),
    Single("concat of layers on rows", ((1, 2, 3, 2), (1, 3, 3, 2)), lambda n, x: _joined(n, x, 1)),
    moved("clamp", (1, 3, 4, 2), lambda n, x: n.clamp(x, -20, 30)),
    moved("transpose", (1, 3, 4, 2), lambda n, x: n.transpose(x, [0, 2, 1, 3])),
    moved("slice", (1, 4, 5, 3), lambda n, x: n.slice(x, [0, 0, 0, 1], [1, 4, 5, 2])),
    # a gather may read anything at any step: this one reads an end of its input at either end of its output
    moved("gather", (1, 6, 1), lambda n, x: n.gather(x, n.const(np.array([[5, 2, 3, 0]], np.int32)))),
]


def _mutate(make: Callable[[], jit.Module], folder: Path, limit: int = 1000) -> int:
    """Check that each layer's closest overlap is clean, and one byte more is seen; the number of overlaps.

    One byte more is wrong with kernels that go by elements, so `make` picks those.
    """
    found = mutants.overlaps(make())[:limit]
    for number, overlap in enumerate(found):
        mutants.witness(make(), overlap, overlap.allowed, folder / f"{number}")
        with pytest.raises(InternalError, match="which holds a byte of"):
            seen = mutants.witness(make(), overlap, overlap.beyond, folder / f"{number}beyond")
            pytest.fail(f"{overlap}: {seen}")
    return len(found)


def test_one_byte_too_far_is_seen_in_a_softmax(tmp_path: Path) -> None:
    """Its code needs less than its profile says: a row is summed before it is written, so in place is close enough."""
    net = Net()
    x = net.tensor("x", (1, 3, 6), np.int8, 0.1, 3)
    y = net.operator("SOFTMAX", (x,), net.tensor("y", (1, 3, 6), np.int8, 1 / 256, -128), {"beta": 1.0})
    path = net.save(tmp_path, [x], [y])
    forwards, backwards = mutants.overlaps(_outlined(path))
    assert (forwards.allowed, backwards.allowed) == (-5, 5)
    for overlap, beyond in ((forwards, 1), (backwards, -1)):
        for shift in (overlap.allowed, 0):
            mutants.witness(_outlined(path), overlap, shift, tmp_path / f"{overlap.direction}at{shift}")
        with pytest.raises(InternalError, match="which holds a byte of"):
            mutants.witness(_outlined(path), overlap, beyond, tmp_path / f"{overlap.direction}beyond")


def _outlined(model: Path) -> jit.Module:
    module = normalised(model, (), Stages()).module
    run_passes(module, "lowtide-outline")
    return module


def _check_single(layer: Single, folder: Path) -> None:
    net, output = layer.net("int8")
    assert _mutate(lambda: mutants.general(jit.lowered(net.text([output]), BUFFERS)), folder)


REGISTER_TILED = [
    FEW[0],
    FEW[2],
    conv((6, 6), (4, 9), Window((1, 1))),
    conv((5, 5), (8, 4), Window((3, 3), SAME)),
    depthwise((5, 6), 1, 6, Window((3, 3), SAME)),
]


@pytest.mark.parametrize("layer", REGISTER_TILED, ids=lambda layer: layer.name)
def test_what_a_blocked_kernel_must_not_overwrite_is_seen(layer: Single, tmp_path: Path) -> None:
    """Clean at its profile's distance; nearer by two rows of output, and some pixels, it is not.

    The profile holds for code by elements too, and a block loads all before it stores, so one byte need not be wrong.
    """
    net, output = layer.net("int8")
    assert kernel_of(net.text([output])) == "register_tiled"
    _, _, columns, channels = output.array.shape
    more = (4 + 2 * columns) * channels
    found = mutants.overlaps(jit.lowered(net.text([output]), BUFFERS))
    assert len(found) == 2
    for number, overlap in enumerate(found):
        step = overlap.beyond - overlap.allowed
        mutants.witness(jit.lowered(net.text([output]), BUFFERS), overlap, overlap.allowed, tmp_path / f"{number}")
        with pytest.raises(InternalError, match="which holds a byte of"):
            module = jit.lowered(net.text([output]), BUFFERS)
            mutants.witness(module, overlap, overlap.allowed + step * more, tmp_path / f"{number}beyond")


@pytest.mark.parametrize("layer", FEW, ids=lambda layer: layer.name)
def test_one_byte_too_far_is_seen(layer: Single, tmp_path: Path) -> None:
    _check_single(layer, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("layer", MORE, ids=lambda layer: layer.name)
def test_one_byte_too_far_is_seen_in_any_layer(layer: Single, tmp_path: Path) -> None:
    _check_single(layer, tmp_path)


@pytest.mark.slow
def test_one_byte_too_far_is_seen_in_kws(tmp_path: Path) -> None:
    model = SHARED / "mlperf-tiny" / "kws_ref_model.tflite"
    if not model.is_file():
        pytest.skip("../shared/models is not there")
    # the first convolution, then a depthwise and a pointwise one, each in both directions
    assert _mutate(lambda: mutants.general(_outlined(model)), tmp_path, 6) == 6


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["mlperf-tiny/kws_ref_model", "mlperf-tiny/pretrainedResnet_quant", "tflm/micro_speech_quantized"],
)
def test_real_networks_are_clean(name: str, tmp_path: Path) -> None:
    model = SHARED / f"{name}.tflite"
    if not model.is_file():
        pytest.skip("../shared/models is not there")
    compile_model(model, target="cortex-m4", out=tmp_path / "out")
    assert run_artifact(tmp_path / "out", witness=True).witnessed_loads
