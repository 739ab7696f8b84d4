"""Concats on the emulated core: written in place, copied where that is smaller, every load witnessed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tosa_nets import TosaNet, Value, Window

from lowtide.alloc import solve
from lowtide.artifact import compile_model
from lowtide.graph.graph import Graph
from lowtide.lower import graph_of, lower, normalised
from lowtide.normalise.analysis import network_function
from lowtide.normalise.materialise import numbered_parts
from lowtide.plan.memory import problem_of
from lowtide.plan.schedule import schedule
from lowtide.stages import Stages
from lowtide.targets import TARGETS
from lowtide.verification import run_artifact

CORE = TARGETS["cortex-m4"]


def _same(kernel: int) -> Window:
    pads = (kernel // 2, kernel // 2)
    return Window((kernel, kernel), (pads, pads))


def _conv(net: TosaNet, x: Value, channels: int, kernel: int) -> Value:
    weights = net.random((channels, kernel, kernel, x.array.shape[3]), "int8")
    return net.rescale(net.conv(x, weights, _same(kernel)))


def inception(axis: int) -> tuple[TosaNet, Value]:
    """Two blocks of four branches; along another axis than channels the branches are equally wide."""
    net = TosaNet(np.random.default_rng(0))
    x = net.input((1, 8, 8, 6), "int8")
    for _ in range(2):
        widths = (4, 6, 2, 2) if axis == 3 else (3, 3, 3, 3)
        branches = [
            _conv(net, x, widths[0], 1),
            _conv(net, _conv(net, x, 3, 1), widths[1], 3),
            _conv(net, _conv(net, x, 1, 1), widths[2], 5),
            _conv(net, net.max_pool(x, _same(3)), widths[3], 1),
        ]
        x = net.concat(branches, axis)
    return net, x


def dense_block() -> tuple[TosaNet, Value]:
    """Each convolution reads all before it, as in DenseNet: parts that other layers read too."""
    net = TosaNet(np.random.default_rng(1))
    x = net.input((1, 6, 6, 4), "int8")
    for _ in range(3):
        x = net.concat([x, _conv(net, x, 3, 3)], 3)
    return net, _conv(net, x, 2, 1)


def rows_of_inputs() -> tuple[TosaNet, Value]:
    """Inputs on top of each other, copied onto themselves where the allocator puts them in place."""
    net = TosaNet(np.random.default_rng(2))
    x, y = net.input((1, 2, 4, 3), "int8"), net.input((1, 3, 4, 3), "int8")
    return net, _conv(net, net.concat([x, net.clamp(y, -90, 90)], 1), 2, 3)


def heads() -> tuple[TosaNet, Value]:
    """Boxes of two scales in one list, as in SSD: reshaped parts."""
    net = TosaNet(np.random.default_rng(3))
    x = net.input((1, 6, 6, 4), "int8")
    fine = net.reshape(_conv(net, x, 8, 3), (1, 72, 4))
    coarse = net.max_pool(x, Window((2, 2), stride=(2, 2)))
    return net, net.concat([fine, net.reshape(_conv(net, coarse, 12, 3), (1, 27, 4))], 1)


NETS = {
    "channels": lambda: inception(3),
    "rows": lambda: inception(1),
    "columns": lambda: inception(2),
    "dense block": dense_block,
    "rows of inputs": rows_of_inputs,
    "heads": heads,
}


@pytest.mark.parametrize("name", NETS)
def test_concat(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net, y = NETS[name]()
    path = tmp_path / "net.mlir"
    path.write_text(net.text([y]))
    compile_model(path, target=CORE.name, out=tmp_path / "out")
    result = run_artifact(tmp_path / "out", inputs=[value.array for value in net.inputs], witness=True)
    assert np.array_equal(result.outputs[0].reshape(y.array.shape), y.array)
    assert result.witnessed_loads
    lowered = lower(path, CORE, stages=Stages(lambda _: None))
    assert _arena(lowered.graph) == lowered.network.arena_bytes
    # in these a few parts are better copied, since the whole concat would wait for the others
    assert ('"lowtide.concat"' in lowered.script) == (name in ("channels", "dense block"))
    copying = _copying(path)
    assert len(lowered.graph.layers) <= len(copying.layers)
    assert lowered.network.arena_bytes <= _arena(copying.reordered(schedule(copying).order))
    with capsys.disabled():
        print(
            f"\n{name}: {_arena(copying.reordered(schedule(copying).order))} bytes and {len(copying.layers)} layers "
            f"with copies, {lowered.network.arena_bytes} and {len(lowered.graph.layers)} as planned",
            end="",
        )


def _arena(graph: Graph) -> int:
    return solve(problem_of(graph, CORE.buffer_alignment)).arena_bytes


def _copying(path: Path) -> Graph:
    """The network with every part of a concat copied."""
    module = normalised(path, (), Stages(lambda _: None)).module
    parts = len(numbered_parts(network_function(module, "test").regions[0].blocks[0]))
    return graph_of(module, range(1, parts + 1))
