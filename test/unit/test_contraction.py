"""Which convolutions the blocked kernels take, as what, and each reason to leave one to the general kernel."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from jit import lowered
from layers import layer_bodies
from shifted import BUFFERS
from single_layers import Single, conv, dense, depthwise, pool
from tosa_nets import TosaNet, Window

from lowtide.graph.nest import LayerBody
from lowtide.graph.read import read_layer
from lowtide.ir import Module, func, parse_module
from lowtide.kernels.microkernels import PLAIN, microkernel_for
from lowtide.kernels.register_tiled.blocks import Blocks
from lowtide.kernels.register_tiled.contraction import Axis, Contraction
from lowtide.kernels.register_tiled.recognise import contraction_of
from lowtide.kernels.register_tiled.weights import fold
from lowtide.transform.interpreter import make_transform_context

SAME = ((1, 1), (1, 1))


@dataclass(frozen=True)
class Text:
    """A layer in linalg: out[0, y, x, o] = sum over i, j, c of what `code` adds, then an epilogue.

    Attributes:
        x, w, out: shapes of the (padded) input, the weights and the result.
        x_map, w_map: subscripts in terms of y, x, o, i, j, c.
        extents: of y, x, o, i, j, c.
        code: makes %p of %a and %b.
        pad: low and high of each dimension of the input, with its value.
    """

    x: tuple[int, ...] = (1, 4, 8, 4)
    w: tuple[int, ...] = (5, 3, 3, 4)
    out: tuple[int, ...] = (1, 2, 6, 5)
    x_map: str = "0, y + i, x + j, c"
    w_map: str = "o, i, j, c"
    code: str = """%m = arith.extsi %a : i8 to i32
            %n = arith.extsi %b : i8 to i32
            %p = arith.muli %m, %n : i32"""
    total: str = "arith.addi %t, %p : i32"
    kind: str = "i32"
    element: str = "i8"
    epilogue: str = "%r = arith.trunci %s : i32 to i8"
    pad: tuple[tuple[int, int], ...] = ()
    pad_value: int = 0
    dims: str = "y, x, o, i, j, c"
    kinds: str = '"parallel", "parallel", "parallel", "reduction", "reduction", "reduction"'
    out_map: str = "0, y, x, o"

    def body(self) -> tuple[Module, LayerBody]:
        """Parsed; the module owns what the body refers to."""
        module = parse_module(self._text(), make_transform_context())
        function = module.body.operations[0]
        assert isinstance(function, func.FuncOp)
        return module, read_layer(function)

    def _number(self, value: int) -> str:
        return f"{value}.0" if self.element.startswith("f") else str(value)

    def _text(self) -> str:
        inner = tuple(n - low - high for n, (low, high) in zip(self.x, self.pad, strict=True)) if self.pad else self.x
        x, w, out = (f"tensor<{'x'.join(map(str, shape))}x{self.element}>" for shape in (inner, self.w, self.out))
        padded = f"tensor<{'x'.join(map(str, self.x))}x{self.element}>"
        sums = out.replace(f"x{self.element}>", f"x{self.kind}>")
        lows, highs = (", ".join(str(pair[n]) for pair in self.pad) for n in range(2))
        pad = f"""%z = arith.constant {self._number(self.pad_value)} : {self.element}
          %in = tensor.pad %x low[{lows}] high[{highs}] {{
          ^bb0(%0: index, %1: index, %2: index, %3: index):
            tensor.yield %z : {self.element}
          }} : {x} to {padded}"""
        name = "%in" if self.pad else "%x"
        return f"""
        #x = affine_map<({self.dims}) -> ({self.x_map})>
        #w = affine_map<({self.dims}) -> ({self.w_map})>
        #y = affine_map<({self.dims}) -> ({self.out_map})>
        #all = affine_map<(a, b, c, d) -> (a, b, c, d)>
        func.func @layer(%x: {x}, %w: {w}, %out: {out}) -> {out} {{
          {pad if self.pad else ""}
          %zero = arith.constant {self._number(0)} : {self.kind}
          %e = tensor.empty() : {sums}
          %f = linalg.fill ins(%zero : {self.kind}) outs(%e : {sums}) -> {sums}
          %sum = linalg.generic {{indexing_maps = [#x, #w, #y], iterator_types = [{self.kinds}]}}
            ins({name}, %w : {padded}, {w}) outs(%f : {sums}) {{
          ^bb0(%a: {self.element}, %b: {self.element}, %t: {self.kind}):
            {self.code}
            %u = {self.total}
            linalg.yield %u : {self.kind}
          }} -> {sums}
          %y = linalg.generic {{indexing_maps = [#all, #all],
              iterator_types = ["parallel", "parallel", "parallel", "parallel"]}}
            ins(%sum : {sums}) outs(%out : {out}) {{
          ^bb0(%s: {self.kind}, %o: {self.element}):
            {self.epilogue}
            linalg.yield %r : {self.element}
          }} -> {out}
          return %y : {out}
        }}"""


def _found(text: Text) -> Contraction | None:
    # what is found refers to the module's operations, but nothing here looks at those
    _, body = text.body()
    found = contraction_of(body)
    return found if found is not None and Blocks(found, microkernel_for(found, PLAIN)).emittable else None


ZEROS = """%zx = arith.constant ZX : i32
            %zw = arith.constant 3 : i32
            %m0 = arith.extui %a : i8 to i32
            %n0 = arith.extsi %b : i8 to i32
            %m = arith.subi %m0, %zx : i32
            %n = arith.subi %n0, %zw : i32
            %p = arith.muli %n, %m : i32"""


def test_what_is_read_off_a_convolution() -> None:
    found = _found(Text())
    assert found is not None
    assert (found.layout, found.channels, found.outputs, found.run, found.w_strides) == ("runs", 4, 5, 12, (36, 12, 4))
    assert found.rows == Axis(1, 1, 0, 3, 4, 2) and found.columns == Axis(1, 1, 0, 3, 8, 6)
    assert (found.x.argument, found.x.signed, found.x.zero, found.w.argument) == (0, True, 0, 1)
    strided = Text(
        x=(1, 7, 11, 4), out=(1, 3, 5, 5), x_map="0, y * 2 + i, x * 2 + j, c", pad=((0, 0), (1, 0), (1, 1), (0, 0))
    )
    found = _found(strided)
    assert found is not None
    assert found.rows == Axis(2, 1, 1, 3, 6, 3) and found.columns == Axis(2, 1, 1, 3, 9, 5)


def test_zero_points_and_signs() -> None:
    found = _found(Text(code=ZEROS.replace("ZX", "130")))
    assert found is not None
    assert (found.x.signed, found.x.zero, found.w.signed, found.w.zero) == (False, 130, True, 3)


@pytest.mark.parametrize(
    ("axis", "interior"),
    [
        (Axis(1, 1, 1, 3, 8, 8), (1, 7)),
        (Axis(2, 1, 1, 3, 9, 5), (1, 4)),
        (Axis(2, 1, 0, 3, 9, 4), (0, 4)),
        (Axis(1, 2, 2, 3, 5, 5), (2, 3)),
        (Axis(1, 1, 2, 5, 2, 2), (2, 2)),
        (Axis(3, 1, 1, 1, 5, 3), (1, 2)),
    ],
    ids=str,
)
def test_the_interior(axis: Axis, interior: tuple[int, int]) -> None:
    assert axis.interior == interior
    whole = [
        o
        for o in range(axis.outputs)
        if all(0 <= o * axis.stride + k * axis.dilation - axis.pad < axis.inputs for k in range(axis.kernel))
    ]
    assert whole == list(range(*interior))


FLOATS = Text(
    element="f32",
    kind="f32",
    code="%p = arith.mulf %b, %a : f32",
    total="arith.addf %p, %t : f32",
    epilogue="%r = arith.negf %s : f32",
)


def test_floats() -> None:
    found = _found(replace(FLOATS, x=(1, 4, 9, 4), pad=((0, 0), (1, 1), (1, 0), (0, 0))))
    assert found is not None
    assert (found.layout, found.element, found.size, found.x.argument, found.w.argument) == ("runs", "float", 4, 0, 1)
    # channels and strides of the weights in elements, distances in the input in bytes
    assert (found.channels, found.depth, found.pixel, found.run) == (4, 16, 16, 48)
    assert found.w_strides == (36, 12, 4)
    few = _found(replace(FLOATS, x=(1, 4, 8, 3), w=(5, 3, 3, 3)))
    # words whatever the number of channels, so that nothing is copied to the stack
    assert few is not None and Blocks(few, microkernel_for(few, PLAIN)).kind == "runs"


def test_a_result_of_two_dimensions() -> None:
    """A dense layer that is reshaped before its clamp."""
    net = TosaNet(np.random.default_rng(1))
    x = net.input((1, 1, 1, 8), "float32")
    made = net.conv(x, net.random((5, 1, 1, 8), "float32"), Window((1, 1)))
    y = net.clamp(net.reshape(made, [1, 5]), 0, 3)
    module = lowered(net.text([y]), BUFFERS)
    (found,) = (contraction_of(body) for body in layer_bodies(module).values())
    assert found is not None
    assert (found.outputs, [len(found.result), *(loop.extent for loop in found.loops)]) == (5, [2, 1, 1, 1, 5])


def test_columns_apart() -> None:
    found = _found(Text(x=(1, 4, 10, 4), x_map="0, y + i, x + j * 2, c"))
    assert found is not None and found.dilated and found.columns == Axis(1, 2, 0, 3, 10, 6)
    # a window of one column has nothing to be apart
    found = _found(Text(x=(1, 6, 8, 4), out=(1, 2, 8, 5), w=(5, 3, 1, 4), x_map="0, y + i * 2, x + j, c"))
    assert found is not None and not found.dilated and found.rows == Axis(1, 2, 0, 3, 6, 2)


@pytest.mark.parametrize("kind", ["int8", "float32"])
def test_channels_that_share_an_input(kind: str) -> None:
    net, output = depthwise((5, 5), 3, 2, Window((3, 3), SAME)).net(kind)
    module = lowered(net.text([output]), BUFFERS)
    (found,) = (contraction_of(body) for body in layer_bodies(module).values())
    assert found is not None
    assert (found.layout, found.multiplier, found.outputs, found.channels) == ("depthwise", 2, 6, 1)
    assert (found.x.shape[3], found.w_strides) == (3, (1, 18, 6))


REFUSED: dict[str, Text] = {
    "a sum of half floats": replace(
        FLOATS,
        element="f16",
        kind="f16",
        code="%p = arith.mulf %a, %b : f16",
        total="arith.addf %t, %p : f16",
        epilogue="%r = arith.negf %s : f16",
    ),
    "a sum of squares of floats": replace(FLOATS, code="%p = arith.mulf %a, %a : f32"),
    "a maximum of floats": replace(FLOATS, total="arith.maximumf %t, %p : f32"),
    "a float less another": replace(
        FLOATS, code="%z9 = arith.constant 1.0 : f32\n%m = arith.subf %a, %z9 : f32\n%p = arith.mulf %m, %b : f32"
    ),
    "a pad of floats that counts": replace(FLOATS, pad=((0, 0), (0, 0), (1, 1), (0, 0)), pad_value=1),
    "a sum of 64 bits": Text(
        kind="i64",
        code="""%m = arith.extsi %a : i8 to i64
            %n = arith.extsi %b : i8 to i64
            %p = arith.muli %m, %n : i64""",
        total="arith.addi %t, %p : i64",
        epilogue="%r = arith.trunci %s : i64 to i8",
    ),
    "a maximum": Text(total="arith.maxsi %t, %p : i32"),
    "a square": Text(code=Text.code.replace("%m, %n", "%m, %m")),
    "no sum": Text(code=Text.code.replace("muli", "addi")),
    "another scale": Text(code=Text.code + "\n%p2 = arith.addi %p, %p : i32", total="arith.addi %t, %p2 : i32"),
    "a zero point that is none": Text(code=ZEROS.replace("ZX", "130").replace("subi %m0, %zx", "subi %m0, %n0")),
    "a zero point beyond 16 bits": Text(code=ZEROS.replace("ZX", "40000")),
    "16-bit operands": Text(
        element="i16", code=Text.code.replace("i8", "i16"), epilogue="%r = arith.trunci %s : i32 to i16"
    ),
    "a pad that counts": Text(x=(1, 4, 8, 4), pad=((0, 0), (0, 0), (1, 1), (0, 0)), pad_value=1),
    "channels padded before": Text(pad=((0, 0), (0, 0), (0, 0), (1, 0))),
    "channels padded behind": Text(pad=((0, 0), (0, 0), (0, 0), (0, 1))),
    "rows from the end": Text(x_map="0, -y - i + 3, x + j, c"),
    "rows and columns changed over": Text(x_map="0, x + i, y + j, c", x=(1, 8, 4, 4)),
    "a part of the input": Text(x=(1, 5, 8, 4), x_map="0, y + i + 1, x + j, c"),
    "one row for all": Text(x=(1, 3, 8, 4), x_map="0, i, x + j, c"),
    "one column for all": Text(x=(1, 4, 3, 4), x_map="0, y + i, j, c"),
    "weights across channels": Text(w=(5, 4, 3, 3), w_map="o, c, i, j"),
    "weights for each row": Text(w=(2, 5, 3, 3, 4), w_map="y, o, i, j, c"),
    "a window too large for the stack": Text(x=(1, 11, 14, 3), w=(5, 10, 9, 3), x_map="0, y + i, x + j, c"),
    "depthwise with channels padded": Text(
        x=(1, 4, 8, 5),
        w=(3, 3, 5),
        dims="y, x, o, i, j",
        x_map="0, y + i, x + j, o",
        w_map="i, j, o",
        kinds=Text.kinds.replace(', "reduction"', "", 1),
        pad=((0, 0), (0, 0), (0, 0), (0, 2)),
    ),
    "depthwise with weights by channel": Text(
        x=(1, 4, 8, 5),
        w=(5, 3, 3),
        dims="y, x, o, i, j",
        x_map="0, y + i, x + j, o",
        w_map="o, i, j",
        kinds=Text.kinds.replace(', "reduction"', "", 1),
    ),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_refused(reason: str) -> None:
    assert _found(REFUSED[reason]) is None


@pytest.mark.parametrize(
    ("layer", "layout"),
    [
        (conv((5, 5), (2, 3), Window((3, 3), SAME)), "runs"),
        (conv((5, 5), (1, 3), Window((3, 3), SAME)), "runs"),
        (conv((5, 5), (4, 3), Window((3, 3), SAME, (2, 2))), "runs"),
        (depthwise((5, 5), 3, 1, Window((3, 3), SAME)), "depthwise"),
        (depthwise((5, 5), 3, 1, Window((3, 3), ((2, 2), (2, 2)), dilation=(2, 2))), "depthwise"),
        (depthwise((5, 5), 1, 3, Window((3, 3), SAME)), "spread"),
        (depthwise((5, 5), 2, 2, Window((3, 3), SAME)), "depthwise"),
        (conv((5, 5), (3, 2), Window((3, 3), ((2, 2), (2, 2)), dilation=(2, 2))), "runs"),
        (dense(4, 3, 5), None),
        (pool((5, 5), 2, Window((3, 3), SAME), "avg"), None),
        (pool((5, 5), 2, Window((3, 3), SAME), "max"), None),
    ],
    ids=lambda value: value.name if isinstance(value, Single) else "",
)
@pytest.mark.parametrize("kind", ["int8", "float32"])
def test_layers_of_models(layer: Single, layout: str | None, kind: str) -> None:
    net, output = layer.net(kind)
    module = lowered(net.text([output]), BUFFERS)
    found = [contraction_of(body) for body in layer_bodies(module).values()]
    assert [item and item.layout for item in found] == [layout]


# -- what a zero point comes to ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("zero", [-128, -5, 0, 127, 255])
@pytest.mark.parametrize("signed", [True, False])
def test_fold(zero: int, signed: bool) -> None:
    found = _found(Text())
    assert found is not None
    found = replace(found, x=replace(found.x, zero=zero), w=replace(found.w, signed=signed))
    weights = np.random.default_rng(1).integers(-128, 128, (5, 3, 3, 4)).astype(np.int8)
    read = weights.astype(np.int64) if signed else weights.view(np.uint8).astype(np.int64)
    whole = fold(found, [(0, 3)], weights)
    np.testing.assert_array_equal(whole, -zero * read.sum(axis=(1, 2, 3)))
    assert whole.dtype == np.int32
    np.testing.assert_array_equal(fold(found, [(0, 3)], weights.reshape(-1)), whole)
    parts = fold(found, [(1, 3), (0, 3), (0, 1)], weights).reshape(3, -1)
    np.testing.assert_array_equal(
        parts, [-zero * read[:, r].sum(axis=(1, 2, 3)) for r in (slice(1, 3), slice(3), slice(1))]
    )


def test_fold_of_each_channel_its_own_input() -> None:
    text = REFUSED["depthwise with channels padded"]
    found = _found(replace(text, pad=()))
    assert found is not None and found.layout == "depthwise"
    found = replace(found, x=replace(found.x, zero=7))
    weights = np.random.default_rng(1).integers(-128, 128, (3, 3, 5)).astype(np.int8)
    np.testing.assert_array_equal(fold(found, [(0, 3)], weights), -7 * weights.astype(np.int64).sum(axis=(0, 1)))
