"""Waiting for flash: a cache worked out by hand, and a network in flash of several kinds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lowtide.artifact import Artifact
from lowtide.emulate import load_artifact
from lowtide.emulate.backends.unicorn import UnicornSession
from lowtide.emulate.inputs import random_inputs
from lowtide.emulate.machine.machine import Machine
from lowtide.emulate.machine.order import BlockOrder
from lowtide.emulate.timing.cache import stall_cycles
from lowtide.errors import UsageError
from lowtide.flash_models import FLASH_MODELS
from lowtide.verification import run_artifact


def stalls(*spans: tuple[int, int], cache: int = 0, a_halfword: float | None = None) -> int:
    """With 5 wait states; where lines are fetched ahead, with so many cycles for each halfword of code."""
    starts, ends = np.array(spans, np.int64).T
    elapsed = None if a_halfword is None else np.arange(ends.max() // 2 + 1, dtype=np.float64) * np.float64(a_halfword)
    return stall_cycles(starts.copy(), ends.copy(), elapsed, cache_bytes=cache, wait_states=5)


def test_without_a_cache_each_change_of_line_waits() -> None:
    assert stalls((0, 4), (4, 8), (12, 16)) == 5
    assert stalls((0, 4), (16, 20), (0, 4)) == 3 * 5
    assert stalls((14, 18)) == 2 * 5
    assert stalls((0, 64)) == 4 * 5


def test_a_cache_drops_the_line_that_was_not_used_for_longest() -> None:
    first, second, third = (0, 4), (16, 20), (32, 36)
    assert stalls(first, second, first, second, cache=32) == 2 * 5
    assert stalls(first, second, third, first, second, third, cache=32) == 6 * 5
    assert stalls(first, second, first, third, first, cache=32) == 3 * 5
    assert stalls(first, second, first, third, second, cache=32) == 4 * 5


def test_the_line_behind_is_fetched_while_one_is_executed() -> None:
    # eight cycles a line are enough for one of six, four are not
    assert stalls((0, 48), a_halfword=1) == 5
    assert stalls((0, 48), a_halfword=0.5) == 5 + 2 + 2
    # another line than the one behind has to be waited for
    assert stalls((0, 16), (64, 80), a_halfword=1) == 2 * 5


def test_a_network_waits_for_each_flash_and_always_as_long(digits: Artifact) -> None:
    view = load_artifact(digits.directory)
    session = UnicornSession(view, "object")
    inputs = random_inputs([slot.tensor for slot in view.inputs], 0)
    without = session.run(inputs).cycles
    assert without is not None
    for flash in FLASH_MODELS.values():
        found = session.cycles_with(inputs, flash)
        assert without.count < found.count < 3 * without.count
        assert found.model == f"cortex-m4, P = 2, flash {flash.name} with {flash.wait_states} wait states"
        assert session.cycles_with(inputs, flash) == found


def test_the_order_is_of_all_blocks(digits: Artifact) -> None:
    view = load_artifact(digits.directory)
    session = UnicornSession(view, "object")
    inputs = random_inputs([slot.tensor for slot in view.inputs], 0)
    order = BlockOrder(session.machine(False))
    session.run(inputs, count=False)
    profile = session.profile(inputs)
    spans = order.spans()
    assert profile.executed.jumps is not None
    jumps = np.count_nonzero(spans.starts[1:] != spans.ends[:-1])
    # and the return
    assert jumps + 1 == profile.executed.jumps.sum()


def test_a_full_list_of_blocks_stops_the_run(digits: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    def short(machine: Machine) -> BlockOrder:
        return BlockOrder(machine, 10)

    monkeypatch.setattr("lowtide.emulate.backends.unicorn.BlockOrder", short)
    view = load_artifact(digits.directory)
    inputs = random_inputs([slot.tensor for slot in view.inputs], 0)
    with pytest.raises(UsageError, match="too large for a model of its flash"):
        UnicornSession(view, "object").cycles_with(inputs, FLASH_MODELS["f4"])


def test_a_run_says_which_flash(digits: Artifact, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    for path in digits.directory.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    result = run_artifact(folder, flash_model="f4")
    assert result.cycles is not None
    report = json.loads((folder / "report.json").read_text())
    assert report["cycles"] == result.cycles.count
    assert report["cycles_model"] == "cortex-m4, P = 2, flash f4 with 5 wait states"
    with pytest.raises(UsageError, match="unknown flash model 'f5'"):
        run_artifact(folder, flash_model="f5")
    with pytest.raises(UsageError, match="only Unicorn can model flash"):
        run_artifact(folder, flash_model="f4", backend="host")
