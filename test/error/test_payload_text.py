"""Networks in payload operations that somebody edited: what has no meaning is refused with its place, never a crash."""

from __future__ import annotations

import re

import jit
import numpy as np
import pytest
from tosa_nets import TosaNet, Window

from lowtide.errors import InputError
from lowtide.graph.fusion import Fusion
from lowtide.ir import Module, parse_module
from lowtide.passes import run_passes
from lowtide.plan.plan import Plan
from lowtide.script.emit import script_for
from lowtide.transform.interpreter import apply_script, make_transform_context

SAME = ((1, 1), (1, 1))


def _text() -> str:
    """Three convolutions, of which the first two are in a loop."""
    net = TosaNet(np.random.default_rng(1))
    x = net.input((1, 8, 6, 2), "int8")
    for _ in range(3):
        x = net.rescale(net.conv(x, net.random((2, 3, 3, 2), "int8"), Window((3, 3), SAME)))
    module = jit.lowered(net.text([x]), "lowtide-import-tosa,lowtide-normalise")
    apply_script(module, script_for(Plan("free", fusions=(Fusion(1, 2),))))
    return str(module)


CUT = _text()


def _parsed(text: str) -> Module:
    return parse_module(text, make_transform_context())


@pytest.mark.parametrize(
    ("pattern", "replacement", "message"),
    [
        (r"rows = 1 : i64", "rows = 0 : i64", "'lowtide.fused': rows = 0"),
        (r"rows = 1 : i64", "rows = -1 : i64", "'lowtide.fused': rows = -1"),
        (r"rows = 1 : i64", "rows = 9223372036854775807 : i64", "'lowtide.fused': rows = 9223372036854775807"),
        (r"columns = 0 : i64", "columns = -3 : i64", "columns = -3"),
        (r"columns = 0 : i64", "columns = true", "columns = true"),
        (r"recompute = \[\]", "recompute = [7]", "of 2 layers, 1 to 1 may be"),
        (r"recompute = \[\]", 'recompute = ["first"]', "of 2 layers, 1 to 1 may be"),
        (r'axis = "rows"', 'axis = "diagonal"', "unknown axis 'diagonal'; choose one of rows, channels"),
        (r'direction = "forwards"', 'direction = "up"', "unknown direction 'up'"),
        (r"layer = 2 : i64", "layer = 9 : i64", "'lowtide.output': there is no layer 9"),
        (r"layer = 2 : i64", "layer = 0 : i64", "'lowtide.output': there is no layer 0"),
        (r'kind = "conv"', 'kernel = "nonesuch", kind = "conv"', "unknown kernel"),
        (r'kind = "conv"', 'direction = 7 : i64, kind = "conv"', "unknown direction"),
    ],
)
def test_what_has_no_meaning_is_refused(pattern: str, replacement: str, message: str) -> None:
    edited, count = re.subn(pattern, replacement, CUT, count=1)
    assert count == 1, CUT
    with pytest.raises(InputError, match=re.escape(message)):
        run_passes(_parsed(edited), "lowtide-allocate,lowtide-kernels")


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        (r"alignment = \d+ : i64", "alignment = 0 : i64"),
        (r"bytes = \d+ : i64, keep_input", "bytes = 1 : i64, keep_input"),
        (r"keep_input = false, ", ""),
        (r"keep_input = false, overlap = true", "keep_input = false, overlap = 1 : i64"),
        (r"buffers = \[.*?\], ", "buffers = [], "),
        (r"offset = \d+ : i64", "offset = -4 : i64"),
        (r"offset = \d+ : i64", "offset = 3 : i64"),
        (r"offset = \d+ : i64", 'offset = "there"'),
    ],
)
def test_an_arena_that_is_none_is_refused(pattern: str, replacement: str) -> None:
    placed = _parsed(CUT)
    run_passes(placed, "lowtide-allocate")
    edited, count = re.subn(pattern, replacement, str(placed), count=1)
    assert count == 1, str(placed)[:2000]
    with pytest.raises(InputError, match="arena"):
        run_passes(_parsed(edited), "lowtide-kernels")


def test_the_unedited_text_is_taken() -> None:
    run_passes(_parsed(CUT), "lowtide-allocate,lowtide-kernels")
