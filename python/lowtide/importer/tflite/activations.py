"""Fused activations that LiteRT knows by name and computes nothing for."""

from __future__ import annotations

from dataclasses import replace

from tflite import ActivationFunctionType, BuiltinOperator

from lowtide.importer.tflite.model import Model, Operator

_OPTION = "fused_activation_function"
_IDLE = (ActivationFunctionType.TANH, ActivationFunctionType.SIGN_BIT)
_B = BuiltinOperator
_BOUNDED = {
    _B.CONV_2D, _B.DEPTHWISE_CONV_2D, _B.TRANSPOSE_CONV, _B.FULLY_CONNECTED, _B.AVERAGE_POOL_2D, _B.MAX_POOL_2D,
    _B.L2_POOL_2D, _B.ADD, _B.SUB, _B.MUL, _B.DIV,
}  # fmt: skip
"""Operators whose activation LiteRT computes as bounds of the output."""


def without_idle_activations(model: Model) -> Model:
    """The model without the fused activations TANH and SIGN_BIT, where LiteRT bounds nothing by them."""
    return replace(model, operators=tuple(_plain(operator) for operator in model.operators))


def _plain(operator: Operator) -> Operator:
    if operator.code not in _BOUNDED or operator.options.get(_OPTION, 0) not in _IDLE:
        return operator
    return replace(operator, options={**operator.options, _OPTION: ActivationFunctionType.NONE})
