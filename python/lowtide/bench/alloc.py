"""How small and how fast allocation is: first-fit against the search on MiniMalloc's problems, and first-fit's time
for more and more buffers.
"""

from __future__ import annotations

import math
import random
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console
from rich.table import Table

from lowtide.bench.benchmark import Benchmark
from lowtide.errors import UsageError
from lowtide.report.table import figures_table

if TYPE_CHECKING:
    from lowtide.alloc.problem import Problem, Solution

COUNTS = (100, 200, 500, 1_000, 2_000, 5_000)
SEED = 7

_EXAMPLES = """examples:
  lowtide bench alloc
  lowtide bench alloc minimalloc/benchmarks/challenging

The first table, with FOLDER, has the arena in bytes that first-fit and the search find for each problem, their seconds,
and the lower bound. The second shows how first-fit's time grows with the number of buffers: the same figure in each row
of the column µs / (n log₂ n) is growth by n log n, a falling one is less. Where no order reaches the bound, up to half
a second of it goes into a fixed number of attempts to improve the best one."""

_T = TypeVar("_T")


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "folder",
        type=Path,
        nargs="?",
        metavar="FOLDER",
        help="problems in MiniMalloc's format, with the capacity in the name: A.1048576.csv (default: the curve alone)",
    )
    parser.add_argument(
        "--strategy",
        default="local-search",
        metavar="NAME",
        help="set against first-fit: auto, exact, first-fit or local-search (default: %(default)s)",
    )


def _measure(arguments: Namespace, listen: Callable[[str], None]) -> Callable[[Console], None]:
    tables: list[Table] = []
    if arguments.folder is not None:
        tables.append(_problems(arguments.folder, arguments.strategy, listen))
    tables.append(_curve(listen))

    def show(console: Console) -> None:
        for table in tables:
            console.print(table)

    return show


BENCHMARK = Benchmark(
    "set first-fit against the search on problems, and time it for up to 5,000 buffers",
    _EXAMPLES,
    _add_arguments,
    _measure,
)


def _problems(folder: Path, strategy: str, listen: Callable[[str], None]) -> Table:
    from lowtide.alloc.csv import capacity_in, read_table
    from lowtide.alloc.solve import solve

    paths = sorted(path for path in folder.glob("*.csv") if capacity_in(path))
    if not paths:
        raise UsageError(
            "bench",
            "no problem with a capacity in its name",
            where=str(folder),
            remedy="name a folder with files such as A.1048576.csv",
        )
    listen("compile")
    _compile()
    table = figures_table(["", "buffers", "capacity", "bound", "first-fit", "s", strategy, "s", "gap"])
    for path in paths:
        name = path.name.split(".")[0]
        listen(name)
        problem = read_table(path, capacity_in(path)).problem
        quick, quick_seconds = _timed(lambda problem=problem: solve(problem, "first-fit"))
        best, seconds = _timed(lambda problem=problem: solve(problem, strategy))
        figures = (f"{value:,}" for value in (len(problem.buffers), problem.capacity, best.bound_bytes))
        arenas = (f"{quick.arena_bytes:,}", f"{quick_seconds:.1f}", f"{best.arena_bytes:,}", f"{seconds:.1f}")
        table.add_row(name, *figures, *arenas, _gap(problem, best))
    return table


def _gap(problem: Problem, solution: Solution) -> str:
    capacity = problem.capacity or solution.bound_bytes
    excess = solution.arena_bytes - capacity
    return "fits" if excess <= 0 else f"{excess / capacity:.1%}"


def _compile() -> None:
    """Have the search compiled, which is not what is measured."""
    from lowtide.alloc.problem import Buffer, Problem
    from lowtide.alloc.search.restarts import Packing

    pair = tuple(Buffer(name, 1, 1, 0, 0) for name in "ab")
    Packing(Problem(pair)).fit(2, 10)


def _curve(listen: Callable[[str], None]) -> Table:
    from lowtide.alloc.liveness import live_pairs
    from lowtide.alloc.strategies import STRATEGIES
    from lowtide.alloc.validate import validate

    table = figures_table(["buffers", "pairs live together", "first-fit, ms", "µs / (n log₂ n)", "validator, ms"])
    for count in COUNTS:
        listen(f"{count:,} buffers")
        problem = network(count)
        solution, seconds = _timed(lambda problem=problem: STRATEGIES["first-fit"](problem))
        _, validating = _timed(lambda problem=problem, solution=solution: validate(problem, solution))
        relative = seconds * 1e6 / (count * math.log2(count))
        pairs = live_pairs(problem.buffers).pairs
        table.add_row(
            f"{count:,}", f"{pairs:,}", f"{seconds * 1e3:,.0f}", f"{relative:.1f}", f"{validating * 1e3:,.0f}"
        )
    return table


def network(count: int) -> Problem:
    """Buffers as a deep network has them: most are read by the next layers, some by a much later one."""
    from lowtide.alloc.problem import Buffer, Problem

    generator = random.Random(SEED)
    buffers: list[Buffer] = []
    for index in range(count):
        reach = generator.choice((1, 1, 1, 2, 3, generator.randrange(1, 40)))
        buffers.append(Buffer(f"t{index}", generator.randrange(64, 65_536), 16, index, index + reach))
    return Problem(tuple(buffers))


def _timed(work: Callable[[], _T]) -> tuple[_T, float]:
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start
