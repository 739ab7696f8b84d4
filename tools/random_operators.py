#!/usr/bin/env python3
"""Random variants of every operator, compiled and compared with LiteRT Micro (or LiteRT, where Micro lacks one).

    python tools/random_operators.py --count 2000 --seed 0

Each is run on this machine, inside this process, or on an emulated core (--target cortex-m4). The exit code is 1 after
a difference or a crash.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / folder) for folder in ("python", "dialects", "test")]


def main() -> int:
    """Run the cases that the command line asks for."""
    import int16_variants
    import operator_variants
    from random_operators import HOST, Tally, check

    from lowtide.emulate.oracle import Oracle

    names = sorted({*operator_variants.VARIANTS, *int16_variants.VARIANTS})
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=2000, help="cases (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="another one gives other cases (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="number of the first case, to repeat one")
    parser.add_argument("--only", nargs="+", choices=names, default=(), help="these operators first")
    parser.add_argument("--int16", action="store_true", help="operators of int16")
    parser.add_argument("--target", default=HOST, help="a core to emulate, instead of this machine")
    parser.add_argument("--save", type=Path, help="folder for the models that fail")
    parser.add_argument("--verbose", action="store_true", help="print tracebacks, and each case")
    arguments = parser.parse_args()
    draw = int16_variants.draw if arguments.int16 else operator_variants.draw
    tally, failures, start = Tally(), 0, time.monotonic()
    with Oracle() as oracle:
        for number in range(arguments.first, arguments.first + arguments.count):
            case = draw(arguments.seed, number, arguments.only)
            try:
                outcome = check(case, oracle, arguments.target)
            except Exception as error:  # whatever it is, the case's number must be told
                failures += 1
                print(f"case {number} {case.name}: {type(error).__name__}: {error}", flush=True)
                if arguments.verbose:
                    traceback.print_exc()
            else:
                tally.add(case, outcome)
                if (number + 1 - arguments.first) % 100 == 0:
                    print(f"{time.monotonic() - start:5.0f} s  {tally}", flush=True)
                if outcome.kind != "different":
                    if arguments.verbose:
                        print(f"case {number} {case.name}: {outcome.kind} {outcome.detail}", flush=True)
                    continue
                print(f"case {number} {case.name}: {outcome.detail}", flush=True)
            if arguments.save:
                arguments.save.mkdir(parents=True, exist_ok=True)
                (arguments.save / f"case_{arguments.seed}_{number}.tflite").write_bytes(case.model)
    for reason, count in tally.reasons.most_common():
        print(f"{count:6} {reason}")
    print(f"seed {arguments.seed}, {time.monotonic() - start:.0f} s: {failures} crashed, {tally}")
    return int(bool(failures) or tally.kinds["different"] > 0)


if __name__ == "__main__":
    sys.exit(main())
