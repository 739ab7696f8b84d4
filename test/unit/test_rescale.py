"""Rescales with double rounding: exact for every 32-bit value, on each kind of core, in vectors and in scalars."""

from __future__ import annotations

import jit
import numpy as np
import pytest
from numpy.typing import NDArray
from rescaled import rescaled
from tosa_nets import TosaNet, Window

from lowtide.kernels.microkernels import MICROKERNELS

CHANNELS = 8
LEAST, GREATEST = -(1 << 31), (1 << 31) - 1
NEAR = 128 * 128 * CHANNELS
"""More than the products of a pixel come to."""


def _net(shifts: tuple[int, int], peak: int, zero: int, per_channel: bool) -> tuple[TosaNet, str, NDArray[np.int8]]:
    """A 1x1 convolution whose sums are about ±`peak`, then the rescale."""
    net = TosaNet(np.random.default_rng(peak % 1000 + shifts[0] + zero + 128))
    x = net.input([1, 2, 3, CHANNELS], "int8")
    wide = net.conv(x, net.random((CHANNELS, 1, 1, CHANNELS), "int8"), Window((1, 1)), -1)
    room = min(peak, GREATEST - NEAR - 2000)
    added = np.array([room, -room, room, -room, room // 2, -room // 2, 1, -1], np.int32).reshape(1, 1, 1, -1)
    wide = net.op("add", [wide, net.const(added)], wide.array + added)
    count = CHANNELS if per_channel else 1
    multipliers = net.rng.integers(1 << 30, GREATEST, count, endpoint=True).astype(np.int32)
    multipliers[0] = GREATEST
    own = net.rng.integers(*shifts, count, endpoint=True).astype(np.int8)
    own[0] = shifts[1]
    y = rescaled(net, wide, multipliers, own, zero)
    return net, net.text([y]), y.array


@pytest.mark.parametrize("microkernels", MICROKERNELS)
@pytest.mark.parametrize("zero", [-128, 3])
@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize(
    ("shifts", "peak"),
    [
        *(((32, 33), 50), ((36, 40), 1 << 16), ((50, 55), 1 << 29), ((50, 62), (1 << 30) + 5)),
        *(((56, 62), GREATEST), ((62, 62), GREATEST), ((62, 62), (1 << 30) + 100), ((31, 40), 1000), ((30, 31), 60)),
    ],
)
def test_every_value_is_exact(
    shifts: tuple[int, int], peak: int, per_channel: bool, zero: int, microkernels: str
) -> None:
    net, text, wanted = _net(shifts, peak, zero, per_channel)
    module = jit.lowered(text, microkernels=microkernels)
    (given,) = jit.run(module, [value.array for value in net.inputs], [wanted])
    assert np.array_equal(given, wanted)
    assert len(np.unique(wanted)) > 1


def test_vectors_round_where_scalars_would_overflow() -> None:
    """The sum of both roundings is no 32-bit value."""
    for microkernels in ("scalar", "mve"):
        net, text, wanted = _net((62, 62), GREATEST, 0, False)
        module = jit.lowered(text, microkernels=microkernels)
        assert ("vqrdmulh" in str(module)) == (microkernels == "mve")
        (given,) = jit.run(module, [value.array for value in net.inputs], [wanted])
        assert np.array_equal(given, wanted)
