"""What is done with a module as a whole: a context for it, MLIR's passes and verifier, text and bytecode of it."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO

from torch_mlir.ir import Context, MLIRError, Module, Operation, OpView, StringAttr, TypeAttr
from torch_mlir.passmanager import PassManager

from lowtide.errors import InputError, LowtideError
from lowtide.ir.diagnostics import diagnostics_of


def make_context() -> Context:
    """A context with every dialect of the bindings loaded and unregistered ones refused; not entered."""
    context = Context()
    context.allow_unregistered_dialects = False
    # Diagnostics travel inside the exceptions, one message each.
    context.emit_error_diagnostics = False
    return context


def text_of(operations: Iterable[Operation], *, generic: bool = False) -> str:
    """Valid operations as text, without locations; verifying and numbering all around each would take quadratic time.

    `generic` is the form that MLIR of another day reads, too.
    """
    return "\n".join(
        operation.get_asm(print_generic_op_form=generic, use_local_scope=True, assume_verified=True)
        for operation in operations
    )


def has_value(constant: Operation) -> bool:
    """Whether a `memref.global` has its value here, and is not only declared."""
    return "initial_value" in constant.attributes


def declarations_of(constants: Iterable[Operation]) -> str:
    """Text that declares `memref.global` operations without their values."""
    named = ((StringAttr(op.attributes["sym_name"]).value, TypeAttr(op.attributes["type"]).value) for op in constants)
    return "\n".join(f'memref.global "private" @{name} : {kind}' for name, kind in named)


def bytecode_of(module: Module) -> bytes:
    """The module as bytecode, its operations' places included."""
    buffer = BytesIO()
    module.operation.write_bytecode(buffer)
    return buffer.getvalue()


def run_pipeline(
    module: Module | Operation | OpView,
    pipeline: str,
    *,
    stage: str = "mlir",
    error: type[LowtideError] = InputError,
) -> None:
    """Run upstream passes in place, verifying after each.

    Args:
        module: what the pipeline is anchored on.
        pipeline: textual, e.g. `builtin.module(canonicalize,func.func(cse))`.
        stage: the stage to name in the error.
        error: the class to raise where a pass or the verifier refuses.

    Raises:
        LowtideError: of class `error`, with MLIR's located diagnostics.
        ValueError: the pipeline text is malformed or names an unknown pass.
    """
    operation = module.operation
    manager = PassManager.parse(pipeline, operation.context)
    manager.enable_verifier(True)
    try:
        manager.run(operation)
    except MLIRError as failure:
        raise error(stage, diagnostics_of(failure)) from None


def verify(module: Module | Operation | OpView, *, stage: str, error: type[LowtideError] = InputError) -> None:
    """Raise `error` with MLIR's diagnostics if the IR breaks an invariant."""
    try:
        sound = module.operation.verify()
    except MLIRError as failure:
        raise error(stage, diagnostics_of(failure)) from None
    if not sound:
        raise error(stage, "the IR does not verify")
