"""Layers of one elementwise operation on vectors, from their scalar code; emitted and run in the test's own process."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence

import numpy as np
from jit import TO_LLVM, Array, Descriptor

from lowtide.graph.nest import LayerBody, Structured
from lowtide.graph.read import read_layer
from lowtide.ir import (
    Block,
    ExecutionEngine,
    FunctionType,
    InsertionPoint,
    MemRefType,
    Module,
    RankedTensorType,
    UnitAttr,
    func,
    parse_module,
    run_pipeline,
)
from lowtide.kernels.general import GeneralEmitter
from lowtide.kernels.intervals import Interval
from lowtide.kernels.loops import How
from lowtide.kernels.microkernels import PLAIN
from lowtide.transform.interpreter import make_transform_context

KINDS = {"i8": np.int8, "i16": np.int16, "i32": np.int32, "i64": np.int64}


class ScalarLayer:
    """Some scalar code for each of `count` elements.

    Args:
        code: yields %r from %x0, %x1, …
        kinds: element types of those, then of the result.
        count: elements.
        microkernels: of the core that the code is for.
    """

    def __init__(self, code: str, kinds: Sequence[str], count: int, microkernels: str = PLAIN) -> None:
        *given, made = kinds
        arguments = ", ".join(f"%a{n}: tensor<{count}x{kind}>" for n, kind in enumerate(kinds))
        names = ", ".join(f"%a{n}" for n in range(len(given)))
        types = ", ".join(f"tensor<{count}x{kind}>" for kind in given)
        scalars = ", ".join(f"%x{n}: {kind}" for n, kind in enumerate(given))
        out, result = f"%a{len(given)}", f"tensor<{count}x{made}>"
        maps = ", ".join(["#all"] * len(kinds))
        self._text = f"""
        #all = affine_map<(d0) -> (d0)>
        func.func @layer({arguments}) -> {result} {{
          %y = linalg.generic {{indexing_maps = [{maps}], iterator_types = ["parallel"]}}
            ins({names} : {types}) outs({out} : {result}) {{
          ^bb0({scalars}, %o: {made}):
            {code}
            linalg.yield %r : {made}
          }} -> {result}
          return %y : {result}
        }}"""
        self.kinds = tuple(kinds)
        self.count = count
        self.microkernels = microkernels
        self.module, self.body = self._read()

    def _read(self) -> tuple[Module, LayerBody]:
        module = parse_module(self._text, make_transform_context())
        function = module.body.operations[0]
        assert isinstance(function, func.FuncOp)
        return module, read_layer(function)

    @property
    def node(self) -> Structured:
        """The operation."""
        assert isinstance(self.body.result, Structured)
        return self.body.result

    @property
    def block(self) -> Block:
        """Its scalar code."""
        return self.node.op.regions[0].blocks[0]

    def emitted(self, constants: Mapping[int, Interval]) -> Module:
        """The loop over the elements, where some arguments lie in known intervals."""
        module, body = self._read()
        with module.context, module.operation.location:
            layer = module.body.operations[0]
            assert isinstance(layer, func.FuncOp)
            kinds = [RankedTensorType(kind) for kind in layer.type.inputs]
            memrefs = [MemRefType.get(list(kind.shape), kind.element_type) for kind in kinds]
            with InsertionPoint(module.body):
                function = func.FuncOp("run", FunctionType.get(memrefs, []))
            function.operation.attributes["llvm.emit_c_interface"] = UnitAttr.get()
            block = function.add_entry_block()
            with InsertionPoint(block):
                GeneralEmitter(
                    body, list(block.arguments), How(microkernels=self.microkernels, constants=constants)
                ).emit()
                func.ReturnOp([])
            layer.operation.erase()
        return module

    def run(self, arrays: Sequence[Array], constants: Mapping[int, Interval]) -> Array:
        """The results, by the code that `emitted` gives."""
        module = self.emitted(constants)
        run_pipeline(module, TO_LLVM)
        engine = ExecutionEngine(module, opt_level=2)
        given = [np.ascontiguousarray(array, KINDS[kind]) for array, kind in zip(arrays, self.kinds, strict=False)]
        found = np.zeros(self.count, KINDS[self.kinds[-1]])
        descriptors = [Descriptor(a.ctypes.data, a.ctypes.data, 0, self.count, 1) for a in (*given, found)]
        pointers = [ctypes.c_void_p(ctypes.addressof(descriptor)) for descriptor in descriptors]
        packed = (ctypes.c_void_p * len(pointers))(*(ctypes.addressof(pointer) for pointer in pointers))
        ctypes.CFUNCTYPE(None, ctypes.c_void_p)(engine.raw_lookup("_mlir_ciface_run"))(ctypes.addressof(packed))
        return found
