"""`report.json`: what a compile claims, in keys that stay."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, fields, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from lowtide.errors import InputError
from lowtide.graph.bound import BoundKind
from lowtide.graph.program import Loop, Run, Window
from lowtide.network import IoTensor, LayerAccess, Slot
from lowtide.output import REPORT, write_file
from lowtide.plan.watch import Ending
from lowtide.report.memory_map import PlacedBuffer


@dataclass(frozen=True)
class Report:
    """The report's keys; all sizes in bytes (docs/report.md explains each).

    Attributes:
        sram_bytes: arena + stack + data; what `--ram` bounds.
        baseline_bytes: layer by layer with a perfect allocator, no overlap and no tiling.
        untiled_bound_bytes: no execution that leaves layers whole and in this order can do with less.
        untiled_bound_kind: where that comes from, "between layers" or "within a layer".
        allocation_bound_bytes: no arena can be smaller for this plan, proven by the allocator.
        flash_bytes: code, constants and initial data of the linked object.
        weights_bytes: constants alone.
        macs: multiply-accumulates of this plan; baseline_macs those of the untiled network.
        instructions, stack_used_bytes: of one inference; None until `lowtide run` has measured them.
        external_symbols: functions that the firmware's compiler library must supply.
        files: name and SHA-256 of the other files of the folder.
        buffers: name, size, offset, first and last step; `steps` names the steps.
        stages: name and seconds.
        layers: what each layer reads and writes in the arena, and which way it runs.
        loops: which of them run again and again, each time by which rows and columns.
        search: how the search for the plan ended: "complete", "budget" or "interrupted"; "given" without a search.
    """

    model: str
    name: str
    target: str
    objective: str
    arena_bytes: int
    stack_bytes: int
    data_bytes: int
    sram_bytes: int
    baseline_bytes: int
    untiled_bound_bytes: int
    allocation_bound_bytes: int
    flash_bytes: int
    code_bytes: int
    weights_bytes: int
    macs: int
    baseline_macs: int
    instructions: int | None
    stack_used_bytes: int | None
    keep_input: bool
    external_symbols: tuple[str, ...]
    files: tuple[tuple[str, str], ...]
    inputs: tuple[Slot, ...]
    outputs: tuple[Slot, ...]
    steps: tuple[str, ...]
    buffers: tuple[PlacedBuffer, ...]
    stages: tuple[tuple[str, float], ...]
    layers: tuple[LayerAccess, ...] = ()
    loops: tuple[Loop, ...] = ()
    untiled_bound_kind: BoundKind = "between layers"
    search: Ending | Literal["given"] = "complete"

    def to_json(self) -> str:
        """The file's text."""
        content: dict[str, object] = {field.name: getattr(self, field.name) for field in fields(self)}
        content["files"] = dict(self.files)
        content["inputs"] = [_slot(slot) for slot in self.inputs]
        content["outputs"] = [_slot(slot) for slot in self.outputs]
        content["buffers"] = [asdict(buffer) for buffer in self.buffers]
        content["stages"] = [{"name": name, "seconds": seconds} for name, seconds in self.stages]
        # thousands of runs, of a few numbers each: a line for every layer and loop
        rows = {"layers": [*map(_layer, self.layers)], "loops": [*map(_loop, self.loops)]}
        others = {key: value for key, value in content.items() if key not in rows}
        parts = [f'  "{key}": [{_lines(of_one)}]' for key, of_one in rows.items()]
        return ",\n".join([json.dumps(others, indent=2).removesuffix("\n}"), *parts]) + "\n}\n"

    def measured(self, instructions: int | None, stack_used_bytes: int | None) -> Report:
        """The report with what a run has measured."""
        return replace(self, instructions=instructions, stack_used_bytes=stack_used_bytes)


def _slot(slot: Slot) -> dict[str, object]:
    return {**asdict(slot.tensor), "offset": slot.offset}


def _read_slot(row: Mapping[str, Any]) -> Slot:
    tensor = IoTensor(row["name"], tuple(row["shape"]), row["dtype"], row["scale"], row["zero_point"])
    return Slot(tensor, row["offset"])


def _lines(rows: Sequence[object]) -> str:
    return ",".join(f"\n    {json.dumps(row)}" for row in rows) + "\n  " if rows else ""


def _layer(layer: LayerAccess) -> dict[str, object]:
    windows = [[None if window is None else astuple(window) for window in pair] for pair in layer.windows]
    return {**asdict(layer), "windows": windows}


def _read_layer(row: Mapping[str, Any]) -> LayerAccess:
    words = row["name"], row["function"], row["direction"], tuple(row["inputs"]), row["output"]
    numbers = row["stored_bytes"], row["in_place_first"], row["in_place_bytes"]
    windows = tuple((_read_window(rows), _read_window(columns)) for rows, columns in row["windows"])
    return LayerAccess(*words, *numbers, windows, row["accumulates"], row["macs"])


def _read_window(row: Sequence[int] | None) -> Window | None:
    return None if row is None else Window(*row)


def _loop(loop: Loop) -> dict[str, object]:
    return {**asdict(loop), "runs": [astuple(run) for run in loop.runs]}


def _read_loop(row: Mapping[str, Any]) -> Loop:
    runs = tuple(Run(*run) for run in row["runs"])
    columns = None if row["columns"] is None else tuple(tuple((b, e) for b, e in of_one) for of_one in row["columns"])
    return Loop(row["first"], row["last"], runs, columns, row["backwards"], row["by_channels"])


def read_report(directory: Path) -> Report:
    """Read a folder's report; `InputError` where it is missing or damaged."""
    path = directory / REPORT
    remedy = "compile the model again"
    try:
        row: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        row["files"] = tuple(row["files"].items())
        row["inputs"] = tuple(_read_slot(slot) for slot in row["inputs"])
        row["outputs"] = tuple(_read_slot(slot) for slot in row["outputs"])
        row["buffers"] = tuple(PlacedBuffer(**buffer) for buffer in row["buffers"])
        row["layers"] = tuple(_read_layer(layer) for layer in row.get("layers", ()))
        row["loops"] = tuple(_read_loop(loop) for loop in row.get("loops", ()))
        row["stages"] = tuple((stage["name"], stage["seconds"]) for stage in row["stages"])
        row["external_symbols"] = tuple(row["external_symbols"])
        row["steps"] = tuple(row["steps"])
        return Report(**row)
    except OSError as error:
        raise InputError("report", f"cannot read it: {error.strerror}", where=str(path), remedy=remedy) from error
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise InputError("report", f"it is damaged: {error}", where=str(path), remedy=remedy) from error


def file_digests(directory: Path) -> tuple[tuple[str, str], ...]:
    """Name and SHA-256 of the files in a folder, by name."""
    paths = sorted(directory.iterdir())
    return tuple((path.name, sha256(path.read_bytes()).hexdigest()) for path in paths)


def update_report(directory: Path, report: Report) -> None:
    """Replace a folder's report in one step."""
    write_file(directory / REPORT, report.to_json(), "report")


def step_names(layers: Sequence[str]) -> tuple[str, ...]:
    """Names of the steps of a network with these layers."""
    return ("input", *layers, "output")
