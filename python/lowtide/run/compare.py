"""How far outputs are from the expected ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lowtide.errors import UsageError
from lowtide.run.backend import Array


@dataclass(frozen=True)
class Difference:
    """Of all elements of all outputs.

    Attributes:
        max_abs: the largest absolute difference; infinite where one side is not finite and the other differs.
        count: elements that differ at all.
        total: elements compared.
        range: largest minus smallest expected value, of the output where `relative` is largest.
        relative: the largest of `max_abs / range` over the outputs; 0 where none differs.
    """

    max_abs: float
    count: int
    total: int
    range: float
    relative: float

    def within(self, tolerance: float) -> bool:
        """No element differs by more than `tolerance` times its output's range; 0 demands equality."""
        return self.relative <= tolerance


def compare(outputs: Sequence[Array], expected: Sequence[Array]) -> Difference:
    """Compare output by output; `UsageError` where number, shapes or dtypes differ."""
    if len(outputs) != len(expected):
        raise UsageError("verify", f"{len(outputs)} outputs, {len(expected)} expected ones")
    parts = [_compare(index, one, two) for index, (one, two) in enumerate(zip(outputs, expected, strict=True))]
    return merge(parts)


def merge(parts: Sequence[Difference]) -> Difference:
    """The difference over several outputs or several runs."""
    if not parts:
        return Difference(0.0, 0, 0, 0.0, 0.0)
    worst = max(parts, key=lambda part: part.relative)
    return Difference(
        max_abs=max(part.max_abs for part in parts),
        count=sum(part.count for part in parts),
        total=sum(part.total for part in parts),
        range=worst.range,
        relative=worst.relative,
    )


def _compare(index: int, output: Array, expected: Array) -> Difference:
    if output.shape != expected.shape or output.dtype != expected.dtype:
        one, two = (f"{array.dtype.name}{list(array.shape)}" for array in (output, expected))
        raise UsageError("verify", f"output {index} is {one}, {two} is expected")
    found, wanted = output.astype(np.float64).ravel(), expected.astype(np.float64).ravel()
    same = (output.ravel() == expected.ravel()) | (np.isnan(found) & np.isnan(wanted))
    with np.errstate(invalid="ignore"):
        distance = np.where(same, 0.0, np.abs(found - wanted))
    distance = np.where(np.isfinite(distance), distance, np.inf)
    finite = wanted[np.isfinite(wanted)]
    spread = float(np.ptp(finite)) if finite.size else 0.0
    largest = float(distance.max(initial=0.0))
    relative = 0.0 if largest == 0 else largest / spread if spread else float("inf")
    return Difference(largest, int(np.count_nonzero(~same)), output.size, spread, relative)
