"""What one integer program for the primitives of all layers gains over choosing layer by layer."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from lowtide.bench._networks import DEFAULT_FOLDER, model_files
from lowtide.bench._published import LITERT_MICRO
from lowtide.bench.benchmark import Benchmark

MODELS = (*LITERT_MICRO, "mcunet-10fps_vww")
_NARROWEST = 120

_EXAMPLES = f"""examples:
  lowtide bench primitives ../shared/models
  lowtide bench primitives model.tflite --target cortex-m7 --markdown

MODEL is a file that lowtide compiles, or a folder with, at any depth,
{", ".join(LITERT_MICRO)}
and mcunet-10fps_vww as .tflite.
First the fastest primitives for whole layers, whatever they take; then the same under 100, 75, 50 and 25 % of their
arena: layer by layer in order, what is fastest and still fits, and by the integer program (docs/primitives.md). The
figures are predicted cycles; nothing is compiled."""


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("models", nargs="*", type=Path, metavar="MODEL", help="files or folders")
    parser.add_argument("--target", default="cortex-m4", metavar="CORE", help="plan for this core (default: cortex-m4)")
    parser.add_argument("--markdown", action="store_true", help="print the table in Markdown")


def _measure(arguments: Namespace, listen: Callable[[str], None]) -> Callable[[Console], None]:
    from lowtide.bench._choices import choices_of, lines
    from lowtide.targets import target_named

    target = target_named(arguments.target)
    models = model_files(arguments.models or [DEFAULT_FOLDER], MODELS)
    rows = [row for model in models for row in choices_of(model, target, listen=listen)]

    def show(console: Console) -> None:
        console.print("\n".join(lines(rows, max(console.width, _NARROWEST), markdown=arguments.markdown)))

    return show


BENCHMARK = Benchmark("compare primitives chosen by a program with greedy ones", _EXAMPLES, _add_arguments, _measure)
