"""Steps of random networks that are in linalg, on images that lie in any order: channels first, between or last.

The network's own operators are TOSA's, whose images have channels last; a tensor of [1, a, b, c] is an image of a×b
pixels to those, and one of b×c, c×a, … pixels to these.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from layouts import Builder, Subscript, contracted, pooled, typed
from tosa_nets import Array, TosaNet, Value

Made = tuple[str, Array]
_WINDOW = (("y", "i"), ("x", "j"))


@dataclass(frozen=True)
class Named:
    """An operation of linalg with a name of its own.

    Attributes:
        name: of the operation, without its dialect.
        image: the dimensions of rows, columns and channels.
        weights: loops that the dimensions of the weights go by.
        kinds: element types that it is defined for.
    """

    name: str
    image: tuple[int, int, int]
    weights: str
    kinds: tuple[str, ...] = ("int8", "float32")


FIRST, LAST = (2, 3, 1), (1, 2, 3)
NAMED = (
    Named("conv_2d_nchw_fchw", FIRST, "ocij"),
    Named("conv_2d_nhwc_hwcf", LAST, "ijco"),
    Named("conv_2d_nhwc_fhwc", LAST, "oijc"),
    Named("depthwise_conv_2d_nchw_chw", FIRST, "oij"),
    Named("depthwise_conv_2d_nhwc_hwc", LAST, "ijo"),
    Named("pooling_nchw_max", FIRST, "ij"),
    Named("pooling_nchw_sum", FIRST, "ij"),
    Named("pooling_nhwc_min", LAST, "ij"),
    Named("pooling_nhwc_max", LAST, "ij"),
)
STEPS = ("conv", "depthwise", "pool", "named", "named", "reduce", "transpose")


def append(net: TosaNet, x: Value, choose: random.Random) -> tuple[str, Value]:
    """Append one of the steps to a network; gives its name and its value, which may have 32 bits."""
    b = Builder(choose, prefix=f"l{len(net.lines)}_")
    what = choose.choice(STEPS)
    if what == "named":
        named = choose.choice([one for one in NAMED if x.array.dtype.name in one.kinds])
        made, what = _named(b, x, named), named.name
    else:
        made = _MAKERS[what](b, x)
    net.lines += b.lines
    return f"linalg {what}", Value(made[0], np.ascontiguousarray(made[1]))


def _image(b: Builder, x: Value, image: Sequence[int], what: str, *, most: int = 3) -> list[Subscript]:
    """Windows with pads and strides over an image, of which each dimension is rows, columns or channels.

    Args:
        b: gets the extents of the loops.
        x: the image.
        image: the dimensions of its rows, columns and channels.
        what: conv, depthwise or pool.
        most: pads before and behind at the most.
    """
    choose, found = b.choose, [Subscript(())] * 4
    windows: dict[str, int] = {}
    for (place, within), dimension in zip(_WINDOW, image, strict=False):
        extent = x.array.shape[dimension]
        kernel, stride, dilation = choose.choice((1, 2, 3, 3)), choose.choice((1, 1, 2)), choose.choice((1, 1, 2))
        low, high = choose.randint(0, most), choose.randint(0, most)
        room = extent + low + high
        if (kernel - 1) * dilation + 1 > room:
            kernel, dilation = 1, 1
        reach = (kernel - 1) * dilation + 1
        b.extents[place], windows[within] = (room - reach) // stride + 1, kernel
        spare = room - reach - (b.extents[place] - 1) * stride
        found[dimension] = Subscript(((place, stride), (within, dilation)), low, high, spare)
    channels = x.array.shape[image[2]]
    b.extents["o"] = choose.randint(1, 6) if what == "conv" else channels
    b.extents |= windows
    own = "o"
    if what == "conv":
        b.extents["c"], own = channels, "c"
    found[image[2]] = Subscript(((own, 1),))
    return found


def _any_order(b: Builder, loops: str) -> list[Subscript]:
    order = list(loops)
    b.choose.shuffle(order)
    return [Subscript(((loop, 1),)) for loop in order]


def _contraction(what: str) -> Callable[[Builder, Value], Made]:
    def make(b: Builder, x: Value) -> Made:
        image = [1, 2, 3]
        b.choose.shuffle(image)
        xs = _image(b, x, image, what)
        weights = _any_order(b, "oijc" if what == "conv" else "oij")
        out = [Subscript(()), *_any_order(b, "yxo")]
        zero = b.choose.choice((0, 3, -5)) if x.array.dtype == np.int8 else 0
        return contracted(
            b, (x.name, x.array, xs), weights, out, zero=zero, fill=zero, start=2, signed=True, constant=True
        )

    return make


def _pool(b: Builder, x: Value) -> Made:
    image = [1, 2, 3]
    b.choose.shuffle(image)
    xs = _image(b, x, image, "pool")
    how = b.choose.choice(("max", "max", "min", "sum"))
    return pooled(b, (x.name, x.array, xs), [Subscript(()), *_any_order(b, "yxo")], how)


def _named(b: Builder, x: Value, named: Named) -> Made:
    """As the generic form computes it, whose lines are dropped but for the pad and what it starts from."""
    kind = x.array.dtype.name
    what = named.name.split("_")[0].removesuffix("ing")
    xs = _image(b, x, named.image, what)
    out = [Subscript(()) for _ in range(4)]
    for loop, dimension in zip("yxo", named.image, strict=True):
        out[dimension] = Subscript(((loop, 1),))
    given = x.name, x.array, xs
    if what == "pool":
        how = named.name.split("_")[-1]
        name, array = pooled(b, given, out, how)
        window = b.extents["i"], b.extents["j"]
        generic = b.lines.pop()
        weights = b.line(f"tensor.empty() : {typed(window, array.dtype.name)}"), typed(window, array.dtype.name)
    else:
        ws = [Subscript(((loop, 1),)) for loop in named.weights]
        name, array = contracted(b, given, ws, out, zero=0, fill=0, start=2, signed=True, constant=True)
        generic = b.lines.pop()
        weights = _second(generic)
    del name
    strides, dilations = (
        [dict(xs[d].terms)[loop] for loop, d in zip(loops, named.image, strict=False)] for loops in ("yx", "ij")
    )
    first, into = _first(generic), generic.split("outs(")[1].split(")")[0]
    code = (
        f"linalg.{named.name} {{strides = dense<{strides}> : tensor<2xi64>, dilations = dense<{dilations}> : "
        f"tensor<2xi64>}} ins({first[0]}, {weights[0]} : {first[1]}, {weights[1]}) outs({into}) "
        f"-> {typed(array.shape, array.dtype.name)}"
    )
    assert kind in named.kinds
    return b.line(code), array


def _inputs(generic: str) -> list[tuple[str, str]]:
    """Names and types of what a `linalg.generic` takes."""
    names, types = generic.split(" ins(")[1].split(") outs(", maxsplit=1)[0].split(" : ")
    return list(zip(names.split(", "), types.split(", "), strict=True))


def _first(generic: str) -> tuple[str, str]:
    return _inputs(generic)[0]


def _second(generic: str) -> tuple[str, str]:
    return _inputs(generic)[1]


def _reduce(b: Builder, x: Value) -> Made:
    """The maxima along one dimension, the innermost too, in the place of the tensor's first."""
    dimension = b.choose.randint(1, 3)
    kind = x.array.dtype.name
    shape = [extent for d, extent in enumerate(x.array.shape) if d != dimension]
    into = b.filled(shape, kind, -1000 if kind == "float32" else -128)
    maximum = "arith.maximumf" if kind == "float32" else "arith.maxsi"
    name = b.line(
        f"linalg.reduce {{ {maximum} }} ins({x.name} : {x.type}) outs({into} : {typed(shape, kind)})"
        f" dimensions = [{dimension}]"
    )
    whole = [1, *shape]
    groups = "[[0, 1], [2], [3]]"
    name = b.line(
        f"tensor.expand_shape {name} {groups} output_shape {whole} : {typed(shape, kind)} into {typed(whole, kind)}"
    )
    return name, x.array.max(axis=dimension).reshape(whole)


def _transpose(b: Builder, x: Value) -> Made:
    order = [1, 2, 3]
    b.choose.shuffle(order)
    array = x.array.transpose(0, *order)
    kind = typed(array.shape, array.dtype.name)
    empty = b.line(f"tensor.empty() : {kind}")
    return b.line(
        f"linalg.transpose ins({x.name} : {x.type}) outs({empty} : {kind}) permutation = {[0, *order]}"
    ), array


_MAKERS: dict[str, Callable[[Builder, Value], Made]] = {
    "conv": _contraction("conv"),
    "depthwise": _contraction("depthwise"),
    "pool": _pool,
    "reduce": _reduce,
    "transpose": _transpose,
}
