"""Benchmarks, by name: what they print depends on the machine, so they are no tests.

A new benchmark is a new file in this folder with a `BENCHMARK`; `lowtide bench` finds it by itself. What
benchmarks need beside that is in files whose names begin with an underscore.
"""

from __future__ import annotations

import importlib
import pkgutil

from lowtide.bench.benchmark import Benchmark


def _discover() -> dict[str, Benchmark]:
    names = sorted(
        info.name for info in pkgutil.iter_modules(__path__) if info.name != "benchmark" and info.name[0] != "_"
    )
    return {name: importlib.import_module(f"{__name__}.{name}").BENCHMARK for name in names}


BENCHMARKS: dict[str, Benchmark] = _discover()

__all__ = ["BENCHMARKS", "Benchmark"]
