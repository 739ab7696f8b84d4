"""How small and how fast allocation is: first-fit against the search on MiniMalloc's problems, and first-fit's time
for more and more buffers.

    python -m lowtide.bench.alloc [FOLDER] [--strategy NAME]

FOLDER holds problems such as A.1048576.csv (see lowtide.alloc.csv); without it only the curve is printed.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.table import Table

from lowtide.alloc.csv import capacity_in, read_table
from lowtide.alloc.liveness import live_pairs
from lowtide.alloc.problem import Buffer, Problem, Solution
from lowtide.alloc.search.restarts import Packing
from lowtide.alloc.solve import solve
from lowtide.alloc.strategies import STRATEGIES
from lowtide.alloc.validate import validate
from lowtide.errors import LowtideError, UsageError

COUNTS = (100, 200, 500, 1_000, 2_000, 5_000)
SEED = 7

_T = TypeVar("_T")


def main(argv: Sequence[str] | None = None) -> int:
    """Print both tables; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", metavar="FOLDER")
    parser.add_argument("--strategy", choices=list(STRATEGIES), default="local-search")
    arguments = parser.parse_args(argv)
    console = Console()
    try:
        if arguments.folder is not None:
            _print_problems(console, arguments.folder, arguments.strategy)
    except LowtideError as error:
        print(f"lowtide.bench.alloc: {error}", file=sys.stderr)
        return error.exit_code
    _print_curve(console)
    return 0


def _print_problems(console: Console, folder: Path, strategy: str) -> None:
    paths = sorted(path for path in folder.glob("*.csv") if capacity_in(path))
    if not paths:
        raise UsageError("bench", "no problem with a capacity in its name", where=str(folder), remedy="see --help")
    _, compiling = _timed(_compile)
    console.print(f"the search's machine code was compiled, or found, in {compiling:.1f} s", highlight=False)
    table = _table(["", "buffers", "capacity", "bound", "first-fit", "s", strategy, "s", "gap"])
    for path in paths:
        problem = read_table(path, capacity_in(path)).problem
        quick, quick_seconds = _timed(lambda problem=problem: solve(problem, "first-fit"))
        best, seconds = _timed(lambda problem=problem: solve(problem, strategy))
        arenas = (f"{quick.arena_bytes:,}", f"{quick_seconds:.1f}", f"{best.arena_bytes:,}", f"{seconds:.1f}")
        table.add_row(path.name.split(".")[0], *_figures(problem, best), *arenas, _gap(problem, best))
    console.print(table)


def _figures(problem: Problem, solution: Solution) -> Iterator[str]:
    yield from (f"{value:,}" for value in (len(problem.buffers), problem.capacity, solution.bound_bytes))


def _gap(problem: Problem, solution: Solution) -> str:
    capacity = problem.capacity or solution.bound_bytes
    excess = solution.arena_bytes - capacity
    return "fits" if excess <= 0 else f"{excess / capacity:.1%}"


def _compile() -> None:
    """Have the search compiled, which is not what is measured."""
    pair = tuple(Buffer(name, 1, 1, 0, 0) for name in "ab")
    Packing(Problem(pair)).fit(2, 10)


def _print_curve(console: Console) -> None:
    table = _table(["buffers", "pairs live together", "first-fit, ms", "µs / (n log₂ n)", "validator, ms"])
    for count in COUNTS:
        problem = network(count)
        solution, seconds = _timed(lambda problem=problem: STRATEGIES["first-fit"](problem))
        _, validating = _timed(lambda problem=problem, solution=solution: validate(problem, solution))
        relative = seconds * 1e6 / (count * math.log2(count))
        pairs = live_pairs(problem.buffers).pairs
        table.add_row(
            f"{count:,}", f"{pairs:,}", f"{seconds * 1e3:,.0f}", f"{relative:.1f}", f"{validating * 1e3:,.0f}"
        )
    console.print(table)


def network(count: int) -> Problem:
    """Buffers as a deep network has them: most are read by the next layers, some by a much later one."""
    generator = random.Random(SEED)
    buffers: list[Buffer] = []
    for index in range(count):
        reach = generator.choice((1, 1, 1, 2, 3, generator.randrange(1, 40)))
        buffers.append(Buffer(f"t{index}", generator.randrange(64, 65_536), 16, index, index + reach))
    return Problem(tuple(buffers))


def _table(columns: Sequence[str]) -> Table:
    table = Table(box=None)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _timed(work: Callable[[], _T]) -> tuple[_T, float]:
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
