"""Modelled cycles: sums by hand from Arm's table, and jumps that are those of the run."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import unicorn
from capstone import CS_ARCH_ARM, CS_MODE_MCLASS, CS_MODE_THUMB, Cs
from command import DIGITS, lowtide, refused

from lowtide.artifact import Artifact
from lowtide.emulate import load_artifact
from lowtide.emulate.backends.unicorn import UnicornSession
from lowtide.emulate.inputs import random_inputs
from lowtide.emulate.measure.counting import Executed
from lowtide.emulate.timing.cycles import cycles_of
from lowtide.emulate.timing.model import DIVIDE, TIMINGS, Cycles
from lowtide.errors import InternalError
from lowtide.targets import TARGETS
from lowtide.verification import run_artifact

# As an assembler encodes it.
CODE = {
    "adds r1, #4": "0431",
    "adds r0, #1": "0130",
    "it eq": "08bf",
    "movs r0, #1": "0120",
    "ldr r0, [r1]": "0868",
    "ldr r2, [r3]": "1a68",
    "ldr r4, [r5, #4]": "6c68",
    "ldr r2, [r0]": "0268",
    "ldrsb.w r0, [r1, #2]": "91f90200",
    "str r0, [r1]": "0860",
    "str r2, [r3]": "1a60",
    "str r0, [r1, r2]": "8850",
    "ldm r3!, {r0, r1, r2}": "07cb",
    "push {r4, r5, lr}": "30b5",
    "pop {r4, r5, pc}": "30bd",
    "ldrd r0, r1, [r4]": "d4e90001",
    "smlad r0, r1, r2, r3": "21fb0230",
    "mla r0, r1, r2, r3": "01fb0230",
    "smull r0, r1, r2, r3": "82fb0301",
    "smlal r0, r1, r2, r3": "c2fb0301",
    "sdiv r0, r1, r2": "91fbf2f0",
    "vfma.f32 s0, s1, s2": "a0ee810a",
    "vadd.f32 s3, s0, s1": "70ee201a",
    "vadd.f32 s3, s4, s5": "72ee221a",
    "vdiv.f32 s0, s1, s2": "80ee810a",
    "vldr d0, [r1]": "91ed000b",
    "vldr s2, [r1]": "91ed001a",
    "vldmia r1!, {s0, s1, s2, s3}": "b1ec040a",
    "bne #0": "fdd1",
    "bx lr": "7047",
}


def cycles(*lines: str, jumps: int = 0, model: str = "cortex-m4", times: int = 1) -> int:
    """Of code that is executed so often; its last instruction jumps so often."""
    parts = [bytes.fromhex(CODE[line]) for line in lines]
    offsets = np.cumsum([0, *(len(part) for part in parts[:-1])])
    left = np.zeros(len(parts), np.int64)
    left[-1] = jumps
    executed = Executed(offsets, np.full(len(parts), times, np.int64), left)
    return int(cycles_of(b"".join(parts), executed, TIMINGS[model]).sum())


def test_the_code_is_what_it_is_called() -> None:
    disassembler = Cs(CS_ARCH_ARM, CS_MODE_THUMB | CS_MODE_MCLASS)
    for name, code in CODE.items():
        if name != "bne #0":
            ((_, size, mnemonic, operands),) = disassembler.disasm_lite(bytes.fromhex(code), 0)
            assert (f"{mnemonic} {operands}", size) == (name, len(code) // 2)


def test_neighbouring_loads_take_one_cycle_more_than_there_are() -> None:
    assert cycles("ldr r0, [r1]") == 2
    assert cycles("ldr r0, [r1]", "ldr r2, [r3]", "ldr r4, [r5, #4]") == 3 + 1
    assert cycles("ldrsb.w r0, [r1, #2]", "ldr r2, [r3]", times=10) == 10 * 3
    assert cycles("ldr r0, [r1]", "adds r0, #1", "ldr r2, [r3]") == 2 + 1 + 2


def test_an_address_made_directly_before_makes_a_load_wait() -> None:
    # of a load it only needs that it is over
    assert cycles("ldr r0, [r1]", "ldr r2, [r0]") == 2 + 2
    assert cycles("adds r1, #4", "ldr r0, [r1]") == 1 + 2 + 1
    assert cycles("adds r1, #4", "movs r0, #1", "ldr r0, [r1]") == 1 + 1 + 2
    assert cycles("adds r1, #4", "str r0, [r1]") == 1 + 1
    assert cycles("adds r1, #4", "vldmia r1!, {s0, s1, s2, s3}") == 1 + 5 + 1


def test_stores_go_to_a_buffer_and_nothing_overlaps_with_one_at_a_register_s_offset() -> None:
    assert cycles("str r0, [r1]", "str r2, [r3]") == 1 + 1
    assert cycles("str r0, [r1]", "ldr r2, [r3]") == 1 + 2
    assert cycles("ldr r2, [r3]", "str r0, [r1]") == 2 + 1
    assert cycles("ldr r4, [r5, #4]", "str r0, [r1, r2]") == 2 + 1
    assert cycles("str r0, [r1, r2]", "ldr r4, [r5, #4]") == 2 + 2


def test_several_registers_take_a_cycle_each_and_one_more() -> None:
    assert cycles("ldm r3!, {r0, r1, r2}") == 1 + 3
    assert cycles("push {r4, r5, lr}") == 1 + 3
    assert cycles("pop {r4, r5, pc}", jumps=1) == 1 + 3 + 2
    assert cycles("ldrd r0, r1, [r4]", "ldr r2, [r3]") == 3 + 2
    assert cycles("vldr d0, [r1]") == 3
    assert cycles("vldmia r1!, {s0, s1, s2, s3}") == 1 + 4


def test_products() -> None:
    for line in ("smlad r0, r1, r2, r3", "mla r0, r1, r2, r3", "smull r0, r1, r2, r3", "smlal r0, r1, r2, r3"):
        assert cycles(line) == 1
    assert cycles("mla r0, r1, r2, r3", model="cortex-m3") == 2
    assert cycles("smull r0, r1, r2, r3", model="cortex-m3") == 5
    assert cycles("smlal r0, r1, r2, r3", model="cortex-m3") == 7
    assert cycles("sdiv r0, r1, r2") == DIVIDE
    assert 2 <= DIVIDE <= 12


def test_floats_wait_for_a_result_of_the_instruction_before() -> None:
    assert cycles("vfma.f32 s0, s1, s2", "vadd.f32 s3, s4, s5") == 3 + 1
    assert cycles("vfma.f32 s0, s1, s2", "vadd.f32 s3, s0, s1") == 3 + 1 + 1
    assert cycles("vdiv.f32 s0, s1, s2") == 14
    assert cycles("vldr s2, [r1]", "vadd.f32 s3, s4, s5") == 2 + 1


def test_a_branch_takes_more_where_it_is_taken() -> None:
    # ten turns, of which nine go back
    assert cycles("adds r1, #4", "bne #0", times=10, jumps=9) == 10 + 10 + 9 * 2
    assert cycles("bx lr", jumps=1) == 3
    # an instruction under IT takes a cycle, skipped or not
    assert cycles("it eq", "adds r0, #1") == 2


def test_a_load_that_control_jumps_to_overlaps_with_none() -> None:
    code = bytes.fromhex(CODE["ldr r0, [r1]"] + CODE["ldr r2, [r3]"])
    # ten times from elsewhere, once from the load in front of it
    executed = Executed(np.array([0, 2]), np.array([1, 11]), np.array([0, 0]))
    assert cycles_of(code, executed, TIMINGS["cortex-m4"]).tolist() == [2, 10 * 2 + 1]


def test_code_that_is_not_adjacent_does_not_overlap() -> None:
    code = bytes.fromhex(CODE["ldr r0, [r1]"] + 4 * CODE["movs r0, #1"] + CODE["ldr r2, [r3]"])
    executed = Executed(np.array([0, 10]), np.array([1, 1]), np.array([1, 0]))
    assert cycles_of(code, executed, TIMINGS["cortex-m4"]).tolist() == [2 + 2, 2]


def test_without_jumps_there_are_no_cycles() -> None:
    with pytest.raises(InternalError, match="cycles need the jumps"):
        cycles_of(bytes(2), Executed(np.array([0]), np.array([1])), TIMINGS["cortex-m4"])


def test_milliseconds_and_names() -> None:
    assert Cycles(count=6_000_000, model="").milliseconds(120) == 50
    assert TIMINGS["cortex-m4"].title() == "cortex-m4, P = 2, no wait states"
    assert {target.timing for target in TARGETS.values()} - {""} <= set(TIMINGS)


def test_the_jumps_are_those_of_a_hook_on_every_instruction(digits: Artifact) -> None:
    view = load_artifact(digits.directory)
    session = UnicornSession(view, "object")
    inputs = random_inputs([slot.tensor for slot in view.inputs], 0)
    profile = session.profile(inputs)
    jumps: Counter[int] = Counter()
    before = [0, 0]

    def on_instruction(_: object, address: int, size: int, __: object) -> None:
        if sum(before) != address:
            jumps[before[0]] += 1
        before[:] = address, size

    machine = session.machine(False)
    machine.uc.hook_add(unicorn.UC_HOOK_CODE, on_instruction)
    session.run(inputs, count=False)
    # the entry is no jump of the network's, the return is
    del jumps[0]
    jumps[before[0]] += 1
    start, flash = profile.image.flash_start, profile.image.flash
    # the hook does not see what IT (BFxx) skips
    seen = {address - start: times for address, times in jumps.items() if flash[address - start + 1] != 0xBF}
    assert profile.executed.jumps is not None
    counted = zip(profile.executed.offsets.tolist(), profile.executed.jumps.tolist(), strict=True)
    assert {offset: times for offset, times in counted if times} == seen
    assert len(seen) > 50


@pytest.mark.parametrize("kind", ["object", "elf"])
def test_a_network_takes_more_cycles_than_instructions_and_always_the_same(digits: Artifact, kind: str) -> None:
    view = load_artifact(digits.directory)
    session = UnicornSession(view, "elf" if kind == "elf" else "object")
    inputs = random_inputs([slot.tensor for slot in view.inputs], 0)
    first, again = session.run(inputs), session.run(inputs)
    assert first.cycles == again.cycles
    assert first.cycles is not None
    assert first.instructions is not None
    assert first.instructions < first.cycles.count < 2 * first.instructions
    assert session.run(inputs, count=False).cycles is None


def test_a_run_prints_cycles_and_time_with_their_model(digits: Artifact, tmp_path: Path) -> None:
    folder = shutil.copytree(digits.directory, tmp_path / "out")
    cycles = run_artifact(folder).cycles
    assert cycles is not None
    printed = lowtide("run", folder, "--mhz", "100").out
    assert f"{cycles.count:,} (modelled: cortex-m4, P = 2, no wait states)" in printed
    assert f"{cycles.count / 100_000:.3f} ms at 100 MHz" in printed
    assert "no cycles where nothing is counted" in lowtide("run", folder, "--backend", "host", "--mhz", "1").out
    assert "not a clock in MHz" in refused(2, "run", folder, "--mhz", "0")


def test_a_core_without_a_model_has_no_cycles(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    assert lowtide("compile", DIGITS, "--target", "rv32imafc", "-o", folder).code == 0
    assert "cycles" not in lowtide("run", folder).out
    assert "no timing model for rv32imafc" in lowtide("run", folder, "--mhz", "100").out
    assert "no timing model for rv32imafc" in refused(2, "run", folder, "--flash-model", "f4")
    assert json.loads((folder / "report.json").read_text())["cycles"] is None


def test_risc_v_has_cycles_but_no_flash(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    assert lowtide("compile", DIGITS, "--target", "rv32imac", "-o", folder).code == 0
    assert (
        "(modelled: ibex, single-cycle multiplier, writeback stage, memory of one cycle)" in lowtide("run", folder).out
    )
    assert "no flash is modelled behind rv32imac's core" in refused(2, "run", folder, "--flash-model", "f4")
