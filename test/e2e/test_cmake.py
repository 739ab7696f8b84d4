"""CMake: builds the example firmware around the digits network, runs it under QEMU, and refuses what can't work."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from boards import golden, need_board
from command import DIGITS, ROOT

from lowtide.artifact import Artifact, compile_model

pytestmark = pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is not installed")


def _cmake(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = ["cmake", *map(str, arguments)]
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )


def _configure(build: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return _cmake("-S", ROOT, "-B", build, f"-DPython3_EXECUTABLE={sys.executable}", *options)


def _output(build: Path) -> str:
    """The first output as the firmware printed it."""
    done = _cmake("--build", build, "--target", "run")
    assert done.returncode == 0, done.stdout
    assert "return code: 0" in done.stdout
    return done.stdout.split("output: ", 1)[1].split()[0]


@pytest.mark.parametrize("target", ["cortex-m4", "rv32imac"])
def test_build_and_run(target: str, tmp_path: Path) -> None:
    board = need_board(target)
    compile_model(DIGITS, target=target, out=tmp_path / "out")
    x, y = golden()
    np.save(tmp_path / "x.npy", x[0])
    build = tmp_path / "build folder"
    options = f"-DLOWTIDE_ARTIFACT={tmp_path / 'out'}", f"-DLOWTIDE_BOARD={board.name}"
    done = _configure(build, *options, f"-DLOWTIDE_INPUT={tmp_path / 'x.npy'}")
    assert done.returncode == 0, done.stdout
    assert _output(build) == y[0].tobytes().hex()
    # Other bytes in the same file: neither CMake's nor the compiler's cache may hide them.
    np.save(tmp_path / "x.npy", x[1])
    assert _output(build) == y[1].tobytes().hex()
    # The embedded ELF, and plain bytes.
    (tmp_path / "x.bin").write_bytes(x[2].tobytes())
    done = _configure(build, "-DLOWTIDE_CODE=elf", f"-DLOWTIDE_INPUT={tmp_path / 'x.bin'}")
    assert done.returncode == 0, done.stdout
    assert _output(build) == y[2].tobytes().hex()


def test_an_input_of_another_size(digits: Artifact, tmp_path: Path) -> None:
    need_board("cortex-m4")
    (tmp_path / "x.bin").write_bytes(b"\x01")
    options = f"-DLOWTIDE_ARTIFACT={digits.directory}", f"-DLOWTIDE_INPUT={tmp_path / 'x.bin'}"
    assert _configure(tmp_path / "build", *options).returncode == 0
    done = _cmake("--build", tmp_path / "build", "--target", "run")
    assert done.returncode != 0
    assert "the input file has not the size of the network's inputs" in done.stdout


def test_without_options_there_is_only_check(tmp_path: Path) -> None:
    done = _configure(tmp_path / "build")
    assert done.returncode == 0, done.stdout
    listed = _cmake("--build", tmp_path / "build", "--target", "help").stdout
    assert "check" in listed
    assert "example" not in listed


REFUSED = {
    "-DLOWTIDE_ARTIFACT=nowhere": "report.json: name a folder that `lowtide compile MODEL -o DIR` wrote",
    "-DLOWTIDE_BOARD=nucleo": "Unknown LOWTIDE_BOARD nucleo: choose one of mps2-an385,",
    "-DLOWTIDE_BOARD=mps3-an547": "mps3-an547 has not the core cortex-m4 that the network was compiled for",
    "-DLOWTIDE_CODE=hex": "LOWTIDE_CODE is object or elf, not hex",
    "-DLOWTIDE_COMPILER=msvc": "LOWTIDE_COMPILER is zig or gcc, not msvc",
    "-DLOWTIDE_INPUT=/nowhere/x.npy": "There is no /nowhere/x.npy",
}


@pytest.mark.parametrize("option", REFUSED)
def test_refusals(option: str, digits: Artifact, tmp_path: Path) -> None:
    if option != "-DLOWTIDE_COMPILER=msvc":
        need_board("cortex-m4")
    done = _configure(tmp_path / "build", f"-DLOWTIDE_ARTIFACT={digits.directory}", option)
    assert done.returncode != 0
    assert REFUSED[option] in " ".join(done.stdout.split())


def test_an_array_stored_column_by_column(digits: Artifact, tmp_path: Path) -> None:
    need_board("cortex-m4")
    np.save(tmp_path / "x.npy", np.asfortranarray(np.zeros((8, 8), np.int8)))
    options = f"-DLOWTIDE_ARTIFACT={digits.directory}", f"-DLOWTIDE_INPUT={tmp_path / 'x.npy'}"
    done = _configure(tmp_path / "build", *options)
    assert done.returncode != 0
    assert "stored column by column" in " ".join(done.stdout.split())
