"""The command line of `lowtide-opt`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lowtide.passes import PASSES
from lowtide.targets import TARGETS

_PASS_FLAG = re.compile(r"--([a-z][a-z0-9-]*)(?:=(.*))?", re.DOTALL)

_DESCRIPTION = """\
Reads MLIR (text or bytecode), runs passes and transform scripts over it in the order of the
command line, verifies after each, and prints the result."""

_EPILOG = """\
passes:
  Every pass is a flag of its own, with options where it has any: --NAME or --NAME="key=value …".
  MLIR's passes have MLIR's names (--canonicalize, --cse, --one-shot-bufferize=…); lowtide's are:
    {passes}
  A pass of MLIR that works on functions alone runs on each function.

transform scripts:
  --transform-script=FILE applies the sequence @__transform_main of FILE. A module that holds its own
  sequence @__transform_main beside the payload has it applied when the command line asks for nothing
  else; otherwise where --transform-interpreter stands.
  Scripts and passes may do whatever MLIR can, which includes writing files and running for ever: unlike
  `lowtide compile --plan`, which takes the steps of a plan alone, lowtide-opt applies them all. Don't run it
  on a script that you have not read.

examples:
  lowtide-opt net.mlir --lowtide-normalise --lowtide-outline
  lowtide-opt net.mlir --pass-pipeline='builtin.module(lowtide-normalise,func.func(cse),lowtide-outline)'
  lowtide-opt net.mlir --transform-script=net.plan.mlir -o planned.mlir
  iree-opt net.mlir | lowtide-opt - --canonicalize --elide-constants=16

exit codes: 0 done, 1 the input is at fault, 2 usage, 70 a bug of lowtide
"""


@dataclass(frozen=True)
class Action:
    """One thing to do with the module.

    Attributes:
        kind: `pipeline` (of any length), `flag` (one pass) or `script` (a file).
        text: the pipeline, the pass with its options, or the path.
    """

    kind: Literal["pipeline", "flag", "script"]
    text: str


@dataclass(frozen=True)
class Options:
    """The command line, checked as far as is possible without the compiler's bindings.

    Attributes:
        input: a file, or None for standard input.
        output: a file, or None for standard output.
        actions: in the order of the command line.
        split_input_file: treat the parts between lines `// -----` as separate modules.
        print_after_all: print the module after every step, to standard error.
        elide_constants: print no dense constant of more elements than this.
        list_passes: print lowtide's passes and do nothing else.
        target: the core that the module is for, or None for plain integers on any.
    """

    input: Path | None
    output: Path | None
    actions: tuple[Action, ...]
    split_input_file: bool
    print_after_all: bool
    elide_constants: int | None
    list_passes: bool
    target: str | None


def parse_options(argv: Sequence[str]) -> Options:
    """Parse arguments; exits the process with code 2 on bad usage, as argparse does, and 0 after `--help`."""
    parser = _parser()
    found = parser.parse_args(_with_steps(argv, parser))
    return Options(
        input=None if found.file == "-" else Path(found.file),
        output=None if found.output == "-" else Path(found.output),
        actions=tuple(found.actions),
        split_input_file=found.split_input_file,
        print_after_all=found.print_after_all,
        elide_constants=found.elide_constants,
        list_passes=found.list_passes,
        target=found.target,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lowtide-opt",
        usage="%(prog)s [options] [--PASS[=OPTIONS] …] [FILE]",
        description=_DESCRIPTION,
        epilog=_EPILOG.format(passes="\n    ".join(f"--{name}" for name in PASSES)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(actions=[])
    parser.add_argument(
        "file", nargs="?", default="-", metavar="FILE", help="input; standard input if it is - or absent"
    )
    parser.add_argument(
        "-o", "--output", default="-", metavar="FILE", help="where to print; standard output by default"
    )
    parser.add_argument(
        "--pass-pipeline",
        action="append",
        dest="actions",
        type=lambda text: Action("pipeline", text),
        metavar="PIPELINE",
        help="MLIR's pipeline syntax, lowtide's and MLIR's passes mixed; lowtide's at top level",
    )
    parser.add_argument(
        "--transform-script",
        action="append",
        dest="actions",
        type=lambda text: Action("script", text),
        metavar="FILE",
        help="apply the transform script in FILE",
    )
    parser.add_argument(_STEP, action="append", dest="actions", type=_flag, help=argparse.SUPPRESS)
    parser.add_argument(
        "--split-input-file", action="store_true", help="treat the parts between lines '// -----' as separate modules"
    )
    parser.add_argument("--print-after-all", action="store_true", help="print the IR after every step, to stderr")
    parser.add_argument(
        "--elide-constants", type=_count, metavar="N", help="leave out constants of more than N elements"
    )
    parser.add_argument(
        "--target",
        choices=sorted(TARGETS),
        metavar="CORE",
        help="the core whose kernels are taken, as in lowtide compile; plain integers without one",
    )
    parser.add_argument("--list-passes", action="store_true", help="print lowtide's passes, one a line")
    return parser


_STEP = "--run-pass"


def _with_steps(argv: Sequence[str], parser: argparse.ArgumentParser) -> list[str]:
    """Turn every long option that the parser doesn't have into a step, in place: `--cse` into `--run-pass=cse`."""
    known = parser._option_string_actions  # pyright: ignore[reportPrivateUsage]
    result: list[str] = []
    for at, argument in enumerate(argv):
        if argument == "--":
            return [*result, *argv[at:]]
        match = _PASS_FLAG.fullmatch(argument)
        if match is None or f"--{match[1]}" in known:
            result.append(argument)
        else:
            result.append(f"{_STEP}={match[1]}" + (f"{{{match[2]}}}" if match[2] else ""))
    return result


def _flag(text: str) -> Action:
    return Action("flag", text)


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of elements")
    return int(text)
