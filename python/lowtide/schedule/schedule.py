"""The schedule of a network, made by hand: every step's bytes and instructions are known before anything is compiled.

s = lowtide.open_schedule("model.tflite", target="cortex-m4")
print(s)
s.fuse(1, 10).arena_bytes
s.undo()
artifact = s.compile(out="build/model")
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from lowtide.alloc import STRATEGIES
from lowtide.artifact import Artifact, compile_model
from lowtide.codegen.iree import scratch_directory
from lowtide.errors import InputError, InternalError
from lowtide.graph.fusion import Fusion
from lowtide.graph.graph import Graph
from lowtide.graph.program import DIRECTIONS, Direction
from lowtide.output import write_file
from lowtide.plan.loop_cost import by_time, part_of_time
from lowtide.plan.plan import DEFAULT_OBJECTIVE, Objective, Plan
from lowtide.plan.planners import planner_for
from lowtide.schedule.checks import (
    STAGE,
    LayerRef,
    chain_of,
    check_count,
    check_loop,
    check_order,
    check_word,
    layer_number,
    place_of_chain,
    place_of_layer,
)
from lowtide.schedule.network import OpenedModel, ScheduledLayer, State, model_number
from lowtide.script.builders import Halo
from lowtide.script.emit import script_for
from lowtide.targets import target_named


@dataclass(frozen=True)
class Step:
    """A step that was taken, and what the schedule is behind it.

    Attributes:
        text: what was done.
        arena_bytes: bytes of the arena that a compile makes, model input and output included.
        predicted_instructions: instructions of one inference, as the cost model predicts them.
    """

    text: str
    arena_bytes: int
    predicted_instructions: int


def open_schedule(model: str | Path, *, target: str, until: Sequence[str] = (), keep_input: bool = False) -> Schedule:
    """Open a model for scheduling: all layers whole, in the model's order, each with the kernel that suits it.

    Args:
        model: a `.tflite`, `.mlir` or `.mlirbc` file.
        target: a name of `lowtide.targets.TARGETS`.
        until: tensors that become the outputs; the rest of the network is left out.
        keep_input: leave the input's bytes intact; otherwise later layers may overwrite them.

    Raises:
        InputError, UsageError: the model or the target is refused.
    """
    return Schedule(OpenedModel(Path(model), target_named(target), until, keep_input=keep_input))


class Schedule:
    """A model and the steps taken so far. A step that can't be taken raises, and leaves everything as it was.

    Steps return the schedule itself, so that they can be written one behind the other.
    """

    def __init__(self, model: OpenedModel) -> None:
        self._model = model
        self._history: list[tuple[str, State]] = [("open", State(model, Plan("untiled")))]

    @property
    def _state(self) -> State:
        return self._history[-1][1]

    @property
    def plan(self) -> Plan:
        """The plan that the steps have made, its predicted arena included."""
        return replace(self._state.plan, arena_bytes=self.arena_bytes)

    @property
    def layers(self) -> tuple[ScheduledLayer, ...]:
        """The layers in the order in which they run."""
        return self._state.layers

    @property
    def steps(self) -> tuple[Step, ...]:
        """What was done, from opening the model on, with the figures behind each step."""
        return tuple(
            Step(text, state.solution.arena_bytes, round(state.cost.instructions)) for text, state in self._history
        )

    @property
    def arena_bytes(self) -> int:
        """Bytes of the arena, model input and output included: what a compile will have, to the byte."""
        return self._state.solution.arena_bytes

    @property
    def bound_bytes(self) -> int:
        """What the allocator has proved that no arena for this schedule can be under."""
        return self._state.solution.bound_bytes

    @property
    def predicted_instructions(self) -> int:
        """Instructions of one inference, as the cost model predicts them for the target."""
        return round(self._state.cost.instructions)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference, those that are done again included."""
        return sum(call.macs for call in self._state.program.calls)

    def fuse(
        self,
        first: LayerRef,
        last: LayerRef,
        *,
        rows: int = 1,
        columns: int = 0,
        direction: Direction = "forwards",
        halo: Halo = "cache",
        recompute: Sequence[LayerRef] = (),
    ) -> Schedule:
        """Put neighbouring layers into one loop by rows, with line buffers between them.

        Args:
            first, last: both included.
            rows: rows an iteration, of the layer that has the most to make.
            columns: columns of those rows at a time, 0 for whole rows; else `rows` is 1.
            direction: from the first row to the last, or from the last to the first.
            halo: `cache` computes no element twice; with `recompute` all layers but the last compute rows again.
            recompute: with `cache`, layers whose rows are recomputed all the same.

        Raises:
            InputError: there are no such layers, or they can't go together like that.
        """
        graph = self._state.graph
        begin, end = chain_of(graph, first, last)
        where = place_of_chain(graph, begin, end)
        check_count(rows, 1, "rows an iteration", where)
        check_count(columns, 0, "columns at a time", where)
        check_word(direction, DIRECTIONS, "direction", where)
        check_word(halo, get_args(Halo), "halo", where)
        positions = tuple(sorted({layer_number(graph, layer) - begin + 1 for layer in recompute}))
        count = end - begin + 1
        if not all(0 < position < count for position in positions):
            remedy = f"name layers {begin} to {end - 1} alone: the last makes the rows"
            raise InputError(STAGE, "a layer to compute again is not in the loop", where=where, remedy=remedy)
        if halo == "recompute":
            positions = tuple(range(1, count))
        shape = f"{rows} rows" if not columns else f"{rows} rows of {columns} columns"
        words = [f"fuse {begin} to {end} by {shape}", direction, *(["recomputing"] if positions else [])]
        return self._fused(Fusion(begin, end, rows, columns, direction, recompute=positions), ", ".join(words))

    def fuse_channels(self, first: LayerRef, last: LayerRef, *, slice: int = 1) -> Schedule:
        """Put neighbouring layers into one loop by slices of channels.

        Args:
            first, last: both included.
            slice: channels an iteration.

        Raises:
            InputError: there are no such layers, or they can't go together like that.
        """
        graph = self._state.graph
        begin, end = chain_of(graph, first, last)
        check_count(slice, 1, "channels a slice", place_of_chain(graph, begin, end))
        return self._fused(Fusion(begin, end, slice, axis="channels"), f"fuse {begin} to {end} by {slice} channels")

    def kernel(self, layer: LayerRef, name: str | None) -> Schedule:
        """Pick the kernel that computes a layer.

        Args:
            layer: the layer.
            name: one of `ScheduledLayer.kernels`; None for the one that suits the layer.

        Raises:
            InputError: there is no such layer, or that kernel can't compute it.
        """
        plan, graph = self._state.plan, self._state.graph
        number = layer_number(graph, layer)
        found = self.layers[number - 1]
        if name is not None and name not in found.kernels:
            message, remedy = f"kernel '{name}' can't compute this layer", f"choose one of {', '.join(found.kernels)}"
            raise InputError(STAGE, message, where=place_of_layer(graph, number), remedy=remedy)
        picked = {old: kernel for kernel, numbers in plan.kernels for old in numbers if old != number}
        if name is not None:
            picked[number] = name
        return self._take(f"kernel {name or found.kernels[0]} for {number}", replace(plan, kernels=_by_name(picked)))

    def reorder(self, order: Sequence[LayerRef]) -> Schedule:
        """Let the layers run in another order; their numbers are those of the new order from then on.

        Args:
            order: every layer once.

        Raises:
            InputError: a layer is missing or comes before one that it needs, or layers are in loops already.
        """
        plan, graph = self._state.plan, self._state.graph
        numbers = [layer_number(graph, layer) for layer in order]
        check_order(graph, numbers, plan.fusions)
        made = tuple(model_number(plan, number) for number in numbers)
        picked = {numbers.index(number) + 1: kernel for kernel, them in plan.kernels for number in them}
        # the model's own order is said by no order, so that such plans are equal
        own = made == tuple(range(1, len(made) + 1))
        words = ", ".join(map(str, numbers))
        return self._take(f"reorder {words}", replace(plan, order=() if own else made, kernels=_by_name(picked)))

    def concat(self, copied: Sequence[int]) -> Schedule:
        """Say which parts of concats get a buffer of their own and are copied; the others are written in place.

        It cuts the network anew, and so comes before all other steps but `allocate`.

        Args:
            copied: `ScheduledLayer.part` of the layers that write the parts.

        Raises:
            InputError: there is no such part, or other steps came first.
        """
        plan = self._state.plan
        if plan.order or plan.kernels or plan.fusions:
            message = "layers that other steps name would have other numbers"
            raise InputError(STAGE, message, where="concat", remedy="undo() the other steps, and take this one first")
        parts = sorted({layer.part for layer in self.layers if layer.part})
        wrong = [part for part in copied if part not in parts]
        if wrong:
            there = f"choose among {', '.join(map(str, parts))}" if parts else "the network has no part with a choice"
            message = f"there is no part {wrong[0]} of a concat that can be copied"
            raise InputError(STAGE, message, where="concat", remedy=there)
        chosen = tuple(sorted(set(copied)))
        return self._take(f"copy parts {', '.join(map(str, chosen)) or 'none'}", replace(plan, copied=chosen))

    def allocate(self, *, strategy: str = "auto", overlap: bool = True) -> Schedule:
        """Say how the buffers are placed in the arena.

        Args:
            strategy: a name of `lowtide.alloc.STRATEGIES`.
            overlap: a layer may write over the part of a dying input that it no longer reads.

        Raises:
            InputError: there is no such strategy.
        """
        check_word(strategy, tuple(STRATEGIES), "strategy", "allocate")
        text = f"allocate by {strategy}, {'with' if overlap else 'without'} overlap"
        return self._take(text, replace(self._state.plan, strategy=strategy, overlap=overlap))

    def search(self, objective: Objective = DEFAULT_OBJECTIVE) -> Schedule:
        """Take the plan that lowtide's own search finds, to go on from there; it replaces all steps so far.

        Args:
            objective: `free`, `ram` or `untiled`, as for `lowtide.compile`.

        Raises:
            UsageError: there is no such objective, or it needs to know how much RAM there is.
        """
        model, costs = self._model, self._model.costs
        planner = planner_for(objective, None, by_time(costs), part_of_time(costs))

        def cut(copied: tuple[int, ...]) -> Graph:
            return model.graph(Plan("untiled", copied=copied), "all")

        found = planner(cut, model.target.buffer_alignment, keep_input=model.keep_input)
        return self._take(f"search for {objective}", found.plan)

    def undo(self, steps: int = 1) -> Schedule:
        """Take steps back.

        Raises:
            InputError: there are fewer.
        """
        done = len(self._history) - 1
        if not 0 <= steps <= done:
            raise InputError(STAGE, f"{steps} steps can't be undone", remedy=f"{done} have been taken")
        del self._history[len(self._history) - steps :]
        return self

    def picture(self) -> str:
        """The memory map, every buffer over time, as SVG: what a compile would write, without compiling."""
        return self._state.picture

    def script(self) -> str:
        """The transform script of the schedule."""
        return script_for(self._state.plan)

    def save(self, path: str | Path) -> Path:
        """Write the transform script, for `lowtide compile --plan` and `lowtide-opt --transform-script`.

        Raises:
            InputError: the file can't be written.
        """
        write_file(Path(path), self.script(), STAGE)
        return Path(path)

    def compile(self, *, out: str | Path | None = None, ram: int | None = None, flash: int | None = None) -> Artifact:
        """Compile the model with this schedule.

        Args:
            out, ram, flash: as for `lowtide.compile`.

        Raises:
            InputError: it does not fit, or the folder can't be written.
            InternalError: the arena is not what was predicted.
        """
        model = self._model
        with scratch_directory() as scratch:
            artifact = compile_model(
                model.path,
                target=model.target.name,
                ram=ram,
                flash=flash,
                plan=self.save(scratch / "schedule.plan.mlir"),
                out=out,
                until=model.until,
                keep_input=model.keep_input,
            )
        if artifact.report.arena_bytes != self.arena_bytes:
            message = f"predicted an arena of {self.arena_bytes:,} bytes, the code has {artifact.report.arena_bytes:,}"
            raise InternalError(STAGE, message, where=str(model.path))
        return artifact

    def __str__(self) -> str:
        """A table of the layers below the schedule's figures."""
        figures = f"{self.arena_bytes:,} bytes, {self.predicted_instructions:,} instructions predicted"
        return "\n".join([f"{self._model.title}: {figures}", *map(str, self.layers)])

    def _take(self, text: str, plan: Plan) -> Schedule:
        """Go on with a plan whose loops are known to be possible."""
        self._history.append((text, State(self._model, plan)))
        return self

    def _fused(self, fusion: Fusion, text: str) -> Schedule:
        plan = self._state.plan
        check_loop(self._state.graph, fusion, plan.fusions)
        fusions = tuple(sorted((*plan.fusions, fusion), key=lambda one: one.first))
        return self._take(text, replace(plan, fusions=fusions))


def _by_name(kernels: Mapping[int, str]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Kernels by number of the layer, as a plan has them."""
    names = sorted(set(kernels.values()))
    return tuple((name, tuple(sorted(n for n, other in kernels.items() if other == name))) for name in names)
