"""The networks that a benchmark measures, as its command line names them."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from lowtide.errors import UsageError
from lowtide.plan.plan import DEFAULT_OBJECTIVE, Objective

DEFAULT_FOLDER = Path("../shared/models")


def add_networks(parser: ArgumentParser, doing: str, targets: Sequence[str], objectives: Sequence[Objective]) -> None:
    """Models, cores and the objective of their plans.

    Args:
        parser: the benchmark's.
        doing: what it does with a core, as in "measure on".
        targets: its cores where none is named.
        objectives: those that it has figures of.
    """
    parser.add_argument(
        "models", type=Path, nargs="*", metavar="MODEL", help=f"files or folders (default: {DEFAULT_FOLDER})"
    )
    parser.add_argument(
        "--target",
        action="append",
        metavar="CORE",
        help=f"{doing} this core (default: {' and '.join(targets)}); repeatable",
    )
    parser.add_argument(
        "--objective",
        choices=objectives,
        default=DEFAULT_OBJECTIVE,
        help=f"of the plans (default: {DEFAULT_OBJECTIVE})",
    )


def model_files(places: Sequence[Path], names: Sequence[str]) -> list[Path]:
    """The models' files; of a folder those of these names.

    Raises:
        UsageError: a folder has none of them.
    """
    found: list[Path] = []
    for place in places:
        if not place.is_dir():
            found.append(place)
            continue
        inside = [path for name in names for path in sorted(place.rglob(f"{name}.tflite"))[:1]]
        if not inside:
            wanted = ", ".join(f"{name}.tflite" for name in names)
            raise UsageError("bench", f"none of {wanted} is there", where=str(place), remedy="name a model's file")
        found += inside
    return found
