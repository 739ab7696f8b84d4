"""Where LiteRT Micro and LiteRT differ, and which of them is right (docs/oracle.md has the table)."""

from __future__ import annotations

from collections.abc import Sequence

from tflite import ActivationFunctionType, BuiltinOperator, TensorType

from lowtide.emulate.oracle import ENGINES, Answer
from lowtide.importer.tflite.model import Model, Operator, Quantization


def decisive_engine(model: Model) -> str | None:
    """The engine to ask first where LiteRT Micro's result is not what an operator is defined to be; None elsewhere."""
    return "litert" if any(_micro_deviates(model, operator) for operator in model.operators) else None


def _micro_deviates(model: Model, operator: Operator) -> bool:
    activation = operator.options.get("fused_activation_function", ActivationFunctionType.NONE)
    if operator.code == BuiltinOperator.ADD and model.tensors[operator.outputs[0]].type == TensorType.INT32:
        # Micro leaves the activation out
        return activation != ActivationFunctionType.NONE
    source, made = (_quantization(model, places) for places in (operator.inputs, operator.outputs))
    if source is None or made is None:
        return False
    match operator.code:
        case BuiltinOperator.RELU6:
            # Micro clamps the stored bytes and does not rescale them
            return (source.scales, source.zero_points) != (made.scales, made.zero_points)
        case BuiltinOperator.TANH:
            # Micro computes in 1/128 around 0 whatever the file says of the output
            own = (made.scales, made.zero_points) == ((1 / 128,), (0,))
            return model.tensors[operator.outputs[0]].type == TensorType.INT8 and not own
        case BuiltinOperator.SPACE_TO_BATCH_ND:
            # Micro pads with the byte 0, whatever number that stands for
            return source.zero_points != (0,)
        case _:
            return False


def _quantization(model: Model, places: Sequence[int]) -> Quantization | None:
    return model.tensors[places[0]].quantization if places and places[0] >= 0 else None


def explained(answer: Answer) -> str:
    """The engine's name and, where it is not LiteRT Micro on the file itself, why."""
    if answer.static:
        return f"{answer.title}, with shapes computed beforehand (the file: {answer.refusals[-1][1]})"
    if answer.engine == "micro":
        return answer.title
    why = "; ".join(f"{title}: {reason}" for title, reason in answer.refusals)
    if not why:
        micro = ENGINES["micro"]
        why = f"{micro.title} {'deviates from the definition here' if micro.installed else 'is not installed'}"
    return f"{answer.title} ({why})"
