"""Sound networks and plans that hostile ones are made from: small, and of everything that the front end takes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from command import DIGITS, ROOT

from lowtide.errors import InputError
from lowtide.front import normalised
from lowtide.graph.fusion import Fusion
from lowtide.ir import make_context, parse_module
from lowtide.passes import run_passes
from lowtide.plan.plan import Plan
from lowtide.script.emit import script_for
from lowtide.stages import Stages

_OWN = ROOT / "test" / "hostile"
_LIT = ("test/lit/passes", "test/lit/transform")
_REFUSED = "-refused"
_SEPARATOR = re.compile(r"^// -----.*$", re.MULTILINE)
_COMMENT = re.compile(r"//.*$", re.MULTILINE)
_SEQUENCE = re.compile(r"^  transform\.named_sequence.*?^  }\n", re.MULTILINE | re.DOTALL)
_MARK = "module attributes {transform.with_named_sequence} {\n"


@dataclass(frozen=True)
class Sample:
    """A network and, where plans are edited, a sound plan for it."""

    network: str
    plan: str = ""


def networks() -> list[str]:
    """Those of the folder `test/hostile`, and the payloads of lit tests."""
    own = [path.read_text(encoding="utf-8") for path in sorted(_OWN.glob("*.mlir"))]
    return [*own, *dict.fromkeys(part for part, _ in _lit_parts() if _is_sound(part))]


def _is_sound(network: str) -> bool:
    try:
        run_passes(parse_module(network, make_context()), "lowtide-import-tosa,lowtide-normalise")
    except InputError:
        return False
    return True


def _lit_parts() -> list[tuple[str, str]]:
    """Network and script of each module of the lit tests that are no refusals; the script may be empty."""
    found: list[tuple[str, str]] = []
    for folder in _LIT:
        for path in sorted((ROOT / folder).glob("*.mlir")):
            if path.stem.endswith(_REFUSED):
                continue
            for part in _SEPARATOR.split(path.read_text(encoding="utf-8")):
                text = _COMMENT.sub("", part)
                scripts = _SEQUENCE.findall(text)
                payload = _SEQUENCE.sub("", text).replace(_MARK, "module {\n")
                if "func.func" in payload:
                    found.append((payload, f"{_MARK}{scripts[0]}}}\n" if len(scripts) == 1 else ""))
    return found


def planned() -> list[Sample]:
    """Networks with plans: those of the lit tests, and the digits network with a plan of every kind of step."""
    lit = [Sample(network, script) for network, script in _lit_parts() if script and _is_sound(network)]
    module = normalised(DIGITS, (), Stages()).module
    network = module.operation.get_asm()
    plans = (
        Plan("untiled", "first-fit"),
        Plan("free", order=(1, 2, 3, 4, 5, 6, 7), fusions=(Fusion(1, 3, direction="backwards"),), budget=4096),
        Plan("ram", fusions=(Fusion(1, 2, 2), Fusion(4, 5, 1, 3))),
        Plan("ram", kernels=(("general", (1, 2)),), fusions=(Fusion(2, 3, 8, axis="channels"),)),
    )
    # as many of one as of the other
    return lit + 2 * [Sample(network, script_for(plan)) for plan in plans]
