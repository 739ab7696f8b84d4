"""TOSA → linalg on tensors, with the upstream passes of the MLIR bindings.

A cast from float to integer rounds in TOSA and truncates in LiteRT's CAST. The module attribute `lowtide.truncates` names
the tensors whose cast truncates.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lowtide.ir import ArrayAttr, Block, Module, Operation, StringAttr, run_pipeline
from lowtide.normalise.naming import first_name
from lowtide.passes import Pass

TRUNCATES = "lowtide.truncates"

PIPELINE = (
    "builtin.module("
    "func.func(tosa-infer-shapes,tosa-make-broadcastable,tosa-to-linalg-named,tosa-layerwise-constant-fold),"
    "tosa-attach-target{extensions=int16,int4,doubleround,inexactround level=none profiles=pro_int,pro_fp},"
    "func.func(tosa-to-linalg),"
    "func.func(tosa-to-arith{include-apply-rescale=true}),"
    "func.func(tosa-to-tensor),"
    "canonicalize,cse)"
)


def run(module: Module, _: Mapping[str, str]) -> None:
    """Lower every TOSA operation of the module; a module without any only loses foreign attributes."""
    attributes = module.operation.attributes
    run_pipeline(module, PIPELINE, stage="importer")
    if TRUNCATES in attributes:
        _truncate(module, {StringAttr(name).value for name in ArrayAttr(attributes[TRUNCATES])})
    for name in list(attributes):
        if name.startswith(("tosa.", "tfl.", "tf.")) or name == TRUNCATES:
            del attributes[name]


PASS = Pass("lowtide-import-tosa", "lower TOSA to linalg on tensors", run)


def _truncate(module: Module, names: set[str]) -> None:
    """Drop the rounding before `arith.fptosi` (which truncates) where a named tensor is computed."""
    for op in list(_operations(module.body)):
        if op.name == "math.roundeven" and first_name(op.location) in names:
            op.results[0].replace_all_uses_with(op.operands[0])
            op.erase()


def _operations(block: Block) -> Iterator[Operation]:
    for view in block.operations:
        yield view.operation
        for region in view.operation.regions:
            for inner in region.blocks:
                yield from _operations(inner)
