"""Layers in linalg whose tensors lie in any order of dimensions, computed by numpy from their definition."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from tosa_nets import Array

_IMAGE = 3
_TYPES = {"int8": "i8", "int32": "i32", "float32": "f32"}


@dataclass(frozen=True)
class Subscript:
    """One dimension of a tensor: Σ factor · loop, less the pad before it.

    Attributes:
        terms: loops with their factors.
        low, high: pads before and behind.
        spare: elements that no loop reaches.
    """

    terms: tuple[tuple[str, int], ...]
    low: int = 0
    high: int = 0
    spare: int = 0

    def text(self) -> str:
        """As an affine expression."""
        return " + ".join(f"{name} * {factor}" for name, factor in self.terms) or "0"


@dataclass(frozen=True)
class Layer:
    """A layer, its inputs and its result."""

    text: str
    inputs: tuple[Array, ...]
    wanted: Array
    what: str


@dataclass
class Builder:
    """Makes one layer.

    Args:
        choose: makes all choices.
        prefix: of the names of values.
    """

    choose: random.Random
    prefix: str = "v"
    inputs: list[Array] = field(default_factory=list[Array])
    names: list[str] = field(default_factory=list[str])
    lines: list[str] = field(default_factory=list[str])
    extents: dict[str, int] = field(default_factory=dict[str, int])

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.choose.randrange(1 << 30))
        self.usual = self.choose.random() < 0.6

    # -- tensors ------------------------------------------------------------------------------------------------

    def numbers(self, shape: Sequence[int], kind: str, *, extreme: bool = False) -> Array:
        """Any bytes, or small whole numbers, which floats add and multiply exactly."""
        if kind == "float32":
            return self.rng.integers(-3, 4, shape).astype(np.float32)
        low, high = (-128, 128) if kind == "int8" else (-900, 900)
        found = self.rng.integers(low, high, shape).astype(kind)
        if extreme and found.size:
            found.reshape(-1)[:: max(1, found.size // 3)] = self.choose.choice((low, high - 1))
        return found

    def input(self, shape: Sequence[int], kind: str) -> tuple[str, Array]:
        """A new argument of the network."""
        name = f"%in{len(self.inputs)}"
        self.inputs.append(self.numbers(shape, kind, extreme=True))
        self.names.append(f"{name}: {typed(shape, kind)}")
        return name, self.inputs[-1]

    def line(self, code: str) -> str:
        """An operation; gives the name of its result."""
        name = f"%{self.prefix}{len(self.lines)}"
        self.lines.append(f"{name} = {code}")
        return name

    def constant(self, array: Array) -> str:
        """A constant tensor."""
        raw = np.ascontiguousarray(array).tobytes().hex()
        return self.line(f'arith.constant dense<"0x{raw}"> : {typed(array.shape, array.dtype.name)}')

    def number(self, value: int, kind: str) -> str:
        """A constant number."""
        return self.line(f"arith.constant {value}{'.0' if kind == 'float32' else ''} : {_TYPES[kind]}")

    def filled(self, shape: Sequence[int], kind: str, value: int) -> str:
        """A tensor of one number."""
        empty, scalar = self.line(f"tensor.empty() : {typed(shape, kind)}"), self.number(value, kind)
        kinds = f"{_TYPES[kind]}) outs({empty} : {typed(shape, kind)}) -> {typed(shape, kind)}"
        return self.line(f"linalg.fill ins({scalar} : {kinds}")

    # -- subscripts ---------------------------------------------------------------------------------------------

    def reach(self, subscript: Subscript) -> int:
        """Elements that the loops reach."""
        return 1 + sum(factor * (self.extents[name] - 1) for name, factor in subscript.terms)

    def extent(self, subscript: Subscript) -> int:
        """Shape of the tensor without its pads."""
        return self.reach(subscript) - subscript.low - subscript.high + subscript.spare

    def shuffled(self, subscripts: Sequence[Subscript]) -> list[Subscript]:
        """In another order, with dimensions of one element between them; or channels last, of one image."""
        found = list(subscripts)
        if self.usual and self.choose.random() < 0.9:
            return [Subscript(()), *found] if len(found) == _IMAGE else found
        if self.choose.random() < 0.7:
            self.choose.shuffle(found)
        while len(found) < 5 and self.choose.random() < 0.3:
            found.insert(self.choose.randint(0, len(found)), Subscript(()))
        return found

    def padded(self, subscript: Subscript) -> Subscript:
        """With pads, or elements that nobody reads."""
        reach = self.reach(subscript)
        if reach < 2 or self.choose.random() < 0.4:
            return subscript
        low = self.choose.randint(0, min(3, reach - 1))
        high = self.choose.randint(0, min(3, reach - 1 - low))
        # MLIR wants a dimension that is a loop to be as large as the loop
        spare = self.choose.choice((0, 0, 1)) if len(subscript.terms) > 1 else 0
        return Subscript(subscript.terms, low, high, spare)

    def read(self, array: Array, subscripts: Sequence[Subscript], fill: int) -> Array:
        """The elements under every point of the loops, by dimension of the loops."""
        pads = [(s.low, s.high) for s in subscripts]
        whole = np.pad(array, pads, constant_values=fill) if pads else array
        grid = dict(zip(self.extents, np.indices(tuple(self.extents.values()), sparse=True), strict=True))
        places = [sum((grid[name] * factor for name, factor in s.terms), np.int64(0)) for s in subscripts]
        return np.broadcast_to(whole[tuple(places)], tuple(self.extents.values()))

    def pad(self, name: str, array: Array, subscripts: Sequence[Subscript], fill: int) -> tuple[str, str]:
        """Name and type of the tensor behind its pads."""
        kind = array.dtype.name
        shape = [n + s.low + s.high for n, s in zip(array.shape, subscripts, strict=True)]
        if list(array.shape) == shape:
            return name, typed(shape, kind)
        scalar = self.number(fill, kind)
        lows, highs = (", ".join(str(getattr(s, side)) for s in subscripts) for side in ("low", "high"))
        arguments = ", ".join(f"%p{d}: index" for d in range(len(shape)))
        body = f"{{\n ^bb0({arguments}):\n tensor.yield {scalar} : {_TYPES[kind]}\n }}"
        types = f"{typed(array.shape, kind)} to {typed(shape, kind)}"
        return self.line(f"tensor.pad {name} low[{lows}] high[{highs}] {body} : {types}"), typed(shape, kind)

    def generic(
        self,
        sources: Sequence[tuple[str, str, Sequence[Subscript]]],
        into: str,
        out: Sequence[Subscript],
        kind: str,
        kinds: str,
        code: str,
    ) -> str:
        """A `linalg.generic` over the loops."""
        loops = ", ".join(self.extents)
        maps = [*(subscripts for _, _, subscripts in sources), out]
        texts = ", ".join(f"affine_map<({loops}) -> ({', '.join(s.text() for s in m)})>" for m in maps)
        letters = "abc"[: len(sources)]
        elements = [
            f"%{x}: {t.rstrip('>').split('x')[-1].removeprefix('tensor<')}"
            for x, (_, t, _) in zip(letters, sources, strict=True)
        ]
        shape = typed([self.extent(s) for s in out], kind)
        ins = ", ".join(name for name, _, _ in sources), ", ".join(t for _, t, _ in sources)
        return self.line(
            f"linalg.generic {{indexing_maps = [{texts}], iterator_types = [{kinds}]}}"
            f" ins({ins[0]} : {ins[1]}) outs({into} : {shape}) {{\n"
            f" ^bb0({', '.join([*elements, f'%t: {_TYPES[kind]}'])}):\n{code}\n }} -> {shape}"
        )

    def done(self, name: str, array: Array, what: str) -> Layer:
        """The network that returns this value."""
        kind = typed(array.shape, array.dtype.name)
        body = "\n  ".join(self.lines)
        text = f"func.func @main({', '.join(self.names)}) -> {kind} {{\n  {body}\n  return {name} : {kind}\n}}\n"
        return Layer(text, tuple(self.inputs), array, what)


def typed(shape: Sequence[int], kind: str) -> str:
    """A tensor's type."""
    return f"tensor<{'x'.join(map(str, (*shape, _TYPES[kind])))}>"


def layer_of(
    extents: Mapping[str, int],
    x: Sequence[Subscript],
    w: Sequence[Subscript],
    out: Sequence[Subscript],
    *,
    kind: str = "int8",
    zero: int = 0,
    wide: bool = True,
) -> Layer:
    """The sum of products over the loops that `out` has none of; pads are of the zero point.

    Args:
        extents: of the loops; those over the result are n, y, x and o.
        x, w, out: which elements the loops are at.
        kind, zero: element type and zero point of the input.
        wide: the result is the sums.
    """
    b = Builder(random.Random(1))
    b.extents |= extents
    name, array = b.input([b.extent(s) for s in x], kind)
    y, sums = contracted(b, (name, array, x), w, out, zero=zero, fill=zero, start=3, signed=True, constant=True)
    return b.done(y, np.ascontiguousarray(sums), "sum") if wide else ended(b, y, sums, "sum", plain=True)


def contracted(
    b: Builder,
    x: tuple[str, Array, Sequence[Subscript]],
    ws: Sequence[Subscript],
    out: Sequence[Subscript],
    *,
    zero: int,
    fill: int,
    start: int,
    signed: bool,
    constant: bool,
) -> tuple[str, Array]:
    """The sums of products of an input less its zero point and of weights."""
    name, array, xs = x
    kind = array.dtype.name
    padded, of_x = b.pad(name, array, xs, fill)
    if constant:
        w = b.numbers([b.extent(s) for s in ws], kind)
        w_name = b.constant(w)
    else:
        w_name, w = b.input([b.extent(s) for s in ws], kind)
    acc = "float32" if kind == "float32" else "int32"
    left, right = b.read(array, xs, fill), b.read(w, ws, 0)
    if kind == "int8":
        left, right = (wide_of(a, signed) for a in (left, right))
    axes = tuple(d for d, v in enumerate(b.extents) if v not in "nyxo")
    total = start + ((left - zero) * right).sum(axis=axes)
    code = _product(zero, signed=signed) if kind == "int8" else _FLOATS
    into = b.filled([b.extent(s) for s in out], acc, start)
    sources = [(padded, of_x, xs), (w_name, typed(w.shape, kind), ws)]
    known = [s.terms[0][0] for s in (*xs, *ws) if len(s.terms) == 1 and s.terms[0][1] == 1]
    y = b.generic([*sources, *_lost(b, known, kind)], into, out, acc, kinds_of(b), code)
    return y, arranged(b, total, out).astype(acc)


_FLOATS = " %m = arith.mulf %a, %b : f32\n %r = arith.addf %t, %m : f32\n linalg.yield %r : f32"


def _lost(b: Builder, known: Sequence[str], kind: str) -> list[tuple[str, str, Sequence[Subscript]]]:
    """A tensor of the shape of the loops that no weights tell the extent of."""
    lost = [v for v in ("i", "j", "c") if v in b.extents and v not in known]
    if not lost:
        return []
    shape = typed([b.extents[v] for v in lost], kind)
    return [(b.line(f"tensor.empty() : {shape}"), shape, [Subscript(((v, 1),)) for v in lost])]


def _product(zero: int, *, signed: bool) -> str:
    extend = "arith.extsi" if signed else "arith.extui"
    lines = [f" %w = {extend} %b : i8 to i32", f" %e = {extend} %a : i8 to i32"]
    lines.append(f" %z = arith.constant {zero} : i32\n %s = arith.subi %e, %z : i32")
    x = "%s" if zero else "%e"
    return "\n".join([*lines, f" %m = arith.muli {x}, %w : i32\n %r = arith.addi %t, %m : i32\n linalg.yield %r : i32"])


def pooled(
    b: Builder,
    x: tuple[str, Array, Sequence[Subscript]],
    out: Sequence[Subscript],
    how: str,
    *,
    fill: int | None = None,
    signed: bool = True,
) -> tuple[str, Array]:
    """Maxima, minima or sums under a window; pads are of `fill`, or of what changes nothing."""
    name, array, xs = x
    floats, kind = array.dtype == np.float32, array.dtype.name
    worst = {"max": -1000 if floats else -128, "min": 1000 if floats else 127, "sum": 0}[how]
    fill = worst if fill is None else fill
    padded, of_x = b.pad(name, array, xs, fill)
    values = b.read(array, xs, fill)
    axes = tuple(d for d, v in enumerate(b.extents) if v not in "nyxo")
    acc = kind if how != "sum" or floats else "int32"
    if how == "sum":
        values = values if floats else wide_of(values, signed)
        total = values.sum(axis=axes)
        extend = "arith.extsi" if signed else "arith.extui"
        code = f" %e = {extend} %a : i8 to i32\n %r = arith.addi %t, %e : i32\n linalg.yield %r : i32"
        if floats:
            code = " %r = arith.addf %t, %a : f32\n linalg.yield %r : f32"
    else:
        total = (values.max if how == "max" else values.min)(axis=axes)
        op = {"max": "arith.maximumf", "min": "arith.minimumf"}[how] if floats else f"arith.{how}si"
        code = f" %r = {op} %t, %a : {_TYPES[kind]}\n linalg.yield %r : {_TYPES[kind]}"
    into = b.filled([b.extent(s) for s in out], acc, worst)
    # without a tensor of the window's shape nothing says how large it is
    y = b.generic([(padded, of_x, xs), *_lost(b, (), kind)], into, out, acc, kinds_of(b), code)
    return y, arranged(b, total, out).astype(acc)


def wide_of(array: Array, signed: bool) -> Array:
    wide = array.astype(np.int64)
    return wide if signed else wide & 0xFF


def kinds_of(b: Builder) -> str:
    return ", ".join('"parallel"' if v in "nyxo" else '"reduction"' for v in b.extents)


def arranged(b: Builder, total: Array, out: Sequence[Subscript]) -> Array:
    """By dimension of the result, of an array by parallel loop."""
    loops = [v for v in b.extents if v in "nyxo"]
    order = [loops.index(s.terms[0][0]) for s in out if s.terms]
    return total.transpose(order).reshape([b.extent(s) for s in out])


def ended(b: Builder, name: str, array: Array, what: str, *, plain: bool = False) -> Layer:
    """What follows the sums: nothing, or bytes again, with a tensor added, in another order of dimensions.

    With `plain` it is bytes again and nothing else.
    """
    choose = b.choose
    kind = array.dtype.name
    if not plain and choose.random() < 0.2:
        return b.done(name, np.ascontiguousarray(array), what)
    b.extents.clear()
    b.extents |= {f"d{d}": extent for d, extent in enumerate(array.shape)}
    own = [Subscript(((v, 1),)) for v in b.extents]
    out = list(own)
    if not plain and choose.random() < 0.5:
        choose.shuffle(out)
    sources = [(name, typed(array.shape, kind), own)]
    total = array if kind == "float32" else array.astype(np.int64)
    lines = [] if kind != "int8" else [" %u = arith.extsi %a : i8 to i32"]
    x, element = ("%u", "i32") if kind == "int8" else ("%a", _TYPES[kind])
    if not plain and choose.random() < 0.5:
        more = [s for s in own if choose.random() < 0.6]
        choose.shuffle(more)
        if choose.random() < 0.5:
            other, values = b.input([b.extent(s) for s in more], "float32" if kind == "float32" else "int32")
        else:
            values = b.numbers([b.extent(s) for s in more], "float32" if kind == "float32" else "int32")
            other = b.constant(values)
        sources.append((other, typed(values.shape, values.dtype.name), more))
        total = total + b.read(values, more, 0)
        lines.append(f" %k = arith.{'addf' if kind == 'float32' else 'addi'} {x}, %b : {element}")
        x = "%k"
    if kind == "float32":
        result, made = "float32", total.astype(np.float32)
        lines.append(f" linalg.yield {x} : f32")
    else:
        shift = 0 if kind == "int8" else 6
        lines += [f" %c = arith.constant {shift} : i32\n %h = arith.shrsi {x}, %c : i32"]
        lines += [" %lo = arith.constant -128 : i32\n %hi = arith.constant 127 : i32"]
        lines += [" %f = arith.maxsi %h, %lo : i32\n %g = arith.minsi %f, %hi : i32"]
        lines += [" %r = arith.trunci %g : i32 to i8\n linalg.yield %r : i8"]
        result, made = "int8", np.clip(total >> shift, -128, 127).astype(np.int8)
    shape = [b.extent(s) for s in out]
    empty = b.line(f"tensor.empty() : {typed(shape, result)}")
    kinds = ", ".join(['"parallel"'] * len(b.extents))
    y = b.generic(sources, empty, out, result, kinds, "\n".join(lines))
    order = [own.index(s) for s in out]
    return b.done(y, np.ascontiguousarray(made.transpose(order)), what)
