"""lowtide-opt's command line: exit codes, order, output, and what happens at a bug."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

from lowtide import passes
from lowtide.errors import InternalError
from lowtide.ir import Module
from lowtide.opt import driver
from lowtide.opt.main import main
from lowtide.opt.options import Action, parse_options
from lowtide.passes import Pass

SOUND = "func.func @f(%a: i32) -> i32 {\n  %x = arith.addi %a, %a : i32\n  return %a : i32\n}\n"
TOOL = Path(__file__).parents[2] / "tools" / "lowtide-opt"


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    path = tmp_path / "sound.mlir"
    path.write_text(SOUND)
    return path


def test_actions_keep_the_order_of_the_command_line() -> None:
    options = parse_options(
        ["--cse", "in.mlir", "--transform-script=s.mlir", "--pass-pipeline", "a,b", "--lowtide-outline=opt=1 x=2"]
    )
    assert options.input == Path("in.mlir")
    assert options.actions == (
        Action("flag", "cse"),
        Action("script", "s.mlir"),
        Action("pipeline", "a,b"),
        Action("flag", "lowtide-outline{opt=1 x=2}"),
    )


def test_each_command_line_starts_afresh() -> None:
    assert parse_options(["--cse"]).actions == (Action("flag", "cse"),)
    assert parse_options(["--cse"]).actions == (Action("flag", "cse"),)


def test_what_follows_a_double_dash_is_a_file() -> None:
    assert parse_options(["--", "--cse"]).input == Path("--cse")


@pytest.mark.parametrize("arguments", [["a.mlir", "b.mlir"], ["--elide-constants=x"], ["-z"], ["--output"]])
def test_usage_errors_exit_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: lowtide-opt" in capsys.readouterr().err


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for word in ("--lowtide-allocate", "--transform-script", "examples:", "exit codes:"):
        assert word in text


def test_the_result_is_printed(sound: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(sound), "--canonicalize"]) == 0
    output = capsys.readouterr().out
    assert "func.func @f" in output
    assert "arith.addi" not in output


def test_bytecode_is_read(tmp_path: Path, sound: Path, capsys: pytest.CaptureFixture[str]) -> None:
    context = driver.make_transform_context()
    with (tmp_path / "net.mlirbc").open("wb") as file:
        driver.read_module(sound, context).operation.write_bytecode(file)
    assert main([str(tmp_path / "net.mlirbc")]) == 0
    assert "func.func @f" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--nonesuch"], 2, "options at --nonesuch: 'nonesuch' does not refer to a registered pass"),
        (["--pass-pipeline=cse,"], 2, "an empty item between commas"),
        (["--pass-pipeline=affine-loop-unroll"], 2, "nest it: func.func(affine-loop-unroll)"),
        (["--transform-interpreter"], 1, "could not find a nested named sequence"),
        (["--transform-script=/nonesuch.mlir"], 1, "transform at /nonesuch.mlir: cannot read the file"),
        (["-o", "/nonesuch/out.mlir"], 1, "output at /nonesuch/out.mlir: cannot write: No such file"),
    ],
)
def test_refusals(
    arguments: list[str], code: int, message: str, sound: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(sound), *arguments]) == code
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""


def test_a_missing_file_exits_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "absent.mlir")]) == 1
    assert "cannot read the file: No such file or directory" in capsys.readouterr().err


def test_a_pass_that_works_on_functions_runs_on_each_when_it_is_a_flag(
    sound: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(sound), "--affine-loop-unroll=unroll-factor=2", "--tosa-to-linalg"]) == 0
    assert "func.func @f" in capsys.readouterr().out


def test_an_output_file_appears_only_when_all_went_well(tmp_path: Path, sound: Path) -> None:
    out = tmp_path / "out.mlir"
    assert main([str(sound), "--transform-interpreter", "-o", str(out)]) == 1
    assert not out.exists()
    assert main([str(sound), "-o", str(out)]) == 0
    assert "func.func @f" in out.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mlir", "sound.mlir"]


def test_split_parts_keep_their_line_numbers() -> None:
    parts = list(driver.split_parts("a\n// -----\n\n// ----- \nb\n// ----- not a separator\nc"))
    assert [part.lstrip("\n") for part in parts] == ["a\n", "b\n// ----- not a separator\nc"]
    assert parts[1].index("b") == 4


def test_diagnostics_from_standard_input_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = SOUND.replace("i32 {", "i64 {")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert main([]) == 1
    assert "<stdin>:3:3: error: type of return operand 0 ('i32')" in capsys.readouterr().err


def test_remarks_reach_standard_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "remark.mlir"
    path.write_text(
        "module attributes {transform.with_named_sequence} {\n"
        "  func.func private @f()\n"
        "  transform.named_sequence @__transform_main(%m: !transform.any_op {transform.readonly}) {\n"
        '    transform.debug.emit_remark_at %m, "seen" : !transform.any_op\n'
        "    transform.yield\n  }\n}\n"
    )
    assert main([str(path)]) == 0
    assert f"{path}:1:1: remark: seen" in capsys.readouterr().err


def test_list_passes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list-passes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(passes.PASSES)


@pytest.mark.parametrize(
    ("bug", "text"), [(RuntimeError("boom"), "RuntimeError: boom"), (InternalError("x", "broken"), "x: broken")]
)
def test_a_bug_exits_with_70_and_says_how_to_report_it(
    bug: Exception, text: str, sound: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(_module: Module, _options: object) -> None:
        raise bug

    monkeypatch.setattr(passes, "PASSES", {"lowtide-outline": Pass("lowtide-outline", "fails", run)})
    assert main([str(sound), "--lowtide-outline"]) == 70
    error = capsys.readouterr().err
    assert text in error
    assert "Please open an issue" in error


def test_a_reader_that_stops_early_is_no_error(sound: Path) -> None:
    done = subprocess.run(
        f'"{sys.executable}" "{TOOL}" "{sound}" | true; exit "${{PIPESTATUS[0]}}"',
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
