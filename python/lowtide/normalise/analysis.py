"""What each operation of a linalg network is, as far as cutting it into layers needs to know."""

from __future__ import annotations

import math
from collections.abc import Iterator
from enum import Enum, auto

from lowtide.dtypes import DTYPE_BYTES, DType
from lowtide.errors import InputError
from lowtide.ir import (
    ArrayAttr,
    Block,
    DenseElementsAttr,
    DenseI64ArrayAttr,
    Module,
    Operation,
    RankedTensorType,
    ShapedType,
    StringAttr,
    Type,
    Value,
    func,
)


class Role(Enum):
    """How an operation takes part in a layer.

    ROOT: a layer is built around it (conv, dense, pool, gather). REDUCE: a reduction of one activation, which may be
    inlined. POINT: element by element. PAD, SLICE: a view with arithmetic. RESHAPE: a view for free. INSERT: writes a
    part of a tensor (concat). CONSTANT: known at compile time. EMPTY: no values. LOOP: an `scf` loop over slices, which
    MLIR's own tiling makes. SCALAR: index arithmetic that such a loop takes from outside.
    """

    ROOT = auto()
    REDUCE = auto()
    POINT = auto()
    PAD = auto()
    SLICE = auto()
    RESHAPE = auto()
    INSERT = auto()
    CONSTANT = auto()
    EMPTY = auto()
    LOOP = auto()
    SCALAR = auto()
    OTHER = auto()


_POINTWISE = (
    *("abs", "add", "broadcast", "ceil", "copy", "div", "div_unsigned", "elementwise", "erf", "exp", "fill", "floor"),
    *("log", "map", "max", "min", "mul", "negf", "powf", "reciprocal", "round", "rsqrt", "select", "sqrt", "square"),
    *("sub", "tanh", "transpose"),
)
"""Named linalg operations that are element by element."""
_NAMES = {
    Role.PAD: ("tensor.pad",),
    Role.SLICE: ("tensor.extract_slice",),
    Role.RESHAPE: ("tensor.collapse_shape", "tensor.expand_shape"),
    Role.INSERT: ("tensor.insert_slice",),
    Role.CONSTANT: ("arith.constant",),
    Role.EMPTY: ("tensor.empty", "bufferization.alloc_tensor"),
    Role.POINT: tuple(f"linalg.{word}" for word in _POINTWISE),
    Role.REDUCE: ("linalg.reduce",),
    Role.LOOP: ("scf.for", "scf.forall"),
    Role.SCALAR: ("affine.apply", "affine.max", "affine.min"),
}
_BY_NAME = {name: role for role, names in _NAMES.items() for name in names}


def role_of(op: Operation) -> Role:
    """The role of an operation at the top level of a network's function."""
    if op.name in _BY_NAME:
        return _BY_NAME[op.name]
    if op.name == "linalg.generic":
        return _role_of_generic(op)
    dialect = op.name.partition(".")[0]
    if dialect == "arith" and not any(isinstance(value.type, ShapedType) for value in op.results):
        return Role.SCALAR
    # of the named structured operations those that are not known are convolutions, products of matrices and pools
    return Role.ROOT if dialect == "linalg" else Role.OTHER


def _role_of_generic(op: Operation) -> Role:
    operations = [view.operation for view in op.regions[0].blocks[0].operations]
    names = {inner.name for inner in operations}
    reads = [inner for inner in operations if inner.name == "tensor.extract"]
    tables = [inner.operands[0] for inner in reads]
    if not any("reduction" in kind for kind in iterator_kinds(op)):
        # a gather: reads an activation anywhere, or a table at a place that depends on the loop as well as on data
        gathers = any(map(_depends_on_both, reads)) or not all(map(is_constant, tables))
        return Role.ROOT if tables and gathers else Role.POINT
    activations = [v for v in op.operands[:-1] if isinstance(v.type, RankedTensorType) and not is_constant(v)]
    # a sum of products with weights, a look-up or two activations is no reduction that could be inlined
    contraction = names & {"arith.muli", "arith.mulf"} and len(op.operands) > 2
    return Role.ROOT if contraction or tables or len(activations) > 1 else Role.REDUCE


def _depends_on_both(read: Operation) -> bool:
    """Whether where scalar code reads a table depends on the loop as well as on data."""
    pending, seen, data, place = list(read.operands)[1:], set[Value](), False, False
    while pending:
        value = pending.pop()
        if value in seen:
            continue
        seen.add(value)
        op = defining(value)
        data |= op is None
        place |= op is not None and op.name == "linalg.index"
        pending += [] if op is None else op.operands
    return data and place


def iterator_kinds(op: Operation) -> list[str]:
    """What each loop of a `linalg.generic` is, outermost first: `parallel` or `reduction` is in the text."""
    return [str(kind) for kind in ArrayAttr(op.attributes["iterator_types"])]


ELEMENTS: dict[str, DType] = {
    "i1": "bool",
    "i8": "int8",
    "ui8": "uint8",
    "i16": "int16",
    "i32": "int32",
    "i64": "int64",
    "f32": "float32",
}
ELEMENT_NAMES = {dtype: name for name, dtype in ELEMENTS.items()}
"""The element type of each dtype, as MLIR writes it."""


def defining(value: Value) -> Operation | None:
    """The operation that defines the value; None for a function argument."""
    owner = value.owner
    return None if isinstance(owner, Block) else owner.operation


def operations_in(block: Block) -> Iterator[Operation]:
    """The block's operations and those nested in them, in program order."""
    for view in block.operations:
        yield view.operation
        for region in view.operation.regions:
            for inner in region.blocks:
                yield from operations_in(inner)


def calls_in(function: func.FuncOp) -> list[func.CallOp]:
    """The calls of a function, in program order, those in loops, too."""
    views = (op.opview for op in operations_in(function.regions[0].blocks[0]))
    return [view for view in views if isinstance(view, func.CallOp)]


def is_constant(value: Value) -> bool:
    """True for the result of an `arith.constant`."""
    op = defining(value)
    return op is not None and op.name == "arith.constant"


def is_inline_constant(value: Value) -> bool:
    """True for a constant that is worth an instruction rather than a table: a scalar or a splat."""
    op = defining(value)
    if op is None or op.name != "arith.constant":
        return False
    attribute = op.attributes["value"]
    if not isinstance(value.type, RankedTensorType):
        return True
    return isinstance(attribute, DenseElementsAttr) and attribute.is_splat


def operands_of(op: Operation) -> Iterator[Value]:
    """Operands, and what the op's regions take from outside."""
    yield from op.operands
    for region in op.regions:
        for block in region.blocks:
            for view in block.operations:
                yield from (value for value in operands_of(view.operation) if _block_of(value).owner != op)


def _block_of(value: Value) -> Block:
    """The block whose argument the value is, or in which it is computed."""
    owner = value.owner
    return owner if isinstance(owner, Block) else owner.operation.block


def network_function(module: Module, stage: str, where: str | None = None) -> func.FuncOp:
    """The module's public function with a body.

    Raises:
        InputError: there isn't exactly one.
    """
    public = public_functions(module)
    if len(public) != 1:
        message = f"the module has {len(public)} public functions with a body, one is wanted"
        raise InputError(stage, message, where=where, remedy="mark helpers private; they are inlined")
    return public[0]


def public_functions(module: Module) -> list[func.FuncOp]:
    """The module's functions with a body that are not private."""
    functions = [view for view in module.body.operations if isinstance(view, func.FuncOp) and not view.is_external]
    return [f for f in functions if _is_public(f.operation)]


def _is_public(op: Operation) -> bool:
    name = "sym_visibility"
    return name not in op.attributes or StringAttr(op.attributes[name]).value == "public"


def users_of(value: Value, function_block: Block) -> list[Operation]:
    """The operations of the function's block that use the value, once for each use.

    A use inside an operation's region counts for that operation.
    """
    found: list[Operation] = []
    for use in value.uses:
        op = use.owner.operation
        while op.block != function_block:
            parent = op.parent
            assert parent is not None
            op = parent.operation
        found.append(op)
    return found


def element_dtype(element: Type) -> DType:
    """The numpy name of a signless MLIR element type."""
    return ELEMENTS[str(element)]


def bytes_of(value: Value) -> int:
    """Size in bytes of a tensor of static shape, its elements without gaps."""
    shaped = ShapedType(value.type)
    return math.prod(shaped.shape) * DTYPE_BYTES[element_dtype(shaped.element_type)]


def reduces_trailing(op: Operation) -> bool:
    """True for a reduction over the innermost dimensions only: one value for each row that follows in memory."""
    source = RankedTensorType(op.operands[0].type).shape
    if op.name == "linalg.reduce":
        reduced = {int(d) for d in DenseI64ArrayAttr(op.attributes["dimensions"])}
    else:
        reduced = {i for i, kind in enumerate(iterator_kinds(op)) if "reduction" in kind}
    # dimensions of one element do not separate rows in memory, whether they are reduced or not
    first = min((d for d in reduced if d < len(source) and source[d] > 1), default=len(source))
    return all(d in reduced or source[d] == 1 for d in range(first, len(source)))
