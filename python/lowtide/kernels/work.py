"""Counts what a kernel's loops do, on the loops themselves: emitted for the layer alone, and thrown away.

Counts and code come from the same emitter, so they cannot disagree. Only what the flow of control depends on is
evaluated: the bounds of loops and the conditions of branches, for all turns of the loops around them at once.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from lowtide.cost.work import BY_PIXELS, Counted, Work, Works
from lowtide.errors import InternalError
from lowtide.graph.nest import LayerBody
from lowtide.graph.rows import accumulating_body, accumulation_of
from lowtide.ir import (
    Block,
    F32Type,
    FunctionType,
    IndexType,
    InsertionPoint,
    IntegerAttr,
    IntegerType,
    Location,
    MemRefType,
    Module,
    Operation,
    RankedTensorType,
    StringAttr,
    Type,
    Value,
    VectorType,
    func,
    run_pipeline,
)
from lowtide.kernels.constants import Numbers, type_of
from lowtide.kernels.element import Part
from lowtide.kernels.intervals import Interval
from lowtide.kernels.library import GENERAL, KERNELS, WIDENED, How, kernel_name
from lowtide.kernels.scalar import index_constant
from lowtide.normalise.analysis import defining

_CLEAN_UP = "builtin.module(func.func(math-expand-ops{ops=roundeven,tanh},loop-invariant-code-motion,canonicalize,cse))"
_ADDRESS = "memref.extract_aligned_pointer_as_index"
NOTHING_CUT: Mapping[int, int] = MappingProxyType({})
Integers = npt.NDArray[np.int64]

_ARITHMETIC: Mapping[str, Callable[[Integers, Integers], Integers]] = {
    "arith.addi": np.add,
    "arith.subi": np.subtract,
    "arith.muli": np.multiply,
    "arith.divui": np.floor_divide,
    "arith.divsi": lambda a, b: np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b)),
    "arith.remui": np.remainder,
    "arith.remsi": np.fmod,
    "arith.ceildivsi": lambda a, b: -(-a // b),
    "arith.floordivsi": np.floor_divide,
    "arith.minsi": np.minimum,
    "arith.minui": np.minimum,
    "arith.maxsi": np.maximum,
    "arith.maxui": np.maximum,
    "arith.andi": np.bitwise_and,
    "arith.ori": np.bitwise_or,
    "arith.xori": np.bitwise_xor,
}
_COMPARISONS: Sequence[Callable[[Integers, Integers], npt.NDArray[np.bool_]]] = (
    np.equal,
    np.not_equal,
    np.less,
    np.less_equal,
    np.greater,
    np.greater_equal,
    lambda a, b: a.view(np.uint64) < b.view(np.uint64),
    lambda a, b: a.view(np.uint64) <= b.view(np.uint64),
    lambda a, b: a.view(np.uint64) > b.view(np.uint64),
    lambda a, b: a.view(np.uint64) >= b.view(np.uint64),
)
"""By the number of `arith.cmpi`'s predicate."""


@dataclass(frozen=True)
class _Frame:
    """The executions of a block, those with equal values of what control depends on together.

    Attributes:
        times: how often each of them runs.
        places: of each the number of that of the frame around which it is in.
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
        """Of a value in each execution of the current block, or one for all."""
        depth, found = self._known[value] if value in self._known else self._constant(value)
        for frame in self._frames[depth + 1 :]:
            if frame.places is not None and found.ndim:
                found = found[frame.places]
        return found

    def _constant(self, value: Value) -> tuple[int, Integers]:
        op = defining(value)
        if op is None or op.name != "arith.constant":
            raise InternalError("cost", "control depends on what is known only when the code runs", where=str(value))
        return 0, np.array(IntegerAttr(op.attributes["value"]).value, np.int64)

    def _evaluated(self, op: Operation) -> Integers:
        if op.name == "arith.constant":
            return self._constant(op.results[0])[1]
        if op.name == _ADDRESS:
            return np.zeros((), np.int64)  # a loop from one address to another: only their distance matters
        operands = [self._value(operand) for operand in op.operands]
        if op.name in ("arith.index_cast", "arith.index_castui", "arith.extsi", "arith.extui"):
            return operands[0]
        if op.name == "arith.select":
            return np.where(operands[0] != 0, operands[1], operands[2])
        if op.name == "arith.cmpi":
            compare = _COMPARISONS[IntegerAttr(op.attributes["predicate"]).value]
            return compare(np.asarray(operands[0], np.int64), np.asarray(operands[1], np.int64)).astype(np.int64)
        if op.name not in _ARITHMETIC:
            raise InternalError("cost", f"control depends on a value of '{op.name}'")
        return _ARITHMETIC[op.name](*operands)


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
        elif op.name != _ADDRESS:
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


_FREE = frozenset(
    (
        *("arith.constant", "arith.index_cast", "arith.index_castui", "arith.extsi", "arith.extui", "arith.trunci"),
        *("arith.bitcast", "func.return", "scf.yield", "memref.cast", "memref.collapse_shape", "memref.expand_shape"),
        *(_ADDRESS, "memref.alloca", "memref.subview", "memref.reinterpret_cast"),
        *("llvm.inttoptr", "llvm.getelementptr", "llvm.inline_asm", "llvm.mlir.constant"),
        *("llvm.mlir.poison", "llvm.intr.vector.insert", "llvm.intr.vector.extract"),
    )
)
"""What takes no instruction of its own."""
_MEMORY = {
    **dict.fromkeys(("memref.load", "llvm.load", "vector.load", "vector.transfer_read"), "loads"),
    **dict.fromkeys(("memref.store", "llvm.store", "vector.store", "vector.transfer_write"), "stores"),
}
_PRODUCTS = ("muli", "mulsi_extended", "mului_extended")
_HARD_FLOATS = ("divf", "remf", "sitofp", "uitofp", "fptosi", "fptoui")
WIDE = 64
"""Bits of what takes two registers."""
_CHOICES = frozenset(f"arith.{name}" for name in ("cmpi", "select", "minsi", "maxsi", "minui", "maxui"))
_DIVISIONS = frozenset(f"arith.{name}" for name in ("divui", "divsi", "remui", "remsi", "ceildivsi", "floordivsi"))
_EASY_FLOATS = frozenset(
    (
        *("arith.addf", "arith.subf", "arith.mulf", "arith.negf", "arith.cmpf", "math.fma"),
        *("arith.maximumf", "arith.minimumf", "arith.maxnumf", "arith.minnumf"),
    )
)
_INTRINSICS = {"smlad": "duals", "smla": "halves", "xta": "unpacks", "xtb": "unpacks"}
"""By a part of an intrinsic's name."""


def kind_of(op: Operation) -> str | None:
    """What an operation counts as, a name of `lowtide.cost.work.KINDS`; None for what is free."""
    name = op.name
    if name in _FREE:
        return None
    if name in _MEMORY:
        return _MEMORY[name]
    if name == "llvm.call_intrinsic":
        called = StringAttr(op.attributes["intrin"]).value
        return next((kind for part, kind in _INTRINSICS.items() if part in called), "vectors")
    types = [value.type for value in (*op.results, *op.operands)]
    if any(isinstance(kind, VectorType) for kind in types):
        return "vectors"
    if types and isinstance(types[0], IndexType):
        return "choices" if name in _CHOICES else "divisions" if name in _DIVISIONS else "indices"
    wide = any(isinstance(kind, IntegerType) and kind.width == WIDE for kind in types)
    word = name.partition(".")[2]
    tests = {
        ("wide_" if wide or word != "muli" else "") + "products": word in _PRODUCTS,
        ("wide_" if wide else "") + "divisions": name in _DIVISIONS,
        "floats": name in _EASY_FLOATS,
        "float_divisions": name.startswith("math.") or word in _HARD_FLOATS,
        "rotations": name == "llvm.intr.fshr",
        "wides": wide,
        "choices": name in _CHOICES,
    }
    return next((kind for kind, holds in tests.items() if holds), "sums")


def works_of(
    body: LayerBody, lanes: str, constants: Mapping[int, Interval], fixed: Collection[int], wanted: Counted
) -> Works:
    """What a layer's kernels do in one run over the whole layer, for each way in which they can go.

    Args:
        body: the layer.
        lanes: of the core, a name of `LANES`.
        constants: between which values those tensor arguments lie that are known.
        fixed: the numbers of the tensor arguments that are constants.
        wanted: which ways; the others are left out.
    """
    name = kernel_name(body)
    how = How(lanes, constants=constants)
    pulled = _counted(body, GENERAL, how, fixed)
    summed = _summed(body, how, fixed)
    if name == GENERAL:
        return Works(pulled, replace(pulled, form=pulled.form + BY_PIXELS), pulled, summed)
    pixels = None
    if wanted != "rows":
        cut = (1, 2) if len(body.result.shape) == 4 else ()
        ranges = {dimension: body.result.shape[dimension] for dimension in cut}
        pixels = _counted(body, name, how, fixed, ranges)
        pixels = replace(pixels, form=pixels.form + BY_PIXELS)
    works = Works(_counted(body, name, how, fixed), pixels, pulled, summed)
    nbytes = 0 if wanted == "rows" else _widened_bytes(body, lanes, fixed)
    if not nbytes:
        return works
    return replace(works, widened=_counted(body, WIDENED, how, fixed), widened_bytes=nbytes)


def _widened_bytes(body: LayerBody, lanes: str, fixed: Collection[int]) -> int:
    """What weights of 16 bits take more; 0 where the core is no faster with them, or the weights are no constant."""
    kernel = KERNELS[WIDENED]
    wanted = kernel.derived(body, lanes) if kernel.accepts(body) else ()
    found = [item for item in wanted if item.what == "widened" and item.argument in fixed]
    return sum(math.prod(RankedTensorType(body.arguments[item.argument]).shape) for item in found)


def _summed(body: LayerBody, how: How, fixed: Collection[int]) -> Work | None:
    """Of the calls that take an input by rows, as one that takes all."""
    accumulation = accumulation_of(body, set(range(len(body.arguments) - 1)) - set(fixed))
    if accumulation is None:
        return None
    taking = accumulating_body(body, accumulation)
    rows = accumulation.node.extents[accumulation.dimension]
    return _counted(taking, kernel_name(taking), how, fixed, {accumulation.dimension: rows}, reduces=True)


def _counted(
    body: LayerBody,
    kernel: str,
    how: How,
    fixed: Collection[int],
    cut: Mapping[int, int] = NOTHING_CUT,
    *,
    reduces: bool = False,
) -> Work:
    """Of the code for calls that cut these dimensions, of those extents, when one call goes through all of them."""
    emitter = KERNELS[kernel]
    context = body.arguments[0].context
    with context, Location.unknown(context):
        wanted = emitter.derived(body, how.lanes)
        values = [item.make(_zeros(body.arguments[item.argument])) for item in wanted if item.argument in fixed]
        made = [type_of(value) for value in values]
        own = [_buffer(kind) for kind in body.arguments]
        module = Module.create()
        with InsertionPoint(module.body):
            function = func.FuncOp("work", FunctionType.get([*own, *made], []))
        block = function.add_entry_block()
        arguments = list(block.arguments)
        with InsertionPoint(block):
            derived = arguments[len(own) :] if len(made) == len(wanted) else []
            ranges = {d: (index_constant(0), index_constant(extent)) for d, extent in cut.items()}
            part = Part(ranges, reduces, unit=next(iter(cut.values()))) if cut else None
            known = [[value] for value in values] if derived else []
            emitter.emit(body, arguments[: len(own)], replace(how, part=part, derived=derived, values=known))
            func.ReturnOp([])
        run_pipeline(module, _CLEAN_UP, stage="cost", error=InternalError)
        return Work(emitter.form(body), **Tally(block).counts)


def _buffer(kind: Type) -> MemRefType:
    tensor = RankedTensorType(kind)
    return MemRefType.get(tensor.shape, tensor.element_type)


def _zeros(kind: Type) -> Numbers:
    tensor = RankedTensorType(kind)
    return np.zeros(tensor.shape, np.float32 if isinstance(tensor.element_type, F32Type) else np.int8)
