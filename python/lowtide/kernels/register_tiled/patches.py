"""Sums over windows that are copied to the stack first: convolutions with few input channels."""

from __future__ import annotations

from lowtide.ir import InsertionPoint, IntegerType, MemRefType, Value, arith, memref, scf
from lowtide.kernels.register_tiled.blocks import Blocks
from lowtide.kernels.register_tiled.memory import WORD, Address, address_of, advanced, load, scaled, store
from lowtide.kernels.register_tiled.microkernel import Sums
from lowtide.kernels.register_tiled.products import Products
from lowtide.kernels.register_tiled.sums import Input, Pixels, Runs
from lowtide.kernels.scalar import counted
from lowtide.kernels.values import index_constant, word


class Patches(Runs):
    """Convolutions with few input channels: each pixel's window is copied to the stack, pads included, as one run."""

    def __init__(self, blocks: Blocks, layer: Input) -> None:
        super().__init__(blocks, layer)
        found = blocks.found
        self.size = found.rows.kernel * found.run
        # Patches begin at multiples of a word, so that words can be loaded from them.
        self.bytes = -(-self.size // WORD) * WORD
        kind = MemRefType.get([blocks.pixels * self.bytes], IntegerType.get_signless(8))
        self.patches = address_of(memref.alloca(kind, [], [], alignment=WORD))

    def folded(self, pixels: Pixels) -> bool:
        """See `SumEmitter`: pads are in the windows, and are folded with them."""
        del pixels
        return self.layer.folds

    def open_pixels(self, pixels: Pixels) -> None:
        """Copy the windows of these pixels to the stack, pads included."""
        low, high = self.rows()
        column, axis = self.found.loops[2], self.found.columns
        # then blocks have one pixel
        if self.layer.by_pixels:
            self._copy_pixels(self.patches, low, high)
            return
        with counted(index_constant(0), index_constant(pixels.count)) as m:
            own = arith.addi(pixels.column, m)
            self.layer.indices.bind(column, own)
            patch = advanced(self.patches, scaled(m, self.bytes))
            first, end = axis.interior
            # one unsigned comparison for both ends
            inside = arith.cmpi(
                arith.CmpIPredicate.ult, arith.subi(own, index_constant(first)), index_constant(end - first)
            )
            choice = scf.IfOp(arith.andi(inside, self.has_all(low, high)), has_else=True)
            with InsertionPoint(choice.then_block):
                self._copy_whole(own, patch)
                scf.YieldOp([])
            with InsertionPoint(choice.else_block):
                self._copy_part(own, patch, low, high)
                scf.YieldOp([])
        self.layer.indices.bind(column, pixels.column)

    def _copy_whole(self, column: Value, patch: Address) -> None:
        """Copy a window that is inside the input, without loops."""
        for ky in range(self.found.rows.kernel):
            self.layer.indices.bind(self.found.ky, index_constant(ky))
            source = advanced(self.layer.input_row(self.row), self.first_byte(column, None))
            target = patch + ky * self.found.run
            if not self.found.dilated:
                _copy(source, target, self.found.run)
                continue
            for kx in range(self.found.columns.kernel):
                place = source + kx * self.found.columns.dilation * self.found.pixel
                _copy(place, target + kx * self.found.depth, self.found.depth)

    def _copy_part(self, column: Value, patch: Address, low: Value, high: Value) -> None:
        """Copy what is inside the input of a window: byte by byte, or pixel by pixel where its columns are apart."""
        self._fill(patch)
        found, byte = self.found, IntegerType.get_signless(8)
        left, right = self.columns()
        with counted(low, high) as ky:
            self.layer.indices.bind(found.ky, ky)
            source = advanced(self.layer.input_row(self.row), self.first_byte(column, None))
            target = advanced(patch, scaled(ky, found.run))
            bounds = (left, right) if found.dilated else (scaled(left, found.channels), scaled(right, found.channels))
            with counted(*bounds) as at:
                if found.dilated:
                    place = advanced(source, scaled(at, found.columns.dilation * found.pixel))
                    _copy(place, advanced(target, scaled(at, found.depth)), found.depth)
                else:
                    store(load(advanced(source, at), byte), advanced(target, at))

    def _copy_pixels(self, patch: Address, low: Value, high: Value) -> None:
        """Copy what is inside the input of a window, pixel by pixel: the input is a ring or a block of pixels."""
        self._fill(patch)
        found, (left, right) = self.found, self.columns()
        with counted(low, high) as ky:
            self.layer.indices.bind(found.ky, ky)
            with counted(left, right) as kx:
                self.layer.indices.bind(found.kx, kx)
                at = arith.addi(scaled(ky, found.run), scaled(kx, found.channels))
                _copy(self.layer.input_pixel(self.row, self.column), advanced(patch, at), found.channels)

    def _fill(self, patch: Address) -> None:
        """Fill a window with pads: the zero point, which counts as zero."""
        byte = self.found.x.zero & 0xFF
        value = word(int.from_bytes(bytes([byte] * WORD), "little", signed=True))
        for at in range(0, self.bytes, WORD):
            store(value, patch + at)

    def emit(self, pixels: Pixels, channel: Value, sums: Sums) -> Sums:
        """See `SumEmitter`."""
        weights = advanced(self.layer.weights(), scaled(channel, self.found.w_strides[0] * self.found.w.nbytes))
        xs = [self.patches + m * self.bytes for m in range(pixels.count)]
        return self.run(sums, xs, self.firsts(weights, sums), self.size, self.x_of(pixels), self.span(pixels))

    def of_block(self, pixels: Pixels, channel: Value, count: int) -> Products | None:
        """See `SumEmitter`."""
        del pixels, count
        folds = self.layer.folds or not self.found.x.zero
        return self._run_products([self.patches.base], self.bytes, self.size, channel) if folds else None

    @property
    def row_bytes(self) -> int:
        """See `Runs`."""
        return self.size


def _copy(source: Address, target: Address, count: int) -> None:
    """Copy `count` bytes: words, then the bytes that are left."""
    words = count - count % WORD
    for at in range(0, words, WORD):
        store(load(source + at, IntegerType.get_signless(32)), target + at)
    for at in range(words, count):
        store(load(source + at, IntegerType.get_signless(8)), target + at)
