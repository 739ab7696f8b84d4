"""`report.json`: what a compile claims, in keys that stay."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, fields, replace
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args

from lowtide.errors import InputError
from lowtide.graph.bound import BoundKind
from lowtide.graph.program import Loop
from lowtide.limits import MOST_ARENA
from lowtide.network import IoTensor, Slot, State, Stream, all_inputs
from lowtide.output import REPORT, write_file
from lowtide.placement import LayerAccess, PlacedBuffer
from lowtide.plan.watch import ENDINGS, Ending
from lowtide.report import schema

_COUNTS = (
    "sram_bytes",
    "baseline_bytes",
    "untiled_bound_bytes",
    "allocation_bound_bytes",
    "flash_bytes",
    "code_bytes",
    "weights_bytes",
    "macs",
    "baseline_macs",
)


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
        cycles, cycles_model: of these instructions, by which timing model; None where the target has none, too.
        external_symbols: functions that the firmware's compiler library must supply.
        files: name and SHA-256 of the other files of the folder.
        buffers: name, size, offset, first and last step; `steps` names the steps.
        stages: name and seconds.
        layers: what each layer reads and writes in the arena, and which way it runs.
        loops: which of them run again and again, each time by which rows and columns.
        states: what the network remembers from one run to the next, and its first bytes in hexadecimal.
        mark_offset: where the word lies that says that they hold something; None without states.
        streams: the inputs that arrive row by row, each with its number among all, its rows, and how many are there at
            a time; `position_offset` is where the words lie that say how far a run has got.
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
    states: tuple[State, ...] = ()
    mark_offset: int | None = None
    cycles: int | None = None
    cycles_model: str | None = None
    streams: tuple[Stream, ...] = ()
    position_offset: int | None = None

    @property
    def given(self) -> tuple[IoTensor, ...]:
        """The model's inputs in their order, those that arrive row by row included."""
        return tuple(slot.tensor for slot in all_inputs(self.inputs, self.streams))

    def to_json(self) -> str:
        """The file's text."""
        content: dict[str, object] = {field.name: getattr(self, field.name) for field in fields(self)}
        content["files"] = dict(self.files)
        content["inputs"] = [_slot(slot) for slot in self.inputs]
        content["outputs"] = [_slot(slot) for slot in self.outputs]
        content["states"] = [{**_slot(state), "initial": state.initial.hex()} for state in self.states]
        content["streams"] = [
            {**_slot(one), "number": one.number, "rows": one.rows, "held": one.held} for one in self.streams
        ]
        content["buffers"] = [asdict(buffer) for buffer in self.buffers]
        content["stages"] = [{"name": name, "seconds": seconds} for name, seconds in self.stages]
        # thousands of runs, of a few numbers each: a line for every layer and loop
        rows = {"layers": [*map(_layer, self.layers)], "loops": [*map(_loop, self.loops)]}
        others = {key: value for key, value in content.items() if key not in rows}
        parts = [f'  "{key}": [{_lines(of_one)}]' for key, of_one in rows.items()]
        return ",\n".join([json.dumps(others, indent=2).removesuffix("\n}"), *parts]) + "\n}\n"

    def measured(
        self, instructions: int | None, stack_used_bytes: int | None, cycles: tuple[int, str] | None = None
    ) -> Report:
        """The report with what a run has measured; cycles with the name of their model."""
        count, model = cycles or (None, None)
        return replace(
            self, instructions=instructions, stack_used_bytes=stack_used_bytes, cycles=count, cycles_model=model
        )


def _slot(slot: Slot) -> dict[str, object]:
    return {**asdict(slot.tensor), "offset": slot.offset}


def _lines(rows: Sequence[object]) -> str:
    return ",".join(f"\n    {json.dumps(row)}" for row in rows) + "\n  " if rows else ""


def _layer(layer: LayerAccess) -> dict[str, object]:
    windows = [[None if window is None else astuple(window) for window in pair] for pair in layer.windows]
    return {**asdict(layer), "windows": windows}


def _loop(loop: Loop) -> dict[str, object]:
    return {**asdict(loop), "runs": list(map(tuple, loop.runs))}


def read_report(directory: Path) -> Report:
    """Read a folder's report; `InputError` where it is missing, or is not what `to_json` can have written."""
    path = directory / REPORT
    remedy = "compile the model again"
    try:
        return _report(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError("report", f"cannot read it: {error.strerror}", where=str(path), remedy=remedy) from error
    except (ValueError, RecursionError) as error:
        raise InputError("report", f"it is damaged: {error}", where=str(path), remedy=remedy) from error


def _report(content: object) -> Report:
    """The report that JSON holds; `ValueError` where it holds something else."""
    # a report of before these keys came
    later: dict[str, Any] = {
        "layers": [],
        "loops": [],
        "untiled_bound_kind": "between layers",
        "search": "complete",
        "states": [],
        "mark_offset": None,
        "cycles": None,
        "cycles_model": None,
        "streams": [],
        "position_offset": None,
    }
    row = {**later, **schema.members(content, "the report", [field.name for field in fields(Report)], later)}
    arena = schema.whole(row["arena_bytes"], "arena_bytes", 0, MOST_ARENA)
    stack = schema.whole(row["stack_bytes"], "stack_bytes", 0, schema.MOST_STACK)
    data = schema.whole(row["data_bytes"], "data_bytes", 0, schema.MOST_DATA)
    steps = tuple(schema.text(step, "a step") for step in schema.items(row["steps"], "steps"))
    placed = tuple(schema.buffer(one, arena, len(steps)) for one in schema.items(row["buffers"], "buffers"))
    buffers = {buffer.name: buffer for buffer in placed}
    if len(buffers) != len(placed):
        raise ValueError("two buffers have the same name")
    layers = tuple(schema.layer(one, buffers) for one in schema.items(row["layers"], "layers"))
    loops = tuple(schema.loop(one, layers, buffers) for one in schema.items(row["loops"], "loops"))
    if any(after.first <= before.last for before, after in pairwise(loops)):
        raise ValueError("the loops are not apart, or not in order")
    if len(steps) < 2:
        raise ValueError("the steps lack the arrival of the inputs, or the departure of the outputs")
    streams = schema.streams(row["streams"], arena)
    report = Report(
        model=schema.text(row["model"], "model"),
        name=schema.identifier(row["name"], "name"),
        target=schema.text(row["target"], "target"),
        objective=schema.text(row["objective"], "objective"),
        arena_bytes=arena,
        stack_bytes=stack,
        data_bytes=data,
        **{key: schema.whole(row[key], key) for key in _COUNTS},
        instructions=_measured(row, "instructions"),
        stack_used_bytes=_measured(row, "stack_used_bytes"),
        keep_input=schema.truth(row["keep_input"], "keep_input"),
        external_symbols=tuple(
            schema.text(symbol, "an external symbol")
            for symbol in schema.items(row["external_symbols"], "external_symbols")
        ),
        files=tuple(
            (name, schema.text(digest, f"the digest of {name}"))
            for name, digest in schema.members(row["files"], "files").items()
        ),
        inputs=_slots(row["inputs"], "input", arena),
        outputs=_slots(row["outputs"], "output", arena),
        steps=steps,
        buffers=placed,
        stages=tuple(_stage(stage) for stage in schema.items(row["stages"], "stages")),
        layers=layers,
        loops=loops,
        untiled_bound_kind=schema.one_of(row["untiled_bound_kind"], "untiled_bound_kind", get_args(BoundKind)),
        search=schema.one_of(row["search"], "search", (*ENDINGS, "given")),
        states=schema.states(row["states"], arena),
        mark_offset=schema.mark_offset(row["mark_offset"], arena),
        cycles=_measured(row, "cycles"),
        cycles_model=schema.optional(row["cycles_model"], lambda value: schema.text(value, "cycles_model")),
        streams=streams,
        position_offset=schema.position_offset(row["position_offset"], arena, len(streams)),
    )
    if report.arena_bytes + report.stack_bytes + report.data_bytes != report.sram_bytes:
        raise ValueError("sram_bytes is not arena + stack + data")
    return report


def _measured(row: Mapping[str, Any], key: str) -> int | None:
    return schema.optional(row[key], lambda value: schema.whole(value, key))


def _slots(value: object, name: str, arena_bytes: int) -> tuple[Slot, ...]:
    return tuple(
        schema.slot(one, f"{name} {number}", arena_bytes) for number, one in enumerate(schema.items(value, name))
    )


def _stage(value: object) -> tuple[str, float]:
    row = schema.members(value, "a stage", ("name", "seconds"))
    return schema.text(row["name"], "a stage's name"), schema.real(row["seconds"], "a stage's seconds")


def file_digests(directory: Path) -> tuple[tuple[str, str], ...]:
    """Name and SHA-256 of the files in a folder, by name."""
    paths = sorted(directory.iterdir())
    return tuple((path.name, sha256(path.read_bytes()).hexdigest()) for path in paths)


def update_report(directory: Path, report: Report) -> None:
    """Replace a folder's report in one step."""
    write_file(directory / REPORT, report.to_json(), "report")
