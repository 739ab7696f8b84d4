"""Linear subscripts, and splitting element numbers into subscripts, against plain enumeration."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, note, seed, settings

from lowtide.graph.nest import delinearize, row_major, split
from lowtide.indexing.linear import Linear, Var

SEED = int(os.environ.get("LOWTIDE_TEST_SEED", "0"))
common = settings(database=None, deadline=None, max_examples=150, print_blob=True)


def value(expression: Linear, at: Mapping[Var, int]) -> int:
    return expression.const + sum(c * at[v] for v, c in expression.terms)


def points(loops: Sequence[Var]) -> Iterator[dict[Var, int]]:
    for place in itertools.product(*(range(var.extent) for var in loops)):
        yield dict(zip(loops, place, strict=True))


def loops_of(extents: Sequence[int]) -> list[Var]:
    note(f"LOWTIDE_TEST_SEED={SEED}")
    return [Var(f"i{n}", extent) for n, extent in enumerate(extents)]


extents = st.lists(st.integers(1, 4), min_size=1, max_size=3)
numbers = st.integers(-5, 5)


@seed(SEED)
@common
@given(extents, st.data())
def test_arithmetic_is_that_of_the_values(sizes: list[int], data: st.DataObject) -> None:
    loops = loops_of(sizes)
    left, right = (sum((Linear.of(v) * data.draw(numbers) for v in loops), Linear()) + data.draw(numbers) for _ in "ab")
    factor = data.draw(numbers)
    for at in points(loops):
        assert value(left + right, at) == value(left, at) + value(right, at)
        assert value(left * factor, at) == value(left, at) * factor
        for var in loops:
            assert value(left, at) == value(left.without(var), at) + left.coefficient(var) * at[var]


@seed(SEED)
@common
@given(extents, st.data())
def test_bounds_are_reached(sizes: list[int], data: st.DataObject) -> None:
    loops = loops_of(sizes)
    expression = sum((Linear.of(v) * data.draw(numbers) for v in loops), Linear()) + data.draw(numbers)
    found = [value(expression, at) for at in points(loops)]
    assert expression.bounds() == (min(found), max(found))


def test_equal_sums_are_equal() -> None:
    """Kernels look up what they have computed by its subscripts."""
    i, j = Var("i", 3), Var("j", 3)
    assert Linear.of(i) + Linear.of(j) == Linear.of(j) + Linear.of(i)
    assert hash(Linear.of(i) + Linear.of(j)) == hash(Linear.of(j) + Linear.of(i))
    assert Linear.of(i) + Linear.of(i) * -1 == Linear()
    assert Linear.of(i) != Linear.of(Var("i", 3))
    assert Linear.of(Var("k", 1)) == Linear()
    assert (Linear.of(i) * 2 + Linear.of(j)).variables == {i, j}


@seed(SEED)
@common
@given(extents, st.data())
def test_a_reshape_is_numpys_or_is_left_to_division(sizes: list[int], data: st.DataObject) -> None:
    total = int(np.prod(sizes))
    first = data.draw(st.sampled_from([n for n in range(1, total + 1) if total % n == 0]))
    second = data.draw(st.sampled_from([n for n in range(1, total // first + 1) if total // first % n == 0]))
    shape = data.draw(st.permutations([first, second, total // first // second]))
    loops = loops_of(sizes)
    subscripts = delinearize(row_major(tuple(sizes), tuple(map(Linear.of, loops))), tuple(shape))
    if subscripts is None:
        return
    for at in points(loops):
        flat = np.ravel_multi_index([at[var] for var in loops], sizes)
        assert [value(s, at) for s in subscripts] == list(map(int, np.unravel_index(int(flat), shape)))


def test_reshapes_that_need_no_division() -> None:
    loops = [Var("i", 2), Var("j", 3), Var("k", 4)]
    flat = row_major((2, 3, 4), tuple(map(Linear.of, loops)))
    i, j, k = map(Linear.of, loops)
    assert delinearize(flat, (2, 3, 4)) == (i, j, k)
    assert delinearize(flat, (6, 4)) == (i * 3 + j, k)
    assert delinearize(flat, (1, 2, 12)) == (Linear(), i, j * 4 + k)
    assert delinearize(flat, (24,)) == (i * 12 + j * 4 + k,)
    assert delinearize(flat, (2, 4, 3)) is None
    assert delinearize(Linear((), 7), (2, 4)) == (Linear((), 1), Linear((), 3))


@pytest.mark.parametrize(
    ("sizes", "shape"),
    [
        ((1, 4, 3, 6), (1, 4, 3, 3, 2)),  # a depthwise convolution with multiplier 2
        ((4, 3, 6), (4, 3, 2, 3)),
        ((8, 3), (2, 4, 3)),
        ((4, 3, 8), (4, 3, 2, 2, 2)),
        ((2, 12), (2, 2, 6)),
        ((6, 5), (3, 2, 5)),
    ],
)
def test_a_variable_that_runs_over_two_dimensions_becomes_two(sizes: Sequence[int], shape: Sequence[int]) -> None:
    loops = [Var(f"d{i}", extent) for i, extent in enumerate(sizes)]
    flat = row_major(tuple(sizes), tuple(map(Linear.of, loops)))
    assert delinearize(flat, tuple(shape)) is None
    found = split(flat, tuple(shape))
    if found is None:
        # it takes three
        assert len(shape) > len(sizes) + 1
        return
    now = sorted({var for subscript in found for var in subscript.variables}, key=lambda var: var.uid)
    kept = [var for var in loops if var in now]
    assert len(kept) == len([var for var in loops if var.extent > 1]) - 1
    wanted = {(*(at[var] for var in kept), *map(int, np.unravel_index(value(flat, at), shape))) for at in points(loops)}
    assert {(*(at[var] for var in kept), *(value(s, at) for s in found)) for at in points(now)} == wanted


def test_what_is_no_whole_number_of_times_the_inner_dimension_is_not_split() -> None:
    loops = [Var("i", 4), Var("j", 9)]
    flat = row_major((4, 9), tuple(map(Linear.of, loops)))
    assert split(flat, (9, 4)) is None
    assert split(flat, (6, 6)) is None
