"""The file that the engines are asked about: a model's own, or the same network with its shapes computed beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from tflite import BuiltinOperator

from lowtide.errors import InputError
from lowtide.importer.tflite.customs import translate
from lowtide.importer.tflite.cut import needed, until as cut_until
from lowtide.importer.tflite.fold import fold
from lowtide.importer.tflite.given_shapes import Shapes, with_shapes
from lowtide.importer.tflite.model import Model, Operator
from lowtide.importer.tflite.operators import RESOURCES
from lowtide.importer.tflite.reader import read, read_others
from lowtide.importer.tflite.repair import unbatch
from lowtide.importer.tflite.stored_weights import plain_weights
from lowtide.importer.tflite.subgraphs import inlined
from lowtide.importer.tflite.writer import write

_REMEMBERING = (*RESOURCES, BuiltinOperator.UNIDIRECTIONAL_SEQUENCE_LSTM, BuiltinOperator.SVDF)


@dataclass(frozen=True)
class Question:
    """What is asked.

    Attributes:
        model: the network in `file`.
        file: a `.tflite` file.
        static: the same network with the batch 1 and all that follows from it computed, for an engine that refuses the
            file: LiteRT Micro has no REDUCE_PROD, say, with which exporters compute shapes. None where it is no other
            network or cannot be written.
    """

    model: Model
    file: bytes
    static: bytes | None = None


def question(data: bytes, until: Sequence[str], shapes: Shapes, where: str) -> Question:
    """What to ask about a model that is cut at `until` and has these shapes.

    It is the model's own file, unless the user asks for less of it or for other shapes; or weights are of a dynamic
    range, which LiteRT would quantise the activations for, too; or the file's shapes are not those of a batch of 1,
    which LiteRT Micro goes by.

    Raises:
        InputError, UsageError: the cut or the shapes do not fit the model.
    """
    model = read(data, where)
    if until or shapes or plain_weights(translate(model)) != model:
        static = _static(model, data, until, shapes, where)
        return Question(static, write(static))
    if any(operator.code in _REMEMBERING for operator in model.operators):
        # what they remember would not be in the file that is written
        return Question(model, data)
    try:
        static = _static(model, data, until, shapes, where)
    except InputError:
        # what makes it dynamic is for the compiler to refuse; the engines may still take it
        return Question(model, data)
    if not _shapes_hold(model, static):
        return Question(static, write(static))
    return Question(model, data, None if static.operators == model.operators else write(static))


def _static(model: Model, data: bytes, until: Sequence[str], shapes: Shapes, where: str) -> Model:
    model = inlined(model, partial(read_others, data, where), where)
    model = plain_weights(translate(with_shapes(model, shapes, where)))
    # the cut goes by operators of the file, before any is folded
    static = unbatch(needed(fold(cut_until(model, until, where) if until else model)), where)
    return replace(static, operators=tuple(_listed(operator) for operator in static.operators))


def _listed(operator: Operator) -> Operator:
    """TILE as a version that LiteRT's list of reference kernels has; the kernel is the same, bytes included."""
    return replace(operator, version=1) if operator.code == BuiltinOperator.TILE else operator


def _shapes_hold(model: Model, static: Model) -> bool:
    """Whether what the operators of `static` make has the shapes that the file says."""
    made = {index for operator in static.operators for index in operator.outputs if index < len(model.tensors)}
    return all(model.tensors[index].shape == static.tensors[index].shape for index in made)
