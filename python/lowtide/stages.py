"""Times the stages of a compile, tells who is listening, and dumps the IR after each."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lowtide.errors import InputError
from lowtide.ir import Module
from lowtide.output import write_file
from lowtide.plan.watch import Watch, unwatched

DUMP_LIMIT = 64
"""Elements of a constant from which on a dump leaves it out."""


class Listener(ABC):
    """Listens to a compile, and to the search in it, which it may end: a plain function hears the stages alone."""

    @abstractmethod
    def __call__(self, stage: str) -> None:
        """A stage begins."""

    @abstractmethod
    def search(self) -> AbstractContextManager[Watch]:
        """While it is entered, a search asks the function that it gives whether to go on."""


@dataclass
class Stages:
    """The record of one compile.

    Args:
        listen: called with a stage's name when it begins.
        dump_dir: where the IR after each stage goes, or None.
    """

    listen: Callable[[str], None] = lambda _: None
    dump_dir: Path | None = None
    seconds: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])

    @contextmanager
    def stage(self, name: str, module: Module | None = None) -> Generator[None]:
        """Time a stage; dump `module` when it is done."""
        self.listen(name)
        start = time.perf_counter()
        yield
        self.seconds.append((name, round(time.perf_counter() - start, 3)))
        if module is not None:
            self.dump(name, module)

    @contextmanager
    def search(self) -> Generator[Watch]:
        """While it is entered, a search goes on; gives what watches it."""
        if not isinstance(self.listen, Listener):
            yield unwatched
            return
        with self.listen.search() as watch:
            yield watch

    def dump(self, name: str, module: Module) -> None:
        """Write the IR to `NN-stage.mlir` in the dump folder, if there is one."""
        if self.dump_dir is None:
            return
        path = self.dump_dir / f"{len(self.seconds):02}-{name}.mlir"
        text = module.operation.get_asm(large_elements_limit=DUMP_LIMIT) + "\n"
        try:
            self.dump_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            message = f"cannot make the folder for dumps: {error.strerror}"
            raise InputError(
                "compile", message, where=str(self.dump_dir), remedy="choose another --dump-dir"
            ) from error
        write_file(path, text, "compile")
