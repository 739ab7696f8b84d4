"""The transform dialect in which plans are written down: one file and one page per operation."""

from __future__ import annotations

from collections.abc import Sequence

from lowtide.ir import Context
from lowtide_dialect import allocate, concat, fuse_channels, fuse_spatial, kernel, layers, schedule, stream
from lowtide_dialect.allocate import AllocateOp
from lowtide_dialect.concat import ConcatOp
from lowtide_dialect.dialect import LowtideDialect
from lowtide_dialect.fuse_channels import FuseChannelsOp
from lowtide_dialect.fuse_spatial import FuseSpatialOp
from lowtide_dialect.kernel import KernelOp
from lowtide_dialect.layers import LayersOp
from lowtide_dialect.schedule import ScheduleOp
from lowtide_dialect.stream import StreamOp


def register(context: Context, strategies: Sequence[str]) -> None:
    """Load the dialect into a context, once; later calls do nothing.

    Args:
        context: any number of contexts in one process may have the dialect.
        strategies: names that `lowtide.allocate` accepts.
    """
    if context.is_dialect_loaded(LowtideDialect.DIALECT_NAMESPACE):
        return
    with context:
        LowtideDialect.load()
        allocate.attach(strategies)
        concat.attach()
        stream.attach()
        schedule.attach()
        layers.attach()
        fuse_channels.attach()
        fuse_spatial.attach()
        kernel.attach()


def irdl_text(context: Context) -> str:
    """The dialect's definition in IRDL, as `lowtide.irdl.mlir` beside this file holds it."""
    with context:
        return str(LowtideDialect.definition())


__all__ = [
    "AllocateOp",
    "ConcatOp",
    "FuseChannelsOp",
    "FuseSpatialOp",
    "KernelOp",
    "LayersOp",
    "LowtideDialect",
    "ScheduleOp",
    "StreamOp",
    "irdl_text",
    "register",
]
