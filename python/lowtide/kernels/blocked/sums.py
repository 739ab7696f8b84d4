"""The sums of a block of pixels and channels, for each way in which weights and input lie in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from lowtide.graph.linear import Linear, Var
from lowtide.ir import InsertionPoint, IntegerType, MemRefType, Value, arith, memref, scf
from lowtide.kernels.blocked.contraction import Contraction
from lowtide.kernels.blocked.lanes import Lanes, Sums, less_zero, widened
from lowtide.kernels.blocked.memory import Address, address_of, advanced, load, scaled, store
from lowtide.kernels.scalar import Indices, index_constant

MOST_UNROLLED = 64
"""Bytes of a run whose products are written out, without a loop."""
TURN = 32
"""Bytes that a turn of a loop over a longer run takes."""
MOST_PATCH = 256
"""Bytes of a window that are copied to the stack, at most."""
MOST_TAPS = 25
"""Elements of a depthwise window that are written out, at most."""
_WORD = 4


@dataclass(frozen=True)
class Pixels:
    """Neighbours in a row of the output.

    Attributes:
        column: of the first.
        count: how many.
        inside: no column of their windows is outside the input.
        whole: nor is a row, where `SumEmitter.all_rows` says so.
    """

    column: Value
    count: int
    inside: bool
    whole: bool


class Input(Protocol):
    """What the emitter of a layer lends to that of its sums."""

    indices: Indices

    def range_of(self, inner: Linear, var: Var, extent: int) -> tuple[Value, Value]:
        """The values of `var` for which 0 ≤ inner < extent."""
        ...

    def input_row(self, row: Linear) -> Address:
        """The first byte of a row of the input."""
        ...

    def weights(self) -> Address:
        """The first byte of the weights."""
        ...


class SumEmitter:
    """Base of the emitters of sums; see `Runs`, `Patches`, `Spread`, `Depthwise`.

    Attributes:
        all_rows: of the current row, whether no row of its windows is outside the input; None where blocks don't ask.
    """

    def __init__(self, found: Contraction, layer: Input, lanes: Lanes) -> None:
        self.found = found
        self.layer = layer
        self.lanes = lanes
        self.all_rows: Value | None = None
        row, column = found.loops[1:3]
        self.row = Linear.of(row) * found.rows.stride + Linear.of(found.ky) * found.rows.dilation + -found.rows.pad
        across = Linear.of(column) * found.columns.stride + Linear.of(found.kx) * found.columns.dilation
        self.column = across + -found.columns.pad

    def pixels(self, inside: int) -> int:
        """Pixels of a block, where so many pixels of a row can be in blocks."""
        return max(1, min(self.lanes.block[0], inside))

    def channels(self, pixels: int) -> int:
        """Channels of a block of so many pixels."""
        return self.lanes.single if pixels == 1 else self.lanes.block[1]

    def open_row(self) -> None:
        """Prepare for a row; the layer's row variable is bound."""

    def open_pixels(self, pixels: Pixels) -> None:
        """Prepare for all channels of some pixels."""

    def emit(self, pixels: Pixels, channel: Value, sums: Sums) -> Sums:
        """The sums of the channels from `channel` on, from what they start from."""
        raise NotImplementedError

    def rows(self) -> tuple[Value, Value]:
        """The rows of the window that are inside the input."""
        return _inside(self.layer, self.row, self.found.ky, self.found.rows.inputs)

    def columns(self) -> tuple[Value, Value]:
        """The columns of the window that are inside the input."""
        return _inside(self.layer, self.column, self.found.kx, self.found.columns.inputs)

    def first_byte(self, pixels: Pixels, kx: Value | None) -> Value:
        """In its row, the byte that the window of the first pixel begins with, or that of its column `kx`."""
        axis, channels = self.found.columns, self.found.x.shape[3]
        at = arith.addi(scaled(pixels.column, axis.stride), index_constant(-axis.pad))
        if kx is not None:
            at = arith.addi(at, scaled(kx, axis.dilation))
        return scaled(at, channels)

    def spread_pixels(self, first: Address, pixels: Pixels) -> list[Address]:
        """The same byte of the windows of all pixels."""
        step = self.found.columns.stride * self.found.x.shape[3]
        return [first + m * step for m in range(pixels.count)]


def _inside(layer: Input, at: Linear, var: Var, extent: int) -> tuple[Value, Value]:
    low, high = at.bounds()
    if low >= 0 and high < extent:
        return index_constant(0), index_constant(var.extent)
    return layer.range_of(at, var, extent)


def looped(low: Value, high: Value, step: int, sums: Sums, body: Callable[[Value, Sums], Sums]) -> Sums:
    """A loop that carries the sums."""
    width = len(sums[0])
    loop = scf.ForOp(low, high, index_constant(step), [total for row in sums for total in row])
    carried = list(loop.inner_iter_args)
    with InsertionPoint(loop.body):
        made = body(loop.induction_variable, [carried[m * width : (m + 1) * width] for m in range(len(sums))])
        scf.YieldOp([total for row in made for total in row])
    results = list(loop.results)
    return [results[m * width : (m + 1) * width] for m in range(len(sums))]


class Runs(SumEmitter):
    """Convolutions whose input bytes under one row of the window lie in one run, as their weights do."""

    def emit(self, pixels: Pixels, channel: Value, sums: Sums) -> Sums:
        """See `SumEmitter`."""
        found = self.found
        low, high = self.rows()
        weights = advanced(self.layer.weights(), scaled(channel, found.w_strides[0]))
        if found.rows.kernel == 1:
            self.layer.indices.bind(found.ky, low)
            return self._row(pixels, weights, sums)

        def one(ky: Value, totals: Sums) -> Sums:
            self.layer.indices.bind(found.ky, ky)
            return self._row(pixels, advanced(weights, scaled(ky, found.w_strides[1])), totals)

        return looped(low, high, 1, sums, one)

    def _row(self, pixels: Pixels, weights: Address, sums: Sums) -> Sums:
        """Add the products under one row of the window."""
        found, row = self.found, self.layer.input_row(self.row)
        ws = [weights + n * found.w_strides[0] for n in range(len(sums[0]))]
        if pixels.inside:
            xs = self.spread_pixels(advanced(row, self.first_byte(pixels, None)), pixels)
            return self.run(sums, xs, ws, found.run)
        low, high = self.columns()
        first = advanced(row, self.first_byte(pixels, low))
        skipped = scaled(low, found.channels)
        step = turn_of(found.channels)
        xs, ws = self.spread_pixels(first, pixels), [advanced(address, skipped) for address in ws]

        def some(at: Value, totals: Sums) -> Sums:
            return self.products(totals, _moved(xs, at), _moved(ws, at), step)

        length = scaled(arith.subi(high, low), found.channels)
        return looped(index_constant(0), length, step, sums, some)

    def run(self, sums: Sums, xs: Sequence[Address], ws: Sequence[Address], count: int) -> Sums:
        """Add the products of runs of a known length."""
        if count <= MOST_UNROLLED:
            return self.products(sums, xs, ws, count)
        whole = count - count % TURN

        def some(at: Value, totals: Sums) -> Sums:
            return self.products(totals, _moved(xs, at), _moved(ws, at), TURN)

        sums = looped(index_constant(0), index_constant(whole), TURN, sums, some)
        return self.products(sums, [a + whole for a in xs], [a + whole for a in ws], count - whole)

    def products(self, sums: Sums, xs: Sequence[Address], ws: Sequence[Address], count: int) -> Sums:
        """Add the products of some bytes, written out."""
        return self.lanes.dot(sums, xs, ws, count, self.found.x, self.found.w) if count else sums


def turn_of(channels: int) -> int:
    """Bytes a turn, for runs that are a multiple of so many bytes."""
    return next((step for step in (TURN, 16, 8, _WORD) if channels % step == 0), min(channels, MOST_UNROLLED))


def _moved(addresses: Sequence[Address], at: Value) -> list[Address]:
    bases: dict[Value, Value] = {}
    for address in addresses:
        if address.base not in bases:
            bases[address.base] = arith.addi(address.base, at)
    return [Address(bases[address.base], address.offset) for address in addresses]


class Patches(Runs):
    """Convolutions with few input channels: each pixel's window is copied to the stack, pads included, as one run."""

    def __init__(self, found: Contraction, layer: Input, lanes: Lanes) -> None:
        super().__init__(found, layer, lanes)
        self.size = found.rows.kernel * found.run
        self.bytes = -(-self.size // _WORD) * _WORD
        kind = MemRefType.get([lanes.block[0] * self.bytes], IntegerType.get_signless(8))
        self.patches = address_of(memref.alloca(kind, [], [], alignment=_WORD))

    def open_pixels(self, pixels: Pixels) -> None:
        """Copy the windows."""
        low, high = self.rows()
        whole = arith.andi(
            arith.cmpi(arith.CmpIPredicate.eq, low, index_constant(0)),
            arith.cmpi(arith.CmpIPredicate.eq, high, index_constant(self.found.rows.kernel)),
        )
        for m in range(pixels.count):
            patch = self.patches + m * self.bytes
            if not pixels.inside:
                self._copy_part(pixels, patch, low, high)
                continue
            choice = scf.IfOp(whole, has_else=True)
            with InsertionPoint(choice.then_block):
                self._copy_whole(pixels, m, patch)
                scf.YieldOp([])
            with InsertionPoint(choice.else_block):
                self._copy_rows(pixels, m, patch, low, high)
                scf.YieldOp([])

    def _copy_whole(self, pixels: Pixels, m: int, patch: Address) -> None:
        """All rows, written out."""
        for ky in range(self.found.rows.kernel):
            self.layer.indices.bind(self.found.ky, index_constant(ky))
            _copy(self._window(pixels, m), patch + ky * self.found.run, self.found.run)

    def _copy_rows(self, pixels: Pixels, m: int, patch: Address, low: Value, high: Value) -> None:
        """The rows that there are."""
        self._fill(patch)
        loop = scf.ForOp(low, high, index_constant(1))
        with InsertionPoint(loop.body):
            ky = loop.induction_variable
            self.layer.indices.bind(self.found.ky, ky)
            _copy(self._window(pixels, m), advanced(patch, scaled(ky, self.found.run)), self.found.run)
            scf.YieldOp([])

    def _copy_part(self, pixels: Pixels, patch: Address, low: Value, high: Value) -> None:
        """The rows and columns that there are, byte by byte."""
        self._fill(patch)
        found, byte = self.found, IntegerType.get_signless(8)
        left, right = self.columns()
        rows = scf.ForOp(low, high, index_constant(1))
        with InsertionPoint(rows.body):
            ky = rows.induction_variable
            self.layer.indices.bind(found.ky, ky)
            source = advanced(self.layer.input_row(self.row), self.first_byte(pixels, None))
            target = advanced(patch, scaled(ky, found.run))
            bounds = scaled(left, found.channels), scaled(right, found.channels)
            columns = scf.ForOp(*bounds, index_constant(1))
            with InsertionPoint(columns.body):
                at = columns.induction_variable
                store(load(advanced(source, at), byte), advanced(target, at))
                scf.YieldOp([])
            scf.YieldOp([])

    def _window(self, pixels: Pixels, m: int) -> Address:
        first = advanced(self.layer.input_row(self.row), self.first_byte(pixels, None))
        return first + m * self.found.columns.stride * self.found.x.shape[3]

    def _fill(self, patch: Address) -> None:
        """The value that counts as zero."""
        byte = self.found.x.zero & 0xFF
        word = int.from_bytes(bytes([byte] * _WORD), "little", signed=True)
        value = arith.constant(IntegerType.get_signless(32), word)
        for at in range(0, self.bytes, _WORD):
            store(value, patch + at)

    def emit(self, pixels: Pixels, channel: Value, sums: Sums) -> Sums:
        """See `SumEmitter`."""
        stride = self.found.w_strides[0]
        weights = advanced(self.layer.weights(), scaled(channel, stride))
        xs = [self.patches + m * self.bytes for m in range(pixels.count)]
        return self.run(sums, xs, [weights + n * stride for n in range(len(sums[0]))], self.size)


def _copy(source: Address, target: Address, count: int) -> None:
    """Words, then bytes."""
    words = count - count % _WORD
    for at in range(0, words, _WORD):
        store(load(source + at, IntegerType.get_signless(32)), target + at)
    for at in range(words, count):
        store(load(source + at, IntegerType.get_signless(8)), target + at)


class Spread(Patches):
    """One input channel, and the weights of neighbouring output channels are neighbours."""

    def channels(self, pixels: int) -> int:
        """See `SumEmitter`."""
        del pixels
        return self.lanes.group

    def emit(self, pixels: Pixels, channel: Value, sums: Sums) -> Sums:
        """See `SumEmitter`."""
        del pixels
        weights = advanced(self.layer.weights(), channel)
        turn = next(step for step in (8, 4, 3, 2, 1) if self.size % step == 0)
        stride = self.found.w_strides[2]

        def some(at: Value, totals: Sums) -> Sums:
            for tap in range(turn):
                totals = self._tap(
                    totals, advanced(self.patches, at) + tap, advanced(weights, scaled(at, stride)) + tap * stride
                )
            return totals

        return looped(index_constant(0), index_constant(self.size), turn, sums, some)

    def _tap(self, sums: Sums, patch: Address, weights: Address) -> Sums:
        x, byte = self.found.x, IntegerType.get_signless(8)
        values = [less_zero(widened(load(patch + m * self.bytes, byte), x), x) for m in range(len(sums))]
        return self.lanes.spread(sums, values, weights, self.found.w)


class Depthwise(SumEmitter):
    """Each output channel from its own input channel."""

    def pixels(self, inside: int) -> int:
        """See `SumEmitter`."""
        return max(1, min(self.lanes.pixels, inside))

    def channels(self, pixels: int) -> int:
        """See `SumEmitter`."""
        del pixels
        return self.lanes.group

    def open_row(self) -> None:
        """See `SumEmitter`: blocks have all rows of their windows."""
        low, high = self.rows()
        if self.found.rows.interior == (0, self.found.rows.outputs):
            return
        count = arith.subi(high, low)
        self.all_rows = arith.cmpi(arith.CmpIPredicate.eq, count, index_constant(self.found.rows.kernel))

    def emit(self, pixels: Pixels, channel: Value, sums: Sums) -> Sums:
        """See `SumEmitter`."""
        weights = advanced(self.layer.weights(), channel)
        if pixels.whole:
            return self._whole(pixels, channel, weights, sums)
        low, high = self.rows()
        left, right = self.columns()

        def one(ky: Value, totals: Sums) -> Sums:
            self.layer.indices.bind(self.found.ky, ky)
            row = advanced(self.layer.input_row(self.row), channel)

            def tap(kx: Value, inner: Sums) -> Sums:
                x = advanced(row, self.first_byte(pixels, kx))
                offset = arith.addi(scaled(ky, self.found.w_strides[1]), scaled(kx, self.found.w_strides[2]))
                return self._tap(inner, [x], advanced(weights, offset))

            return looped(left, right, 1, totals, tap)

        return looped(low, high, 1, sums, one)

    def _whole(self, pixels: Pixels, channel: Value, weights: Address, sums: Sums) -> Sums:
        """Windows without a pad: the columns of a window written out, and its rows where they are few."""
        rows, columns = self.found.rows.kernel, self.found.columns.kernel
        start = arith.addi(self.first_byte(pixels, None), channel)

        def one(ky: Value, totals: Sums, offset: int = 0) -> Sums:
            self.layer.indices.bind(self.found.ky, ky)
            first = advanced(self.layer.input_row(self.row), start)
            own = (
                weights + offset
                if offset or rows * columns <= MOST_TAPS
                else advanced(weights, scaled(ky, self.found.w_strides[1]))
            )
            for kx in range(columns):
                xs = self.spread_pixels(first + kx * self.found.columns.dilation * self.found.x.shape[3], pixels)
                totals = self._tap(totals, xs, own + kx * self.found.w_strides[2])
            return totals

        if rows * columns > MOST_TAPS:
            return looped(index_constant(0), index_constant(rows), 1, sums, one)
        for ky in range(rows):
            sums = one(index_constant(ky), sums, ky * self.found.w_strides[1])
        return sums

    def _tap(self, sums: Sums, xs: Sequence[Address], weights: Address) -> Sums:
        return self.lanes.scale(sums, xs, weights, self.found.x, self.found.w)


def sum_emitter(found: Contraction, layer: Input, lanes: Lanes) -> SumEmitter:
    """The emitter for how the layer's operands lie; `emittable` must hold."""
    if found.layout == "depthwise":
        return Depthwise(found, layer, lanes)
    if found.layout == "spread":
        return Spread(found, layer, lanes)
    return Patches(found, layer, lanes) if _is_patch(found) else Runs(found, layer, lanes)


def emittable(found: Contraction) -> bool:
    """Whether one of the emitters takes the convolution."""
    if found.layout == "depthwise":
        return True
    patch = found.rows.kernel * found.run <= MOST_PATCH
    stride = found.w_strides[1]
    if found.layout == "spread":
        return patch and stride in (0, found.columns.kernel * found.w_strides[2])
    return not _is_patch(found) or (patch and stride in (0, found.run))


def _is_patch(found: Contraction) -> bool:
    """Windows of several columns with a number of channels that no word divides."""
    return found.channels % _WORD != 0 and found.rows.kernel * found.columns.kernel > 1
