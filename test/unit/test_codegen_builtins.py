"""The functions that codegen brings along are those of C's mathematical library, on every sort of number.

They run as machine code of the host: IREE's runtime would take denormal numbers for zeros.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest

from lowtide.codegen.body import prepare_body
from lowtide.codegen.iree import link, scratch_directory
from lowtide.codegen.object import build_object
from lowtide.network import IoTensor, Network, Slot
from lowtide.targets import TARGETS

HOST = TARGETS["host"]
Floats = npt.NDArray[np.float32]

# One function of the built-in library on 1,024 triples of numbers; the body calls it by name, as machine code does.
_COUNT = 1024
_CALLER = """
func.func private @call_net_body(%arena: memref<16384xi8>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %count = arith.constant 1024 : index
  %c4096 = arith.constant 4096 : index
  %c8192 = arith.constant 8192 : index
  %c12288 = arith.constant 12288 : index
  %xs = memref.view %arena[%c0][] : memref<16384xi8> to memref<1024xf32>
  %ys = memref.view %arena[%c4096][] : memref<16384xi8> to memref<1024xf32>
  %zs = memref.view %arena[%c8192][] : memref<16384xi8> to memref<1024xf32>
  %rs = memref.view %arena[%c12288][] : memref<16384xi8> to memref<1024xf32>
  scf.for %i = %c0 to %count step %c1 {
    %x = memref.load %xs[%i] : memref<1024xf32>
    %y = memref.load %ys[%i] : memref<1024xf32>
    %z = memref.load %zs[%i] : memref<1024xf32>
    %r = CALL
    memref.store %r, %rs[%i] : memref<1024xf32>
  }
  return
}
"""


def _builtin(operation: str, x: Floats, y: Floats, z: Floats) -> Floats:
    slots = [Slot(IoTensor(name, (_COUNT,), "float32"), 4096 * index) for index, name in enumerate("xyzr")]
    body = _CALLER.replace("CALL", operation)
    network = Network("call_net", body, 16384, tuple(slots[:3]), (slots[3],), True)
    arena = np.zeros(16384 + 16, np.uint8)
    arena = arena[-arena.ctypes.data % 16 :][:16384]
    arena[:12288] = np.concatenate([x, y, z]).view(np.uint8)
    with scratch_directory() as scratch:
        data = build_object(network, HOST, prepare_body(network).own, scratch).data
        (scratch / "call.o").write_bytes(data)
        link(["-shared", "call.o", "-o", "call.so"], scratch)
        assert ctypes.CDLL(str(scratch / "call.so")).call_net_run(ctypes.c_void_p(arena.ctypes.data)) == 0
    return arena[12288:].view(np.float32).copy()


def _numbers(seed: int) -> Floats:
    """All sorts: any bits, small integers and halves, the neighbours of 2^23, zeros, infinities, no numbers."""
    rng = np.random.default_rng(seed)
    print(f"seed {seed}")
    bits = rng.integers(0, 2**32, _COUNT // 4, dtype=np.uint32).view(np.float32)
    halves = (rng.integers(-40, 40, _COUNT // 4) / 2).astype(np.float32)
    large = (rng.integers(-(2**25), 2**25, _COUNT // 4) / 4).astype(np.float32)
    usual = rng.normal(0, 3, _COUNT // 4 - 8).astype(np.float32)
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, -0.25, 0.49999997, 8388607.5], np.float32)
    values = np.concatenate([bits, halves, large, usual, special])
    rng.shuffle(values)
    return values


def _away(x: Floats) -> Floats:
    return np.copysign(np.floor(np.abs(x.astype(np.float64)) + 0.5), x).astype(np.float32)


_BUILTINS: dict[str, tuple[str, Callable[[Floats, Floats], Floats]]] = {
    "floorf": ("math.floor %x : f32", lambda x, _: np.floor(x)),
    "ceilf": ("math.ceil %x : f32", lambda x, _: np.ceil(x)),
    "truncf": ("math.trunc %x : f32", lambda x, _: np.trunc(x)),
    "roundf": ("llvm.intr.round(%x) : (f32) -> f32", lambda x, _: _away(x)),
    "roundevenf": ("math.roundeven %x : f32", lambda x, _: np.rint(x)),
    "rintf": ("llvm.intr.rint(%x) : (f32) -> f32", lambda x, _: np.rint(x)),
    "nearbyintf": ("llvm.intr.nearbyint(%x) : (f32) -> f32", lambda x, _: np.rint(x)),
    "fmaximumf": ("arith.maximumf %x, %y : f32", np.maximum),
    "fminimumf": ("arith.minimumf %x, %y : f32", np.minimum),
    "fmaxf": ("arith.maxnumf %x, %y : f32", np.fmax),
    "fminf": ("arith.minnumf %x, %y : f32", np.fmin),
}


@pytest.mark.parametrize("name", _BUILTINS)
def test_built_in_functions(name: str) -> None:
    operation, reference = _BUILTINS[name]
    x, y = _numbers(4), _numbers(5)
    found = _builtin(operation, x, y, x)
    with np.errstate(all="ignore"):
        expected = reference(x, y)
    same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    assert same.all(), (x[~same], y[~same], found[~same], expected[~same])
    if not name.startswith(("fmax", "fmin")):
        numbers = ~np.isnan(x)
        assert np.array_equal(np.signbit(found)[numbers], np.signbit(x)[numbers])


def test_fma_rounds_once() -> None:
    rng = np.random.default_rng(6)
    print("seed 6")
    x, y = (rng.normal(0, 1, _COUNT).astype(np.float32) for _ in range(2))
    # Sums that nearly cancel, halves of a last place, and far smaller addends.
    z = (-x * y).astype(np.float32)
    z[::3] *= np.float32(2.0**-24)
    z[1::3] = np.float32(2.0**-60)
    found = _builtin("math.fma %x, %y, %z : f32", x, y, z)
    for index in range(_COUNT):
        exact = Fraction(float(x[index])) * Fraction(float(y[index])) + Fraction(float(z[index]))
        assert found[index] == _nearest(exact), (x[index], y[index], z[index])


def _nearest(exact: Fraction) -> np.float32:
    guess = np.float32(float(exact))
    around = [guess, np.nextafter(guess, np.float32(-np.inf)), np.nextafter(guess, np.float32(np.inf))]
    return min(around, key=lambda value: (abs(Fraction(float(value)) - exact), int(value.view(np.uint32)) & 1))
