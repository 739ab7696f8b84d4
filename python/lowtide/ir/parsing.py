"""How IR comes in: text and bytecode, lowtide's own or from outside, parsed and verified."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from torch_mlir.ir import Context, MLIRError, Module, Operation, OpView

from lowtide.errors import InputError
from lowtide.ir.diagnostics import diagnostics_of
from lowtide.isolated import run_isolated

BYTECODE_MAGIC = b"ML\xefR"
# MLIR's parser recurses once per nesting level; far beyond this depth it overflows the C stack.
MAX_NESTING = 1_000
_NESTING_TOKEN = re.compile(r'"[^"\\\n]*(?:\\.[^"\\\n]*)*"|//[^\n]*|->|[<>]=|[\[({<]|[\])}>]')
_UNPRINTABLE = "str_from_cstr_and_size"


def parse_module(asm: str | bytes, context: Context, filename: str = "<memory>", *, stage: str = "mlir") -> Module:
    """Parse and verify MLIR text or bytecode that comes from lowtide or MLIR itself: what is damaged may crash MLIR.

    Args:
        asm: text, or bytes that hold either text (UTF-8) or MLIR bytecode.
        context: as `make_context` gives it.
        filename: how messages call the input.
        stage: the stage to name in the error.

    Raises:
        InputError: the input isn't valid IR; the message holds MLIR's diagnostics, `FILE:LINE:COL: message`.
    """
    asm = _check_text(asm, filename, stage)
    with _parsing(filename, stage):
        return Module.parse(asm, context)


def parse_file(asm: bytes, context: Context, filename: str, *, stage: str = "mlir") -> Module:
    """`parse_module` of a file's content; operations of a text know the file as their place, if it still holds that."""
    _check_text(asm, filename, stage)
    if asm.startswith(BYTECODE_MAGIC) or not _holds(Path(filename), asm):
        return parse_module(asm, context, filename, stage=stage)
    with _parsing(filename, stage):
        return Module.parseFile(filename, context)


def read_module(path: Path, context: Context, *, stage: str = "mlir") -> Module:
    """A module from a file from outside, text or bytecode, read in a process of its own: MLIR trusts both.

    Raises:
        InputError: the file can't be read or isn't valid IR.
    """
    return parse_foreign(read_bytes(path, stage), context, str(path), stage=stage)


def read_bytes(path: Path, stage: str) -> bytes:
    """A file's content; `InputError` where it can't be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(stage, f"cannot read the file: {error.strerror}", where=str(path)) from None


def parse_foreign(asm: bytes, context: Context, filename: str, *, stage: str = "mlir") -> Module:
    """A module from bytes from outside, as `read_module` reads a file.

    Operations of a text know the file of that name as their place, if it holds the text.

    Raises:
        InputError: not valid IR.
    """
    (module,) = parse_parts([asm], context, filename, stage=stage)
    if isinstance(module, InputError):
        raise module
    return module


def parse_parts(
    parts: Sequence[bytes], context: Context, filename: str, *, stage: str = "mlir"
) -> list[Module | InputError]:
    """`parse_foreign` of several modules from one file; what is not valid IR gives the error in its place.

    Raises:
        InputError: one of them crashes MLIR.
    """
    reply = run_isolated("read", {"name": filename, "stage": stage}, parts, stage=stage, where=filename)
    return [
        parse_module(blob, context, filename, stage=stage)
        if error is None
        else InputError(error["stage"], error["message"], where=error["where"], remedy=error["remedy"])
        for error, blob in zip(reply.header["errors"], reply.blobs, strict=True)
    ]


def parse_operation(asm: str, context: Context, filename: str, *, stage: str = "mlir") -> OpView:
    """Parse one top-level operation whose place will be `filename`, e.g. a transform script's module.

    Raises:
        InputError: as `parse_module`.
    """
    _check_nesting(asm, filename, stage)
    with _parsing(filename, stage):
        return Operation.parse(asm, source_name=filename, context=context).opview


@contextmanager
def _parsing(filename: str, stage: str) -> Generator[None]:
    try:
        yield
    except MLIRError as error:
        raise InputError(stage, diagnostics_of(error, filename)) from None
    except RuntimeError as error:
        # Damaged bytecode can put bytes into MLIR's message that are no text, which the bindings then fail to carry.
        if _UNPRINTABLE not in str(error):
            raise
        raise InputError(stage, "not valid MLIR; the reason quotes bytes that are not text", where=filename) from None


def _check_text(asm: str | bytes, filename: str, stage: str) -> str | bytes:
    """Refuse what would crash MLIR's parser; decode what is text."""
    if isinstance(asm, bytes):
        if asm.startswith(BYTECODE_MAGIC):
            return asm
        asm = _decode(asm, filename, stage)
    _check_nesting(asm, filename, stage)
    return asm


def _holds(path: Path, content: bytes) -> bool:
    """Whether there is a file with that content: another process has another /dev/stdin, and `<stdin>` is none."""
    try:
        return path.is_file() and path.read_bytes() == content
    except OSError:
        return False


def _decode(asm: bytes, filename: str, stage: str) -> str:
    try:
        return asm.decode()
    except UnicodeDecodeError as error:
        message = f"neither MLIR text (UTF-8) nor MLIR bytecode: byte 0x{asm[error.start]:02x} at offset {error.start}"
        raise InputError(stage, message, where=filename) from None


def _check_nesting(text: str, filename: str, stage: str) -> None:
    depth = 0
    for token in _NESTING_TOKEN.finditer(text):
        first = text[token.start()]
        if token.end() - token.start() > 1 or first in '"/':
            continue
        depth = depth + 1 if first in "[({<" else max(depth - 1, 0)
        if depth > MAX_NESTING:
            line = text.count("\n", 0, token.start()) + 1
            raise InputError(stage, f"brackets nest more than {MAX_NESTING} deep", where=f"{filename}:{line}")
