"""What running on an emulated board needs, and the digits example that runs there."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from command import DIGITS_GOLDEN

from lowtide.emulate.backend import Array
from lowtide.emulate.backends.firmware import Board, board_of, find_compiler
from lowtide.errors import UsageError
from lowtide.targets import TARGETS


def need_board(target: str) -> Board:
    """The board with that core; skips where QEMU or a compiler for it is missing."""
    board = board_of(TARGETS[target])
    if shutil.which(board.qemu[0]) is None:
        pytest.skip(f"{board.qemu[0]} is not installed")
    try:
        find_compiler(board.family)
    except UsageError as error:
        pytest.skip(f"{error.message}: {error.remedy}")
    return board


def golden() -> tuple[Array, Array]:
    """The stored inputs and outputs of the digits network."""
    with np.load(DIGITS_GOLDEN) as stored:
        return stored["x"], stored["y"]


def build_object(target: str, source: str, path: Path) -> None:
    """Compile C to an object file for that core."""
    board = board_of(TARGETS[target])
    compiler = find_compiler(board.family)
    path.with_suffix(".c").write_text(source)
    command = [*compiler.command, *board.flags[compiler.kind], "-O1", "-ffreestanding", "-c", "-o", str(path)]
    done = subprocess.run([*command, str(path.with_suffix(".c"))], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
