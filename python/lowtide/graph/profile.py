"""Access profiles: how far a layer's output may run into the input that it consumes.

A *step* is one output element: the general kernel (`lowtide.kernels.general`) loads all that an element needs before it
stores it, and goes through the elements in row-major order, or in the exact reverse. The profile is computed from the
loop description that emits the code, element by element, so it holds for every stride, pad, dilation and broadcast.

Source: Jokic et al., arXiv 2007.09963, for one layer; here the bytes of any two buffers keep a least distance instead.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from lowtide.graph.nest import (
    Filled,
    LayerBody,
    Node,
    Operand,
    Padded,
    Reshaped,
    Shape,
    Sliced,
    Structured,
    Undefined,
    loops_over,
    reachable,
    row_major,
    source_index,
    sources_of,
)
from lowtide.indexing.linear import Index, Linear, Var

Elements = npt.NDArray[np.int64]

MOST_STEPS = 1 << 22
"""Steps of a layer up to which they are looked at one by one, which takes some seconds and 300 MB; the output of a
longer one shares no byte with its inputs."""


@dataclass(frozen=True)
class Profile:
    """What one layer allows of one of its inputs, in bytes.

    Attributes:
        forwards: D: with a kernel emitted forwards, the output may start at the input's start less D, or lower.
        backwards: D': with a kernel emitted backwards, the output may end at the input's end plus D', or higher.
    """

    forwards: int
    backwards: int


def profile_of(
    body: LayerBody, argument: int, input_bytes: int, output_bytes: int, orders: Sequence[Elements] = ()
) -> Profile:
    """The profile of an input that this layer is the last to use.

    Args:
        body: the layer's loop description.
        argument: number of the tensor argument.
        input_bytes, output_bytes: whole size of the input's and the destination's buffer.
        orders: in which a kernel goes through the rows of its output, by column and channel the number of the step
            that an element is made in; all loads of a step come before its stores. The profile holds for each of
            them, and for a kernel that goes by elements.

    Returns:
        distances in [-input_bytes, output_bytes]; never less than what is safe.
    """
    steps = Steps(body.result.shape)
    if steps.count > MOST_STEPS:
        return Profile(output_bytes, output_bytes)
    target = body.target(steps.index)
    size = output_bytes // math.prod(body.destination)
    first = steps.values(row_major(body.destination, target)) * size
    # further off than any distance matters: where a step reads nothing
    never = input_bytes + output_bytes
    low, high = _reads(body, argument, steps, input_bytes, never)
    forwards = backwards = -input_bytes
    for order in (None, *orders):
        extremes = low, high, first, first + size
        if order is not None:
            extremes = _of_steps(order, *extremes)
        lowest, highest, begin, end = extremes
        forwards = max(forwards, _forwards(lowest, end, never))
        # backwards is forwards seen from the other end of both buffers
        backwards = max(backwards, _forwards((input_bytes - highest)[::-1], (output_bytes - begin)[::-1], never))
    return Profile(max(-input_bytes, min(forwards, output_bytes)), max(-input_bytes, min(backwards, output_bytes)))


def _of_steps(order: Elements, low: Elements, high: Elements, begin: Elements, end: Elements) -> tuple[Elements, ...]:
    """What the steps read and write, from what their elements do."""
    rows = len(low) // order.size
    count = int(order.max()) + 1
    numbers = (np.arange(rows)[:, None] * count + order.reshape(1, -1)).reshape(-1)
    sorted_by_step = np.argsort(numbers, kind="stable")
    starts = np.searchsorted(numbers[sorted_by_step], np.arange(rows * count))
    least = [np.minimum.reduceat(of_all[sorted_by_step], starts) for of_all in (low, begin)]
    greatest = [np.maximum.reduceat(of_all[sorted_by_step], starts) for of_all in (high, end)]
    return least[0], greatest[0], least[1], greatest[1]


def _forwards(low: Elements, written: Elements, never: int) -> int:
    """The greatest high(t) - dead(t) over the steps t.

    Args:
        low: at each step, the bytes of the input below the lowest that is read.
        written: at each step, the end of what is written.
        never: dead(t) where no later step reads anything; what is stored from there on hits nothing.
    """
    dead = np.append(np.minimum.accumulate(low[::-1])[::-1][1:], never)
    return int((np.maximum.accumulate(written) - dead).max())


class Steps:
    """What the kernel's variables are at every step, in the order of its steps.

    Args:
        shape: of the result; a loop goes over each dimension.

    Attributes:
        index: the subscripts of a step's element.
    """

    def __init__(self, shape: Shape) -> None:
        loops, self.index = loops_over(shape)
        self._shape = shape
        self._values: dict[Var, Elements] = {}
        for position, var in enumerate(loops):
            own = [1] * len(shape)
            own[position] = var.extent
            self._values[var] = np.arange(var.extent, dtype=np.int64).reshape(own)

    def __contains__(self, var: Var) -> bool:
        """True where every step has one value of the variable; the others run within a step."""
        return var in self._values

    @property
    def count(self) -> int:
        """Number of steps."""
        return math.prod(self._shape)

    def values(self, expression: Linear, more: int = 0) -> Elements:
        """At each step the expression, without what runs within a step, and `more`."""
        total = np.full(self._shape, expression.const + more, dtype=np.int64)
        for var, coefficient in expression.terms:
            if var in self:
                total += self._values[var] * coefficient
        return total.reshape(-1)

    def divided(self, flat: Linear, shape: Shape) -> Index | None:
        """Subscripts of element number `flat` by division, as the kernel takes them; None if it changes within a step.

        They are new variables with a value for each step.
        """
        if not all(var in self for var in flat.variables):
            return None
        rest = self.values(flat).reshape(self._shape)
        subscripts: list[Linear] = []
        for extent in reversed(shape):
            var = Var("q", extent)
            self._values[var] = rest % extent
            rest = rest // extent
            subscripts.append(Linear.of(var))
        return tuple(reversed(subscripts))


def _reads(body: LayerBody, argument: int, steps: Steps, input_bytes: int, never: int) -> tuple[Elements, Elements]:
    """At each step the lowest byte that is read of the argument, and the end of the highest.

    A step that reads nothing has `never` bytes of room on either side.
    """
    low = np.full(steps.count, never, dtype=np.int64)
    high = input_bytes - low
    for access in accesses(body.result, steps.index, argument, steps, padded=False):
        if access is None:
            return np.zeros(steps.count, dtype=np.int64), np.full(steps.count, input_bytes, dtype=np.int64)
        size = input_bytes // math.prod(access.shape)
        least, greatest, inside = _extremes(access, steps)
        np.minimum(low, least * size, out=low, where=inside)
        np.maximum(high, (greatest + 1) * size, out=high, where=inside)
    return low, high


@dataclass(frozen=True)
class Access:
    """One load of the input: its subscripts, in terms of the loops and of variables within a step."""

    shape: Shape
    index: Index


def _extremes(access: Access, steps: Steps) -> tuple[Elements, Elements, npt.NDArray[np.bool_]]:
    """At each step the least and the greatest element number that the access can touch, and whether it touches any.

    What lies outside the input is a pad, for which the kernel loads nothing.
    """
    least, greatest = np.zeros(steps.count, dtype=np.int64), np.zeros(steps.count, dtype=np.int64)
    inside = np.ones(steps.count, dtype=np.bool_)
    for extent, subscript in zip(access.shape, access.index, strict=True):
        inner = [(v, c) for v, c in subscript.terms if v not in steps]
        low = steps.values(subscript, sum(c * (v.extent - 1) for v, c in inner if c < 0))
        high = steps.values(subscript, sum(c * (v.extent - 1) for v, c in inner if c > 0))
        inside &= (high >= 0) & (low < extent)
        least = least * extent + np.clip(low, 0, extent - 1)
        greatest = greatest * extent + np.clip(high, 0, extent - 1)
    return least, greatest, inside


class Dividing(Protocol):
    """Gives subscripts through a reshape where they are not linear in the loops."""

    def divided(self, flat: Linear, shape: Shape) -> Index | None:
        """Subscripts of element number `flat` of a tensor of that shape, in new variables; None where it can't."""
        ...


def accesses(
    node: Node, index: Index, argument: int, steps: Dividing | None, *, padded: bool
) -> Iterator[Access | None]:
    """Every load of the argument below the node; None for one that may touch any element.

    Args:
        node: what is computed.
        index: subscripts of the element of it that is.
        argument: number of the layer's argument.
        steps: finds subscripts through reshapes where they are not linear; None where nothing does.
        padded: the element may lie in a pad.
    """
    return _accesses(_Search(argument, steps, set()), node, index, padded=padded)


@dataclass(frozen=True)
class _Search:
    """What `accesses` looks for.

    Attributes:
        seen: nodes, by identity, and subscripts that have been gone through: values that are used by several others,
            as in a softmax, are reached in more ways than could be looked at one by one.
    """

    argument: int
    steps: Dividing | None
    seen: set[tuple[int, Index, bool]]


def _accesses(search: _Search, node: Node, index: Index, *, padded: bool) -> Iterator[Access | None]:
    if (id(node), index, padded) in search.seen:
        return
    search.seen.add((id(node), index, padded))
    match node:
        case Operand():
            if node.argument == search.argument:
                yield Access(node.shape, index)
        case Filled() | Undefined():
            pass
        case Padded() | Sliced() | Reshaped():
            # outside a pad's source subscripts mean nothing, so they can't be carried through a reshape
            lost = padded and isinstance(node, Reshaped)
            through = None if lost else source_index(node, index)
            if through is None and not lost and search.steps is not None:
                through = search.steps.divided(row_major(node.shape, index), node.source.shape)
            if through is not None:
                inside = padded or isinstance(node, Padded)
                yield from _accesses(search, node.source, through, padded=inside)
            elif search.argument in arguments_of(node.source):
                yield None
        case Structured():
            yield from _structured(search, node, index, padded=padded)


def _structured(search: _Search, node: Structured, index: Index, *, padded: bool) -> Iterator[Access | None]:
    if search.argument in node.captured:
        yield None
    for source, inner in sources_of(node, index):
        yield from _accesses(search, source, inner, padded=padded)


def arguments_of(node: Node) -> set[int]:
    """Arguments that the node is computed from."""
    nodes = reachable(node)
    captured = (found.captured for found in nodes if isinstance(found, Structured))
    return {found.argument for found in nodes if isinstance(found, Operand)}.union(*captured)
