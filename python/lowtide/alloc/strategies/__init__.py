"""The allocation strategies, by name. A new strategy is a new file in this folder and a line here."""

from __future__ import annotations

from collections.abc import Callable

from lowtide.alloc.problem import Problem, Solution
from lowtide.alloc.strategies.auto import auto
from lowtide.alloc.strategies.exact import exact
from lowtide.alloc.strategies.first_fit import first_fit
from lowtide.alloc.strategies.local_search import local_search

Strategy = Callable[[Problem], Solution]

STRATEGIES: dict[str, Strategy] = {
    "auto": auto,
    "exact": exact,
    "first-fit": first_fit,
    "local-search": local_search,
}

__all__ = ["STRATEGIES", "Strategy"]
