"""A network whose layers stay functions of their own, for measuring them one by one: never what is shipped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from lowtide.emission.emit import NO_INLINE
from lowtide.ir import (
    FlatSymbolRefAttr,
    InsertionPoint,
    Module,
    StringAttr,
    UnitAttr,
    func,
    has_value,
    make_context,
    parse_module,
    text_of,
)
from lowtide.network import Network
from lowtide.normalise.analysis import calls_in


@dataclass(frozen=True)
class Apart:
    """A network, and the symbol of each call of its body in the order of the code.

    Attributes:
        network: computes what the one it was made of computes, in the same arena.
        symbols: each names one call's function; functions that it calls are called `SYMBOL.NAME`.
    """

    network: Network
    symbols: tuple[str, ...]


def layers_apart(network: Network) -> Apart:
    """Give every call of the body a function of its own that is not inlined.

    Layers that share a function, and what those call, are copied, so that a symbol says which layer the code is of.
    The network is one that `prepare_body` accepts.
    """
    text = f"module {{\n{network.declared}\n{network.body}\n}}"
    module = parse_module(text, make_context(), f"{network.name}_body", stage="codegen")
    with module.context, module.operation.location:
        functions = {view.name.value: view for view in module.body.operations if isinstance(view, func.FuncOp)}
        entry = functions.pop(f"{network.name}_body")
        taken: set[str] = set()
        symbols: list[str] = []
        for number, call in enumerate(calls_in(entry)):
            symbols.append(f"layer_{number}")
            _copy_for(call, symbols[-1], functions, module, taken, whole=True)
        for function in functions.values():
            function.operation.erase()
        operations = [view.operation for view in module.body.operations]
        body = text_of(op for op in operations if op.name != "memref.global" or has_value(op))
    return Apart(replace(network, body=body), tuple(symbols))


def _copy_for(
    call: func.CallOp,
    symbol: str,
    functions: Mapping[str, func.FuncOp],
    module: Module,
    taken: set[str],
    *,
    whole: bool,
) -> None:
    """Let the call, which is of a `whole` layer or of what one calls, have a copy under that symbol."""
    name = call.callee.value
    call.operation.attributes["callee"] = FlatSymbolRefAttr.get(symbol)
    if symbol in taken:
        return
    taken.add(symbol)
    copy = functions[name].operation.clone(InsertionPoint(module.body))
    copy.attributes["sym_name"] = StringAttr.get(symbol)
    if whole:
        copy.attributes[NO_INLINE] = UnitAttr.get()
    view = copy.opview
    assert isinstance(view, func.FuncOp)
    layer = symbol.split(".", 1)[0]
    for inner in calls_in(view):
        _copy_for(inner, f"{layer}.{inner.callee.value}", functions, module, taken, whole=False)
