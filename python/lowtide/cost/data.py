"""The measurements that the coefficients are fitted to: one JSON file a core, in the package."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from lowtide.cost.fit import Coefficients, Sample, fit
from lowtide.cost.model import CostModel
from lowtide.cost.operation_counts import KINDS, ExecutedCounts, Work
from lowtide.errors import InternalError
from lowtide.targets import TARGETS, Target

SUFFIX = ".json"
_FOLDER = files("lowtide.cost") / "measurements"


@dataclass(frozen=True)
class Calibration:
    """What is known of a core.

    Attributes:
        target: its name.
        samples: the measurements.
        forms: the coefficients fitted to them.
    """

    target: str
    samples: tuple[Sample, ...]
    forms: Mapping[str, Coefficients]


def calibrated(target: str, samples: Sequence[Sample]) -> Calibration:
    """Fit to measurements."""
    return Calibration(target, tuple(samples), fit(samples))


def measured_targets() -> tuple[str, ...]:
    """The cores that there are measurements of."""
    names = (entry.name for entry in _FOLDER.iterdir())
    return tuple(sorted(name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX)))


@cache
def cost_model(target: Target) -> CostModel:
    """The model for a core, or for the one most like it: with the same microkernels, else of the same family."""
    name = nearest(target, measured_targets())
    return CostModel(name, calibration_of(name).forms)


def nearest(target: Target, measured: Sequence[str]) -> str:
    """The measured core that is most like a core.

    Raises:
        InternalError: there is none at all.
    """

    def unlikeness(name: str) -> tuple[bool, bool, bool]:
        other = TARGETS[name]
        return name != target.name, other.microkernels != target.microkernels, other.family != target.family

    if not measured:
        raise InternalError("cost", "no core has been measured")
    return min(measured, key=unlikeness)


@cache
def calibration_of(target: str) -> Calibration:
    """What was measured on a core of `measured_targets`."""
    return from_text((_FOLDER / f"{target}{SUFFIX}").read_text(encoding="utf-8"))


def to_text(calibration: Calibration) -> str:
    """As JSON, a line for each measurement."""
    samples = ",\n".join(f"    {json.dumps(_row(sample))}" for sample in calibration.samples)
    forms = ",\n".join(
        f'    "{form}": {{\n'
        + ",\n".join(f'      "{what}": {json.dumps(values)}' for what, values in found.items())
        + "\n    }"
        for form, found in calibration.forms.items()
    )
    target = json.dumps(calibration.target)
    return f'{{\n  "target": {target},\n  "forms": {{\n{forms}\n  }},\n  "samples": [\n{samples}\n  ]\n}}\n'


def from_text(text: str) -> Calibration:
    """What `to_text` wrote."""
    content = json.loads(text)
    return Calibration(content["target"], tuple(_sample(row) for row in content["samples"]), content["forms"])


def _row(sample: Sample) -> dict[str, object]:
    executed = sample.counts
    counts = zip(KINDS, executed.work.counts(), strict=True)
    return {
        "network": sample.network,
        "layer": executed.layer,
        "form": executed.work.form,
        "part": executed.part,
        "calls": executed.calls,
        "work": {kind: count for kind, count in counts if count},
        "instructions": sample.instructions,
        "loads": sample.loads,
        "stores": sample.stores,
        **({} if sample.cycles is None else {"cycles": sample.cycles}),
    }


def _sample(row: Mapping[str, Any]) -> Sample:
    executed = ExecutedCounts(row["layer"], Work(row["form"], **row["work"]), row["part"], row["calls"])
    return Sample(row["network"], executed, row["instructions"], row["loads"], row["stores"], row.get("cycles"))
