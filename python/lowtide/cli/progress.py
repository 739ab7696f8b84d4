"""What is going on: a spinner on a terminal, with `-v` a line for each stage when it is done."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator

from rich.status import Status

from lowtide.cli.signals import Interrupts
from lowtide.cli.streams import Output
from lowtide.plan.watch import Progress, Watch
from lowtide.stages import Listener

ENDED = "lowtide: interrupted; the search ends with what it has found so far (a second Ctrl-C ends the program)"


class _Listener(Listener):
    def __init__(self, errors: Output, status: Status | None, interrupts: Interrupts, *, verbose: bool) -> None:
        self._errors = errors
        self._status = status
        self._verbose = verbose
        self._interrupts = interrupts
        self._current: tuple[str, float] | None = None

    def __call__(self, stage: str) -> None:
        self._interrupts.check()
        self.finish()
        self._current = stage, time.perf_counter()
        self._say(stage)

    def _say(self, text: str) -> None:
        if self._status is not None:
            self._status.update(f"{text} …")

    def finish(self) -> None:
        """The stage is over."""
        if self._current is not None and self._verbose:
            name, start = self._current
            self._errors.print(f"  {name:<12}{time.perf_counter() - start:8.3f} s")
        self._current = None

    @contextlib.contextmanager
    def search(self) -> Generator[Watch]:
        with self._interrupts.asked_first() as asked:
            best: list[int] = []

            def watch(progress: Progress) -> bool:
                self._interrupts.check()
                if asked():
                    return False
                self._say(f"plan: {progress}")
                if self._verbose and (not best or progress.best_bytes < best[-1]):
                    best.append(progress.best_bytes)
                    self._errors.print(f"  plan: {progress}")
                return True

            yield watch
            if asked():
                self._errors.print(ENDED)


@contextlib.contextmanager
def progress(errors: Output, verbose: bool, interrupts: Interrupts) -> Generator[Listener]:
    """Shows the stages while it is entered.

    Args:
        errors: standard error.
        verbose: a line for each stage when it is done, and for each better plan.
        interrupts: asked before each stage, and all through a search.
    """
    with errors.status("starting") if errors.is_terminal else contextlib.nullcontext() as status:
        listener = _Listener(errors, status, interrupts, verbose=verbose)
        yield listener
        listener.finish()
