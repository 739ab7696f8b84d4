"""lowtide: fits trained neural networks into the least SRAM a microcontroller can have, and proves the number.

artifact = lowtide.compile("model.tflite", target="cortex-m4", ram=32 * 1024)
result = lowtide.run(artifact.directory, seed=1)
check = lowtide.verify("model.tflite", target="cortex-m4", golden="golden.npz")
graph = lowtide.inspect("model.tflite")
found = lowtide.explore("model.tflite", target="cortex-m4")
schedule = lowtide.open_schedule("model.tflite", target="cortex-m4")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from lowtide.version import __version__ as __version__

if TYPE_CHECKING:
    from lowtide.artifact import Artifact, compile_model as compile, load
    from lowtide.emulate import RunResult
    from lowtide.errors import InputError, InternalError, LowtideError, MismatchError, UsageError
    from lowtide.exploration.explore import Exploration, explore_model as explore
    from lowtide.graph.graph import Graph, Layer, Tensor
    from lowtide.lower import inspect_model as inspect
    from lowtide.plan_tflite import OfflinePlan, plan_tflite
    from lowtide.report.pareto import Point
    from lowtide.report.report import Report
    from lowtide.schedule.schedule import Schedule, open_schedule
    from lowtide.targets import TARGETS, Target
    from lowtide.verification import Verification, run_artifact as run, verify_model as verify

_WHERE = {
    "TARGETS": "lowtide.targets:TARGETS",
    "Artifact": "lowtide.artifact:Artifact",
    "Exploration": "lowtide.exploration.explore:Exploration",
    "Graph": "lowtide.graph.graph:Graph",
    "InputError": "lowtide.errors:InputError",
    "InternalError": "lowtide.errors:InternalError",
    "Layer": "lowtide.graph.graph:Layer",
    "LowtideError": "lowtide.errors:LowtideError",
    "MismatchError": "lowtide.errors:MismatchError",
    "OfflinePlan": "lowtide.plan_tflite:OfflinePlan",
    "Point": "lowtide.report.pareto:Point",
    "Report": "lowtide.report.report:Report",
    "RunResult": "lowtide.emulate:RunResult",
    "Schedule": "lowtide.schedule.schedule:Schedule",
    "Target": "lowtide.targets:Target",
    "Tensor": "lowtide.graph.graph:Tensor",
    "UsageError": "lowtide.errors:UsageError",
    "Verification": "lowtide.verification:Verification",
    "compile": "lowtide.artifact:compile_model",
    "explore": "lowtide.exploration.explore:explore_model",
    "inspect": "lowtide.lower:inspect_model",
    "load": "lowtide.artifact:load",
    "open_schedule": "lowtide.schedule.schedule:open_schedule",
    "plan_tflite": "lowtide.plan_tflite:plan_tflite",
    "run": "lowtide.verification:run_artifact",
    "verify": "lowtide.verification:verify_model",
}


def __getattr__(name: str) -> object:
    """Import on first use: tools that need one module start fast."""
    if name not in _WHERE:
        raise AttributeError(f"module 'lowtide' has no attribute '{name}'")
    module, attribute = _WHERE[name].split(":")
    value = getattr(importlib.import_module(module), attribute)
    globals()[name] = value
    return value


__all__ = [
    "TARGETS",
    "Artifact",
    "Exploration",
    "Graph",
    "InputError",
    "InternalError",
    "Layer",
    "LowtideError",
    "MismatchError",
    "OfflinePlan",
    "Point",
    "Report",
    "RunResult",
    "Schedule",
    "Target",
    "Tensor",
    "UsageError",
    "Verification",
    "compile",
    "explore",
    "inspect",
    "load",
    "open_schedule",
    "plan_tflite",
    "run",
    "verify",
]
