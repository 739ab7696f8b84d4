"""The digits network on the boards that QEMU emulates, from the object and from the ELF; what goes wrong there."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from boards import build_object, golden, need_board
from command import DIGITS, lowtide, refused

from lowtide.artifact import Artifact, compile_model
from lowtide.emulate import ArtifactView, load_artifact
from lowtide.emulate.backends.qemu import QemuBackend
from lowtide.emulate.backends.unicorn import UnicornBackend
from lowtide.errors import InputError, InternalError, UsageError
from lowtide.targets import TARGETS

RUNS = 3
TOLD_APART = 16


@pytest.mark.parametrize("target", [name for name, target in TARGETS.items() if target.qemu_machine])
def test_object_and_elf_give_the_stored_outputs(target: str, tmp_path: Path) -> None:
    board = need_board(target)
    assert board.name == TARGETS[target].qemu_machine or board.family == "riscv"
    report = compile_model(DIGITS, target=target, out=tmp_path / "out").report
    view = load_artifact(tmp_path / "out")
    x, y = golden()
    for kind in ("object", "elf"):
        session = QemuBackend(kind).open(view)
        for given, expected in zip(x[:RUNS], y[:RUNS], strict=True):
            result = session.run([given], probe=True)
            assert np.array_equal(result.outputs[0], expected)
            assert result.return_code == 0
            assert result.instructions is not None
            assert report.macs < result.instructions < 100 * report.macs
            assert result.stack_used_bytes is not None
            assert result.arena_touched_bytes is not None
            assert 0 < result.arena_touched_bytes <= report.arena_bytes
            if kind == "object":
                assert 0 < result.stack_used_bytes <= report.stack_bytes


def test_it_counts_what_unicorn_counts(digits: Artifact) -> None:
    need_board("cortex-m4")
    view = load_artifact(digits.directory)
    inputs = [golden()[0][0]]
    counted = UnicornBackend().run(view, inputs).instructions
    session = QemuBackend().open(view)
    measured = session.run(inputs).instructions
    assert counted is not None
    assert measured is not None
    # A branch or two of the call itself may count.
    assert abs(measured - counted) <= TOLD_APART
    assert session.run(inputs).instructions == measured
    assert session.run(inputs, count=False).instructions is None


@pytest.mark.parametrize("kind", ["o", "elf"])
def test_from_the_command_line(kind: str, folder: Path) -> None:
    need_board("cortex-m4")
    outcome = lowtide("run", folder, "--backend", "qemu", "--artifact", kind, "--seed", "1")
    assert outcome.code == 0, outcome
    assert "instructions" in outcome.text


def test_without_qemu(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    said = refused(2, "run", folder, "--backend", "qemu")
    assert "qemu-system-arm is not installed" in said
    assert "Debian: qemu-system-arm" in said


def test_without_a_compiler(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    qemu = tmp_path / "bin" / "qemu-system-arm"
    qemu.parent.mkdir()
    qemu.write_text("")
    qemu.chmod(0o755)
    monkeypatch.setenv("PATH", str(qemu.parent))
    monkeypatch.setitem(sys.modules, "ziglang", None)
    said = refused(2, "run", folder, "--backend", "qemu")
    assert "no C compiler for the board" in said
    assert "gcc-arm-none-eabi" in said


def test_no_board_has_the_host_as_its_core(digits: Artifact) -> None:
    view = replace(load_artifact(digits.directory), target=TARGETS["host"])
    with pytest.raises(UsageError, match="QEMU has no board for host") as caught:
        QemuBackend().open(view)
    assert caught.value.remedy == "run --backend host"


def test_an_input_of_another_shape(digits: Artifact) -> None:
    need_board("cortex-m4")
    session = QemuBackend().open(load_artifact(digits.directory))
    with pytest.raises(UsageError, match="expects int8"):
        session.run([np.zeros((1, 3), np.int8)])


def test_an_object_that_needs_what_nothing_supplies(folder: Path) -> None:
    with pytest.raises(InputError, match="does not build") as caught:
        QemuBackend().open(_other(folder, "return missing(arena);", "extern int missing(void *);"))
    assert "missing" in caught.value.message


def test_an_arena_that_the_board_has_no_room_for(folder: Path) -> None:
    view = _other(folder, "return 0;")
    header = folder / "digits_int8.h"
    text = header.read_text()
    header.write_text(text.replace(f"ARENA_BYTES {view.arena_bytes}", "ARENA_BYTES 99999999"))
    assert header.read_text() != text
    with pytest.raises(InputError, match="does not build") as caught:
        QemuBackend().open(view)
    assert caught.value.remedy is not None
    assert "too large for the board" in caught.value.remedy


def test_another_network_of_the_same_name(folder: Path) -> None:
    """The compiler's cache may not give it the header of a build whose folder still exists."""
    first = _other(folder, "return 0;")
    kept = QemuBackend().open(first)
    header = folder / "digits_int8.h"
    header.write_text(header.read_text().replace(f"ARENA_BYTES {first.arena_bytes}", f"ARENA_BYTES {64 * 1024}"))
    x = golden()[0][0]
    larger = replace(first, arena_bytes=64 * 1024)
    assert QemuBackend().open(larger).run([x]).return_code == 0
    assert kept.run([x]).return_code == 0


WRONG = {
    "returned 7": "return 7;",
    "wrote beside the arena": "((volatile char *)arena)[-1] = 1; return 0;",
    "overflowed the firmware's stack": "volatile char b[70000]; for (int i = 0; i < 70000; ++i) b[i] = 0; return b[9];",
    "depends on what the arena held": "((volatile char *)arena)[OUT] = ((volatile char *)arena)[OUT]; return 0;",
    "the firmware failed on mps2-an386": "return *(volatile int *)0xffff0000;",
}


@pytest.mark.parametrize("message", WRONG)
def test_code_that_does_wrong_is_found_out(message: str, folder: Path) -> None:
    view = load_artifact(folder)
    body = WRONG[message].replace("OUT", str(view.outputs[0].offset))
    session = QemuBackend().open(_other(folder, body))
    with pytest.raises(InternalError, match=message):
        session.run([golden()[0][0]], probe=True)


def _other(folder: Path, body: str, before: str = "") -> ArtifactView:
    """The artifact with other code in it."""
    need_board("cortex-m4")
    source = f"{before}\nint digits_int8_run(void *arena) {{ (void)arena; {body} }}\n"
    build_object("cortex-m4", source, folder / "digits_int8.o")
    return replace(load_artifact(folder), digests={})
