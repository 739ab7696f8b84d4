"""Puts this folder on the import path: helpers that several kinds of test share live here."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from lowtide.artifact import Artifact


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """The digits network for cortex-m4, compiled once: to be read only."""
    from command import DIGITS

    from lowtide.artifact import compile_model

    return compile_model(DIGITS, target="cortex-m4", out=tmp_path_factory.mktemp("digits") / "out")


@pytest.fixture(scope="session")
def untiled_digits(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """The same with every layer whole."""
    from command import DIGITS

    from lowtide.artifact import compile_model

    out = tmp_path_factory.mktemp("untiled") / "out"
    return compile_model(DIGITS, target="cortex-m4", objective="untiled", out=out)


@pytest.fixture
def folder(digits: Artifact, tmp_path: Path) -> Path:
    """A copy of it to do anything with."""
    return Path(shutil.copytree(digits.directory, tmp_path / "folder"))
