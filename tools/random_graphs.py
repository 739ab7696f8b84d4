#!/usr/bin/env python3
"""Random networks of every operator, compiled with overlapping buffers and compared bit for bit with numpy.

    python tools/random_graphs.py --count 2000 --seed 0

Each network is run on this machine, inside this process. The exit code is 1 after a wrong result or a refusal.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / folder) for folder in ("python", "dialects", "test")]


def main() -> int:
    """Run the networks that the command line asks for."""
    from random_graphs import ROOTS, Dice, Graph, Tally, run

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=2000, help="networks (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="another one gives other networks (default: %(default)s)")
    parser.add_argument("--layouts", action="store_true", help="operators on images in any order of dimensions, too")
    parser.add_argument("--first", type=int, default=0, help="number of the first network, to repeat one")
    arguments = parser.parse_args()
    tally, failures, start = Tally(), 0, time.monotonic()
    for number in itertools.count(arguments.first):
        if len(tally.outcomes) + failures >= arguments.count:
            break
        layouts = Dice(arguments.seed, number, 1) if arguments.layouts else None
        graph = Graph(Dice(arguments.seed, number), layouts)
        try:
            outcome = run(graph)
        except Exception as error:  # whatever it is, the network's number must be told
            failures += 1
            print(f"network {number} ({', '.join(graph.operators)}): {type(error).__name__}: {error}", flush=True)
            continue
        if outcome.layers < ROOTS:
            continue
        tally.add(graph, outcome)
        if not outcome.right:
            print(f"network {number} ({', '.join(graph.operators)}): wrong result", flush=True)
        if len(tally.outcomes) % 100 == 0:
            print(f"{time.monotonic() - start:5.0f} s  {tally}", flush=True)
    print(f"seed {arguments.seed}, {failures} refused; {tally}")
    return int(bool(failures) or not all(outcome.right for outcome in tally.outcomes))


if __name__ == "__main__":
    sys.exit(main())
