"""What is known is computed once: a layer is read and matched once for a target, a file imported once for a compile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lowtide
from lowtide import front
from lowtide.bound import bind
from lowtide.codegen import iree
from lowtide.graph.nest import LayerBody
from lowtide.kernels.register_tiled import recognise

DIGITS = Path(__file__).parents[2] / "examples" / "digits" / "digits_int8.tflite"


def _counted(calls: Counter[str], name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        calls[name] += 1
        return function(*arguments, **options)

    return call


def test_each_distinct_layer_is_read_and_matched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: Counter[str] = Counter()
    # the bodies themselves: a number may be used again
    matched: list[LayerBody] = []
    match = recognise.match_contraction

    def counted(body: LayerBody) -> object:
        matched.append(body)
        return match(body)

    monkeypatch.setattr(bind, "read_layer", _counted(read, "read", bind.read_layer))
    monkeypatch.setattr(recognise, "match_contraction", counted)
    compiled = lowtide.compile(DIGITS, target="cortex-m4", out=tmp_path / "out")
    kernels = {layer.function.removesuffix("_rows").rsplit("_", 1)[0] for layer in compiled.report.layers}
    assert 3 <= len(kernels) <= read["read"] <= len(compiled.report.layers)
    assert len(set(map(id, matched))) == len(matched) >= read["read"]


def test_a_compile_within_limits_imports_once_and_writes_its_files_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: Counter[str] = Counter()
    monkeypatch.setattr(front, "import_model", _counted(calls, "import", front.import_model))
    run = iree.run_tool

    def counted(tool: iree.Tool, *arguments: Any, **options: Any) -> Any:
        calls[tool] += 1
        return run(tool, *arguments, **options)

    monkeypatch.setattr(iree, "run_tool", counted)
    out = tmp_path / "out"
    report = lowtide.compile(DIGITS, target="cortex-m4", ram=4096, flash=40_000, objective="fit", out=out).report
    assert report.sram_bytes <= 4096 and report.flash_bytes <= 40_000
    assert calls["import"] == 1
    # the object file and NAME.vmfb, nothing twice: flash that is left is spent before there is code
    assert calls["iree-compile"] == 2, calls
