"""TOSA → linalg on tensors, with the upstream passes of the MLIR bindings."""

from __future__ import annotations

from collections.abc import Mapping

from lowtide.errors import InputError
from lowtide.importer.sums import merge_sums
from lowtide.ir import Module, func, run_pipeline
from lowtide.normalise.check import CUT
from lowtide.passes import Pass

STAGE = "importer"
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
    """Lower every TOSA operation of the module; a module without any only loses foreign attributes.

    Raises:
        InputError: an operation that MLIR can't lower, with MLIR's diagnostics.
    """
    attributes = module.operation.attributes
    try:
        run_pipeline(module, PIPELINE, stage=STAGE)
    except InputError as error:
        raise InputError(STAGE, error.message, remedy=CUT) from None
    for name in list(attributes):
        if name.startswith(("tosa.", "tfl.", "tf.")):
            del attributes[name]
    for view in module.body.operations:
        if isinstance(view, func.FuncOp) and not view.is_external:
            for block in view.regions[0].blocks:
                merge_sums(block)


PASS = Pass("lowtide-import-tosa", "lower TOSA to linalg on tensors", run)
