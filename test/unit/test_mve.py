"""Runs in Helium's lanes: every byte is taken once, none beyond the run, whatever length, signs and zero points are."""

from __future__ import annotations

import ctypes

import jit
import numpy as np
import pytest
from numpy.typing import NDArray
from portable import expand_intrinsics

from lowtide.errors import InternalError
from lowtide.ir import (
    DenseI32ArrayAttr,
    ExecutionEngine,
    InsertionPoint,
    IntegerType,
    Location,
    Module,
    Operation,
    Value,
    VectorType,
    WalkResult,
    arith,
    func,
    llvm,
    parse_module,
    run_pipeline,
)
from lowtide.kernels.register_tiled.contraction import Factor
from lowtide.kernels.register_tiled.memory import address_of, store
from lowtide.kernels.register_tiled.mve import Mve
from lowtide.normalise.analysis import defining
from lowtide.transform.interpreter import make_transform_context

CHANNELS = 4
START = 1000
LENGTHS = (*range(1, 41), 63, 64, 77)
ZEROS = ((0, 0), (-128, 0), (0, 7), (3, -4))
SIGNS = ((True, True), (False, False), (False, True))


def _factor(signed: bool, zero: int) -> Factor:
    return Factor(0, (1,), signed, zero)


def _products(count: int, x: Factor, w: Factor) -> Module:
    """A function that adds up a run times four others, which lie one behind the other, and stores the sums there."""
    module = parse_module(
        "func.func @dot(%bytes: memref<?xi8>) attributes {llvm.emit_c_interface} { return }", make_transform_context()
    )
    function = module.body.operations[0]
    assert isinstance(function, func.FuncOp)
    with module.context, Location.unknown(), InsertionPoint.at_block_begin(function.regions[0].blocks[0]):
        first = address_of(function.arguments[0])
        start = arith.constant(IntegerType.get_signless(32), START)
        runs = [first + count * (1 + n) for n in range(CHANNELS)]
        (sums,) = Mve().dot([[start] * CHANNELS], [first], runs, count, x, w)
        for n, total in enumerate(sums):
            store(total, first + count * (1 + CHANNELS) + 4 * n)
    return module


def _operations(module: Module, kind: type) -> list[Operation]:
    found: list[Operation] = []

    def visit(operation: Operation) -> WalkResult:
        found.append(operation)
        return WalkResult.ADVANCE

    module.operation.walk(visit, op_class=kind)
    return found


def _loads(module: Module) -> list[tuple[int, int]]:
    """First byte and end of every load."""
    found: list[tuple[int, int]] = []
    for load in _operations(module, llvm.LoadOp):
        source = defining(load.operands[0])
        assert source is not None
        first = 0
        if source.name == "llvm.getelementptr":
            (first,) = DenseI32ArrayAttr(source.attributes["rawConstantIndices"])
        found.append((first, first + _bytes(load.results[0])))
    return found


def _bytes(value: Value) -> int:
    kind = value.type
    if isinstance(kind, VectorType):
        assert isinstance(kind.element_type, IntegerType)
        return kind.shape[0] * kind.element_type.width // 8
    assert isinstance(kind, IntegerType)
    return kind.width // 8


def _run(module: Module, memory: NDArray[np.uint8]) -> None:
    with module.context:
        expand_intrinsics(module)
    run_pipeline(module, jit.TO_LLVM)
    engine = ExecutionEngine(module, opt_level=0)
    descriptor = ctypes.pointer(jit.Descriptor(memory.ctypes.data, memory.ctypes.data, 0, memory.size, 1))
    packed = (ctypes.c_void_p * 1)(ctypes.addressof(descriptor))
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(engine.raw_lookup("_mlir_ciface_dot"))(ctypes.addressof(packed))


@pytest.mark.parametrize("signs", SIGNS)
@pytest.mark.parametrize("zeros", ZEROS)
def test_sums_of_runs(zeros: tuple[int, int], signs: tuple[bool, bool]) -> None:
    rng = np.random.default_rng(1000 + sum(zeros))
    for count in LENGTHS:
        x, w = (_factor(signed, zero) for signed, zero in zip(signs, zeros, strict=True))
        module = _products(count, x, w)
        loads = _loads(module)
        assert all(first // count == (end - 1) // count for first, end in loads), f"beyond a run of {count}"
        taken = {byte for first, end in loads for byte in range(first, end)}
        assert taken == set(range(count * (1 + CHANNELS)))
        memory = rng.integers(0, 256, count * (1 + CHANNELS) + 4 * CHANNELS).astype(np.uint8)
        runs = memory[: count * (1 + CHANNELS)].reshape(-1, count).copy()
        runs[:, rng.random(count) < 0.2] = 128
        memory[: runs.size] = runs.reshape(-1)
        given = [
            (run.view(np.int8) if factor.signed else run).astype(np.int64) - factor.zero
            for run, factor in zip(runs, (x, *[w] * CHANNELS), strict=True)
        ]
        wanted = [START + int(given[0] @ channel) for channel in given[1:]]
        _run(module, memory)
        assert memory[runs.size :].view(np.int32).tolist() == wanted, f"run of {count}"


def test_sixteen_bytes_are_one_instruction_a_channel() -> None:
    for zeros, calls in (((0, 0), 2), ((-128, 0), 4)):
        module = _products(32, _factor(True, zeros[0]), _factor(True, zeros[1]))
        assert len(_operations(module, llvm.CallIntrinsicOp)) == calls * CHANNELS


SUBTRACTED = '"llvm.arm.mve.vmldava"(%no, %one, %no, %no, %x, %x) : (i32, i32, i32, i32, VECTOR, VECTOR) -> i32'
SATURATED = '"llvm.arm.mve.vshl.vector"(%x, %x, %one, %one, %no) : (VECTOR, VECTOR, i32, i32, i32) -> VECTOR'


@pytest.mark.parametrize(("call", "message"), [(SUBTRACTED, "subtracts"), (SATURATED, "saturates")])
def test_what_has_no_arithmetic_is_refused(call: str, message: str) -> None:
    text = f"""func.func @f(%x: VECTOR) {{
      %no = arith.constant 0 : i32
      %one = arith.constant 1 : i32
      %r = llvm.call_intrinsic {call}
      return
    }}""".replace("VECTOR", "vector<4xi32>")
    module = parse_module(text, make_transform_context())
    with module.context, pytest.raises(InternalError, match=message):
        expand_intrinsics(module)
