"""Compiled folders: what is in them, that they are the same every time, and that none is ever half there."""

from __future__ import annotations

import errno
import json
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command import DIGITS

import lowtide
from lowtide.artifact import Artifact, compile_model, load
from lowtide.emulate import load_artifact
from lowtide.emulate.backends.unicorn import UnicornSession
from lowtide.emulate.inputs import random_inputs
from lowtide.errors import InputError, UsageError
from lowtide.output import check_replaceable, replaced, write_file
from lowtide.plan.plan import Objective
from lowtide.report.report import Report
from lowtide.stages import Stages

FILES = {".o", ".h", ".elf", ".vmfb", ".plan.mlir"}


def content(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}


def without_times(files: dict[str, bytes]) -> dict[str, object]:
    report = json.loads(files["report.json"])
    report["stages"] = [stage["name"] for stage in report["stages"]]
    return {**files, "report.json": report}


def test_the_folder_holds_every_file(digits: Artifact) -> None:
    names = {path.name for path in digits.directory.iterdir()}
    assert names == {f"digits_int8{suffix}" for suffix in FILES} | {"report.json", "memory_map.svg"}
    assert all(digits.file(suffix).stat().st_size > 0 for suffix in FILES)
    assert stat.S_IMODE(digits.directory.stat().st_mode) == 0o777 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_the_same_input_gives_the_same_bytes(digits: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "elsewhere" / DIGITS.name
    copy.parent.mkdir()
    copy.write_bytes(DIGITS.read_bytes())
    monkeypatch.chdir(copy.parent)
    again = compile_model(copy.name, target="cortex-m4")
    assert again.directory == Path("digits_int8-cortex-m4")
    assert without_times(content(again.directory)) == without_times(content(digits.directory))


def test_load_returns_what_compile_returned(digits: Artifact) -> None:
    assert load(digits.directory) == digits


def test_the_dump_holds_every_stage_with_ir_in_order(tmp_path: Path) -> None:
    dumps = tmp_path / "a" / "dumps"
    compile_model(DIGITS, target="cortex-m4", out=tmp_path / "out", dump_dir=dumps)
    names = sorted(path.name for path in dumps.iterdir())
    assert [name[3:] for name in names] == [
        "import.mlir", "normalise.mlir", "transform.mlir", "outline.mlir", "allocate.mlir",
        "kernels.mlir",
    ]  # fmt: skip
    assert all("module" in (dumps / name).read_text() for name in names)


@pytest.mark.parametrize("keep", [False, True])
def test_keep_input_is_kept_and_said(tmp_path: Path, keep: bool) -> None:
    artifact = compile_model(DIGITS, target="cortex-m4", out=tmp_path / "out", keep_input=keep)
    assert artifact.report.keep_input == keep
    header = artifact.file(".h").read_text()
    assert ("leaves the inputs in the arena as they are" in header) == keep
    assert ("may destroy the inputs" in header) != keep
    slot = artifact.report.inputs[0]
    intact = [_input_after_run(artifact, seed) == random_inputs([slot.tensor], seed)[0].tobytes() for seed in range(3)]
    assert all(intact) if keep else not all(intact)


def _input_after_run(artifact: Artifact, seed: int) -> bytes:
    """The arena's input bytes in the emulator once the network has run."""
    view = load_artifact(artifact.directory)
    session = UnicornSession(view, "object")
    slot = view.inputs[0]
    session.run(random_inputs([slot.tensor], seed))
    arena = session.machine(True).bytes_of(session.layout.arena)
    return arena[slot.offset : slot.offset + slot.tensor.nbytes].tobytes()


def test_ram_is_exact_and_names_what_holds_it(digits: Artifact, untiled_digits: Artifact, tmp_path: Path) -> None:
    check_ram(untiled_digits.report, "untiled", "where the arena is fullest (bytes: 1,024 of 'digits_1/", tmp_path)
    # the loop with its line buffers, not the input, which reaches as high but is small
    check_ram(digits.report, "free", "batchnorm/add_1', where the arena is fullest (bytes: 384 of 'digits_1/", tmp_path)


def check_ram(report: Report, objective: Objective, holds: str, tmp_path: Path) -> None:
    needed, fits = report.sram_bytes, tmp_path / f"{report.objective}-fits"
    compiled = compile_model(DIGITS, target="cortex-m4", objective=objective, ram=needed, out=fits)
    assert compiled.report.sram_bytes == needed
    for ram in (report.arena_bytes - 1, needed - 1):
        with pytest.raises(InputError) as refusal:
            compile_model(DIGITS, target="cortex-m4", objective=objective, ram=ram, out=tmp_path / "out")
        text = str(refusal.value)
        assert f"needs {needed:,} bytes of RAM" in text
        assert f"arena {report.arena_bytes:,} + stack {report.stack_bytes:,}" in text
        assert holds in text
    assert not (tmp_path / "out").exists()


def test_a_plan_carries_the_budget_that_it_fits(digits: Artifact, tmp_path: Path) -> None:
    arena, needed = digits.report.arena_bytes, digits.report.sram_bytes
    assert "budget = 0 : i64, overlap = true" in digits.file(".plan.mlir").read_text()
    fits = compile_model(DIGITS, target="cortex-m4", ram=needed, out=tmp_path / "fits")
    script = fits.file(".plan.mlir").read_text()
    assert f"budget = {needed} : i64" in script
    assert fits.file(".o").read_bytes() == digits.file(".o").read_bytes()
    plan = tmp_path / "edited.mlir"
    plan.write_text(script.replace(f"budget = {needed} ", f"budget = {arena} "))
    again = compile_model(DIGITS, target="cortex-m4", plan=plan, out=tmp_path / "again")
    assert again.file(".o").read_bytes() == digits.file(".o").read_bytes()
    plan.write_text(script.replace(f"budget = {needed} ", f"budget = {arena - 1} "))
    with pytest.raises(InputError, match=f"the arena takes {arena:,} bytes, the budget gives {arena - 1:,}") as refusal:
        compile_model(DIGITS, target="cortex-m4", plan=plan, out=tmp_path / "small")
    assert (refusal.value.stage, refusal.value.exit_code) == ("allocate", 1)
    assert refusal.value.where is not None
    assert "where the arena is fullest (bytes: " in refusal.value.where
    assert not (tmp_path / "small").exists()


def test_a_plan_without_overlap_is_replayed_by_plain_liveness(digits: Artifact, tmp_path: Path) -> None:
    plan = tmp_path / "edited.mlir"
    plan.write_text(digits.file(".plan.mlir").read_text().replace("overlap = true", "overlap = false"))
    plain = compile_model(DIGITS, target="cortex-m4", plan=plan, out=tmp_path / "plain").report
    assert plain.arena_bytes > digits.report.arena_bytes
    live = [(b.offset, b.offset + b.size, b.first, b.last) for b in plain.buffers]
    for number, (low, high, first, last) in enumerate(live):
        for other_low, other_high, other_first, other_last in live[:number]:
            together = first <= other_last and other_first <= last
            assert not together or high <= other_low or other_high <= low


def test_bad_arguments() -> None:
    with pytest.raises(UsageError, match="--ram is 0"):
        compile_model(DIGITS, target="cortex-m4", ram=0)
    with pytest.raises(UsageError, match="unknown target 'z80'"):
        compile_model(DIGITS, target="z80")
    with pytest.raises(UsageError, match="unknown objective 'smallest'"):
        compile_model(DIGITS, target="cortex-m4", objective="smallest")  # pyright: ignore[reportArgumentType]
    with pytest.raises(UsageError, match="the seed is -1"):
        random_inputs([], -1)


def test_the_api_has_every_name_it_promises() -> None:
    for name in lowtide.__all__:
        assert getattr(lowtide, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        lowtide.nothing  # type: ignore[attr-defined]  # noqa: B018


# What `lowtide.output` promises.


def make(parent: Path, *names: str) -> Path:
    parent.mkdir(parents=True, exist_ok=True)
    for name in names:
        (parent / name).write_text(name)
    return parent


def test_replaces_a_missing_an_empty_and_its_own_folder(tmp_path: Path) -> None:
    for directory in (tmp_path / "a" / "b" / "c", make(tmp_path / "empty")):
        for text in ("1", "2"):
            with replaced(check_replaceable(directory)) as scratch:
                (scratch / "report.json").write_text(json.dumps({"name": "net", "text": text}))
                (scratch / "net.o").write_text(text)
            assert (directory / "net.o").read_text() == text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "empty"]


def test_leaves_everything_as_it_was_after_any_error(tmp_path: Path) -> None:
    old = make(tmp_path / "old")
    (old / "report.json").write_text('{"name": "net"}')
    for directory in (old, tmp_path / "new", tmp_path / "x" / "y" / "new"):
        for error in (ValueError, KeyboardInterrupt, OSError):
            with pytest.raises(error), replaced(check_replaceable(directory)) as scratch:
                make(scratch, "half")
                raise error
    assert {path.name for path in tmp_path.iterdir()} == {"old"}
    assert content(old) == {"report.json": b'{"name": "net"}'}


def test_an_interrupt_between_the_renames_restores_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = make(tmp_path / "old")
    (old / "report.json").write_text('{"name": "net"}')
    rename: Callable[[Path, Path], Path] = Path.rename
    for stop in range(3):
        calls = iter(range(10))

        def interrupted(self: Path, target: Path, stop: int = stop, calls: object = calls) -> Path:
            if next(calls) == stop:  # type: ignore[call-overload]
                raise KeyboardInterrupt
            return rename(self, target)

        monkeypatch.setattr(Path, "rename", interrupted)
        with pytest.raises(KeyboardInterrupt), replaced(check_replaceable(old)) as scratch:
            make(scratch, "report.json")
        monkeypatch.setattr(Path, "rename", rename)
        assert content(old) == {"report.json": b'{"name": "net"}'}
        assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_a_rename_that_fails_leaves_no_parents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(self: Path, target: Path) -> Path:
        raise OSError(errno.EBUSY, "busy")

    monkeypatch.setattr(Path, "rename", busy)
    with pytest.raises(InputError, match="mount point"), replaced(tmp_path / "a" / "b") as scratch:
        make(scratch, "file")
    assert list(tmp_path.iterdir()) == []


def test_refuses_foreign_folders_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="holds what lowtide did not write: a, b, c and 1 more"):
        check_replaceable(make(tmp_path / "foreign", "a", "b", "c", "d"))
    mixed = make(tmp_path / "mixed", "net.o", "main.c")
    (mixed / "report.json").write_text('{"name": "net"}')
    with pytest.raises(UsageError, match=r"did not write: main\.c\n"):
        check_replaceable(mixed)
    for text in ("{}", "[]", "null", "\0", "[" * 100_000, '{"name": "other"}'):
        (mixed / "report.json").write_text(text)
        with pytest.raises(UsageError, match="did not write"):
            check_replaceable(mixed)
    with pytest.raises(UsageError, match="not a folder"):
        check_replaceable(mixed / "net.o")
    with pytest.raises(UsageError, match="not a folder"):
        check_replaceable(mixed / "net.o" / "below")
    monkeypatch.chdir(make(tmp_path / "here" / "below"))
    for own in (Path(), Path(".."), tmp_path / "here"):
        with pytest.raises(UsageError, match="current folder"):
            check_replaceable(own)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(InputError, match="cannot write"):
        check_replaceable(tmp_path / "loop")
    with pytest.raises(InputError, match="File name too long"):
        check_replaceable(tmp_path / ("n" * 300))


def test_follows_links_to_the_folder_itself(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    with replaced(check_replaceable(tmp_path / "link")) as scratch:
        make(scratch, "file")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder" / "file").is_file()


def test_concurrent_writers_all_succeed_and_one_folder_stays(tmp_path: Path) -> None:
    directory, failures = tmp_path / "out", list[BaseException]()
    start = threading.Barrier(8)

    def write(index: int) -> None:
        try:
            start.wait()
            for _ in range(20):
                with replaced(check_replaceable(directory)) as scratch:
                    (scratch / "report.json").write_text('{"name": "net"}')
                    for suffix in FILES:
                        (scratch / f"net{suffix}").write_text(str(index))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert len({(directory / f"net{suffix}").read_text() for suffix in FILES}) == 1


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_file(path, "ä", "run")
    assert path.read_bytes() == "ä".encode()
    (tmp_path / "link").symlink_to(path)
    write_file(tmp_path / "link", b"2", "run")
    assert path.read_bytes() == b"2"
    assert (tmp_path / "link").is_symlink()
    write_file(Path("/dev/null"), "3", "run")
    assert not Path("/dev/null").is_file()
    for bad in (tmp_path, tmp_path / "no" / "such", path / "below"):
        with pytest.raises(InputError, match="cannot write"):
            write_file(bad, "4", "run")

    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:1])
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match="No space left on device"):
        write_file(path, "5", "run")
    assert path.read_bytes() == b"2"
    assert {entry.name for entry in tmp_path.iterdir()} == {"file", "link"}


def test_stages_are_timed_and_told(tmp_path: Path) -> None:
    told: list[str] = []
    stages = Stages(told.append, None)
    with stages.stage("first"), stages.stage("second"):
        pass
    assert told == ["first", "second"]
    assert [name for name, _ in stages.seconds] == ["second", "first"]


def test_random_inputs_depend_on_the_seed_alone(digits: Artifact) -> None:
    tensors = [slot.tensor for slot in digits.report.inputs]
    one, same, other = (random_inputs(tensors, seed)[0] for seed in (7, 7, 8))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
