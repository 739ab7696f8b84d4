"""MLIR from outside, text and bytecode: MLIR may crash or hang on it, lowtide may not."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from lowtide import isolated
from lowtide.errors import InputError, InternalError
from lowtide.ir import BYTECODE_MAGIC, bytecode_of, make_context, parse_file, parse_foreign, parse_module, read_module
from lowtide.isolated import run_isolated
from lowtide.messages import Message, unpacked

SEED = 7
SOUND = "func.func @f(%a: i32) -> i32 {\n  return %a : i32\n}"
# The first four bytes of a resource are its alignment, which is a power of two.
UNALIGNED = """func.func @f() -> tensor<1xf32> {
  %c = arith.constant dense_resource<w> : tensor<1xf32>
  return %c : tensor<1xf32>
}
{-# dialect_resources: { builtin: { w: "0x000000000000803F" } } #-}"""
# The least 64-bit number stands for an amount that is an operand, and there is none.
DYNAMIC = """func.func @f(%x: tensor<8xf32>) -> tensor<?xf32> {
  %c = arith.constant 0.0 : f32
  %y = tensor.pad %x low[-9223372036854775808] high[0] {
  ^bb0(%i: index):
    tensor.yield %c : f32
  } : tensor<8xf32> to tensor<?xf32>
  return %y : tensor<?xf32>
}"""


@pytest.fixture(scope="module")
def sound() -> bytes:
    return bytecode_of(parse_module(SOUND, make_context()))


@pytest.mark.parametrize("name", ["net.mlir", "net.mlirbc"])
def test_what_is_sound_keeps_its_meaning_and_its_places(sound: bytes, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    content = SOUND.encode() if name == "net.mlir" else sound
    path.write_bytes(content)
    read, parsed = read_module(path, make_context()), parse_file(content, make_context(), str(path))
    assert read.operation.get_asm(enable_debug_info=True) == parsed.operation.get_asm(enable_debug_info=True)


@pytest.mark.parametrize("text", [UNALIGNED, DYNAMIC])
def test_text_that_crashes_mlir_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "net.mlir"
    path.write_text(text)
    with pytest.raises(InputError, match=r"importer at .*net\.mlir: MLIR crashes on it \(SIG") as caught:
        read_module(path, make_context(), stage="importer")
    assert caught.value.remedy


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
            damaged[rng.randrange(len(BYTECODE_MAGIC), len(damaged))] = rng.randrange(256)
        try:
            parse_foreign(bytes(damaged), make_context(), "net.mlirbc")
        except InputError as error:
            assert "net.mlirbc" in str(error) or "error: " in str(error)


def ended(monkeypatch: pytest.MonkeyPatch, code: int, printed: bytes = b"", out: bytes = b"") -> None:
    def run(*_args: object, **_kwargs: object) -> subprocess.CompletedProcess[bytes]:
        return subprocess.CompletedProcess([], code, out, printed)

    monkeypatch.setattr(subprocess, "run", run)


def read(content: bytes = b"") -> Message:
    return run_isolated(
        "read", {"name": "net.mlir", "stage": "importer"}, [content], stage="importer", where="net.mlir"
    )


@pytest.mark.parametrize(
    ("code", "printed", "message"),
    [
        (-11, b"", r"MLIR crashes on it \(SIGSEGV\)"),
        (-6, b"LLVM ERROR: out of memory\nmore", r"MLIR crashes on it \(SIGABRT: out of memory\)"),
        (-6, b"terminate called\n  what():  std::bad_alloc\n", r"MLIR crashes on it \(SIGABRT: std::bad_alloc\)"),
        (-24, b"", r"MLIR did not finish with it in 40 s"),
    ],
)
def test_how_the_process_ends_is_the_inputs_fault(
    monkeypatch: pytest.MonkeyPatch, code: int, printed: bytes, message: str
) -> None:
    ended(monkeypatch, code, printed)
    with pytest.raises(InputError, match=message) as caught:
        read()
    assert caught.value.where == "net.mlir"
    assert caught.value.remedy


def test_a_process_that_waits_for_ever_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolated, "_PATIENCE", 0.01)
    with pytest.raises(InputError, match=r"did not finish with it in 0\.01 s"):
        read(SOUND.encode())


def test_a_failure_of_the_process_itself_is_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    ended(monkeypatch, 1, b"Traceback: ImportError")
    with pytest.raises(InternalError, match="ImportError"):
        read()


def test_errors_come_back_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    error = InputError("normalise", "too large", where="here", remedy="less")
    ended(monkeypatch, 0, out=isolated.refusal(error).packed())
    with pytest.raises(InputError) as caught:
        read()
    assert str(caught.value) == str(error)


def test_messages_go_there_and_back() -> None:
    message = Message({"names": ["a", "\udcff"], "none": None}, (b"", b"\n\0", b"x"))
    assert unpacked(message.packed()) == message
