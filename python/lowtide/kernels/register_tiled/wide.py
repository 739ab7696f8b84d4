"""Emits the epilogue, all that follows the sums, for several neighbouring channels at a time, as vectors.

The scalar code of a layer is arithmetic that is the same for each lane; constants of each channel are loaded as
vectors, and a rescale in its cheap form (`lowtide.kernels.rescale`) is two instructions of the core's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from lowtide.errors import InternalError
from lowtide.graph.nest import Filled, Node, Operand, Reshaped, Shape, Sliced, Structured, source_index, sources_of
from lowtide.indexing.linear import Index, Var
from lowtide.ir import (
    BlockArgument,
    DenseElementsAttr,
    FloatType,
    IntegerAttr,
    IntegerType,
    MemRefType,
    Operation,
    Type,
    Value,
    VectorType,
    arith,
    vector,
)
from lowtide.kernels.element import ElementEmitter
from lowtide.kernels.loops import Memo
from lowtide.kernels.neutral import constant_of
from lowtide.kernels.register_tiled.memory import Address, address_of, advanced, anew, load, scaled
from lowtide.kernels.register_tiled.microkernel import Wide
from lowtide.kernels.rescale import Rescale
from lowtide.kernels.values import splat
from lowtide.normalise.analysis import defining

_WORD = 32
"""Bits of a lane."""

_LANEWISE = frozenset(
    f"arith.{name}"
    for name in (
        *("addi", "subi", "muli", "maxsi", "minsi", "maxui", "minui", "andi", "ori", "xori", "select", "cmpi"),
        *("extsi", "extui", "trunci", "shli", "shrsi", "shrui"),
    )
)


class WideEmitter(ElementEmitter):
    """An `ElementEmitter` for vectors too, whose lanes are neighbours along one loop variable.

    Attributes:
        words: by number of a tensor argument of bytes, which rescales shift by, a memref of them as 32-bit integers.
    """

    words: Mapping[int, Value] = MappingProxyType({})

    def goes_wide(self, node: Node, index: Index, var: Var, given: Node) -> bool:
        """Whether `wide` can emit the node's elements, where those of `given` are known."""
        if node is given:
            return True
        match node:
            # neighbours are one vector load, one element for all lanes is a broadcast; anything else would be a gather
            case Operand():
                return lies(index, var) is not None and isinstance(_element(self.arguments[node.argument]), IntegerType)
            case Filled():
                return _filler(node) is not None
            case Sliced() | Reshaped():
                inner = source_index(node, index)
                return inner is not None and self.goes_wide(node.source, inner, var, given)
            case Structured() if not node.is_reduction:
                wanted = self._wanted(node)
                sources = self._of_arguments(node, index)
                return wanted is not None and all(self.goes_wide(*sources[i], var, given) for i in sorted(wanted))
            case _:
                return False

    def wide(self, node: Node, index: Index, var: Var, lanes: Wide, memo: Memo) -> Value:
        """Emit a vector of a node's elements, neighbours along `var`; `goes_wide` must hold.

        Args:
            node, index: the first element.
            var: the loop variable that goes through the lanes.
            lanes: of the core.
            memo: elements that are known; those emitted are added.
        """
        if (node, index) not in memo:
            memo[node, index] = self._wide(node, index, var, lanes, memo)
        return memo[node, index]

    def start_of(self, node: Node, index: Index, var: Var, lanes: Wide, *, alone: bool) -> Value:
        """`wide` for what sums start from.

        A constant that the products are added to at once (`alone`) is made anew in each block, where registers are few:
        the instruction that adds overwrites it.
        """
        filler = _filler(node) if isinstance(node, Filled) else None
        if filler is None or not lanes.rereads or not alone:
            return self.wide(node, index, var, lanes, {})
        number, kind = filler
        return vector.broadcast(VectorType.get([lanes.width], kind), anew(arith.constant(kind, number)))

    def _wide(self, node: Node, index: Index, var: Var, lanes: Wide, memo: Memo) -> Value:
        match node:
            case Operand():
                buffer = self.arguments[node.argument]
                if lies(index, var) == 0:
                    kind = VectorType.get([lanes.width], _element(buffer))
                    return vector.broadcast(kind, self.value(node, index))
                # shifts that were made words at compile time: widening bytes would take registers
                if node.argument in self.words:
                    return self.lanes_at(self.words[node.argument], node.shape[-1:], index[-1:], lanes)
                return self.lanes_at(buffer, node.shape, index, lanes)
            case Filled():
                filler = _filler(node)
                assert filler is not None
                number, kind = filler
                return splat(number, VectorType.get([lanes.width], kind))
            case Sliced() | Reshaped():
                inner = source_index(node, index)
                assert inner is not None
                return self.wide(node.source, inner, var, lanes, memo)
            case Structured():
                sources = self._of_arguments(node, index)
                return self._lanewise(node, lanes, lambda i: self.wide(*sources[i], var, lanes, memo))
            case _:
                raise InternalError("kernels", "a vector of what has none")

    def lanes_at(self, buffer: Value, shape: Shape, index: Index, lanes: Wide) -> Value:
        """Load a vector of elements that lie one behind the other, from that one on."""
        kind = VectorType.get([lanes.width], _element(buffer))
        return load(self.byte_of(buffer, shape, index), kind, self.element_bytes(buffer), reload=lanes.rereads)

    def varies(self, node: Node, index: Index, var: Var) -> bool:
        """Whether an element, for which `goes_wide` holds, depends on the variable."""
        match node:
            case Sliced() | Reshaped():
                inner = source_index(node, index)
                return inner is None or self.varies(node.source, inner, var)
            case Structured():
                sources = self._of_arguments(node, index)
                return any(self.varies(*sources[i], var) for i in self._wanted(node) or range(len(sources)))
            case Operand():
                return any(subscript.coefficient(var) for subscript in index)
            case _:
                return False

    def byte_of(self, buffer: Value, shape: Shape, index: Index) -> Address:
        """The first byte of an element of a dense buffer, which holds the tensor or a ring of it."""
        kind = MemRefType(buffer.type)
        # not by strides of the tensor: the buffer may be a ring, with fewer rows than that
        subscripts = self.place(buffer, shape, index)
        flat = subscripts[0]
        for extent, subscript in zip(kind.shape[1:], subscripts[1:], strict=True):
            flat = arith.addi(scaled(flat, extent), subscript)
        return advanced(address_of(buffer), scaled(flat, self.element_bytes(buffer)))

    def element_bytes(self, buffer: Value) -> int:
        """Bytes of an element of a buffer."""
        element = _element(buffer)
        return (element.width if isinstance(element, IntegerType) else FloatType(element).width) // 8

    def _of_arguments(self, node: Structured, index: Index) -> list[tuple[Node, Index]]:
        """What each argument of the node's scalar code is, at an element of the result."""
        return [*sources_of(node, index)[:-1], (node.init, index)]

    def _wanted(self, node: Structured) -> set[int] | None:
        """The arguments that the node's result is made from; None where it is no lane-wise arithmetic of 32 bits."""
        cheaper = self._cheaper(node)
        found: set[int] = set()
        rest, seen = [node.yielded], set[Value]()
        while rest:
            # backwards from the result, so that scalar code which it does not depend on may be of any kind
            value = rest.pop()
            if value in seen or isinstance(constant_of(value), int):
                continue
            seen.add(value)
            op = defining(value)
            if op is None:
                if not isinstance(value, BlockArgument) or value.owner != node.block or not _narrow(value.type):
                    return None
                found.add(value.arg_number)
            elif op in cheaper:
                # the 64-bit operations of the rescale itself are not emitted
                rest += [cheaper[op].x, cheaper[op].multiplier, cheaper[op].shift]
            elif op.name in _LANEWISE and all(_narrow(v.type) for v in (*op.operands, *op.results)):
                rest += op.operands
            else:
                return None
        return found

    def _lanewise(self, node: Structured, lanes: Wide, argument: Callable[[int], Value]) -> Value:
        """The node's scalar code with vectors for scalars."""
        cheaper = self._cheaper(node)
        made: dict[Value, Value] = {}

        def emitted(value: Value) -> Value:
            op = defining(value)
            if op is None:
                assert isinstance(value, BlockArgument)
                return argument(value.arg_number)
            constant = constant_of(value)
            if isinstance(constant, int):
                return splat(constant, VectorType.get([lanes.width], value.type))
            if op in cheaper:
                return _rescaled(cheaper[op], lanes, mapped)
            kinds = [VectorType.get([lanes.width], result.type) for result in op.results]
            operands = [mapped(operand) for operand in op.operands]
            attributes = {name: op.attributes[name] for name in op.attributes}
            return Operation.create(op.name, results=kinds, operands=operands, attributes=attributes).results[0]

        def mapped(value: Value) -> Value:
            if value not in made:
                made[value] = emitted(value)
            return made[value]

        return mapped(node.yielded)


def _rescaled(item: Rescale, lanes: Wide, mapped: Callable[[Value], Value]) -> Value:
    """Emit a rescale in its cheap form (see `lowtide.kernels.rescale`) for a vector of values."""
    words = VectorType.get([lanes.width], IntegerType.get_signless(_WORD))

    def number(value: int) -> Value:
        return splat(value, words)

    def operand(value: Value) -> Value:
        constant = constant_of(value)
        if isinstance(constant, int):
            return number(constant)
        given = mapped(value)
        return given if given.type == words else arith.extui(words, given)

    x = mapped(item.x)
    high = lanes.high_product(x, operand(item.multiplier))
    if item.signed:
        high = arith.addi(high, arith.shrsi(x, number(_WORD - 1)))
    shift = constant_of(item.shift)
    left = number(31 - shift) if isinstance(shift, int) else arith.subi(number(31), operand(item.shift))
    # A constant that follows is added here: `_with_sum` has made it part of the rescale.
    result = lanes.shifted(high, left)
    return arith.addi(result, number(item.added)) if item.added else result


def _narrow(kind: Type) -> bool:
    return isinstance(kind, IntegerType) and kind.width <= _WORD


def lies(index: Index, var: Var) -> int | None:
    """1 where the lanes are neighbours in memory, 0 where they are one element, None where neither."""
    coefficients = [subscript.coefficient(var) for subscript in index]
    if not any(coefficients):
        return 0
    return 1 if not any(coefficients[:-1]) and coefficients[-1] == 1 else None


def _element(buffer: Value) -> Type:
    return MemRefType(buffer.type).element_type


def _filler(node: Filled) -> tuple[int, Type] | None:
    """The integer that each element is, and its type."""
    if node.scalar is not None:
        number = constant_of(node.scalar)
        return (number, node.scalar.type) if isinstance(number, int) else None
    assert node.splat is not None
    element = DenseElementsAttr(node.splat.attributes["value"]).get_splat_value()
    return (IntegerAttr(element).value, element.type) if isinstance(element.type, IntegerType) else None
