#!/usr/bin/env python3
"""Random edits of networks in .mlir and .tflite and of plans: whatever they are, lowtide compiles or refuses them.

    python tools/hostile.py --seed 1
    python tools/hostile.py --seed 1 --only network:1234 --keep folder
    python tools/hostile.py --seed 1 --count 0 --plans 0 --files 300

A fault is a signal, a traceback, an exit code other than 0, 1 and 2, a file outside the output folder, more than 60 s
of processor time or 4 GiB of memory. The exit code is 1 where there was one.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / folder) for folder in ("python", "dialects", "test")]

if TYPE_CHECKING:
    from hostile_run import Case, Kind, Verdict

_SHOWN = 400


def main() -> int:
    """Run the cases that the command line asks for."""
    from hostile_run import cases, run, tally

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="another one gives other edits (default: %(default)s)")
    parser.add_argument("--count", type=int, default=2000, help="edited networks in .mlir (default: %(default)s)")
    parser.add_argument("--plans", type=int, default=500, help="edited plans (default: %(default)s)")
    parser.add_argument("--files", type=int, default=500, help="edited .tflite files (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="number of the first of each (default: %(default)s)")
    parser.add_argument("--only", metavar="KIND:NUMBER", help="one case: network, plan or tflite, and its number")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="a folder for the files of cases with faults, or of --only"
    )
    arguments = parser.parse_args()
    work: list[tuple[Kind, int, int]]
    kinds: tuple[tuple[Kind, int], ...]
    kinds = (("network", arguments.count), ("plan", arguments.plans), ("tflite", arguments.files))
    work = [(kind, arguments.first, count) for kind, count in kinds if count]
    if arguments.only:
        name, _, number = arguments.only.partition(":")
        work = [(kind, int(number), 1) for kind, _ in kinds if kind == name]
    verdicts: list[Verdict] = []
    start = time.monotonic()
    for kind, first, count in work:
        for case in cases(kind, arguments.seed, first, count):
            verdict = run(case)
            verdicts.append(verdict)
            if verdict.fault or arguments.only:
                _tell(case, verdict, arguments.keep)
            if len(verdicts) % 100 == 0:
                print(f"{time.monotonic() - start:5.0f} s  {tally(verdicts)}", flush=True)
    print(f"seed {arguments.seed}: {tally(verdicts)}")
    return int(any(verdict.fault for verdict in verdicts))


def _tell(case: Case, verdict: Verdict, keep: Path | None) -> None:
    print(
        f"{case.name} ({case.target}): {verdict.fault or f'exit code {verdict.code}'}\n{verdict.said[:_SHOWN]}",
        flush=True,
    )
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        stem = case.name.replace(":", "-")
        (keep / f"{stem}{Path(case.file).suffix}").write_bytes(case.network)
        if case.plan:
            (keep / f"{stem}.plan.mlir").write_bytes(case.plan)


if __name__ == "__main__":
    sys.exit(main())
