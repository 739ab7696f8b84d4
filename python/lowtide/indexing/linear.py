"""Linear index expressions over loop variables: enough arithmetic to see which element a loop reads.

A loop nest's subscripts are sums `c0 + c1·i + c2·j …` over its loop variables. Keeping them symbolic lets the
kernels clamp loops instead of testing every element for padding, and lets profiles be read off the same description.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

_ids = itertools.count()


@dataclass(frozen=True, eq=False)
class Var:
    """A loop variable that runs over 0 … extent − 1 (or over a part of it)."""

    name: str
    extent: int
    uid: int = field(default_factory=lambda: next(_ids))


@dataclass(frozen=True)
class Linear:
    """`const + Σ coefficient · variable`; terms are ordered by variable creation and have no zero coefficient."""

    terms: tuple[tuple[Var, int], ...] = ()
    const: int = 0

    @staticmethod
    def of(var: Var) -> Linear:
        """The variable itself; a variable of extent 1 is the constant 0."""
        return Linear() if var.extent == 1 else Linear(((var, 1),))

    def __add__(self, other: Linear | int) -> Linear:
        if isinstance(other, int):
            return Linear(self.terms, self.const + other)
        merged: dict[Var, int] = dict(self.terms)
        for var, coefficient in other.terms:
            merged[var] = merged.get(var, 0) + coefficient
        ordered = sorted(((v, c) for v, c in merged.items() if c), key=lambda term: term[0].uid)
        return Linear(tuple(ordered), self.const + other.const)

    def __mul__(self, factor: int) -> Linear:
        if factor == 0:
            return Linear()
        return Linear(tuple((v, c * factor) for v, c in self.terms), self.const * factor)

    def bounds(self) -> tuple[int, int]:
        """Least and greatest value, both reached, over the full range of every variable."""
        low = self.const + sum(c * (v.extent - 1) for v, c in self.terms if c < 0)
        high = self.const + sum(c * (v.extent - 1) for v, c in self.terms if c > 0)
        return low, high

    def without(self, var: Var) -> Linear:
        """The same expression less the term of `var`."""
        return Linear(tuple(term for term in self.terms if term[0] is not var), self.const)

    def coefficient(self, var: Var) -> int:
        """The factor of `var`, 0 where it does not occur."""
        return next((c for v, c in self.terms if v is var), 0)

    @property
    def variables(self) -> frozenset[Var]:
        """The variables that occur."""
        return frozenset(v for v, _ in self.terms)


Index = tuple[Linear, ...]
"""A subscript: one linear expression for each dimension."""
