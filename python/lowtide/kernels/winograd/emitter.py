"""Emits a convolution by pairs of rows and pairs of tiles; whatever that does not suit goes in register blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from lowtide.graph.nest import LayerBody
from lowtide.indexing.linear import Linear
from lowtide.ir import Value, arith
from lowtide.kernels.loops import How
from lowtide.kernels.register_tiled.contraction import Contraction
from lowtide.kernels.register_tiled.emitter import RegisterTiledEmitter, Tabulated
from lowtide.kernels.register_tiled.memory import Address, Grid, address_of, scaled
from lowtide.kernels.register_tiled.sums import Pixels
from lowtide.kernels.values import index_constant
from lowtide.kernels.winograd.assembly import Inputs, Outputs
from lowtide.kernels.winograd.tiles import TILE, TILES, WINDOW, Tiles


@dataclass(frozen=True)
class _Row:
    """A row of the input under a pair of rows of the output.

    Attributes:
        first: the address of its first byte.
        inside: whether it is inside the input, and needed, an `i1`.
    """

    first: Value
    inside: Value


@dataclass(frozen=True)
class _Outputs:
    """A pair of rows of the output.

    Attributes:
        rows: the address of the first channel of each row's first column; the first's twice where there is no second.
        both: whether there is, an `i1`.
        across: bytes from a pixel to the next.
    """

    rows: Sequence[Value]
    both: Value
    across: int


class WinogradEmitter(RegisterTiledEmitter):
    """As `RegisterTiledEmitter`, which does what this one can't; its workspace has `Tiles.workspace_words`."""

    def __init__(
        self, found: Contraction, body: LayerBody, arguments: Sequence[Value], how: How, given: Tabulated
    ) -> None:
        super().__init__(found, body, arguments, how, given)
        self._transformed = given.transformed
        self._workspace = next(iter(how.workspaces), None)

    def emit(self) -> None:
        """Emit the loop over all rows of the output, or over those of the part."""
        self._tables.open(index_constant(0))
        for var in self._found.loops:
            self.indices.bind(var, index_constant(0))
        record = None if self._requantised is None else self._tables.record(self._requantised.scales)
        grid = self._first_of_row()
        given = self._transformed, self._workspace, self._pads, record
        if any(value is None for value in given) or grid is None or grid.along != 1 or self.by_pixels:
            super().emit()
            return
        low, high = self._range(self._found.loops[1], 1)
        # rows that the range begins with are in pairs; of an odd number the last is alone
        rows = arith.addi(arith.subi(high, low), index_constant(TILE - 1))
        pairs = arith.divui(rows, index_constant(TILE))
        self.directed(
            index_constant(0), pairs, lambda pair: self._pair(arith.addi(low, scaled(pair, TILE)), high, grid.across)
        )

    def _first_of_row(self) -> Grid | None:
        """Where the first channel of the current row's first column goes."""
        pixel = Pixels(index_constant(0), 1, inside=False, whole=False)
        return self._grid(pixel, index_constant(0), self.destination(), self.body.target(self._found.result))

    def _pair(self, row: Value, end: Value, across: int) -> None:
        """All tiles of two rows, or of the last one."""
        own, following = self._found.loops[1], arith.addi(row, index_constant(1))
        both = arith.cmpi(arith.CmpIPredicate.ult, following, end)
        places: list[Value] = []
        for at in (row, arith.select(both, following, row)):
            self.indices.bind(own, at)
            grid = self._first_of_row()
            assert grid is not None
            places.append(_base(grid.first))
        self.indices.bind(own, row)
        rows = [self._input(Linear.of(own) + (k - self._found.rows.pad)) for k in range(WINDOW)]
        # the first row of a tile does not depend on the last row under it, which may not have been made yet
        rows[-1] = replace(rows[-1], inside=arith.andi(rows[-1].inside, both))
        outputs = _Outputs(places, both, across)
        pairs = index_constant(0), index_constant(self._tiles.pairs)
        self.directed(*pairs, lambda pair: self._tiles_of(pair, rows, outputs))

    def _input(self, row: Linear) -> _Row:
        extent = index_constant(self._found.rows.inputs)
        inside = arith.cmpi(arith.CmpIPredicate.ult, self.indices.value(row), extent)
        return _Row(_base(self.input_row(row)), inside)

    def _tiles_of(self, pair: Value, rows: Sequence[_Row], outputs: _Outputs) -> None:
        """A pair of tiles: both are transformed, then their outputs made."""
        assert self._transformed is not None and self._workspace is not None and self._requantised is not None
        tiles, workspace = self._tiles, address_of(self._workspace)
        first = arith.minui(scaled(pair, TILES), index_constant(max(0, tiles.count - TILES)))
        last = index_constant(self._found.columns.outputs - TILE)

        def start(tile: Value) -> Value:
            return arith.minui(scaled(arith.addi(first, tile), TILE), last)

        def transform(tile: Value) -> None:
            v = arith.addi(workspace.base, scaled(tile, 2 * self._found.channels))
            column = start(tile)
            self._by_edges(column, lambda outside: self._transform(column, rows, v, outside))

        for_both = index_constant(0), index_constant(TILES)
        self.directed(*for_both, transform)
        unwanted = arith.addi(workspace.base, index_constant(tiles.unwanted))
        # columns before this one have been made by the pairs before
        made = scaled(pair, TILES * TILE)
        places: list[Value] = []
        for tile in range(TILES):
            # of one tile in a row the second is the same again
            twice = tile >= tiles.count
            column = start(index_constant(tile))
            wanted = arith.maxui(made, scaled(arith.addi(first, index_constant(tile)), TILE))
            for own in range(TILE):
                at = arith.addi(column, index_constant(own))
                is_new = arith.cmpi(arith.CmpIPredicate.uge, at, wanted)
                for place, is_row in zip(outputs.rows, (None, outputs.both), strict=True):
                    chosen = is_new if is_row is None else arith.andi(is_new, is_row)
                    address = arith.addi(place, scaled(at, outputs.across))
                    places.append(unwanted if twice else arith.select(chosen, address, unwanted))
        # by tile, row and column
        order = [
            (tile * TILE + column) * TILE + row
            for tile in range(TILES)
            for row in range(TILE)
            for column in range(TILE)
        ]
        record = self._tables.record(self._requantised.scales)
        assert record is not None
        Outputs(
            tiles,
            workspace.base,
            address_of(self._transformed).base,
            _base(record),
            [places[number] for number in order],
            self._requantised,
        ).emit()

    def _by_edges(self, column: Value, emit: Callable[[frozenset[int]], None]) -> None:
        """Emit code for a tile that begins at this column: other code at the edges than inside."""
        firsts = {start for pair in self._tiles.starts for start in pair}
        kinds = sorted({self._tiles.outside(start) for start in firsts}, key=sorted, reverse=True)
        # a kind with columns outside is of one tile: no pads are wider than one column
        edges = [(next(start for start in firsts if self._tiles.outside(start) == kind), kind) for kind in kinds[:-1]]

        def one(number: int) -> None:
            if number == len(edges):
                emit(kinds[-1])
                return
            start, kind = edges[number]
            here = arith.cmpi(arith.CmpIPredicate.eq, column, index_constant(start))
            self._either(here, lambda: emit(kind), lambda: one(number + 1))

        one(0)

    def _transform(self, column: Value, rows: Sequence[_Row], v: Value, outside: frozenset[int]) -> None:
        """V of one tile."""
        assert self._pads is not None
        pads, pixel = address_of(self._pads).base, self._found.pixel
        inside = min(k for k in range(WINDOW) if k not in outside)
        offset = arith.addi(scaled(column, pixel), index_constant((inside - self._found.columns.pad) * pixel))
        firsts = [arith.select(row.inside, arith.addi(row.first, offset), pads) for row in rows]
        Inputs(self._tiles, firsts, v, outside).emit()

    @cached_property
    def _tiles(self) -> Tiles:
        return Tiles(self._found)


def _base(address: Address) -> Value:
    return arith.addi(address.base, index_constant(address.offset)) if address.offset else address.base
