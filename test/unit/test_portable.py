"""Arm's DSP instructions as plain arithmetic, against numpy's rendering of Arm's definitions."""

from __future__ import annotations

import ctypes
import inspect
from collections.abc import Callable

import numpy as np
import pytest
from jit import TO_LLVM, Array
from portable import expand_intrinsics

from lowtide.errors import InternalError
from lowtide.ir import ExecutionEngine, Module, parse_module, run_pipeline
from lowtide.transform.interpreter import make_transform_context

COUNT = 4096


def _half(word: Array, top: int) -> Array:
    """SInt of bits 15:0, or 31:16."""
    return (word >> (16 * top)).astype(np.int16).astype(np.int64)


def _byte(word: Array, number: int, *, signed: bool) -> Array:
    return (word >> (8 * number)).astype(np.int8 if signed else np.uint8).astype(np.int64)


def _both(low: Array, high: Array) -> Array:
    """Bits 15:0 of each, side by side."""
    return (low & 0xFFFF) | (high & 0xFFFF) << 16


def _extended(signed: bool) -> Callable[[Array], Array]:
    def definition(a: Array) -> Array:
        return _both(_byte(a, 0, signed=signed), _byte(a, 2, signed=signed))

    return definition


def _added(signed: bool) -> Callable[[Array, Array], Array]:
    def definition(n: Array, m: Array) -> Array:
        return _both(_half(n, 0) + _byte(m, 0, signed=signed), _half(n, 1) + _byte(m, 2, signed=signed))

    return definition


def _product(*halves: tuple[int, int]) -> Callable[[Array, Array, Array], Array]:
    """The sum of products of these halves of n and m, and of a."""

    def definition(n: Array, m: Array, a: Array) -> Array:
        total = a.astype(np.int64)
        for left, right in halves:
            total = total + _half(n, left) * _half(m, right)
        return total

    return definition


def _smuad(a: Array, b: Array) -> Array:
    return _product((0, 0), (1, 1))(a, b, np.zeros_like(a))


DEFINITIONS: dict[str, Callable[..., Array]] = {
    "smlad": _product((0, 0), (1, 1)),
    "smuad": _smuad,
    "smlabb": _product((0, 0)),
    "smlatt": _product((1, 1)),
    "sxtb16": _extended(True),
    "uxtb16": _extended(False),
    "sxtab16": _added(True),
    "uxtab16": _added(False),
}


def _module(name: str, arity: int) -> Module:
    """@f(%out, %in): for each i the instruction on `arity` words of row i."""
    loads = "\n".join(
        f"""%p{n} = llvm.getelementptr %in[%i{n}] : (!llvm.ptr, i64) -> !llvm.ptr, i32
        %v{n} = llvm.load %p{n} : !llvm.ptr -> i32"""
        for n in range(arity)
    )
    places = "\n".join(
        f"""%k{n} = arith.constant {n * COUNT} : i64
        %i{n} = arith.addi %i, %k{n} : i64"""
        for n in range(arity)
    )
    names, types = ", ".join(f"%v{n}" for n in range(arity)), ", ".join(["i32"] * arity)
    text = f"""
    llvm.func @f(%out: !llvm.ptr, %in: !llvm.ptr) attributes {{llvm.emit_c_interface}} {{
      %zero = arith.constant 0 : index
      %one = arith.constant 1 : index
      %end = arith.constant {COUNT} : index
      scf.for %j = %zero to %end step %one {{
        %i = arith.index_cast %j : index to i64
        {places}
        {loads}
        %r = llvm.call_intrinsic "llvm.arm.{name}"({names}) : ({types}) -> i32
        %to = llvm.getelementptr %out[%i] : (!llvm.ptr, i64) -> !llvm.ptr, i32
        llvm.store %r, %to : i32, !llvm.ptr
      }}
      llvm.return
    }}"""
    return parse_module(text, make_transform_context())


@pytest.mark.parametrize("name", DEFINITIONS)
def test_definition(name: str) -> None:
    rng = np.random.default_rng(1)
    arity = len(inspect.signature(DEFINITIONS[name]).parameters)
    words = rng.integers(-(1 << 31), 1 << 31, (arity, COUNT)).astype(np.int32)
    corners = np.array([0, -1, 0x7FFF7FFF, -0x7FFF8000, 0x00FF00FF, -0x7F7F7F80, (1 << 31) - 1, -(1 << 31)], np.int32)
    for n in range(arity):
        words[n, : 8**arity] = np.tile(np.repeat(corners, 8**n), 8 ** (arity - 1 - n))
    module = _module(name, arity)
    with module.context, module.operation.location:
        assert expand_intrinsics(module)
        assert not expand_intrinsics(module)
    run_pipeline(module, TO_LLVM)
    engine = ExecutionEngine(module, opt_level=2)
    found = np.zeros(COUNT, np.int32)
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in (found, words)]
    packed = (ctypes.c_void_p * 2)(*(ctypes.addressof(pointer) for pointer in pointers))
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(engine.raw_lookup("f"))(ctypes.addressof(packed))
    wanted = DEFINITIONS[name](*(words[n].astype(np.int64) for n in range(arity))).astype(np.int32)
    np.testing.assert_array_equal(found, wanted)


def test_an_instruction_without_arithmetic_is_refused() -> None:
    module = _module("smusd", 2)
    with module.context, pytest.raises(InternalError, match="no arithmetic for the instruction 'smusd'"):
        expand_intrinsics(module)
