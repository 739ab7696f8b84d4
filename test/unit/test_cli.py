"""The command line: its grammar, its tables at 80 columns, its exit codes, and streams that break."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command import DIGITS, DIGITS_GOLDEN, SHARED, lowtide, refused, shell
from rich.console import Console

from lowtide.artifact import Artifact, compile_model
from lowtide.bench import BENCHMARKS
from lowtide.bench._radar import radar_gestures
from lowtide.cli.arguments import parse_size
from lowtide.report.table import Column, middle_cut, table_lines
from lowtide.verification import run_artifact


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1), ("32768", 32768), ("32K", 32768), ("32k", 32768), (" 32 KiB ", 32768), ("1.5M", 1572864),
        ("2kb", 2048), ("0.5k", 512), ("1B", 1), ("4294967296", 1 << 32),
    ],
)  # fmt: skip
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    [
        "",
        "K",
        "-1",
        "+1",
        "1e3",
        "1.5",
        "0",
        "0.0001K",
        "12x",
        "1 0",
        "0x10",
        "١",
        "inf",
        "1,000",
        "4294967297",
        "9" * 30,
    ],
)
def test_no_sizes(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        parse_size(text)
    assert "--ram" in refused(2, "compile", DIGITS, "--target", "cortex-m4", f"--ram={text}")


@pytest.mark.parametrize(
    "arguments",
    [
        ("bench",), ("bench", "nothing"),
        (), ("nothing",), ("compile",), ("compile", "x.tflite"), ("run",), ("inspect",), ("verify", "x.tflite"),
        ("compile", "x.tflite", "--target", "cortex-m4", "--objective", "smallest"), ("run", "x", "--artifact", "exe"),
        ("run", "x", "--seed", "-1"), ("run", "x", "--seed", "1.5"), ("run", "x", "--seed", "9" * 5000),
        ("verify", "x", "--target", "cortex-m4", "-n", "0"), ("verify", "x", "--target", "cortex-m4", "-n", "²"),
        ("verify", "x", "--target", "cortex-m4", "-n", "1000000000"),
    ],
)  # fmt: skip
def test_usage_errors_are_2_and_show_the_usage(arguments: tuple[str, ...]) -> None:
    assert "usage: lowtide" in refused(2, *arguments)


def test_help_teaches() -> None:
    for command in ("compile", "run", "verify", "inspect", "plan-tflite"):
        help_text = lowtide(command, "--help")
        assert help_text.code == 0
        assert len(help_text.out) > 300
        assert command == "inspect" or "examples:" in help_text.out
        assert max(map(len, help_text.out.splitlines())) <= 120
    top = lowtide("--help").out
    assert "exit codes" in top
    assert all(command in top for command in ("compile", "run", "verify", "inspect", "plan-tflite", "bench"))
    group = lowtide("bench", "--help").out
    assert BENCHMARKS
    for name, benchmark in BENCHMARKS.items():
        assert re.search(rf"^ +{name}(?:  |$)", group, re.MULTILINE)
        help_text = lowtide("bench", name, "--help").out
        assert benchmark.examples in help_text
        assert max(map(len, help_text.splitlines())) <= 120
    assert re.fullmatch(r"lowtide \d+\.\d+\.\d+\n", lowtide("--version").out)


# Tables.


def test_names_are_cut_in_the_middle() -> None:
    assert middle_cut("short", 5) == "short"
    assert middle_cut("blocks/1/inverted/Relu6", 12) == "bloc…d/Relu6"
    assert all(len(middle_cut("x" * 50, width)) == width for width in range(1, 50))


def test_figures_are_never_cut() -> None:
    names, figures = ["n" * 60, "short"], ["123,456,789", "1"]
    for width in range(1, 100):
        lines = table_lines([Column("name", names, cut=True), Column("MACs", figures, right=True)], width)
        assert all(line.endswith(figure) for line, figure in zip(lines, ["MACs", *figures], strict=True))
        assert len(lines[1]) <= max(width, 12 + 2 + 11)
        assert lines[1].startswith("n" * 60) == (width >= 60 + 2 + 11)


def test_an_optional_column_goes_before_names_suffer() -> None:
    columns = [Column("name", ["n" * 40], cut=True), Column("inputs", ["i" * 20], optional=True), Column("x", ["1"])]
    assert "inputs" not in table_lines(columns, 40)[0]
    assert "inputs" in table_lines(columns, 60)[0]
    assert "inputs" in table_lines([Column("name", ["n"], cut=True), *columns[1:]], 40)[0]


@pytest.mark.parametrize(
    "model",
    [
        DIGITS, SHARED / "models/mlperf-tiny/kws_ref_model.tflite", SHARED / "models/mcunet/mcunet-10fps_vww.tflite",
        SHARED / "models/mcunet/mcunet-320kb-1mb_imagenet.tflite",
    ],
    ids=lambda model: model.stem,
)  # fmt: skip
def test_inspect_is_readable_at_80_columns(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not model.is_file():
        pytest.skip(f"{model.name} is not there")
    monkeypatch.setenv("COLUMNS", "80")
    lines = lowtide("inspect", model).out.splitlines()
    assert max(map(len, lines)) <= 80
    assert all(line == line.rstrip() for line in lines)
    layers = [line for line in lines if re.match(r" *\d+  ", line)]
    assert lines[0].split() == ["step", "layer", "kind", "output", "MACs", "weights", "live", "bound"]
    figures = re.compile(r" *\d+  (\S.{10,}?)  +[a-z]+ +[\d×]+( \w+)? +[\d,]+ +[\d,]+ +[\d,]+ +[\d,]+(  ←)?")
    assert all(figures.fullmatch(line) for line in layers), layers
    assert sum("←" in line for line in layers) == 1
    monkeypatch.setenv("COLUMNS", "300")
    wide = lowtide("inspect", model).out
    assert "…" not in wide
    assert wide.split()[:4] == ["step", "layer", "kind", "inputs"]


def test_inspect_says_where_the_peak_is() -> None:
    out = lowtide("inspect", DIGITS).out
    assert "the peak (←, step 3) holds:" in out
    assert re.search(r"^ +1,024  digits_1/re_lu_1/Relu  8×8×16 int8$", out, re.MULTILINE)
    assert "37,376 MACs; layer by layer 3,072 bytes" in out
    assert "with overlap at least 2,078 bytes (within a layer)" in out


def test_verbose_shows_stages_with_times(tmp_path: Path) -> None:
    outcome = lowtide("compile", DIGITS, "--target", "cortex-m4", "-o", tmp_path / "out", "-v")
    assert re.findall(r"^  (\w+) +\d+\.\d{3} s$", outcome.err, re.MULTILINE) == [
        "import", "normalise", "plan", "transform", "outline", "allocate", "kernels", "codegen", "files",
    ]  # fmt: skip
    assert "s\n" not in lowtide("inspect", DIGITS).err


# Commands.


def test_compile_tells_the_figures(tmp_path: Path) -> None:
    out = lowtide("compile", DIGITS, "--target", "rv32imac", "--ram", "32K", "-o", tmp_path / "[red]x[/red]:smile:").out
    assert [line.split()[0] for line in out.splitlines()] == [
        "RAM",
        "arena",
        "stack",
        "data",
        "flash",
        "MACs",
        "written",
    ]
    assert out.endswith("written to " + str(tmp_path / "[red]x[/red]:smile:") + "\n")


def test_run_prints_and_saves(folder: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((8, 8, 1), np.int8))
    outcome = lowtide("run", folder, "--input", tmp_path / "x.npy", "--save", tmp_path / "y")
    assert outcome.code == 0
    assert re.search(r"^instructions +[\d,]+", outcome.out, re.MULTILINE)
    saved = np.load(tmp_path / "y")
    assert saved.shape == (1, 10)
    assert saved.dtype == np.int8
    host = lowtide("run", folder, "--input", tmp_path / "x.npy", "--backend", "host")
    assert host.out.splitlines()[0] == outcome.out.splitlines()[0]
    assert lowtide("run", folder, "--artifact", "elf", "--seed", "3").code == 0


def test_verify_passes_on_the_golden_data() -> None:
    outcome = lowtide("verify", DIGITS, "--target", "cortex-m4", "--golden", DIGITS_GOLDEN, "-n", "3")
    assert outcome.code == 0
    assert "3 runs (3 emulated) against digits_golden.npz" in outcome.out
    assert "max difference 0, 0 of 30 elements differ" in outcome.out
    assert outcome.out.endswith("equal\n")


def test_one_wrong_value_is_exit_code_3(tmp_path: Path) -> None:
    golden = np.load(DIGITS_GOLDEN)
    wrong = golden["y"][:3].copy()
    wrong[1].flat[4] ^= 1
    np.savez(tmp_path / "wrong.npz", x=golden["x"][:3], y=wrong)
    outcome = lowtide("verify", DIGITS, "--target", "cortex-m4", "--golden", tmp_path / "wrong.npz")
    assert outcome.code == 3
    assert "max difference 1, 1 of 30 elements differ" in outcome.out
    assert "DIFFERENT" in outcome.out
    assert "the outputs differ from the reference" in outcome.err
    # Nobody reads what it prints, and still it tells.
    piped = shell(
        "$L verify $1 --target cortex-m4 --golden $2 | true; exit ${PIPESTATUS[0]}",
        DIGITS,
        tmp_path / "wrong.npz",
        cwd=tmp_path,
    )
    assert piped.code == 3


# Streams that break.


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("$L inspect $1 | head -1; exit ${PIPESTATUS[0]}", 0),
        ("$L inspect $1 2>&1 | true; exit ${PIPESTATUS[0]}", 0),
        ("$L --help | true; exit ${PIPESTATUS[0]}", 0),
        ("$L inspect nothing.tflite 2>&1 | true; exit ${PIPESTATUS[0]}", 1),
        ("$L inspect $1 >&-", 0),
        ("$L inspect $1 >&- 2>&- <&-", 0),
        ("$L inspect nothing.tflite >&- 2>&-", 1),
        ("$L inspect $1 >/dev/full", 1),
    ],
)
def test_broken_streams(script: str, code: int, tmp_path: Path) -> None:
    outcome = shell(script, DIGITS, cwd=tmp_path)
    assert outcome.code == code, outcome
    assert "Exception ignored" not in outcome.err
    if "/dev/full" in script:
        assert "No space left on device" in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_a_broken_pipe_does_not_stop_a_compile(tmp_path: Path, digits: Artifact) -> None:
    outcome = shell("$L compile $1 --target cortex-m4 -o out | true; exit ${PIPESTATUS[0]}", DIGITS, cwd=tmp_path)
    assert outcome.code == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {path.name for path in digits.directory.iterdir()}


def test_narrow_encodings_and_wild_names(tmp_path: Path) -> None:
    script = "cp $1 $'\\xff[b]\\e[31m.tflite'; $L inspect $'\\xff[b]\\e[31m.tflite'; $L inspect $'\\xfe\\e[31m.tflite'"
    outcome = shell(script, DIGITS, cwd=tmp_path, extra={"PYTHONIOENCODING": "ascii"})
    assert outcome.code == 1
    assert "8\\xd78\\xd716" in outcome.out
    assert outcome.err == "lowtide: importer at \\udcfe\\ufffd[31m.tflite: no such file\n"


def test_bench_alloc_prints_problems_and_the_curve(tmp_path: Path) -> None:
    rows = ["0,0,2,4", "1,1,3,4", "2,2,4,4"]
    for capacity in (8, 6):
        (tmp_path / f"P{capacity}.{capacity}.csv").write_text("\n".join(["id,lower,upper,size", *rows, ""]))
    (tmp_path / "other.csv").write_text("not a problem")
    outcome = lowtide("bench", "alloc", tmp_path, "--strategy", "exact")
    assert outcome.code == 0, outcome
    lines = [line.split() for line in outcome.out.splitlines()]
    assert [line[:5] + line[6:7] + line[8:] for line in lines[1:3]] == [
        ["P6", "3", "6", "8", "8", "8", "33.3%"],
        ["P8", "3", "8", "8", "8", "8", "fits"],
    ]
    assert lines[0].count("exact") == 1
    curve = {line[0]: line[1:] for line in lines[4:]}
    assert list(curve) == ["100", "200", "500", "1,000", "2,000", "5,000"]
    assert all(len(figures) == 4 and float(figures[2]) > 0 for figures in curve.values())


def test_bench_alloc_refuses_what_is_no_folder_of_problems(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere", DIGITS):
        assert "no problem with a capacity in its name" in refused(2, "bench", "alloc", folder)
    (tmp_path / "P.8.csv").write_text("id,lower,upper,size\n0,0,2,4\n")
    assert "choose one of auto, exact" in refused(2, "bench", "alloc", tmp_path, "--strategy", "best")
    (tmp_path / "Q.8.csv").write_text("id,lower\n")
    assert "Q.8.csv:1: no column 'upper'" in refused(1, "bench", "alloc", tmp_path)


def test_bench_papers_measures_what_it_is_given(tmp_path: Path) -> None:
    """The radar network is made by the command; the other figures need files that are not the project's."""
    outcome = lowtide("bench", "papers", "--markdown")
    assert outcome.code == 0
    heading, rule, row = outcome.out.splitlines()
    assert len({line.count("|") for line in (heading, rule, row)}) == 1
    name, baseline, overlap, _, macs, spatial, *_ = (cell.strip() for cell in row.strip("|").split("|"))
    # 64 × 32 × 16 bytes of the first convolution's output, and its input or what is pooled from it
    assert (name, baseline, macs) == ("RAD", f"{64 * 32 * (4 + 16):,}", "×1.00")
    assert int(spatial.replace(",", "")) < int(overlap.replace(",", "")) < 40_960
    assert "KWS is not there: no kws_ref_model.tflite" in refused(2, "bench", "papers", tmp_path)
    assert "no folder was given" in refused(2, "bench", "papers", "--only", "TXT")


def test_bench_papers_keeps_what_is_done_when_it_is_interrupted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "kws_ref_model.tflite").write_bytes(DIGITS.read_bytes())
    arguments = argparse.Namespace(folder=tmp_path, only=["KWS", "RAD"], markdown=True)

    def interrupted_at(stage: str) -> Callable[[str], None]:
        def listen(now: str) -> None:
            if now == stage:
                raise KeyboardInterrupt

        return listen

    BENCHMARKS["papers"].measure(arguments, interrupted_at("RAD, channels only"))(Console(width=400))
    _, _, row = capsys.readouterr().out.splitlines()
    assert row.startswith("| KWS | ")
    with pytest.raises(KeyboardInterrupt):
        BENCHMARKS["papers"].measure(arguments, interrupted_at("KWS, overlap only"))


def test_the_radar_network_gives_the_same_untiled_and_fused(tmp_path: Path) -> None:
    model = tmp_path / "radar.tflite"
    model.write_bytes(radar_gestures())
    outputs: list[list[object]] = []
    for objective in ("untiled", "free"):
        artifact = compile_model(model, target="cortex-m4", objective=objective, out=tmp_path / objective)
        outputs.append([run_artifact(artifact.directory, seed=seed).outputs[0].tolist() for seed in range(2)])
    assert outputs[0] == outputs[1] and outputs[0][0] != outputs[0][1]
