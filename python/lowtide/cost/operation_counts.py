"""What a kernel's loops do, as numbers: all that the cost model knows of a layer."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Literal


@dataclass(frozen=True)
class Work:
    """How often a layer's loops do what, in one run over the whole layer.

    Attributes:
        form: of the kernel: how it goes through memory; layers of one form share their coefficients.
        loads, stores: of memory, of any width.
        products: of 32-bit integers.
        duals: two 16-bit products and their sums at once.
        halves: one product of 16 bits and its sum.
        unpacks: of two bytes of a word.
        rotations: of words, which other operations may do by the way.
        vectors: operations on vectors.
        sums: additions and all else of 32 bits and less that takes one instruction.
        wides: operations of 64 bits, products apart.
        wide_products: of 64 bits.
        wide_divisions: of 64 bits, by a function.
        divisions: of 32 bits and less.
        choices: comparisons, minima, maxima and selections.
        floats: operations of floating point, divisions apart.
        float_divisions: and square roots, conversions and whatever else of the kind takes long.
        indices: additions and products of subscripts.
        turns: of loops.
        loops: that are entered.
        branches: two ways through the code.
    """

    form: str = "general"
    loads: int = 0
    stores: int = 0
    products: int = 0
    duals: int = 0
    halves: int = 0
    unpacks: int = 0
    rotations: int = 0
    vectors: int = 0
    sums: int = 0
    wides: int = 0
    wide_products: int = 0
    wide_divisions: int = 0
    divisions: int = 0
    choices: int = 0
    floats: int = 0
    float_divisions: int = 0
    indices: int = 0
    turns: int = 0
    loops: int = 0
    branches: int = 0

    def counts(self) -> tuple[int, ...]:
        """The numbers, in the order of `KINDS`."""
        return tuple(getattr(self, kind) for kind in KINDS)


KINDS = tuple(field.name for field in fields(Work) if field.name != "form")
"""The names of what is counted."""


Counted = Literal["rows", "all"]
"""What is counted of each layer: what plans without loops by columns and without spare flash go by, or everything."""


@dataclass(frozen=True)
class LayerCounts:
    """What a layer's kernels do, for each way in which a plan can run it.

    Attributes:
        whole: its own kernel, whole or by rows of its output.
        pixels: its own kernel in a loop by columns; None where that was not asked for.
        general: the general kernel, which goes by channels.
        summed: its own kernel that takes its input by rows, where it can.
        at_once: rows of its output that its own kernel makes together, where there are as many: a call that makes
            fewer takes as long.
        streamed: bytes of weights that its own kernel loads in one run over the whole layer, as often as it does.
    """

    whole: Work
    pixels: Work | None
    general: Work
    summed: Work | None = None
    at_once: int = 1
    streamed: int = 0


NO_COUNTS = LayerCounts(Work(), Work(), Work())
"""Of a source, whose rows the caller brings."""


@dataclass(frozen=True)
class ExecutedCounts:
    """How much of a layer's work a plan runs, in how many calls.

    Attributes:
        layer: its name.
        work: of the kernel, for the whole layer.
        part: how much of that is run: 1.0 for a whole layer, more where elements are recomputed.
        calls: of the kernel.
    """

    layer: str
    work: Work
    part: float = 1.0
    calls: int = 1

    def features(self) -> tuple[float, ...]:
        """What the coefficients go with, in the order of `FEATURES`."""
        return (*(count * self.part for count in self.work.counts()), float(self.calls))

    def of_form(self, form: str) -> ExecutedCounts:
        """The same counts with the coefficients of another form."""
        return replace(self, work=replace(self.work, form=form))


SUMS = "sums"
"""The form of what takes an input a part at a time."""
LOOPS = "loops"
"""The form of the code around all calls."""
BY_PIXELS = " by pixels"
"""What the name of a form ends with in a loop by columns."""
FEATURES = (*KINDS, "calls")
"""What the model has a coefficient for."""
