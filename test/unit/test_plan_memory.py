"""What the graph says of memory against what the compiler does: the arena, the bounds, any order of layers."""

from __future__ import annotations

import random
from pathlib import Path

import jit
import numpy as np
import pytest
from tosa_nets import TosaNet, Value, Window

from lowtide.alloc import solve
from lowtide.artifact import compile_model
from lowtide.bound.build import build_graph
from lowtide.errors import InputError
from lowtide.graph.bound import step_bytes, untiled_bound
from lowtide.graph.graph import Graph
from lowtide.ir import IntegerAttr
from lowtide.lower import inspect_model, lower
from lowtide.opt.main import main as lowtide_opt
from lowtide.plan.memory import problem_of
from lowtide.plan.plan import Objective
from lowtide.stages import Stages
from lowtide.targets import TARGETS

SHARED = Path(__file__).parents[3] / "shared"
FRONT = "lowtide-import-tosa,lowtide-normalise,lowtide-outline"
BACK = "lowtide-allocate{alignment=8},lowtide-kernels"
CASES = 25


def random_net(seed: int) -> tuple[TosaNet, list[Value]]:
    """Branches of convolutions, tables and pools on int8 images of one height and width, joined by adds and concats."""
    generator = random.Random(seed)
    net = TosaNet(np.random.default_rng(seed))
    values = [net.input((1, 6, 5, generator.randrange(1, 4)), "int8")]
    for _ in range(generator.randrange(4, 9)):
        x = generator.choice(values)
        same = [v for v in values if v.array.shape == x.array.shape and v is not x]
        kind = generator.choice(("conv", "conv", "table", "add", "concat", "pool"))
        if kind == "add" and same:
            values.append(net.add(x, generator.choice(same)))
        elif kind == "concat" and len(values) > 1:
            parts = generator.sample(values, 2)
            values.append(net.concat(parts, 3))
        elif kind == "table":
            values.append(net.table(x))
        elif kind == "pool":
            values.append(net.max_pool(x, Window((3, 3), ((1, 1), (1, 1)))))
        else:
            weights = net.random((generator.randrange(1, 5), 3, 3, x.array.shape[3]), "int8")
            values.append(net.rescale(net.conv(x, weights, Window((3, 3), ((1, 1), (1, 1))))))
    return net, [values[-1], *([values[-2]] if generator.random() < 0.3 and len(values) > 2 else [])]


def any_order(graph: Graph, generator: random.Random) -> list[int]:
    """A random order in which each layer follows the writers of what it reads, and of its own output."""
    left = list(range(1, len(graph.layers) + 1))
    order: list[int] = []
    while left:
        layers = [(n, graph.layers[n - 1]) for n in left]
        ready = [
            n
            for n, layer in layers
            if not any(m < n and other.output in (*layer.inputs, layer.output) for m, other in layers)
        ]
        order.append(generator.choice(ready))
        left.remove(order[-1])
    return order


@pytest.mark.parametrize("seed", range(CASES))
def test_the_graph_predicts_the_arena_of_every_order(seed: int) -> None:
    net, outputs = random_net(seed)
    text = net.text(outputs)
    graph = build_graph(jit.lowered(text, FRONT))
    order = any_order(graph, random.Random(seed))
    for candidate in (list(range(1, len(graph.layers) + 1)), order):
        again = graph.reordered(candidate)
        numbers = ",".join(map(str, candidate))
        module = jit.lowered(text, f"{FRONT},lowtide-schedule{{order={numbers}}},{BACK}")
        arena = IntegerAttr(module.operation.attributes["lowtide.arena_bytes"]).value
        bound = IntegerAttr(module.operation.attributes["lowtide.allocation_bound_bytes"]).value
        predicted = solve(problem_of(again, 8))
        assert (predicted.arena_bytes, predicted.bound_bytes) == (arena, bound)
        assert untiled_bound(again).nbytes <= arena
        assert again.between_bytes <= untiled_bound(again).nbytes
        found = jit.run(module, [value.array for value in net.inputs], [value.array for value in outputs])
        for value, array in zip(outputs, found, strict=True):
            assert np.array_equal(value.array, array), f"seed {seed}, order {candidate}"


def test_reordering_by_the_models_order_changes_nothing() -> None:
    net, outputs = random_net(3)
    graph = build_graph(jit.lowered(net.text(outputs), FRONT))
    assert graph.reordered(range(1, len(graph.layers) + 1)) == graph


def test_a_layer_cannot_come_before_what_it_needs() -> None:
    net = TosaNet(np.random.default_rng(0))
    halve = Window((2, 1), stride=(2, 1))
    y = net.max_pool(net.max_pool(net.input((1, 4, 2, 1), "int8"), halve), halve)
    with pytest.raises(InputError, match="layer 2 comes before layer 1"):
        jit.lowered(net.text([y]), f"{FRONT},lowtide-schedule{{order=2,1}}")
    with pytest.raises(InputError, match="not one of the network's 2 layers"):
        jit.lowered(net.text([y]), f"{FRONT},lowtide-schedule{{order=1,2,3}}")
    with pytest.raises(InputError, match="not a list"):
        jit.lowered(net.text([y]), f"{FRONT},lowtide-schedule{{order=first}}")


def two_branches() -> tuple[TosaNet, Value]:
    """The small branch's output waits, in the model's order, for a big one that shrinks again."""
    net = TosaNet(np.random.default_rng(5))
    x = net.input((1, 8, 8, 2), "int8")

    def conv(source: Value, channels: int, window: Window) -> Value:
        weights = net.random((channels, *window.kernel, source.array.shape[3]), "int8")
        return net.rescale(net.conv(source, weights, window))

    halve = Window((2, 2), stride=(2, 2))
    small = conv(x, 16, halve)
    big = conv(x, 12, Window((3, 3), ((1, 1), (1, 1))))
    return net, net.add(small, conv(big, 16, halve))


def test_compile_takes_the_better_order(tmp_path: Path) -> None:
    net, y = two_branches()
    path = tmp_path / "net.mlir"
    path.write_text(net.text([y]))
    graph = inspect_model(path)
    before = solve(problem_of(graph, 4)).arena_bytes
    lowered = lower(path, TARGETS["host"], objective="untiled", stages=Stages(lambda _: None))
    assert '"lowtide.schedule"(%arg0) {order = [2, 3, 1, 4]}' in lowered.script
    assert lowered.network.arena_bytes < before
    assert lowered.baseline_bytes == graph.baseline_bytes > lowered.graph.baseline_bytes
    assert untiled_bound(lowered.graph).nbytes <= lowered.network.arena_bytes
    assert [layer.name for layer in lowered.graph.layers] == [graph.layers[i].name for i in (1, 2, 0, 3)]


@pytest.mark.parametrize("objective", ["free", "untiled"])
def test_a_plan_is_replayed_by_hand(objective: Objective, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net, y = two_branches()
    path = tmp_path / "net.mlir"
    path.write_text(net.text([y]))
    report = compile_model(path, target="cortex-m4", objective=objective, out=tmp_path / "out").report
    # the line in the README
    script = f"--transform-script={tmp_path / 'out' / 'net.plan.mlir'}"
    before, after = ["import-tosa", "normalise"], ["outline", "allocate", "kernels"]
    flags = [*(f"--lowtide-{name}" for name in before), script, *(f"--lowtide-{name}" for name in after)]
    assert lowtide_opt([str(path), "--target=cortex-m4", *flags]) == 0
    assert f"lowtide.arena_bytes = {report.arena_bytes} :" in capsys.readouterr().out
    again = compile_model(path, target="cortex-m4", plan=tmp_path / "out" / "net.plan.mlir", out=tmp_path / "again")
    assert (again.report.arena_bytes, again.report.macs) == (report.arena_bytes, report.macs)
    assert (tmp_path / "again" / "net.o").read_bytes() == (tmp_path / "out" / "net.o").read_bytes()


def test_a_compile_reports_the_bound_and_its_kind(tmp_path: Path) -> None:
    net, y = two_branches()
    path = tmp_path / "net.mlir"
    path.write_text(net.text([y]))
    report = compile_model(path, target="host", objective="untiled", out=tmp_path / "out").report
    assert report.untiled_bound_bytes <= report.allocation_bound_bytes <= report.arena_bytes
    assert report.untiled_bound_kind in ("between layers", "within a layer")


@pytest.mark.parametrize(
    ("name", "bound", "kind"),
    [("kws_ref_model", 8_448, "within a layer"), ("pretrainedResnet_quant", 33_326, "within a layer")],
)
def test_real_models(name: str, bound: int, kind: str) -> None:
    path = SHARED / "models" / "mlperf-tiny" / f"{name}.tflite"
    if not path.exists():
        pytest.skip(f"{path.name} is not in ../shared/models")
    graph = inspect_model(path)
    found = untiled_bound(graph)
    assert (found.nbytes, found.kind) == (bound, kind)
    assert max(step_bytes(graph, layer.step) for layer in graph.layers) == bound
