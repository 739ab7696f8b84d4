"""The kinds of instructions that are told apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["load", "store", "multiply", "divide", "branch", "other"]


@dataclass(frozen=True)
class Decoded:
    """An instruction's kind, and how many registers of 32 bits it loads or stores."""

    kind: Kind
    words: int = 0


OTHER = Decoded("other")
