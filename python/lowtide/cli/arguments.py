"""The command line's grammar, and help that teaches."""

from __future__ import annotations

import argparse
import re
from fractions import Fraction
from functools import partial
from pathlib import Path

from lowtide.bench import BENCHMARKS
from lowtide.limits import MOST_MEMORY, MOST_RUNS, MOST_SEED
from lowtide.plan.plan import DEFAULT_OBJECTIVE, OBJECTIVES
from lowtide.targets import TARGETS

_UNITS = {"": 1, "b": 1, "k": 1024, "kb": 1024, "kib": 1024, "m": 1024**2, "mb": 1024**2, "mib": 1024**2}

_COMPILE = """examples:
  lowtide compile model.tflite --target cortex-m4
  lowtide compile model.tflite --target rv32imac --ram 32K -o build/model
  lowtide compile model.tflite --target cortex-m4 --ram 32K --objective fit
  lowtide compile model.tflite --target cortex-m4 --flash 128K
  lowtide compile ssd.tflite --target cortex-m7 --until raw_outputs/class_predictions

The output folder has NAME.o and NAME.h for the firmware (call NAME_run(arena)), NAME.elf (IREE's embedded ELF),
NAME.vmfb (the same code for IREE's runtime on this machine), NAME.plan.mlir (the transform script that was applied),
report.json and memory_map.svg. Look at memory_map.svg first: it shows every byte of the arena over time."""

_RUN = """examples:
  lowtide run model-cortex-m4
  lowtide run model-cortex-m4 --input x.npy
  lowtide run model-cortex-m4 --artifact elf --seed 7

The emulated microcontroller has the RAM that report.json claims and not a byte more; any access outside of it is an
error. --backend host runs NAME.vmfb, which is native code, with your rights: only for folders that you trust. What was
measured (instructions, stack) is written back to report.json."""

_VERIFY = """examples:
  lowtide verify model.tflite --target cortex-m4 --golden golden.npz
  lowtide verify model.tflite --target rv32imac -n 5

Integers must agree bit for bit, floats within 1e-4 of the outputs' range. Exit code 3 where they don't.
Without --golden the reference is LiteRT Micro (pip install 'lowtide[verify]', Python 3.11), or LiteRT's reference
kernels where Micro is missing or does not take the model: the output says which. Exit code 4 where neither does.
Inputs are random: whole ranges, extremes, ties; indices stay within what they index."""

_EXPLORE = """examples:
  lowtide explore model.tflite --target cortex-m4 -o build/points
  lowtide explore model.tflite --target cortex-m4 --cluster tcp://host:8786
  lowtide compile model.tflite --target cortex-m4 --plan build/points/point-2.mlir

The folder has pareto.svg and pareto.html (the picture with its table), pareto.json, and for each point the transform
script point-N.mlir, which `compile --plan` replays to the same arena. Point 1 leaves all layers whole; each further one
takes less RAM and more work. Points are compiled and run at once on this machine's cores, or on a Dask cluster's
workers (pip install lowtide[cluster]). Ctrl-C keeps the points that are done."""

_PLAN_TFLITE = """examples:
  lowtide plan-tflite model.tflite -o planned.tflite

For those who stay with LiteRT Micro: the runtime takes the tensors' places from the planned file instead of working
them out when it starts. The model is the same otherwise, and so are its results. Scratch memory of operators comes on
top, as before."""


def parse_size(text: str) -> int:
    """Bytes from `32768`, `32K`, `1.5M`; `argparse.ArgumentTypeError` for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip().lower(), re.ASCII)
    if match is None or match[2] not in _UNITS:
        raise argparse.ArgumentTypeError(f"'{text}' is not a size; write bytes, or 32K, 1.5M")
    if len(match[1]) > 40:
        raise argparse.ArgumentTypeError(f"'{text[:20]}…' is more than the {MOST_MEMORY:,} bytes that a core addresses")
    # Not float, which rounds: every byte counts.
    size = Fraction(match[1]) * _UNITS[match[2]]
    if size < 1 or (_UNITS[match[2]] == 1 and size.denominator != 1):
        raise argparse.ArgumentTypeError(f"'{text}' is not a positive number of bytes")
    if size > MOST_MEMORY:
        raise argparse.ArgumentTypeError(f"'{text}' is more than the {MOST_MEMORY:,} bytes that a core addresses")
    return int(size)


def _natural(least: int, most: int, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 20 and least <= int(text) <= most):
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from {least} to {most}")
    return int(text)


def _megahertz(text: str) -> float:
    """A clock in MHz: a positive number of at most 10,000."""
    if re.fullmatch(r"\d{1,5}(\.\d{1,6})?", text, re.ASCII) is None or not 0 < float(text) <= 10_000:
        raise argparse.ArgumentTypeError(f"'{text}' is not a clock in MHz; write 80, 120.5")
    return float(text)


_count = partial(_natural, 1, MOST_RUNS)
_seed = partial(_natural, 0, MOST_SEED)


def make_parser(version: str) -> argparse.ArgumentParser:
    """The parser; each command sets `command` to its name."""
    parser = argparse.ArgumentParser(
        prog="lowtide",
        description="Fits trained neural networks into the least SRAM a microcontroller can have, and proves it.",
        epilog="exit codes: 0 done, 1 the input's fault, 2 usage, 3 outputs differ from the reference, "
        "4 no reference to compare with, 70 a bug of lowtide, 130 interrupted (a compile whose search was cut short is "
        "complete all the same), 143 terminated",
    )
    parser.add_argument("--version", action="version", version=f"lowtide {version}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_compile(commands)
    _add_run(commands)
    _add_verify(commands)
    _add_inspect(commands)
    _add_explore(commands)
    _add_plan_tflite(commands)
    _add_bench(commands)
    return parser


_Commands = argparse._SubParsersAction  # pyright: ignore[reportPrivateUsage]


def _command(
    commands: _Commands[argparse.ArgumentParser], name: str, summary: str, examples: str = ""
) -> argparse.ArgumentParser:
    command = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("-v", "--verbose", action="store_true", help="show the stages with their times")
    return command


def _add_target(command: argparse.ArgumentParser) -> None:
    command.add_argument("--target", required=True, metavar="CORE", help=f"one of {', '.join(TARGETS)}")


def _add_until(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--until",
        action="append",
        default=[],
        metavar="TENSOR",
        help="make this tensor (its name in full or as printed) an output and leave out what follows; may be given "
        "several times",
    )


def _add_shape(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--shape",
        action="append",
        default=[],
        type=parse_shape,
        metavar="INPUT=N,N,…",
        help="how large an input is whose dimensions the file leaves open; may be given several times",
    )


def parse_shape(text: str) -> tuple[str, tuple[int, ...]]:
    """`INPUT=1,16000` as a name and sizes."""
    name, _, sizes = text.rpartition("=")
    words = sizes.split(",")
    if not name or not all(word.isdecimal() for word in words):
        raise argparse.ArgumentTypeError(f"'{text}' is not like INPUT=1,16000")
    return name, tuple(map(int, words))


def _add_ram(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--ram", type=parse_size, metavar="BYTES", help="refuse what needs more RAM than this: 32768, 32K"
    )


def _add_objective(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--objective",
        choices=OBJECTIVES,
        default=DEFAULT_OBJECTIVE,
        help="what to look for: free (least RAM with no element computed twice and rows whole, for 5 %% or "
        "20,000 more cycles at most; the default), ram (least RAM), fit (least cost within --ram), untiled "
        "(layers whole)",
    )


def _add_compile(commands: _Commands[argparse.ArgumentParser]) -> None:
    command = _command(commands, "compile", "compile a network into artifacts for a core", _COMPILE)
    command.add_argument("model", type=Path, help=".tflite, or .mlir/.mlirbc with TOSA or linalg on tensors")
    _add_target(command)
    _add_ram(command)
    command.add_argument(
        "--flash",
        type=parse_size,
        metavar="BYTES",
        help="refuse what needs more flash than this, and spend what is left of it on speed: 131072, 128K",
    )
    command.add_argument(
        "--flash-model",
        metavar="NAME",
        help="spend flash by the cycles with the wait states of this one: f4, l4 (STM32), nrf52840; without it, none",
    )
    command.add_argument(
        "--plan", type=Path, metavar="PLAN.mlir", help="apply this transform script instead of searching for one"
    )
    _add_objective(command)
    command.add_argument("-o", "--out", type=Path, metavar="DIR", help="output folder (default: MODEL-CORE)")
    _add_until(command)
    _add_shape(command)
    command.add_argument("--keep-input", action="store_true", help="later layers must not overwrite the input")
    _add_stream(command)
    command.add_argument("--dump-dir", type=Path, metavar="DIR", help="write the IR there after every stage")


def _add_run(commands: _Commands[argparse.ArgumentParser]) -> None:
    command = _command(commands, "run", "run a compiled network in an emulated microcontroller", _RUN)
    command.add_argument("directory", type=Path, metavar="OUT_DIR", help="a folder that `lowtide compile` wrote")
    command.add_argument(
        "--input", type=Path, action="append", default=[], metavar="X.npy", help="one for each network input, in order"
    )
    command.add_argument("--seed", type=_seed, default=0, help="of the random input used without --input (default 0)")
    command.add_argument(
        "--backend",
        default="unicorn",
        metavar="NAME",
        help="where to run it: unicorn (default), qemu, ibex or cv32e40p (simulated RISC-V cores, true cycles: extra "
        "'rtl'), or host, which runs the folder's native code: only if you trust it",
    )
    command.add_argument(
        "--artifact", choices=("o", "elf"), default="o", help="run the object file (default) or the embedded ELF"
    )
    command.add_argument(
        "--witness",
        action="store_true",
        help="run once more and check that every load from the arena reads what the right layer stored (unicorn)",
    )
    command.add_argument(
        "--flash-model",
        metavar="NAME",
        help="model the cycles with the wait states and caches of this flash: f4, l4 (STM32), nrf52840; without it, "
        "none (unicorn)",
    )
    command.add_argument(
        "--mhz", type=_megahertz, metavar="F", help="also print what the modelled cycles take at this clock"
    )
    command.add_argument("--save", type=Path, metavar="Y.npy", help="write the (first) output there")


def _add_verify(commands: _Commands[argparse.ArgumentParser]) -> None:
    command = _command(commands, "verify", "compile, run and compare with a reference, bit for bit", _VERIFY)
    command.add_argument("model", type=Path)
    _add_target(command)
    command.add_argument("--golden", type=Path, metavar="FILE.npz", help="stored inputs x and outputs y, one run a row")
    command.add_argument("-n", "--count", type=_count, default=20, help="number of runs (default 20)")
    command.add_argument("--seed", type=_seed, default=0, help="of the random inputs without --golden")
    command.add_argument(
        "--backend", metavar="NAME", help="where to run it (default: unicorn, or host for a core it lacks)"
    )
    command.add_argument("-o", "--out", type=Path, metavar="DIR", help="keep the artifacts there")
    _add_ram(command)
    _add_objective(command)
    _add_until(command)
    _add_shape(command)
    _add_stream(command)


def _add_stream(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--stream-input",
        nargs="?",
        const="",
        action="append",
        default=[],
        metavar="NAME",
        help="the (only) input arrives row by row and never lies in memory whole; write --stream-input=NAME to name it",
    )


def _add_inspect(commands: _Commands[argparse.ArgumentParser]) -> None:
    command = _command(commands, "inspect", "print a network's layers and where its memory peak is")
    command.add_argument("model", type=Path)
    _add_until(command)
    _add_shape(command)


def _add_explore(commands: _Commands[argparse.ArgumentParser]) -> None:
    summary = "measure every plan worth having, from whole layers to the least RAM"
    command = _command(commands, "explore", summary, _EXPLORE)
    command.add_argument("model", type=Path, help=".tflite, or .mlir/.mlirbc with TOSA or linalg on tensors")
    _add_target(command)
    command.add_argument("-o", "--out", type=Path, metavar="DIR", help="output folder (default: MODEL-CORE-points)")
    place = command.add_mutually_exclusive_group()
    place.add_argument("--jobs", type=_count, metavar="N", help="processes on this machine (default: one a core)")
    place.add_argument("--cluster", metavar="ADDRESS", help="scheduler of a Dask cluster: tcp://host:8786")
    _add_until(command)
    command.add_argument("--keep-input", action="store_true", help="later layers must not overwrite the input")


def _add_plan_tflite(commands: _Commands[argparse.ArgumentParser]) -> None:
    summary = "write the best memory layout for LiteRT Micro into a .tflite file"
    command = _command(commands, "plan-tflite", summary, _PLAN_TFLITE)
    command.add_argument("model", type=Path, help=".tflite, of one subgraph and with any operators")
    command.add_argument("-o", "--out", type=Path, required=True, metavar="PLANNED.tflite", help="the file to write")


def _add_bench(commands: _Commands[argparse.ArgumentParser]) -> None:
    summary = "measure lowtide itself on this machine"
    group = commands.add_parser("bench", help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    benchmarks = group.add_subparsers(dest="benchmark", required=True, metavar="BENCHMARK")
    for name, benchmark in BENCHMARKS.items():
        benchmark.add_arguments(_command(benchmarks, name, benchmark.summary, benchmark.examples))
