"""What the dialect's operations share: how they become executable, the module around a payload, and how they refuse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from lowtide.ir import (
    ArrayAttr,
    Attribute,
    BoolAttr,
    IntegerAttr,
    IntegerType,
    MemoryEffectInstancesList,
    MemoryEffectsOpInterface,
    Module,
    Operation,
    OpView,
    StringAttr,
    ext,
    transform,
)
from lowtide.normalise.form import LAYER, network_calls

MOST = (1 << 31) - 1
"""That a number of rows, channels or layers can be: kernels count in 32 bits."""
MOST_BYTES = (1 << 63) - 1
Apply = Callable[[Any, transform.TransformResults, transform.TransformState], transform.DiagnosedSilenceableFailure]
"""Carries out one operation of a script: the operation, where its results go, and what its handles mean."""


def number_in(attribute: Attribute, most: int = MOST) -> int | None:
    """The value of an integer attribute of at most 64 bits; None for another kind, a flag, or a value beyond ±most."""
    if isinstance(attribute, BoolAttr) or not isinstance(attribute, IntegerAttr):
        return None
    kind = attribute.type
    # the bindings have no value for a wider one, and a flag's is not its number
    if not isinstance(kind, IntegerType) or not 1 < kind.width <= 64:
        return None
    return attribute.value if -most <= attribute.value <= most else None


def numbers_in(attribute: ArrayAttr) -> list[int] | None:
    """The values of a list of integer attributes; None where one is none for `number_in`."""
    numbers = [number_in(element) for element in attribute]
    return None if None in numbers else [number for number in numbers if number is not None]


def objection_to_number(attribute: Attribute, what: str, *, zero: str = "") -> str:
    """What is wrong with an attribute that should be a number from 1, or from 0 where `zero` says what that means.

    Args:
        attribute: of any kind.
        what: what it is a number of, as the message goes on.
        zero: what 0 stands for; empty where it is no such number.
    """
    number = number_in(attribute)
    # without its type
    shown = str(attribute).split(" : ", maxsplit=1)[0]
    if number is None:
        return f"{shown} {what}; {MOST} or fewer are wanted"
    if number < (0 if zero else 1):
        return f"{shown} {what}; 1 or more are wanted" + (f", or 0 for {zero}" if zero else "")
    return ""


def make_executable(kind: type[ext.Operation], apply: Apply, *, consumes: bool = False) -> None:
    """Give an operation its transform interface in the current context.

    Args:
        kind: the operation's class; it changes the payload.
        apply: what it does.
        consumes: its handles mean nothing afterwards.
    """

    class Effects(MemoryEffectsOpInterface):
        @staticmethod
        def get_effects(op: OpView, effects: MemoryEffectInstancesList) -> None:
            (transform.consumes_handle if consumes else transform.only_reads_handle)(op.op_operands, effects)
            transform.produces_handle(op.results, effects)
            transform.modifies_payload(effects)

    class Interface(transform.TransformOpInterface):
        @staticmethod
        def apply(
            op: OpView,
            _rewriter: transform.TransformRewriter,
            results: transform.TransformResults,
            state: transform.TransformState,
        ) -> transform.DiagnosedSilenceableFailure:
            return apply(op, results, state)

        @staticmethod
        def allow_repeated_handle_operands(_op: OpView) -> bool:
            return False

    Interface.attach(kind.OPERATION_NAME)
    Effects.attach(kind.OPERATION_NAME)


def enclosing_module(op: Operation) -> Operation | None:
    """The innermost module that the operation is or is in."""
    inside: Operation | None = op
    while inside is not None and inside.name != "builtin.module":
        inside = inside.parent
    return inside


def refuse(op: OpView, message: str) -> transform.DiagnosedSilenceableFailure:
    """Stop the script with a message at the operation's place in it."""
    op.location.emit_error(f"'{op.name}': {message}")
    return transform.DiagnosedSilenceableFailure.DefiniteFailure


def module_of(op: Operation) -> Module:
    """A `builtin.module` operation as a module: the bindings have two classes for it, with the same properties."""
    return cast(Module, op.opview)


def network_of(layer: Operation) -> Module:
    """The module of an outlined network's layer."""
    module = enclosing_module(layer)
    assert module is not None, "functions are in modules"
    return module_of(module)


def objection_to_layers(chosen: Sequence[Operation], purpose: str) -> str:
    """What is wrong with a handle that should have layers for some purpose; empty where nothing is."""
    if not chosen:
        return f"the handle is empty: there is no layer to {purpose}"
    if any(LAYER not in layer.attributes or layer.name != "func.call" for layer in chosen):
        return "the handle has other operations than layers; take them from lowtide.layers"
    return ""


def objection_to_chain(chosen: Sequence[Operation]) -> str:
    """What is wrong with layers that are to be fused; empty where nothing is."""
    objection = objection_to_layers(chosen, "fuse")
    if objection:
        return objection
    if any(layer.block != chosen[0].block for layer in chosen):
        return "the handle has layers of several networks, or some that are in a loop already"
    if chosen[0].parent is not None and chosen[0].parent.name != "func.func":
        return f"layer '{StringAttr(chosen[0].attributes[LAYER]).value}' is in a loop already"
    return ""


def in_order(chosen: Sequence[Operation]) -> list[Operation]:
    """Layers of one network in the order in which it calls them, each once."""
    wanted = set(chosen)
    return [call for call in network_calls(network_of(chosen[0]), "transform") if call in wanted]
