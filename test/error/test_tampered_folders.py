"""Folders that somebody has tampered with: `lowtide run` refuses them, or runs them, and nothing else."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest
import tampering

import lowtide
from lowtide.cli.main import main
from lowtide.errors import InputError
from lowtide.report.report import read_report

DIGITS = Path(__file__).resolve().parents[2] / "examples" / "digits" / "digits_int8.tflite"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tampered") / "digits"
    lowtide.compile(DIGITS, target="cortex-m4", objective="ram", out=out)
    return out


def test_what_was_written_is_read(folder: Path) -> None:
    report = read_report(folder)
    assert report.loops, "a loop is what has most to be checked"
    assert report.to_json() == (folder / "report.json").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("arena_bytes", 1 << 40, "arena_bytes is 1099511627776, not a whole number from 0 to 67108864"),
        ("loops", [{"first": "rv32imac"}], "a loop has no 'backwards'"),
        ("layers", {}, "layers is {}, not a list"),
        ("buffers", [], "is none of"),
        ("steps", [1], "a step is 1, not a text"),
        ("surprise", 1, "has a 'surprise', which is unknown"),
        ("search", "lucky", "search 'lucky' is none of complete, budget, interrupted, given"),
    ],
)
def test_reports_are_held_against_the_schema(
    folder: Path, tmp_path: Path, key: str, value: object, message: str
) -> None:
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    (tmp_path / "report.json").write_text(json.dumps({**report, key: value}), encoding="utf-8")
    with pytest.raises(InputError, match="it is damaged") as refusal:
        read_report(tmp_path)
    assert message in refusal.value.message


def test_native_code_that_crashes(folder: Path, tmp_path: Path) -> None:
    """Zeros in the middle of the code: it ends in a crash, a refusal or other numbers, and this process goes on."""
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    data = bytearray((folder / "digits_int8.vmfb").read_bytes())
    code = data.find(b"\x7fELF")
    data[code + 0x1000 : code + 0x1400] = bytes(0x400)
    (tmp_path / "digits_int8.vmfb").write_bytes(data)
    report["files"]["digits_int8.vmfb"] = sha256(data).hexdigest()
    (tmp_path / "report.json").write_text(json.dumps(report), encoding="utf-8")
    try:
        lowtide.run(tmp_path, backend="host")
    except InputError as refusal:
        assert "crashed (SIG" in refusal.message or "IREE's runtime" in refusal.message


@pytest.mark.parametrize("seed", range(24))
def test_some_changes(seed: int, folder: Path, tmp_path: Path) -> None:
    _check(seed, folder, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 4000, 100))
def test_many_changes(first: int, folder: Path, tmp_path: Path) -> None:
    for seed in range(first, first + 100):
        _check(seed, folder, tmp_path)


def _check(seed: int, folder: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed"
    said = tampering.tamper(folder, changed, seed)
    for options in tampering.COMMANDS:
        code, output = tampering.outcome(main, changed, options)
        assert code in (0, 1, 2) and "Traceback" not in output, (said, options, code, output)
