"""What a hostile, impatient user does: every failure is one message, the right exit code and nothing left behind."""

from __future__ import annotations

import json
import os
import random
import re
import resource
import signal
import subprocess
import time
from collections.abc import Generator
from pathlib import Path

import numpy as np
import pytest
from command import DIGITS, DIGITS_GOLDEN, MODULE, SHARED, environment, lowtide, refused, shell

from lowtide.artifact import Artifact, compile_model

COMPILED = {
    "digits_int8.o", "digits_int8.h", "digits_int8.elf", "digits_int8.vmfb", "digits_int8.plan.mlir", "report.json",
    "memory_map.svg",
}  # fmt: skip


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, and beside it one for temporary files that must be empty in the end."""
    scratch, here = tmp_path / "tmp", tmp_path / "here"
    scratch.mkdir()
    here.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.chdir(here)
    return here


def compile_refused(code: int, model: str | Path, *options: str | Path, target: str = "cortex-m4") -> str:
    """What a compile says that must fail and leave nothing."""
    before = names(Path())
    message = refused(code, "compile", model, "--target", target, *options)
    assert names(Path()) == before
    assert names(Path("../tmp")) == set()
    return message


# Models that are none.


@pytest.mark.parametrize(
    "command", [("compile", "--target", "cortex-m4"), ("inspect",), ("verify", "--target", "host")]
)
def test_no_model(command: tuple[str, ...], alone: Path) -> None:
    (alone / "folder.tflite").mkdir()
    (alone / "zero.tflite").symlink_to("/dev/zero")
    (alone / "dangling.tflite").symlink_to("nowhere")
    os.mkfifo(alone / "pipe.tflite")
    for model, said in {
        "missing.tflite": "missing.tflite: no such file",
        "missing": "missing: no such file",
        "dangling.tflite": "no such file",
        ".": "not a file",
        "folder.tflite": "not a file",
        "zero.tflite": "not a file",
        "pipe.tflite": "not a file",
        __file__: "'.py' is not a model format\n  remedy: use .tflite, .mlir, .mlirbc",
    }.items():
        assert said in refused(1, *command, model)
    assert names(alone.parent / "tmp") == set()


def test_damaged_models(alone: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chosen = random.Random(seed)
    whole = DIGITS.read_bytes()
    for content in (b"", b"\0", whole[:100], whole[: chosen.randrange(len(whole) - 8)], chosen.randbytes(9000)):
        for suffix in (".tflite", ".mlir", ".mlirbc"):
            model = Path(f"model{suffix}")
            model.write_bytes(content)
            message = compile_refused(1, model)
            assert message.startswith(f"lowtide: importer at {model}")
            assert len(message) < 2000


TOSA = """module {{
  func.func @main(%a: tensor<{shape}xf32>) -> tensor<{shape}xf32> {{
    %r = {operation} : (tensor<{shape}xf32>) -> tensor<{shape}xf32>
    return %r : tensor<{shape}xf32>
  }}
}}
"""


@pytest.mark.parametrize(
    ("shape", "operation", "said"),
    [
        ("1x?x4", "tosa.abs %a", "a dimension that is not known"),
        ("?x?", "tosa.abs %a", "a dimension that is not known"),
        ("*", "tosa.abs %a", "not a ranked tensor"),
        ("4", "tosa.abs %b", "undeclared SSA value"),
        ("4", '"nothing.such"(%a)', "model.mlir:3:"),
        ("4", '"tfl.lstm"(%a)', "model.mlir:3:"),
        ("99999999999x99999999999", "tosa.abs %a", "more than 67,108,864 elements"),
        ("99999x99999", "tosa.abs %a", "more than 67,108,864 elements"),
    ],
)
def test_mlir_that_is_refused(shape: str, operation: str, said: str) -> None:
    Path("model.mlir").write_text(TOSA.format(shape=shape, operation=operation))
    message = compile_refused(1, "model.mlir")
    assert said in message
    assert "model.mlir" in message


def test_mlir_without_one_network() -> None:
    for text in ("", "module {}", "func.func private @f()"):
        Path("model.mlir").write_text(text)
        assert "0 public functions with a body, one is wanted" in compile_refused(1, "model.mlir")
    assert "--until takes names of tensors in a .tflite" in compile_refused(2, "model.mlir", "--until", "x")


@pytest.mark.parametrize(
    ("model", "operator"),
    [("posenet_mobilenet_v1_075_353_481", "PosenetDecoderOp")],
)
def test_custom_operators_are_named_with_the_remedy(model: str, operator: str) -> None:
    path = SHARED / "models" / "fdt-paper" / f"{model}.tflite"
    if not path.is_file():
        pytest.skip(f"{path.name} is not there")
    message = compile_refused(1, path)
    assert f"CUSTOM {operator}" in message
    assert "this is a custom operator" in message
    tensors = [word for word in message.split("'") if f"--until '{word}'" in message]
    # The remedy works.
    outcome = lowtide("inspect", path, *(f"--until={tensor}" for tensor in tensors))
    assert outcome.code == 0
    assert "MACs; layer by layer" in outcome.out


def test_until_an_unknown_tensor() -> None:
    message = compile_refused(2, DIGITS, "--until", "nothing")
    assert "--until 'nothing': this tensor is not in the model" in message
    assert "digits_1/pool_1/MaxPool2d" in message


def test_unknown_target() -> None:
    message = compile_refused(2, DIGITS, target="cortex-m99")
    assert "unknown target 'cortex-m99'" in message
    assert "cortex-m4" in message
    assert "unknown target" in refused(2, "verify", DIGITS, "--target", "")


def test_too_little_ram() -> None:
    message = compile_refused(1, DIGITS, "--ram", "1K", "-o", "a/b/c")
    assert "needs" in message
    assert "--ram gives 1,024" in message
    assert "where the arena is fullest (bytes: " in message


# Output folders.


def test_output_folders_that_are_no_places(alone: Path) -> None:
    (alone / "file").write_text("mine")
    (alone / "foreign").mkdir()
    (alone / "foreign" / "main.c").write_text("mine")
    (alone / "loop").symlink_to("loop")
    for out, code, said in (
        ("file", 2, "not a folder"),
        ("file/below", 2, "not a folder"),
        ("foreign", 2, "holds what lowtide did not write: main.c"),
        (".", 2, "current folder"),
        ("..", 2, "current folder"),
        ("/", 2, "current folder"),
        ("", 2, "current folder"),
        ("loop", 1, "cannot write"),
        ("n" * 300, 1, "File name too long"),
        ("/proc/lowtide", 1, "cannot write"),
        ("/dev/null", 2, "not a folder"),
    ):
        assert said in compile_refused(code, DIGITS, "-o", out)
    assert (alone / "file").read_text() == (alone / "foreign" / "main.c").read_text() == "mine"


def test_dump_folders_that_are_no_places(alone: Path) -> None:
    (alone / "file").write_text("mine")
    assert "cannot make the folder for dumps" in compile_refused(1, DIGITS, "--dump-dir", "file")
    assert "inside the output folder" in compile_refused(2, DIGITS, "-o", "out", "--dump-dir", "out/dump")
    assert "inside the output folder" in compile_refused(2, DIGITS, "-o", "out", "--dump-dir", "out")


def test_a_current_folder_that_is_gone(tmp_path: Path) -> None:
    script = "mkdir gone; cd gone; rmdir ../gone; $L compile $1 --target host; echo $?; $L inspect $1"
    outcome = shell(script, DIGITS, cwd=tmp_path)
    assert outcome.out.startswith("1\nstep")
    assert "No such file or directory" in outcome.err


def test_a_read_only_place(alone: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root writes everywhere")
    (alone / "closed").mkdir(0o500)
    assert "Permission denied" in compile_refused(1, DIGITS, "-o", "closed/out")


@pytest.fixture
def small_disk(tmp_path: Path) -> Generator[Path]:
    """An empty disk of 64 KB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small disk takes root")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_at_every_file(small_disk: Path, digits: Artifact) -> None:
    order = [digits.file(suffix).stat().st_size for suffix in (".o", ".h", ".elf", ".vmfb")]
    told: set[str] = set()
    # Room for the files up to one of them, and for half of it.
    for index, size in enumerate(order):
        room = sum(-(-each // 4096) for each in order[:index]) + -(-size // 4096) - 1
        _remount(small_disk, room)
        message = refused(1, "compile", DIGITS, "--target", "cortex-m4", "-o", small_disk / "out")
        assert "No space left on device" in message
        assert names(small_disk) == set()
        told |= {word for word in COMPILED if word in message}
    assert told == {f"digits_int8{suffix}" for suffix in (".o", ".h", ".elf", ".vmfb")}


def _remount(disk: Path, pages: int) -> None:
    # The root folder takes none; a size of 0 would be no limit.
    subprocess.run(["mount", "-o", f"remount,size={max(pages, 1) * 4096}", str(disk)], check=True)


def test_a_full_disk_under_the_dumps_and_the_temporary_files(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch, alone: Path
) -> None:
    _remount(small_disk, 3)
    message = refused(1, "compile", DIGITS, "--target", "cortex-m4", "--dump-dir", small_disk / "dumps")
    assert "No space left on device" in message
    assert all(b"module" in path.read_bytes() for path in (small_disk / "dumps").iterdir())
    for path in (small_disk / "dumps").iterdir():
        path.unlink()
    monkeypatch.setenv("TMPDIR", str(small_disk))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert "TMPDIR" in refused(1, "compile", DIGITS, "--target", "cortex-m4")
    assert names(small_disk) == {"dumps"}
    assert names(alone) == set()


def test_a_limit_on_the_size_of_files(alone: Path, tmp_path: Path) -> None:
    for limit in (2048, 20_000, 60_000):
        done = subprocess.run(
            [*MODULE, "compile", str(DIGITS), "--target", "cortex-m4", "-o", "out"],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            preexec_fn=lambda limit=limit: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        )
        assert done.returncode == 1, done.stderr
        assert "remedy: free some space" in done.stderr
        assert "Traceback" not in done.stderr
        assert names(alone) == names(tmp_path / "tmp") == set()


# Signals.


@pytest.mark.parametrize(
    ("number", "old"),
    [(signal.SIGINT, False), (signal.SIGINT, True), (signal.SIGTERM, True), (signal.SIGHUP, False)],
    ids=["int", "int-replaced", "term-replaced", "hup"],
)
def test_a_signal_at_any_moment_leaves_nothing(
    number: signal.Signals, old: bool, alone: Path, tmp_path: Path, folder: Path
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chosen = random.Random(seed)
    if old:
        folder.rename(alone / "out")
    before = _content(alone)
    for _ in range(2):
        process = subprocess.Popen(
            [*MODULE, "compile", str(DIGITS), "--target", "rv32imac", "-o", "out", "-v",
             "--objective", "untiled"],  # a search would go on with its best plan
            env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
            # a shell's `&` hands down an ignored SIGINT, which lowtide rightly leaves ignored
            preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # noqa: PLW1509
        )  # fmt: skip
        # Some stage has begun, so that Python's own start is over; codegen takes the longest by far.
        wanted = chosen.choice(["import", "normalise", "allocate", "kernels", "kernels"])
        assert process.stderr is not None
        for line in process.stderr:
            if line.split()[:1] == [wanted]:
                break
        time.sleep(chosen.uniform(0, 0.4))
        # A terminal sends it to the children too. An impatient user sends it twice.
        os.killpg(process.pid, number) if chosen.random() < 0.5 else process.send_signal(number)
        if chosen.random() < 0.5 and process.poll() is None:
            process.send_signal(number)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 128 + number, (process.returncode, wanted, out, err)
        assert err.endswith("lowtide: interrupted\n")
        assert "Traceback" not in err
        assert _content(alone) == before
        assert names(tmp_path / "tmp") == set()


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real models are not beside the repository (../shared)")
@pytest.mark.parametrize("again", [False, True], ids=["once", "twice"])
def test_ctrl_c_while_it_searches_keeps_the_best_plan_so_far(again: bool, alone: Path, tmp_path: Path) -> None:
    before = _content(alone)
    model = SHARED / "models" / "mcunet" / "mcunet-10fps_vww.tflite"
    process = subprocess.Popen(
        [*MODULE, "compile", str(model), "--target", "rv32imac", "--objective", "ram", "-o", "out", "-v"],
        env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )  # fmt: skip
    assert process.stderr is not None
    said = ""
    for wanted in ("  plan: ", "lowtide: interrupted; the search ends"):
        for line in process.stderr:
            said += line
            if line.startswith(wanted):
                break
        if wanted.startswith("  plan: ") or again:
            process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    assert re.search(r"plan: [\d,]+ of [\d,]+ segments, best [\d,]+ bytes", said)
    assert "Traceback" not in err
    assert names(tmp_path / "tmp") == set()
    if again:
        assert process.returncode == 130
        assert err.endswith("lowtide: interrupted\n")
        assert _content(alone) == before
        return
    # all is there, and the exit code says that the search was cut short
    assert process.returncode == 130, (out, err)
    assert "a search was cut short; all is complete" in err
    report = json.loads((alone / "out" / "report.json").read_text())
    assert report["search"] == "interrupted"
    # the script of the plan gives the same arena again
    (script,) = (alone / "out").glob("*.plan.mlir")
    again_report = compile_model(model, target="rv32imac", plan=script, out=alone / "replayed").report
    assert again_report.arena_bytes == report["arena_bytes"]


def _content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()} | {
        str(path.relative_to(folder)): b"" for path in folder.rglob("*") if path.is_dir()
    }


def test_a_signal_during_a_run_leaves_the_report(folder: Path) -> None:
    before = names(folder), (folder / "report.json").read_bytes()
    process = subprocess.Popen([*MODULE, "run", str(folder)], env=environment(), stderr=subprocess.PIPE, text=True)
    time.sleep(0.6)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode in (0, 130)
    assert "Traceback" not in err
    assert names(folder) == before[0]
    if process.returncode == 130:
        assert (folder / "report.json").read_bytes() == before[1]


def test_an_ignored_hangup_stays_ignored(alone: Path) -> None:
    script = "trap '' HUP; $L inspect $1 & sleep 0.5; kill -HUP $!; wait $!"
    assert shell(script, DIGITS, cwd=alone).code == 0


# Several at once.


def test_concurrent_compiles_into_one_folder(alone: Path) -> None:
    targets = ("cortex-m4", "rv32imac")
    command = " & ".join(f"$L compile $1 --target {target} -o out >{target} 2>&1" for target in targets)
    assert shell(f"{command} & wait", DIGITS, cwd=alone).code == 0
    assert all("written to out" in (alone / target).read_text() for target in targets)
    assert names(alone) == {"out", *targets}
    assert names(alone / "out") == COMPILED
    # It is one of the two, whole.
    assert lowtide("run", "out").code == 0
    assert json.loads((alone / "out" / "report.json").read_text())["target"] in targets


# Runs.


@pytest.mark.parametrize(
    ("suffix", "options"), [(".o", ()), (".elf", ("--artifact", "elf")), (".vmfb", ("--backend", "host"))]
)
def test_damaged_files_of_a_folder_are_named(folder: Path, suffix: str, options: tuple[str, ...]) -> None:
    path = folder / f"digits_int8{suffix}"
    whole = path.read_bytes()
    for content in (b"", whole[:-1], whole[:2000], bytes([whole[0] ^ 1]) + whole[1:], random.randbytes(3000)):
        path.write_bytes(content)
        assert f"{path.name} has changed since it was compiled" in refused(1, "run", folder, *options)
    path.unlink()
    assert f"{path.name} is missing" in refused(1, "run", folder, *options)
    path.mkdir()
    assert f"{path.name} is missing" in refused(1, "run", folder, *options)


def test_wrong_inputs(folder: Path, alone: Path) -> None:
    def saved(array: object) -> Path:
        np.save(alone / "x.npy", np.asarray(array))
        return alone / "x.npy"

    report = folder / "report.json"
    before, right = report.read_bytes(), np.zeros((1, 8, 8, 1), np.int8)
    for array, said in (
        (right.astype(np.uint8), "holds uint8[1, 8, 8, 1], the network's"),
        (right.astype(np.float32), "quantise it: round(x / "),
        (right[0, 0], "reshape it to [1, 8, 8, 1]"),
        (np.zeros(()), "is int8[1, 8, 8, 1]"),
        (np.array(["a"]), "is int8[1, 8, 8, 1]"),
        (np.zeros((3, 8, 8, 1), np.int8), "reshape it"),
    ):
        assert said in refused(1, "run", folder, "--input", saved(array))
    path = saved(right)
    assert "1 inputs, 2 were given" in refused(2, "run", folder, "--input", path, "--input", path)
    assert "No such file" in refused(1, "run", folder, "--input", "nothing.npy")
    assert "Is a directory" in refused(1, "run", folder, "--input", ".")
    assert "it is no file of numpy's" in refused(1, "run", folder, "--input", DIGITS)
    np.savez(alone / "x.npz", x=right)
    assert "is an .npz archive" in refused(1, "run", folder, "--input", "x.npz")
    assert report.read_bytes() == before


def test_wrong_places_to_save(folder: Path) -> None:
    for place in (".", "no/such/place", folder / "report.json" / "below"):
        assert "cannot write" in refused(1, "run", folder, "--save", place)
    assert lowtide("run", folder, "--save", "/dev/null").code == 0
    assert not Path("/dev/null").is_file()


def test_backends(folder: Path) -> None:
    assert "unknown backend 'magic'" in refused(2, "run", folder, "--backend", "magic")
    assert "unknown backend 'magic'" in refused(2, "verify", DIGITS, "--target", "host", "--backend", "magic")
    message = refused(2, "run", folder, "--backend", "host", "--artifact", "elf")
    assert "does not run the embedded ELF" in message


def test_a_core_that_unicorn_lacks() -> None:
    assert lowtide("compile", DIGITS, "--target", "cortex-m55", "-o", "m55").code == 0
    message = refused(2, "run", "m55")
    assert "cortex-m55" in message
    assert "--backend" in message
    assert lowtide("run", "m55", "--backend", "host").code == 0


def test_a_float_network_without_fpu_is_the_object_alone() -> None:
    model = SHARED / "models" / "tflm" / "hello_world_float.tflite"
    if not model.is_file():
        pytest.skip(f"{model.name} is not there")
    outcome = lowtide("compile", model, "--target", "cortex-m3", "-o", "out")
    assert outcome.code == 0
    assert "no FPU and the network is float: there is the .o alone (no .elf)" in outcome.out
    assert "__aeabi_fmul" in outcome.out
    assert "no floating-point unit" in Path("out/hello_world_float.h").read_text()
    assert not Path("out/hello_world_float.elf").exists()
    assert "the .o alone does not run: it calls" in refused(1, "run", "out")
    assert "has the .o alone" in refused(1, "run", "out", "--artifact", "elf")
    assert lowtide("run", "out", "--backend", "host").code == 0


# Golden data.


def golden(path: Path, **arrays: object) -> Path:
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


def test_golden_files_that_are_none(alone: Path) -> None:
    x, y = np.zeros((2, 1, 8, 8, 1), np.int8), np.zeros((2, 1, 10), np.int8)
    np.save(alone / "x.npy", x)
    damaged = bytearray(DIGITS_GOLDEN.read_bytes())
    damaged[100:120] = bytes(20)
    (alone / "damaged.npz").write_bytes(damaged)
    (alone / "short.npz").write_bytes(damaged[:50])
    for file, said in (
        ("nothing.npz", "No such file"),
        (".", "Is a directory"),
        ("x.npy", "is not an .npz archive"),
        (DIGITS, "no file of numpy's"),
        ("damaged.npz", "can't be read"),
        ("short.npz", "can't be read"),
        (golden(alone / "a.npz", x=x), "it has no array y"),
        (golden(alone / "b.npz", x=x, y=y[:1]), "not one row a run each"),
        (golden(alone / "c.npz", x=x[:0], y=y[:0]), "not one row a run each"),
        (golden(alone / "d.npz", x=1, y=2), "not one row a run each"),
        (golden(alone / "e.npz", x=np.array([{}]), y=y), "can't be read"),
    ):
        # Before the compile, which would take its time.
        message = refused(1, "verify", DIGITS, "--target", "cortex-m4", "--golden", file)
        assert said in message
        assert "remedy: store inputs as x and outputs as y" in message


def test_golden_data_of_another_network(alone: Path) -> None:
    x, y = np.zeros((2, 1, 8, 8, 1), np.int8), np.zeros((2, 1, 10), np.int8)
    for arrays, said in (
        ({"x": x, "y": y[..., :9]}, "a row of y: holds int8[1, 9]"),
        ({"x": x.astype(np.float64), "y": y}, "a row of x: holds float64[1, 8, 8, 1]"),
    ):
        file = golden(alone / "other.npz", **arrays)
        assert said in refused(1, "verify", DIGITS, "--target", "host", "--golden", file)


def test_litert_checks_tflite_files_only() -> None:
    Path("model.mlir").write_text(TOSA.format(shape="4", operation="tosa.abs %a"))
    assert "--golden" in refused(2, "verify", "model.mlir", "--target", "cortex-m4")
