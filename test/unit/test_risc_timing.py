"""Modelled cycles of RV32 cores: sums by hand from what their manuals say of the pipelines."""

from __future__ import annotations

import numpy as np
import pytest
from capstone import CS_ARCH_RISCV, CS_MODE_RISCV32, CS_MODE_RISCVC, Cs

from lowtide.emulate.measure.counting import Executed
from lowtide.emulate.rtl.start import start_code
from lowtide.emulate.timing.cycles import cycles_of
from lowtide.emulate.timing.model import TIMINGS
from lowtide.emulate.timing.risc_instructions import risc_timed
from lowtide.errors import InternalError

# As an assembler encodes it.
CODE = {
    "addi a0, a0, 1": "13051500",
    "c.addi a0, 1": "0505",
    "c.mv a1, a0": "aa85",
    "c.li a0, 0": "0145",
    "c.add a0, a1": "2e95",
    "c.sw a0, 0(a1)": "88c1",
    "c.lw a0, 0(a1)": "8841",
    "lb a0, 0(a1)": "03850500",
    "lb a0, 0(a0)": "03050500",
    "lb a2, 0(a1)": "03860500",
    "sb a0, 0(a1)": "2380a500",
    "sb a1, 0(a0)": "2300b500",
    "mul a0, a0, a1": "3305b502",
    "mul a2, a3, a1": "3386b602",
    "mulh a0, a0, a1": "3315b502",
    "div a0, a0, a1": "3345b502",
    "bne a0, a1, -4": "e31eb5fe",
    "c.bnez a0, -2": "7dfd",
    "c.jr ra": "8280",
    "c.jr a0": "0285",
    "jal ra, 8": "ef008000",
}


def cycles(*lines: str, jumps: int = 0, model: str = "ibex", times: int = 1) -> int:
    """Of code that is executed so often; its last instruction jumps so often, back to the first one."""
    parts = [bytes.fromhex(CODE[line]) for line in lines]
    offsets = np.cumsum([0, *(len(part) for part in parts[:-1])])
    left = np.zeros(len(parts), np.int64)
    left[-1] = jumps
    executed = Executed(offsets, np.full(len(parts), times, np.int64), left)
    return int(cycles_of(b"".join(parts), executed, TIMINGS[model]).sum())


def test_the_code_is_what_it_is_called() -> None:
    disassembler = Cs(CS_ARCH_RISCV, CS_MODE_RISCV32 | CS_MODE_RISCVC)
    for line, code in CODE.items():
        _, size, mnemonic, _ = next(disassembler.disasm_lite(bytes.fromhex(code), 0, 1))
        assert (mnemonic, size) == (line.split()[0], len(code) // 2)


@pytest.mark.parametrize(
    ("line", "ibex", "cv32e40p"),
    [("c.addi a0, 1", 1, 1), ("mul a0, a0, a1", 1, 1), ("mulh a0, a0, a1", 2, 5), ("div a0, a0, a1", 37, 35)],
)
def test_products_and_quotients(line: str, ibex: int, cv32e40p: int) -> None:
    assert (cycles(line), cycles(line, model="cv32e40p")) == (ibex, cv32e40p)


@pytest.mark.parametrize(
    "line",
    [
        *("addi a0, a0, 1", "c.addi a0, 1", "c.mv a1, a0", "c.add a0, a1", "c.sw a0, 0(a1)", "lb a0, 0(a0)"),
        *("sb a0, 0(a1)", "sb a1, 0(a0)", "bne a0, a1, -4", "c.bnez a0, -2"),
    ],
)
def test_what_a_load_gives_is_there_a_cycle_later(line: str) -> None:
    for load in ("lb a0, 0(a1)", "c.lw a0, 0(a1)"):
        assert cycles(load, line) == 3
        # not so the instruction behind that
        assert cycles(load, "mul a2, a3, a1", line) == 3


@pytest.mark.parametrize("line", ["c.li a0, 0", "lb a2, 0(a1)", "c.lw a0, 0(a1)", "mul a2, a3, a1"])
def test_what_does_not_need_it_does_not_wait(line: str) -> None:
    assert cycles("lb a0, 0(a1)", line) == 2


def test_the_zero_register_is_never_waited_for() -> None:
    # lb zero, 0(a1); addi a0, zero, 0
    code = bytes.fromhex("03800500" + "13050000")
    executed = Executed(np.array([0, 4]), np.array([1, 1]), np.array([0, 0]))
    assert cycles_of(code, executed, TIMINGS["ibex"]).sum() == 2


def test_a_branch_takes_more_where_it_is_taken() -> None:
    # ten turns, of which nine go back
    assert cycles("addi a0, a0, 1", "bne a0, a1, -4", times=10, jumps=9) == 10 + 10 + 9 * 2
    assert cycles("c.jr ra", jumps=1) == cycles("jal ra, 8", jumps=1) == 2
    assert cycles("lb a0, 0(a1)", "c.jr a0", jumps=1) == 1 + 1 + 2


def test_a_jump_behind_the_middle_of_a_word_waits_for_the_next_one() -> None:
    code = bytes.fromhex(CODE["c.addi a0, 1"] + CODE["addi a0, a0, 1"] + CODE["c.addi a0, 1"])
    # ten times from elsewhere, once from the instruction in front of it
    executed = Executed(np.array([0, 2, 6]), np.array([1, 11, 11]), np.array([0, 0, 0]))
    assert cycles_of(code, executed, TIMINGS["ibex"]).tolist() == [1, 11 + 10, 11]


def test_without_jumps_there_are_no_cycles() -> None:
    with pytest.raises(InternalError, match="cycles need the jumps"):
        cycles_of(bytes(4), Executed(np.array([0]), np.array([1])), TIMINGS["ibex"])


def test_what_is_no_instruction_is_refused() -> None:
    with pytest.raises(InternalError, match="no known rv32 instruction"):
        risc_timed(b"\xff" * 4)


def test_names() -> None:
    expected = "ibex, single-cycle multiplier, writeback stage, memory of one cycle"
    assert TIMINGS["ibex"].title("memory of one cycle") == TIMINGS["ibex"].title() == expected


def test_the_start_code_calls_the_function() -> None:
    code = start_code(0x0800_0F5C, 0x2020_0010, 0x2008_0000)
    disassembler = Cs(CS_ARCH_RISCV, CS_MODE_RISCV32 | CS_MODE_RISCVC)
    lines = [f"{mnemonic} {operands}" for _, _, mnemonic, operands in disassembler.disasm_lite(code, 0)][32:]
    assert lines == [
        *("lui sp, 0x20080", "mv sp, sp"),
        *("lui a0, 0x20200", "addi a0, a0, 0x10"),
        *("lui t0, 0x8001", "addi t0, t0, -0xa4"),
        *("lui s0, 0xffff0", "mv s0, s0"),
        "csrw 800, zero",
        "csrr s1, minstret",
        *("sw s1, 8(s0)", "sw zero, 0(s0)", "jalr t0", "sw a0, 4(s0)"),
        *("csrr s1, minstret", "sw s1, 0xc(s0)", "j 0"),
    ]
