"""Decides which tensors of a network get a buffer; all others are recomputed where they are read.

A layer is everything that one buffered tensor is computed from, down to other buffered tensors. After a root (conv,
dense, pool, gather, a sum of two activations) the chain of element-wise operations that follows is its epilogue, up to
the smallest tensor of the chain: no i32 accumulator between a convolution and its requantisation. A chain that ends in
a concat is written straight into the concat's tensor. A region that depends on one buffered tensor alone and reduces
rows (softmax) is one layer. So is a loop that MLIR's own tiling has made, with nothing before or after it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from lowtide.ir import Block, Operation, Value
from lowtide.normalise.analysis import (
    Role,
    bytes_of,
    defining,
    is_constant,
    operands_of,
    reduces_trailing,
    role_of,
    users_of,
)

DEPTH = 64
"""Operations in a row after which a tensor gets a buffer, whatever they are: kernels nest as deep."""


@dataclass(frozen=True)
class Cut:
    """Where a network is cut.

    Attributes:
        buffered: the tensors to be given a buffer, in program order; function arguments are not among them.
        parts: the buffered tensors that are a concat with one more part written into it, where that part could have a
            buffer of its own instead; each with the part's number.
    """

    buffered: tuple[Value, ...]
    parts: Mapping[Value, int]


def cut(block: Block, copied: Collection[int] = ()) -> Cut:
    """Cut a network into layers.

    Args:
        block: the network's.
        copied: parts of concats that are to have a buffer of their own and be copied; `numbered_parts` numbers them.
    """
    cutter = _Cutter(block, copied)
    for view in block.operations:
        cutter.visit(view.operation)
    order: dict[Value, int] = {r: i for i, view in enumerate(block.operations) for r in view.operation.results}
    return Cut(tuple(sorted(cutter.buffered, key=lambda value: order[value])), cutter.parts)


def numbered_parts(block: Block) -> dict[Value, int]:
    """The results of operations that write a part of a tensor, numbered from 1 in program order."""
    operations = (view.operation for view in block.operations)
    inserts = (op for op in operations if role_of(op) is Role.INSERT)
    return {op.results[0]: number for number, op in enumerate(inserts, start=1)}


class _Cutter:
    def __init__(self, block: Block, copied: Collection[int]) -> None:
        self._block = block
        self._copied = copied
        self._numbers = numbered_parts(block)
        self.buffered: set[Value] = set()
        self.parts: dict[Value, int] = {}
        # memo of `_sources_of`; dropped whenever a tensor gets a buffer, which makes it a source of its own
        self._sources: dict[Value, frozenset[Value]] = {}
        # what follows a value in its chain, or None; chains are walked from each of their operations
        self._followers: dict[tuple[Value, bool], Value | None] = {}
        self._depths: dict[Value, int] = {}

    def visit(self, op: Operation) -> None:
        role = role_of(op)
        if role in (Role.CONSTANT, Role.EMPTY, Role.SCALAR):
            return
        if role in (Role.LOOP, Role.INSERT, Role.OTHER):
            self._visit_end(op, role)
            return
        if role is Role.ROOT:
            for operand in operands_of(op):
                # a table that scalar code reads anywhere must be there
                (self._need if operand in op.operands else self._store)(operand)
        sources = self._sources_of(op.results[0])
        self._depths[op.results[0]] = 1 + max((self._depth(v) for v in operands_of(op)), default=0)
        if role is Role.RESHAPE:  # a view of what is in memory, and never a buffer of its own
            return
        if sources and self._depths[op.results[0]] > DEPTH:
            self._buffer(op.results[0])
            return
        # a row that is summed up and read again (softmax) is recomputed by each of its readers: no buffer between them
        starts_layer = role is Role.ROOT or (role is Role.REDUCE and not reduces_trailing(op))
        if (starts_layer or len(sources) > 1) and not self._has_end(op.results[0]):
            # the epilogue: the layer goes on to the smallest tensor of the chain, such as int8 behind i32 sums
            end = self._cut(op.results[0], through_reductions=role is Role.REDUCE)
            concat = self._concat_of(end)
            if concat is not None:
                self.parts[concat] = self._numbers[concat]
            if concat is None or self._numbers[concat] in self._copied:
                self._buffer(end)

    def _visit_end(self, op: Operation, role: Role) -> None:
        """A loop or a part of a concat, which have buffers whatever follows; the return (OTHER) of what has one."""
        if role is Role.LOOP:
            for operand in operands_of(op):
                self._capture(operand)
            self._buffer(op.results[0])
        elif role is Role.INSERT:
            self._store(op.operands[1])
            self._buffer(op.results[0])
        else:
            for operand in op.operands:
                self._store(operand)

    def _has_end(self, value: Value) -> bool:
        """True where the layer that the value belongs to has been cut already."""
        return any(v in self.buffered for v in self._chain(value))

    def _buffer(self, value: Value) -> None:
        """Give the value a buffer."""
        if value not in self.buffered:
            self.buffered.add(value)
            # both depend on which tensors have buffers
            self._sources.clear()
            self._followers.clear()

    def _depth(self, value: Value) -> int:
        """How many operations lie between what is in memory and the value: how deep a kernel nests for it."""
        return 0 if value in self.buffered else self._depths.get(value, 0)

    def _sources_of(self, value: Value) -> frozenset[Value]:
        """The buffered tensors and arguments that the value is computed from."""
        if value in self.buffered:
            return frozenset({value})
        op = defining(value)
        if op is None:
            return frozenset({value})
        if role_of(op) in (Role.CONSTANT, Role.EMPTY):
            return frozenset()
        if value not in self._sources:
            self._sources[value] = frozenset[Value]().union(*(self._sources_of(v) for v in operands_of(op)))
        return self._sources[value]

    def _store(self, value: Value) -> None:
        """Give the value a buffer, or what it is a reshape of; constants and empty tensors need none."""
        op = defining(value)
        if op is None or role_of(op) in (Role.CONSTANT, Role.EMPTY):
            return
        if role_of(op) is Role.RESHAPE:
            self._store(op.operands[0])
        else:
            self._buffer(value)

    def _capture(self, value: Value) -> None:
        """Give what a loop of MLIR's own tiling takes from outside a buffer.

        Slices and reshapes become views of what has one. A pad gets a buffer of its own: inside the loop each iteration
        would make it anew.
        """
        op = defining(value)
        if op is not None and role_of(op) in (Role.SLICE, Role.RESHAPE) and value not in self.buffered:
            self._capture(op.operands[0])
        elif op is not None and self._sources_of(value):
            self._buffer(value)

    def _need(self, value: Value) -> None:
        """Give what a root reads a buffer, unless it comes of one by index arithmetic alone.

        A root reads each element many times: only what a pad or a slice does to an index is cheap enough for that.
        """
        op = defining(value)
        if op is None or value in self.buffered:
            return
        if role_of(op) in (Role.PAD, Role.SLICE, Role.RESHAPE):
            self._need(op.operands[0])
        elif self._sources_of(value):
            self._buffer(value)

    def _chain(self, value: Value, through_reductions: bool = False) -> list[Value]:
        """`value` and what follows it element by element, each the only use of the one before."""
        chain = [value]
        while (following := self._follower(chain[-1], through_reductions)) is not None:
            chain.append(following)
        return chain

    def _follower(self, value: Value, through_reductions: bool) -> Value | None:
        """What follows `value` in its chain; None at the chain's end."""
        key = value, through_reductions
        if key not in self._followers:
            users = users_of(value, self._block)
            continues = len(users) == 1 and self._continues(users[0], value, through_reductions)
            self._followers[key] = users[0].results[0] if continues else None
        return self._followers[key]

    def _continues(self, user: Operation, value: Value, through_reductions: bool) -> bool:
        role = role_of(user)
        allowed = {Role.POINT, Role.RESHAPE} | ({Role.REDUCE} if through_reductions else set[Role]())
        others = [v for v in operands_of(user) if v != value]
        return role in allowed and all(is_constant(v) or not self._sources_of(v) for v in others)

    def _concat_of(self, value: Value) -> Value | None:
        """The larger tensor with the value written into its place, where nothing else uses the value."""
        users = users_of(value, self._block)
        if len(users) != 1:
            return None
        user = users[0]
        if role_of(user) is Role.RESHAPE:
            # a reshape moves no byte: what is behind it can be written straight into the concat all the same
            return self._concat_of(user.results[0])
        return user.results[0] if role_of(user) is Role.INSERT and user.operands[0] == value else None

    def _cut(self, value: Value, through_reductions: bool) -> Value:
        """The smallest tensor of the chain; of equals the last; a reshape never (it is a view of what it reshapes)."""
        best = value
        for candidate in self._chain(value, through_reductions):
            op = defining(candidate)
            if op is not None and role_of(op) is not Role.RESHAPE and bytes_of(candidate) <= bytes_of(best):
                best = candidate
        return best
