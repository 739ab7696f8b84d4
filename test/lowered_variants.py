"""Random variants of the operators that lowtide lowers to linalg itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from operator_nets import BYTES, FLOAT, INT8, INT32, UINT8, Draw, Variant

Build = Callable[[Draw, int], int]


def made(d: Draw, shape: Sequence[int], dtype: np.dtype[Any], typical: float) -> int:
    """An output whose scale is around the one that fills the output's range."""
    return d.tensor(shape, dtype, typical * d.factor(0.3, 3)) if dtype in BYTES else d.tensor(shape, dtype)


def _unary(name: str, typical: Callable[[float], float] = lambda scale: scale, **options: Any) -> Build:
    """An operator of one operand; `typical` gives the scale of its output by that of its operand."""

    def build(d: Draw, x: int) -> int:
        drawn = {key: value(d) for key, value in options.items()}
        return d.operator(name, (x,), made(d, d.of(x).shape, d.dtype(x), typical(d.scale_of(x))), drawn)

    return build


def _of_positive(name: str, typical: Callable[[float], float] = lambda scale: scale) -> Build:
    """An operator that is defined above 0: of a magnitude and a little if floats, of a zero point of -128 if int8."""
    build = _unary(name, typical)

    def of_magnitude(d: Draw, x: int) -> int:
        if d.dtype(x) == FLOAT:
            positive = d.operator("ABS", (x,), d.like(x))
            little = d.constant(np.array([0.01], np.float32))
            options = {"fused_activation_function": 0}
            return build(d, d.operator("ADD", (positive, little), d.like(x), options))
        inner = d.tensor(d.of(x).shape, INT8, d.scale_of(x) * d.factor(0.3, 1), -128)
        return build(d, d.operator("ABS", (x,), inner))

    return of_magnitude


def _chance(d: Draw) -> bool:
    return d.chance(0.5)


UNARY: dict[str, Variant] = {
    "ABS": Variant(_unary("ABS"), (FLOAT, INT8, INT8, INT32), nan=True),
    "SQUARE": Variant(_unary("SQUARE"), (FLOAT,), rounds=True),
    "EXP": Variant(_unary("EXP", lambda scale: 2 * scale), (FLOAT, INT8), rounds=True),
    "LOG": Variant(_of_positive("LOG", lambda _: 0.05), (FLOAT, INT8), rounds=True),
    "SIN": Variant(_unary("SIN"), (FLOAT,), rounds=True),
    "COS": Variant(_unary("COS"), (FLOAT,), rounds=True),
    "SQRT": Variant(_of_positive("SQRT", lambda scale: float(np.sqrt(scale)) / 16), (FLOAT, INT8), rounds=True),
    "RSQRT": Variant(_of_positive("RSQRT", lambda scale: float(np.sqrt(1 / scale)) / 256), (FLOAT, INT8), rounds=True),
    "ROUND": Variant(_unary("ROUND"), (FLOAT,), nan=True),
    "ELU": Variant(_unary("ELU"), (FLOAT, INT8), rounds=True),
    "GELU": Variant(_unary("GELU", approximate=_chance), (FLOAT, INT8, UINT8), rounds=True),
    "SIGN": Variant(_unary("SIGN"), (FLOAT, INT32)),
}
LOWERED: dict[str, Variant] = {**UNARY}
"""By the operator's name in the schema."""
