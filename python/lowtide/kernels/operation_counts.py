"""Counts what a kernel's loops do, on the loops themselves: emitted for the layer alone, and thrown away.

Counts and code come from the same emitter, so they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from lowtide.cost.operation_counts import BY_PIXELS, Counted, LayerCounts, Work
from lowtide.errors import InternalError
from lowtide.graph.nest import LayerBody
from lowtide.graph.rows import accumulating_body, accumulation_of
from lowtide.ir import (
    F32Type,
    FunctionType,
    InsertionPoint,
    Location,
    MemRefType,
    Module,
    RankedTensorType,
    Type,
    func,
    run_pipeline,
)
from lowtide.kernels.constants import Numbers, type_of
from lowtide.kernels.intervals import Interval
from lowtide.kernels.kernel import Workspace
from lowtide.kernels.library import GENERAL, KERNELS, PRIMITIVES, kernel_for_part, kernel_name
from lowtide.kernels.loops import How, Part
from lowtide.kernels.tally import Tally
from lowtide.kernels.values import index_constant
from lowtide.normalise.analysis import ELEMENT_NAMES

_CLEAN_UP = "builtin.module(func.func(math-expand-ops{ops=roundeven,tanh},loop-invariant-code-motion,canonicalize,cse))"
NOTHING_CUT: Mapping[int, int] = MappingProxyType({})


def layer_counts_of(
    body: LayerBody,
    microkernels: str,
    constants: Mapping[int, Interval],
    fixed: Collection[int],
    wanted: Counted,
    picked: str | None = None,
) -> LayerCounts:
    """What a layer's kernels do in one run over the whole layer, for each way in which they can go.

    Args:
        body: the layer.
        microkernels: of the core, a name of `MICROKERNELS`.
        constants: between which values those tensor arguments lie that are known.
        fixed: the numbers of the tensor arguments that are constants.
        wanted: which ways; the others are left out.
        picked: the kernel that a script wants for it.

    Raises:
        InputError: that kernel does not accept the layer.
    """
    name = kernel_name(body, picked)
    how = How(microkernels, constants=constants)
    general = _counted(body, GENERAL, how, fixed)
    summed = _summed(body, how, fixed, picked)
    if name == GENERAL:
        return LayerCounts(general, replace(general, form=general.form + BY_PIXELS), general, summed)
    pixels = None
    if wanted != "rows":
        cut = (1, 2) if len(body.result.shape) == 4 else ()
        ranges = {dimension: body.result.shape[dimension] for dimension in cut}
        pixels = _counted(body, name, how, fixed, ranges)
        pixels = replace(pixels, form=pixels.form + BY_PIXELS)
    own, whole = KERNELS[name], _counted(body, name, how, fixed)
    return LayerCounts(whole, pixels, general, summed, own.at_once, own.streamed(body, microkernels))


@dataclass(frozen=True)
class Paid:
    """What a kernel that a plan may pay for takes.

    Attributes:
        kernel: its name.
        work: for the whole layer.
        flash_bytes: more than the layer's own kernel.
        streamed: as `LayerCounts.streamed`.
    """

    kernel: str
    work: Work
    flash_bytes: int
    streamed: int


def paid_kernels(
    body: LayerBody, microkernels: str, constants: Mapping[int, Interval], fixed: Collection[int]
) -> Iterator[Paid]:
    """The kernels that take flash for speed on this core, where the weights are constants.

    Args:
        body, microkernels, constants, fixed: as for `layer_counts_of`.
    """
    how = How(microkernels, constants=constants)
    for name in PRIMITIVES:
        kernel = KERNELS[name]
        wanted = kernel.derived(body, microkernels) if kernel.accepts(body) else ()
        for item in wanted:
            if item.what == kernel.weights and item.argument in fixed:
                plain = _zeros(body.arguments[item.argument])
                nbytes = item.make(plain).nbytes - plain.nbytes
                yield Paid(name, _counted(body, name, how, fixed), nbytes, kernel.streamed(body, microkernels))


def _summed(body: LayerBody, how: How, fixed: Collection[int], picked: str | None) -> Work | None:
    """The work of the calls that take an input by rows, as if one call took all; None where the layer has none."""
    accumulation = accumulation_of(body, set(range(len(body.arguments) - 1)) - set(fixed))
    if accumulation is None:
        return None
    taking = accumulating_body(body, accumulation)
    rows = accumulation.node.extents[accumulation.dimension]
    name = kernel_name(taking, kernel_for_part(taking, picked))
    return _counted(taking, name, how, fixed, {accumulation.dimension: rows}, reduces=True)


def _counted(
    body: LayerBody,
    kernel: str,
    how: How,
    fixed: Collection[int],
    cut: Mapping[int, int] = NOTHING_CUT,
    *,
    reduces: bool = False,
) -> Work:
    """Count what the code of a kernel does for a whole layer.

    Args:
        body: the layer.
        kernel: a name of `KERNELS`.
        how: what the kernel is emitted for.
        fixed: the numbers of the tensor arguments that are constants.
        cut: dimension → extent, for the code of calls that take a part of these dimensions: it is counted as if one
            call went through all of them.
        reduces: these dimensions are of the reduction, not of the output.
    """
    # The loops are emitted into a module of their own, and cleaned up as a compiler would before they are counted.
    emitter = KERNELS[kernel]
    context = body.arguments[0].context
    with context, Location.unknown(context):
        wanted = emitter.derived(body, how.microkernels)
        known = [item for item in wanted if all(number in fixed for number in item.arguments)]
        values = [item.make(*(_zeros(body.arguments[number]) for number in item.arguments)) for item in known]
        made = [type_of(value) for value in values]
        own = [_buffer(kind) for kind in body.arguments]
        module = Module.create()
        with InsertionPoint(module.body):
            spaces = [_workspace(item) for item in emitter.workspaces(body, how.microkernels)]
            function = func.FuncOp("work", FunctionType.get([*own, *spaces, *made], []))
        block = function.add_entry_block()
        arguments = list(block.arguments)
        with InsertionPoint(block):
            behind = arguments[len(own) + len(spaces) :]
            derived = behind if len(made) == len(wanted) else []
            ranges = {d: (index_constant(0), index_constant(extent)) for d, extent in cut.items()}
            part = Part(ranges, reduces, unit=next(iter(cut.values()))) if cut else None
            # made of zeros no record has a meaning, as those of networks have
            alone = [[] if i.what == "records" else [v] for i, v in zip(known, values, strict=True)] if derived else []
            how = replace(how, part=part, derived=derived, values=alone)
            spaces = arguments[len(own) : len(own) + len(spaces)]
            emitter.emit(body, arguments[: len(own)], replace(how, workspaces=spaces))
            func.ReturnOp([])
        run_pipeline(module, _CLEAN_UP, stage="cost", error=InternalError)
        return Work(emitter.form(body), **Tally(block).counts)


def _buffer(kind: Type) -> MemRefType:
    tensor = RankedTensorType(kind)
    return MemRefType.get(tensor.shape, tensor.element_type)


def _workspace(item: Workspace) -> MemRefType:
    shape, dtype = item
    return MemRefType.get(shape, Type.parse(ELEMENT_NAMES[dtype]))


def _zeros(kind: Type) -> Numbers:
    tensor = RankedTensorType(kind)
    return np.zeros(tensor.shape, np.float32 if isinstance(tensor.element_type, F32Type) else np.int8)
