"""The front of plans: what is on it, what its scripts replay to, and what Ctrl-C leaves of it."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from command import DIGITS, MODULE, environment, lowtide, refused

from lowtide import budget
from lowtide.artifact import Artifact, compile_model
from lowtide.errors import InputError, InternalError, LowtideError, MismatchError, UsageError
from lowtide.exploration.explore import Exploration, explore_model
from lowtide.plan.watch import Watch
from lowtide.report.pareto import Point, on_front, pareto_svg
from lowtide.stages import Listener

FILES = {"pareto.svg", "pareto.html", "pareto.json"}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Exploration:
    return explore_model(DIGITS, target="cortex-m4", out=tmp_path_factory.mktemp("explore") / "points", jobs=2)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_front_goes_from_whole_layers_to_the_least(found: Exploration, tmp_path: Path) -> None:
    whole = compile_model(DIGITS, target="cortex-m4", objective="untiled", out=tmp_path / "whole").report
    least = compile_model(DIGITS, target="cortex-m4", objective="ram", out=tmp_path / "least").report
    assert not found.interrupted and len(found.points) > 2
    assert [point.number for point in found.points] == list(range(1, len(found.points) + 1))
    assert (found.points[0].sram_bytes, found.points[0].loops) == (whole.sram_bytes, 0)
    assert found.points[-1].sram_bytes == least.sram_bytes
    for one, other in zip(found.points, found.points[1:], strict=False):
        assert one.arena_bytes > other.arena_bytes and one.cost < other.cost
    assert min(point.macs for point in found.points) == found.points[0].macs == whole.macs
    assert all(point.instructions for point in found.points)


def test_each_script_replays_to_the_same_arena(found: Exploration, tmp_path: Path) -> None:
    for point in found.points:
        again = compile_model(DIGITS, target="cortex-m4", plan=found.script(point), out=tmp_path / f"{point.number}")
        assert again.report.arena_bytes == point.arena_bytes
        assert again.report.sram_bytes == point.sram_bytes


def test_the_files(found: Exploration) -> None:
    names = {path.name for path in found.directory.iterdir()}
    assert names == FILES | {f"point-{point.number}.mlir" for point in found.points}
    row = json.loads((found.directory / "pareto.json").read_text())
    assert [Point(**point) for point in row["points"]] == list(found.points)
    picture = ElementTree.fromstring((found.directory / "pareto.svg").read_text())
    circles = [element for element in picture.iter() if element.tag.endswith("}circle")]
    assert len(circles) == 2 * len(found.points)
    page = (found.directory / "pareto.html").read_text()
    assert all(f"{point.sram_bytes:,}" in page for point in found.points)


def test_the_same_files_every_time_and_in_place(found: Exploration, tmp_path: Path) -> None:
    shutil.copytree(found.directory, tmp_path / "points")
    (tmp_path / "points" / "pareto.svg").write_text("older")
    outcome = lowtide("explore", DIGITS, "--target", "cortex-m4", "-o", tmp_path / "points", "--jobs", "1")
    assert outcome.code == 0 and contents(tmp_path / "points") == contents(found.directory)
    assert all(f"{point.sram_bytes:,}" in outcome.out for point in found.points)
    assert "…" not in outcome.out
    (tmp_path / "points" / "mine.txt").touch()
    message = refused(2, "explore", DIGITS, "--target", "cortex-m4", "-o", tmp_path / "points")
    assert "holds what lowtide did not write: mine.txt" in message


def test_without_an_emulator_nothing_is_run(tmp_path: Path) -> None:
    found = explore_model(DIGITS, target="rv32gcv", out=tmp_path / "points", jobs=1)
    assert {point.instructions for point in found.points} == {None}
    assert "over instructions" not in (tmp_path / "points" / "pareto.svg").read_text()


class _Impatient(Listener):
    """Ends every search at once."""

    def __call__(self, stage: str) -> None:
        pass

    @contextlib.contextmanager
    def search(self) -> Generator[Watch]:
        yield lambda _: False


def test_a_search_that_is_ended_still_gives_points(tmp_path: Path) -> None:
    found = explore_model(DIGITS, target="cortex-m4", out=tmp_path / "points", jobs=1, listen=_Impatient())
    (point,) = found.points
    assert not found.interrupted and point.loops == 0
    whole = compile_model(DIGITS, target="cortex-m4", objective="untiled", out=tmp_path / "whole").report
    assert point.sram_bytes == whole.sram_bytes


def test_ctrl_c_keeps_what_is_done(tmp_path: Path) -> None:
    """The first point has been measured once its line appears; the whole group gets the signal, as from a terminal."""
    command = [*MODULE, "explore", str(DIGITS), "--target", "cortex-m4", "-o", "points", "--jobs", "1", "-v"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment({"TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stderr is not None and process.stdout is not None
        seen = [next(line for line in process.stderr if line.strip().startswith("measure 6 points"))]
        os.killpg(process.pid, signal.SIGINT)
        seen += list(process.stderr)
        out = process.stdout.read()
    assert process.returncode == 130, seen
    assert "Traceback" not in "".join(seen) and seen[-1] == "lowtide: interrupted\n"
    assert "of 6 points were measured" in out
    row = json.loads((tmp_path / "points" / "pareto.json").read_text())
    done = {point["number"] for point in row["points"]}
    assert 0 < len(done) < row["planned"] == 6
    assert {path.name for path in (tmp_path / "points").iterdir()} == FILES | {f"point-{n}.mlir" for n in done}
    assert {path.name for path in tmp_path.iterdir()} == {"points"}
    assert not _group_lives(process.pid)


def _group_lives(group: int) -> bool:
    """Whether processes of the group are left after a while."""
    for _ in range(50):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.1)
    return True


def test_a_cluster_gives_the_same(found: Exploration, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed", reason="needs a Dask cluster: pip install -e .[cluster]")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        address = cluster.scheduler_address
        explore_model(DIGITS, target="cortex-m4", out=tmp_path / "points", cluster=address)
    assert contents(tmp_path / "points") == contents(found.directory)


def test_a_cluster_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = "explore", DIGITS, "--target", "cortex-m4", "-o", tmp_path / "points", "--cluster"
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "distributed", None)
        assert "pip install 'lowtide[cluster]'" in refused(2, *arguments, "tcp://127.0.0.1:1")
    pytest.importorskip("distributed", reason="needs a Dask cluster: pip install -e .[cluster]")
    monkeypatch.setattr("lowtide.exploration.workers.CONNECT_SECONDS", 1)
    assert "no Dask scheduler answered" in refused(1, *arguments, "tcp://127.0.0.1:1")
    assert "no address of a scheduler" in refused(2, *arguments, "nowhere://x")
    assert not (tmp_path / "points").exists()


@pytest.mark.parametrize("kind", [InputError, UsageError, MismatchError, InternalError])
def test_an_error_crosses_processes(kind: type[LowtideError]) -> None:
    error = kind("stage", "message", where="here", remedy="this")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind and str(again) == str(error)


def test_beaten_points() -> None:
    def point(number: int, ram: int, macs: int, instructions: int | None) -> Point:
        return Point(number, 0, 0, 0, ram, 0, 0, ram, 0, macs, macs, instructions)

    assert on_front([point(1, 9, 5, 5), point(2, 8, 5, 7), point(3, 7, 5, 6), point(4, 7, 5, 6)]) == (
        True,
        False,
        True,
        True,
    )
    assert "<circle" in pareto_svg("one & only <net>", [point(1, 1, 0, None)])


# ---- objective fit


# one that every stack of these plans fits in, and none
@pytest.mark.parametrize("reserve", [4 * budget.STACK_RESERVE, 0])
def test_fit_takes_the_cheapest_that_fits(
    found: Exploration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reserve: int
) -> None:
    """With no reserve for the stack each first plan is too large and the search goes on with the measured one."""
    monkeypatch.setattr("lowtide.artifact.STACK_RESERVE", reserve)
    for point in found.points[:: len(found.points) - 1 if reserve else 2]:
        ram = point.sram_bytes + reserve - point.stack_bytes if reserve else point.sram_bytes
        fitted = compile_model(DIGITS, target="cortex-m4", objective="fit", ram=ram, out=tmp_path / "fit").report
        assert (fitted.arena_bytes, fitted.sram_bytes) == (point.arena_bytes, point.sram_bytes)
        assert fitted.objective == "fit"


def test_what_would_fit_is_told(found: Exploration, digits: Artifact, tmp_path: Path) -> None:
    least, free, most = found.points[-1].sram_bytes, digits.report.sram_bytes, found.points[0].sram_bytes
    compile_ = "compile", DIGITS, "--target", "cortex-m4", "-o", tmp_path / "out"
    for objective, needed in (("fit", least), ("ram", least), ("free", free), ("untiled", most)):
        message = refused(1, *compile_, "--ram", str(least - 1), "--objective", objective)
        assert f"needs {least:,} bytes of RAM" in message and f"the least that fits is --ram {least}" in message
        assert (f"with objective ram; as it was asked for, {needed:,}" in message) == (needed != least)
        assert "where the arena is fullest (bytes: " in message
    for ram, objective, needed in ((most - 1, "free", free), (free - 1, "ram", least)):
        message = refused(1, *compile_, "--ram", str(ram), "--objective", "untiled")
        assert f"needs {most:,} bytes of RAM" in message
        assert f"objective {objective}, which fits: it takes {needed:,}" in message
    assert "give --ram" in refused(2, *compile_, "--objective", "fit")
