"""QUANTIZE and CAST give the numbers that LiteRT gives, for every pair of types and every kind of number."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tflite_nets import Net
from tflite_run import run_model

from lowtide.errors import InputError
from lowtide.importer.tflite.writer import write

Array = NDArray[Any]
_UNDER_HALF = np.nextafter(np.float32(0.5), np.float32(0))
_TIES = (0.5, -0.5, 1.5, -1.5, 2.5, -2.5, 58.5, 59.5, -126.5, 127.5, 255.5)
REALS = np.array((0, -0.0, *_TIES, 127.4, 128, 256, 300, -129, -300, 1e9, -1e9, _UNDER_HALF, -_UNDER_HALF), np.float32)
SPECIAL = np.array([np.nan, np.inf, -np.inf, 3e9, -3e9, 2147483520, -2147483648], np.float32)
WHOLE = (0, 1, -1, 127, 128, -128, -129, 200, 255, 256, 300, 32768, 65539, 2**31 - 1, -(2**31))
Quantization = tuple[float, int] | None
NAMES = ("float32", "int8", "uint8", "int32", "int64", "bool")


def tensor(net: Net, name: str, count: int, dtype: str, quantization: Quantization = None) -> int:
    """A vector."""
    scale, zero_point = quantization or (None, 0)
    return net.tensor(name, (count,), dtype, scale, zero_point)


def converted(name: str, values: Array, dtype: str, source: Quantization = None, target: Quantization = None) -> Array:
    """What lowtide makes of the values with one operator."""
    net = Net()
    given = tensor(net, "x", len(values), str(values.dtype), source)
    made = net.operator(name, (given,), tensor(net, "y", len(values), dtype, target))
    return run_model(write(net.model([given], [made])), [values])[0]


def away_from_zero(x: float) -> int:
    """The nearest whole number; of two, the one further from zero."""
    return int(math.copysign(math.floor(abs(x) + 0.5), x))


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize(("scale", "offset"), [(1.0, 0), (0.5, 3), (0.25, 100), (0.1, 120), (0.1, 0), (3.7, 44)])
def test_quantize_rounds_ties_away_from_zero_and_keeps_within_the_type(dtype: str, scale: float, offset: int) -> None:
    stored, info = float(np.float32(scale)), np.iinfo(dtype)
    steps = [float(np.float32(x) / np.float32(scale)) for x in REALS]
    wanted = [min(max(away_from_zero(step) + offset, info.min), info.max) for step in steps]
    assert converted("QUANTIZE", REALS, dtype, target=(stored, offset)).tolist() == wanted


@pytest.mark.parametrize(("dtype", "offset"), [("int8", 0), ("int8", 5), ("int8", -5), ("uint8", 0), ("uint8", 255)])
def test_quantize_of_nan_and_of_numbers_beyond_int32(dtype: str, offset: int) -> None:
    info = np.iinfo(dtype)
    nan = info.max if offset < 0 else info.min
    wanted = [nan, info.max, info.min, info.max, info.min, info.max, info.min]
    assert converted("QUANTIZE", SPECIAL, dtype, target=(1.0, offset)).tolist() == wanted


def test_one_tensor_quantised_in_several_ways() -> None:
    net = Net()
    given = net.tensor("x", (4,), np.float32)
    scales = (0.5, float(np.nextafter(np.float32(0.5), np.float32(1))), 0.1, 0.1)
    made = [net.tensor(f"y{i}", (4,), np.int8, scale, i) for i, scale in enumerate(scales)]
    for index in made:
        net.operator("QUANTIZE", (given,), index)
    x = np.array([0.25, 10.25, -0.25, 3.0], np.float32)
    got = run_model(write(net.model([given], made)), [x])
    for i, (scale, array) in enumerate(zip(scales, got, strict=True)):
        assert array.tolist() == [away_from_zero(float(v / np.float32(scale))) + i for v in x]


def numbers(name: str) -> Array:
    """Numbers of a type, its ends among them; of floats, also fractions."""
    if name == "float32":
        return np.concatenate([REALS, SPECIAL])
    return np.array(WHOLE).astype(name)


def cast_of(values: Array, name: str) -> list[float]:
    """A C cast; floats stay within integer types."""
    if values.dtype != np.float32 or name in ("float32", "bool"):
        return values.astype(name).tolist()
    info = np.iinfo(name)
    nan = info.max if name == "uint8" else 0
    return [nan if np.isnan(v) else math.trunc(min(max(float(v), info.min), info.max)) for v in values]


WIDE = (("float32", "int64"), ("int64", "float32"))
CASTS = [(one, other) for one in NAMES for other in NAMES if one != other and (one, other) not in WIDE]


@pytest.mark.parametrize(("source", "target"), WIDE)
def test_casts_between_floats_and_64_bits_are_refused(source: str, target: str) -> None:
    with pytest.raises(InputError, match=f"cannot cast {source.upper()} to {target.upper()}"):
        converted("CAST", numbers(source), target)


@pytest.mark.parametrize(("source", "target"), CASTS)
def test_cast(source: str, target: str) -> None:
    values = numbers(source)
    assert np.array_equal(converted("CAST", values, target), np.array(cast_of(values, target)), equal_nan=True)


@pytest.mark.parametrize("target", NAMES)
@pytest.mark.parametrize("source", ["int8", "uint8"])
def test_cast_looks_at_no_scale(source: str, target: str) -> None:
    values = numbers(source)
    quantised = (0.25, 7) if target in ("int8", "uint8") else None
    got = converted("CAST", values, target, (0.5, 3), quantised)
    assert got.tolist() == values.astype(target).tolist()


CONSTANTS = (("QUANTIZE", "int8"), ("QUANTIZE", "uint8"), ("CAST", "int8"), ("CAST", "uint8"), ("CAST", "int32"))


@pytest.mark.parametrize(("name", "target"), CONSTANTS)
def test_constants_are_converted_as_inputs_are(name: str, target: str) -> None:
    values = numbers("float32")
    count, scale = len(values), None if target == "int32" else (0.1, 20)
    net = Net()
    x = tensor(net, "x", count, target, scale)
    constant = net.constant("c", values, np.float32)
    made = net.operator(name, (constant,), tensor(net, "k", count, target, scale))
    joined = net.operator("CONCATENATION", (x, made), tensor(net, "y", 2 * count, target, scale), {"axis": 0})
    got = run_model(write(net.model([x], [joined])), [np.zeros(count, target)])[0]
    assert got[count:].tolist() == converted(name, values, target, target=scale).tolist()
