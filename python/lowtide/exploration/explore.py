"""The front of bytes against work: plans from whole layers to the least RAM, each compiled and run."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from lowtide.cost.data import cost_model
from lowtide.errors import InputError
from lowtide.exploration.point import Task, measure
from lowtide.exploration.workers import cluster_workers, cores, local_workers
from lowtide.kernels.microkernels import note_microkernels
from lowtide.limits import MOST_RUNS, check_number
from lowtide.lower import graph_of, identifier, normalised
from lowtide.output import EXPLORATION, PAGE, PICTURE, check_replaceable, point_name, replaced, write_file
from lowtide.plan.executed import executed_counts
from lowtide.plan.loop_cost import by_time
from lowtide.plan.planners import plan_front
from lowtide.plan.watch import ENDINGS, Ending
from lowtide.report.pareto import Point, pareto_page, pareto_svg
from lowtide.script.emit import script_for
from lowtide.stages import Stages
from lowtide.targets import Target, target_named


@dataclass(frozen=True)
class Exploration:
    """What was found, and the folder with pareto.svg, pareto.html, pareto.json and a script for each point.

    Attributes:
        directory: the folder.
        model: the model's file name.
        target: the core's name.
        planned: how many points there are; fewer were measured if it was interrupted.
        points: those that were measured, by number.
        search: how the search for plans ended: "complete", "budget" or "interrupted".
    """

    directory: Path
    model: str
    target: str
    planned: int
    points: tuple[Point, ...]
    search: Ending = "complete"

    @property
    def interrupted(self) -> bool:
        """Whether points are missing."""
        return len(self.points) < self.planned

    def script(self, point: Point) -> Path:
        """The file for `lowtide compile --plan`."""
        return self.directory / point_name(point.number)


def explore_model(
    model: str | Path,
    *,
    target: str,
    out: str | Path | None = None,
    until: Sequence[str] = (),
    keep_input: bool = False,
    jobs: int | None = None,
    cluster: str | None = None,
    listen: Callable[[str], None] = lambda _: None,
) -> Exploration:
    """Find the plans worth having, compile each and run it once; the same input gives the same files.

    Ctrl-C while plans are looked for ends the search: those found so far are measured. Ctrl-C while points are measured
    keeps those that are done and writes them, if there are any.

    Args:
        model: a `.tflite`, `.mlir` or `.mlirbc` file.
        target: a name of `lowtide.targets.TARGETS`.
        out: the folder to make, or to replace where it holds only what lowtide wrote; default `MODEL-TARGET-points` in
            the current folder.
        until, keep_input: as for `compile_model`.
        jobs: processes on this machine; None for one a core. A script that calls this needs the usual
            `if __name__ == "__main__":`, as each process imports it.
        cluster: address of a Dask scheduler whose workers measure the points instead (extra `cluster`).
        listen: called with what is being done.

    Raises:
        InputError: the model is refused, the folder can't be written, or the cluster does not answer.
        UsageError: unknown target, or a bad argument.
    """
    path = Path(model)
    core = target_named(target)
    check_number("explore", jobs, "jobs", 1, MOST_RUNS)
    directory = Path(out) if out is not None else Path(f"{identifier(path.stem)}-{target}-points")
    place = check_replaceable(directory, "explore")
    tasks, ending = _tasks(path, core, tuple(until), keep_input, listen)
    workers = cluster_workers(cluster) if cluster is not None else local_workers(min(jobs or cores(), len(tasks)))
    points = _measured(tasks, workers, listen)
    found = Exploration(directory, path.name, target, len(tasks), points, ending)
    scripts = {task.number: task.script for task in tasks}
    with replaced(place, "explore") as scratch:
        for point in points:
            write_file(scratch / point_name(point.number), scripts[point.number], "explore")
        _write_reports(found, scratch)
    return found


def _tasks(
    path: Path, core: Target, until: tuple[str, ...], keep_input: bool, listen: Callable[[str], None]
) -> tuple[tuple[Task, ...], Ending]:
    """What to measure, and how the search for it ended."""
    stages = Stages(listen)
    module = normalised(path, until, stages).module
    note_microkernels(module, core.microkernels)
    model, alignment = cost_model(core), core.buffer_alignment
    with stages.stage("plan"), stages.search() as watch:
        loop_cost = by_time(model)
        front = plan_front(
            partial(graph_of, module, layer_counts="all"),
            alignment,
            keep_input=keep_input,
            watch=watch,
            loop_cost=loop_cost,
        )
    content = path.read_bytes()
    tasks = tuple(
        Task(
            number=number,
            file_name=path.name,
            model=content,
            script=script_for(costed.found.plan),
            loops=len(costed.found.plan.fusions),
            cost=costed.cost,
            predicted=round(model.total(executed_counts(costed.found.ordered, costed.found.plan.fusions)).instructions),
            arena_bytes=costed.arena_bytes,
            target=core.name,
            until=until,
            keep_input=keep_input,
        )
        for number, costed in enumerate(front, start=1)
    )
    # plans that were found before the search was cut short are as good as any
    return tasks, _worst([costed.found.plan.search for costed in front])


def _worst(endings: Sequence[Ending]) -> Ending:
    """How a search has ended that was "complete" as long as it had not."""
    worst: Ending = "complete"
    for ending in ENDINGS:
        worst = ending if ending in endings else worst
    return worst


def _measured(
    tasks: Sequence[Task], workers: AbstractContextManager[Executor], listen: Callable[[str], None]
) -> tuple[Point, ...]:
    """The points by number: all, or those that were done when Ctrl-C came."""
    points: list[Point] = []
    try:
        listen(f"measure {len(tasks)} points")
        with workers as executor:
            for future in as_completed([executor.submit(measure, task) for task in tasks]):
                points.append(future.result())
                listen(f"measured {len(points)} of {len(tasks)} points")
    except KeyboardInterrupt:
        if not points:
            raise
    except BrokenProcessPool:
        message = "a process that measured a point ended without a result"
        remedy = "give --jobs 1 where memory is short; in a script, call it below `if __name__ == '__main__':`"
        raise InputError("explore", message, remedy=remedy) from None
    return tuple(sorted(points, key=lambda point: point.number))


def _write_reports(found: Exploration, folder: Path) -> None:
    title = f"{found.model} on {found.target}"
    picture = pareto_svg(title, found.points)
    content = {
        "model": found.model,
        "target": found.target,
        "planned": found.planned,
        "search": found.search,
        "points": [asdict(point) for point in found.points],
    }
    write_file(folder / PICTURE, picture, "explore")
    write_file(folder / PAGE, pareto_page(title, picture, found.points, found.model, found.target), "explore")
    write_file(folder / EXPLORATION, json.dumps(content, indent=2) + "\n", "explore")
