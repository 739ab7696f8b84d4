"""Converts one model in a process of its own: `python child.py < model.tflite > module.mlirbc`.

The converter is C++ that trusts its input; if it crashes, runs out of memory or hangs, it is this process that dies.
Run as a script, not as a module of lowtide, so that it loads nothing but the converter.
"""

from __future__ import annotations

import io
import os
import resource
import sys

_MEMORY_LIMIT = 4 << 30
_REFUSED = 3


def main() -> int:
    """Reads the model from standard input; writes bytecode (or, with `--text`, text) to standard output."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY_LIMIT, _MEMORY_LIMIT))
    # Whatever native code prints must not get into the result.
    output = os.dup(1)
    os.dup2(2, 1)
    import tosa_converter_for_tflite as converter

    formats, debug = converter.TosaConverterOutputFormat, converter.TosaConverterDebugInfo
    sink = io.BytesIO()
    try:
        converter.tflite_flatbuffer_to_tosa_mlir(
            "-", sink, formats.Text if "--text" in sys.argv else formats.Bytecode, debug.Enable
        )
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return _REFUSED
    with os.fdopen(output, "wb") as stream:
        stream.write(sink.getvalue())
    return 0


if __name__ == "__main__":
    sys.exit(main())
