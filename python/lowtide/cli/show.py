"""What the commands print."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from lowtide.artifact import Artifact
from lowtide.graph.graph import Graph, Tensor
from lowtide.plan_tflite import OfflinePlan
from lowtide.report.report import Report
from lowtide.emulate import RunResult
from lowtide.verification import Verification


def show_compiled(console: Console, artifact: Artifact) -> None:
    """The figures of a compile and where its files are."""
    report = artifact.report
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(justify="left")
    table.add_column(justify="right")
    table.add_column(justify="left", style="dim")
    saved = f"{report.arena_bytes / report.baseline_bytes:.0%} of layer by layer ({report.baseline_bytes:,})"
    proven = "proven least for this plan" if report.arena_bytes == report.allocation_bound_bytes else "not proven least"
    rows = [
        ("RAM", report.sram_bytes, "arena + stack + data"),
        ("  arena", report.arena_bytes, f"{proven}; {saved}"),
        ("  stack", report.stack_bytes, "bound by static analysis"),
        ("  data", report.data_bytes, ".data + .bss"),
        ("flash", report.flash_bytes, f"code {report.code_bytes:,} + constants {report.weights_bytes:,}"),
        ("MACs", report.macs, "of one inference"),
    ]
    for name, value, note in rows:
        table.add_row(name, f"{value:,}", note)
    console.print(table)
    if report.external_symbols:
        console.print(
            f"{report.target} has no FPU and the network is float: there is the .o alone, and the firmware's compiler library "
            f"must supply {', '.join(report.external_symbols)}",
            highlight=False,
        )
    console.print(f"written to {artifact.directory}", highlight=False)


def show_stages(console: Console, report: Report) -> None:
    """The stages with their times."""
    for name, seconds in report.stages:
        console.print(f"  {name:<12}{seconds:8.3f} s", highlight=False)


def show_run(console: Console, result: RunResult, report: Report) -> None:
    """Outputs and what was measured."""
    for slot, output in zip(report.outputs, result.outputs, strict=True):
        console.print(f"{slot.tensor.name} = {np.array2string(output, threshold=64)}", highlight=False, markup=False)
    measured = [
        ("instructions", result.instructions, ""),
        ("stack used", result.stack_used_bytes, f"of {report.stack_bytes:,} bytes"),
        ("arena touched", result.arena_touched_bytes, f"of {report.arena_bytes:,} bytes"),
    ]
    for name, value, note in measured:
        if value is not None:
            console.print(f"{name:<14}{value:>14,} {note}", highlight=False)


def show_verification(console: Console, outcome: Verification) -> None:
    """The comparison in three lines."""
    difference = outcome.difference
    report = outcome.report
    where = f"{outcome.emulated} emulated" + (
        f", {outcome.runs - outcome.emulated} on the host" if outcome.runs > outcome.emulated else ""
    )
    console.print(f"{report.name} on {report.target}: {outcome.runs} runs ({where}) against {outcome.oracle}", highlight=False)
    console.print(
        f"max difference {difference.max_abs:g}, {difference.count} of {difference.total} elements differ "
        f"({difference.relative:.2g} of the range)",
        highlight=False,
    )
    console.print(f"arena {report.arena_bytes:,}, stack {report.stack_bytes:,}, RAM {report.sram_bytes:,} bytes", highlight=False)
    console.print("equal" if outcome.passed else "DIFFERENT", style="green" if outcome.passed else "bold red")


def show_graph(console: Console, graph: Graph) -> None:
    """The layers with shapes, MACs, weights and live bytes, and the peak."""
    table = Table(box=None, pad_edge=False)
    for heading, justify in (
        ("step", "right"), ("layer", "left"), ("kind", "left"), ("inputs", "left"), ("output", "left"),
        ("MACs", "right"), ("weights", "right"), ("live bytes", "right"), ("", "left"),
    ):  # fmt: skip
        table.add_column(heading, justify=justify, overflow="ellipsis", no_wrap=True)  # type: ignore[arg-type]
    peak = graph.peak_step
    for layer in graph.layers:
        marked = layer.step == peak
        table.add_row(
            str(layer.step),
            layer.name,
            layer.kind,
            " ".join(_shape(graph.tensors[i]) for i in layer.inputs),
            _shape(graph.tensors[layer.output]),
            f"{layer.macs:,}",
            f"{layer.weights_bytes:,}",
            f"{graph.live_bytes(layer.step):,}",
            "← peak" if marked else "",
            style="bold" if marked else "",
        )
    console.print(table)
    console.print(f"{graph.macs:,} MACs; layer by layer {graph.baseline_bytes:,} bytes", highlight=False)
    held = sorted(graph.live(peak), key=lambda t: -t.nbytes)
    console.print(f"the peak, at step {peak}, holds:", highlight=False)
    for tensor in held:
        console.print(f"  {tensor.nbytes:>10,}  {tensor.name}  {_shape(tensor)}", highlight=False, markup=False)


def show_offline_plan(console: Console, plan: OfflinePlan, path: Path) -> None:
    """What a plan for LiteRT Micro saves, and where it is."""
    proven = "proven least" if plan.arena_bytes == plan.bound_bytes else f"at least {plan.bound_bytes:,}"
    console.print(
        f"activations in LiteRT Micro: {plan.greedy_bytes:,} → {plan.arena_bytes:,} bytes ({proven})", highlight=False
    )
    console.print(f"written to {path}", highlight=False, markup=False)


def _shape(tensor: Tensor) -> str:
    return "×".join(str(extent) for extent in _drop_batch(tensor.shape)) + f" {tensor.dtype}"


def _drop_batch(shape: Sequence[int]) -> Sequence[int]:
    return shape[1:] if len(shape) > 1 and shape[0] == 1 else shape
