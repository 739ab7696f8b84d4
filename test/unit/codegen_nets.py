"""Small networks, written by hand, that the tests of `lowtide.codegen` compile, and what they compute."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from lowtide.network import IoTensor, Network, Slot

Array = npt.NDArray[np.generic]

_WEIGHTS = np.arange(-32, 32, dtype=np.int8)

# out[i] = clamp((x[i] * w[i] + x[i+1] * w[i+1] + 7) >> 4), in place of x: the input is destroyed.
_INT8_BODY = f"""
memref.global "private" constant @w : memref<64xi8> = dense<"0x{_WEIGHTS.tobytes().hex()}">
func.func private @int8_net_body(%arena: memref<128xi8>) {{
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c63 = arith.constant 63 : index
  %c7 = arith.constant 7 : i32
  %c4 = arith.constant 4 : i32
  %least = arith.constant -128 : i32
  %most = arith.constant 127 : i32
  %offset = arith.constant 16 : index
  %x = memref.view %arena[%offset][] : memref<128xi8> to memref<64xi8>
  %w = memref.get_global @w : memref<64xi8>
  scf.for %i = %c0 to %c63 step %c1 {{
    %j = arith.addi %i, %c1 : index
    %x0 = memref.load %x[%i] : memref<64xi8>
    %x1 = memref.load %x[%j] : memref<64xi8>
    %w0 = memref.load %w[%i] : memref<64xi8>
    %w1 = memref.load %w[%j] : memref<64xi8>
    %x0e = arith.extsi %x0 : i8 to i32
    %x1e = arith.extsi %x1 : i8 to i32
    %w0e = arith.extsi %w0 : i8 to i32
    %w1e = arith.extsi %w1 : i8 to i32
    %p0 = arith.muli %x0e, %w0e : i32
    %p1 = arith.muli %x1e, %w1e : i32
    %sum = arith.addi %p0, %p1 : i32
    %up = arith.addi %sum, %c7 : i32
    %scaled = arith.shrsi %up, %c4 : i32
    %low = arith.maxsi %scaled, %least : i32
    %high = arith.minsi %low, %most : i32
    %y = arith.trunci %high : i32 to i8
    memref.store %y, %x[%i] : memref<64xi8>
  }}
  return
}}
"""

INT8_NET = Network(
    name="int8_net",
    body=_INT8_BODY,
    arena_bytes=128,
    inputs=(Slot(IoTensor("serving_default_x:0", (1, 64), "int8", 0.003921569, -128), 16),),
    outputs=(Slot(IoTensor("PartitionedCall/out", (1, 63), "int8", 0.5, 3), 16),),
    keep_input=False,
)


def int8_reference(x: Array) -> Array:
    """What `INT8_NET` computes."""
    products = x.astype(np.int32).reshape(-1) * _WEIGHTS
    return np.clip((products[:-1] + products[1:] + 7) >> 4, -128, 127).astype(np.int8).reshape(1, 63)


# y = floor(exp(x / 4) * w) of eight numbers, and z = max(x, w): floor, fma and maximum are calls on some cores.
_FLOAT_BODY = """
memref.global "private" constant @w : memref<8xf32> = dense<[1.0, 2.0, 3.0, -4.0, 5.0, 6.0, 7.0, 8.5]>
func.func private @float_net_body(%arena: memref<96xi8>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %c32 = arith.constant 32 : index
  %c64 = arith.constant 64 : index
  %quarter = arith.constant 0.25 : f32
  %x = memref.view %arena[%c0][] : memref<96xi8> to memref<8xf32>
  %y = memref.view %arena[%c32][] : memref<96xi8> to memref<8xf32>
  %z = memref.view %arena[%c64][] : memref<96xi8> to memref<8xf32>
  %w = memref.get_global @w : memref<8xf32>
  scf.for %i = %c0 to %c8 step %c1 {
    %a = memref.load %x[%i] : memref<8xf32>
    %b = memref.load %w[%i] : memref<8xf32>
    %q = arith.mulf %a, %quarter : f32
    %e = math.exp %q : f32
    %p = arith.mulf %e, %b : f32
    %f = math.floor %p : f32
    memref.store %f, %y[%i] : memref<8xf32>
    %m = arith.maximumf %a, %b : f32
    memref.store %m, %z[%i] : memref<8xf32>
  }
  return
}
"""

FLOAT_NET = Network(
    name="float_net",
    body=_FLOAT_BODY,
    arena_bytes=96,
    inputs=(Slot(IoTensor("x", (8,), "float32"), 0),),
    outputs=(Slot(IoTensor("y", (2, 4), "float32"), 32), Slot(IoTensor("z", (8,), "float32"), 64)),
    keep_input=True,
)
_FLOAT_WEIGHTS = np.array([1, 2, 3, -4, 5, 6, 7, 8.5], np.float32)


def float_reference(x: Array) -> tuple[Array, Array]:
    """What `FLOAT_NET` computes, where x / 4 isn't near a step of floor."""
    y = np.floor(np.exp(x.astype(np.float64) / 4) * _FLOAT_WEIGHTS).astype(np.float32)
    return y.reshape(2, 4), np.maximum(x, _FLOAT_WEIGHTS)


# Two layers share one kernel: y = sums of x rows, then of y's; the arena also holds a uint8 and an int32 input.
_SHARED_BODY = """
func.func private @row_sums(%in: memref<16xi32>, %out: memref<16xi32>) attributes {llvm.no_inline} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c16 = arith.constant 16 : index
  %zero = arith.constant 0 : i32
  %sum = scf.for %i = %c0 to %c16 step %c1 iter_args(%s = %zero) -> i32 {
    %a = memref.load %in[%i] : memref<16xi32>
    %n = arith.addi %s, %a : i32
    memref.store %n, %out[%i] : memref<16xi32>
    scf.yield %n : i32
  }
  return
}
func.func private @shared_net_body(%arena: memref<256xi8>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c16 = arith.constant 16 : index
  %c64 = arith.constant 64 : index
  %c128 = arith.constant 128 : index
  %c192 = arith.constant 192 : index
  %x = memref.view %arena[%c0][] : memref<256xi8> to memref<16xi8>
  %b = memref.view %arena[%c64][] : memref<256xi8> to memref<16xi32>
  %y = memref.view %arena[%c128][] : memref<256xi8> to memref<16xi32>
  %z = memref.view %arena[%c192][] : memref<256xi8> to memref<16xi32>
  scf.for %i = %c0 to %c16 step %c1 {
    %u = memref.load %x[%i] : memref<16xi8>
    %v = memref.load %b[%i] : memref<16xi32>
    %e = arith.extui %u : i8 to i32
    %s = arith.addi %e, %v : i32
    memref.store %s, %y[%i] : memref<16xi32>
  }
  func.call @row_sums(%y, %z) : (memref<16xi32>, memref<16xi32>) -> ()
  func.call @row_sums(%z, %y) : (memref<16xi32>, memref<16xi32>) -> ()
  return
}
"""

SHARED_NET = Network(
    name="shared_net",
    body=_SHARED_BODY,
    arena_bytes=256,
    inputs=(
        Slot(IoTensor("x", (4, 4), "uint8", 0.25, 128), 0),
        Slot(IoTensor("b", (16,), "int32"), 64),
    ),
    outputs=(Slot(IoTensor("y", (16,), "int32"), 128),),
    keep_input=True,
)


def shared_reference(x: Array, b: Array) -> Array:
    """What `SHARED_NET` computes."""
    total = np.cumsum(np.cumsum(x.reshape(-1).astype(np.int64) + b.astype(np.int64)))
    return total.astype(np.int32)


NETS = (INT8_NET, FLOAT_NET, SHARED_NET)


def with_body(network: Network, old: str, new: str) -> Network:
    """The network with one change to its body."""
    assert old in network.body
    return replace(network, body=network.body.replace(old, new))
