"""`lowtide`: a thin layer over the Python API."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from lowtide.cli.signals import Interrupts
from lowtide.errors import InternalError, LowtideError

if TYPE_CHECKING:
    from lowtide.cli.streams import Output

VERSION = "0.1.0"
# The machine's fault, not ours and not the model's.
_MACHINE = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO,
    errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENAMETOOLONG, errno.ELOOP, errno.ESTALE,
}  # fmt: skip


def script() -> NoReturn:
    """The whole process: runs the command that the arguments name, and exits."""
    code = main()
    # Nothing is left to interrupt, and a traceback of the interpreter's end would tell nobody anything.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(code)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    with Interrupts() as interrupts:
        try:
            # Even loading the libraries is cut short by Ctrl-C without a traceback.
            from lowtide.cli.streams import Output, prepare_streams

            prepare_streams()
            console, errors = Output(), Output(stderr=True)
            code = _guarded(argv, console, errors, interrupts)
            return _flushed(code, console, errors)
        except KeyboardInterrupt:
            with contextlib.suppress(OSError):
                os.write(2, b"lowtide: interrupted\n")
            return interrupts.exit_code


def _guarded(argv: Sequence[str] | None, console: Output, errors: Output, interrupts: Interrupts) -> int:
    """Run the command; every failure but an interrupt becomes a message and an exit code."""
    from lowtide.cli.arguments import make_parser
    from lowtide.cli.commands import COMMANDS
    from lowtide.cli.progress import progress

    try:
        arguments = make_parser(VERSION).parse_args(argv)
        with progress(errors, getattr(arguments, "verbose", False), interrupts) as listen:
            show = COMMANDS[arguments.command](arguments, listen)
        # first what there is: explore keeps what was done before an interrupt
        show(console)
        interrupts.check()
    except SystemExit as usage:
        return usage.code if isinstance(usage.code, int) else 2
    except LowtideError as error:
        interrupts.check()
        report = f"\n{_how_to_report()}" if isinstance(error, InternalError) else ""
        errors.print(f"lowtide: {error}{report}")
        return error.exit_code
    except OSError as error:
        interrupts.check()
        return _machine_fault(errors, error) if error.errno in _MACHINE else _bug(errors)
    except MemoryError:
        errors.print("lowtide: this machine has not enough memory for it")
        return 1
    except Exception:
        interrupts.check()
        return _bug(errors)
    if interrupts.cut_short:
        errors.print("lowtide: interrupted: a search was cut short; all is complete, but not of the best plan")
    return interrupts.exit_code if interrupts.cut_short else 0


def _flushed(code: int, console: Output, errors: Output) -> int:
    """The exit code, once all that was printed is on its way."""
    try:
        if sys.stdout is not None:  # pyright: ignore[reportUnnecessaryComparison] (it is None where it was closed)
            sys.stdout.flush()
    except BrokenPipeError:
        console.on_broken_pipe()
    except OSError as error:
        console.on_broken_pipe()
        return code or _machine_fault(errors, error)
    return code


def _machine_fault(errors: Output, error: OSError) -> int:
    reason = os.strerror(error.errno) if error.errno else str(error)
    place = f" at {error.filename}" if error.filename else ""
    errors.print(f"lowtide{place}: {reason}\n  remedy: free some space, or choose another place")
    return 1


def _bug(errors: Output) -> int:
    import traceback

    errors.print(f"lowtide: this is a bug of lowtide\n{traceback.format_exc()}{_how_to_report()}")
    return InternalError.exit_code


def _how_to_report() -> str:
    return (
        "  report it with this message, the command line, the model if you may share it, and the output of\n"
        "  `lowtide --version`; `--dump-dir DIR` keeps the IR after every stage, which helps most"
    )


if __name__ == "__main__":
    script()
