"""`lowtide-opt`: lowtide's passes, MLIR's passes and transform scripts over one file of IR."""

from __future__ import annotations

import platform
import sys
import traceback
from collections.abc import Sequence
from importlib import metadata

from lowtide.errors import InternalError, LowtideError
from lowtide.opt.options import Options, parse_options

_BUG = 70


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool.

    Args:
        argv: arguments without the program's name; the process's own by default.

    Returns:
        the exit code: 0 done, 1 the input is at fault, 2 usage, 70 a bug of lowtide.
    """
    options = parse_options(sys.argv[1:] if argv is None else argv)
    try:
        return _run(options)
    except InternalError as error:
        print(f"lowtide-opt: {error}\n{_how_to_report()}", file=sys.stderr)
        return error.exit_code
    except LowtideError as error:
        print(f"lowtide-opt: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # The reader has seen enough, as in `lowtide-opt x.mlir | head`; leave nothing for the interpreter to flush.
        sys.stdout = None
        return 0
    except Exception:
        print(f"{traceback.format_exc()}lowtide-opt: unexpected error\n{_how_to_report()}", file=sys.stderr)
        return _BUG


def _run(options: Options) -> int:
    if options.list_passes:
        from lowtide.passes import PASSES

        for name, found in PASSES.items():
            print(f"{name:24} {found.description}")
        return 0
    # Loading the bindings takes most of a second, which --help need not wait for.
    from lowtide.opt.driver import drive

    return drive(options)


def _how_to_report() -> str:
    versions = ", ".join(f"{name} {_version(name)}" for name in ("lowtide", "torch-mlir", "iree-base-compiler"))
    return (
        "This is a bug of lowtide. Please open an issue with the command line, the input file, the text above and:\n"
        f"  {versions}, Python {platform.python_version()} on {platform.platform()}"
    )


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "(not installed as a package)"


if __name__ == "__main__":
    sys.exit(main())
