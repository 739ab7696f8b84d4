"""What the dialect's operations share: how they become executable, the module around a payload, and how they refuse."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, cast

from lowtide.bound.bind import Binder
from lowtide.errors import LowtideError
from lowtide.graph.fusion import Fusion
from lowtide.graph.row_schedule import UnschedulableError
from lowtide.ir import (
    ArrayAttr,
    Attribute,
    Context,
    MemoryEffectInstancesList,
    MemoryEffectsOpInterface,
    Module,
    Operation,
    OpResult,
    OpView,
    ext,
    place_of,
    transform,
)
from lowtide.kernels.microkernels import microkernels_of
from lowtide.limits import LARGEST_INDEX
from lowtide.normalise.form import FUSED, LAYER, body_of, integer_of, label_of, layers_in, network_layers
from lowtide.normalise.outline import outline_once
from lowtide.transform.fuse import fuse

MOST_BYTES = (1 << 63) - 1
Apply = Callable[[Any, transform.TransformResults, transform.TransformState], transform.DiagnosedSilenceableFailure]
"""Carries out one operation of a script: the operation, where its results go, and what its handles mean."""


def numbers_in(attribute: ArrayAttr) -> list[int] | None:
    """The values of a list of integer attributes; None where one is none for `integer_of`."""
    numbers = [integer_of(element) for element in attribute]
    return None if None in numbers else [number for number in numbers if number is not None]


def objection_to_number(attribute: Attribute, what: str, *, zero: str = "") -> str:
    """What is wrong with an attribute that should be a number from 1, or from 0 where `zero` says what that means.

    Args:
        attribute: of any kind.
        what: what it is a number of, as the message goes on.
        zero: what 0 stands for; empty where it is no such number.
    """
    number = integer_of(attribute)
    # without its type
    shown = str(attribute).split(" : ", maxsplit=1)[0]
    if number is None:
        return f"{shown} {what}; {LARGEST_INDEX} or fewer are wanted"
    if number < (0 if zero else 1):
        return f"{shown} {what}; 1 or more are wanted" + (f", or 0 for {zero}" if zero else "")
    return ""


_REWRITER: ContextVar[transform.TransformRewriter] = ContextVar("rewriter")
"""The rewriter of the operation that is being carried out: what it erases, no handle means any more."""


def cut_into_layers(module: Module) -> None:
    """`outline_once`, inside of an operation's `apply`; errors as there."""
    outline_once(module, _REWRITER.get().erase_op)


def make_executable(kind: type[ext.Operation], apply: Apply) -> None:
    """Give an operation its transform interface in the current context.

    Args:
        kind: the operation's class; it changes the payload, and its handles go on meaning what they did.
        apply: what it does.
    """

    class Effects(MemoryEffectsOpInterface):
        @staticmethod
        def get_effects(op: OpView, effects: MemoryEffectInstancesList) -> None:
            transform.only_reads_handle(op.op_operands, effects)
            transform.produces_handle(op.results, effects)
            transform.modifies_payload(effects)

    class Interface(transform.TransformOpInterface):
        @staticmethod
        def apply(
            op: OpView,
            rewriter: transform.TransformRewriter,
            results: transform.TransformResults,
            state: transform.TransformState,
        ) -> transform.DiagnosedSilenceableFailure:
            token = _REWRITER.set(rewriter)
            try:
                return apply(op, results, state)
            finally:
                _REWRITER.reset(token)

        @staticmethod
        def allow_repeated_handle_operands(_op: OpView) -> bool:
            return False

    Interface.attach(kind.OPERATION_NAME)
    Effects.attach(kind.OPERATION_NAME)


def _enclosing(op: Operation, name: str) -> Operation | None:
    """The innermost operation of that name that an operation is or is in."""
    inside: Operation | None = op
    while inside is not None and inside.name != name:
        parent = inside.parent
        inside = None if parent is None else parent.operation
    return inside


def enclosing_module(op: Operation) -> Operation | None:
    """The innermost module that the operation is or is in."""
    return _enclosing(op, "builtin.module")


def refuse(op: OpView, message: str) -> transform.DiagnosedSilenceableFailure:
    """Stop the script with a message at the operation's place in it: the script itself is wrong."""
    op.location.emit_error(f"'{op.name}': {message}")
    return transform.DiagnosedSilenceableFailure.DefiniteFailure


def decline(op: OpView, message: str) -> transform.DiagnosedSilenceableFailure:
    """Refuse a payload, which is as it was: `transform.alternatives` and `failures(suppress)` recover from it.

    MLIR has no message for it; where nothing recovers, who applies the script says the session's last one.
    """
    session().refusals.append(f"{place_of(op.location)}: error: '{op.name}': {message}")
    return transform.DiagnosedSilenceableFailure.SilenceableFailure


@dataclass
class Session:
    """What the operations of one script share.

    Attributes:
        binder: the distinct layers of the network; None until the first operation needs it.
        refusals: messages of those that `decline`.
    """

    binder: Binder | None = None
    refusals: list[str] = field(default_factory=list[str])


_SESSION: ContextVar[Session | None] = ContextVar("session", default=None)


@contextmanager
def new_session(binder: Binder | None) -> Generator[Session]:
    """Apply one script inside the `with`; its layers are those of this binder."""
    made = Session(binder)
    token = _SESSION.set(made)
    try:
        yield made
    finally:
        _SESSION.reset(token)


def session() -> Session:
    """That of the script which is being applied; a new one where MLIR applies it by itself."""
    return _SESSION.get() or Session()


def binder_of(module: Module) -> Binder:
    """The distinct layers of a network that a script rewrites."""
    current = session()
    if current.binder is None:
        current.binder = Binder(microkernels_of(module))
    return current.binder


def enclosing_network(op: Operation) -> Operation | None:
    """The innermost module around the operation, or the function, in none, that `transform.alternatives` has cloned."""
    return enclosing_module(op) or _enclosing(op, "func.func")


@dataclass(frozen=True)
class _Alone:
    """A function that is in no module, with what is asked of a module."""

    operation: Operation

    @property
    def context(self) -> Context:
        return self.operation.context

    @property
    def body(self) -> _Alone:
        return self

    @property
    def operations(self) -> list[OpView]:
        return [self.operation.opview]


def module_of(op: Operation) -> Module:
    """What `enclosing_network` gives, as a module: the bindings have two classes for it, with the same properties."""
    return cast(Module, _Alone(op) if op.name == "func.func" else op.opview)


def network_of(op: Operation) -> Module:
    """The module around an operation of a network, or the function that is in none."""
    module = enclosing_network(op)
    assert module is not None, "layers are in functions"
    return module_of(module)


def unknown_attribute(op: OpView, known: Collection[str]) -> str:
    """What is wrong where an operation has an attribute that means nothing to it; empty where nothing is."""
    wrong = [name for name in op.attributes if name not in known]
    return f"unknown attribute '{wrong[0]}'; it has {', '.join(sorted(known))}" if wrong else ""


def layers_behind(chosen: Sequence[Operation], purpose: str) -> list[Operation] | str:
    """The layers that the operations of a handle are, or belong to, each once, in the network's order.

    A network that has not been cut into layers is cut; its operations stay what they were, inside of layers.

    Args:
        chosen: layers, fused loops (which stand for their layers), or linalg operations and what is around them.
        purpose: what the layers are wanted for.

    Returns:
        what is wrong, where there are none.
    """
    if not chosen:
        return f"the handle is empty: there is no layer to {purpose}"
    modules = [enclosing_network(op) for op in chosen]
    module = modules[0]
    if module is None or any(other != module for other in modules):
        return "the handle has operations of several modules, or one outside of all"
    try:
        cut_into_layers(module_of(module))
        layers = network_layers(module_of(module), "transform")
    except LowtideError as error:
        return str(error)
    wanted: set[Operation] = set()
    for op in chosen:
        if op.name == FUSED:
            wanted.update(layers_in(body_of(op)))
            continue
        layer = _enclosing(op, LAYER)
        if layer is None:
            return f"the handle has '{op.name}', which is no layer and in none"
        wanted.add(layer)
    return [layer for layer in layers if layer in wanted]


def chain_behind(chosen: Sequence[Operation]) -> list[Operation] | str:
    """`layers_behind` of layers that are to be fused, which are in no loop yet."""
    layers = layers_behind(chosen, "fuse")
    if isinstance(layers, str):
        return layers
    for layer in layers:
        parent = layer.parent
        if parent is None or parent.name != "func.func":
            return f"layer '{label_of(layer)}' is in a loop already"
    return layers


def fuse_or_decline(
    op: OpView, loop: OpResult, results: transform.TransformResults, layers: Sequence[Operation], wanted: Fusion
) -> transform.DiagnosedSilenceableFailure:
    """Put layers into a loop, and let a result of the operation mean it."""
    module = network_of(layers[0])
    try:
        results.set_ops(loop, [fuse(module, layers, wanted, binder_of(module))])
    except UnschedulableError as reason:
        return decline(op, str(reason))
    return transform.DiagnosedSilenceableFailure.Success
