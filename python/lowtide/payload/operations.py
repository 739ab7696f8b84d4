"""The payload operations: layers, fused loops of layers, and the arena.

They say *what* is computed, in what order and where; `scf.for` and index arithmetic appear once, when code is emitted.

    %1 = "lowtide.layer"(%empty) ({ linalg, tensor, arith; lowtide.yield }) {kind = "conv", label = "model/conv1"}
    %2 = "lowtide.fused"() ({ layers }) {axis = "rows", rows = 1, columns = 0, recompute = [], direction = "forwards"}
    %3 = "lowtide.output"(%2) {layer = 2}
    "lowtide.arena"() {bytes = 5146, ..., buffers = [{name = "input_0", offset = 0, ...}, ...]}

What a layer reads its region takes from outside, and a loop has outputs of its own: IRDL has operands and results of
any number only where all are of one type.
"""

# No `from __future__ import annotations` here: the bindings read operands and attributes off the evaluated annotations.

from typing import Any

from lowtide.ir import (
    ArrayAttr,
    IntegerAttr,
    IsTerminatorTrait,
    Module,
    NoTerminatorTrait,
    StringAttr,
    ext,
)


class LowtideDialect(ext.Dialect, name="lowtide"):
    """The payload operations, and the steps of a plan as operations of a transform script (`lowtide_dialect`)."""

    @classmethod
    def definition(cls) -> Module:
        """The dialect in IRDL, from the operations' annotations; needs a current context."""
        return cls._emit_module()


class LayerOp(ext.Operation, dialect=LowtideDialect, name="layer"):
    """One layer: everything that one buffered tensor is computed from, down to other buffered tensors.

    The operand is the tensor whose place the result takes: an empty one, or, of a part of a concat, what other parts
    have written so far. Attributes that may be there: `kernel`, the one picked for it; `direction` of its loops;
    `part`, its number among the parts of concats.
    """

    destination: ext.Operand[Any]
    kind: StringAttr
    label: StringAttr
    body: ext.Region
    made: ext.Result[Any]


class YieldOp(ext.Operation, dialect=LowtideDialect, name="yield", traits=[IsTerminatorTrait]):
    """Ends a layer: what it computes."""

    value: ext.Operand[Any]


class FusedOp(ext.Operation, dialect=LowtideDialect, name="fused", traits=[NoTerminatorTrait]):
    """Layers that run together, some rows (or columns of a row, or channels) an iteration.

    `rows` are the rows (or channels) of an iteration, `columns` those of a row at a time (0: all); `recompute` numbers
    the layers in it, from 1, whose rows are recomputed for their one reader instead of kept in a line buffer. The
    result, of type `none`, stands for the loop.
    """

    axis: StringAttr
    rows: IntegerAttr
    columns: IntegerAttr
    recompute: ArrayAttr
    direction: StringAttr
    body: ext.Region
    loop: ext.Result[Any]


class OutputOp(ext.Operation, dialect=LowtideDialect, name="output"):
    """What others need of a fused loop: the tensor that one of its layers, numbered from 1, makes."""

    loop: ext.Operand[Any]
    layer: IntegerAttr
    value: ext.Result[Any]


class ArenaOp(ext.Operation, dialect=LowtideDialect, name="arena"):
    """Where the buffers lie: one dictionary each, offsets and sizes in bytes; `bound` is what no arena can be under.

    `alignment` is the least of any buffer, `keep_input` and `overlap` (flags) are what it was allocated for.
    """

    bytes: IntegerAttr
    bound: IntegerAttr
    alignment: IntegerAttr
    buffers: ArrayAttr
