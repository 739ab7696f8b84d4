#!/usr/bin/env python3
"""Measures every model that has stored outputs, then strangers' networks, and prints docs/results.md.

    python tools/results.py > docs/results.md
    python tools/results.py --part reach --update docs/results.md
    python tools/results.py --only ad01_int8 --only lstm_unrolled --update docs/results.md

`--update` writes what was measured into the page and leaves the rest of it as it is. The models and their stored
outputs are not part of the repository: they lie beside it, in ../shared. Each is compiled and run in the emulated core;
those with stored outputs are compared with them, and a mismatch ends the command with exit code 3.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, StrictUndefined

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "dialects")]

import lowtide  # noqa: E402
from lowtide.emulate.timing.model import Cycles  # noqa: E402
from lowtide.lower import lower  # noqa: E402
from lowtide.stages import Stages  # noqa: E402
from lowtide.verification import EMULATED_MACS, FLOAT_TOLERANCE  # noqa: E402

TEMPLATE = Path(__file__).with_suffix(".md.jinja")
REACH = Path(__file__).with_name("reach.md.jinja")
SHARED = ROOT.parent / "shared"
DIGITS = ROOT / "examples" / "digits"
ARM = "cortex-m4"
# Whole arenas of LiteRT Micro with CMSIS-NN in bytes; their source is in the page's text. MobileNetV2 in LiteRT
# Micro's own file.
LITERT_MICRO = {
    "kws_ref_model": "22,916",
    "vww_96_int8": "100,804",
    "pretrainedResnet_quant": "55,092",
    "ad01_int8": "2,676",
    "person_detect": "82,420",
    "tf2_mobilenet_v2_1.0_224_ptq": "2.6 M",
}
# IREE 3.13 with its best flags: transient memory and input in bytes; same source.
IREE = {
    "kws_ref_model": "16,502",
    "vww_96_int8": "101,378",
    "pretrainedResnet_quant": "52,234",
    "ad01_int8": "1,600",
    "person_detect": "82,946",
    "tf2_mobilenet_v2_1.0_224_ptq": "1,857,512",
}


@dataclass(frozen=True)
class Model:
    """A model file with its stored inputs and outputs."""

    path: Path
    golden: Path


@dataclass(frozen=True)
class Measured:
    """A model, verified on a Cortex-M4 and on a RISC-V core; its untiled arena on the first and the bound, in bytes."""

    name: str
    untiled_bytes: int
    untiled_bound: int
    arm: lowtide.Verification
    riscv: lowtide.Verification

    @property
    def worst(self) -> float:
        """The larger of the two differences from the stored outputs, as a fraction of their range."""
        return max(self.arm.difference.relative, self.riscv.difference.relative)


@dataclass(frozen=True)
class Stranger:
    """A network of ../shared/models/reach on a Cortex-M4, objective free.

    Attributes:
        untiled_bytes: its untiled arena.
        micro_bytes: the least arena that LiteRT Micro runs it in; None where it does not.
    """

    name: str
    report: lowtide.Report
    untiled_bytes: int
    instructions: int
    cycles: Cycles | None
    micro_bytes: int | None
    micro_reason: str = "no"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print, or update the page; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="measure this model alone")
    parser.add_argument("--part", choices=("models", "reach"), help="make this part of the page alone")
    parser.add_argument("--update", type=Path, metavar="PAGE", help="write into this page, in place of what it has")
    options = parser.parse_args(argv)

    def chosen(path: Path) -> bool:
        return not options.only or path.stem in options.only

    models = [model for model in find_models() if options.part != "reach" and chosen(model.path)]
    strangers = [path for path in find_strangers() if options.part != "models" and chosen(path)]
    if not models and not strangers:
        parser.error(f"none of the models is named {' or '.join(options.only)}")
    try:
        made = page([measure(model) for model in models]) if models else ""
        made += reach_part([stranger(path) for path in strangers]) if strangers else ""
        if not options.update:
            sys.stdout.write(made)
            return 0
        old = options.update.read_text(encoding="utf-8")
        options.update.write_text(updated(old, made, rows_alone=bool(options.only)), encoding="utf-8")
    except lowtide.LowtideError as error:
        print(f"results: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def find_models() -> list[Model]:
    """The example first, then those of ../shared that have stored outputs, in the order of their paths."""
    own = [Model(DIGITS / "digits_int8.tflite", DIGITS / "digits_golden.npz")]
    paths = sorted((SHARED / "models").rglob("*.tflite"))
    if not paths:
        print(f"results: no models in {SHARED / 'models'}", file=sys.stderr)
    others = [Model(path, SHARED / "golden" / f"{path.stem}.npz") for path in paths]
    return own + [model for model in others if model.golden.is_file()]


def find_strangers() -> list[Path]:
    """The files of ../shared/models/reach in the order of their names."""
    return sorted((SHARED / "models" / "reach").glob("*.tflite"))


def measure(model: Model) -> Measured:
    """Verify on both cores; `MismatchError` where the outputs differ."""
    arm = _verify(model, ARM)
    core = "rv32imac" if _is_integer(arm) else "rv32imafc"
    untiled = lower(model.path, lowtide.TARGETS[ARM], objective="untiled", stages=Stages())
    return Measured(model.path.stem, untiled.network.arena_bytes, untiled.bound_bytes, arm, _verify(model, core))


def _verify(model: Model, target: str) -> lowtide.Verification:
    start = time.monotonic()
    outcome = lowtide.verify(model.path, target=target, golden=model.golden)
    print(f"{model.path.stem} on {target}: {time.monotonic() - start:.1f} s", file=sys.stderr)
    if not outcome.passed:
        raise lowtide.MismatchError("results", f"differs from {model.golden.name} on {target}", where=str(model.path))
    return outcome


def _is_integer(outcome: lowtide.Verification) -> bool:
    return all(slot.tensor.dtype != "float32" for slot in outcome.report.outputs)


def page(rows: Sequence[Measured]) -> str:
    """The text of docs/results.md."""
    environment = Environment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        rows=rows,
        arm=ARM,
        objective=rows[0].arm.report.objective,
        bytes=_grouped,
        litert_micro=LITERT_MICRO,
        iree=IREE,
        tolerance=FLOAT_TOLERANCE,
        limit=EMULATED_MACS // 1_000_000,
        large=[row.name for row in rows if row.arm.report.macs > EMULATED_MACS],
    )


def reach_part(rows: Sequence[Stranger]) -> str:
    """The part of the page on strangers' networks."""
    environment = Environment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)
    template = environment.from_string(REACH.read_text(encoding="utf-8"))
    return template.render(reach=rows, arm=ARM, objective="free", bytes=_grouped)


def stranger(path: Path) -> Stranger:
    """Compile and run one on random inputs."""
    start = time.monotonic()
    untiled = lower(path, lowtide.TARGETS[ARM], objective="untiled", stages=Stages())
    with tempfile.TemporaryDirectory() as folder:
        artifact = lowtide.compile(path, target=ARM, objective="free", out=Path(folder))
        result = lowtide.run(artifact.directory, seed=0)
    micro = micro_arena(path)
    print(f"{path.stem}: {time.monotonic() - start:.1f} s", file=sys.stderr)
    untiled_bytes, instructions = untiled.network.arena_bytes, result.instructions or 0
    return Stranger(path.stem, artifact.report, untiled_bytes, instructions, result.cycles, micro)


# LiteRT Micro ends the process where the arena is too small, so each try is one.
_TRY = """
import sys
from tflite_micro import runtime
interpreter = runtime.Interpreter.from_file(sys.argv[1], arena_size=int(sys.argv[2]))
interpreter.invoke()
"""


def micro_arena(path: Path) -> int | None:
    """The least arena in which LiteRT Micro starts and runs a model, in bytes, to 16; None where it does not."""

    def fits(nbytes: int) -> bool:
        command = [sys.executable, "-c", _TRY, str(path), str(nbytes)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    high = 1 << 26
    if not fits(high):
        return None
    low = 0
    while high - low > 16:
        middle = (low + high) // 32 * 16
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high


def updated(old: str, made: str, *, rows_alone: bool) -> str:
    """A page with the sections of `made` in place of its own; where `rows_alone`, with their rows alone.

    Raises `UsageError` where the page has no such section, row or columns: then the whole part has to be made.
    """
    sections = _sections(old)
    for title, text in _sections(made).items():
        if title not in sections:
            raise lowtide.UsageError("update", f"the page has no {title or 'beginning'!r}: make it whole")
        sections[title] = _with_rows(sections[title], text, title) if rows_alone else text
    return "\n\n".join(sections.values()) + "\n"


def _sections(page: str) -> dict[str, str]:
    """The text of each section by its headline, which is in it; what stands before the first is at ""."""
    texts = [text.strip("\n") for text in re.split(r"^(?=## )", page, flags=re.MULTILINE)]
    return {text.partition("\n")[0] if text.startswith("## ") else "": text for text in texts if text}


def _with_rows(section: str, made: str, title: str) -> str:
    """A section whose table has the rows of `made` in place of those of the same names."""
    rows, old = _rows(made), _rows(section)
    missing = rows.keys() - old.keys()
    if missing or rows.get("model") != old.get("model"):
        lacks = f"rows named {', '.join(sorted(missing))}" if missing else "the same columns"
        raise lowtide.UsageError("update", f"{title!r} of the page does not have {lacks}: make the part whole")
    return "\n".join(rows.get(_name(line), line) for line in section.split("\n"))


def _rows(section: str) -> dict[str, str]:
    """The lines of a section's table by their first cells; its head is at "model"."""
    return {name: line for line in section.split("\n") if (name := _name(line))}


def _name(line: str) -> str:
    """The first cell of a table's row; "" of other lines, and of the line under its head."""
    return line.split("|")[1].strip().strip("-") if line.startswith("|") else ""


def _grouped(count: int) -> str:
    return f"{count:,}"


if __name__ == "__main__":
    sys.exit(main())
