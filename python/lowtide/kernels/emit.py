"""Replaces each layer's declaration by loops: the kernel that accepts the layer emits them."""

from __future__ import annotations

from collections.abc import Mapping

from lowtide.bufferise.bufferise import declared_functions, detach_layers
from lowtide.errors import InternalError
from lowtide.graph.read import read_layer
from lowtide.ir import InsertionPoint, Module, UnitAttr, func, run_pipeline
from lowtide.kernels.library import kernel_for
from lowtide.passes import Pass

# IREE's inliner honours only this spelling
CLEAN_UP = "builtin.module(func.func(math-expand-ops{ops=roundeven,tanh}),canonicalize,cse)"
NO_INLINE = "llvm.no_inline"


def run(module: Module, _: Mapping[str, str]) -> None:
    """Emit every layer's kernel; a kernel with several callers is kept as one function."""
    with module.context, module.operation.location:
        layers = detach_layers(module)
        block = layers.regions[0].blocks[0]
        bodies = {view.name.value: view for view in block.operations if isinstance(view, func.FuncOp)}
        callers = _callers(module)
        for declaration in declared_functions(module):
            name = declaration.name.value
            if name not in bodies:
                raise InternalError("kernels", f"layer '{name}' has no body")
            _define(declaration, bodies[name], shared=callers.get(name, 0) > 1)
        run_pipeline(module, CLEAN_UP, stage="kernels", error=InternalError)


PASS = Pass("lowtide-kernels", "replace each layer by its kernel's loops", run)


def _define(declaration: func.FuncOp, layer: func.FuncOp, shared: bool) -> None:
    with InsertionPoint(declaration), layer.location:
        function = func.FuncOp(declaration.name.value, declaration.type, visibility="private")
        if shared:
            function.operation.attributes[NO_INLINE] = UnitAttr.get()
        block = function.add_entry_block()
        with InsertionPoint(block):
            body = read_layer(layer)
            kernel_for(body).emit(body, list(block.arguments))
            func.ReturnOp([])
    declaration.operation.erase()


def _callers(module: Module) -> dict[str, int]:
    counts: dict[str, int] = {}
    for view in module.body.operations:
        if isinstance(view, func.FuncOp) and not view.is_external:
            for op in view.regions[0].blocks[0].operations:
                if isinstance(op, func.CallOp):
                    counts[op.callee.value] = counts.get(op.callee.value, 0) + 1
    return counts
