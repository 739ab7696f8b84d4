"""The part of a model that its outputs need, and `--until`: other tensors as the outputs."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import replace

from lowtide.errors import UsageError
from lowtide.importer.tflite.model import Model, Operator, Tensor

_SHOWN = 5


def needed(model: Model) -> Model:
    """Drops the operators that no output depends on. Inputs stay, used or not: they are the model's signature."""
    wanted = set(model.outputs)
    kept: list[Operator] = []
    for operator in reversed(model.operators):
        if wanted.intersection(operator.outputs):
            kept.append(operator)
            wanted.update(operator.inputs)
    return replace(model, operators=tuple(reversed(kept)))


def until(model: Model, names: Sequence[str], where: str) -> Model:
    """Makes the named tensors the outputs, in the order given; drops what they don't need, inputs included.

    Args:
        model: the whole network.
        names: each is a tensor's name in full or as lowtide prints it: see `_prints_as`.
        where: the file's name, for messages.

    Raises:
        UsageError: a name is unknown, short for several tensors, given twice, or not that of a tensor that an operator
            computes.
    """
    indices = tuple(_index(model, name, where) for name in names)
    if len(set(indices)) != len(indices):
        raise UsageError("importer", "--until names a tensor twice", where=where)
    states = model.outputs[len(model.own_outputs) :]
    cut = needed(replace(model, outputs=(*indices, *states)))
    used = {index for operator in needed(replace(model, outputs=indices)).operators for index in operator.inputs}
    remembered = model.inputs[len(model.own_inputs) :]
    return replace(cut, inputs=(*(index for index in cut.own_inputs if index in used), *remembered))


def _index(model: Model, name: str, where: str) -> int:
    """The computed tensor with this name, or else the one that is printed like this."""
    computed = sorted(index for index in model.producers() if index >= 0)
    found = [index for index in computed if model.tensors[index].name == name]
    found = found or [index for index in computed if _prints_as(model.tensors[index].name, name)]
    if len(found) == 1:
        return found[0]
    if found:
        full = ", ".join(f"'{model.tensors[index].name}'" for index in found[:_SHOWN])
        more = ", …" if len(found) > _SHOWN else ""
        message = f"--until '{name}' is short for {len(found)} tensors"
        raise UsageError("importer", message, where=where, remedy=f"write one in full: {full}{more}")
    what = "is not computed by an operator" if any(t.name == name for t in model.tensors) else "is not in the model"
    remedy = _hint(name, [model.tensors[index] for index in computed])
    raise UsageError("importer", f"--until '{name}': this tensor {what}", where=where, remedy=remedy)


def _prints_as(name: str, printed: str) -> bool:
    """Whether lowtide prints this tensor's name like that.

    A converter joins the names of operators that it fused by ";", and layers go by the first. Wherever the room is
    short, "…" stands for the middle of a name.
    """
    for form in (name, name.partition(";")[0]):
        if form == printed:
            return True
        for position in (at for at, letter in enumerate(printed) if letter == "…"):
            head, tail = printed[:position], printed[position + 1 :]
            if len(form) > len(head) + len(tail) and form.startswith(head) and form.endswith(tail):
                return True
    return False


def arguments(tensors: Iterable[Tensor]) -> str:
    """The `--until` arguments that name these tensors."""
    return " ".join(f"--until {tensor}" for tensor in tensors)


def _hint(name: str, computed: list[Tensor]) -> str:
    names = {tensor.name: tensor for tensor in computed}
    close = difflib.get_close_matches(name[:200], names, n=_SHOWN, cutoff=0.5)
    if close:
        return "close names are " + ", ".join(str(names[match]) for match in close)
    last = ", ".join(str(tensor) for tensor in computed[-_SHOWN:])
    return (
        f"name a tensor that an operator computes; the last ones are {last}" if last else "the model has no operators"
    )
