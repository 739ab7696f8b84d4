"""Applies transform scripts to modules: the one way in which plans are carried out."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import lowtide_dialect
from lowtide.alloc import STRATEGIES
from lowtide.bound.bind import Binder
from lowtide.errors import InputError
from lowtide.ir import (
    Context,
    Module,
    Operation,
    OpView,
    StringAttr,
    interpreter,
    make_context,
    parse_operation,
    read_module,
    run_pipeline,
    transform_diagnostics,
    verify,
)
from lowtide_dialect.payload import Session, new_session

STAGE = "transform"
MAIN = "__transform_main"
_SILENCEABLE = "silenceable failure"
_ALTERNATIVES = "all alternatives failed"
_WITH_SEQUENCES = "transform.with_named_sequence"


def make_transform_context() -> Context:
    """`lowtide.ir.make_context` with lowtide's transform dialect."""
    context = make_context()
    register(context)
    return context


def register(context: Context) -> None:
    """Let scripts in this context use lowtide's transform operations; does nothing the second time."""
    lowtide_dialect.register(context, tuple(STRATEGIES))


def apply_script(
    module: Module,
    script: str | Path,
    *,
    name: str = "<script>",
    check: Callable[[Operation], None] = lambda _: None,
    binder: Binder | None = None,
) -> None:
    """Apply the sequence `@__transform_main` of a script to a module, in place; the result is verified.

    Args:
        module: the payload; after an error it may be changed in part.
        script: the text, or the file that holds it.
        name: how messages call a script that is text.
        check: raises an error where it does not want the script's module to be applied.
        binder: the target's; a new one where there is none.

    Raises:
        InputError: the script can't be read or isn't valid, has no `@__transform_main`, or one of its steps fails.
    """
    register(module.context)
    script_module = _load(module.context, script, name)
    place = str(script) if isinstance(script, Path) else name
    check(script_module)
    sequence = _main_sequence(script_module, place)
    # operations of the dialect find the binder, and leave their reasons, in the session: MLIR carries neither
    with new_session(binder) as session:
        try:
            interpreter.apply_named_sequence(module, sequence, script_module)
        except ValueError as error:
            raise InputError(STAGE, _reason(transform_diagnostics(error), session)) from None
    verify(module, stage=STAGE)


def has_embedded_script(module: Module) -> bool:
    """Whether a module holds both a payload and the script `@__transform_main` for it."""
    if _WITH_SEQUENCES not in module.operation.attributes:
        return False
    names = [op.operation.name for op in module.body.operations]
    return _find_main(module.operation) is not None and any(name != "transform.named_sequence" for name in names)


def apply_embedded_script(module: Module) -> None:
    """Apply the `@__transform_main` that the module itself holds, as MLIR's `transform-interpreter` pass does.

    Raises:
        InputError: a step fails.
    """
    register(module.context)
    with script_in_passes():
        run_pipeline(module, "builtin.module(transform-interpreter)", stage=STAGE)


@contextmanager
def script_in_passes() -> Generator[None]:
    """Run passes inside the `with`: where MLIR's `transform-interpreter` is one of them, refusals say their reasons."""
    with new_session(None) as session:
        try:
            yield
        except InputError as error:
            error.message = _reason(error.message, session)
            raise


def _reason(diagnostics: str, session: Session) -> str:
    """MLIR's messages; where refusals that nothing recovered from have none there, what the operations say."""
    if session.refusals and _ALTERNATIVES in diagnostics:
        return "\n".join([*session.refusals, f"transform.alternatives: {_ALTERNATIVES}"])
    return session.refusals[-1] if session.refusals and _SILENCEABLE in diagnostics else diagnostics


def _load(context: Context, script: str | Path, name: str) -> Operation:
    if isinstance(script, Path):
        return read_module(script, context, stage=STAGE).operation
    return parse_operation(script, context, name, stage=STAGE).operation


def _main_sequence(script: Operation, place: str) -> OpView:
    if _WITH_SEQUENCES not in script.attributes:
        raise InputError(STAGE, f"the script's module lacks the attribute '{_WITH_SEQUENCES}'", where=place)
    main = _find_main(script)
    if main is None:
        raise InputError(STAGE, f"the script has no transform.named_sequence @{MAIN}", where=place)
    return main


def _find_main(module: Operation) -> OpView | None:
    for op in module.regions[0].blocks[0].operations:
        if op.operation.name == "transform.named_sequence" and StringAttr(op.attributes["sym_name"]).value == MAIN:
            return op
    return None
