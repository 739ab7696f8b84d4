"""Coefficients from measurements: for each form of kernel the least relative error over its layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lowtide.cost.operation_counts import FEATURES, ExecutedCounts
from lowtide.errors import UsageError

Coefficients = Mapping[str, Mapping[str, float]]
"""Coefficients by what is predicted (`PREDICTED`), then by feature; what is left out is 0."""

PREDICTED = ("instructions", "loads", "stores", "cycles")
"""What there are coefficients for; of cycles only where the core has a timing model."""
SMALL = 3000
"""Layers of fewer instructions count less, as they do in a network."""
TRUST = 0.02
"""How much the coefficient that one would expect weighs against the measurements, as a part of one of them."""
DIGITS = 4
"""Digits of a coefficient after the point."""


@dataclass(frozen=True)
class Sample:
    """One layer, measured.

    Attributes:
        network: what it is a layer of.
        counts: of what was run.
        instructions, loads, stores: of its function, in one inference.
        cycles: of these instructions by the timing model of the core, or None where it has none.
    """

    network: str
    counts: ExecutedCounts
    instructions: int
    loads: int
    stores: int
    cycles: int | None = None


def fit(samples: Sequence[Sample]) -> dict[str, Coefficients]:
    """The coefficients by form of the kernel.

    A kind of operation that hardly occurs in the measurements keeps about what one would expect: an instruction for
    anything but a rotation, a load for a load, a store for a store, a cycle for an instruction and two for a load.

    Raises:
        UsageError: scipy, which only fitting needs, is not installed.
    """
    forms = sorted({sample.counts.work.form for sample in samples})
    return {form: _fit_form([s for s in samples if s.counts.work.form == form]) for form in forms}


def _fit_form(samples: Sequence[Sample]) -> Coefficients:
    # Predicting, all that compile does, needs numpy alone: scipy has its place here, not at the top.
    try:
        from scipy.optimize import nnls
    except ImportError:
        message = "fitting the cost model needs the package scipy"
        raise UsageError("cost", message, remedy="pip install 'lowtide[dev]'") from None
    counts = np.array([sample.counts.features() for sample in samples], np.float64)
    importance = np.array([s.instructions / (s.instructions + SMALL) for s in samples])
    found: dict[str, Mapping[str, float]] = {}
    for what in PREDICTED:
        if any(getattr(sample, what) is None for sample in samples):
            continue
        measured = np.array([getattr(sample, what) for sample in samples], np.float64)
        weight = importance / np.maximum(measured, 1.0)
        prior = TRUST * np.sqrt(len(samples)) * np.eye(len(FEATURES))
        expected = np.array([_expected(what, feature) for feature in FEATURES])
        rows = np.concatenate([counts * weight[:, None], prior])
        solved, _ = nnls(rows, np.concatenate([measured * weight, prior @ expected]))
        rounded = {feature: round(float(value), DIGITS) for feature, value in zip(FEATURES, solved, strict=True)}
        found[what] = {feature: value for feature, value in rounded.items() if value}
    return found


def _expected(what: str, feature: str) -> float:
    if what in ("instructions", "cycles"):
        slow = what == "cycles" and feature == "loads"
        return 0.0 if feature == "rotations" else 2.0 if slow else 1.0
    return 1.0 if what == feature else 0.0
