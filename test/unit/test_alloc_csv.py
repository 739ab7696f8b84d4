"""MiniMalloc's CSV, read and written, and the tool that does both."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lowtide.alloc import STRATEGIES, Buffer, Solution
from lowtide.alloc.csv import capacity_in, read_table, solution_text
from lowtide.cli.alloc import main

ROWS = "id,lower,upper,size\nb1,0,3,4\nb2,3,9,4\nb3,0,9,4\nb4,9,21,4\nb5,0,21,4\n"
TOOL = Path(__file__).parents[2] / "tools" / "lowtide-alloc"


@pytest.fixture
def problem(tmp_path: Path) -> Path:
    path = tmp_path / "input.12.csv"
    path.write_text(ROWS)
    return path


@pytest.mark.parametrize(
    ("name", "capacity"),
    [("A.1048576.csv", 1048576), ("a.b.12.CSV", 12), ("A.csv", None), ("12.csv", None), ("A.12.csv.txt", None)],
)
def test_the_capacity_is_in_the_name(name: str, capacity: int | None) -> None:
    assert capacity_in(Path("folder.99.csv") / name) == capacity


def test_lifetimes_are_half_open(problem: Path) -> None:
    table = read_table(problem, 12)
    assert table.problem.capacity == 12
    assert table.problem.buffers[1] == Buffer("b2", 4, 1, 3, 8)


def test_columns_in_any_order_alignment_blank_lines_bom_and_crlf(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b'\xef\xbb\xbfsize, alignment ,id,upper,lower\r\n\r\n 7 ,16,"a, ""b""",5,-2\r\n\r\n')
    table = read_table(path)
    assert table.problem.buffers == (Buffer('a, "b"', 7, 16, -2, 4),)
    written = solution_text(table, Solution((32,), (), 39, 0, "none"))
    assert written == 'size,alignment,id,upper,lower,offset\n 7 ,16,"a, ""b""",5,-2,32\n'


def test_a_table_without_rows_has_a_solution(tmp_path: Path) -> None:
    path, output = tmp_path / "none.csv", tmp_path / "out.csv"
    path.write_text("id,lower,upper,size\n")
    assert main([str(path), "-o", str(output)]) == 0
    assert output.read_text() == "id,lower,upper,size,offset\n"


@pytest.mark.parametrize("strategy", list(STRATEGIES))
def test_the_tool_adds_offsets_within_the_capacity(
    problem: Path, strategy: str, capfd: pytest.CaptureFixture[str]
) -> None:
    output = problem.with_name("out.csv")
    assert main([str(problem), "-o", str(output), "--strategy", strategy]) == 0
    rows = list(csv.DictReader(io.StringIO(output.read_text())))
    assert [",".join(list(row.values())[:4]) for row in rows] == ROWS.splitlines()[1:]
    assert max(int(row["offset"]) + 4 for row in rows) == 12
    assert "5 buffers in 12 bytes, at least 12 are needed" in capfd.readouterr().err


def test_without_a_capacity_the_least_arena_is_sought(tmp_path: Path) -> None:
    # live bytes are 6 at most, and 7 are needed; first-fit by size alone takes more
    path, output = tmp_path / "least.csv", tmp_path / "out.csv"
    lines = ["0,0,2,3", "1,3,7,3", "2,0,1,3", "3,3,4,1", "4,2,5,1", "5,5,6,3", "6,1,4,1", "7,1,3,2"]
    path.write_text("\n".join(["id,lower,upper,size", *lines]))
    assert main([str(path), "-o", str(output)]) == 0
    rows = list(csv.DictReader(io.StringIO(output.read_text())))
    assert max(int(row["offset"]) + int(row["size"]) for row in rows) == 7


def test_a_given_capacity_beats_the_one_in_the_name(problem: Path) -> None:
    output = problem.with_name("out.csv")
    assert main([str(problem), "-o", str(output), "--capacity", "11"]) == 1
    assert not output.exists()
    assert main([str(problem.rename(problem.with_name("input.3.csv"))), "-o", str(output), "--capacity", "12"]) == 0


def test_the_tool_runs_from_a_checkout_and_writes_to_a_pipe(problem: Path) -> None:
    done = subprocess.run(
        [sys.executable, TOOL, problem, "-o", "/dev/stdout"], capture_output=True, text=True, env=_bare(), check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "id,lower,upper,size,offset"
    assert len(done.stdout.splitlines()) == 6


def _bare() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
