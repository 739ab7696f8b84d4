"""Measures the layers that the cost model is fitted to."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from lowtide.bench.benchmark import Benchmark

_EXAMPLES = """examples:
  lowtide bench calibrate --target cortex-m4 --out python/lowtide/cost/measurements
  lowtide bench calibrate --target rv32imac

Small networks are made, compiled with each layer a function of its own, with layers whole and fused, and run once in
the emulator. What each layer's loops do and the instructions that it took become FOLDER/CORE.json, with the
coefficients fitted to them: the same figures every time. No network of the benchmarks is among them. The cost model
takes python/lowtide/cost/measurements; `lowtide bench cost` says how well it predicts."""


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--target", action="append", required=True, metavar="CORE", help="measure this; repeatable")
    parser.add_argument(
        "--out", type=Path, default=Path(), metavar="FOLDER", help="for CORE.json (default: the current folder)"
    )


def _measure(arguments: Namespace, listen: Callable[[str], None]) -> Callable[[Console], None]:
    from lowtide.bench._sample_nets import CASES, PAID, save
    from lowtide.bench._samples import samples_of
    from lowtide.codegen.iree import scratch_directory
    from lowtide.cost.data import SUFFIX, calibrated, to_text
    from lowtide.cost.fit import Sample
    from lowtide.output import write_file
    from lowtide.targets import target_named

    lines: list[str] = []
    for target in [target_named(name) for name in arguments.target]:
        samples: list[Sample] = []
        with scratch_directory() as scratch:
            for name, objective in CASES:
                listen(f"{name}, {objective}, on {target.name}")
                samples += samples_of(save(name, scratch), target, objective)
            for name, primitive in PAID:
                listen(f"{name}, {primitive}, on {target.name}")
                samples += samples_of(save(name, scratch), target, "untiled", primitive)
        found = calibrated(target.name, samples)
        path = arguments.out / f"{target.name}{SUFFIX}"
        write_file(path, to_text(found), "bench")
        lines.append(f"{len(samples)} layers in {len(found.forms)} forms measured on {target.name}: {path}")

    def show(console: Console) -> None:
        console.print("\n".join(lines))

    return show


BENCHMARK = Benchmark("measure the layers that the cost model is fitted to", _EXAMPLES, _add_arguments, _measure)
