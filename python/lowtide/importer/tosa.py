"""TOSA → linalg on tensors, with the upstream passes of the MLIR bindings."""

from __future__ import annotations

from collections.abc import Mapping

from lowtide.ir import Module, run_pipeline
from lowtide.passes import Pass

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
    for name in list(attributes):
        if name.startswith(("tosa.", "tfl.", "tf.")):
            del attributes[name]


PASS = Pass("lowtide-import-tosa", "lower TOSA to linalg on tensors", run)
