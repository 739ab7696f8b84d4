"""What a loop may hold that MLIR's own tiling has made: it becomes one layer, whose code MLIR makes of it."""

from __future__ import annotations

from lowtide.ir import DenseElementsAttr, Operation, RankedTensorType
from lowtide.normalise.analysis import ELEMENTS
from lowtide.normalise.scalars import objection_to_scalar

_INDICES = frozenset(("affine.apply", "affine.max", "affine.min", "tensor.dim"))
_LOOPS = frozenset(("scf.for", "scf.forall", "scf.forall.in_parallel", "scf.yield"))
_TENSORS = frozenset(
    (
        *("bufferization.materialize_in_destination", "tensor.cast", "tensor.collapse_shape", "tensor.empty"),
        *("tensor.expand_shape", "tensor.extract_slice", "tensor.insert_slice", "tensor.pad"),
        *("tensor.parallel_insert_slice", "tensor.yield"),
    )
)


def objection_in_loop(op: Operation) -> str:
    """What a loop must not hold, if this operation, nested in it at any depth, is of that; empty where it is not."""
    for value in op.results:
        if isinstance(value.type, RankedTensorType) and str(value.type.element_type) not in ELEMENTS:
            return f"elements of type '{value.type.element_type}' ({op.name})"
    if op.name == "arith.constant" and isinstance(op.results[0].type, RankedTensorType):
        values = op.attributes["value"]
        splat = isinstance(values, DenseElementsAttr) and values.is_splat
        return "" if splat else "a constant tensor of its own; canonicalization moves it out"
    if op.name == "tensor.extract" and not RankedTensorType(op.operands[0].type).has_static_shape:
        return "a look-up in a slice whose size is known only when it runs"
    if op.name in _INDICES or op.name in _LOOPS or op.name in _TENSORS:
        return ""
    if op.name.startswith("linalg.") and len(op.regions):
        return "" if len(op.results) == 1 else f"'{op.name}' with {len(op.results)} results"
    objection = objection_to_scalar(op)
    return f"'{op.name}': {objection}" if objection else ""
