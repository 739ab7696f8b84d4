"""Times the stages of a compile, tells who is listening, and dumps the IR after each."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lowtide.errors import InputError
from lowtide.ir import Module
from lowtide.output import write_file

DUMP_LIMIT = 64
"""Elements of a constant from which on a dump leaves it out."""


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
