"""`lowtide-alloc`: offsets for the buffers of a CSV file, in the least arena or in a given capacity."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from lowtide.cli.signals import Interrupts
from lowtide.errors import InputError, InternalError, LowtideError

_EPILOG = """\
A row of the problem is id,lower,upper,size: the buffer is live from step lower up to but without step upper and takes
size bytes. A column alignment (bytes) may follow. The solution has the same rows with a column offset.

exit codes: 0 done, 1 the file is at fault or the buffers do not fit, 2 usage, 70 a bug of lowtide
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool.

    Args:
        argv: arguments without the program's name; the process's own by default.

    Returns:
        the exit code: 0 done, 1 the file is at fault or the buffers do not fit, 2 usage, 70 a bug of lowtide.
    """
    arguments = _parser().parse_args(argv)
    with Interrupts() as interrupts:
        try:
            _run(arguments, interrupts)
        except LowtideError as error:
            _say(f"{error}{_how_to_report() if isinstance(error, InternalError) else ''}")
            return error.exit_code
        except KeyboardInterrupt:
            _say("interrupted; nothing was written")
            return interrupts.exit_code
        except Exception:
            _say(f"unexpected error\n{traceback.format_exc()}{_how_to_report()}")
            return InternalError.exit_code
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lowtide-alloc",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("problem", type=Path, metavar="PROBLEM.csv", help="the buffers")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="SOLUTION.csv", help="where offsets go")
    parser.add_argument(
        "--capacity",
        type=_bytes,
        metavar="BYTES",
        help="the arena there is; by default the number in a name like A.1048576.csv, else the least arena is sought",
    )
    parser.add_argument(
        "--strategy",
        default="local-search",
        metavar="NAME",
        help="auto, exact, first-fit or local-search (default: %(default)s)",
    )
    return parser


def _bytes(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of bytes above 0")
    return int(text)


def _run(arguments: argparse.Namespace, interrupts: Interrupts) -> None:
    # The solvers take most of a second to load, which --help need not wait for.
    from lowtide.alloc.csv import capacity_in, read_table, solution_text
    from lowtide.alloc.problem import STAGE
    from lowtide.alloc.solve import solve
    from lowtide.output import write_file

    path: Path = arguments.problem
    capacity = capacity_in(path) if arguments.capacity is None else arguments.capacity
    table = read_table(path, capacity)
    start = time.perf_counter()
    solution = solve(table.problem, arguments.strategy)
    interrupts.check()
    seconds = time.perf_counter() - start
    if capacity is not None and solution.arena_bytes > capacity:
        proven = solution.bound_bytes > capacity
        raise InputError(
            STAGE,
            f"{solution.arena_bytes:,} bytes are needed where {capacity:,} are given; fewer than "
            f"{solution.bound_bytes:,} are proven impossible",
            where=str(path),
            remedy="give a larger --capacity" if proven else "try --strategy exact, or give a larger --capacity",
        )
    write_file(arguments.output, solution_text(table, solution), STAGE)
    _say(
        f"{len(table.rows):,} buffers in {solution.arena_bytes:,} bytes, at least {solution.bound_bytes:,} are needed; "
        f"{seconds:.1f} s"
    )


def _say(text: str) -> None:
    """To standard error, as the solution itself may go to standard output."""
    with contextlib.suppress(OSError):
        os.write(2, f"lowtide-alloc: {text}\n".encode(errors="backslashreplace"))


def _how_to_report() -> str:
    return "\nThis is a bug of lowtide. Please open an issue with the command line, the file and the text above."


if __name__ == "__main__":
    sys.exit(main())
