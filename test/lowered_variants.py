"""Random variants of the operators that lowtide lowers to linalg itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from indexing_variants import INDEXING
from operator_nets import BOOL, BYTES, FLOAT, INT8, INT32, INT64, UINT8, Draw, NotDrawnError, Variant

_ONLY_LITERT = ("EXP", "LOG", "SQRT", "GELU")
"""Operators whose 8-bit forms LiteRT Micro does not have."""
Build = Callable[[Draw, int], int]


def made(d: Draw, shape: Sequence[int], dtype: np.dtype[Any], typical: float) -> int:
    """An output whose scale is around the one that fills the output's range."""
    return d.tensor(shape, dtype, typical * d.factor(0.3, 3)) if dtype in BYTES else d.tensor(shape, dtype)


def _unary(name: str, typical: Callable[[float], float] = lambda scale: scale, **options: Any) -> Build:
    """An operator of one operand; `typical` gives the scale of its output by that of its operand."""

    def build(d: Draw, x: int) -> int:
        drawn = {key: value(d) for key, value in options.items()}
        d.alone |= name in _ONLY_LITERT and d.dtype(x) in BYTES
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


def _operand(d: Draw, x: int, **scale: float) -> int:
    """Another operand whose shape goes with that of x: the same, or with extents of 1."""
    whole = d.chance(0.5)
    shape = [extent if whole or d.chance(0.6) else 1 for extent in d.of(x).shape]
    return (d.filled if d.chance(0.3) else d.input)(shape, d.dtype(x), **scale)


def _pair(name: str, typical: Callable[[float, float], float], **options: Any) -> Build:
    """An operator of two operands, in either order if there is no second scale to fit."""

    def build(d: Draw, x: int) -> int:
        scale = {"scale": d.scale_of(x) * d.factor(0.5, 2)} if d.chance(0.5) else {}
        y = _operand(d, x, **scale)
        drawn = {key: value(d) for key, value in options.items()}
        output = made(d, d.of(x).shape, d.dtype(x), typical(d.scale_of(x), d.scale_of(y)))
        return d.operator(name, (x, y), output, drawn)

    return build


def _compared(name: str) -> Build:
    def build(d: Draw, x: int) -> int:
        if d.scale_of(x) >= 1 and d.dtype(x) in BYTES:
            raise NotDrawnError
        scale = {"scale": d.scale_of(x)} if d.chance(0.5) else {"scale": d.factor(0.003, 0.9)}
        y = _operand(d, x, **(scale if d.dtype(x) in BYTES else {}))
        return d.operator(name, (x, y) if d.chance(0.5) else (y, x), d.tensor(d.of(x).shape, BOOL))

    return build


def _divided(name: str) -> Build:
    """A division by something far from 0: a constant without it, or a magnitude and a little."""

    def build(d: Draw, x: int) -> int:
        dtype = d.dtype(x)
        if dtype in BYTES:
            zero = int(np.iinfo(dtype).min) if d.chance(0.7) else int(np.iinfo(dtype).max)
            shape = d.of(x).shape
            values = d.rng.integers(np.iinfo(dtype).min + 1, np.iinfo(dtype).max, shape).astype(dtype)
            y = d.constant(values, d.factor(0.01, 1), zero)
            # LiteRT's shifts stay below 32, beyond which C does not define them
            typical = d.scale_of(x) / d.scale_of(y) / d.factor(220, 1000)
        elif dtype == INT32:
            values = d.rng.integers(1, 50, d.of(x).shape) * d.rng.choice([-1, 1], d.of(x).shape)
            y, typical = d.constant(values.astype(np.int32)), 1.0
        else:
            y, typical = d.constant(d.rng.choice(np.array([0.3, -1.7, 5.0, -0.25], np.float32), d.of(x).shape)), 1.0
        options = {"fused_activation_function": d.pick((0, 0, 1, 2, 3))} if name == "DIV" else {}
        return d.operator(name, (x, y), made(d, d.of(x).shape, dtype, typical), options)

    return build


def _logical(name: str, *, pair: bool) -> Build:
    def build(d: Draw, x: int) -> int:
        return d.operator(name, (x, _operand(d, x)) if pair else (x,), d.tensor(d.of(x).shape, BOOL))

    return build


def _chosen(name: str) -> Build:
    def build(d: Draw, x: int) -> int:
        shape = d.of(x).shape
        other = d.input(shape, d.dtype(x), **({"scale": d.scale_of(x)} if d.dtype(x) in BYTES else {}))
        given = shape if d.chance(0.5) else shape[:1] if name == "SELECT" else [1] * len(shape)
        return d.operator(name, (d.input(given, BOOL), x, other), d.like(x))

    return build


def _sum_of_all(d: Draw, x: int) -> int:
    others = [d.input(d.of(x).shape, d.dtype(x)) for _ in range(d.number(1, 4))]
    for other in others:
        tensor = d.of(other)
        d.net.tensors[other] = replace(tensor, quantization=d.of(x).quantization)
    return d.operator("ADD_N", (x, *others), made(d, d.of(x).shape, d.dtype(x), d.scale_of(x) * 2))


COMPARISONS = ("EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL")
_COMPARED = (FLOAT, INT8, INT8, UINT8, INT32, INT64)
BINARY: dict[str, Variant] = {
    **{name: Variant(_compared(name), _COMPARED, nan=True) for name in COMPARISONS},
    "LOGICAL_AND": Variant(_logical("LOGICAL_AND", pair=True), (BOOL,)),
    "LOGICAL_OR": Variant(_logical("LOGICAL_OR", pair=True), (BOOL,)),
    "LOGICAL_NOT": Variant(_logical("LOGICAL_NOT", pair=False), (BOOL,)),
    "SELECT": Variant(_chosen("SELECT"), (FLOAT, INT8, UINT8, INT32, INT64, BOOL), nan=True),
    "SELECT_V2": Variant(_chosen("SELECT_V2"), (FLOAT, INT8, UINT8, INT32, INT64, BOOL), nan=True),
    "DIV": Variant(_divided("DIV"), (FLOAT, INT8, INT8, UINT8, INT32), rounds=True),
    "FLOOR_DIV": Variant(_divided("FLOOR_DIV"), (FLOAT, INT32)),
    "FLOOR_MOD": Variant(_divided("FLOOR_MOD"), (FLOAT, INT32), rounds=True),
    "ADD_N": Variant(_sum_of_all, (FLOAT, INT8, INT32), rounds=True),
    "SQUARED_DIFFERENCE": Variant(
        _pair("SQUARED_DIFFERENCE", lambda first, second: max(first, second) ** 2 * 50),
        (FLOAT, INT8, INT32),
        rounds=True,
    ),
}


def _axes(d: Draw, rank: int) -> list[int]:
    """Some axes, counted from either end, at times one of them twice."""
    axes = d.rng.permutation(rank)[: d.number(1, rank)].tolist()
    if d.chance(0.1):
        axes.append(axes[0])
    return [axis - rank if d.chance(0.2) else axis for axis in axes]


def _reduced(name: str, typical: Callable[[float, int], float] = lambda scale, _: scale) -> Build:
    """A reduction; `typical` gives the scale of its output by that of its operand and how many it makes one of."""

    def build(d: Draw, x: int) -> int:
        shape = d.of(x).shape
        axes, keeps = _axes(d, len(shape)), d.chance(0.5)
        unique = {axis % len(shape) for axis in axes}
        left = [1 if i in unique else size for i, size in enumerate(shape) if keeps or i not in unique]
        count = int(np.prod([shape[axis] for axis in unique]))
        d.alone |= name == "SUM" and d.dtype(x) in BYTES
        output = made(d, left, d.dtype(x), typical(d.scale_of(x), count))
        return d.operator(name, (x, d.numbers(axes)), output, {"keep_dims": keeps})

    return build


def _place(name: str) -> Build:
    def build(d: Draw, x: int) -> int:
        shape = d.of(x).shape
        axis = d.number(0, len(shape) - 1)
        left = [size for i, size in enumerate(shape) if i != axis]
        kind = {INT32: 2, INT64: 4}
        dtype = d.pick((INT32, INT32, INT64))
        named = d.constant(np.array(axis - len(shape) if d.chance(0.3) else axis, np.int32))
        return d.operator(name, (x, named), d.tensor(left, dtype), {"output_type": kind[dtype]})

    return build


def _running(d: Draw, x: int) -> int:
    shape = d.of(x).shape
    axis = d.number(-len(shape), len(shape) - 1)
    options = {"exclusive": _chance(d), "reverse": _chance(d)}
    output = made(d, shape, d.dtype(x), d.scale_of(x) * shape[axis])
    return d.operator("CUMSUM", (x, d.constant(np.array(axis, np.int32))), output, options)


def _normalised(d: Draw, x: int) -> int:
    shape, dtype = d.of(x).shape, d.dtype(x)
    output = d.tensor(shape, INT8, 1 / 128, 0) if dtype == INT8 else d.tensor(shape, dtype)
    return d.operator("L2_NORMALIZATION", (x,), output, {"fused_activation_function": 0})


REDUCTIONS: dict[str, Variant] = {
    "SUM": Variant(_reduced("SUM", lambda scale, count: scale * count**0.7), (FLOAT, INT8, INT8, INT32), rounds=True),
    "REDUCE_PROD": Variant(_reduced("REDUCE_PROD"), (INT32,)),
    "REDUCE_ALL": Variant(_reduced("REDUCE_ALL"), (BOOL,)),
    "REDUCE_ANY": Variant(_reduced("REDUCE_ANY"), (BOOL,)),
    "ARG_MAX": Variant(_place("ARG_MAX"), (FLOAT, INT8, UINT8, INT32), nan=True),
    "ARG_MIN": Variant(_place("ARG_MIN"), (FLOAT, INT8, UINT8, INT32), nan=True),
    "CUMSUM": Variant(_running, (FLOAT, INT8, INT8, INT32), rounds=True),
    "L2_NORMALIZATION": Variant(_normalised, (FLOAT, INT8), rounds=True),
}


def _softmax(d: Draw, x: int) -> int:
    """Of any beta, of int8 also to int16."""
    shape, dtype = d.of(x).shape, d.dtype(x)
    beta = d.pick((0.5, 2.0, float(np.float32(d.factor(0.1, 8)))))
    zero = {INT8: -128, UINT8: 0}
    if dtype == INT8 and d.chance(0.4):
        output = d.net.tensor("wide", shape, np.int16, 1 / 65536, -32768)
        d.alone = True
    else:
        output = d.tensor(shape, dtype, 1 / 256, zero[dtype]) if dtype in zero else d.tensor(shape, dtype)
    return d.operator("SOFTMAX", (x,), output, {"beta": beta})


def _log_softmax(d: Draw, x: int) -> int:
    shape, dtype = d.of(x).shape, d.dtype(x)
    output = d.tensor(shape, INT8, 1 / 16, 127) if dtype == INT8 else d.tensor(shape, dtype)
    return d.operator("LOG_SOFTMAX", (x,), output)


SOFTMAX: dict[str, Variant] = {
    "SOFTMAX_OF_ANY_BETA": Variant(_softmax, (FLOAT, INT8, INT8, UINT8), rounds=True),
    "LOG_SOFTMAX": Variant(_log_softmax, (FLOAT, INT8, INT8), rounds=True),
}
LOWERED: dict[str, Variant] = {**UNARY, **BINARY, **REDUCTIONS, **INDEXING, **SOFTMAX}
"""By the operator's name in the schema, or a form of it."""
FORMS = ("GATHER_IN_BATCHES", "SLICED_BACKWARDS", "SOFTMAX_OF_ANY_BETA")
"""Names that are not the schema's."""
