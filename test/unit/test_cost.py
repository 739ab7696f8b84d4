"""The cost model: what is counted on loops, the fit, the stored measurements, and what a plan runs of each layer."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from tosa_nets import Pair, TosaNet, Value, Window

from lowtide.cost.data import calibration_of, cost_model, from_text, measured_targets, nearest, to_text
from lowtide.cost.fit import PREDICTED, Sample, fit
from lowtide.cost.operation_counts import BY_PIXELS, FEATURES, KINDS, ExecutedCounts, Work
from lowtide.errors import InternalError, UsageError
from lowtide.graph.fusion import Fusion
from lowtide.graph.graph import Graph
from lowtide.ir import func, make_context, parse_module
from lowtide.kernels.microkernels import note_microkernels
from lowtide.kernels.tally import Tally
from lowtide.lower import graph_of, normalised
from lowtide.plan.executed import executed_counts
from lowtide.plan.loop_cost import by_macs, by_time, part_of_time
from lowtide.plan.planners import plan_fit, plan_free, plan_front
from lowtide.stages import Stages
from lowtide.targets import TARGETS

# -- loops -----------------------------------------------------------------------------------------------------


def tally(body: str, arguments: str = "%m: memref<64xi32>") -> dict[str, int]:
    """The counts of a function with some constants."""
    constants = "\n".join(f"%c{n} = arith.constant {n} : index" for n in range(10))
    text = f"func.func @f({arguments}) {{\n{constants}\n{body}\nreturn\n}}"
    module = parse_module(text, make_context())
    (function,) = (view for view in module.body.operations if isinstance(view, func.FuncOp))
    return dict(Tally(function.regions[0].blocks[0]).counts)


def test_loops_multiply() -> None:
    counts = tally("""
      scf.for %i = %c0 to %c4 step %c1 {
        %a = memref.load %m[%i] : memref<64xi32>
        scf.for %j = %c1 to %c8 step %c3 {
          %b = arith.muli %a, %a : i32
          memref.store %b, %m[%j] : memref<64xi32>
        }
      }""")
    assert counts == {"loops": 1 + 4, "turns": 4 + 4 * 3, "loads": 4, "products": 12, "stores": 12}


def test_bounds_that_depend_on_loops_around() -> None:
    counts = tally("""
      scf.for %i = %c0 to %c5 step %c1 {
        %odd = arith.remui %i, %c2 : index
        scf.for %j = %i to %c5 step %c1 {
          %yes = arith.cmpi ult, %j, %c3 : index
          scf.if %yes {
            scf.for %k = %c0 to %odd step %c1 {
              %a = memref.load %m[%k] : memref<64xi32>
              memref.store %a, %m[%k] : memref<64xi32>
            }
          } else {
            %a = memref.load %m[%j] : memref<64xi32>
            memref.store %a, %m[%i] : memref<64xi32>
          }
        }
      }""")
    pairs = [(i, j) for i in range(5) for j in range(i, 5)]
    low = [(i, j) for i, j in pairs if j < 3]
    loads = sum(i % 2 for i, _ in low) + len(pairs) - len(low)
    assert counts["loads"] == counts["stores"] == loads
    assert counts["branches"] == counts["choices"] == len(pairs)
    assert counts["loops"] == 1 + 5 + len(low)
    assert counts["divisions"] == 5


def test_control_by_data_is_not_guessed() -> None:
    with pytest.raises(InternalError, match="control depends on"):
        tally("""
          %a = memref.load %m[%c0] : memref<64xi32>
          %n = arith.index_cast %a : i32 to index
          scf.for %i = %c0 to %n step %c1 {
            memref.store %a, %m[%i] : memref<64xi32>
          }""")


# -- layers ----------------------------------------------------------------------------------------------------


def graph_of_net(folder: Path, net: TosaNet, output: Value, microkernels: str) -> Graph:
    """The graph of a network, with what its kernels do."""
    path = folder / "net.mlir"
    path.write_text(net.text([output]), encoding="utf-8")
    module = normalised(path, (), Stages()).module
    note_microkernels(module, microkernels)
    return graph_of(module, (), layer_counts="all")


def conv_graph(folder: Path, hw: Pair, channels: Pair, window: Window, microkernels: str) -> Graph:
    net = TosaNet(np.random.default_rng(1))
    x = net.input((1, *hw, channels[0]), "int8")
    y = net.conv(x, net.random((channels[1], *window.kernel, channels[0]), "int8"), window)
    return graph_of_net(folder, net, net.rescale(y), microkernels)


def test_what_goes_by_the_rows_of_its_input_is_counted_on_its_own_loops(tmp_path: Path) -> None:
    net = TosaNet(np.random.default_rng(1))
    x = net.reshape(net.input((1, 4, 5, 8), "int8"), [1, 1, 1, 160])
    y = net.conv(x, net.random((6, 1, 1, 160), "int8"), Window((1, 1)))
    (layer,) = graph_of_net(tmp_path, net, net.rescale(y), "risc").layers
    assert layer.layer_counts is not None and layer.layer_counts.summed is not None
    summed = layer.layer_counts.summed
    assert (summed.products, summed.stores) == (960, 6)
    # a block of all channels: the input, the weights, and the sums
    assert summed.loads == 160 + 960 + 6


def test_a_sum_of_bytes_is_two_products(tmp_path: Path) -> None:
    net = TosaNet(np.random.default_rng(1))
    shape = (1, 3, 4, 8)
    y = net.add(net.input(shape, "int8"), net.input(shape, "int8"))
    (layer,) = graph_of_net(tmp_path, net, y, "risc").layers
    assert layer.layer_counts is not None and layer.layer_counts.whole.form == "map"
    assert (layer.layer_counts.whole.loads, layer.layer_counts.whole.products, layer.layer_counts.whole.stores) == (
        192,
        192,
        96,
    )
    assert layer.layer_counts.whole.wide_products == 0 < layer.layer_counts.general.wide_products


def layer_counts(graph: Graph) -> tuple[Work, Work]:
    (layer,) = graph.layers
    assert layer.layer_counts is not None
    return layer.layer_counts.whole, layer.layer_counts.general


def test_a_pointwise_convolution_in_pairs(tmp_path: Path) -> None:
    """4 × 4 pixels of 8 channels → 4: each dual product is two of the MACs, each output is stored once."""
    own, general = layer_counts(conv_graph(tmp_path, (4, 4), (8, 4), Window((1, 1)), "dsp"))
    macs = 16 * 8 * 4
    assert own.form == "runs" and own.duals == macs // 2 and own.products == own.halves == 0
    # and blocks of three pixels and two channels, one in each row, save the frame's pointer
    assert general.stores == 16 * 4 and own.stores == general.stores + 4 * (4 // 2)
    assert (general.form, general.products, general.duals) == ("general", macs, 0)
    # a block of two pixels and two channels loads four words a word of the run, and two biases
    assert own.loads == (16 // 2) * (4 // 2) * (8 // 4) * 4 + (16 // 2) * (4 // 2) * 2


@pytest.mark.parametrize("microkernels", ["scalar", "risc"])
def test_windows_at_edges_have_fewer_products(microkernels: str, tmp_path: Path) -> None:
    """A 3 × 3 window on a 5 × 6 image, padded: only taps inside the image are multiplied, three pixels' in two."""
    window = Window((3, 3), ((1, 1), (1, 1)))
    own, general = layer_counts(conv_graph(tmp_path, (5, 6), (4, 3), window, microkernels))
    inside = [sum(0 <= at + k - 1 < extent for at in range(extent) for k in range(3)) for extent in (5, 6)]
    assert own.form == "windows"
    assert general.products == inside[0] * inside[1] * 4 * 3
    # RISC-V packs a block of three pixels in each row: a product less for each tap
    assert own.products == general.products - (inside[0] * 3 * 4 * 3 if microkernels == "risc" else 0)
    assert own.loads < general.loads and own.turns < general.turns


def chain(folder: Path, microkernels: str = "dsp") -> Graph:
    """Three convolutions, of which the second has the most channels."""
    net = TosaNet(np.random.default_rng(3))
    x = net.input((1, 12, 12, 4), "int8")
    for outputs, window in ((24, Window((1, 1))), (8, Window((3, 3), ((1, 1), (1, 1)))), (4, Window((1, 1)))):
        shape = (outputs, *window.kernel, x.array.shape[3])
        x = net.rescale(net.conv(x, net.random(shape, "int8"), window))
    return graph_of_net(folder, net, x, microkernels)


def test_shares_of_plans(tmp_path: Path) -> None:
    graph = chain(tmp_path)
    whole = executed_counts(graph)
    assert [(counts.part, counts.calls) for counts in whole] == [(1.0, 1)] * 3
    rows = executed_counts(graph, (Fusion(1, 2),))
    assert [counts.part for counts in rows] == [1.0] * 3
    assert rows[0].calls == rows[1].calls > 12 > rows[2].calls == 1
    pixels = executed_counts(graph, (Fusion(1, 2, columns=1),))
    assert pixels[0].calls > 144 and pixels[0].work.form == "runs" + BY_PIXELS
    anew = executed_counts(graph, (Fusion(1, 2, columns=1, recompute=(1,)),))
    assert anew[0].part > 1.0 == anew[1].part
    model = cost_model(TARGETS["cortex-m4"])
    costs = [model.total(executed).instructions for executed in (whole, rows, pixels, anew)]
    assert costs == sorted(costs)


def test_what_is_not_counted_has_no_price(tmp_path: Path) -> None:
    path = tmp_path / "net.mlir"
    net = TosaNet(np.random.default_rng(1))
    path.write_text(net.text([net.clamp(net.input((1, 4), "int8"), -9, 9)]), encoding="utf-8")
    graph = graph_of(normalised(path, (), Stages()).module, ())
    with pytest.raises(InternalError, match="has not been counted"):
        executed_counts(graph)


def test_the_search_goes_by_predicted_cycles(tmp_path: Path) -> None:
    """The front's costs are the model's, and `fit` takes the cheapest of them that fits."""
    graph = chain(tmp_path)
    model = cost_model(TARGETS["cortex-m4"])
    front = plan_front(lambda _: graph, 4, loop_cost=by_time(model))
    assert len(front) > 1 and front[0].cost == 0
    least = model.total(executed_counts(graph)).cycles
    for point in front[1:]:
        more = model.total(executed_counts(graph, point.found.plan.fusions)).cycles - least
        assert point.cost == pytest.approx(more, rel=0.02)
        found = plan_fit(lambda _: graph, 4, arena_limit=point.arena_bytes, loop_cost=by_time(model))
        assert found.plan.fusions == point.found.plan.fusions
    # `free` takes the least bytes that an allowance pays for
    for allowed in (0, *(point.cost for point in front), 10 * front[-1].cost):
        found = plan_free(lambda _: graph, 4, loop_cost=by_time(model), allowance=lambda _, most=allowed: most)
        paid = model.total(executed_counts(graph, found.plan.fusions)).cycles - least
        assert paid <= allowed + 1 and (found.plan.fusions == ()) == (allowed == 0)
        # its loops go by whole rows, so only the front's that do so can be better
        rows = [
            p for p in front if p.cost <= allowed and not any(f.columns or f.recompute for f in p.found.plan.fusions)
        ]
        assert found.plan.arena_bytes is not None
        assert all(found.plan.arena_bytes <= point.arena_bytes for point in rows)
    assert part_of_time(model, least=0)(graph) == pytest.approx(0.05 * least)
    assert part_of_time(model, least=round(least))(graph) == round(least)
    # cores without a timing model go by instructions
    other = cost_model(TARGETS["cortex-m55"])
    assert part_of_time(other, least=0)(graph) == pytest.approx(0.05 * other.total(executed_counts(graph)).instructions)
    assert by_macs(graph, Fusion(1, 3)) == graph.macs + 3
    assert by_macs(graph, Fusion(1, 3, columns=1)) == 2 * (graph.macs + 3)


# -- the fit ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", measured_targets())
def test_the_stored_coefficients_follow_from_the_stored_measurements(target: str) -> None:
    known = calibration_of(target)
    again = fit(known.samples)
    assert again.keys() == known.forms.keys()
    for form, found in again.items():
        for what in PREDICTED:
            for feature in FEATURES:
                stored = known.forms[form].get(what, {}).get(feature, 0.0)
                assert found.get(what, {}).get(feature, 0.0) == pytest.approx(stored, abs=2e-3), (form, what, feature)
    assert from_text(to_text(known)) == known


def test_fitting_without_scipy_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(UsageError, match="needs the package scipy") as refused:
        fit([Sample("net", ExecutedCounts("layer", Work("runs", loads=7)), 10, 7, 0)])
    assert refused.value.remedy == "pip install 'lowtide[dev]'"


def test_predicting_needs_no_scipy() -> None:
    code = """
import sys
sys.modules["scipy"] = None
from lowtide.cost.data import cost_model
from lowtide.targets import TARGETS
cost_model(TARGETS["cortex-m4"])
import lowtide.artifact, lowtide.lower
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_the_model_adds_up() -> None:
    model = cost_model(TARGETS["cortex-m4"])
    work = Work("runs", **dict.fromkeys(KINDS, 1000))
    once, twice = model.of(ExecutedCounts("", work)), model.of(ExecutedCounts("", work, 2.0, 2))
    assert twice.instructions == pytest.approx(2 * once.instructions)
    assert model.of(ExecutedCounts("", Work("unheard of", loads=7))) == model.of(
        ExecutedCounts("", Work("general", loads=7))
    )


def test_cores_borrow_from_the_nearest() -> None:
    near = partial(nearest, measured=("cortex-m4", "rv32imac"))
    names = {name: near(target) for name, target in TARGETS.items() if target.family != "host"}
    assert {name: found for name, found in names.items() if name.startswith("rv")} == {
        name: "rv32imac" for name in names if name.startswith("rv")
    }
    assert {names[name] for name in names if name.startswith("cortex")} == {"cortex-m4"}
    with pytest.raises(InternalError, match="no core"):
        nearest(TARGETS["cortex-m4"], ())
