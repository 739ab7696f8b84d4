"""The job that scripts are for: plain linalg, handles from `structured.match` alone, loops by channels and by rows.

The networks are those of the FDT paper (arXiv 2303.17878) and kws of MLPerf Tiny, as linalg on tensors that knows
nothing of lowtide: what the front end makes of the file, written as text and read again.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from shared_models import SHARED

import lowtide
from lowtide.front import normalised
from lowtide.stages import Stages

HEAD = """module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
"""
ANY = "!transform.any_op"


def _match(result: str, *names: str) -> str:
    ops = ", ".join(f'"linalg.{name}"' for name in names)
    return f"%{result} = transform.structured.match ops{{[{ops}]}} in %module : ({ANY}) -> {ANY}"


def _split(source: str, *results: str) -> str:
    kinds = ", ".join([ANY] * len(results))
    return f"{', '.join(f'%{name}' for name in results)} = transform.split_handle %{source} : ({ANY}) -> ({kinds})"


def _merged(result: str, *sources: str) -> str:
    return f"%{result} = transform.merge_handles {', '.join(f'%{name}' for name in sources)} : {ANY}"


def _fused(chain: str, operation: str, attributes: str) -> str:
    return f'%loop = "lowtide.{operation}"(%{chain}) {{{attributes}}} : ({ANY}) -> {ANY}'


TEXT = [
    _match("generics", "generic"),
    _split("generics", "cast", "gather", *(f"g{number}" for number in range(8))),
    _match("reductions", "reduce"),
    _split("reductions", "sum", "highest", "total"),
    _merged("chain", "gather", "sum"),
    _fused("chain", "fuse_channels", "slice = 1 : i64"),
]
MAGIC = [
    _match("first", "depthwise_conv_2d_nhwc_hwcm"),
    _match("pools", "pooling_nhwc_max"),
    _split("pools", "pool", "later"),
    _merged("chain", "first", "pool"),
    _fused("chain", "fuse_channels", "slice = 1 : i64"),
]
KWS = [
    _match("convs", "conv_2d_nhwc_fhwc_q", "depthwise_conv_2d_nhwc_hwcm_q", "pooling_nhwc_sum"),
    _split("convs", *(f"l{number}" for number in range(11))),
    _merged("chain", *(f"l{number}" for number in range(10))),
    _fused("chain", "fuse_spatial", "rows = 1 : i64"),
]


@pytest.mark.parametrize(
    ("name", "steps", "most"),
    [
        ("fdt-paper/text_class", TEXT, 2_112),
        ("fdt-paper/magic_wand", MAGIC, 4_416),
        ("mlperf-tiny/kws_ref_model", KWS, 5_146),
    ],
)
def test_matched_linalg_takes_no_more_than_the_planner(name: str, steps: list[str], most: int, tmp_path: Path) -> None:
    if not SHARED.is_dir():
        pytest.skip("the models are not beside the repository")
    path = SHARED / "models" / f"{name}.tflite"
    linalg, script = tmp_path / "net.mlir", tmp_path / "script.mlir"
    linalg.write_text(str(normalised(path, (), Stages()).module))
    script.write_text(HEAD + "".join(f"    {step}\n" for step in steps) + "    transform.yield\n  }\n}\n")
    artifact = lowtide.compile(linalg, target="cortex-m4", plan=script, out=tmp_path / "out")
    assert artifact.report.arena_bytes <= most
    stored = np.load(SHARED / "golden" / f"{path.stem}.npz")
    for x, wanted in zip(stored["x"][:3], stored["y"][:3], strict=True):
        run = lowtide.run(tmp_path / "out", inputs=[x])
        got = run.outputs[0].reshape(wanted.shape)
        if wanted.dtype == np.int8:
            np.testing.assert_array_equal(got, wanted)
        else:
            np.testing.assert_allclose(got.astype(np.float32), wanted, atol=1e-4)
