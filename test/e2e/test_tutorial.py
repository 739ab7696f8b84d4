"""docs/tutorial.md works as written: its Python runs in order, its C compiles."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _blocks(language: str) -> list[str]:
    text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the tutorial's Python has run."""
    path = tmp_path_factory.mktemp("tutorial")
    (path / "examples").symlink_to(ROOT / "examples")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        names: dict[str, object] = {}
        for block in _blocks("python"):
            exec(compile(block, "docs/tutorial.md", "exec"), names)
    return path


def test_the_python_runs(folder: Path) -> None:
    assert (folder / "digits" / "report.json").is_file()
    assert not (folder / "too-small").exists()


def test_the_c_compiles(folder: Path) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler on this machine")
    (source,) = _blocks("c")
    command = [compiler, "-std=c99", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-x", "c", "-I", "digits", "-"]
    subprocess.run(command, input=source, text=True, check=True, cwd=folder)
