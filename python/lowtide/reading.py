"""The part of `lowtide.ir.read_module` that runs in a process of its own."""

from __future__ import annotations

from lowtide.errors import InputError
from lowtide.ir import Context, bytecode_of, make_context, parse_file
from lowtide.isolated import details
from lowtide.messages import Message

_DIALECT = b"lowtide"
_PRINTED = 16


def isolated_read(request: Message) -> Message:
    """Parse each blob, a file's content or a part of it, and write it anew; the error of one that is not valid IR."""
    context = _context(b"".join(request.blobs))
    errors: list[dict[str, str | None] | None] = []
    written: list[bytes] = []
    for asm in request.blobs:
        try:
            written.append(_rewritten(asm, context, request.header["name"], request.header["stage"]))
            errors.append(None)
        except InputError as error:
            written.append(b"")
            errors.append(details(error))
    return Message({"errors": errors}, tuple(written))


def _rewritten(asm: bytes, context: Context, name: str, stage: str) -> bytes:
    module = parse_file(asm, context, name, stage=stage)
    # There is IR that MLIR reads and crashes on when it prints it, which all messages do.
    module.operation.get_asm(large_elements_limit=_PRINTED)
    return bytecode_of(module)


def _context(asm: bytes) -> Context:
    if _DIALECT not in asm:
        return make_context()
    # It takes longer to load than all of MLIR.
    from lowtide.transform.interpreter import make_transform_context

    return make_transform_context()
