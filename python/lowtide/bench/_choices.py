"""What choosing primitives by one integer program gains over choosing them layer by layer, under bounds on memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lowtide.bench._tables import Cells, lines_of, number
from lowtide.bound.bind import Binder
from lowtide.cost.data import cost_model
from lowtide.front import normalised
from lowtide.kernels.microkernels import note_microkernels
from lowtide.lower import graph_of
from lowtide.plan.loop_cost import by_time
from lowtide.plan.planners import fastest, plan_front
from lowtide.plan.primitives import Chooser, Chosen
from lowtide.plan.untiled import plan_untiled
from lowtide.stages import Stages
from lowtide.targets import Target

SHARES = (100, 75, 50, 25)
"""Per cent of the arena of the fastest choice that there is."""
_ANY_FLASH = 1 << 30


@dataclass(frozen=True)
class Choice:
    """A model on a core within so much memory.

    Attributes:
        model: its name.
        limit: bytes of arena.
        share: per cent of what the fastest choice takes.
        greedy: predicted cycles where each layer takes what is fastest and still fits; None where no plan fits.
        best: what the program chose.
    """

    model: str
    limit: int
    share: int
    greedy: float | None
    best: Chosen | None


def choices_of(model: Path, target: Target, *, listen: Callable[[str], None] = lambda _: None) -> list[Choice]:
    """A model under each of `SHARES`, any flash.

    Args:
        model: its file.
        target: the core.
        listen: is told what begins.

    Raises:
        LowtideError: the model is refused.
    """
    listen(f"{model.stem} on {target.name}")
    known, alignment = cost_model(target), target.buffer_alignment
    module = normalised(model, (), Stages()).module
    note_microkernels(module, target.microkernels)
    cut = partial(graph_of, module, layer_counts="all", binder=Binder(target.microkernels))
    chooser = Chooser(known, _ANY_FLASH, alignment)
    whole = plan_untiled(cut, alignment)
    unbounded = chooser.choose(whole.ordered, whole.plan, 1 << 40)
    plans = [costed.found for costed in plan_front(cut, alignment, loop_cost=by_time(known))]
    rows: list[Choice] = []
    for share in SHARES:
        limit = unbounded.arena_bytes * share // 100
        fitting = [found for found in plans if (found.plan.arena_bytes or 0) <= limit]
        if not fitting:
            rows.append(Choice(model.stem, limit, share, None, None))
            continue
        # of the plan whose loops cost least, as without primitives
        greedy = chooser.greedy(fitting[0].ordered, fitting[0].plan, limit).time
        rows.append(Choice(model.stem, limit, share, greedy, fastest(fitting, alignment, limit, chooser)[0]))
    return rows


def lines(rows: Sequence[Choice], width: int, *, markdown: bool) -> list[str]:
    """A line for each model and bound."""
    cells: Cells[Choice] = (
        ("model", lambda row: row.model),
        ("memory", lambda row: f"{row.share} %"),
        ("arena at most", lambda row: number(row.limit)),
        ("greedy, cycles", lambda row: number(None if row.greedy is None else round(row.greedy))),
        ("program, cycles", lambda row: number(None if row.best is None else round(row.best.time))),
        ("of greedy", lambda row: f"{row.best.time / row.greedy:.2f}" if row.best and row.greedy else "–"),
        ("arena", lambda row: number(None if row.best is None else row.best.arena_bytes)),
        ("flash more", lambda row: number(None if row.best is None else row.best.flash_bytes)),
        ("gap", lambda row: "–" if row.best is None else f"{100 * row.best.gap:.1f} %"),
    )
    return lines_of(cells, rows, 2, width, markdown=markdown)
