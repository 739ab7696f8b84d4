"""Who watches a search: is told how far it is, and may have it end with the best plan so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args


@dataclass(frozen=True)
class Progress:
    """How far a search is.

    Attributes:
        done, total: first layers of loops that have been looked at, over all kinds of loops.
        best_bytes: least peak of the plans so far, in bytes.
    """

    done: int
    total: int
    best_bytes: int

    def __str__(self) -> str:
        return f"{self.done:,} of {self.total:,} segments, best {self.best_bytes:,} bytes"


Ending = Literal["complete", "budget", "interrupted"]
"""How a search ended: with nothing left to look at, with its steps used up, or by who watched it."""
ENDINGS: tuple[Ending, ...] = get_args(Ending)

Watch = Callable[[Progress], bool]
"""Called again and again; False ends the search, which then keeps the best plan so far."""


def unwatched(_: Progress) -> bool:
    """To the end."""
    return True
