"""Ctrl-C, a polite kill and a closed terminal: one exception, raised once, so that cleaning up is not disturbed.

Where a search can be cut short, the first Ctrl-C only asks for that.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Generator
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """A signal came. Python ends a process by SIGINT once a plain `KeyboardInterrupt` has passed an `exec`."""


class Interrupts:
    """While it is entered, the first such signal raises `Interrupted`; later ones do nothing.

    Attributes:
        received: the signal's number, or None.
        cut_short: a search has been asked to end with what it has.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[signal.Signals, Any] = {}
        self._asking = False
        self._asked = False
        self.cut_short = False

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                # nohup and a shell's `&` have it ignored, which stays.
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT and self._asking and not self._asked:
            self._asked = self.cut_short = True
        elif self.received is None:
            self.received = number
            raise Interrupted

    @contextlib.contextmanager
    def asked_first(self) -> Generator[Callable[[], bool]]:
        """While it is entered, the first Ctrl-C raises nothing: what this gives returns True from then on."""
        self._asking, self._asked = True, False
        try:
            yield lambda: self._asked
        finally:
            self._asking = False

    def check(self) -> None:
        """Raise again what native code may have swallowed."""
        if self.received is not None:
            raise Interrupted

    @property
    def exit_code(self) -> int:
        """What a shell reports for a process that ended by the signal."""
        return 128 + (self.received or signal.SIGINT)
