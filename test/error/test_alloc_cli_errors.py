"""lowtide-alloc refuses bad files and bad arguments by name, with the line, and writes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from lowtide.cli import alloc as tool
from lowtide.cli.alloc import main

HEADER = "id,lower,upper,size\n"


def _refusal(path: Path, capfd: pytest.CaptureFixture[str], *options: str) -> str:
    output = path.with_name("out.csv")
    assert main([str(path), "-o", str(output), *options]) == 1
    assert not output.exists()
    message = capfd.readouterr().err
    assert message.startswith("lowtide-alloc: allocate at ") and "Traceback" not in message
    return message


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", None, "nothing in the file"),
        ("\n\n", None, "nothing in the file"),
        ("0,0,3,4\n", 1, "unknown column '0'"),
        ("id,lower,upper,size,gaps\n0,0,3,4,1-2\n", 1, "unknown column 'gaps'"),
        ("id,lower,upper,size,offset\n0,0,3,4,0\n", 1, "unknown column 'offset'"),
        ("id,lower,upper\n", 1, "no column 'size'"),
        ("id,lower,upper,size,size\n", 1, "the column 'size' is there twice"),
        (HEADER + "0,0,3,4\n\n1,0,3\n", 4, "3 fields under 4 columns"),
        (HEADER + "0,0,3,4,5\n", 2, "5 fields under 4 columns"),
        (HEADER + "0,zero,3,4\n", 2, "lower is 'zero'"),
        (HEADER + "0,0,3.5,4\n", 2, "upper is '3.5'"),
        (HEADER + "0,0,3,\n", 2, "size is ''"),
        (HEADER + f"0,0,3,{10**18}\n", 2, "size is '1000000000000000000'"),
        (HEADER + "0,0,3,0\n", 2, "size of 0 bytes"),
        (HEADER + "0,0,3,-4\n", 2, "size of -4 bytes"),
        (HEADER + f"0,0,3,{1 << 48}\n", 2, f"size of {1 << 48} bytes"),
        (HEADER + "0,3,3,4\n", 2, "live from 3 up to but without 3: never"),
        (HEADER + "a,0,3,4\nb,0,3,4\na,0,3,4\n", 4, "the id 'a' is that of line 2"),
        ("id,lower,upper,size,alignment\n0,0,3,4,0\n", 2, "alignment of 0 bytes"),
        (HEADER + '"0,0,3,4\n', 2, "not a row of CSV"),
    ],
)
def test_bad_files(
    text: str, line: int | None, message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    refusal = _refusal(path, capfd)
    assert message in refusal
    assert "remedy: " in refusal
    assert (f"{path}:{line}:" if line else f"{path}:") in refusal


def test_files_that_cannot_be_read(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert "No such file" in _refusal(tmp_path / "missing.csv", capfd)
    (tmp_path / "folder.csv").mkdir()
    assert "directory" in _refusal(tmp_path / "folder.csv", capfd)
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    assert "not text in UTF-8" in _refusal(tmp_path / "binary.csv", capfd)


def test_buffers_that_do_not_fit(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "tight.5.csv"
    path.write_text(HEADER + "0,0,2,3\n1,1,3,3\n")
    refusal = _refusal(path, capfd)
    assert "6 bytes are needed where 5 are given; fewer than 6 are proven impossible" in refusal
    assert "remedy: give a larger --capacity" in refusal


def test_an_output_that_cannot_be_written(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.csv"
    path.write_text(HEADER + "0,0,2,3\n")
    assert main([str(path), "-o", str(tmp_path / "missing" / "out.csv")]) == 1
    assert "cannot write" in capfd.readouterr().err


def test_an_unknown_strategy(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.csv"
    path.write_text(HEADER)
    assert main([str(path), "-o", str(tmp_path / "out.csv"), "--strategy", "best"]) == 2
    message = capfd.readouterr().err
    assert "unknown allocation strategy 'best'" in message and "local-search" in message


@pytest.mark.parametrize(
    "arguments",
    [[], ["x.csv"], ["x.csv", "-o"], ["x.csv", "-o", "y", "--capacity", "0"], ["x.csv", "-o", "y", "--capacity", "1k"]],
)
def test_usage(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "usage: lowtide-alloc" in capfd.readouterr().err


def test_bugs_and_interrupts_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr(tool, "_run", fail)
    failure: BaseException = ValueError("odd")
    assert main(["x.csv", "-o", "y"]) == 70
    assert "ValueError: odd" in (message := capfd.readouterr().err) and "bug of lowtide" in message
    failure = KeyboardInterrupt()
    assert main(["x.csv", "-o", "y"]) == 130
    assert "interrupted; nothing was written" in capfd.readouterr().err
