"""How well the cost model predicts: instructions, loads and stores of whole inferences, beside those counted."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable

from rich.console import Console

from lowtide.bench._networks import DEFAULT_FOLDER, add_networks, model_files
from lowtide.bench._published import LITERT_MICRO
from lowtide.bench.benchmark import Benchmark
from lowtide.plan.plan import OBJECTIVES, Objective

DEFAULT_TARGETS = ("cortex-m4", "rv32imac")
MODELS = (*LITERT_MICRO, "mcunet-10fps_vww")
_NARROWEST = 120

_EXAMPLES = f"""examples:
  lowtide bench cost ../shared/models
  lowtide bench cost model.tflite --target cortex-m4 --objective ram

MODEL is a file that lowtide compiles, or a folder with, at any depth,
{", ".join(LITERT_MICRO)}
and mcunet-10fps_vww as .tflite.
Each is compiled and run once in Unicorn or QEMU, and what the planner thought that the plan would take is put beside
what was counted. The model's coefficients come from small networks made to be measured (`lowtide bench calibrate`);
none of these is among them."""


def _add_arguments(parser: ArgumentParser) -> None:
    objectives: list[Objective] = [objective for objective in OBJECTIVES if objective != "fit"]
    add_networks(parser, "predict and count for", DEFAULT_TARGETS, objectives)
    parser.add_argument("--markdown", action="store_true", help="print the table in Markdown")


def _measure(arguments: Namespace, listen: Callable[[str], None]) -> Callable[[Console], None]:
    from lowtide.bench._predictions import lines, predict
    from lowtide.targets import target_named

    targets = [target_named(name) for name in arguments.target or DEFAULT_TARGETS]
    models = model_files(arguments.models or [DEFAULT_FOLDER], MODELS)
    rows = [predict(model, target, arguments.objective, listen=listen) for model in models for target in targets]

    def show(console: Console) -> None:
        width = max(console.width, _NARROWEST)
        console.print("\n".join(lines(rows, width, markdown=arguments.markdown)))

    return show


BENCHMARK = Benchmark("compare predicted instructions with counted ones", _EXAMPLES, _add_arguments, _measure)
