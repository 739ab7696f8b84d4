"""RISC-V's vector instructions: on the host their arithmetic is the specification's; how blocks use them."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import jit
import numpy as np
import pytest
from convolutions import Convolution
from layers import layer_bodies
from numpy.typing import NDArray
from portable import expand_intrinsics
from rescaled import rescaled
from shifted import BUFFERS
from tosa_nets import TosaNet, Window

from lowtide.errors import InternalError
from lowtide.ir import (
    ExecutionEngine,
    InsertionPoint,
    IntegerType,
    Location,
    Module,
    Operation,
    StringAttr,
    Value,
    VectorType,
    WalkResult,
    func,
    llvm,
    parse_module,
    run_pipeline,
)
from lowtide.kernels.microkernels import MICROKERNELS
from lowtide.kernels.register_tiled.blocks import Blocks
from lowtide.kernels.register_tiled.contraction import Factor, Span
from lowtide.kernels.register_tiled.memory import Address, address_of, load, store
from lowtide.kernels.register_tiled.recognise import contraction_of
from lowtide.kernels.register_tiled.rvv import RvvWide, lanes_of, multiplied_up
from lowtide.transform.interpreter import make_transform_context

NAME = "rvv"
WIDTH = 16
ROUNDS = 300
WORDS = (0, -1, 1, 2, -(1 << 31), (1 << 31) - 1, 1 << 30, -(1 << 30), (1 << 30) - 1)
Integers = NDArray[np.int64]


def _kind(bits: int) -> VectorType:
    return VectorType.get([WIDTH], IntegerType.get_signless(bits))


def _code(body: Callable[[Address], Value]) -> Module:
    """A function that stores a vector of 32-bit lanes over the begin of the bytes that it is made from."""
    text = "func.func @f(%bytes: memref<?xi8>) attributes {llvm.emit_c_interface} { return }"
    module = parse_module(text, make_transform_context())
    function = module.body.operations[0]
    assert isinstance(function, func.FuncOp)
    with module.context, Location.unknown(), InsertionPoint.at_block_begin(function.regions[0].blocks[0]):
        first = address_of(function.arguments[0])
        store(body(first), first)
    return module


def _compiled(body: Callable[[Address], Value]) -> Callable[[Sequence[NDArray[Any]]], NDArray[np.int32]]:
    """The same to be called with what lies there, one after the other."""
    module = _code(body)
    with module.context:
        assert expand_intrinsics(module)
    run_pipeline(module, jit.TO_LLVM)
    engine = ExecutionEngine(module, opt_level=0)

    def call(parts: Sequence[NDArray[Any]]) -> NDArray[np.int32]:
        memory = np.concatenate([part.view(np.uint8) for part in parts])
        descriptor = ctypes.pointer(jit.Descriptor(memory.ctypes.data, memory.ctypes.data, 0, memory.size, 1))
        packed = (ctypes.c_void_p * 1)(ctypes.addressof(descriptor))
        ctypes.CFUNCTYPE(None, ctypes.c_void_p)(engine.raw_lookup("_mlir_ciface_f"))(ctypes.addressof(packed))
        return memory[: 4 * WIDTH].view(np.int32)

    return call


def _words(rng: np.random.Generator) -> NDArray[np.int32]:
    some = rng.integers(-(1 << 31), 1 << 31, WIDTH) >> rng.integers(0, 31, WIDTH)
    return np.where(rng.random(WIDTH) < 0.3, rng.choice(WORDS, WIDTH), some).astype(np.int32)


def _rounded_off(value: Integers, bits: Integers | int) -> Integers:
    """The specification's roundoff_signed where vxrm is rnu: v >> d, and the last bit that is lost."""
    last = np.where(np.asarray(bits) > 0, value >> np.maximum(np.asarray(bits) - 1, 0) & 1, 0)
    return (value >> bits) + last


def test_the_high_product_is_vsmul() -> None:
    run = _compiled(lambda at: RvvWide(WIDTH).high_product(load(at, _kind(32)), load(at + 4 * WIDTH, _kind(32))))
    rng = np.random.default_rng(1)
    for _ in range(ROUNDS):
        x, m = _words(rng), np.maximum(_words(rng), -(1 << 31) + 1).astype(np.int32)
        wanted = _rounded_off(x.astype(np.int64) * m, 31)
        np.testing.assert_array_equal(run([x, m]), wanted)


def test_the_shift_is_vssra() -> None:
    run = _compiled(lambda at: RvvWide(WIDTH).shifted(load(at, _kind(32)), load(at + 4 * WIDTH, _kind(32))))
    rng = np.random.default_rng(2)
    for _ in range(ROUNDS):
        x, right = _words(rng), rng.integers(1, 32, WIDTH)
        wanted = _rounded_off(x.astype(np.int64), right)
        np.testing.assert_array_equal(run([x, -right.astype(np.int32)]), wanted)


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("zero", [0, -128, 127, 255])
def test_products_are_vwmacc(zero: int, signed: bool) -> None:
    """Lanes with lanes, and lanes with one of them, a scalar that was extended to 16 bits."""
    x, w = Factor(0, (1,), signed, zero), Factor(1, (1,), True, 0)
    kind = np.int8 if signed else np.uint8

    def body(at: Address) -> Value:
        left, right = (lanes_of(at + (4 + n) * WIDTH, WIDTH, factor) for n, factor in enumerate((x, w)))
        scalar = load(at + 6 * WIDTH, IntegerType.get_signless(16))
        return multiplied_up(multiplied_up(load(at, _kind(32)), left, right), scalar, right)

    run = _compiled(body)
    rng = np.random.default_rng(3)
    for _ in range(ROUNDS):
        total, bytes_of_x = _words(rng), rng.integers(0, 256, WIDTH).astype(np.uint8).view(kind)
        weights, scalar = rng.integers(-128, 128, WIDTH).astype(np.int8), rng.integers(-383, 384, 1).astype(np.int16)
        less = bytes_of_x.astype(np.int64) - zero
        wanted = (total + (less + scalar.astype(np.int64)) * weights.astype(np.int64)).astype(np.int32)
        np.testing.assert_array_equal(run([total, bytes_of_x, weights, scalar]), wanted)


_ROUNDED = 'llvm.call_intrinsic "llvm.riscv.vssra"(%p, %a, %a, %one, %all) : (R, R, R, i32, i32) -> R'
_SHORTER = 'llvm.call_intrinsic "llvm.riscv.vsub"(%p, %a, %a, %one) : (R, R, R, i32) -> R'
_EMPTY = 'llvm.call_intrinsic "llvm.riscv.vsub"(%p, %p, %a, %all) : (R, R, R, i32) -> R'
_OTHER = 'llvm.call_intrinsic "llvm.riscv.vadd"(%p, %a, %a, %all) : (R, R, R, i32) -> R'
_WHOLE = """llvm.call_intrinsic "llvm.riscv.vsub"(%p, %a, %a, %all) : (R, R, R, i32) -> R
      %s = llvm.call_intrinsic "llvm.riscv.vsub"(%p, %r, %r, %all) : (R, R, R, i32) -> R"""


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (_ROUNDED, "rounds otherwise"),
        (_SHORTER, "not filled by one vector"),
        (_EMPTY, "not filled by one vector"),
        (_OTHER, "no arithmetic for the instruction 'llvm.riscv.vadd'"),
        (_WHOLE, "takes of a register"),
    ],
)
def test_what_has_no_arithmetic_is_refused(call: str, message: str) -> None:
    text = f"""func.func @f(%x: vector<4xi32>) {{
      %one = arith.constant 1 : i32
      %all = arith.constant 4 : i32
      %p = llvm.mlir.poison : R
      %a = llvm.intr.vector.insert %x, %p[0] : vector<4xi32> into R
      %r = {call}
      return
    }}""".replace("R", "vector<[2]xi32>")
    module = parse_module(text, make_transform_context())
    with module.context, pytest.raises(InternalError, match=message):
        expand_intrinsics(module)


# -- blocks -----------------------------------------------------------------------------------------------------------


def _layer(kind: str, inputs: int, outputs: int, columns: int, kernel: int = 1) -> str:
    window = Window((kernel, kernel), ((0, 0), (0, 0)))
    layer = Convolution(kind, (2, columns), (inputs, outputs), window, (-128, 0, 3), True, True, "clamp", 1)
    net, y = layer.net()
    return net.text([y])


def _rescaled(outputs: int) -> str:
    """8 channels to as many as are asked for, on two rows of 6."""
    net = TosaNet(np.random.default_rng(outputs))
    wide = net.conv(net.input([1, 2, 6, 8], "int8"), net.random((outputs, 1, 1, 8), "int8"), Window((1, 1)), -128)
    multipliers = net.rng.integers(1 << 30, 1 << 31, outputs).astype(np.int32)
    return net.text([rescaled(net, wide, multipliers, 40 - np.arange(outputs, dtype=np.int8) % 3, 3)])


def _blocks(text: str) -> tuple[int, list[Span]]:
    """The pixels of a block, and how the channels of one pixel are cut."""
    module = jit.lowered(text, BUFFERS)
    (body,) = layer_bodies(module).values()
    found = contraction_of(body)
    assert found is not None
    blocks = Blocks(found, MICROKERNELS[NAME])
    return blocks.pixels, blocks.of_channels(1)


@pytest.mark.parametrize(
    ("outputs", "spans"),
    [
        (64, [(0, 32), (32, 32)]),
        (8, [(0, 8)]),
        (44, [(0, 32), (32, 8), (40, 4)]),
        (35, [(0, 32), (32, 2), (34, 1)]),
        (7, [(0, 4), (4, 2), (6, 1)]),
    ],
)
def test_channels_go_in_vectors_of_powers_of_two(outputs: int, spans: list[tuple[int, int]]) -> None:
    assert _blocks(_layer("pointwise", 8, outputs, 6))[1] == spans
    assert _blocks(_layer("depthwise", outputs, outputs, 6, 3))[1] == spans


def test_fewer_channels_leave_registers_for_more_pixels() -> None:
    assert [_blocks(_layer("pointwise", 8, outputs, 48))[0] for outputs in (64, 32, 16, 8)] == [3, 3, 6, 8]
    assert [_blocks(_layer("depthwise", c, c, 48, 3))[0] for c in (64, 32, 16, 8)] == [2, 2, 4, 8]


def _calls(module: Module) -> dict[str, int]:
    """How many instructions of each name there are in the code."""
    found: dict[str, int] = {}

    def visit(operation: Operation) -> WalkResult:
        name = StringAttr(operation.attributes["intrin"]).value
        found[name] = found.get(name, 0) + 1
        return WalkResult.ADVANCE

    module.operation.walk(visit, op_class=llvm.CallIntrinsicOp)
    return found


def test_a_byte_is_one_product_for_all_channels() -> None:
    """Two blocks of three pixels a row, 32 channels each, of 8 bytes that are written out."""
    module = jit.lowered(_rescaled(64), microkernels=NAME)
    assert _calls(module) == {"llvm.riscv.vwmacc": 3 * 8, "llvm.riscv.vsmul": 3, "llvm.riscv.vssra": 3}


def test_shifts_are_loaded_as_words() -> None:
    """There would be no registers to widen bytes in."""
    module = str(jit.lowered(_rescaled(32), microkernels=NAME))
    assert "memref<32xi32> = dense<[40, 39, 38, 40" in module
    assert "vector<32xi8> to vector<32xi32>" not in module
