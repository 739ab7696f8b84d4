"""The networks of the papers on fused tiling: what each way to lower the peak saves, and what it costs in MACs."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rich.console import Console
from rich.table import Table

from lowtide.bench.benchmark import Benchmark
from lowtide.errors import UsageError
from lowtide.plan.plan import Objective
from lowtide.report.table import figures_table, markdown_lines

if TYPE_CHECKING:
    from lowtide.lower import Lowered

TARGET = "cortex-m4"


@dataclass(frozen=True)
class Model:
    """A network of the papers.

    Attributes:
        name: the FDT paper's word for it.
        file: the file's stem; empty for the one that is made here.
        until: where to cut it, before custom operators.
        published: the saving in % that the paper has without tiling in space.
    """

    name: str
    file: str
    until: tuple[str, ...] = ()
    published: float | None = None


MODELS = (
    Model("KWS", "kws_ref_model"),
    Model("TXT", "text_class", published=76.2),
    Model("MW", "magic_wand", published=18.1),
    Model(
        "POS",
        "posenet_mobilenet_v1_075_353_481",
        ("float_mid_offsets", "float_heatmaps", "float_short_offsets"),
    ),
    Model("SSD", "ssd", ("Squeeze", "convert_scores")),
    Model("CIF", "cifar10"),
    Model("RAD", ""),
)

_EXAMPLES = """examples:
  lowtide bench papers ../shared/models
  lowtide bench papers models --only TXT --only MW --markdown

FOLDER has, at any depth, the networks that the FDT paper (arXiv 2303.17878) measures on, as kws_ref_model.tflite,
text_class.tflite, magic_wand.tflite, posenet_mobilenet_v1_075_353_481.tflite, ssd.tflite and cifar10.tflite; RAD, a CNN
for radar gestures, is made here. Columns: the baseline, layer by layer with a perfect allocator and no overlap; for
each strategy the arena in bytes, what that saves of the baseline, and MACs as a multiple of the untiled network's; and
what the paper saves with fused depthwise tiling."""


@dataclass(frozen=True)
class Figures:
    """What a strategy makes of a model: bytes of the arena, and MACs of one inference."""

    arena_bytes: int
    macs: int


@dataclass(frozen=True)
class Row:
    """A model's figures: the baseline's, then by the strategy's name."""

    model: Model
    baseline: Figures
    figures: Mapping[str, Figures]


Strategy = Objective | Literal["rows", "channels"]
"""An objective of the planner, or the one axis along which its loops may cut."""
STRATEGIES: Mapping[str, Strategy] = {
    "overlap only": "untiled",
    "spatial only": "rows",
    "channels only": "channels",
    "all": "free",
}
"""Columns in this order; the first leaves layers whole. Overlap is in all of them."""


def _lowered(path: Path, until: Sequence[str], strategy: Strategy) -> Lowered:
    from lowtide.lower import lower
    from lowtide.plan.modes import CHANNELS, ROWS
    from lowtide.plan.planners import planner_by
    from lowtide.stages import Stages
    from lowtide.targets import TARGETS

    target = TARGETS[TARGET]
    if strategy in ("rows", "channels"):
        planner = planner_by(ROWS if strategy == "rows" else CHANNELS)
        return lower(path, target, planner=planner, until=until, stages=Stages())
    return lower(path, target, objective=strategy, until=until, stages=Stages())


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "folder", type=Path, nargs="?", metavar="FOLDER", help="where the model files are (default: RAD alone)"
    )
    parser.add_argument(
        "--only", action="append", default=[], choices=[model.name for model in MODELS], help="measure this one alone"
    )
    parser.add_argument("--markdown", action="store_true", help="print the table in Markdown")


def _measure(arguments: Namespace, listen: Callable[[str], None]) -> Callable[[Console], None]:
    from lowtide.bench._radar import radar_gestures
    from lowtide.codegen.iree import scratch_directory

    chosen = [model for model in MODELS if not arguments.only or model.name in arguments.only]
    with scratch_directory() as scratch:
        radar = scratch / "radar_gestures.tflite"
        radar.write_bytes(radar_gestures())
        places = [(model, _file(arguments.folder, model) if model.file else radar) for model in chosen]
        rows = _rows([(model, path) for model, path in places if path is not None], listen)
    if not rows:
        raise UsageError("bench", "no folder was given", remedy="name the one that has the model files")

    def show(console: Console) -> None:
        if arguments.markdown:
            console.print("\n".join(markdown_lines(_headings(), [*map(_cells, rows)], 1)))
        else:
            console.print(_table(rows))

    return show


BENCHMARK = Benchmark(
    "measure what overlap and tiling save on the networks of the papers", _EXAMPLES, _add_arguments, _measure
)


def _file(folder: Path | None, model: Model) -> Path | None:
    """The model's file; None where no folder was named."""
    if folder is None:
        return None
    found = sorted(folder.rglob(f"{model.file}.tflite"))
    if not found:
        message = f"{model.name} is not there: no {model.file}.tflite"
        raise UsageError("bench", message, where=str(folder), remedy="name another folder, or choose with --only")
    return found[0]


def _rows(places: Sequence[tuple[Model, Path]], listen: Callable[[str], None]) -> list[Row]:
    """A row for each model; those that were done when Ctrl-C came."""
    rows: list[Row] = []
    try:
        for model, path in places:
            rows.append(_row(model, path, listen))
    except KeyboardInterrupt:
        if not rows:
            raise
    return rows


def _row(model: Model, path: Path, listen: Callable[[str], None]) -> Row:
    figures: dict[str, Figures] = {}
    baseline: Figures | None = None
    for name, strategy in STRATEGIES.items():
        listen(f"{model.name}, {name}")
        lowered = _lowered(path, model.until, strategy)
        baseline = baseline or Figures(lowered.baseline_bytes, lowered.graph.macs)
        figures[name] = Figures(lowered.network.arena_bytes, lowered.macs)
    assert baseline is not None, "there are strategies"
    return Row(model, baseline, figures)


def _headings() -> list[str]:
    return ["", "baseline", *(cell for name in STRATEGIES for cell in (name, "saves", "MACs")), "FDT saves"]


def _cells(row: Row) -> list[str]:
    cells = [row.model.name, f"{row.baseline.arena_bytes:,}"]
    for name in STRATEGIES:
        figures = row.figures[name]
        saved = 1 - figures.arena_bytes / row.baseline.arena_bytes
        macs = f"×{figures.macs / row.baseline.macs:.2f}" if row.baseline.macs else "–"
        cells += [f"{figures.arena_bytes:,}", f"{100 * saved:.1f} %", macs]
    return [*cells, "" if row.model.published is None else f"{row.model.published} %"]


def _table(rows: Sequence[Row]) -> Table:
    table = figures_table(_headings())
    for row in rows:
        table.add_row(*_cells(row))
    return table
