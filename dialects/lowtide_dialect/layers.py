"""`lowtide.layers`: handles to a network's layers, by number. See layers.md."""

# No `from __future__ import annotations` here: the bindings read operands and attributes off the evaluated annotations.

from lowtide.errors import LowtideError
from lowtide.ir import (
    ArrayAttr,
    Attribute,
    Module,
    Operation,
    StringAttr,
    ext,
    transform,
)
from lowtide.normalise.form import label_of, network_layers
from lowtide_dialect.dialect import LowtideDialect
from lowtide_dialect.payload import (
    cut_into_layers,
    decline,
    enclosing_network,
    make_executable,
    module_of,
    numbers_in,
    refuse,
    unknown_attribute,
)

KNOWN = ("numbers", "names", "kinds")


class LayersOp(ext.Operation, dialect=LowtideDialect, name="layers"):
    """Cuts the network of a module into layers, where that has not been done, and gives a handle to some of them.

    One attribute says which: `numbers` in the network's order, from 1, those in loops counted too; `names`; `kinds`
    (conv, depthwise, dense, pool, gather, concat, reduce, map, loop). Without one, all.
    """

    target: ext.Operand[transform.AnyOpType | transform.OperationType]
    layers: ext.Result[transform.AnyOpType]


def attach() -> None:
    """Make the operation executable in the current context."""
    make_executable(LayersOp, _apply)


def _apply(
    op: LayersOp, results: transform.TransformResults, state: transform.TransformState
) -> transform.DiagnosedSilenceableFailure:
    given = [name for name in KNOWN if name in op.attributes]
    objection = unknown_attribute(op, KNOWN) or ("give one of numbers, names, kinds" if len(given) > 1 else "")
    wanted = _wanted(given[0], op.attributes[given[0]]) if given else []
    if objection or wanted is None:
        return refuse(op, objection or f"the {given[0]} are not a list of {_LISTED[given[0]]}")
    targets = state.get_payload_ops(op.target)
    if len(targets) != 1:
        return refuse(op, f"the handle has {len(targets)} operations; one module is wanted")
    operation = enclosing_network(targets[0].operation)
    if operation is None:
        return refuse(op, f"'{targets[0].name}' is not inside a module")
    try:
        module: Module = module_of(operation)
        cut_into_layers(module)
        layers = network_layers(module, "transform")
    except LowtideError as error:
        return decline(op, str(error))
    chosen: list[Operation] = [] if given else layers
    for word in wanted:
        found = [layer for number, layer in enumerate(layers, start=1) if _matches(given[0], word, number, layer)]
        if not found:
            return decline(op, f"there is no layer {word!r}: the network has {_there_are(given[0], layers)}")
        chosen += found
    results.set_ops(op.layers, chosen)
    return transform.DiagnosedSilenceableFailure.Success


_LISTED = {"numbers": "integers", "names": "texts", "kinds": "texts"}


def _wanted(name: str, attribute: Attribute) -> list[int] | list[str] | None:
    if not isinstance(attribute, ArrayAttr):
        return None
    if name == "numbers":
        return numbers_in(attribute)
    words = [element.value for element in attribute if isinstance(element, StringAttr)]
    return words if len(words) == len(attribute) else None


def _matches(name: str, word: int | str, number: int, layer: Operation) -> bool:
    match name:
        case "numbers":
            return number == word
        case "names":
            return label_of(layer) == word
        case _:
            return StringAttr(layer.attributes["kind"]).value == word


def _there_are(name: str, layers: list[Operation]) -> str:
    match name:
        case "numbers":
            return f"{len(layers)}"
        case "names":
            return ", ".join(f"'{label_of(layer)}'" for layer in layers)
        case _:
            return ", ".join(sorted({StringAttr(layer.attributes["kind"]).value for layer in layers}))
