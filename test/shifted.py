"""A layer's kernel, run on this machine with its output at any distance from one of its inputs."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import jit
import numpy as np
from layers import layer_bodies
from numpy.typing import NDArray
from portable import expand_intrinsics

from lowtide.emission import emit
from lowtide.graph.profile import Profile
from lowtide.ir import (
    ArrayAttr,
    ExecutionEngine,
    FunctionType,
    IndexType,
    IntegerAttr,
    Module,
    Operation,
    OpResult,
    StringAttr,
    TypeAttr,
    UnitAttr,
    Value,
    WalkResult,
    llvm,
    run_pipeline,
)
from lowtide.kernels.library import kernel_for, kernel_name
from lowtide.kernels.microkernels import PLAIN
from lowtide.normalise.analysis import network_function
from lowtide.normalise.form import DIRECTION, KERNEL, inputs_of, network_layers
from lowtide.passes import run_passes

Array = NDArray[Any]
BUFFERS = "lowtide-import-tosa,lowtide-normalise,lowtide-outline"


def operations(module: Module, name: str) -> list[Operation]:
    """The operations of that name in the network's function."""
    block = network_function(module, "test").regions[0].blocks[0]
    return [view.operation for view in block.operations if view.operation.name == name]


def profiles(
    text: str, sizes: list[int], output_bytes: int, microkernels: str = PLAIN, kernel: str | None = None
) -> list[Profile]:
    """What the only layer of a network allows of each of the network's inputs, `sizes` bytes large, for these lanes."""
    module = jit.lowered(text, BUFFERS)
    (layer,) = network_layers(module, "test")
    (body,) = layer_bodies(module).values()
    arguments = list(network_function(module, "test").regions[0].blocks[0].arguments)
    places = [_root(value) for value in inputs_of(layer)]
    return [
        kernel_for(body, kernel).profile(body, places.index(argument), size, output_bytes, microkernels)
        for argument, size in zip(arguments, sizes, strict=True)
    ]


def kernel_of(text: str) -> str:
    """The name of the kernel that computes the only layer of a network."""
    module = jit.lowered(text, BUFFERS)
    (body,) = layer_bodies(module).values()
    return kernel_name(body)


def _root(value: Value) -> Value:
    while isinstance(value, OpResult):
        owner = OpResult(value).owner.operation
        if not owner.operands:
            break
        value = owner.operands[0]
    return value


def pieces(module: Module) -> int:
    """How many pieces of assembly end with a rescale."""
    found: list[Operation] = []

    def visit(operation: Operation) -> WalkResult:
        if "smmlar" in StringAttr(operation.attributes["asm_string"]).value:
            found.append(operation)
        return WalkResult.ADVANCE

    module.operation.walk(visit, op_class=llvm.InlineAsmOp)
    return len(found)


class Shifted:
    """The compiled network of one layer in one direction; offsets are arguments.

    Args:
        text: the network.
        direction: forwards or backwards.
        microkernels: how the core multiplies; Arm's DSP instructions become plain arithmetic.
        kernel: the one to pick; the layer's own where left out.

    Attributes:
        pieces: pieces of assembly that end with a rescale.
        base: address of the memory of the last run.
        offsets: of its inputs and its output, from there on.
    """

    pieces: int
    base: int
    offsets: tuple[int, ...]

    def __init__(self, text: str, direction: str, microkernels: str = PLAIN, kernel: str | None = None) -> None:
        module = jit.lowered(text, BUFFERS, microkernels)
        with module.context:
            for layer in network_layers(module, "test"):
                if kernel is not None:
                    layer.attributes[KERNEL] = StringAttr.get(kernel)
        run_passes(module, "lowtide-allocate{overlap=0 alignment=1}")
        with module.context:
            for layer in network_layers(module, "test"):
                layer.attributes[DIRECTION] = StringAttr.get(direction)
        run_passes(module, "lowtide-kernels")
        # a workspace stays where it is, below everything else
        self._below = IntegerAttr(module.operation.attributes[emit.ARENA]).value
        _take_offsets(module)
        self.pieces = pieces(module)
        with module.context:
            expand_intrinsics(module)
        run_pipeline(module, jit.TO_LLVM)
        self._engine = ExecutionEngine(self._finished(module), opt_level=2)
        self._entry = self._engine.raw_lookup("_mlir_ciface_network")

    def _finished(self, module: Module) -> Module:
        """The module that is compiled, in LLVM's dialect."""
        return module

    def run(self, inputs: list[Array], like: Array, number: int, shift: int) -> Array:
        """The output, where it starts `shift` bytes above input `number` and shares no byte with the others."""
        room = like.nbytes + inputs[number].nbytes
        near = self._below + like.nbytes
        memory = np.zeros(self._below + 2 * room + like.nbytes + sum(array.nbytes for array in inputs), np.uint8)
        offsets: list[int] = []
        end = self._below + 2 * room + like.nbytes
        for position, array in enumerate(inputs):
            offsets.append(near if position == number else end)
            end += array.nbytes
            memory[offsets[-1] : offsets[-1] + array.nbytes] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        self.base, self.offsets = memory.ctypes.data, (*offsets, near + shift)
        self._call(memory, self.offsets)
        return memory[near + shift : near + shift + like.nbytes].copy().view(like.dtype).reshape(like.shape)

    def _call(self, memory: Array, offsets: Sequence[int]) -> None:
        descriptor = ctypes.pointer(jit.Descriptor(memory.ctypes.data, memory.ctypes.data, 0, memory.size, 1))
        numbers = [ctypes.c_int64(offset) for offset in offsets]
        packed = (ctypes.c_void_p * (1 + len(numbers)))(
            ctypes.addressof(descriptor), *(ctypes.addressof(number) for number in numbers)
        )
        ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self._entry)(ctypes.addressof(packed))


def _take_offsets(module: Module) -> None:
    """Make the offsets of the inputs and of the output arguments of the network's function."""
    attributes = module.operation.attributes
    places = [IntegerAttr(item).value for name in (emit.INPUTS, emit.OUTPUTS) for item in ArrayAttr(attributes[name])]
    assert len(set(places)) == len(places)
    main = network_function(module, "test")
    block = main.regions[0].blocks[0]
    with module.context, main.location:
        arguments = [block.add_argument(IndexType.get(), main.location) for _ in places]
        for view in operations(module, "memref.view"):
            constant = OpResult(view.operands[1]).owner.operation.attributes["value"]
            place = IntegerAttr(constant).value
            if place in places:
                view.operands[1] = arguments[places.index(place)]
        types = [argument.type for argument in block.arguments]
        main.operation.attributes["function_type"] = TypeAttr.get(FunctionType.get(types, []))
        main.operation.attributes["sym_name"] = StringAttr.get("network")
        main.operation.attributes["llvm.emit_c_interface"] = UnitAttr.get()
