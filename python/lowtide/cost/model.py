"""Instructions, loads, stores and cycles of a plan, predicted with coefficients that were measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from lowtide.cost.fit import Coefficients
from lowtide.cost.operation_counts import BY_PIXELS, FEATURES, LOOPS, ExecutedCounts, Work


@dataclass(frozen=True)
class Cost:
    """The predicted instructions, loads, stores and cycles of one inference, or of a part of one.

    Cycles are those of the timing model of the core that was measured; they are 0 where it has none.
    """

    instructions: float = 0.0
    loads: float = 0.0
    stores: float = 0.0
    cycles: float = 0.0

    @property
    def time(self) -> float:
        """What plans are compared by: cycles, or instructions of a core whose cycles are not known."""
        return self.cycles or self.instructions

    def times(self, factor: float) -> Cost:
        """The cost of so many of them."""
        return Cost(self.instructions * factor, self.loads * factor, self.stores * factor, self.cycles * factor)

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.instructions + other.instructions,
            self.loads + other.loads,
            self.stores + other.stores,
            self.cycles + other.cycles,
        )


@dataclass(frozen=True)
class CostModel:
    """Predicts for one core.

    Attributes:
        target: the core that was measured, which is not always the one that was asked for.
        forms: the coefficients by form of the kernel.
    """

    target: str
    forms: Mapping[str, Coefficients]
    _rates: dict[Work, tuple[Cost, Cost]] = field(
        default_factory=dict[Work, tuple[Cost, Cost]], init=False, repr=False, compare=False
    )

    def of(self, counts: ExecutedCounts) -> Cost:
        """What a layer takes in a plan."""
        if counts.work not in self._rates:
            self._rates[counts.work] = (
                self._predicted(ExecutedCounts("", counts.work, 1.0, 0)),
                self._predicted(ExecutedCounts("", counts.work, 0.0, 1)),
            )
        run, call = self._rates[counts.work]
        return run.times(counts.part) + call.times(counts.calls)

    def _predicted(self, counts: ExecutedCounts) -> Cost:
        form = counts.work.form
        near = form if form in self.forms else form.removesuffix(BY_PIXELS)
        coefficients = self.forms[near if near in self.forms else "general"]
        features = counts.features()
        found = {
            what: sum(of_one.get(name, 0.0) * value for name, value in zip(FEATURES, features, strict=True))
            for what, of_one in coefficients.items()
        }
        return Cost(**found)

    def total(self, executed: Iterable[ExecutedCounts]) -> Cost:
        """What these layers take together, with the code that calls them."""
        found = list(executed)
        around = ExecutedCounts("", Work(LOOPS), 1.0, sum(counts.calls for counts in found))
        return sum((self.of(counts) for counts in found), self.of(around))
