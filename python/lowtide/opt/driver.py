"""What `lowtide-opt` does once its command line is read."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from lowtide.errors import InputError, LowtideError, UsageError
from lowtide.ir import (
    Context,
    Diagnostic,
    DiagnosticSeverity,
    Module,
    parse_foreign,
    parse_parts,
    place_of,
    read_module,
)
from lowtide.kernels.microkernels import note_microkernels
from lowtide.opt.options import Action, Options
from lowtide.passes import Step, check_step, parse_pipeline, run_steps
from lowtide.targets import TARGETS
from lowtide.transform.interpreter import (
    apply_embedded_script,
    apply_script,
    has_embedded_script,
    make_transform_context,
    script_in_passes,
)

STAGE = "input"
SEPARATOR = "// -----"
_SEPARATOR_LINE = re.compile(rf"^{SEPARATOR}[ \t]*(?:\r?\n|\Z)", re.MULTILINE)
_MEMORY_PLACE = re.compile(r"^( *)-:(?=\d+:\d+: )", re.MULTILINE)
_SEVERITY = {DiagnosticSeverity.WARNING: "warning", DiagnosticSeverity.REMARK: "remark"}


@dataclass(frozen=True)
class Work:
    """An action with its names resolved: passes to run, or else a script to apply."""

    steps: tuple[Step, ...] = ()
    script: Path | None = None


def drive(options: Options) -> int:
    """Read, transform, print.

    Returns:
        0, or 1 if a part of a split input was refused (its errors are printed, the other parts too).

    Raises:
        LowtideError: nothing was printed.
    """
    context = make_transform_context()
    work = [_resolve(action, context) for action in options.actions]
    handler = context.attach_diagnostic_handler(_print_diagnostic)
    try:
        if not options.split_input_file:
            _write(options, _process(_load(options, context), work, options))
            return 0
        return _drive_parts(options, work, context)
    finally:
        handler.detach()


def _drive_parts(options: Options, work: list[Work], context: Context) -> int:
    name = _name(options)
    printed: list[str] = []
    failed = False
    parts = [part.encode() for part in split_parts(_read(options, name))]
    for module in parse_parts(parts, context, name, stage=STAGE):
        try:
            if isinstance(module, InputError):
                raise module
            printed.append(_process(module, work, options))
        except LowtideError as error:
            if error.exit_code != InputError.exit_code:
                raise
            print(f"lowtide-opt: {error}", file=sys.stderr)
            failed = True
    _write(options, f"{SEPARATOR}\n".join(printed))
    return int(failed)


def split_parts(text: str) -> Iterator[str]:
    """The parts between separator lines, each with blank lines before it so that its line numbers are the file's."""
    start = 0
    for mark in [*_SEPARATOR_LINE.finditer(text), None]:
        end = mark.start() if mark else len(text)
        if text[start:end].strip():
            yield "\n" * text.count("\n", 0, start) + text[start:end]
        start = mark.end() if mark else end


def _resolve(action: Action, context: Context) -> Work:
    if action.kind == "script":
        return Work(script=Path(action.text))
    steps = parse_pipeline(action.text)
    if action.kind == "flag":
        return Work(tuple(_flag_step(step, context) for step in steps))
    for step in steps:
        check_step(step, context)
    return Work(steps)


def _flag_step(step: Step, context: Context) -> Step:
    """The pass of a flag; one that works on functions alone is nested into them."""
    try:
        check_step(step, context)
        return replace(step, nests=True)
    except UsageError as error:
        nested = replace(step, text=f"func.func({step.text})")
        try:
            check_step(nested, context)
        except UsageError:
            remedy = "lowtide-opt --help lists options and passes"
            raise UsageError("options", error.message, where=f"--{step.text}", remedy=remedy) from None
        return nested


def _load(options: Options, context: Context) -> Module:
    if options.input is not None:
        return read_module(options.input, context, stage=STAGE)
    return parse_foreign(sys.stdin.buffer.read(), context, _name(options), stage=STAGE)


def _read(options: Options, name: str) -> str:
    try:
        raw = sys.stdin.buffer.read() if options.input is None else options.input.read_bytes()
        return raw.decode()
    except OSError as error:
        raise InputError(STAGE, f"cannot read the file: {error.strerror}", where=name) from None
    except UnicodeDecodeError:
        raise InputError(STAGE, "--split-input-file needs text (UTF-8), not bytecode", where=name) from None


def _process(module: Module, work: list[Work], options: Options) -> str:
    """Do the work on one module and return its text."""
    if options.target is not None:
        note_microkernels(module, TARGETS[options.target].microkernels)
    try:
        _work(module, work, options)
    except LowtideError as error:
        # Operations parsed from memory have no file name of their own.
        error.message = _MEMORY_PLACE.sub(lambda mark: f"{mark[1]}{_name(options)}:", error.message)
        raise
    return _text(module, options)


def _work(module: Module, work: list[Work], options: Options) -> None:
    if not work and has_embedded_script(module):
        apply_embedded_script(module)
        _dump("transform-interpreter", module, options)
    for item in work:
        if item.script is not None:
            apply_script(module, item.script)
            _dump(str(item.script), module, options)
        else:
            with script_in_passes():
                run_steps(module, item.steps, after=lambda step, done: _dump(step.text, done, options))


def _dump(step: str, module: Module, options: Options) -> None:
    if options.print_after_all:
        print(f"// -----// IR Dump After {step} //----- //\n{_text(module, options)}", file=sys.stderr)


def _text(module: Module, options: Options) -> str:
    limit = options.elide_constants
    return module.operation.get_asm(large_elements_limit=limit, large_resource_limit=limit).rstrip("\n") + "\n"


def _write(options: Options, text: str) -> None:
    if options.output is None:
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    aside = options.output.with_name(f".{options.output.name}.part")
    try:
        aside.write_text(text, encoding="utf-8")
        aside.replace(options.output)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise InputError("output", f"cannot write: {error.strerror}", where=str(options.output)) from None


def _print_diagnostic(diagnostic: Diagnostic) -> bool:
    # Errors come back as exceptions; what else MLIR says is shown at once.
    label = _SEVERITY.get(diagnostic.severity)
    if label is not None:
        print(f"{place_of(diagnostic.location)}: {label}: {diagnostic.message}", file=sys.stderr)
    return label is not None


def _name(options: Options) -> str:
    return "<stdin>" if options.input is None else str(options.input)
