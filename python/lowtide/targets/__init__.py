"""The targets, by name. A new target is a new file in this folder with a `TARGET`."""

from __future__ import annotations

import importlib
import pkgutil

from lowtide.errors import UsageError
from lowtide.targets.target import Target


def _discover() -> dict[str, Target]:
    modules = (info.name for info in pkgutil.iter_modules(__path__) if info.name != "target")
    found: list[Target] = [importlib.import_module(f"{__name__}.{name}").TARGET for name in sorted(modules)]
    return {target.name: target for target in found}


TARGETS: dict[str, Target] = _discover()


def target_named(name: str) -> Target:
    """The target of that name; `UsageError` listing the known ones otherwise."""
    if name not in TARGETS:
        raise UsageError("target", f"unknown target '{name}'", remedy=f"choose one of {', '.join(TARGETS)}")
    return TARGETS[name]


__all__ = ["TARGETS", "Target", "target_named"]
