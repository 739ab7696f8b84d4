"""Random layers in linalg whose tensors lie in any order of dimensions.

Convolutions, products, pools and maps of one to five dimensions: channels before, between or behind rows and columns,
weights and results in orders of their own, pads and strides along any dimension, the innermost too.
"""

from __future__ import annotations

import random

import numpy as np
from layouts import Builder, Layer, Subscript, contracted, ended, pooled, typed
from tosa_nets import Array

LIMIT = 700
"""No tensor has more elements."""
KINDS = ("conv", "conv", "conv", "depthwise", "depthwise", "pool", "pool", "pool", "product", "map", "map")


def random_layer(choose: random.Random, what: str | None = None) -> Layer | None:
    """A layer of that kind, or of any; None where the dice gave one that is too large."""
    what = what or choose.choice(KINDS)
    return _map(choose) if what == "map" else _reduction(choose, what)


def _loops(b: Builder, what: str) -> None:
    """Rows, columns, channels, and what is summed up."""
    choose = b.choose
    b.extents |= {
        "y": choose.choice((1, 2, 3, 5)),
        "x": choose.choice((1, 3, 4, 5, 9)),
        "o": choose.choice((1, 2, 3, 4, 5, 8)),
    }
    if choose.random() < 0.15:
        b.extents["n"] = choose.choice((1, 2))
    if what != "product":
        b.extents |= {"i": choose.choice((1, 2, 3)), "j": choose.choice((1, 2, 3, 5))}
    if what in ("conv", "product"):
        b.extents["c"] = choose.choice((1, 2, 3, 4, 8))


def _input(b: Builder, what: str) -> list[Subscript]:
    """Subscripts of what the windows go over."""
    choose = b.choose
    found = [Subscript((("n", 1),))] if "n" in b.extents else []
    for place, within in (("y", "i"), ("x", "j")):
        terms = [(place, choose.choice((1, 1, 1, 2, 3)))]
        if within in b.extents:
            terms.append((within, choose.choice((1, 1, 1, 2))))
        found.append(Subscript(tuple(terms)))
    if what == "product" and choose.random() < 0.5:
        found.pop()
    own = "c" if "c" in b.extents else "o"
    found.append(Subscript(((own, 1 if b.usual else choose.choice((1, 1, 2))),)))
    found = [b.padded(s) if what != "product" and (len(s.terms) > 1 or choose.random() < 0.2) else s for s in found]
    return b.shuffled(found)


def _reduction(choose: random.Random, what: str) -> Layer | None:
    b = Builder(choose)
    _loops(b, what)
    kind = choose.choice(("int8", "int8", "int8", "float32"))
    xs, out = _input(b, what), b.shuffled([Subscript(((v, 1),)) for v in b.extents if v in "nyxo"])
    shape = [b.extent(s) for s in xs]
    if min(shape) < 1 or np.prod(shape) > LIMIT or np.prod([b.extents[v] for v in b.extents if v in "nyxo"]) > LIMIT:
        return None
    name, array = b.input(shape, kind)
    signed = choose.random() < 0.7
    zero = choose.choice((0, 0, 3, -5)) if kind == "int8" and what != "pool" else 0
    if what == "pool":
        how = choose.choice(("max", "max", "min", "sum"))
        fill = None if choose.random() < 0.8 else 4
        return ended(b, *pooled(b, (name, array, xs), out, how, fill=fill, signed=signed), f"{how} pool")
    fill = zero if choose.random() < 0.8 else 7
    wanted = [v for v in ("o", "i", "j", "c") if v in b.extents and (v == "o" or choose.random() < 0.93)]
    ws = b.shuffled([Subscript(((v, 1),)) for v in wanted])
    known = choose.random() < 0.85
    start = choose.choice((0, 11))
    y, sums = contracted(
        b, (name, array, xs), ws, out, zero=zero, fill=fill, start=start, signed=signed, constant=known
    )
    return ended(b, y, sums, what)


def _map(choose: random.Random) -> Layer | None:
    """One or two tensors, of which an element is read at a place that is linear in the result's."""
    b = Builder(choose)
    rank = choose.randint(1, 5)
    b.extents |= {f"d{d}": choose.choice((1, 2, 3, 4, 5, 9)) for d in range(rank)}
    if np.prod(list(b.extents.values())) > LIMIT:
        return None
    kind = choose.choice(("int8", "int8", "float32"))
    sources: list[tuple[str, str, list[Subscript]]] = []
    reads: list[Array] = []
    for _ in range(choose.randint(1, 2)):
        subscripts = [Subscript(((v, choose.choice((1, 1, 1, 2))),)) for v in b.extents if choose.random() < 0.85]
        subscripts = [b.padded(s) if choose.random() < 0.2 else s for s in b.shuffled(subscripts)]
        shape = [b.extent(s) for s in subscripts]
        if not shape or min(shape) < 1 or np.prod(shape) > LIMIT:
            return None
        name, array = b.input(shape, kind)
        fill = choose.randint(-2, 2)
        padded, of_it = b.pad(name, array, subscripts, fill)
        sources.append((padded, of_it, subscripts))
        reads.append(b.read(array, subscripts, fill))
    out = [Subscript(((v, 1),)) for v in b.extents]
    if choose.random() < 0.5:
        choose.shuffle(out)
    if kind == "float32":
        total = np.sum(reads, axis=0, dtype=np.float32)
        code = " linalg.yield %a : f32" if len(reads) == 1 else " %r = arith.addf %a, %b : f32\n linalg.yield %r : f32"
    else:
        total = (np.sum([r.astype(np.int64) for r in reads], axis=0) >> 1).astype(np.int8)
        code = " %u = arith.extsi %a : i8 to i32\n"
        code += " %k = arith.extsi %b : i8 to i32\n %s = arith.addi %u, %k : i32\n" if len(reads) > 1 else ""
        code += f" %c = arith.constant 1 : i32\n %h = arith.shrsi {'%s' if len(reads) > 1 else '%u'}, %c : i32\n"
        code += " %r = arith.trunci %h : i32 to i8\n linalg.yield %r : i8"
    shape = [b.extent(s) for s in out]
    empty = b.line(f"tensor.empty() : {typed(shape, kind)}")
    kinds = ", ".join(['"parallel"'] * rank)
    y = b.generic(sources, empty, out, kind, kinds, code)
    order = [int(s.terms[0][0][1:]) for s in out]
    return b.done(y, np.ascontiguousarray(np.transpose(total, order)), "map")
