"""The part of `lowtide.ir.read_module` that runs in a process of its own."""

from __future__ import annotations

from lowtide.ir import Context, bytecode_of, make_context, parse_file
from lowtide.isolated import Message

_DIALECT = b"lowtide"
_PRINTED = 16


def isolated_read(request: Message) -> Message:
    """Parse the one blob, a file's content, and write it anew.

    Raises:
        InputError: it is not valid IR.
    """
    asm = request.blobs[0]
    module = parse_file(asm, _context(asm), request.header["name"], stage=request.header["stage"])
    # There is IR that MLIR reads and crashes on when it prints it, which all messages do.
    module.operation.get_asm(large_elements_limit=_PRINTED)
    return Message({}, (bytecode_of(module),))


def _context(asm: bytes) -> Context:
    if _DIALECT not in asm:
        return make_context()
    # It takes longer to load than all of MLIR.
    from lowtide.transform.interpreter import make_transform_context

    return make_transform_context()
