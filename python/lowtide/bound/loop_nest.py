"""Layers that are loops of MLIR's own tiling: MLIR makes plain loops on buffers of them, and lowtide lays those out.

No loop description covers them, so that they have one kernel, take no part in fused loops and share no byte with what
they read. What their slices are computed in between goes into buffers of the arena that live during the one call.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from lowtide.dtypes import DTYPE_BYTES, DType
from lowtide.errors import InputError
from lowtide.graph.nest import Shape
from lowtide.indexing.subscripts import dimension_of
from lowtide.ir import (
    Block,
    DenseElementsAttr,
    FunctionType,
    IndexType,
    InsertionPoint,
    IntegerAttr,
    MemRefType,
    Module,
    Operation,
    RankedTensorType,
    ShapedType,
    TypeAttr,
    Value,
    arith,
    bufferization,
    func,
    linalg,
    run_pipeline,
    tensor,
)
from lowtide.kernels.scalar import clamped
from lowtide.limits import check_tensor
from lowtide.normalise.analysis import Role, defining, element_dtype, iterator_kinds, operations_in, role_of
from lowtide.normalise.bounds import maps_of
from lowtide.normalise.form import terminator_of
from lowtide.normalise.naming import layer_name
from lowtide.normalise.outline import remap

STAGE = "loops"
_BUFFERISE = "builtin.module(one-shot-bufferize,canonicalize,cse,canonicalize)"
_GENERALISE = "builtin.module(func.func(scf-forall-to-for,linalg-generalize-named-ops,canonicalize))"
_LOOPS = (
    "builtin.module(func.func(convert-linalg-to-loops),fold-memref-alias-ops,func.func(lower-affine),"
    "canonicalize,cse,canonicalize)"
)
_PLAIN = frozenset(("scf.yield", "func.return", "memref.load", "memref.store", "memref.alloc"))
"""What may be left in the loops beside scalar code."""
_LARGEST_INDEX = (1 << 30) - 1
"""Largest number that its loops may count with: the sum of two still has 32 bits."""
_SIZES = "choose tile sizes that divide the loops, or peel the loop or pad its slices"


@dataclass(frozen=True, eq=False)
class LoopNest:
    """A layer as loops on buffers, to be copied to where its code is wanted.

    Attributes:
        function: takes the layer's inputs, its destination and its workspaces, all as dense memrefs; gives nothing.
        workspaces: shape and type of the elements of each buffer that the loops need for themselves.
        destination: shape of what it writes.
        macs: multiply-accumulates as executed; 0 where the size of a slice is known only when it runs.
        module: what the function is in; it goes with it.
    """

    function: func.FuncOp
    workspaces: tuple[tuple[Shape, DType], ...]
    destination: Shape
    macs: int
    module: Module


def nest_of(layer: func.FuncOp) -> LoopNest:
    """The loops of a layer.

    Args:
        layer: the function of tensors that computes it, the destination its last argument; stays as it is.

    Raises:
        InputError: MLIR can't make loops of it without copies of a size that is known only when it runs, or they would
            count beyond 32 bits.
    """
    returned = defining(terminator_of(layer.regions[0].blocks[0]).operands[0])
    assert returned is not None, "it ends in a loop"
    where = f"'{layer_name(returned)}' ({returned.name})"
    with layer.context, layer.location:
        module = Module.create()
        function = _on_buffers(layer, module)
    block = function.regions[0].blocks[0]
    destination = tuple(MemRefType(block.arguments[len(block.arguments) - 1].type).shape)
    _run(module, _BUFFERISE, where)
    with layer.context, layer.location:
        _replace_copies(block)
    # counted while multiplications are still in structured operations, whose loops say how often they run
    _run(module, _GENERALISE, where)
    macs = sum(_macs(op) for op in operations_in(block) if op.name == "linalg.generic")
    _run(module, _LOOPS, where)
    with layer.context, layer.location:
        _check(block, where)
        workspaces = _hoisted(function, where)
    return LoopNest(function, workspaces, destination, macs, module)


def _run(module: Module, pipeline: str, where: str) -> None:
    try:
        run_pipeline(module, pipeline, stage=STAGE)
    except InputError as error:
        message = f"MLIR makes no loops on buffers of it: {error.message}"
        raise InputError(STAGE, message, where=where, remedy="tile it another way") from None


def _on_buffers(layer: func.FuncOp, module: Module) -> func.FuncOp:
    """The layer as a function of memrefs that still computes on tensors."""
    block = layer.regions[0].blocks[0]
    tensors = [RankedTensorType(argument.type) for argument in block.arguments]
    types = [MemRefType.get(kind.shape, kind.element_type) for kind in tensors]
    with InsertionPoint(module.body):
        function = func.FuncOp("loops", FunctionType.get(types, []))
    entry = function.add_entry_block()
    with InsertionPoint(entry):
        *inputs, output = entry.arguments
        mapping: dict[Value, Value] = {}
        for argument, kind, buffer in zip(block.arguments, tensors, inputs, strict=False):
            mapping[argument] = bufferization.ToTensorOp(kind, buffer, restrict=True).result
        destination = bufferization.ToTensorOp(tensors[-1], output, restrict=True, writable=True).result
        operations = [view.operation for view in block.operations]
        for op in operations[:-1]:
            copy = op.clone(InsertionPoint.current)
            remap(copy, mapping)
            mapping.update(zip(op.results, copy.results, strict=True))
        result = mapping[operations[-1].operands[0]]
        for op in list(operations_in(entry)):
            _simplify(op)
        _start_from(result, destination)
        bufferization.MaterializeInDestinationOp(None, result, output, restrict=True, writable=True)
        func.ReturnOp([])
    return function


def _simplify(op: Operation) -> None:
    """A slice of a tensor without values is one of its own size; a constant of one value is filled in by code."""
    with op.location, InsertionPoint(op):
        if op.name == "tensor.extract_slice":
            owner, kind = defining(op.operands[0]), RankedTensorType(op.results[0].type)
            if owner is not None and owner.name == "tensor.empty" and kind.has_static_shape:
                op.results[0].replace_all_uses_with(tensor.empty(kind.shape, kind.element_type))
        elif op.name == "tensor.extract":
            # which element depends on data: as in all kernels, the nearest of those that there are
            for position, extent in enumerate(RankedTensorType(op.operands[0].type).shape, start=1):
                op.operands[position] = clamped(op.operands[position], extent)
        elif op.name == "arith.constant" and isinstance(op.results[0].type, RankedTensorType):
            kind = RankedTensorType(op.results[0].type)
            scalar = arith.constant(kind.element_type, DenseElementsAttr(op.attributes["value"]).get_splat_value())
            filled = linalg.fill(scalar, outs=[tensor.empty(kind.shape, kind.element_type)])
            op.results[0].replace_all_uses_with(filled)


def _start_from(result: Value, destination: Value) -> None:
    """Let the loops write where their result is wanted, instead of into a tensor of their own."""
    op = defining(result)
    while op is not None and (role_of(op) is Role.LOOP or op.name.startswith("linalg.")):
        # of both kinds of loops, and of structured operations, what the one result starts from comes last
        last = len(op.operands) - 1
        owner = defining(op.operands[last])
        if owner is not None and owner.name == "tensor.empty":
            op.operands[last] = destination
            return
        op = owner


def _hoisted(function: func.FuncOp, where: str) -> tuple[tuple[Shape, DType], ...]:
    """Make an argument of each buffer that MLIR allocates, as large as it is at most.

    Each is written before it is read wherever it was allocated, so that one serves all iterations.
    """
    block, found = function.regions[0].blocks[0], list[tuple[Shape, DType]]()
    for op in [op for op in operations_in(block) if op.name == "memref.alloc"]:
        kind, sizes = MemRefType(op.results[0].type), iter(op.operands)
        bounds = [_bound(next(sizes)) if ShapedType.is_dynamic_size(size) else size for size in kind.shape]
        shape = tuple(bound for bound in bounds if bound is not None)
        if len(shape) < len(bounds):
            message = f"a part of it needs a buffer of type '{kind}', whose size is known only when it runs"
            raise InputError(STAGE, message, where=where, remedy=_SIZES)
        check_tensor(math.prod(shape) * DTYPE_BYTES[element_dtype(kind.element_type)], where)
        found.append((shape, element_dtype(kind.element_type)))
        # nothing but loads and stores is left, for which the sizes of a buffer only say where its elements lie
        op.results[0].replace_all_uses_with(block.add_argument(MemRefType.get(shape, kind.element_type), op.location))
        op.erase()
    types = [argument.type for argument in block.arguments]
    function.operation.attributes["function_type"] = TypeAttr.get(FunctionType.get(types, []))
    return tuple(found)


def _bound(size: Value) -> int | None:
    """What the size of a tile is at most: the constant that tiling takes the minimum with; None where there is none."""
    op = defining(size)
    if op is None or op.name != "arith.minsi":
        return _number(size)
    return min((bound for bound in map(_bound, op.operands) if bound is not None), default=None)


def _replace_copies(block: Block) -> None:
    """A copy is a loop like all others: a microcontroller has no library for it."""
    for op in list(operations_in(block)):
        if op.name == "memref.copy":
            with op.location, InsertionPoint(op):
                linalg.copy(op.operands[0], outs=[op.operands[1]])
            op.erase()


def _macs(op: Operation) -> int:
    """MACs of a reduction that multiplies two of its inputs, else 0; 0, too, where the size of a slice is not known."""
    names = {view.operation.name for view in op.regions[0].blocks[0].operations}
    kinds = iterator_kinds(op)
    tensors = [operand for operand in op.operands if isinstance(operand.type, MemRefType)]
    if len(tensors) < 3 or not names & {"arith.muli", "arith.mulf"} or not any("reduction" in kind for kind in kinds):
        return 0
    extents: dict[int, int] = {}
    for amap, operand in zip(maps_of(op), op.operands, strict=True):
        shape = MemRefType(operand.type).shape if isinstance(operand.type, MemRefType) else []
        for expr, extent in zip(amap.results, shape, strict=True):
            dimension = dimension_of(expr)
            if dimension is not None:
                extents[dimension] = extent
    known = len(extents) == len(kinds) and not any(map(ShapedType.is_dynamic_size, extents.values()))
    return math.prod([*extents.values(), *(trips or 0 for trips in _trips(op))]) if known else 0


def _trips(op: Operation) -> Iterator[int | None]:
    """How often each loop around an operation runs its body; None where that is not constant."""
    parent = op.parent
    while parent is not None:
        if parent.operation.name == "scf.for":
            first, end, step = map(_number, list(parent.operation.operands)[:3])
            if first is None or end is None or step is None:
                yield None
            else:
                yield max(0, -((first - end) // step))
        parent = parent.operation.parent


def _number(value: Value) -> int | None:
    op = defining(value)
    return IntegerAttr(op.attributes["value"]).value if op is not None and op.name == "arith.constant" else None


def _check(block: Block, where: str) -> None:
    """Nothing is left but loops, scalar code, and loads and stores of whole buffers."""
    for op in operations_in(block):
        objection, remedy = _objection(op)
        if objection:
            raise InputError(STAGE, objection, where=where, remedy=remedy)


def _objection(op: Operation) -> tuple[str, str]:
    """What is wrong with an operation that MLIR has left, and the remedy; nothing is wrong where both are empty."""
    number = _number(op.results[0]) if len(op.results) and isinstance(op.results[0].type, IndexType) else None
    if number is not None and abs(number) > _LARGEST_INDEX:
        return f"its loops count with {number}, beyond a target's 32 bits", "choose smaller tiles"
    if op.name == "scf.for":
        if (_number(op.operands[2]) or 0) < 1:
            return "one of its loops does not go up by a constant", "choose tile sizes of 1 or more"
        if any(isinstance(value.type, MemRefType) for value in op.results):
            return "its iterations hand buffers on, one to the next", "tile it another way"
    elif op.name.partition(".")[0] not in ("arith", "math") and op.name not in _PLAIN:
        return f"MLIR leaves '{op.name}' in its loops, for which there is no code", "tile it another way"
    return "", ""
