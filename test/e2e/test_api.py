"""The Python API: what `import lowtide` promises."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import lowtide
from lowtide.emulate.backend import Array

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "examples" / "digits" / "digits_int8.tflite"
GOLDEN = ROOT / "examples" / "digits" / "digits_golden.npz"


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> lowtide.Artifact:
    return lowtide.compile(MODEL, target="cortex-m4", out=tmp_path_factory.mktemp("api") / "digits")


@pytest.fixture(scope="module")
def golden() -> tuple[Array, Array]:
    with np.load(GOLDEN) as stored:
        return stored["x"], stored["y"]


def test_every_name_is_there() -> None:
    missing = [name for name in lowtide.__all__ if getattr(lowtide, name, None) is None]
    assert missing == []
    unknown = "nothing"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        getattr(lowtide, unknown)


def test_importing_is_quick() -> None:
    """The compiler's libraries come with the first call that needs them."""
    code = "import sys, lowtide; sys.exit(any(name in sys.modules for name in ('torch_mlir', 'unicorn', 'ortools')))"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_compile_leaves_these_files(artifact: lowtide.Artifact) -> None:
    names = {path.name for path in artifact.directory.iterdir()}
    stems = {f"digits_int8{suffix}" for suffix in (".o", ".h", ".elf", ".vmfb", ".plan.mlir")}
    assert names == stems | {"report.json", "memory_map.svg"}
    assert artifact.file(".o").is_file()


def test_the_report_has_its_keys(artifact: lowtide.Artifact) -> None:
    row = json.loads((artifact.directory / "report.json").read_text(encoding="utf-8"))
    keys = """model target arena_bytes stack_bytes data_bytes sram_bytes baseline_bytes untiled_bound_bytes
        allocation_bound_bytes flash_bytes code_bytes weights_bytes macs baseline_macs instructions stack_used_bytes
        buffers stages"""
    assert set(keys.split()) <= row.keys()
    assert row["sram_bytes"] == row["arena_bytes"] + row["stack_bytes"] + row["data_bytes"]
    assert row["flash_bytes"] == row["code_bytes"] + row["weights_bytes"]
    page = (ROOT / "docs" / "report.md").read_text(encoding="utf-8")
    assert [key for key in row if f"`{key}`" not in page] == []


def test_a_run_is_measured_and_noted(artifact: lowtide.Artifact, golden: tuple[Array, Array]) -> None:
    x, y = golden
    result = lowtide.run(artifact.directory, [x[0]])
    assert np.array_equal(result.outputs[0], y[0])
    report = lowtide.load(artifact.directory).report
    assert report.instructions == result.instructions and report.stack_used_bytes == result.stack_used_bytes
    assert report.instructions is not None and report.instructions > report.macs // 4
    assert result.stack_used_bytes is not None and result.stack_used_bytes <= report.stack_bytes
    assert result.arena_touched_bytes is not None and result.arena_touched_bytes <= report.arena_bytes


def test_inputs_come_as_files_too(artifact: lowtide.Artifact, golden: tuple[Array, Array], tmp_path: Path) -> None:
    x, y = golden
    np.save(tmp_path / "x.npy", x[1])
    assert np.array_equal(lowtide.run(artifact.directory, [tmp_path / "x.npy"], backend="host").outputs[0], y[1])


def test_a_seed_gives_the_same_run_again(artifact: lowtide.Artifact) -> None:
    one, same, other = (lowtide.run(artifact.directory, seed=seed).outputs[0] for seed in (7, 7, 8))
    assert np.array_equal(one, same) and not np.array_equal(one, other)


def test_the_same_model_gives_the_same_bytes(artifact: lowtide.Artifact, tmp_path: Path) -> None:
    again = lowtide.compile(str(MODEL), target="cortex-m4", out=str(tmp_path / "again"))
    assert again.report.files == artifact.report.files
    for path in artifact.directory.iterdir():
        if path.name != "report.json":
            assert path.read_bytes() == (again.directory / path.name).read_bytes(), path.name


def test_inspect_needs_no_target(artifact: lowtide.Artifact) -> None:
    graph = lowtide.inspect(MODEL)
    assert graph.macs == artifact.report.macs
    assert graph.baseline_bytes == artifact.report.baseline_bytes == graph.live_bytes(graph.peak_step)
    # examples/digits/README.md says which three tensors these are.
    assert graph.baseline_bytes == 3_072
    assert [layer.kind for layer in graph.layers].count("depthwise") == 1


def test_verify_against_stored_outputs() -> None:
    heard: list[str] = []
    outcome = lowtide.verify(MODEL, target="rv32imac", golden=GOLDEN, count=3, listen=heard.append)
    assert (outcome.passed, outcome.runs, outcome.emulated, outcome.oracle) == (True, 3, 3, "digits_golden.npz")
    assert "codegen" in heard and "run" in heard


def test_verify_sees_a_wrong_output(golden: tuple[Array, Array], tmp_path: Path) -> None:
    x, y = (array[:2].copy() for array in golden)
    y[1, 0, 3] ^= 1
    np.savez(tmp_path / "wrong.npz", x=x, y=y)
    outcome = lowtide.verify(MODEL, target="host", golden=tmp_path / "wrong.npz")
    assert (outcome.passed, outcome.difference.count, outcome.difference.max_abs) == (False, 1, 1.0)


def test_ram_is_a_limit(artifact: lowtide.Artifact, tmp_path: Path) -> None:
    enough = artifact.report.sram_bytes
    fits = lowtide.compile(MODEL, target="cortex-m4", ram=enough, out=tmp_path / "fits")
    assert fits.report.sram_bytes == enough
    with pytest.raises(lowtide.InputError, match=r"bytes of RAM") as refusal:
        lowtide.compile(MODEL, target="cortex-m4", ram=enough - 1, out=tmp_path / "small")
    assert refusal.value.exit_code == 1 and not (tmp_path / "small").exists()


def test_errors_share_one_base() -> None:
    with pytest.raises(lowtide.UsageError, match="unknown target 'z80'"):
        lowtide.compile(MODEL, target="z80")
    for error in (lowtide.InputError, lowtide.UsageError, lowtide.MismatchError, lowtide.InternalError):
        assert issubclass(error, lowtide.LowtideError)
