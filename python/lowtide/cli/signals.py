"""Ctrl-C, a polite kill and a closed terminal: one exception, raised once, so that cleaning up is not disturbed."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """A signal came. Python ends a process by SIGINT once a plain `KeyboardInterrupt` has passed an `exec`."""


class Interrupts:
    """While it is entered, the first such signal raises `Interrupted`; later ones do nothing.

    Attributes:
        received: the signal's number, or None.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[signal.Signals, Any] = {}

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
        if self.received is None:
            self.received = number
            raise Interrupted

    def check(self) -> None:
        """Raise again what native code may have swallowed."""
        if self.received is not None:
            raise Interrupted

    @property
    def exit_code(self) -> int:
        """What a shell reports for a process that ended by the signal."""
        return 128 + (self.received or signal.SIGINT)
