"""Predicted costs of a plan beside what its code was counted to take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lowtide.bench._figures import Figures, figures_of
from lowtide.bench._tables import Cells, lines_of, number
from lowtide.cost.data import cost_model
from lowtide.cost.model import Cost
from lowtide.errors import InternalError
from lowtide.lower import lower
from lowtide.plan.executed import executed_counts
from lowtide.plan.plan import Objective
from lowtide.stages import Stages
from lowtide.targets import Target


@dataclass(frozen=True)
class Prediction:
    """A model's plan for a core.

    Attributes:
        predicted: the cost of one inference, by the cost model.
        measured_on: the core whose coefficients it took.
        figures: what was counted.
    """

    predicted: Cost
    measured_on: str
    figures: Figures

    @property
    def error(self) -> float | None:
        """How far the predicted instructions are off, as a part of those counted; None where none were counted."""
        counted = self.figures.instructions
        return None if counted is None else self.predicted.instructions / counted - 1

    @property
    def cycles_error(self) -> float | None:
        """The same of the cycles that were modelled; None where the core has no timing model."""
        modelled = self.figures.cycles
        return self.predicted.cycles / modelled - 1 if modelled and self.predicted.cycles else None


def predict(
    model: Path, target: Target, objective: Objective, *, listen: Callable[[str], None] = lambda _: None
) -> Prediction:
    """Plan a model, predict, compile and count.

    Args:
        model: its file.
        target: the core.
        objective: what the plan is searched for.
        listen: is told what begins.

    Raises:
        LowtideError: whatever a stage refuses.
    """
    listen(f"{model.stem} on {target.name}")
    lowered = lower(model, target, objective=objective, layer_counts=True, stages=Stages())
    if lowered.plan is None:
        raise InternalError("bench", "a network without a plan of its own")
    known = cost_model(target)
    predicted = known.total(executed_counts(lowered.graph, lowered.plan.fusions))
    return Prediction(predicted, known.target, figures_of(lowered, model, target, objective))


def lines(rows: Sequence[Prediction], width: int, *, markdown: bool) -> list[str]:
    """A line for each model and core."""
    cells: Cells[Prediction] = (
        ("model", lambda row: row.figures.model),
        ("target", lambda row: row.figures.target),
        ("instructions predicted", lambda row: f"{row.predicted.instructions:,.0f}"),
        ("counted", lambda row: number(row.figures.instructions)),
        ("error", lambda row: _part(row.error)),
        ("loads predicted", lambda row: f"{row.predicted.loads:,.0f}"),
        ("counted ", lambda row: number(row.figures.mix and row.figures.mix.loads)),
        ("stores predicted", lambda row: f"{row.predicted.stores:,.0f}"),
        ("counted  ", lambda row: number(row.figures.mix and row.figures.mix.stores)),
        ("cycles predicted", lambda row: "–" if row.cycles_error is None else f"{row.predicted.cycles:,.0f}"),
        ("modelled", lambda row: number(row.figures.cycles)),
        ("error ", lambda row: _part(row.cycles_error)),
    )
    borrowed = [
        f"{row.figures.target} is predicted with the coefficients of {row.measured_on}."
        for row in rows
        if row.measured_on != row.figures.target
    ]
    return [*lines_of(cells, rows, 2, width, markdown=markdown), *dict.fromkeys(borrowed)]


def _part(error: float | None) -> str:
    return "–" if error is None else f"{100 * error:+.1f} %"
