"""Random networks of every operator, lowered with overlapping buffers, give numpy's numbers to the last bit.

`LOWTIDE_TEST_SEED` starts another sequence; `python tools/random_graphs.py --count 2000 --seed N` runs many more.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, assume, given, note, seed, settings
from random_graphs import ROOTS, STEPS, Dice, Graph, Tally, run

SEED = int(os.environ.get("LOWTIDE_TEST_SEED", "0"))

SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)


@dataclass
class Drawn:
    """Choices by hypothesis, which shrinks them when a network fails."""

    data: Any

    def number(self, low: int, high: int) -> int:
        return self.data.draw(st.integers(low, high))


def _run_many(count: int, first: int, capsys: pytest.CaptureFixture[str]) -> Tally:
    tally = Tally()

    @seed(first)
    @settings(database=None, deadline=None, print_blob=True, suppress_health_check=SLOW, max_examples=count)
    @given(st.data())
    def check(data: Any) -> None:
        graph = Graph(Drawn(data))
        note(f"LOWTIDE_TEST_SEED={SEED}; {', '.join(graph.operators)}")
        outcome = run(graph)
        assume(outcome.layers >= ROOTS)
        tally.add(graph, outcome)
        assert outcome.right

    check()
    with capsys.disabled():
        print(f"\nseed {first}: {tally}")
    return tally


def _check(tally: Tally) -> None:
    count = len(tally.outcomes)
    assert sum(outcome.overlaps for outcome in tally.outcomes) >= count / 2
    assert sum(outcome.residual for outcome in tally.outcomes) >= count / 2


def test_random_graphs(capsys: pytest.CaptureFixture[str]) -> None:
    _check(_run_many(60, SEED, capsys))


def _with_layouts(count: int, first: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Networks with operators on images that have channels first, between or last, as `--layouts` makes them."""
    tally, number = Tally(), 0
    while len(tally.outcomes) < count:
        graph = Graph(Dice(first, number), Dice(first, number, 1))
        outcome = run(graph)
        assert outcome.right, f"LOWTIDE_TEST_SEED={SEED} network {number}: {', '.join(graph.operators)}"
        tally.add(graph, outcome)
        number += 1
    with capsys.disabled():
        print(f"\nseed {first}, any layout: {tally}")


def test_random_graphs_of_any_layout(capsys: pytest.CaptureFixture[str]) -> None:
    _with_layouts(15, SEED, capsys)


@pytest.mark.slow
def test_many_random_graphs_of_any_layout(capsys: pytest.CaptureFixture[str]) -> None:
    _with_layouts(300, SEED + 1, capsys)


@pytest.mark.slow
def test_many_random_graphs(capsys: pytest.CaptureFixture[str]) -> None:
    tally = _run_many(600, SEED + 1, capsys)
    _check(tally)
    assert tally.operators == set(STEPS)
