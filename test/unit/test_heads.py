"""Attention whose heads are computed one by one: as exporters write it, and what must stay as it is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from oracles import needs_oracle
from tflite import BuiltinOperator
from tflite_run import run_model
from transformer_nets import Calibrated

from lowtide.emulate.oracle import ENGINES
from lowtide.importer.tflite.heads import heads_apart
from lowtide.importer.tflite.model import Model
from lowtide.importer.tflite.writer import write

TOKENS, FEATURES, HEADS = 10, 12, 3
WIDTH = FEATURES // HEADS
SOFTMAX = 1 / 256, -128


def _split(net: Calibrated, x: int, name: str, order: tuple[int, ...]) -> int:
    split = net.moved("RESHAPE", net.dense(x, FEATURES, name), (1, TOKENS, HEADS, WIDTH), f"{name}/split")
    return net.moved("TRANSPOSE", split, order, f"{name}/heads")


def _biased(net: Calibrated, x: int, name: str, order: tuple[int, ...]) -> int:
    """With a bias for each head and feature that is added behind the dense layer, as Keras's attention has it."""
    split = net.moved("RESHAPE", net.dense(x, FEATURES, name), (1, TOKENS, HEADS, WIDTH), f"{name}/split")
    bias = net.known(f"{name}/more", net.rng.normal(0, 1, (HEADS, WIDTH)))
    return net.moved("TRANSPOSE", net.pair("ADD", split, bias, f"{name}/biased"), order, f"{name}/heads")


def attention(
    rng: np.random.Generator,
    split: Callable[[Calibrated, int, str, tuple[int, ...]], int] = _split,
    *,
    turned: bool = False,
    shown: str = "",
) -> Model:
    """Attention over TOKENS; the keys `turned` before the product or by it; an inner tensor `shown` as an output."""
    net = Calibrated(rng)
    x = net.value("x", rng.normal(0, 1, (1, TOKENS, FEATURES)))
    query, value = (split(net, x, name, (0, 2, 1, 3)) for name in ("query", "value"))
    key = split(net, x, "key", (0, 2, 3, 1) if turned else (0, 2, 1, 3))
    keys = net.floats[key] if turned else net.floats[key].swapaxes(2, 3)
    scores = net.apply("BATCH_MATMUL", (query, key), "scores", net.floats[query] @ keys, adj_y=not turned)
    powers = np.exp(net.floats[scores])
    shares = net.value("shares", powers / powers.sum(-1, keepdims=True), SOFTMAX)
    net.operator("SOFTMAX", (scores,), shares, {"beta": 1.0})
    seen = net.apply("BATCH_MATMUL", (shares, value), "seen", net.floats[shares] @ net.floats[value])
    joined = net.moved("TRANSPOSE", seen, (0, 2, 1, 3), "tokens")
    last = net.dense(net.moved("RESHAPE", joined, (1, TOKENS, FEATURES), "joined"), FEATURES, "last")
    outputs = {"": [last], "shares": [last, shares], "seen": [last, seen]}[shown]
    return net.model([x], outputs)


def _products(model: Model) -> list[tuple[int, ...]]:
    """Shapes of what products make."""
    products = [op for op in model.operators if op.code == BuiltinOperator.BATCH_MATMUL]
    return [model.tensors[op.outputs[0]].shape for op in products]


@needs_oracle
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("split", [_split, _biased])
def test_heads_one_by_one_give_the_same(
    split: Callable[[Calibrated, int, str, tuple[int, ...]], int], turned: bool
) -> None:
    model = attention(np.random.default_rng(5), split, turned=turned)
    apart = heads_apart(model, "test")
    assert sorted(_products(apart)) == [(1, 1, TOKENS, WIDTH)] * HEADS + [(1, 1, TOKENS, TOKENS)] * HEADS
    slices = [op for op in apart.operators if op.code == BuiltinOperator.SLICE]
    assert not slices, "heads are made of filters, not cut out"
    data = write(model)
    expected = ENGINES["micro"].load(data)
    for x in np.random.default_rng(6).integers(-128, 128, (4, 1, TOKENS, FEATURES), np.int8):
        assert np.array_equal(run_model(data, [x])[0], expected([x])[0])


@needs_oracle
@pytest.mark.parametrize("shown", ["shares", "seen"])
def test_what_others_read_is_computed_whole(shown: str) -> None:
    model = attention(np.random.default_rng(7), shown=shown)
    apart = heads_apart(model, "test")
    if shown == "seen":
        assert apart == model
    else:
        # the shares of all heads at once, then cut
        assert sorted(_products(apart)) == [(1, 1, TOKENS, WIDTH)] * HEADS + [(1, HEADS, TOKENS, TOKENS)]
    data = write(model)
    expected = ENGINES["micro"].load(data)
    for x in np.random.default_rng(8).integers(-128, 128, (3, 1, TOKENS, FEATURES), np.int8):
        for found, wanted in zip(run_model(data, [x]), expected([x]), strict=True):
            assert np.array_equal(found, wanted)
