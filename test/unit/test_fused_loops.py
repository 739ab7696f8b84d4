"""Random chains of layers in random loops: bit-equal to the whole layers, in the arena that was predicted."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
from fused_chains import Chain, check, check_refused, graph_of, random_chain, random_fusions
from tosa_nets import TosaNet, Value, Window

from lowtide.alloc import solve
from lowtide.graph.fusion import Fusion
from lowtide.plan.memory import problem_of

CASES = 60
# seeds that found: a convolution whose kernel is as high as its input taken for a sum over rows, loops from the end
# whose kernels ran forwards within a row, line buffers as large as their tensors placed otherwise than predicted
INT8_FOUND = (1006, 1009, 1070, 1156, 1259, 1282)
FLOAT32_FOUND = (1015, 1022, 1031, 1074, 1075)
SWEEP = 2_000


def try_one(seed: int, kind: str) -> tuple[int, int]:
    """Loops that were made and loops that were refused."""
    choose = random.Random(f"{kind} {seed}")
    chain = random_chain(choose, seed, kind)
    graph = graph_of(chain)
    tried = random_fusions(choose, graph)
    label = f"{kind}, seed {seed}: {tried.fusions}"
    if tried.fusions:
        check(chain, graph, tried.fusions, label)
    for fusion, reason in tried.refused:
        check_refused(chain, fusion, reason, f"{kind}, seed {seed}: {fusion}")
    return len(tried.fusions), len(tried.refused)


@pytest.mark.parametrize("seed", (*range(CASES), *INT8_FOUND))
def test_int8(seed: int) -> None:
    try_one(seed, "int8")


@pytest.mark.parametrize("seed", (*range(CASES // 3), *FLOAT32_FOUND))
def test_float32(seed: int) -> None:
    try_one(seed, "float32")


MULTIPLIED = (
    Fusion(1, 4),
    Fusion(1, 4, direction="backwards"),
    Fusion(2, 4, 2),
    Fusion(1, 4, columns=1),
    Fusion(1, 4, columns=1, direction="backwards"),
    Fusion(1, 4, columns=2, recompute=(1, 2)),
)


@pytest.mark.parametrize("kind", ["int8", "float32"])
@pytest.mark.parametrize("multiplier", [2, 3])
def test_depthwise_convolutions_with_a_multiplier_go_by_rows(multiplier: int, kind: str) -> None:
    net = TosaNet(np.random.default_rng(multiplier))
    around = ((1, 1), (1, 1))
    x = net.input((1, 9, 7, 2), kind)
    layers: tuple[Callable[[Value], Value], ...] = (
        lambda v: net.conv(v, net.random((3, 3, 3, 2), kind), Window((3, 3), around)),
        lambda v: net.depthwise(v, net.random((3, 3, 3, multiplier), kind), Window((3, 3), around)),
        lambda v: net.depthwise(v, net.random((3, 3, 3 * multiplier, 2), kind), Window((3, 3), around, (2, 2))),
        lambda v: net.conv(v, net.random((2, 1, 1, 6 * multiplier), kind), Window((1, 1))),
    )
    for layer in layers:
        y = layer(x)
        x = net.rescale(y) if kind == "int8" else y
    chain = Chain(net, (x,))
    graph = graph_of(chain)
    whole = solve(problem_of(graph, 8)).arena_bytes
    for fusion in MULTIPLIED:
        assert solve(problem_of(graph, 8, fusions=(fusion,))).arena_bytes < whole
        check(chain, graph, (fusion,), f"{kind}, multiplier {multiplier}: {fusion}")


@pytest.mark.slow
def test_a_long_sweep() -> None:
    made = [try_one(seed, kind)[0] for seed in range(CASES, CASES + SWEEP) for kind in ("int8", "float32")]
    assert sum(made) > SWEEP
