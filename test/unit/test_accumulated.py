"""Dense layers that take their input by rows, in loops: numpy's numbers, rings and runs of any length.

`LOWTIDE_TEST_SEED` starts another sequence of layers; a failure prints it.
"""

from __future__ import annotations

import os
import random

import fused_chains
import numpy as np
import pytest
from convolutions import extreme
from fused_chains import Chain, graph_of
from tosa_nets import TosaNet, Window

from lowtide.graph.fusion import Fusion
from lowtide.graph.stages import UnschedulableError
from lowtide.kernels.microkernels import MICROKERNELS
from lowtide.kernels.register_tiled.accumulated import AccumulatedEmitter
from lowtide.plan.memory import schedule_of

SEED = int(os.environ.get("LOWTIDE_TEST_SEED", "0"))


def _chain(choose: random.Random) -> Chain:
    """A convolution, and a dense layer of all that it gives, or a pool of it."""
    net = TosaNet(np.random.default_rng(choose.randrange(1 << 16)))
    height, width = choose.randint(2, 9), choose.randint(1, 7)
    x = net.input((1, height, width, choose.randint(1, 4)), "int8")
    extreme(net.rng, x.array)
    channels = choose.choice((1, 2, 3, 4, 7, 8))
    y = net.rescale(net.conv(x, net.random((channels, 1, 1, x.array.shape[3]), "int8"), Window((1, 1)), -3))
    flat = net.reshape(y, [1, 1, 1, y.array.size])
    weights = net.random((choose.randint(1, 9), 1, 1, y.array.size), "int8")
    return Chain(net, (net.rescale(net.conv(flat, weights, Window((1, 1)), choose.choice((0, -128, 5)))),))


def _checked(chain: Chain, choose: random.Random, microkernels: str) -> bool:
    graph = graph_of(chain, microkernels)
    columns = choose.choice((0, 0, 1, 2))
    direction = choose.choice(("forwards", "backwards"))
    fusion = Fusion(1, 2, 1 if columns else choose.randint(1, 4), columns=columns, direction=direction)
    try:
        schedule_of(graph, fusion)
    except UnschedulableError:
        return False
    fused_chains.check(chain, graph, (fusion,), f"LOWTIDE_TEST_SEED={SEED} {microkernels} {fusion}", microkernels)
    return True


def _sweep(microkernels: str, examples: int, monkeypatch: pytest.MonkeyPatch) -> int:
    emitted: list[AccumulatedEmitter] = []
    right = AccumulatedEmitter.emit

    def noted(self: AccumulatedEmitter) -> None:
        emitted.append(self)
        right(self)

    monkeypatch.setattr(AccumulatedEmitter, "emit", noted)
    choose = random.Random(SEED)
    made = sum(_checked(_chain(choose), choose, microkernels) for _ in range(examples))
    assert emitted
    return made


@pytest.mark.parametrize("microkernels", MICROKERNELS)
def test_random_dense_layers_by_rows(microkernels: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _sweep(microkernels, 6, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("microkernels", MICROKERNELS)
def test_many_random_dense_layers_by_rows(microkernels: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _sweep(microkernels, 100, monkeypatch) > 20
