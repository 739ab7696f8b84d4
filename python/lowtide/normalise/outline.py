"""Outlines each layer into a private function in destination-passing style.

Before: linalg on tensors in one function. After: the network's function only calls layers, one
`bufferization.alloc_tensor` for each buffer; nested module `@layers` holds each layer's body, plain linalg on tensors
in generic form. Equal bodies are one function. What only a concat uses is written straight into its place there, but
for the parts that the plan has noted on the module (`lowtide.copied`): they get a buffer and are copied.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field

from lowtide.errors import InputError, InternalError
from lowtide.ir import (
    ArrayAttr,
    Block,
    FlatSymbolRefAttr,
    FunctionType,
    InsertionPoint,
    IntegerAttr,
    IntegerType,
    Module,
    Operation,
    StringAttr,
    TypeAttr,
    Value,
    bufferization,
    func,
    run_pipeline,
    text_of,
)
from lowtide.normalise.analysis import Role, defining, is_inline_constant, operands_of, role_of
from lowtide.normalise.check import check_network
from lowtide.normalise.form import LAYER, LAYERS, PART, is_outlined
from lowtide.normalise.materialise import Cut, cut, numbered_parts
from lowtide.normalise.naming import kind_of, layer_name
from lowtide.normalise.own import separate
from lowtide.passes import Pass

STAGE = "outline"
COPIED = "lowtide.copied"
# Scalar operands inlined, so that kernels see zero points and fill values as the constants they are.
GENERALISE = "builtin.module(func.func(linalg-generalize-named-ops,linalg-inline-scalar-operands))"


def run(module: Module, _: Mapping[str, str]) -> None:
    """Outline, unless a transform script already had to: see `outline_once`."""
    outline_once(module)


def outline_once(module: Module) -> None:
    """Outline every layer of the module's function; nothing is left to do where that has been done.

    Raises:
        InputError: the function holds what no layer can; `lowtide-normalise` says the same, or removes it. A part to be
            copied that no concat has.
    """
    if is_outlined(module):
        return
    with module.context, module.operation.location:
        block = check_network(module, STAGE).regions[0].blocks[0]
        separate(block)
        bodies = Operation.create("builtin.module", regions=1)
        bodies.regions[0].blocks.append()
        bodies.attributes["sym_name"] = StringAttr.get(LAYERS)
        module.body.append(bodies)
        outliner = _Outliner(module, bodies.regions[0].blocks[0])
        outliner.replace_all(cut(block, _copied(module, block)))
        _erase_dead(block)
        run_pipeline(bodies, GENERALISE, stage="outline", error=InternalError)


PASS = Pass("lowtide-outline", "move each layer into a function that writes its destination operand", run)


def _copied(module: Module, block: Block) -> list[int]:
    """The parts to be copied, which the module's attribute, removed here, names."""
    attributes = module.operation.attributes
    if COPIED not in attributes:
        return []
    noted = attributes[COPIED]
    if not isinstance(noted, ArrayAttr) or not all(isinstance(number, IntegerAttr) for number in noted):
        raise InputError(STAGE, f"the module's attribute {COPIED} is no list of numbers: {noted}")
    copied = [IntegerAttr(number).value for number in noted]
    del attributes[COPIED]
    count = len(numbered_parts(block))
    beyond = [number for number in copied if not 1 <= number <= count]
    if beyond:
        raise InputError(STAGE, f"part {beyond[0]} is to be copied, the network's concats have {count} parts")
    return copied


@dataclass
class _Slice:
    """What one buffered tensor is computed from: operations, and the tensors they take.

    Both are in the order in which operands lead to them, so that equal layers read equal whatever moved in the program.
    """

    operations: dict[Operation, None] = field(default_factory=dict[Operation, None])
    inputs: dict[Value, None] = field(default_factory=dict[Value, None])


class _Outliner:
    def __init__(self, module: Module, bodies: Block) -> None:
        self._module = module
        self._bodies = bodies
        self._by_text: dict[str, str] = {}
        self._names = {StringAttr(view.attributes["sym_name"]).value for view in module.body.operations}

    def replace_all(self, network: Cut) -> None:
        boundary = set(network.buffered)
        for value in network.buffered:
            self._replace(value, boundary, network.parts)

    def _replace(self, value: Value, boundary: set[Value], parts: Mapping[Value, int]) -> None:
        """Put a call in the place of the operation that computes `value`."""
        root = defining(value)
        assert root is not None
        part = self._slice(value, boundary)
        name = self._outline(value, part)
        with InsertionPoint(root), root.location:
            if root.name == "tensor.insert_slice":
                destination = root.operands[1]
                owner = defining(destination)
                if owner is not None and role_of(owner) is Role.EMPTY:
                    destination = bufferization.alloc_tensor(destination.type, [])
            else:
                destination = bufferization.alloc_tensor(value.type, [])
            call = func.CallOp([value.type], FlatSymbolRefAttr.get(name), [*part.inputs, destination])
            call.attributes[LAYER] = StringAttr.get(layer_name(root))
            if value in parts:
                call.attributes[PART] = IntegerAttr.get(IntegerType.get_signless(64), parts[value])
        result = call.results[0]
        value.replace_all_uses_with(result)
        boundary.discard(value)
        boundary.add(result)

    def _slice(self, value: Value, boundary: set[Value]) -> _Slice:
        """The backward slice from `value` to buffered tensors, arguments and constants that are tables."""
        part = _Slice()
        self._visit(value, boundary - {value}, part)
        return part

    def _visit(self, value: Value, boundary: set[Value], part: _Slice) -> None:
        op = defining(value)
        if op is None or self._is_input(value, op, boundary):
            part.inputs[value] = None
            return
        if op in part.operations:
            return
        for position, operand in enumerate(operands_of(op)):
            if op.name != "tensor.insert_slice" or position != 1:
                self._visit(operand, boundary, part)
        part.operations[op] = None

    def _is_input(self, value: Value, op: Operation, boundary: set[Value]) -> bool:
        """True for a tensor in memory, a view of one and a table."""
        table = role_of(op) is Role.CONSTANT and not is_inline_constant(value)
        return table or value in boundary or self._is_view(op, boundary)

    def _is_view(self, op: Operation, boundary: set[Value]) -> bool:
        """A reshape of something in memory stays outside: it costs nothing there."""
        while role_of(op) is Role.RESHAPE:
            source = op.operands[0]
            owner = defining(source)
            if owner is None or source in boundary:
                return True
            op = owner
        return False

    def _new_name(self, kind: str) -> str:
        return next(name for i in itertools.count() if (name := f"{kind}_{i}") not in self._names)

    def _outline(self, value: Value, part: _Slice) -> str:
        """Name of a function with this body: a new one, or an equal one made before."""
        root = defining(value)
        assert root is not None
        types = [v.type for v in part.inputs] + [value.type]
        kind = kind_of(list(part.operations))
        name = self._new_name(kind)
        with InsertionPoint(self._bodies), root.location:
            function = func.FuncOp(name, FunctionType.get(types, [value.type]), visibility="private")
        _fill(function, value, part)
        text = text_of([function.operation]).replace(f"@{name}", "@", 1)
        if text in self._by_text:
            function.operation.erase()
            return self._by_text[text]
        self._by_text[text] = name
        self._names.add(name)
        with InsertionPoint.at_block_begin(self._module.body), root.location:
            declaration = func.FuncOp(name, FunctionType.get(types, [value.type]), visibility="private")
            declaration.attributes["function_type"] = TypeAttr.get(FunctionType.get(types, [value.type]))
        return name


def _fill(function: func.FuncOp, value: Value, part: _Slice) -> None:
    """Copy the slice into the function and return its value."""
    block = function.add_entry_block()
    mapping: dict[Value, Value] = dict(zip(part.inputs, block.arguments, strict=False))
    destination = block.arguments[len(block.arguments) - 1]
    with InsertionPoint(block):
        for op in part.operations:
            copy = op.clone(InsertionPoint.current)
            remap(copy, mapping)
            if op.name == "tensor.insert_slice":
                copy.operands[1] = destination
            for old, new in zip(op.results, copy.results, strict=True):
                mapping[old] = new
        func.ReturnOp([mapping[value]])


def remap(op: Operation, mapping: Mapping[Value, Value]) -> None:
    """Replace operands, and what regions take from outside."""
    for i, operand in enumerate(op.operands):
        if operand in mapping:
            op.operands[i] = mapping[operand]
    for region in op.regions:
        for block in region.blocks:
            for view in block.operations:
                remap(view.operation, mapping)


def _erase_dead(block: Block) -> None:
    """Erase what the calls have made unused, last first."""
    for view in reversed(list(block.operations)):
        op = view.operation
        unused = all(next(iter(result.uses), None) is None for result in op.results)
        if unused and len(op.results) and op.name != "func.call":
            op.erase()
