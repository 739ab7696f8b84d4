"""Three sums in two words: exact up to the largest that fit, and in parts where they would not."""

from __future__ import annotations

import itertools
from dataclasses import replace

import jit
import numpy as np
import pytest
from jit import Array
from layers import layer_bodies
from tosa_nets import TosaNet, Window

from lowtide.kernels.register_tiled import sums
from lowtide.kernels.register_tiled.contraction import Contraction
from lowtide.kernels.register_tiled.packed import span_of
from lowtide.kernels.register_tiled.recognise import contraction_of
from lowtide.kernels.register_tiled.weights import as_groups, from_groups, in_groups

HEAVIEST = 8191
"""Of the sums of absolute weights for which |sum| < 2^20 with bytes of any value."""


def _weights(channels: int, heavy: int) -> Array:
    """Eight output channels whose absolute weights add up to `heavy`, with different signs."""
    row = np.zeros(channels, np.int64)
    row[: heavy // 128] = 128
    row[heavy // 128] = heavy % 128
    signs = np.array([[-1], [1], [-1], [-1], [1], [-1], [1], [-1]])
    signs = np.where(np.arange(channels) % 7 == 3, -1, signs)
    return np.clip(row * signs, -128, 127).astype(np.int8).reshape(8, 1, 1, channels)


def _pixels(channels: int) -> Array:
    """Blocks of three, each with any of three bytes throughout."""
    pixels = np.array([*itertools.product((-128, 127, -1), repeat=3)], np.int8).reshape(1, 27, 3, 1)
    return np.broadcast_to(pixels, (1, 27, 3, channels)).copy()


def _errors(weights: Array, x: Array) -> Array:
    """Of a convolution that ends in its 32-bit sums."""
    net = TosaNet(np.random.default_rng(0))
    given = net.input(x.shape, "int8")
    given.array[:] = x
    y = net.conv(given, weights, Window((1, 1)))
    return jit.run(jit.lowered(net.text([y]), microkernels="risc"), [x], [y.array])[0] - y.array


@pytest.mark.parametrize("channels", [8, 63, 64, 65, 130])
@pytest.mark.parametrize("heavy", [3, HEAVIEST - 128, HEAVIEST, HEAVIEST + 1, 1 << 20])
def test_sums_at_the_limit(channels: int, heavy: int) -> None:
    """Each of a block's three pixels at either end, or in between, whatever the others are."""
    heavy = min(heavy, 128 * channels - 1)
    assert not _errors(_weights(channels, heavy), _pixels(channels)).any()


@pytest.mark.parametrize(("heavy", "wrong"), [(HEAVIEST, False), (HEAVIEST + 1, True)])
def test_one_more_leaves_its_field(heavy: int, wrong: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is no lower than it must be."""

    def whole(*_: object) -> int:
        return 65

    monkeypatch.setattr(sums, "span_of", whole)
    assert _errors(_weights(65, heavy), _pixels(65)).any() == wrong


def _found(kernel: tuple[int, int], channels: int, group: int) -> Contraction:
    net = TosaNet(np.random.default_rng(0))
    x = net.input((1, kernel[0], kernel[1] + 2, channels), "int8")
    y = net.conv(x, net.random((group, *kernel, channels), "int8"), Window(kernel))
    module = jit.lowered(net.text([net.rescale(y)]), "lowtide-import-tosa,lowtide-normalise,lowtide-outline")
    (body,) = layer_bodies(module).values()
    found = contraction_of(body)
    assert found is not None
    return as_groups(found, group)


def test_a_span_has_room_for_the_heaviest_channel() -> None:
    """All of the window while that fits, else a row, else the largest parts that do; at worst a turn."""
    found = _found((2, 1), 64, 2)
    x, window = found.x, 128

    def span(weights: Array) -> int:
        return span_of(found, x, [weights.astype(np.int8).reshape(-1)], 64, 4)

    light = np.ones((64 * 2, 2))
    assert span(light) == window
    # HEAVIEST in a channel's window, spread over both rows: 63 of 128 and one of 127
    full = np.zeros((window, 2))
    full[:64, 1] = [-128] * 32 + [0] * 32
    full[64:, 1] = [-128] * 31 + [127] + [0] * 32
    assert span(full) == window
    # from a zero point at the end of its type a byte is up to 255 away: then half of that is too much
    for zero in (-128, 127):
        assert span_of(found, replace(x, zero=zero), [full.astype(np.int8).reshape(-1)], 64, 4) == 64
    full[100, 1] = 1
    assert span(full) == 64
    full[:, 0] = -128
    assert span(full) == 32
    assert span_of(found, x, [], 64, 4) == 4


def test_groups_and_back() -> None:
    found = _found((2, 3), 4, 3)
    weights = np.arange(3 * 24).astype(np.int8)
    grouped = in_groups(found, [(0, 3)], weights)
    assert grouped[:3].tolist() == [0, 24, 48]
    np.testing.assert_array_equal(from_groups(found, grouped), weights.reshape(3, 24))
