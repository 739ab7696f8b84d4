"""What the commands print."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.text import Text

from lowtide.artifact import Artifact
from lowtide.emulate import RunResult
from lowtide.exploration.explore import Exploration
from lowtide.graph.bound import step_bytes, untiled_bound
from lowtide.graph.graph import Graph, Tensor
from lowtide.plan_tflite import OfflinePlan
from lowtide.report.pareto import on_front
from lowtide.report.report import Report
from lowtide.report.table import Column, figures_table, middle_cut, table_lines
from lowtide.verification import Verification

_SEARCHES = {
    "budget": "the search used up its budget of steps: this is the best plan of those it looked at",
    "interrupted": "the search was interrupted: this is the best plan of those it had looked at",
}
"""What to say of a search that did not come to its end."""


_EXPLORED = {
    "budget": "the search used up its budget of steps: there may be more points, and better ones",
    "interrupted": "the search was interrupted: there may be more points, and better ones",
}


def show_compiled(console: Console, artifact: Artifact) -> None:
    """The figures of a compile and where its files are."""
    report = artifact.report
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
    figures = [f"{value:,}" for _, value, _ in rows]
    widest = max(map(len, figures))
    for (name, _, note), figure in zip(rows, figures, strict=True):
        console.print(Text.assemble(f"{name:<7}  {figure:>{widest}}  ", (note, "dim")))
    if report.external_symbols:
        console.print(
            f"{report.target} has no FPU and the network is float: there is the .o alone (no .elf), and the firmware's "
            f"compiler library must supply {', '.join(report.external_symbols)}"
        )
    if report.search in _SEARCHES:
        console.print(_SEARCHES[report.search])
    console.print(f"written to {artifact.directory}")


def show_run(console: Console, result: RunResult, report: Report, megahertz: float | None = None) -> None:
    """Outputs and what was measured; at a clock, also how long the modelled cycles take."""
    for slot, output in zip(report.outputs, result.outputs, strict=True):
        console.print(f"{slot.tensor.name} = {np.array2string(output, threshold=64)}")
    measured = [
        ("instructions", result.instructions, ""),
        ("a call", result.call_instructions, "at most, between two rows"),
        *_cycles(result, report.macs, megahertz),
        ("stack used", result.stack_used_bytes, f"bytes; {report.stack_bytes:,} claimed for the object"),
        ("arena touched", result.arena_touched_bytes, f"of {report.arena_bytes:,} bytes"),
    ]
    for name, value, note in measured:
        if value is not None:
            console.print(f"{name:<14}{value:>14,} {note}", highlight=False)
    if megahertz is not None and result.cycles is None:
        counted = result.instructions is not None
        console.print(f"no timing model for {report.target}" if counted else "no cycles where nothing is counted")
    if result.witnessed_loads is not None:
        loads = f"all {result.witnessed_loads:,} loads from the arena"
        console.print(f"witness: {loads} read what the right one of {len(report.layers)} layers stored")


def _cycles(result: RunResult, macs: int, megahertz: float | None) -> list[tuple[str, int, str]]:
    if result.cycles is None:
        return []
    a_mac = f", {result.cycles.count / macs:.2f} a MAC" if macs else ""
    clock = "" if megahertz is None else f", {result.cycles.milliseconds(megahertz):.3f} ms at {megahertz:g} MHz"
    return [("cycles", result.cycles.count, f"({result.cycles.title}){a_mac}{clock}")]


def show_verification(console: Console, outcome: Verification) -> None:
    """The comparison in three lines."""
    difference = outcome.difference
    report = outcome.report
    where = f"{outcome.emulated} emulated" + (
        f", {outcome.runs - outcome.emulated} on the host" if outcome.runs > outcome.emulated else ""
    )
    console.print(f"{report.name} on {report.target}: {outcome.runs} runs ({where}) against {outcome.oracle}")
    console.print(
        f"max difference {difference.max_abs:g}, {difference.count} of {difference.total} elements differ "
        f"({difference.relative:.2g} of the range)",
        highlight=False,
    )
    console.print(f"arena {report.arena_bytes:,}, stack {report.stack_bytes:,}, RAM {report.sram_bytes:,} bytes")
    console.print("equal" if outcome.passed else "DIFFERENT", style="green" if outcome.passed else "bold red")


def show_graph(console: Console, graph: Graph) -> None:
    """The layers with shapes, MACs, weights and live bytes, and the peak, as wide as the console."""
    peak = graph.peak_step
    heading, *rows = layer_lines(graph, console.width)
    console.print(Text(heading, "bold"))
    for layer, row in zip(graph.layers, rows, strict=True):
        console.print(Text(row, "bold" if layer.step == peak else ""))
    if any("…" in row for row in rows):
        console.print(
            Text(f"names are cut to fit {console.width} columns; COLUMNS=200 in the environment gives room", "dim")
        )
    bound = untiled_bound(graph)
    console.print(f"{graph.macs:,} MACs; layer by layer {graph.baseline_bytes:,} bytes")
    console.print(f"with overlap at least {bound.nbytes:,} bytes ({bound.kind})")
    console.print(f"the peak ({'←, ' if 0 < peak <= len(rows) else ''}step {peak}) holds:")
    for tensor in sorted(graph.live(peak), key=lambda t: -t.nbytes):
        shape = f"{_shape(tensor)} {tensor.dtype}"
        name = middle_cut(tensor.name, max(console.width - 16 - len(shape), 16))
        console.print(f"  {tensor.nbytes:>10,}  {name}  {shape}")


def layer_lines(graph: Graph, width: int) -> list[str]:
    """A heading and a line for each layer, of `width` characters where figures and short names fit."""
    outputs = [graph.tensors[layer.output] for layer in graph.layers]
    same = len({tensor.dtype for tensor in outputs}) == 1
    peak = graph.peak_step
    return table_lines(
        [
            Column("step", [str(layer.step) for layer in graph.layers], right=True),
            Column("layer", [layer.name for layer in graph.layers], cut=True),
            Column("kind", [layer.kind for layer in graph.layers]),
            Column("inputs", [_shapes(graph, layer.inputs) for layer in graph.layers], optional=True),
            Column(
                "output",
                [_shape(tensor) if same else f"{_shape(tensor)} {tensor.dtype}" for tensor in outputs],
            ),
            Column("MACs", [f"{layer.macs:,}" for layer in graph.layers], right=True),
            Column("weights", [f"{layer.weights_bytes:,}" for layer in graph.layers], right=True),
            Column("live", [f"{graph.live_bytes(layer.step):,}" for layer in graph.layers], right=True),
            Column("bound", [f"{step_bytes(graph, layer.step):,}" for layer in graph.layers], right=True),
            Column("", ["←" if layer.step == peak else "" for layer in graph.layers]),
        ],
        width,
    )


def _shapes(graph: Graph, indices: Sequence[int]) -> str:
    return " ".join(_shape(graph.tensors[index]) for index in indices)


def show_exploration(console: Console, found: Exploration) -> None:
    """The points, and where their scripts are."""
    table = figures_table(("point", "RAM", "arena", "MACs", "instructions", "predicted", "loops"))
    for point, best in zip(found.points, on_front(found.points), strict=True):
        figures = point.number, point.sram_bytes, point.arena_bytes, point.macs
        ran = "–" if point.instructions is None else f"{point.instructions:,}"
        rest = ran, f"{point.predicted:,}", str(point.loops)
        table.add_row(*(f"{figure:,}" for figure in figures), *rest, style="" if best else "dim")
    console.print(table)
    if found.search in _SEARCHES:
        console.print(_EXPLORED[found.search])
    if found.interrupted:
        console.print(f"interrupted: {len(found.points)} of {found.planned} points were measured")
    console.print(f"written to {found.directory}")


def show_offline_plan(console: Console, plan: OfflinePlan, path: Path) -> None:
    """What a plan for LiteRT Micro saves, and where it is."""
    proven = "proven least" if plan.arena_bytes == plan.bound_bytes else f"at least {plan.bound_bytes:,}"
    console.print(f"activations in LiteRT Micro: {plan.greedy_bytes:,} → {plan.arena_bytes:,} bytes ({proven})")
    console.print(f"written to {path}")


def _shape(tensor: Tensor) -> str:
    return "×".join(str(extent) for extent in _drop_batch(tensor.shape)) or "scalar"


def _drop_batch(shape: Sequence[int]) -> Sequence[int]:
    return shape[1:] if len(shape) > 1 and shape[0] == 1 else shape
