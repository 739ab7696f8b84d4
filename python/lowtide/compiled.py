"""Functions that numba compiles: inner loops at the speed of C."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numba

_F = TypeVar("_F", bound=Callable[..., object])


def compiled(function: _F) -> _F:
    """Compile the function on its first call, and keep the machine code beside the source for the next process.

    The cache does not see changes in functions of other files, so a compiled function calls only those of its own.
    """
    try:
        return numba.njit(cache=True)(function)
    except RuntimeError:  # no folder to keep machine code in, as in a read-only container
        return numba.njit(cache=False)(function)
