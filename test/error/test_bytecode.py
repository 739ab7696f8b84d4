"""Damaged MLIR bytecode: MLIR may crash or hang on it, lowtide may not."""

from __future__ import annotations

import random
import subprocess
from io import BytesIO
from pathlib import Path

import pytest

from lowtide import bytecode
from lowtide.errors import InputError, InternalError
from lowtide.ir import make_context, parse_foreign, parse_module, read_module

SEED = 7


@pytest.fixture(scope="module")
def sound() -> bytes:
    module = parse_module("func.func @f(%a: i32) -> i32 {\n  return %a : i32\n}", make_context())
    written = BytesIO()
    module.operation.write_bytecode(written)
    return written.getvalue()


def test_sound_bytecode_keeps_its_meaning_and_its_places(sound: bytes, tmp_path: Path) -> None:
    path = tmp_path / "net.mlirbc"
    path.write_bytes(sound)
    read, parsed = read_module(path, make_context()), parse_module(sound, make_context())
    assert read.operation.get_asm(enable_debug_info=True) == parsed.operation.get_asm(enable_debug_info=True)


def test_truncated_bytecode_is_refused_with_mlirs_reason(sound: bytes) -> None:
    with pytest.raises(InputError, match=r"importer: cut\.mlirbc:0:0: error: ") as caught:
        parse_foreign(sound[: len(sound) // 2], make_context(), "cut.mlirbc", stage="importer")
    assert caught.value.stage == "importer"


def test_damaged_bytecode_is_read_or_refused(sound: bytes) -> None:
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    for _ in range(5):
        damaged = bytearray(sound)
        for _ in range(3):
            damaged[rng.randrange(len(bytecode.MAGIC), len(damaged))] = rng.randrange(256)
        try:
            parse_foreign(bytes(damaged), make_context(), "net.mlirbc")
        except InputError as error:
            assert "net.mlirbc" in str(error) or "error: " in str(error)


def ended(monkeypatch: pytest.MonkeyPatch, code: int, printed: bytes = b"") -> None:
    def run(*_args: object, **_kwargs: object) -> subprocess.CompletedProcess[bytes]:
        return subprocess.CompletedProcess([], code, b"", printed)

    monkeypatch.setattr(subprocess, "run", run)


def test_a_crash_of_the_reader_is_the_inputs_fault(monkeypatch: pytest.MonkeyPatch, sound: bytes) -> None:
    ended(monkeypatch, -11)
    with pytest.raises(InputError, match=r"MLIR crashes on it \(SIGSEGV\)") as caught:
        bytecode.rewritten(sound, "net.mlirbc", "importer")
    assert caught.value.where == "net.mlirbc"
    assert caught.value.remedy


def test_a_reader_that_hangs_is_stopped(monkeypatch: pytest.MonkeyPatch, sound: bytes) -> None:
    monkeypatch.setattr(bytecode, "_SECONDS", 0.01)
    with pytest.raises(InputError, match=r"did not finish reading it"):
        bytecode.rewritten(sound, "net.mlirbc", "importer")


def test_a_failure_of_the_child_itself_is_a_bug(monkeypatch: pytest.MonkeyPatch, sound: bytes) -> None:
    ended(monkeypatch, 1, b"Traceback: ImportError")
    with pytest.raises(InternalError, match="ImportError"):
        bytecode.rewritten(sound, "net.mlirbc", "importer")
