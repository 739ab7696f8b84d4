"""One point: a plan's script, compiled and run once. Tasks and points cross to other processes and machines."""

from __future__ import annotations

from dataclasses import dataclass

from lowtide.artifact import Artifact, compile_model
from lowtide.codegen.iree import scratch_directory
from lowtide.errors import InternalError
from lowtide.report.pareto import Point
from lowtide.targets import Target, target_named
from lowtide.verification import run_artifact


@dataclass(frozen=True)
class Task:
    """A point that is to be measured, complete: another machine needs nothing else.

    Attributes:
        number: 1 for whole layers, then by falling arena.
        file_name, model: the model's file and its bytes.
        script: the transform script of the plan.
        loops: how many fused loops the plan has.
        cost: what the plan costs more than whole layers, in predicted instructions.
        predicted: the instructions of one inference, by the cost model.
        arena_bytes: what the plan predicts.
        target, until, keep_input: as for `compile_model`.
    """

    number: int
    file_name: str
    model: bytes
    script: str
    loops: int
    cost: int
    predicted: int
    arena_bytes: int
    target: str
    until: tuple[str, ...]
    keep_input: bool


def measure(task: Task) -> Point:
    """Compile a point's plan and run it on one random input.

    Raises:
        LowtideError: as `compile_model` and `run_artifact`.
        InternalError: the arena is not what the plan predicted.
    """
    with scratch_directory() as scratch:
        model, plan = scratch / task.file_name, scratch / "plan.mlir"
        model.write_bytes(task.model)
        plan.write_text(task.script, encoding="utf-8")
        artifact = compile_model(
            model,
            target=task.target,
            plan=plan,
            out=scratch / "out",
            until=task.until,
            keep_input=task.keep_input,
        )
        report = artifact.report
        if report.arena_bytes != task.arena_bytes:
            message = (
                f"the plan predicted an arena of {task.arena_bytes:,} bytes, the network has {report.arena_bytes:,}"
            )
            raise InternalError("explore", message, where=f"point {task.number}")
        return Point(
            number=task.number,
            loops=task.loops,
            cost=task.cost,
            predicted=task.predicted,
            arena_bytes=report.arena_bytes,
            stack_bytes=report.stack_bytes,
            data_bytes=report.data_bytes,
            sram_bytes=report.sram_bytes,
            flash_bytes=report.flash_bytes,
            macs=report.macs,
            baseline_macs=report.baseline_macs,
            instructions=_instructions(artifact, target_named(task.target)),
        )


def _instructions(artifact: Artifact, target: Target) -> int | None:
    """The instructions that a run was counted to take.

    None for a core that Unicorn lacks, and for an object that needs the firmware's compiler library.
    """
    if target.emulator in ("", "host") or artifact.report.external_symbols:
        return None
    return run_artifact(artifact.directory).instructions
