"""What lowtide does not take, and that the search has a budget: everything ends."""

from __future__ import annotations

from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any

import jit
import numpy as np
import pytest
from tosa_nets import TosaNet, Value, Window

import lowtide
from lowtide.bound.build import build_graph
from lowtide.cli.arguments import parse_size
from lowtide.errors import InputError, UsageError
from lowtide.graph.graph import Graph
from lowtide.limits import MOST_ARENA, check_arena
from lowtide.plan.fuse import fused_search
from lowtide.plan.modes import CHANNELS, PIXELS, ROWS
from lowtide.plan.plan import Plan
from lowtide.script.emit import script_for

MODES = (*ROWS, *CHANNELS, *PIXELS)
ABS = """
func.func @main(%x: tensor<SHAPExf32>) -> tensor<SHAPExf32> {
  %0 = tosa.abs %x : (tensor<SHAPExf32>) -> tensor<SHAPExf32>
  return %0 : tensor<SHAPExf32>
}
"""


@pytest.mark.parametrize("text", ["99999999999999999999999K", "5000000000", "4097M", "9" * 5000])
def test_sizes_that_no_core_addresses(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="more than the 4,294,967,296 bytes that a core addresses"):
        parse_size(text)
    assert parse_size("4096M") == 1 << 32


@pytest.mark.parametrize("options", [{"ram": 1 << 80}, {"ram": 0}, {"flash": -1}, {"flash": 1 << 33}, {"ram": "32K"}])
def test_bounds_in_python(options: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--(ram|flash) is .*\n.*whole number from 1 to 4,294,967,296"):
        lowtide.compile(tmp_path / "net.mlir", target="cortex-m4", **options)


def test_bounds_of_counts_and_seeds(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--seed is -1"):
        lowtide.run(tmp_path, seed=-1)
    with pytest.raises(UsageError, match="--count is 0"):
        lowtide.verify(tmp_path / "net.tflite", target="cortex-m4", count=0)
    with pytest.raises(UsageError, match="--jobs is 10001"):
        lowtide.explore(tmp_path / "net.mlir", target="cortex-m4", jobs=10_001)


def test_a_tensor_that_no_microcontroller_has_room_for(tmp_path: Path) -> None:
    path = tmp_path / "net.mlir"
    path.write_text(ABS.replace("SHAPE", "1x4096x4096"), encoding="utf-8")
    with pytest.raises(InputError, match="takes 67,108,864 bytes, the most that lowtide takes are 33,554,432"):
        lowtide.inspect(path)


def test_an_arena_that_no_microcontroller_has_room_for() -> None:
    check_arena(MOST_ARENA)
    with pytest.raises(InputError, match="an arena of 67,108,865 bytes"):
        check_arena(MOST_ARENA + 1)


@pytest.fixture(scope="module")
def graph() -> Graph:
    net = TosaNet(np.random.default_rng(6))
    x: Value = net.input((1, 10, 8, 2), "int8")
    for channels in (6, 5, 6, 3):
        weights = net.random((channels, 3, 3, x.array.shape[3]), "int8")
        x = net.rescale(net.conv(x, weights, Window((3, 3), ((1, 1), (1, 1)))))
    return build_graph(jit.lowered(net.text([x]), "lowtide-import-tosa,lowtide-normalise,lowtide-outline"))


def test_a_search_ends_with_its_budget(graph: Graph) -> None:
    fusions, ending = fused_search(graph, 4, modes=MODES)
    assert fusions and ending == "complete"
    some = [fused_search(graph, 4, modes=MODES, steps=steps) for steps in (0, 1, 20, 40)]
    assert some[0] == ((), "budget")
    assert [ended for _, ended in some] == ["budget"] * 4
    assert fused_search(graph, 4, modes=MODES, steps=40) == some[-1], "steps are counted, not seconds"


def test_a_plan_says_that_its_search_was_cut_short() -> None:
    assert "//" not in script_for(Plan("free"))
    assert script_for(Plan("free", search="budget")).startswith("// The search for this plan used up its budget")
    assert script_for(Plan("free", search="interrupted")).startswith("// The search for this plan was interrupted")
