"""Recognises convolutions of bytes or floats, dense layers among them, in a layer's loop description."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from lowtide.graph.nest import (
    LayerBody,
    Node,
    Operand,
    Padded,
    Reshaped,
    Shape,
    Sliced,
    Structured,
    iteration_space,
    output_dimensions,
    reachable,
    row_major,
    source_index,
    sources_of,
    split,
)
from lowtide.indexing.linear import Index, Linear, Var
from lowtide.indexing.subscripts import apply_map
from lowtide.ir import Block, F32Type, IntegerType, Value
from lowtide.kernels.neutral import constant_of, pad_is_neutral
from lowtide.kernels.register_tiled.contraction import FLOAT, MOST_ZERO, Axis, Contraction, Factor, Layout
from lowtide.kernels.values import made_by
from lowtide.normalise.analysis import defining

_MATCHED: WeakKeyDictionary[LayerBody, Contraction | None] = WeakKeyDictionary()
"""What was found of each layer, kept as long as the layer is: kernels, profiles and counts all ask for it."""


def contraction_of(body: LayerBody) -> Contraction | None:
    """The layer's convolution, None where it has none, more than one, or one of another form."""
    if body not in _MATCHED:
        _MATCHED[body] = match_contraction(body)
    return _MATCHED[body]


def match_contraction(body: LayerBody) -> Contraction | None:
    """`contraction_of` without its memory."""
    shape = body.result.shape
    image = len(shape) == 4 and shape[0] == 1
    if not (image or (shape and math.prod(shape[:-1]) == 1)) or len(body.destination) != len(shape):
        return None
    loops = tuple(Var(f"o{i}", extent) for i, extent in enumerate(shape if image else (1, 1, 1, shape[-1])))
    index = tuple(map(Linear.of, loops)) if image else (*[Linear()] * (len(shape) - 1), Linear.of(loops[3]))
    found = list(_reductions(body.result, index))
    # with two reductions a block's sums would not be what the epilogue needs
    if len(found) != 1 or found[0] is None:
        return None
    factors = _factors(found[0].node)
    return None if factors is None else _contraction(found[0], loops, index, *factors)


@dataclass(frozen=True, eq=False)
class _Reached:
    """A reduction, and its element that an element of the result is made from.

    Attributes:
        node, where: these two.
        view, index: the same element as what is above it reads it: in the reduction, or in a reshape of it that divides
            a loop into two variables.
    """

    node: Structured
    where: Index
    view: Structured | Reshaped
    index: Index


def _reductions(node: Node, index: Index) -> Iterator[_Reached | None]:
    """Every reduction below a node with the element that is wanted of it; None for one whose element is not known."""
    match node:
        case Structured():
            if node.is_reduction:
                yield _Reached(node, index, node, index)
                return
            for source, inner in sources_of(node, index):
                yield from _reductions(source, inner)
        case Reshaped():
            through = source_index(node, index)
            if through is not None:
                yield from _reductions(node.source, through)
            elif isinstance(node.source, Structured) and node.source.is_reduction:
                halves = split(row_major(node.shape, index), node.source.shape)
                yield None if halves is None else _Reached(node.source, halves, node, index)
            elif not isinstance(node.source, Operand):
                yield None
        case Operand():
            pass
        case _:
            if any(isinstance(below, Structured) for below in reachable(node)):
                yield None


def _factors(node: Structured) -> tuple[Factor, Factor] | None:
    """Input and weights of sum += (x − zero) · (w − zero)."""
    terms = _terms(node)
    if len(node.inputs) != 2 or terms is None:
        return None
    x, w = (_operand(source) for source in node.inputs)
    pad = node.inputs[0]
    if x is None or w is None or isinstance(node.inputs[1], Padded) or _view(node.inputs[1])[0]:
        return None
    # what is outside the input is left out of the sums, which must not matter
    if isinstance(pad, Padded) and not pad_is_neutral(node, 0, pad.scalar):
        return None
    return Factor(x.argument, x.shape, *terms[0][1:]), Factor(w.argument, w.shape, *terms[1][1:])


Term = tuple[int, bool, int, int]
"""Number of the block argument, whether it is signed, what is subtracted, and how many bytes it has."""


def _terms(node: Structured) -> tuple[Term, Term] | None:
    """The two factors of the product, input first, if a sum of products is all the scalar code computes."""
    block, total = node.block, defining(node.yielded)
    kinds = {"arith.addi": IntegerType.get_signless(32, block.owner.context), "arith.addf": _float(block)}
    if total is None or total.name not in kinds or total.results[0].type != kinds[total.name]:
        return None
    multiply = total.name.replace("add", "mul")
    product = next((p for p in (made_by(v, multiply) for v in total.operands) if p is not None), None)
    if product is None or len(block.arguments) != 3 or block.arguments[2] not in list(total.operands):
        return None
    terms = sorted(term for term in (_term(operand, block) for operand in product.operands) if term is not None)
    return (terms[0], terms[1]) if [term[0] for term in terms] == [0, 1] else None


def _float(block: Block) -> F32Type:
    return F32Type.get(block.owner.context)


def _term(value: Value, block: Block) -> Term | None:
    """A factor of the product: a float argument, or a byte that is extended and from which a zero point is taken."""
    if value.type == _float(block):
        number = _number(value, block)
        return None if number is None else (number, True, 0, FLOAT)
    zero = 0
    less = made_by(value, "arith.subi")
    if less is not None:
        constant = constant_of(less.operands[1])
        if not isinstance(constant, int) or abs(constant) > MOST_ZERO:
            return None
        value, zero = less.operands[0], constant
    op = defining(value)
    if op is None or op.name not in ("arith.extsi", "arith.extui"):
        return None
    narrow = op.operands[0]
    if narrow.type != IntegerType.get_signless(8, block.owner.context):
        return None
    number = _number(narrow, block)
    return None if number is None else (number, op.name == "arith.extsi", zero, 1)


def _number(value: Value, block: Block) -> int | None:
    """The number of a value among a block's arguments; None where it is none of them."""
    return next((i for i, argument in enumerate(block.arguments) if argument == value), None)


def _operand(node: Node) -> Operand | None:
    """The tensor that a node reads: all of it, perhaps padded, or its channels from one on (a group)."""
    node = node.source if isinstance(node, Padded) else node
    if isinstance(node, Sliced) and not any(node.offsets[:-1]) and set(node.strides) == {1}:
        node = node.source
    return node if isinstance(node, Operand) else None


def _view(node: Node) -> tuple[int, Shape | None]:
    """The channel that a node read by `_operand` begins with, and its extents below a pad."""
    inner = node.source if isinstance(node, Padded) else node
    first = inner.offsets[-1] if isinstance(inner, Sliced) else 0
    return first, inner.shape if isinstance(node, Padded) else None


def _contraction(reached: _Reached, loops: tuple[Var, ...], result: Index, x: Factor, w: Factor) -> Contraction | None:
    node = reached.node
    space = iteration_space(node)
    dims = output_dimensions(node, reached.where, space)
    if len(x.shape) != 4 or x.shape[0] != 1:
        return None
    low = node.inputs[0].low if isinstance(node.inputs[0], Padded) else (0, 0, 0, 0)
    at = [i + -pad for i, pad in zip(apply_map(node.maps[0], dims), low, strict=True)]
    reduced = [v for v, kind in zip(space, node.kinds, strict=True) if kind == "reduction" and v.extent > 1]
    first, padded = _view(node.inputs[0])
    # what is beyond a slice's end is read nowhere, but for a pad in its stead
    found = [_axis(at[d], loops[d], reduced, (padded or x.shape)[d]) for d in (1, 2)]
    if found[0] is None or found[1] is None or at[0] != Linear():
        return None
    (rows, ky), (columns, kx) = found[0], found[1]
    flat = row_major(w.shape, apply_map(node.maps[1], dims))
    # what is reduced beside the window's rows and columns are the input channels
    inner = [v for v in reduced if v not in (ky, kx)]
    channel, multiplier = at[3], 1
    # a depthwise convolution with a multiplier: TOSA has two dimensions for what is one in the result
    if reached.view is not node:
        halves = _halves(reached, loops, flat)
        if halves is None or channel != Linear.of(halves[0]) or inner:
            return None
        channel, multiplier = Linear.of(loops[3]), halves[1].extent
        flat = flat.without(halves[0]).without(halves[1]) + Linear.of(loops[3])
    layout = _layout(channel, flat, loops[3], inner, kx)
    used = {loops[3], ky, kx, *inner}
    # where one variable goes through rows and columns the window is a diagonal
    if layout is None or ky is kx or flat.const or not flat.variables <= used:
        return None
    channels = inner[0].extent if inner else 1
    strides = flat.coefficient(loops[3]), flat.coefficient(ky), flat.coefficient(kx)
    read = loops[3].extent // multiplier if layout == "depthwise" else channels
    whole = read == x.shape[3] and not first
    if math.prod(x.shape) == 0 or not (whole or (layout == "runs" and first + read <= x.shape[3])):
        return None
    init = node.init if reached.view is node else Reshaped(node.init, reached.view.shape)
    windows = rows, columns, channels, layout, strides, ky, kx, multiplier, first
    return Contraction(reached.view, init, reached.index, loops, result, x, w, *windows)


def _halves(reached: _Reached, loops: tuple[Var, ...], weights: Linear) -> tuple[Var, Var] | None:
    """The variables of input channel and multiplier, if weights of neighbouring output channels are neighbours."""
    new = sorted({v for i in reached.where for v in i.variables} - {*loops}, key=weights.coefficient)
    if len(new) != 2 or any(loops[3] in i.variables for i in reached.where):
        return None
    inner, outer = new
    neighbours = weights.coefficient(inner) == 1 and weights.coefficient(outer) == inner.extent
    return (outer, inner) if neighbours and reached.index[-1] == Linear.of(loops[3]) else None


def _axis(at: Linear, output: Var, reduced: list[Var], inputs: int) -> tuple[Axis, Var] | None:
    """The windows of one dimension, and the loop variable that goes through a window; None for any other access."""
    own = [var for var in reduced if at.coefficient(var)]
    if len(own) > 1 or not at.variables <= {output, *own} or (output.extent > 1 and not at.coefficient(output)):
        return None
    within = own[0] if own else Var("k", 1)
    stride, dilation = at.coefficient(output) or 1, at.coefficient(within) or 1
    if stride < 0 or dilation < 0 or at.const > 0:
        return None
    return Axis(stride, dilation, -at.const, within.extent, inputs, output.extent), within


def _layout(channel: Linear, weights: Linear, output: Var, inner: list[Var], kx: Var) -> Layout | None:
    """The layout of a convolution, from the subscripts of input channel and weights; None for any other."""
    if len(inner) > 1:
        return None
    if inner:
        own = inner[0]
        # a coefficient of 0 would be one weight for all columns of the window
        contiguous = weights.coefficient(own) == 1 and weights.coefficient(kx) == (own.extent if kx.extent > 1 else 0)
        return "runs" if contiguous and channel == Linear.of(own) else None
    if channel == Linear.of(output) and output.extent > 1:
        return "depthwise" if weights.coefficient(output) == 1 else None
    if channel != Linear():
        return None
    if weights.coefficient(kx) == (1 if kx.extent > 1 else 0) and weights.coefficient(output) != 1:
        return "runs"
    return "spread" if weights.coefficient(output) == 1 else None
