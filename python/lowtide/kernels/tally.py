"""Counts what a block of loops does: what it executes, and how often.

Only what the flow of control depends on is evaluated: the bounds of loops and the conditions of branches, for all turns
of the loops around them at once.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from lowtide.arithmetic import Integers, calculated
from lowtide.errors import InternalError
from lowtide.ir import Block, IntegerAttr, Operation, Value
from lowtide.kernels.operation_kinds import ADDRESS, ASSEMBLY, kind_of, kinds_of_assembly
from lowtide.kernels.values import made_by
from lowtide.normalise.analysis import defining


@dataclass(frozen=True)
class _Frame:
    """How often a block runs. Executions for which loops and branches go alike are counted together.

    Attributes:
        times: int64[n], how often each kind of execution runs.
        places: int64[n], the kind of execution of the block around it that each is in; None where there is one kind.
    """

    times: Integers
    places: Integers | None


class Tally:
    """Counts one block and what is nested in it.

    Args:
        block: of a function whose loops' bounds depend on constants and on loops around them alone.
    """

    def __init__(self, block: Block) -> None:
        self.counts: Counter[str] = Counter()
        self._needed = _controlling(block)
        self._known: dict[Value, tuple[int, Integers]] = {}
        self._frames: list[_Frame] = [_Frame(np.ones(1, np.int64), None)]
        self._run(block)

    def _run(self, block: Block) -> None:
        total = int(self._frames[-1].times.sum())
        if not total:
            return
        for view in block.operations:
            op = view.operation
            if op.name == "scf.for":
                self._loop(op)
            elif op.name == "scf.if":
                self._branch(op, total)
            else:
                if op.name == ASSEMBLY:
                    for kind, count in kinds_of_assembly(op).items():
                        self.counts[kind] += count * total
                kind = kind_of(op)
                if kind is not None:
                    self.counts[kind] += total
                if len(op.results) == 1 and op.results[0] in self._needed:
                    self._known[op.results[0]] = len(self._frames) - 1, self._evaluated(op)

    def _loop(self, op: Operation) -> None:
        low, high, step = (self._value(operand) for operand in list(op.operands)[:3])
        turns = np.maximum(0, -((low - high) // step))
        times, body = self._frames[-1].times, op.regions[0].blocks[0]
        self.counts["loops"] += int(times.sum())
        self.counts["turns"] += int((times * turns).sum())
        variable = body.arguments[0]
        if variable not in self._needed:
            self._inside(_Frame(times * turns, None), body)
            return
        turns, low, step = (np.broadcast_to(a, times.shape) for a in (turns, low, step))
        places = np.repeat(np.arange(len(times)), turns)
        number = np.arange(len(places)) - np.repeat(np.cumsum(turns) - turns, turns)
        self._known[variable] = len(self._frames), low[places] + number * step[places]
        self._inside(_Frame(times[places], places), body)

    def _branch(self, op: Operation, total: int) -> None:
        self.counts["branches"] += total
        condition = np.broadcast_to(self._value(op.operands[0]), self._frames[-1].times.shape) != 0
        for region, taken in zip(op.regions, (condition, ~condition), strict=True):
            places = np.flatnonzero(taken)
            for block in region.blocks:
                self._inside(_Frame(self._frames[-1].times[places], places), block)

    def _inside(self, frame: _Frame, block: Block) -> None:
        self._frames.append(frame)
        self._run(block)
        self._frames.pop()

    def _value(self, value: Value) -> Integers:
        """A value's numbers: one for each execution of the current block, or one for all."""
        depth, found = self._known[value] if value in self._known else self._constant(value)
        for frame in self._frames[depth + 1 :]:
            if frame.places is not None and found.ndim:
                found = found[frame.places]
        return found

    def _constant(self, value: Value) -> tuple[int, Integers]:
        op = made_by(value, "arith.constant")
        if op is None:
            raise InternalError("cost", "control depends on what is known only when the code runs", where=str(value))
        return 0, np.array(IntegerAttr(op.attributes["value"]).value, np.int64)

    def _evaluated(self, op: Operation) -> Integers:
        if op.name == "arith.constant":
            return self._constant(op.results[0])[1]
        if op.name == ADDRESS:
            return np.zeros((), np.int64)  # a loop from one address to another: only their distance matters
        made = calculated(op, [self._value(operand) for operand in op.operands])
        if made is None:
            raise InternalError("cost", f"control depends on a value of '{op.name}'")
        return made


def _controlling(block: Block) -> set[Value]:
    """The values that bounds and conditions depend on."""
    pending: list[Value] = []
    _collect(block, pending)
    needed: set[Value] = set()
    while pending:
        value = pending.pop()
        if value in needed:
            continue
        needed.add(value)
        op = defining(value)
        if op is None:
            owner = value.owner
            assert isinstance(owner, Block)
            pending += list(owner.owner.operands)[:3] if owner.owner.name == "scf.for" else []
        elif op.name != ADDRESS:
            pending += list(op.operands)
    return needed


def _collect(block: Block, found: list[Value]) -> None:
    for view in block.operations:
        op = view.operation
        if op.name in ("scf.for", "scf.if"):
            found += list(op.operands)[: 3 if op.name == "scf.for" else 1]
        for region in op.regions:
            for inner in region.blocks:
                _collect(inner, found)
