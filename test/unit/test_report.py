"""report.json: keys that stay, figures that agree with each other, and damaged files that are refused."""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from command import lowtide, refused

from lowtide.artifact import Artifact, load
from lowtide.errors import InputError
from lowtide.placement import step_names
from lowtide.report import schema
from lowtide.report.report import Report, read_report, update_report
from lowtide.verification import run_artifact

KEYS = {
    "model", "target", "arena_bytes", "stack_bytes", "data_bytes", "sram_bytes", "baseline_bytes",
    "untiled_bound_bytes", "allocation_bound_bytes", "flash_bytes", "code_bytes", "weights_bytes", "macs",
    "baseline_macs", "instructions", "stack_used_bytes", "buffers", "stages",
}  # fmt: skip
"""What others may rely on."""
MORE_KEYS = {"name", "objective", "keep_input", "external_symbols", "files", "inputs", "outputs", "steps", "search"} | {
    "untiled_bound_kind", "layers", "loops", "states", "mark_offset", "cycles", "cycles_model",
    "streams", "position_offset",
}  # fmt: skip

BUFFER_KEYS = ("name", "size", "offset", "first", "last", "pixels", "columns", "shift", "block", "channels", "element")


def parsed(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def test_the_keys_stay(digits: Artifact) -> None:
    report = parsed(digits.directory)
    assert set(report) == KEYS | MORE_KEYS
    assert all(set(buffer) == {*BUFFER_KEYS} for buffer in report["buffers"])
    assert all(set(stage) == {"name", "seconds"} for stage in report["stages"])
    slot = {"name", "shape", "dtype", "scale", "zero_point", "offset"}
    assert all(set(entry) == slot for entry in report["inputs"] + report["outputs"])


def test_the_docs_explain_every_key() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "report.md").read_text(encoding="utf-8")
    assert not [key for key in KEYS | MORE_KEYS if f"`{key}`" not in text]


def test_the_figures_agree(digits: Artifact, untiled_digits: Artifact) -> None:
    check_figures(digits.report)
    check_figures(untiled_digits.report)
    assert digits.report.arena_bytes < untiled_digits.report.untiled_bound_bytes <= untiled_digits.report.arena_bytes
    assert digits.report.untiled_bound_bytes == untiled_digits.report.untiled_bound_bytes


def check_figures(report: Report) -> None:
    assert report.sram_bytes == report.arena_bytes + report.stack_bytes + report.data_bytes
    assert report.flash_bytes == report.code_bytes + report.weights_bytes
    assert report.allocation_bound_bytes <= report.arena_bytes <= report.baseline_bytes
    assert report.macs == report.baseline_macs == 37_376
    assert max(buffer.offset + buffer.size for buffer in report.buffers) == report.arena_bytes
    assert all(0 <= buffer.first <= buffer.last < len(report.steps) for buffer in report.buffers)
    assert [name for name, _ in report.stages] == [
        "import", "normalise", "plan", "transform", "outline", "allocate", "kernels", "codegen", "files",
    ]  # fmt: skip
    assert report.steps == step_names(report.steps[1:-1])


def test_the_digests_are_those_of_the_files(digits: Artifact) -> None:
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in digits.directory.iterdir()}
    assert dict(digits.report.files) == {name: digest for name, digest in found.items() if name != "report.json"}


def test_a_run_writes_what_it_measured(folder: Path) -> None:
    before = parsed(folder)
    assert before["instructions"] is None
    assert before["stack_used_bytes"] is None
    run_artifact(folder, backend="host")
    run_artifact(folder, kind="elf")
    assert parsed(folder) == before
    result = run_artifact(folder)
    assert result.cycles is not None
    assert parsed(folder) == before | {
        "instructions": result.instructions,
        "stack_used_bytes": result.stack_used_bytes,
        "cycles": result.cycles.count,
        "cycles_model": "cortex-m4, P = 2, no wait states",
    }
    assert result.instructions is not None
    assert result.instructions > 100_000
    assert 0 < (result.stack_used_bytes or 0) <= before["stack_bytes"]


def test_reading_gives_what_was_written(digits: Artifact, tmp_path: Path) -> None:
    report = replace(digits.report, instructions=1, stack_used_bytes=2)
    update_report(tmp_path, report)
    assert read_report(tmp_path) == report
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


TEXTS = (b"", b"[]", b"null", b"1", b"{}", b"\xff\xfe", b"[" * 100_000, b'{"arena_bytes":', b"9" * 5000)


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_damaged_text_is_refused(folder: Path, text: bytes) -> None:
    (folder / "report.json").write_bytes(text)
    with pytest.raises(InputError, match=r"report\.json: it is damaged"):
        load(folder)
    assert "report.json" in refused(1, "run", folder)


def test_a_folder_without_report_is_refused(tmp_path: Path, folder: Path) -> None:
    (folder / "report.json").unlink()
    with pytest.raises(InputError, match="cannot read it: No such file"):
        load(folder)
    assert "has no report.json" in refused(1, "run", folder)
    assert "no such folder" in refused(1, "run", tmp_path / "nothing")
    assert "not a folder" in refused(1, "run", __file__)


VALUES: tuple[object, ...] = (
    None, -1, 0, 2**40, 10**30, 1.5, float("nan"), float("inf"), "x", "../../x", [], {}, [1], True, "rv32imac",
)  # fmt: skip


def keys(place: Any) -> list[Any]:
    return list(range(len(place))) if isinstance(place, list) else list(place)  # pyright: ignore[reportUnknownArgumentType]


def test_damaged_values_are_refused_without_a_traceback(folder: Path, digits: Artifact) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chosen = random.Random(seed)
    original = digits.report.to_json()
    for _ in range(80):
        report: Any = json.loads(original)
        place: Any = report
        for _ in range(chosen.randrange(3)):
            inner = [key for key in keys(place) if isinstance(place[key], dict | list) and place[key]]
            place = place[chosen.choice(inner)] if inner else place
        key = chosen.choice(keys(place))
        if chosen.random() < 0.2:
            del place[key]
        else:
            place[key] = chosen.choice(VALUES)
        (folder / "report.json").write_text(json.dumps(report))
        # 70 where the report contradicts the code: that can as well be a bug of the compiler.
        outcome = lowtide("run", folder)
        assert outcome.code in (0, 1, 70), (key, outcome)


def test_names_that_no_file_has_do_not_leave_the_folder(folder: Path) -> None:
    report = parsed(folder)
    for name in ("../digits_int8", "/etc/passwd", "", "a b", "1a"):
        (folder / "report.json").write_text(json.dumps(report | {"name": name}))
        assert "is not a C identifier" in refused(1, "run", folder)


def test_report_is_frozen(digits: Artifact) -> None:
    report: Report = digits.report
    with pytest.raises(AttributeError):
        report.arena_bytes = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"held": 9}, "held rows of stream 0"),
        ({"rows": 0}, "rows of stream 0"),
        ({"rows": 3}, "do not lie in the arena"),
        ({"offset": 60}, "do not lie in the arena"),
        ({"number": -1}, "the number of stream 0"),
    ],
)
def test_streams_that_no_compile_wrote(change: dict[str, int], message: str) -> None:
    tensor = {"name": "x", "shape": [1, 8, 4], "dtype": "int8", "scale": None, "zero_point": None}
    row = {**tensor, "offset": 0, "number": 0, "rows": 8, "held": 3}
    assert schema.streams([row], 64)[0].row_bytes == 4
    with pytest.raises(ValueError, match=message):
        schema.streams([{**row, **change}], 64)


def test_the_position_is_there_with_streams_alone() -> None:
    assert schema.position_offset(48, 64, 1) == 48
    for offset, sources in ((None, 1), (0, 0), (49, 1)):
        with pytest.raises(ValueError, match="position_offset"):
            schema.position_offset(offset, 64, sources)
