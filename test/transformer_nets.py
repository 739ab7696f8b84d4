"""A transformer block of int8, as Keras's layers are exported: scales are those of a run in floats."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt
from tflite_nets import Net

from lowtide.importer.tflite.model import Model

Floats = npt.NDArray[np.float64]
_EPSILON = 1e-3
_SOFTMAX = 1 / 256, -128


class Calibrated(Net):
    """A network of int8 whose tensors have the scales that the floats of one run want.

    Args:
        rng: of the weights.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__()
        self.rng = rng
        self.floats: dict[int, Floats] = {}

    def value(self, name: str, floats: Floats, quantization: tuple[float, int] | None = None) -> int:
        """An activation that had these values."""
        if quantization is None:
            low, high = min(float(floats.min()), 0.0), max(float(floats.max()), 0.0)
            scale = float(np.float32((high - low) / 255))
            quantization = scale, int(np.clip(round(-128 - low / scale), -128, 127))
        index = self.tensor(name, floats.shape, np.int8, *quantization)
        self.floats[index] = floats
        return index

    def known(self, name: str, floats: Floats) -> int:
        """A constant of one scale."""
        index = self.value(name, floats)
        quantization = self.tensors.pop().quantization
        assert quantization is not None
        scale, zero = quantization.scales[0], quantization.zero_points[0]
        stored = np.clip(np.round(floats / scale) + zero, -128, 127)
        assert self.constant(name, stored, np.int8, scale, zero) == index
        return index

    def apply(self, code: str, inputs: Sequence[int], name: str, floats: Floats, **options: Any) -> int:
        """An operator of one output, which had these values."""
        return self.operator(code, inputs, self.value(name, floats), options)

    def dense(self, x: int, depth: int, name: str) -> int:
        """A dense layer with a scale for each output."""
        (scale, *_), features = self._scales(x), self.floats[x].shape[-1]
        weights = self.rng.normal(0, 1 / sqrt(features), (depth, features))
        bias = self.rng.normal(0, 0.1, depth)
        scales = [float(np.float32(most / 127)) for most in abs(weights).max(axis=1)]
        stored = self.constant(f"{name}/weights", np.round(weights / np.array(scales)[:, None]), np.int8, scales)
        shifted = np.round(bias / (scale * np.array(scales)))
        added = self.constant(f"{name}/bias", shifted, np.int32, [scale * one for one in scales])
        floats = self.floats[x] @ weights.T + bias
        return self.apply("FULLY_CONNECTED", (x, stored, added), name, floats, keep_num_dims=True)

    def moved(self, code: str, x: int, by: Sequence[int], name: str) -> int:
        """RESHAPE or TRANSPOSE: the scale stays."""
        floats = self.floats[x].reshape(by) if code == "RESHAPE" else self.floats[x].transpose(by)
        made = self.value(name, floats, self._scales(x))
        return self.operator(code, (x, self.constant(f"{name}/by", by)), made)

    def mean(self, x: int, name: str) -> int:
        """Over the features of each token."""
        axes = self.constant(f"{name}/axes", [-1])
        return self.apply("MEAN", (x, axes), name, self.floats[x].mean(-1, keepdims=True), keep_dims=True)

    def pair(self, code: str, x: int, y: int, name: str) -> int:
        """ADD, SUB, MUL or SQUARED_DIFFERENCE."""
        one, two = self.floats[x], self.floats[y]
        found = {"ADD": one + two, "SUB": one - two, "MUL": one * two, "SQUARED_DIFFERENCE": (one - two) ** 2}[code]
        return self.apply(code, (x, y), name, found)

    def norm(self, x: int, name: str) -> int:
        """Layer normalisation."""
        depth = int(self.floats[x].shape[-1])
        mean = self.mean(x, f"{name}/mean")
        variance = self.mean(self.pair("SQUARED_DIFFERENCE", x, mean, f"{name}/squares"), f"{name}/variance")
        above = self.pair("ADD", variance, self.known(f"{name}/epsilon", np.array(_EPSILON)), f"{name}/above")
        factor = self.apply("RSQRT", (above,), f"{name}/factor", 1 / np.sqrt(self.floats[above]))
        centred = self.pair("SUB", x, mean, f"{name}/centred")
        unit = self.pair("MUL", centred, factor, f"{name}/unit")
        gamma = self.known(f"{name}/gamma", self.rng.normal(1, 0.2, (depth,)))
        beta = self.known(f"{name}/beta", self.rng.normal(0, 0.2, (depth,)))
        return self.pair("ADD", self.pair("MUL", unit, gamma, f"{name}/scaled"), beta, name)

    def attention(self, x: int, heads: int) -> int:
        """Each token with each other, head by head."""
        _, tokens, features = self.floats[x].shape
        width = features // heads

        def head(name: str) -> int:
            split = self.moved("RESHAPE", self.dense(x, features, name), (1, tokens, heads, width), f"{name}/split")
            return self.moved("TRANSPOSE", split, (0, 2, 1, 3), f"{name}/heads")

        query, key, value = head("query"), head("key"), head("value")
        products = self.floats[query] @ self.floats[key].swapaxes(2, 3)
        scores = self.apply("BATCH_MATMUL", (query, key), "scores", products, adj_y=True)
        scaled = self.pair("MUL", scores, self.known("factor", np.array(1 / sqrt(width))), "scaled")
        powers = np.exp(self.floats[scaled])
        shares = self.value("shares", powers / powers.sum(-1, keepdims=True), _SOFTMAX)
        self.operator("SOFTMAX", (scaled,), shares, {"beta": 1.0})
        seen = self.apply("BATCH_MATMUL", (shares, value), "seen", self.floats[shares] @ self.floats[value])
        joined = self.moved("TRANSPOSE", seen, (0, 2, 1, 3), "seen/tokens")
        return self.dense(self.moved("RESHAPE", joined, (1, tokens, features), "seen/joined"), features, "attention")

    def _scales(self, x: int) -> tuple[float, int]:
        quantization = self.tensors[x].quantization
        assert quantization is not None
        return quantization.scales[0], quantization.zero_points[0]


def transformer(rng: np.random.Generator, tokens: int, features: int, heads: int, hidden: int) -> Model:
    """Attention and two dense layers, each added to what it takes and normalised: [1, tokens, features]."""
    net = Calibrated(rng)
    x = net.value("x", rng.normal(0, 1, (1, tokens, features)))
    normal = net.norm(net.pair("ADD", x, net.attention(x, heads), "sum"), "norm")
    wide = net.dense(normal, hidden, "wide")
    bent = net.apply("GELU", (wide,), "gelu", _gelu(net.floats[wide]))
    return net.model([x], [net.norm(net.pair("ADD", normal, net.dense(bent, features, "narrow"), "sum2"), "norm2")])


def _gelu(x: Floats) -> Floats:
    """Close enough for scales."""
    return x / (1 + np.exp(-1.702 * x))
