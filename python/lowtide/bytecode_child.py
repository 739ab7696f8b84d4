"""Reads bytecode from standard input and writes it anew: `python -m lowtide.bytecode_child FILENAME STAGE`.

It is this process that dies of a damaged file. Refusals go to standard error, with exit code `REFUSED`.
"""

from __future__ import annotations

import os
import resource
import sys
from io import BytesIO

from lowtide.bytecode import REFUSED
from lowtide.errors import InputError
from lowtide.ir import parse_module
from lowtide.transform.interpreter import make_transform_context

_MEMORY_LIMIT = 8 << 30


def main(filename: str, stage: str) -> int:
    """Returns the exit code."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY_LIMIT, _MEMORY_LIMIT))
    # Whatever native code prints must not get into the result.
    output = os.dup(1)
    os.dup2(2, 1)
    clean = BytesIO()
    try:
        module = parse_module(sys.stdin.buffer.read(), make_transform_context(), filename, stage=stage)
        module.operation.write_bytecode(clean)
    except InputError as error:
        place = f"{error.where}: " if error.where else ""
        print(f"{place}{error.message}", file=sys.stderr)
        return REFUSED
    except MemoryError:
        print(f"{filename}: damaged bytecode: MLIR wants more than {_MEMORY_LIMIT >> 30} GiB for it", file=sys.stderr)
        return REFUSED
    with os.fdopen(output, "wb") as stream:
        stream.write(clean.getvalue())
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
