"""The commands: each does its work and returns what prints the outcome."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from io import BytesIO
from typing import Any

from rich.console import Console

from lowtide.errors import MismatchError

Listener = Callable[[str], None]
Show = Callable[[Console], None]


def _options(arguments: Namespace) -> dict[str, Any]:
    """What a command was given, by name: the command line's names are the keywords of the function that does it."""
    given = {name: value for name, value in vars(arguments).items() if name not in ("command", "verbose")}
    return given | {"shape": dict(given["shape"])} if "shape" in given else given


def _compile(arguments: Namespace, listen: Listener) -> Show:
    from lowtide.artifact import compile_model
    from lowtide.cli.show import show_compiled

    artifact = compile_model(**_options(arguments), listen=listen)
    return lambda console: show_compiled(console, artifact)


def _run(arguments: Namespace, listen: Listener) -> Show:
    import numpy as np

    from lowtide.artifact import load
    from lowtide.cli.show import show_run
    from lowtide.output import write_file
    from lowtide.verification import run_artifact

    listen("run")
    kind = "elf" if arguments.artifact == "elf" else "object"
    result = run_artifact(
        arguments.directory,
        arguments.input,
        seed=arguments.seed,
        backend=arguments.backend,
        kind=kind,
        witness=arguments.witness,
        flash_model=arguments.flash_model,
    )
    if arguments.save is not None:
        content = BytesIO()
        np.save(content, result.outputs[0])
        write_file(arguments.save, content.getvalue(), "run")
    report = load(arguments.directory).report
    return lambda console: show_run(console, result, report, arguments.mhz)


def _verify(arguments: Namespace, listen: Listener) -> Show:
    from lowtide.cli.show import show_verification
    from lowtide.verification import verify_model

    outcome = verify_model(**_options(arguments), listen=listen)

    def show(console: Console) -> None:
        show_verification(console, outcome)
        if not outcome.passed:
            raise MismatchError("verify", "the outputs differ from the reference", where=str(arguments.model))

    return show


def _inspect(arguments: Namespace, listen: Listener) -> Show:
    from lowtide.cli.show import show_graph
    from lowtide.lower import inspect_model

    graph = inspect_model(**_options(arguments), listen=listen)
    return lambda console: show_graph(console, graph)


def _explore(arguments: Namespace, listen: Listener) -> Show:
    from lowtide.cli.show import show_exploration
    from lowtide.exploration.explore import explore_model

    found = explore_model(**_options(arguments), listen=listen)
    return lambda console: show_exploration(console, found)


def _plan_tflite(arguments: Namespace, listen: Listener) -> Show:
    from lowtide.cli.show import show_offline_plan
    from lowtide.plan_tflite import plan_tflite

    listen("plan")
    plan = plan_tflite(arguments.model, arguments.out)
    return lambda console: show_offline_plan(console, plan, arguments.out)


def _bench(arguments: Namespace, listen: Listener) -> Show:
    from lowtide.bench import BENCHMARKS

    return BENCHMARKS[arguments.benchmark].measure(arguments, listen)


COMMANDS: dict[str, Callable[[Namespace, Listener], Show]] = {
    "compile": _compile,
    "run": _run,
    "verify": _verify,
    "inspect": _inspect,
    "explore": _explore,
    "plan-tflite": _plan_tflite,
    "bench": _bench,
}
