"""Every error lowtide raises on purpose.

A message names the stage, the operator with its place in the model, and the remedy. The command line
prints `str(error)` and exits with `exit_code`; anything that is not a `LowtideError` is a bug of ours (70).
"""

from __future__ import annotations

from functools import partial
from typing import ClassVar


class LowtideError(Exception):
    """Base of all deliberate errors.

    Args:
        stage: the stage that refused, as in docs/layout.md ("importer", "allocate", …).
        message: what is wrong, one sentence without a final full stop.
        where: the operator or file and its place in the model, if there is one.
        remedy: what the user can do about it, if anything.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, stage: str, message: str, *, where: str | None = None, remedy: str | None = None) -> None:
        super().__init__(message)
        self.stage = stage
        self.message = message
        self.where = where
        self.remedy = remedy

    def __reduce__(self) -> tuple[partial[LowtideError], tuple[str, str]]:
        """How an error gets from one process to another: `pickle` calls the class again with these arguments."""
        return partial(type(self), where=self.where, remedy=self.remedy), (self.stage, self.message)

    def __str__(self) -> str:
        place = f" at {self.where}" if self.where else ""
        remedy = f"\n  remedy: {self.remedy}" if self.remedy else ""
        return f"{self.stage}{place}: {self.message}{remedy}"


class InputError(LowtideError):
    """The model, the input file or the disk is at fault (exit code 1)."""


class UsageError(LowtideError):
    """The command line or an argument is at fault (exit code 2)."""

    exit_code: ClassVar[int] = 2


class MismatchError(LowtideError):
    """Outputs differ from the reference (exit code 3)."""

    exit_code: ClassVar[int] = 3


class OracleError(LowtideError):
    """There is nothing to compare with: no reference engine is installed, or none takes the model (exit code 4)."""

    exit_code: ClassVar[int] = 4


class InternalError(LowtideError):
    """An invariant of lowtide does not hold: a bug of ours (exit code 70)."""

    exit_code: ClassVar[int] = 70
