"""What an input that arrives row by row is to every stage: the kind of its layer, and where a run has got to.

The *position* of a run lies in the arena, in 32-bit words: `MARK` and the phase, the next iteration of the loop that
is going on, then for each source the rows that have arrived and the end of those that may arrive next.
"""

from __future__ import annotations

SOURCE = "source"
"""The kind of a layer that makes an input which arrives row by row; it reads nothing."""
MARK = 0x4C540000
"""In the position's first word, to which the phase is added: 0 before the first source, the number of sites and 1 when
all is done."""
PHASE, ITERATION = 0, 1
"""The position's first words."""
WORD_BYTES = 4


def arrived(source: int) -> int:
    """The word with the rows of a source, from 0, that have arrived."""
    return 2 + 2 * source


def wanted(source: int) -> int:
    """The word with the end of the rows of a source that may arrive now."""
    return 3 + 2 * source


def words(sources: int) -> int:
    """How many words the position has."""
    return 2 + 2 * sources
