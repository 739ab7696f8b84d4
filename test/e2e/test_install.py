"""What `pip install .` installs: every file of the packages, commands that work from there, and types for scripts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {
    "python/lowtide": "lowtide",
    "dialects/lowtide_dialect": "lowtide_dialect",
    "firmware/lowtide_firmware": "lowtide_firmware",
    "typings/torch_mlir": "torch_mlir-stubs",
}
"""The folders that become packages, and the packages' names."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: a build leaves folders behind."""
    pytest.importorskip(
        "setuptools", minversion="77", reason="building the wheel needs setuptools 77: pip install -e .[dev]"
    )
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    _pip("wheel", "--no-deps", "--no-build-isolation", "-w", str(folder / "out"), str(folder))
    (path,) = (folder / "out").glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packages and bin/; the dependencies are those of this Python."""
    folder = tmp_path_factory.mktemp("installed")
    _pip("install", "--no-deps", "--no-index", "--target", str(folder), str(wheel))
    return folder


def test_the_wheel_has_every_file(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = {
        f"{package}/{path.relative_to(ROOT / folder).as_posix()}"
        for folder, package in PACKAGES.items()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names == expected


def test_the_command_works_from_there(installed: Path, tmp_path: Path) -> None:
    model = shutil.copy(ROOT / "examples" / "digits" / "digits_int8.tflite", tmp_path)
    command = [sys.executable, str(installed / "bin" / "lowtide"), "compile", str(model), "--target", "cortex-m4"]
    done = _run(installed, tmp_path, command)
    assert done.returncode == 0, done.stderr
    done = _run(
        installed, tmp_path, [sys.executable, str(installed / "bin" / "lowtide"), "run", "digits_int8-cortex-m4"]
    )
    assert done.returncode == 0, done.stderr


def test_lowtide_opt_works_from_there(installed: Path, tmp_path: Path) -> None:
    done = _run(
        installed, tmp_path, [sys.executable, str(installed / "bin" / "lowtide-opt"), "--canonicalize"], "module {}"
    )
    assert (done.returncode, done.stdout.strip()) == (0, "module {\n}"), done.stderr


def test_the_firmware_is_found_there(installed: Path, tmp_path: Path) -> None:
    code = "from lowtide.emulate.backends.firmware import firmware_directory; print(firmware_directory())"
    done = _run(installed, tmp_path, [sys.executable, "-c", code])
    assert done.stdout.strip() == str(installed / "lowtide_firmware"), done.stderr


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ("", "", "0 errors, 0 warnings"),
        ("rows=1", 'rows="1"', "reportArgumentType"),
        ("script.module, strategy", "script.modules, strategy", "reportAttributeAccessIssue"),
    ],
)
def test_a_sample_script_passes_strict_type_checks_there(
    installed: Path, tmp_path: Path, old: str, new: str, finding: str
) -> None:
    """The types of MLIR's bindings come with the wheel: nothing of the checkout is on the type checker's path."""
    pytest.importorskip("pyright", reason="checking types needs pyright: pip install -e .[dev]")
    sample = (ROOT / "examples" / "digits" / "script.py").read_text()
    (tmp_path / "sample.py").write_text(sample.replace(old, new, 1))
    (tmp_path / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--project", str(tmp_path)]
    done = _run(installed, tmp_path, command)
    assert (done.returncode, finding in done.stdout) == (int(new != ""), True), done.stdout + done.stderr


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _run(installed: Path, folder: Path, command: list[str], text: str = "") -> subprocess.CompletedProcess[str]:
    """Run with the installed packages before any other, away from the checkout."""
    environment = os.environ | {"PYTHONPATH": str(installed)}
    return subprocess.run(command, cwd=folder, env=environment, input=text, capture_output=True, text=True, check=False)
