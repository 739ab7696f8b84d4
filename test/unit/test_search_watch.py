"""A search that is watched: what it tells, that it can be ended at any moment, and what Ctrl-C does meanwhile."""

from __future__ import annotations

import os
import signal

import jit
import numpy as np
import pytest
from tosa_nets import TosaNet, Value, Window

from lowtide.alloc import solve
from lowtide.bound.build import build_graph
from lowtide.cli.progress import progress
from lowtide.cli.signals import Interrupted, Interrupts
from lowtide.cli.streams import Output
from lowtide.graph.fusion import Fusion
from lowtide.graph.graph import Graph
from lowtide.plan.fuse import fused_search
from lowtide.plan.memory import problem_of
from lowtide.plan.modes import CHANNELS, PIXELS, ROWS
from lowtide.plan.planners import plan_front, plan_ram
from lowtide.plan.watch import Progress

FRONT = "lowtide-import-tosa,lowtide-normalise,lowtide-outline"
MODES = (*ROWS, *CHANNELS, *PIXELS)


@pytest.fixture(scope="module")
def graph() -> Graph:
    net = TosaNet(np.random.default_rng(6))
    around = Window((3, 3), ((1, 1), (1, 1)))
    x: Value = net.input((1, 10, 8, 2), "int8")
    for channels in (6, 5, 6, 3):
        x = net.rescale(net.conv(x, net.random((channels, 3, 3, x.array.shape[3]), "int8"), around))
    return build_graph(jit.lowered(net.text([x]), FRONT))


def arena(graph: Graph, fusions: tuple[Fusion, ...]) -> int:
    return solve(problem_of(graph, 4, fusions=fusions)).arena_bytes


def test_a_watched_search_tells_how_far_it_is_and_finds_the_same(graph: Graph) -> None:
    told: list[Progress] = []

    def watch(now: Progress) -> bool:
        told.append(now)
        return True

    assert fused_search(graph, 4, modes=MODES, watch=watch) == fused_search(graph, 4, modes=MODES)
    assert [now.done for now in told] == sorted(now.done for now in told)
    assert told[-1].total - 1 <= told[-1].done <= told[-1].total
    assert told[0].best_bytes >= told[-1].best_bytes
    assert str(Progress(3, 1200, 5376)) == "3 of 1,200 segments, best 5,376 bytes"


def test_a_search_can_be_ended_at_any_moment(graph: Graph) -> None:
    whole, best = arena(graph, ()), arena(graph, fused_search(graph, 4, modes=MODES)[0])
    count = 0

    def count_up(_: Progress) -> bool:
        nonlocal count
        count += 1
        return True

    fused_search(graph, 4, modes=MODES, watch=count_up)
    found: list[int] = []
    for end in (*range(0, count, max(1, count // 10)), count):
        asked: list[bool] = []

        def watch(_: Progress, end: int = end, asked: list[bool] = asked) -> bool:
            asked.append(len(asked) < end)
            return asked[-1]

        found.append(arena(graph, fused_search(graph, 4, modes=MODES, watch=watch)[0]))
        assert asked.count(False) <= 1, "a search that was ended asks no more"
    assert found[0] == whole and found[-1] == best < whole
    assert max(found) <= whole


def test_an_ended_search_still_predicts_its_arena(graph: Graph) -> None:
    found = plan_ram(lambda _: graph, 4, watch=lambda now: now.done < 5)
    assert found.plan.objective == "ram"
    assert found.plan.arena_bytes == arena(graph, found.plan.fusions)


def test_the_front_of_an_ended_search_has_what_was_found(graph: Graph) -> None:
    whole = arena(graph, ())
    full = plan_front(lambda _: graph, 4)
    few = plan_front(lambda _: graph, 4, watch=lambda now: now.done < 5)
    (alone,) = plan_front(lambda _: graph, 4, watch=lambda _: False)
    assert alone.arena_bytes == whole and not alone.found.plan.fusions
    assert len(full) > 1 and full[-1].arena_bytes < whole
    for costed in few:
        assert full[-1].arena_bytes <= costed.arena_bytes == arena(graph, costed.found.plan.fusions) <= whole


def test_the_first_ctrl_c_asks_the_second_raises() -> None:
    with Interrupts() as interrupts:
        with interrupts.asked_first() as asked:
            assert not asked()
            os.kill(os.getpid(), signal.SIGINT)
            assert asked()
            interrupts.check()
            with pytest.raises(Interrupted):
                os.kill(os.getpid(), signal.SIGINT)
        assert interrupts.exit_code == 130


def test_behind_the_search_ctrl_c_ends_the_program() -> None:
    with Interrupts() as interrupts:
        with interrupts.asked_first():
            os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(Interrupted):
            os.kill(os.getpid(), signal.SIGINT)


def test_a_polite_kill_does_not_ask() -> None:
    with Interrupts() as interrupts, interrupts.asked_first() as asked:
        with pytest.raises(Interrupted):
            os.kill(os.getpid(), signal.SIGTERM)
        assert not asked()
        assert interrupts.exit_code == 128 + signal.SIGTERM


def test_an_ended_search_says_so_once(capsys: pytest.CaptureFixture[str]) -> None:
    with Interrupts() as interrupts, progress(Output(stderr=True), True, interrupts) as listen:
        listen("plan")
        with listen.search() as watch:
            assert watch(Progress(1, 9, 70)) and watch(Progress(2, 9, 70)) and watch(Progress(3, 9, 60))
            os.kill(os.getpid(), signal.SIGINT)
            assert not watch(Progress(4, 9, 60))
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["  plan: 1 of 9 segments, best 70 bytes", "  plan: 3 of 9 segments, best 60 bytes"]
    assert sum("the search ends with what it has found so far" in line for line in lines) == 1
