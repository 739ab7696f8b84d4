"""lowtide's passes by name, and pipelines that mix them with MLIR's own.

One pass is one file that defines `PASS = Pass(…)`; it is listed in `_WHERE`, and imported when it is first used, so
that tools start fast. The bindings, too, are loaded only when something runs.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lowtide.errors import InputError, InternalError, UsageError

if TYPE_CHECKING:
    from lowtide import ir

_ANCHOR = "builtin.module"
_OPENING = "([{"
_CLOSING = ")]}"
_WHERE = {
    "lowtide-import-tosa": "lowtide.importer.tosa:PASS",
    "lowtide-normalise": "lowtide.normalise.normalise:PASS",
    "lowtide-outline": "lowtide.normalise.outline:PASS",
    "lowtide-schedule": "lowtide.normalise.schedule:PASS",
    "lowtide-bufferise": "lowtide.bufferise.bufferise:PASS",
    "lowtide-allocate": "lowtide.bufferise.allocate:PASS",
    "lowtide-kernels": "lowtide.emission.emit:PASS",
}


@dataclass(frozen=True)
class Pass:
    """One step over a module.

    Attributes:
        name: as pipelines and `lowtide-opt` call it, `lowtide-…`.
        description: one line, without a full stop.
        run: rewrites the module in place; gets the options of the pipeline text, values as written.
        options: the names it knows.
    """

    name: str
    description: str
    run: Callable[[ir.Module, Mapping[str, str]], None]
    options: tuple[str, ...] = ()


class _Registry(Mapping[str, Pass]):
    def __getitem__(self, name: str) -> Pass:
        module, attribute = _WHERE[name].split(":")
        found: Pass = getattr(importlib.import_module(module), attribute)
        if found.name != name:
            raise InternalError("passes", f"{_WHERE[name]} is called {found.name}, not {name}")
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(_WHERE)

    def __len__(self) -> int:
        return len(_WHERE)


PASSES: Mapping[str, Pass] = _Registry()


@dataclass(frozen=True)
class Step:
    """One top-level item of a pipeline.

    Attributes:
        text: as written, e.g. `func.func(cse)`.
        name: the pass's or the nested anchor's name.
        options: parsed, for lowtide's passes only.
        nests: one of MLIR's passes that works on functions alone runs on each, instead of being refused.
    """

    text: str
    name: str
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    nests: bool = False

    @property
    def ours(self) -> bool:
        """Whether lowtide's registry, and not MLIR's, has the pass."""
        return self.name in PASSES


def run_passes(module: ir.Module, pipeline: str, *, after: Callable[[Step, ir.Module], None] | None = None) -> None:
    """Run a pipeline in place; the module is verified after every step, and nothing runs if one name is unknown.

    Args:
        module: what every top-level step runs on.
        pipeline: `builtin.module(…)`, or its content alone; lowtide's passes at top level, MLIR's anywhere.
        after: called when a step is done.

    Raises:
        UsageError: the text is malformed or names an unknown pass.
        InputError: a step refuses the module.
        InternalError: one of lowtide's passes left invalid IR.
    """
    steps = parse_pipeline(pipeline)
    for step in steps:
        check_step(step, module.context)
    run_steps(module, steps, after=after)


def run_steps(
    module: ir.Module, steps: Iterable[Step], *, after: Callable[[Step, ir.Module], None] | None = None
) -> None:
    """Run steps that `check_step` has accepted, in place, as `run_passes` does."""
    from lowtide.ir import verify

    for step in steps:
        if step.ours:
            PASSES[step.name].run(module, step.options)
            verify(module, stage=step.name, error=InternalError)
        else:
            _run_upstream(module, step)
        if after is not None:
            after(step, module)


def _run_upstream(module: ir.Module, step: Step) -> None:
    from lowtide.ir import run_pipeline

    try:
        run_pipeline(module, f"{_ANCHOR}({step.text})", stage=step.name)
    except InputError as error:
        # MLIR finds this out when it schedules, before anything has run.
        if "unable to schedule pass" not in error.message:
            raise
        if not step.nests:
            remedy = f"nest it: func.func({step.text})"
            raise UsageError("pipeline", "the pass does not run on modules", where=step.text, remedy=remedy) from None
        run_pipeline(module, f"{_ANCHOR}(func.func({step.text}))", stage=step.name)


def check_step(step: Step, context: ir.Context) -> None:
    """Refuse a step that names no pass, before anything runs.

    Raises:
        UsageError: neither lowtide nor MLIR knows the pass or its options.
    """
    from lowtide.ir import PassManager

    if step.ours:
        known = PASSES[step.name].options
        unknown = [name for name in step.options if name not in known]
        if unknown:
            remedy = f"it knows {', '.join(known)}" if known else "it has none"
            raise UsageError("pipeline", f"{step.name} has no option '{unknown[0]}'", where=step.text, remedy=remedy)
        return
    try:
        PassManager.parse(f"{_ANCHOR}({step.text})", context)
    except ValueError as error:
        remedy = "lowtide-opt --list-passes names lowtide's passes; they stand at top level, not inside func.func(…)"
        raise UsageError("pipeline", _reason(str(error)), where=step.text, remedy=remedy) from None


def parse_pipeline(text: str) -> tuple[Step, ...]:
    """Split a pipeline at its top-level commas.

    Raises:
        UsageError: brackets do not balance, or an item is empty.
    """
    inner = text.strip()
    if inner.startswith(f"{_ANCHOR}(") and inner.endswith(")"):
        inner = inner[len(_ANCHOR) + 1 : -1]
    if not inner.strip():
        return ()
    return tuple(_step(item.strip(), text) for item in _split(inner, ",", text))


def _step(item: str, pipeline: str) -> Step:
    if not item:
        raise UsageError("pipeline", "an empty item between commas", where=pipeline)
    name = item.split("{", 1)[0].split("(", 1)[0].strip()
    if name not in PASSES:
        return Step(item, name)
    rest = item[len(name) :].strip()
    if not rest:
        return Step(item, name)
    if not (rest.startswith("{") and rest.endswith("}")):
        raise UsageError("pipeline", f"options of {name} are written {name}{{key=value …}}", where=item)
    return Step(item, name, _options(rest[1:-1], pipeline))


def _options(text: str, pipeline: str) -> dict[str, str]:
    # As in MLIR: `key=value` items between blanks; a key alone switches a flag on.
    options: dict[str, str] = {}
    for word in _split(text.strip(), " ", pipeline):
        if word:
            key, equals, value = word.partition("=")
            options[key] = value if equals else "true"
    return options


def _split(text: str, separator: str, pipeline: str) -> list[str]:
    parts: list[str] = []
    opened: list[str] = []
    quote = ""
    start = 0
    for at, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char in _OPENING:
            opened.append(_CLOSING[_OPENING.index(char)])
        elif char in _CLOSING:
            if not opened or opened.pop() != char:
                raise UsageError("pipeline", f"'{char}' closes nothing", where=pipeline)
        elif char == separator and not opened:
            parts.append(text[start:at])
            start = at + 1
    if opened or quote:
        raise UsageError("pipeline", f"'{quote or opened[-1]}' is missing at the end", where=pipeline)
    return [*parts, text[start:]]


def _reason(message: str) -> str:
    # MLIR's text is "…Parser:1:1: error: REASON", then the pipeline and a caret.
    return message.split("error: ", 1)[-1].strip().split("\n", 1)[0]
