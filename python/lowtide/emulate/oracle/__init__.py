"""The oracle: what a `.tflite` model must compute, said by LiteRT Micro or, where it lacks an operator, by LiteRT.

LiteRT Micro is what the field runs on microcontrollers, and its integers are the exact reference. Both engines can
abort on a model; they run in child processes, which are kept for further models and started anew where they died.
"""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

from lowtide.emulate.backend import Array
from lowtide.emulate.children import cause_of_death, end_child, start_child
from lowtide.emulate.oracle.engines import ENGINES
from lowtide.errors import OracleError
from lowtide.messages import arrays_in, receive, send, with_arrays

__all__ = ["ENGINES", "Answer", "Oracle"]

_SECONDS = 300
_LONGEST_REASON = 300
_REMEDY = "compare with stored outputs: --golden FILE.npz"


@dataclass(frozen=True)
class Answer:
    """Reference outputs.

    Attributes:
        outputs: `[run][output]`.
        engine: a name of `ENGINES`.
        refusals: what engines before that one said, by their titles.
        static: the engine refused the file and was given the network with its shapes computed beforehand.
    """

    outputs: tuple[tuple[Array, ...], ...]
    engine: str
    refusals: tuple[tuple[str, str], ...] = ()
    static: bool = False

    @property
    def title(self) -> str:
        """How people call the engine."""
        return ENGINES[self.engine].title


class Oracle:
    """Asks the engines in turn; a context manager that ends their processes.

    Args:
        engines: names of `ENGINES`, the first choice first.

    Raises:
        OracleError: none of them is installed.
    """

    def __init__(self, engines: Sequence[str] = tuple(ENGINES)) -> None:
        self._engines = [name for name in engines if ENGINES[name].installed]
        self._children: dict[str, _Child] = {}
        if not self._engines:
            titles = " nor ".join(ENGINES[name].title for name in engines)
            remedy = f"pip install 'lowtide[verify]', or {_REMEDY}"
            raise OracleError("verify", f"neither {titles} is installed", remedy=remedy)

    def __enter__(self) -> Oracle:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the child processes."""
        for child in self._children.values():
            child.close()
        self._children.clear()

    def run(
        self,
        model: bytes,
        runs: Sequence[Sequence[Array]],
        where: str = "the model",
        *,
        first: str | None = None,
        static: bytes | None = None,
    ) -> Answer:
        """The outputs of a model for each run, `runs[run][input]`, of the first engine that takes the model.

        Args:
            model: the bytes of a `.tflite` file.
            runs: one array per input in the file's order, with the input's dtype and number of elements.
            where: how messages call the model.
            first: an engine to ask before the others, where it is installed.
            static: the same network for an engine that refuses `model`, with its shapes computed beforehand.

        Raises:
            OracleError: every engine refuses the model, dies of it, or takes more than five minutes.
        """
        refusals: list[tuple[str, str]] = []
        for name in sorted(self._engines, key=lambda name: name != first):
            child = self._children.get(name) or self._children.setdefault(name, _Child(name))
            found = child.ask(model, runs)
            if not isinstance(found, str):
                return Answer(found, name, tuple(refusals))
            refusals.append((ENGINES[name].title, found))
            again = child.ask(static, runs) if static is not None else found
            if not isinstance(again, str):
                return Answer(again, name, tuple(refusals), static=True)
        said = "; ".join(f"{title}: {reason}" for title, reason in refusals)
        raise OracleError("verify", f"no reference engine takes the model: {said}", where=where, remedy=_REMEDY)


class _Child:
    """One engine's process."""

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, model: bytes, runs: Sequence[Sequence[Array]]) -> tuple[tuple[Array, ...], ...] | str:
        """The outputs, or why there are none."""
        process = self._started()
        assert process.stdin is not None and process.stdout is not None
        late = threading.Timer(_SECONDS, process.kill)
        late.start()
        try:
            arrays = [array for inputs in runs for array in inputs]
            send(process.stdin, with_arrays({"runs": len(runs)}, arrays, model))
            answer = receive(process.stdout)
        except (EOFError, BrokenPipeError):
            return self._death(late)
        finally:
            late.cancel()
        if "refused" in answer.header:
            return str(answer.header["refused"])[:_LONGEST_REASON]
        outputs = arrays_in(answer)
        width = len(outputs) // len(runs) if runs else 0
        return tuple(tuple(outputs[run * width : (run + 1) * width]) for run in range(len(runs)))

    def close(self) -> None:
        """End the process; the next question starts another."""
        if self._process is not None:
            end_child(self._process)
            self._process = None

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is not None:
            self.close()
        if self._process is None:
            # Ctrl-C is for the one who asks: the child ends with its pipe
            self._process = start_child(
                "lowtide.emulate.oracle.child",
                self._engine,
                environment={"MALLOC_ARENA_MAX": "1"},
                own_session=True,
            )
        return self._process

    def _death(self, late: threading.Timer) -> str:
        assert self._process is not None
        code = self._process.wait()
        expired = not late.is_alive() and code == -signal.SIGKILL
        self.close()
        return f"it did not finish in {_SECONDS} s" if expired else f"it crashed ({cause_of_death(code)})"
