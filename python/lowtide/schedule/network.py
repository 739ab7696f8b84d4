"""A model that has been opened, and what is known of it under a plan: all of it data, read off the IR once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lowtide.alloc import Problem, Solution, solve
from lowtide.bound.build import BoundNetwork, read_network
from lowtide.bufferise.placement import placed_buffers
from lowtide.cost.data import cost_model
from lowtide.cost.model import Cost
from lowtide.cost.operation_counts import Counted
from lowtide.graph.conflicts import problem_of
from lowtide.graph.fusion import Fusion
from lowtide.graph.graph import Graph
from lowtide.graph.program import Program
from lowtide.ir import Module
from lowtide.kernels.library import accepting_kernels
from lowtide.lower import identifier, open_model, outlined_copy
from lowtide.placement import step_names
from lowtide.plan.executed import executed_counts
from lowtide.plan.memory import program_of
from lowtide.plan.plan import Plan
from lowtide.report.memory_map import memory_map_svg
from lowtide.stages import Stages
from lowtide.targets import Target


@dataclass(frozen=True)
class ScheduledLayer:
    """A layer as a schedule has it.

    Attributes:
        number: from 1, in the order in which the layers run.
        name: the model's of its output.
        kind: conv, depthwise, dense, pool, gather, concat, reduce or map.
        inputs, output: shapes, batch included.
        nbytes: bytes of the output when it is whole.
        macs: multiply-accumulates when it is computed once.
        kernel: the kernel that computes it.
        kernels: the kernels that can; the first of them does where none is picked.
        loop: the fused loop that it is in; None where it runs whole.
        part: its number where it writes a part of a concat that can be copied (`Schedule.concat`), else 0.
    """

    number: int
    name: str
    kind: str
    inputs: tuple[tuple[int, ...], ...]
    output: tuple[int, ...]
    nbytes: int
    macs: int
    kernel: str
    kernels: tuple[str, ...]
    loop: Fusion | None
    part: int

    def __str__(self) -> str:
        """The layer as a row of a table."""
        shape = "x".join(map(str, self.output))
        loop = f"  loop {self.loop.first}-{self.loop.last}" if self.loop else ""
        figures = f"{self.nbytes:>9,} B {self.macs:>11,} MACs"
        return f"{self.number:>4}  {self.kind:9} {shape:14} {figures}  {self.kernel:8} {self.name}{loop}"


class OpenedModel:
    """A model, imported and normalised for a target; each network that plans make of it is cut and read once.

    Args:
        path: a `.tflite`, `.mlir` or `.mlirbc` file.
        target: the core.
        until: tensors that become the outputs.
        keep_input: the inputs' bytes stay intact.

    Raises:
        InputError, UsageError: the model is refused.
    """

    def __init__(self, path: Path, target: Target, until: Sequence[str], *, keep_input: bool) -> None:
        self.path, self.target, self.until, self.keep_input = path, target, tuple(until), keep_input
        opened = open_model(path, target, until, Stages())
        self.module, self.binder = opened.model.module, opened.binder
        self.costs = cost_model(target)
        self._cut: dict[tuple[int, ...], Module] = {}
        self._read: dict[object, BoundNetwork] = {}

    @property
    def title(self) -> str:
        """Model and target, as the memory map of a compile has them."""
        return f"{identifier(self.path.stem)} on {self.target.name}"

    def network(self, plan: Plan, layer_counts: Counted | None = None) -> BoundNetwork:
        """The network in the model's order, with the plan's concats and kernels.

        Args:
            plan: its order, loops and allocation are not looked at.
            layer_counts: what to count of the kernels' loops; None counts nothing.
        """
        kernels = {model_number(plan, number): name for name, numbers in plan.kernels for number in numbers}
        key = plan.copied, frozenset(kernels.items()), layer_counts
        if key not in self._read:
            if plan.copied not in self._cut:
                self._cut[plan.copied] = outlined_copy(self.module, plan.copied)
            self._read[key] = read_network(
                self._cut[plan.copied], self.binder, layer_counts=layer_counts, kernels=kernels
            )
        return self._read[key]

    def graph(self, plan: Plan, layer_counts: Counted | None = None) -> Graph:
        """The graph of `network` in the plan's order."""
        graph = self.network(plan, layer_counts).graph
        return graph.reordered(plan.order) if plan.order else graph


def model_number(plan: Plan, number: int) -> int:
    """The number in the model's order of a layer that has this one in the plan's."""
    return plan.order[number - 1] if plan.order else number


@dataclass(frozen=True)
class State:
    """A plan of an opened model, and what follows from it; computed when it is first asked for."""

    model: OpenedModel
    plan: Plan

    @cached_property
    def graph(self) -> Graph:
        """The layers whole, in the plan's order."""
        return self.model.graph(self.plan)

    @cached_property
    def program(self) -> Program:
        """What the allocator sees of it.

        Raises:
            UnschedulableError: layers that are to be fused can't be.
        """
        alignment, keep_input = self.model.target.buffer_alignment, self.model.keep_input
        return program_of(self.graph, alignment, fusions=self.plan.fusions, keep_input=keep_input)

    @cached_property
    def problem(self) -> Problem:
        """The allocator's problem: the one that a compile of the plan will have."""
        return problem_of(self.program, overlap=self.plan.overlap)[0]

    @cached_property
    def solution(self) -> Solution:
        """The allocator's answer, which is the compile's too."""
        return solve(self.problem, self.plan.strategy)

    @cached_property
    def cost(self) -> Cost:
        """What the cost model predicts of one inference."""
        graph = self.model.graph(self.plan, "all")
        return self.model.costs.total(executed_counts(graph, self.plan.fusions))

    @cached_property
    def picture(self) -> str:
        """The memory map that a compile would write, as SVG."""
        buffers = placed_buffers(self.program, self.solution)
        steps = step_names([call.name for call in self.program.calls])
        return memory_map_svg(self.model.title, buffers, steps, max(self.solution.arena_bytes, 1))

    @cached_property
    def layers(self) -> tuple[ScheduledLayer, ...]:
        """The layers in the plan's order."""
        return tuple(self._layer(number) for number in range(1, len(self.graph.layers) + 1))

    def _layer(self, number: int) -> ScheduledLayer:
        layer, tensors = self.graph.layers[number - 1], self.graph.tensors
        bound = self.model.network(self.plan).layers[model_number(self.plan, number) - 1].bound
        kernels = accepting_kernels(bound.description)
        picked = next((name for name, numbers in self.plan.kernels if number in numbers), kernels[0])
        return ScheduledLayer(
            number=number,
            name=layer.name,
            kind=layer.kind,
            inputs=tuple(tensors[index].shape for index in layer.inputs),
            output=tensors[layer.output].shape,
            nbytes=tensors[layer.output].nbytes,
            macs=layer.macs,
            kernel=picked,
            kernels=kernels,
            loop=next((fusion for fusion in self.plan.fusions if fusion.first <= number <= fusion.last), None),
            part=layer.part,
        )
