"""Instructions, loads and stores of a plan, predicted with coefficients that were measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from lowtide.cost.fit import PREDICTED, Coefficients
from lowtide.cost.work import BY_PIXELS, FEATURES, LOOPS, Share, Work


@dataclass(frozen=True)
class Cost:
    """Of one inference."""

    instructions: float = 0.0
    loads: float = 0.0
    stores: float = 0.0

    def times(self, factor: float) -> Cost:
        """The cost of so many of them."""
        return Cost(self.instructions * factor, self.loads * factor, self.stores * factor)

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.instructions + other.instructions, self.loads + other.loads, self.stores + other.stores)


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

    def of(self, share: Share) -> Cost:
        """What a layer takes in a plan."""
        if share.work not in self._rates:
            self._rates[share.work] = (
                self._predicted(Share("", share.work, 1.0, 0)),
                self._predicted(Share("", share.work, 0.0, 1)),
            )
        run, call = self._rates[share.work]
        return run.times(share.part) + call.times(share.calls)

    def _predicted(self, share: Share) -> Cost:
        form = share.work.form
        near = form if form in self.forms else form.removesuffix(BY_PIXELS)
        coefficients = self.forms[near if near in self.forms else "pull"]
        features = share.features()
        found = {
            what: sum(coefficients[what].get(name, 0.0) * value for name, value in zip(FEATURES, features, strict=True))
            for what in PREDICTED
        }
        return Cost(**found)

    def total(self, shares: Iterable[Share]) -> Cost:
        """What these layers take together, with the code that calls them."""
        found = list(shares)
        around = Share("", Work(LOOPS), 1.0, sum(share.calls for share in found))
        return sum((self.of(share) for share in found), self.of(around))
