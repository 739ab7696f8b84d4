"""Instructions of one inference, by kind and by layer, beside those of a hand-written library."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from lowtide.bench._networks import DEFAULT_FOLDER, add_networks, model_files
from lowtide.bench._published import LITERT_MICRO
from lowtide.bench.benchmark import Benchmark
from lowtide.plan.plan import OBJECTIVES

DEFAULT_TARGET = "cortex-m4"
_NARROWEST = 150

_EXAMPLES = f"""examples:
  lowtide bench speed ../shared/models
  lowtide bench speed model.tflite --target cortex-m4 --target rv32imac --layers
  lowtide bench speed model.tflite --layers --json figures.json

MODEL is a file that lowtide compiles, or a folder with, at any depth,
{", ".join(LITERT_MICRO)} as .tflite.
Each is compiled and run once on a random input, in Unicorn or, where that lacks the core, in QEMU. An emulator counts
instructions, not cycles: those are modelled from them, for the cores whose timing is known
(docs/cost.md). The columns say how many instructions load, store, multiply, divide or branch. An instruction that moves
several registers counts once (--json has the words moved, too), and one that an IT block skips counts as well. With
--layers each layer is compiled as a function that is not inlined, and gets a line with its instructions; the heading
says what that changes in sum."""


def _add_arguments(parser: ArgumentParser) -> None:
    add_networks(parser, "measure on", [DEFAULT_TARGET], OBJECTIVES)
    parser.add_argument("--layers", action="store_true", help="also print the figures of each layer")
    parser.add_argument("--markdown", action="store_true", help="print the tables in Markdown")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, too")


def _measure(arguments: Namespace, listen: Callable[[str], None]) -> Callable[[Console], None]:
    from lowtide.bench._figures import measure
    from lowtide.bench._tables import layer_lines, model_lines, to_json
    from lowtide.output import write_file
    from lowtide.targets import target_named

    targets = [target_named(name) for name in arguments.target or [DEFAULT_TARGET]]
    models = model_files(arguments.models or [DEFAULT_FOLDER], tuple(LITERT_MICRO))
    rows = [
        measure(model, target, arguments.objective, layers=arguments.layers, listen=listen)
        for model in models
        for target in targets
    ]
    if arguments.json is not None:
        write_file(arguments.json, to_json(rows), "bench")

    def show(console: Console) -> None:
        width = max(console.width, _NARROWEST)
        lines = model_lines(rows, width, markdown=arguments.markdown)
        for row in rows:
            lines += layer_lines(row, width, markdown=arguments.markdown)
        console.print("\n".join(lines))

    return show


BENCHMARK = Benchmark(
    "count the instructions of an inference, by kind and by layer", _EXAMPLES, _add_arguments, _measure
)
