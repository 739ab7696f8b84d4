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

    Raises:
        UsageError: a name is unknown, given twice, or not that of a tensor that an operator computes.
    """
    if len(set(names)) != len(names):
        raise UsageError("importer", "--until names a tensor twice", where=where)
    indices = {tensor.name: index for index, tensor in enumerate(model.tensors)}
    computed = [model.tensors[index] for index in sorted(model.producers()) if index >= 0]
    for name in names:
        if name not in {tensor.name for tensor in computed}:
            what = "is not computed by an operator" if name in indices else "is not in the model"
            raise UsageError(
                "importer", f"--until '{name}': this tensor {what}", where=where, remedy=_hint(name, computed)
            )
    cut = needed(replace(model, outputs=tuple(indices[name] for name in names)))
    used = {index for operator in cut.operators for index in operator.inputs}
    return replace(cut, inputs=tuple(index for index in cut.inputs if index in used))


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
