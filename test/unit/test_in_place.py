"""Calls that would move bytes onto themselves are left out exactly where the allocator put both sides in one place.

int8 and int32, so that elements and bytes are not the same; slices and parts of concats, so that the moved run begins
inside its buffers.
"""

from __future__ import annotations

import itertools

import jit
import numpy as np
import pytest
from tosa_nets import TosaNet

from lowtide.alloc import Solution
from lowtide.bound.bind import Binder
from lowtide.bound.build import BoundNetwork, read_network
from lowtide.bufferise.placement import Place, place
from lowtide.graph.program import Program
from lowtide.plan.memory import program_of

FRONT = "lowtide-import-tosa,lowtide-normalise,lowtide-outline"
ROW = 12
"""Elements of a row of the input, which has two; the slice is the second, and the concat both and then the slice."""


def network(kind: str) -> tuple[BoundNetwork, Program]:
    """x → y, its second row; z, the rows of x and then that of y."""
    net = TosaNet(np.random.default_rng(0))
    x = net.input((1, 2, 3, 4), kind)
    y = net.slice(x, (0, 1, 0, 0), (1, 1, 3, 4))
    found = read_network(jit.lowered(net.text([net.concat([x, y], 1), y]), FRONT), Binder())
    return found, program_of(found.graph, 1)


def buffers(program: Program) -> tuple[int, int, int]:
    """The positions of x, y and z."""
    sizes = [buffer.nbytes for buffer in program.buffers]
    x, y, z = (sizes.index(rows * min(sizes)) for rows in (2, 1, 3))
    return x, y, z


@pytest.mark.parametrize(("kind", "size"), [("int8", 1), ("int32", 4)])
def test_a_move_has_no_code_where_source_and_target_meet_to_the_byte(kind: str, size: int) -> None:
    found, program = network(kind)
    x, y, z = buffers(program)
    row = ROW * size
    slicing = next(n for n, call in enumerate(program.calls) if call.writes == y)
    first, second = (
        next(n for n, call in enumerate(program.calls) if call.writes == z and call.reads[0].buffer == source)
        for source in (x, y)
    )
    base = 4 * row
    seen: set[frozenset[int]] = set()
    near = sorted({sign * n + more for n in (0, row, 2 * row) for sign in (1, -1) for more in (-size, -1, 0, 1, size)})
    for of_y, of_z in itertools.product(near, near):
        offsets = [0, 0, 0]
        offsets[x], offsets[y], offsets[z] = base, base + of_y, base + of_z
        expected: dict[int, Place] = {}
        # the second row of x is y; x begins z; y follows the two rows of x in z
        if of_y == row:
            expected[slicing] = 0, row
        if of_z == 0:
            expected[first] = 0, 2 * row
        if of_y == of_z + 2 * row:
            expected[second] = 2 * row, row
        solution = Solution(tuple(offsets), (), 0, 0, "given")
        assert place(found, program, solution, {}).in_place == expected, (of_y, of_z)
        seen.add(frozenset(expected))
    assert {frozenset({slicing}), frozenset({first}), frozenset({second}), frozenset({first, second})} <= seen
