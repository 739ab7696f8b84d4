"""A plan as the text of a transform script: to inspect, to edit, and to replay with `lowtide-opt`."""

from __future__ import annotations

from lowtide.graph.fusion import Fusion
from lowtide.plan.plan import Plan
from lowtide.script.builders import (
    Handle,
    Script,
    allocate,
    concat,
    fuse_channels,
    fuse_spatial,
    kernel,
    layers,
    schedule,
    stream,
)

_CUT_SHORT = {
    "budget": "The search for this plan used up its budget of steps: there may be better ones.",
    "interrupted": "The search for this plan was interrupted: there may be better ones.",
}


def script_for(plan: Plan) -> str:
    """The script that carries out a plan, in the form in which MLIR itself prints it.

    Args:
        plan: complete; the same plan gives the same text. A comment says where its search did not come to its end.
    """
    with Script() as script:
        _build(plan, script.module)
    comment = "" if plan.search == "complete" else f"// {_CUT_SHORT[plan.search]}\n"
    return comment + script.text()


def _build(plan: Plan, module: Handle) -> None:
    """The plan's steps at the current insertion point."""
    if plan.streamed:
        stream(module, inputs=plan.streamed)
    if plan.copied:
        concat(module, copied=plan.copied)
    if plan.order:
        schedule(module, order=plan.order)
    for name, numbers in plan.kernels:
        kernel(layers(module, numbers=numbers), name=name)
    # all handles are taken before the first loop takes its layers out of the count
    chains = [layers(module, numbers=range(fusion.first, fusion.last + 1)) for fusion in plan.fusions]
    for chain, fusion in zip(chains, plan.fusions, strict=True):
        _fuse(chain, fusion)
    allocate(module, strategy=plan.strategy, overlap=plan.overlap, budget=plan.budget)


def _fuse(chain: Handle, fusion: Fusion) -> None:
    if fusion.axis == "channels":
        fuse_channels(chain, slice=fusion.rows)
        return
    fuse_spatial(
        chain, rows=fusion.rows, columns=fusion.columns, direction=fusion.direction, recompute=fusion.recompute
    )
