"""From a model to a folder of artifacts: the compile behind `lowtide compile` and `lowtide.compile`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from lowtide.budget import CODE_RESERVE, STACK_RESERVE, flash_refusal, ram_refusal
from lowtide.codegen import Compiled, compile_network, write_files
from lowtide.cost.data import cost_model
from lowtide.errors import UsageError
from lowtide.flash_models import flash_model_named
from lowtide.graph.bound import untiled_bound
from lowtide.importer.tflite import NO_SHAPES
from lowtide.importer.tflite.given_shapes import Shapes
from lowtide.limits import MOST_MEMORY, check_number
from lowtide.lower import Lowered, Opened, identifier, lower, open_model
from lowtide.output import MEMORY_MAP, REPORT, check_replaceable, replaced, write_file
from lowtide.placement import step_names
from lowtide.plan.plan import DEFAULT_OBJECTIVE, Objective
from lowtide.plan.planners import Cut, Planner
from lowtide.plan.primitives import Chooser
from lowtide.plan.untiled import Untiled
from lowtide.plan.watch import Watch, unwatched
from lowtide.report.memory_map import memory_map_svg
from lowtide.report.report import Report, file_digests, read_report
from lowtide.stages import Stages
from lowtide.streamed_inputs import numbers_of
from lowtide.targets import Target, target_named


@dataclass(frozen=True)
class Artifact:
    """A compiled network on disk.

    Attributes:
        directory: the folder; its files are NAME.o, NAME.h, NAME.vmfb, NAME.elf (absent for a float network on a core
            without FPU), NAME.plan.mlir, report.json and memory_map.svg.
        report: what report.json says.
    """

    directory: Path
    report: Report

    def file(self, suffix: str) -> Path:
        """NAME + suffix in the folder."""
        return self.directory / f"{self.report.name}{suffix}"


def compile_model(
    model: str | Path,
    *,
    target: str,
    ram: int | None = None,
    flash: int | None = None,
    objective: Objective = DEFAULT_OBJECTIVE,
    plan: str | Path | None = None,
    out: str | Path | None = None,
    until: Sequence[str] = (),
    shape: Shapes = NO_SHAPES,
    keep_input: bool = False,
    stream_input: Sequence[str] = (),
    dump_dir: str | Path | None = None,
    flash_model: str | None = None,
    listen: Callable[[str], None] = lambda _: None,
) -> Artifact:
    """Compile a network into a folder; the same input gives the same bytes (but for the times in report.json).

    Args:
        model: a `.tflite`, `.mlir` or `.mlirbc` file.
        target: a name of `lowtide.targets.TARGETS`.
        ram: bytes that `sram_bytes` (arena + stack + data) must not exceed.
        flash: bytes that `flash_bytes` (code + constants) must not exceed; what the network does not need of them is
            spent on speed. Without it, none is.
        objective: `free` looks for the least RAM with no element computed twice and rows whole, `ram` for the least
            RAM, `fit` for the least cost within `ram`, `untiled` leaves every layer whole.
        plan: a transform script to apply instead of searching for one, e.g. an edited NAME.plan.mlir.
        out: the folder to make, or to replace where it holds only what lowtide wrote; default `MODEL-TARGET` in the
            current folder.
        until: tensors that become the outputs; the rest of the network is left out.
        shape: of inputs by name, where the file leaves dimensions open.
        keep_input: leave the input's bytes intact; otherwise later layers may overwrite them.
        stream_input: names of inputs that arrive row by row (docs/streaming.md); an empty name for the only one.
        dump_dir: write the IR there after every stage.
        flash_model: a name of `lowtide.flash_models.FLASH_MODELS`: what is spent of `flash` is worth it with the wait
            states of this one.
        listen: called with each stage's name as it begins.

    Raises:
        InputError: the model is refused, does not fit `ram`, or the folder can't be written.
        UsageError: unknown target or objective, or a bad argument.
    """
    path = Path(model)
    core = target_named(target)
    for name, given in (("ram", ram), ("flash", flash)):
        check_number("compile", given, name, 1, MOST_MEMORY)
    directory = Path(out) if out is not None else Path(f"{identifier(path.stem)}-{target}")
    place = check_replaceable(directory)
    stages = Stages(listen, None if dump_dir is None else _check_dump_dir(Path(dump_dir), place))
    job = _Job(
        path,
        core,
        objective,
        None if plan is None else Path(plan),
        tuple(until),
        keep_input,
        flash is not None and plan is None,
        waits=0.0 if flash_model is None else flash_model_named(flash_model, "compile").waits_a_byte,
    )
    if stream_input and (plan is not None or keep_input):
        other = "--plan" if plan is not None else "--keep-input"
        message = f"--stream-input and {other} exclude each other"
        remedy = (
            "a script says itself what is streamed" if plan is not None else "a streamed input is never there whole"
        )
        raise UsageError("compile", message, remedy=remedy)
    with replaced(place) as scratch:
        opened = open_model(path, core, job.until, stages, shape)
        job = replace(job, streamed=numbers_of(stream_input, opened.model.inputs, str(path)))
        limits = Limits(ram, flash)
        built = _built(job, opened, ram, stages) if not job.spends_flash else _within_flash(job, opened, limits, stages)
        if ram is not None and built.report.sram_bytes > ram:
            raise ram_refusal(built.report, _least(job, opened, built.report, ram, listen), ram)
        if flash is not None and built.report.flash_bytes > flash:
            raise flash_refusal(built.report, flash)
        with stages.stage("files"):
            write_files(built.lowered.network, built.code, scratch)
        lowered, report = built.lowered, replace(built.report, stages=tuple(stages.seconds))
        arena_budget = None if ram is None else ram - report.stack_bytes - report.data_bytes
        title = f"{report.name} on {report.target}"
        picture = memory_map_svg(title, report.buffers, report.steps, max(report.arena_bytes, 1), arena_budget)
        write_file(scratch / f"{report.name}.plan.mlir", lowered.script, "compile")
        write_file(scratch / MEMORY_MAP, picture, "compile")
        report = replace(report, files=file_digests(scratch))
        write_file(scratch / REPORT, report.to_json(), "compile")
    return Artifact(directory, report)


@dataclass(frozen=True)
class _Job:
    """What is to be compiled, and how; `spends_flash` where flash that is left may go to faster kernels.

    The inputs with the numbers `streamed` arrive row by row.
    """

    path: Path
    target: Target
    objective: Objective
    plan: Path | None
    until: tuple[str, ...]
    keep_input: bool
    spends_flash: bool = False
    streamed: tuple[int, ...] = ()
    waits: float = 0.0


@dataclass(frozen=True)
class _Built:
    """A network that has been compiled; no file is written yet."""

    lowered: Lowered
    code: Compiled
    report: Report

    @property
    def picks(self) -> tuple[tuple[str, int], ...]:
        """The primitives that flash is paid for, each with the number of its layer."""
        plan = self.lowered.plan
        return () if plan is None else tuple((name, number) for name, numbers in plan.kernels for number in numbers)

    @property
    def paid_bytes(self) -> int:
        """Flash that those layers take more than they must."""
        layers = self.lowered.graph.layers
        return sum(layers[number - 1].primitive(name).flash_bytes for name, number in self.picks)


def _built(job: _Job, opened: Opened, ram: int | None, stages: Stages, spare_flash: int = 0) -> _Built:
    """Compile; for objective `fit` once more and again while stack and data leave room for a smaller plan."""
    limit = None if ram is None else ram - (STACK_RESERVE if job.objective == "fit" else 0)
    while True:
        built = _compiled(job, opened, stages, limit, spare_flash)
        report = built.report
        smallest = job.objective != "fit" or limit is None or report.arena_bytes > limit
        if ram is None or report.sram_bytes <= ram or smallest:
            return built
        # the next smaller one, as the arena and what was measured beside it are too much; other plans have other stacks
        limit = report.arena_bytes - 1


def _compiled(
    job: _Job,
    opened: Opened,
    stages: Stages,
    limit: int | None,
    spare_flash: int = 0,
    planner: Planner | None = None,
) -> _Built:
    """Compile once."""
    lowered = lower(
        opened,
        job.target,
        objective=job.objective,
        plan=job.plan,
        arena_limit=limit,
        planner=planner,
        keep_input=job.keep_input,
        streamed=job.streamed,
        layer_counts=job.spends_flash,
        spare_flash=spare_flash,
        waits=job.waits,
        stages=stages,
    )
    with stages.stage("codegen"):
        code = compile_network(lowered.network, job.target)
    return _Built(lowered, code, _report(job, lowered, code))


@dataclass(frozen=True)
class Limits:
    """Bytes that there are; None for any number of them."""

    ram: int | None
    flash: int | None

    def over(self, report: Report) -> int:
        """Bytes of flash that the network takes too many; below zero where some are left."""
        return 0 if self.flash is None else report.flash_bytes - self.flash

    def hold(self, report: Report) -> bool:
        """Whether the network fits."""
        return self.over(report) <= 0 and (self.ram is None or report.sram_bytes <= self.ram)


def _within_flash(job: _Job, opened: Opened, limits: Limits, stages: Stages) -> _Built:
    """Compile with kernels that take flash for speed, as far as there is flash for them.

    How large code is only compiling tells. A file holds the weights, and what else it holds is with `CODE_RESERVE`
    about as large as their code: where that guess is right the network is compiled once.
    """
    assert limits.flash is not None
    spare = max(0, limits.flash - opened.path.stat().st_size - CODE_RESERVE)
    built = _built(job, opened, limits.ram, stages, spare)
    if limits.hold(built.report):
        return _faster(job, opened, built, limits, stages)
    while built.picks and not limits.hold(built.report):
        # at least the least of what was chosen must go; where RAM is short, all of it: its code needs more stack
        fewer = min(spare - limits.over(built.report), built.paid_bytes - 1)
        spare = fewer if limits.over(built.report) > 0 else 0
        built = _built(job, opened, limits.ram, stages, max(0, spare))
    return built


def _faster(job: _Job, opened: Opened, built: _Built, limits: Limits, stages: Stages) -> _Built:
    """The same plan with more such kernels, where the code turned out to leave flash for them."""
    plan, found = built.lowered.plan, built.lowered.found
    found = replace(found, plan=replace(found.plan, kernels=()))
    budget = None if plan is None else plan.budget or None
    spare = built.paid_bytes - limits.over(built.report)
    while spare > built.paid_bytes:
        chooser = Chooser(cost_model(job.target), spare, job.target.buffer_alignment, job.keep_input, job.waits)
        if plan is None or chooser.choose(found.ordered, found.plan, budget or 0).kernels == plan.kernels:
            break
        faster = _compiled(job, opened, stages, budget, spare, partial(_found_before, found))
        if limits.hold(faster.report):
            return faster
        spare = min(spare - max(1, limits.over(faster.report)), faster.paid_bytes - 1)
    return built


def _found_before(
    found: Untiled, cut: Cut, alignment: int, *, keep_input: bool = False, watch: Watch = unwatched
) -> Untiled:
    """A planner that takes what was found for the same network with other kernels."""
    del cut, alignment, keep_input, watch
    return found


def _least(job: _Job, opened: Opened, report: Report, ram: int, listen: Callable[[str], None]) -> Report:
    """The report of a plan that fits, or of the one that takes the least RAM."""
    if job.plan is None and job.objective in ("fit", "ram"):
        return report
    objectives: tuple[Objective, ...] = ("free", "ram")
    for objective in objectives:
        if (job.objective != objective or job.plan is not None) and report.sram_bytes > ram:
            other = _built(replace(job, objective=objective, plan=None), opened, None, Stages(listen)).report
            report = min(report, other, key=lambda one: one.sram_bytes)
    return report


def load(directory: str | Path) -> Artifact:
    """The artifact in a folder that `compile` wrote."""
    folder = Path(directory)
    return Artifact(folder, read_report(folder))


def _report(job: _Job, lowered: Lowered, code: Compiled) -> Report:
    """What there is to say of it but for files and stages, which come last."""
    network, graph = lowered.network, lowered.graph
    bound = untiled_bound(graph)
    return Report(
        model=job.path.name,
        name=network.name,
        target=job.target.name,
        objective=job.objective,
        arena_bytes=network.arena_bytes,
        stack_bytes=code.stack_bytes,
        data_bytes=code.data_bytes,
        sram_bytes=network.arena_bytes + code.stack_bytes + code.data_bytes,
        baseline_bytes=lowered.baseline_bytes,
        untiled_bound_bytes=bound.nbytes,
        untiled_bound_kind=bound.kind,
        allocation_bound_bytes=lowered.bound_bytes,
        flash_bytes=code.code_bytes + code.rodata_bytes,
        code_bytes=code.code_bytes,
        weights_bytes=code.rodata_bytes,
        macs=lowered.macs,
        baseline_macs=graph.macs,
        instructions=None,
        stack_used_bytes=None,
        keep_input=network.keep_input,
        external_symbols=code.external_symbols,
        files=(),
        inputs=network.inputs,
        outputs=network.outputs,
        steps=step_names([layer.name for layer in lowered.layers]),
        buffers=lowered.buffers,
        layers=lowered.layers,
        loops=lowered.loops,
        stages=(),
        states=network.states,
        mark_offset=network.mark_offset,
        streams=network.streams,
        position_offset=network.position_offset,
        search="given" if lowered.plan is None else lowered.plan.search,
    )


def _check_dump_dir(dump_dir: Path, directory: Path) -> Path:
    """The dumps must not lie in the folder that is replaced."""
    resolved = dump_dir.resolve()
    if resolved == directory or directory in resolved.parents:
        message = "--dump-dir is inside the output folder, which is replaced whole"
        raise UsageError("compile", message, where=str(dump_dir), remedy="choose another --dump-dir")
    return dump_dir
