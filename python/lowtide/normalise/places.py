"""Computes at compile time what scalar code makes of an element's place alone, where it takes a division.

An average pool divides by the number of elements under its window, which is another one at each edge: its code makes a
multiplier and a shift of the row and the column, with a 64-bit division for every element. There are few different
rows and columns (edges and the inside), so the values go into small constant tables, whose rows and columns are those
kinds. Nothing is assumed of the code but that it is integer arithmetic: each value is computed for each place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lowtide.arithmetic import DIVISIONS, Integers, calculated
from lowtide.ir import (
    Block,
    DenseElementsAttr,
    IndexType,
    InsertionPoint,
    IntegerAttr,
    IntegerType,
    Operation,
    RankedTensorType,
    Value,
    arith,
    i64,
    tensor,
)
from lowtide.normalise.analysis import defining, iterator_kinds

MOST_PLACES = 1 << 18
"""Places of a result at the most, for which code is computed."""
MOST_BYTES = 4096
"""Most bytes that the tables of one operation may take together."""
MOST_TESTS = 6
"""Comparisons that find out the kind of a row or column, at the most; with more each row has its own."""
_WIDTHS = (8, 32, 64)
"""Bits of a table's integers."""


@dataclass(frozen=True)
class _Axis:
    """The kinds of positions along one dimension of the result.

    Attributes:
        dimension: which dimension of the result it is.
        starts: the first position of each kind, in rising order.
        extent: how many positions there are.
    """

    dimension: int
    starts: tuple[int, ...]
    extent: int

    @property
    def firsts(self) -> list[int]:
        """One position for each entry of the table along this axis: where each kind begins, or all positions."""
        return list(self.starts) if self._by_kind else list(range(self.extent))

    @property
    def _by_kind(self) -> bool:
        return len(self.starts) <= MOST_TESTS + 1

    def number(self) -> Value:
        """Code for the entry of the table that the current element takes."""
        index = IndexType.get()
        dimension = {"dim": i64(self.dimension)}
        place = Operation.create("linalg.index", results=[index], attributes=dimension).results[0]
        if not self._by_kind:
            return place
        # the kind is the number of starts that lie behind the first and at or before the position: no branch is needed
        number = arith.constant(index, 0)
        for start in self.starts[1:]:
            behind = arith.cmpi(arith.CmpIPredicate.uge, place, arith.constant(index, start))
            number = arith.addi(number, arith.index_castui(index, behind))
        return number


def tabulate_places(block: Block) -> None:
    """Put tables in the place of code that divides and depends on the place alone.

    Args:
        block: of a network's function; every element-by-element operation in it is looked at.
    """
    for op in [view.operation for view in block.operations]:
        if op.name == "linalg.generic" and all("parallel" in kind for kind in iterator_kinds(op)):
            _tabulate(op)


def _tabulate(op: Operation) -> None:
    shape = RankedTensorType(op.results[0].type).shape
    known = _values_by_place(op, shape)
    wanted = list(_wanted(op.regions[0].blocks[0], known))
    if not wanted:
        return
    arrays = [known[value] for value in wanted]
    # an extent of 1 stays where no value depends on that dimension, so that the tables leave it out
    whole = np.broadcast_shapes(*(array.shape for array in arrays))
    axes = [_axis(arrays, d, extent) for d, extent in enumerate(whole) if extent > 1]
    tables = [_table(array, whole, axes) for array in arrays]
    if sum(table.nbytes for table in tables) > MOST_BYTES:
        return
    with op.context, op.location:
        for value, table in zip(wanted, tables, strict=True):
            _replace(op, value, table, axes)
    _erase_dead(op.regions[0].blocks[0])


def _values_by_place(op: Operation, shape: Sequence[int]) -> dict[Value, Integers]:
    """What the code makes of the place alone: an array of as many dimensions as the result, 1 where it is the same."""
    known: dict[Value, Integers] = {}
    for view in op.regions[0].blocks[0].operations:
        inner = view.operation
        if inner.name == "linalg.index":
            dimension = IntegerAttr(inner.attributes["dim"]).value
            extents = [extent if d == dimension else 1 for d, extent in enumerate(shape)]
            known[inner.results[0]] = np.arange(shape[dimension], dtype=np.int64).reshape(extents)
            continue
        operands = [_operand(value, known, len(shape)) for value in inner.operands]
        given = [array for array in operands if array is not None]
        if len(inner.results) != 1 or not given or len(given) < len(operands):
            continue
        # computed for all places at once: large results would take long, and much memory
        if np.prod(np.broadcast_shapes(*(array.shape for array in given))) > MOST_PLACES:
            continue
        made = calculated(inner, given)
        if made is not None:
            known[inner.results[0]] = made
    return known


def _operand(value: Value, known: dict[Value, Integers], rank: int) -> Integers | None:
    if value in known:
        return known[value]
    op = defining(value)
    if op is None or op.name != "arith.constant" or not isinstance(op.attributes["value"], IntegerAttr):
        return None
    return np.full([1] * rank, IntegerAttr(op.attributes["value"]).value, np.int64)


def _wanted(block: Block, known: dict[Value, Integers]) -> Iterator[Value]:
    """The values behind a division that something else is made from than values of the place alone."""
    divided: set[Value] = set()
    for view in block.operations:
        op = view.operation
        if len(op.results) != 1 or op.results[0] not in known:
            continue
        value = op.results[0]
        if op.name in DIVISIONS or op.name == "math.ctlz" or divided & {*op.operands}:
            divided.add(value)
            users = (use.owner.operation for use in value.uses)
            if not all(len(user.results) == 1 and user.results[0] in known for user in users):
                yield value


def _axis(arrays: Sequence[Integers], dimension: int, extent: int) -> _Axis:
    starts = [0]
    for at in range(1, extent):
        own = [array for array in arrays if array.shape[dimension] > 1]
        if any((array.take(at, dimension) != array.take(at - 1, dimension)).any() for array in own):
            starts.append(at)
    return _Axis(dimension, tuple(starts), extent)


def _table(array: Integers, whole: Sequence[int], axes: Sequence[_Axis]) -> Integers:
    """The values by kind along each axis, in as few bytes as hold them all."""
    values = np.broadcast_to(array, whole)
    for axis in axes:
        values = values.take(axis.firsts, axis.dimension)
    values = values.reshape([len(axis.firsts) for axis in axes])
    width = next(w for w in _WIDTHS if values.min() >= -(1 << w - 1) and values.max() < 1 << w - 1)
    return np.ascontiguousarray(values.astype(f"int{width}"))


def _replace(op: Operation, value: Value, table: Integers, axes: Sequence[_Axis]) -> None:
    """Read the value from a table."""
    width = 8 * table.itemsize
    kind = RankedTensorType.get(table.shape, IntegerType.get_signless(width))
    with InsertionPoint(op):
        constant = arith.constant(kind, DenseElementsAttr.get(table.data, type=kind))
    before = defining(value)
    assert before is not None
    with InsertionPoint(before):
        read = tensor.extract(constant, [axis.number() for axis in axes])
        if isinstance(value.type, IndexType):
            read = arith.index_cast(value.type, read)
        elif read.type != value.type:
            read = arith.extsi(value.type, read)
    value.replace_all_uses_with(read)


def _erase_dead(block: Block) -> None:
    for op in reversed([view.operation for view in block.operations]):
        if len(op.results) and not any(list(result.uses) for result in op.results):
            op.erase()
