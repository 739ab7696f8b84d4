"""Counts what a kernel's loops do, on the loops themselves: emitted for the layer alone, and thrown away.

Counts and code come from the same emitter, so they cannot disagree.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from lowtide.cost.work import BY_PIXELS, Counted, Work, Works
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
from lowtide.kernels.kernel import How
from lowtide.kernels.library import GENERAL, KERNELS, WIDENED, kernel_for_part, kernel_name
from lowtide.kernels.loops import Part
from lowtide.kernels.scalar import index_constant
from lowtide.kernels.tally import Tally

_CLEAN_UP = "builtin.module(func.func(math-expand-ops{ops=roundeven,tanh},loop-invariant-code-motion,canonicalize,cse))"
NOTHING_CUT: Mapping[int, int] = MappingProxyType({})


def works_of(
    body: LayerBody,
    lanes: str,
    constants: Mapping[int, Interval],
    fixed: Collection[int],
    wanted: Counted,
    picked: str | None = None,
) -> Works:
    """What a layer's kernels do in one run over the whole layer, for each way in which they can go.

    Args:
        body: the layer.
        lanes: of the core, a name of `LANES`.
        constants: between which values those tensor arguments lie that are known.
        fixed: the numbers of the tensor arguments that are constants.
        wanted: which ways; the others are left out.
        picked: the kernel that a script wants for it.

    Raises:
        InputError: that kernel does not accept the layer.
    """
    name = kernel_name(body, picked)
    how = How(lanes, constants=constants)
    pulled = _counted(body, GENERAL, how, fixed)
    summed = _summed(body, how, fixed, picked)
    if name == GENERAL:
        return Works(pulled, replace(pulled, form=pulled.form + BY_PIXELS), pulled, summed)
    pixels = None
    if wanted != "rows":
        cut = (1, 2) if len(body.result.shape) == 4 else ()
        ranges = {dimension: body.result.shape[dimension] for dimension in cut}
        pixels = _counted(body, name, how, fixed, ranges)
        pixels = replace(pixels, form=pixels.form + BY_PIXELS)
    works = Works(_counted(body, name, how, fixed), pixels, pulled, summed)
    nbytes = 0 if wanted == "rows" else _widened_bytes(body, lanes, fixed)
    if not nbytes:
        return works
    return replace(works, widened=_counted(body, WIDENED, how, fixed), widened_bytes=nbytes)


def _widened_bytes(body: LayerBody, lanes: str, fixed: Collection[int]) -> int:
    """What weights of 16 bits take more; 0 where the core is no faster with them, or the weights are no constant."""
    kernel = KERNELS[WIDENED]
    wanted = kernel.derived(body, lanes) if kernel.accepts(body) else ()
    found = [item for item in wanted if item.what == "widened" and item.argument in fixed]
    return sum(math.prod(RankedTensorType(body.arguments[item.argument]).shape) for item in found)


def _summed(body: LayerBody, how: How, fixed: Collection[int], picked: str | None) -> Work | None:
    """Of the calls that take an input by rows, as one that takes all."""
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
    """Of the code for calls that cut these dimensions, of those extents, when one call goes through all of them."""
    emitter = KERNELS[kernel]
    context = body.arguments[0].context
    with context, Location.unknown(context):
        wanted = emitter.derived(body, how.lanes)
        values = [item.make(_zeros(body.arguments[item.argument])) for item in wanted if item.argument in fixed]
        made = [type_of(value) for value in values]
        own = [_buffer(kind) for kind in body.arguments]
        module = Module.create()
        with InsertionPoint(module.body):
            function = func.FuncOp("work", FunctionType.get([*own, *made], []))
        block = function.add_entry_block()
        arguments = list(block.arguments)
        with InsertionPoint(block):
            derived = arguments[len(own) :] if len(made) == len(wanted) else []
            ranges = {d: (index_constant(0), index_constant(extent)) for d, extent in cut.items()}
            part = Part(ranges, reduces, unit=next(iter(cut.values()))) if cut else None
            known = [[value] for value in values] if derived else []
            emitter.emit(body, arguments[: len(own)], replace(how, part=part, derived=derived, values=known))
            func.ReturnOp([])
        run_pipeline(module, _CLEAN_UP, stage="cost", error=InternalError)
        return Work(emitter.form(body), **Tally(block).counts)


def _buffer(kind: Type) -> MemRefType:
    tensor = RankedTensorType(kind)
    return MemRefType.get(tensor.shape, tensor.element_type)


def _zeros(kind: Type) -> Numbers:
    tensor = RankedTensorType(kind)
    return np.zeros(tensor.shape, np.float32 if isinstance(tensor.element_type, F32Type) else np.int8)
