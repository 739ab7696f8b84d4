"""`lowtide`: a thin layer over the Python API."""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import sys
import traceback
from collections.abc import Callable, Generator, Sequence

from rich.console import Console

from lowtide.errors import InputError, InternalError, LowtideError, MismatchError

VERSION = "0.1.0"
_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    from lowtide.cli.arguments import make_parser

    arguments = make_parser(VERSION).parse_args(argv)
    errors = Console(stderr=True, soft_wrap=True)
    try:
        COMMANDS[arguments.command](arguments, Console(soft_wrap=True), errors)
    except LowtideError as error:
        _say(errors, f"lowtide: {error}")
        if error.exit_code == InternalError.exit_code:
            _say(errors, _how_to_report())
        return error.exit_code
    except KeyboardInterrupt:
        _say(errors, "lowtide: interrupted; nothing was written")
        return _INTERRUPTED
    except BrokenPipeError:
        # the reader of our output has left: not an error of ours
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
            return _bug(errors)
        _say(errors, f"lowtide: {error.strerror}: {error.filename}\n  remedy: free some space or choose another folder")
        return InputError.exit_code
    except Exception:
        return _bug(errors)
    return 0


def _bug(errors: Console) -> int:
    _say(errors, f"lowtide: this is a bug of lowtide\n{traceback.format_exc()}{_how_to_report()}")
    return InternalError.exit_code


def _how_to_report() -> str:
    return (
        "  report it with this message, the command line, the model if you may share it, and the output of\n"
        "  `lowtide --version`; `--dump-dir DIR` keeps the IR after every stage, which helps most"
    )


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False)


@contextlib.contextmanager
def _progress(errors: Console) -> Generator[Callable[[str], None]]:
    """A spinner with the current stage on a terminal; silent elsewhere."""
    if not errors.is_terminal:
        yield lambda _: None
        return
    with errors.status("starting") as status:
        yield lambda stage: status.update(f"{stage} …")


def _compile(arguments: argparse.Namespace, console: Console, errors: Console) -> None:
    from lowtide.artifact import compile_model
    from lowtide.cli.show import show_compiled, show_stages

    with _progress(errors) as listen:
        artifact = compile_model(
            arguments.model,
            target=arguments.target,
            ram=arguments.ram,
            objective=arguments.objective,
            out=arguments.out,
            until=arguments.until,
            keep_input=arguments.keep_input,
            dump_dir=arguments.dump_dir,
            listen=listen,
        )
    if arguments.verbose:
        show_stages(console, artifact.report)
    show_compiled(console, artifact)


def _run(arguments: argparse.Namespace, console: Console, errors: Console) -> None:
    import numpy as np

    from lowtide.artifact import load
    from lowtide.cli.show import show_run
    from lowtide.verification import run_artifact

    with _progress(errors) as listen:
        listen("running")
        kind = "elf" if arguments.artifact == "elf" else "object"
        result = run_artifact(
            arguments.directory, arguments.input, seed=arguments.seed, backend=arguments.backend, kind=kind
        )
    if arguments.save is not None:
        try:
            np.save(arguments.save, result.outputs[0])
        except OSError as error:
            raise InputError("run", f"cannot write the output: {error.strerror}", where=str(arguments.save)) from error
    show_run(console, result, load(arguments.directory).report)


def _verify(arguments: argparse.Namespace, console: Console, errors: Console) -> None:
    from lowtide.cli.show import show_stages, show_verification
    from lowtide.verification import verify_model

    with _progress(errors) as listen:
        outcome = verify_model(
            arguments.model,
            target=arguments.target,
            golden=arguments.golden,
            count=arguments.count,
            seed=arguments.seed,
            backend=arguments.backend,
            out=arguments.out,
            until=arguments.until,
            listen=listen,
        )
    if arguments.verbose:
        show_stages(console, outcome.report)
    show_verification(console, outcome)
    if not outcome.passed:
        raise MismatchError("verify", "the outputs differ from the reference", where=str(arguments.model))


def _inspect(arguments: argparse.Namespace, console: Console, errors: Console) -> None:
    from lowtide.cli.show import show_graph
    from lowtide.lower import inspect_model

    with _progress(errors) as listen:
        graph = inspect_model(arguments.model, until=arguments.until, listen=listen)
    show_graph(console, graph)


def _plan_tflite(arguments: argparse.Namespace, console: Console, errors: Console) -> None:
    from lowtide.cli.show import show_offline_plan
    from lowtide.plan_tflite import plan_tflite

    with _progress(errors) as listen:
        listen("planning")
        plan = plan_tflite(arguments.model, arguments.out)
    show_offline_plan(console, plan, arguments.out)


COMMANDS: dict[str, Callable[[argparse.Namespace, Console, Console], None]] = {
    "compile": _compile,
    "run": _run,
    "verify": _verify,
    "inspect": _inspect,
    "plan-tflite": _plan_tflite,
}


if __name__ == "__main__":
    sys.exit(main())
