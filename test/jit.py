"""Runs a network that lowtide has lowered to loops inside the test's own process, by MLIR's execution engine."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from portable import expand_intrinsics

from lowtide.emission import emit
from lowtide.ir import (
    ArrayAttr,
    ExecutionEngine,
    IntegerAttr,
    Module,
    StringAttr,
    UnitAttr,
    func,
    parse_module,
    run_pipeline,
)
from lowtide.kernels.microkernels import PLAIN, note_microkernels
from lowtide.network import Network
from lowtide.normalise.analysis import network_function
from lowtide.passes import run_passes
from lowtide.transform.interpreter import make_transform_context

Array = NDArray[Any]
PASSES = "lowtide-normalise,lowtide-outline,lowtide-allocate{alignment=8},lowtide-kernels"
TO_LLVM = (
    "builtin.module(expand-strided-metadata,lower-affine,convert-scf-to-cf,convert-math-to-llvm,convert-math-to-libm,"
    "arith-expand,convert-to-llvm,reconcile-unrealized-casts)"
)
GUARD = 64
FILL = 0x5A


def lowered(text: str, passes: str = f"lowtide-import-tosa,{PASSES}", microkernels: str = PLAIN) -> Module:
    """The network of an MLIR text (TOSA or linalg), lowered to loops on one arena for the core's microkernels."""
    module = parse_module(text, make_transform_context())
    note_microkernels(module, microkernels)
    run_passes(module, passes)
    return module


def run(module: Module, inputs: Sequence[Array], outputs: Sequence[Array]) -> list[Array]:
    """Run a module that `lowered` gave, which this changes; `outputs` give shapes and types alone.

    Arm's DSP instructions become plain arithmetic.
    """
    return repeated(module, outputs)(inputs)


def repeated(module: Module, outputs: Sequence[Array]) -> Callable[[Sequence[Array]], list[Array]]:
    """As `run`, to be run on any number of inputs."""
    arena_bytes = _integers(module, emit.ARENA)[0]
    input_offsets, output_offsets = _integers(module, emit.INPUTS), _integers(module, emit.OUTPUTS)
    engine = _engine(module, network_function(module, "test"))
    slots = [(offset, like.shape, like.dtype) for offset, like in zip(output_offsets, outputs, strict=True)]
    return lambda inputs: _call_network(engine, arena_bytes, list(zip(input_offsets, inputs, strict=True)), slots)


def run_network(network: Network, inputs: Sequence[Array]) -> list[Array]:
    """Run what `lowtide.lower.lower` gave."""
    return compiled(network)(inputs)


def compiled(network: Network) -> Callable[[Sequence[Array]], list[Array]]:
    """What `lowtide.lower.lower` gave, to be run on any number of inputs."""
    module = parse_module(network.text, make_transform_context())
    functions = [view for view in module.body.operations if isinstance(view, func.FuncOp)]
    main = next(function for function in functions if function.name.value == f"{network.name}_body")
    engine = _engine(module, main)
    slots = [(slot.offset, slot.tensor.shape, np.dtype(slot.tensor.dtype)) for slot in network.outputs]

    def run_once(inputs: Sequence[Array]) -> list[Array]:
        given = [(slot.offset, array) for slot, array in zip(network.inputs, inputs, strict=True)]
        return _call_network(engine, network.arena_bytes, given, slots)

    return run_once


def _engine(module: Module, main: func.FuncOp) -> ExecutionEngine:
    with module.context:
        main.operation.attributes["sym_name"] = StringAttr.get("network")
        main.operation.attributes["sym_visibility"] = StringAttr.get("public")
        main.operation.attributes["llvm.emit_c_interface"] = UnitAttr.get()
        expand_intrinsics(module)
    run_pipeline(module, TO_LLVM)
    return ExecutionEngine(module, opt_level=0)


def _call_network(
    engine: ExecutionEngine,
    arena_bytes: int,
    inputs: Sequence[tuple[int, Array]],
    outputs: Sequence[tuple[int, tuple[int, ...], np.dtype[Any]]],
) -> list[Array]:
    """The arena lies between guard bytes and is full of garbage before the inputs are written."""
    memory = np.full(arena_bytes + 2 * GUARD + 64, FILL, np.uint8)
    start = GUARD + -(memory.ctypes.data + GUARD) % 64
    arena = memory[start : start + arena_bytes]
    for offset, array in inputs:
        arena[offset : offset + array.nbytes] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    _call(engine.raw_lookup("_mlir_ciface_network"), arena)
    assert np.all(memory[:start] == FILL) and np.all(memory[start + arena_bytes :] == FILL), "wrote outside the arena"
    return [
        arena[offset : offset + math.prod(shape) * kind.itemsize].view(kind).reshape(shape)
        for offset, shape, kind in outputs
    ]


class Descriptor(ctypes.Structure):
    """MLIR's memref descriptor of rank 1."""

    _fields_ = (
        ("allocated", ctypes.c_void_p),
        ("aligned", ctypes.c_void_p),
        ("offset", ctypes.c_int64),
        ("size", ctypes.c_int64),
        ("stride", ctypes.c_int64),
    )


def _call(address: int, arena: Array) -> None:
    # The engine's own wrapper takes an array with the address of each argument; the argument is a descriptor's address.
    descriptor = ctypes.pointer(Descriptor(arena.ctypes.data, arena.ctypes.data, 0, arena.size, 1))
    packed = (ctypes.c_void_p * 1)(ctypes.addressof(descriptor))
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address)(ctypes.addressof(packed))


def _integers(module: Module, name: str) -> list[int]:
    attribute = module.operation.attributes[name]
    if isinstance(attribute, ArrayAttr):
        return [IntegerAttr(element).value for element in attribute]
    return [IntegerAttr(attribute).value]
