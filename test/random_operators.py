"""Runs small `.tflite` models on this machine, as lowtide lowers them, and compares them with the oracle."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jit
import numpy as np
from operator_nets import Array, Case
from tflite_run import lowered

from lowtide.artifact import compile_model
from lowtide.emulate import load_artifact
from lowtide.emulate.backends.unicorn import UnicornBackend
from lowtide.emulate.oracle import Oracle
from lowtide.errors import InputError, OracleError

HOST = "host"
FLOAT_TOLERANCE = 1e-5
"""Largest difference of a float that is computed, as a fraction of the largest reference output."""
LEAST_RANGE = 0.02
"""Outputs that are smaller than this are compared as if one were as large."""


@dataclass(frozen=True)
class Outcome:
    """What became of one case.

    Attributes:
        kind: "equal", "different", "refused" by lowtide, or "no oracle" where no engine takes the model.
        detail: why it was refused, or what differs.
    """

    kind: str
    detail: str = ""


def check(case: Case, oracle: Oracle, target: str = HOST) -> Outcome:
    """Compare one case, in the JIT or on an emulated core.

    Raises:
        Exception: whatever else than a refusal lowtide raises, which is a bug.
    """
    try:
        answer = oracle.run(case.model, case.runs, first="litert" if case.defined else None)
    except OracleError as error:
        return Outcome("no oracle", str(error))
    try:
        got = (_in_jit if target == HOST else _emulated(target))(case)
    except InputError as error:
        return Outcome("refused", error.message)
    for run, (mine, theirs) in enumerate(zip(got, answer.outputs, strict=True)):
        found = difference(mine[0], theirs[0], rounded=case.rounded)
        if found:
            return Outcome("different", f"run {run} vs {answer.engine}: {found}")
    return Outcome("equal")


Outputs = Sequence[Sequence[Array]]


def _in_jit(case: Case) -> Outputs:
    run = jit.compiled(lowered(case.model))
    return [run(inputs) for inputs in case.runs]


def _emulated(target: str) -> Callable[[Case], Outputs]:
    def run(case: Case) -> Outputs:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "net.tflite"
            path.write_bytes(case.model)
            artifact = compile_model(path, target=target, objective="untiled", out=Path(folder) / "out")
            session = UnicornBackend("object").open(load_artifact(artifact.directory))
            return [session.run(inputs).outputs for inputs in case.runs]

    return run


def difference(mine: Array, theirs: Array, *, rounded: bool) -> str:
    """How many elements differ, and the first of them; empty if none does."""
    if mine.size != theirs.size or mine.dtype != theirs.dtype:
        return f"{mine.shape} {mine.dtype} instead of {theirs.shape} {theirs.dtype}"
    mine, theirs = mine.reshape(-1), theirs.reshape(-1)
    if mine.dtype != np.float32:
        bad = mine != theirs
    else:
        finite = np.abs(theirs[np.isfinite(theirs)])
        room = FLOAT_TOLERANCE * float(finite.max(initial=LEAST_RANGE)) if rounded else 0.0
        bad = ~np.isclose(mine, theirs, rtol=0, atol=room, equal_nan=True)
    if not bad.any():
        return ""
    places = np.flatnonzero(bad)
    shown = ", ".join(f"[{place}] {mine[place]} for {theirs[place]}" for place in places[:4])
    return f"{len(places)} of {mine.size}: {shown}"


@dataclass
class Tally:
    """Outcomes of many cases."""

    kinds: Counter[str] = field(default_factory=Counter[str])
    reasons: Counter[str] = field(default_factory=Counter[str])
    operators: set[str] = field(default_factory=set[str])

    def add(self, case: Case, outcome: Outcome) -> None:
        """One more."""
        self.kinds[outcome.kind] += 1
        if outcome.kind == "equal":
            self.operators |= set(case.operators)
        if outcome.kind in ("refused", "no oracle"):
            self.reasons[f"{outcome.kind}: {outcome.detail}"] += 1

    def __str__(self) -> str:
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(self.kinds.items()))
        return f"{counts}; {len(self.operators)} operators"
