"""`stack_bytes` bounds what the emulated core uses, and is no guess where it can't know."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from codegen_nets import FLOAT_NET, INT8_NET, SHARED_NET, int8_reference, shared_reference, with_body

from lowtide.codegen import CodegenResult, generate
from lowtide.codegen.body import prepare_body
from lowtide.codegen.frames import extra_stack_bytes
from lowtide.codegen.iree import scratch_directory
from lowtide.codegen.object import build_object
from lowtide.codegen.sizes import sizes
from lowtide.codegen.stack import call_graph, deepest, stack_bound
from lowtide.emulate import Array, backend_named, load_artifact
from lowtide.errors import InternalError
from lowtide.network import Network, Slot
from lowtide.targets import TARGETS, Target

M4, RV32 = TARGETS["cortex-m4"], TARGETS["rv32imac"]
_EMULATED = [target for target in TARGETS.values() if target.emulator not in ("", "host")]

# A kernel with a buffer of 160 bytes on the stack, aligned to 64 bytes: the stack pointer moves further than LLVM says.
_BUFFERED = with_body(
    with_body(
        SHARED_NET,
        "  %sum = scf.for",
        '  %scratch = "memref.alloca"() <{alignment = 64 : i64, operandSegmentSizes = array<i32: 0, 0>}> : ()'
        " -> memref<40xi32>\n  func.call @fill(%in, %scratch) : (memref<16xi32>, memref<40xi32>) -> ()\n"
        "  %sum = scf.for",
    ),
    "%a = memref.load %in[%i] : memref<16xi32>",
    "%a = memref.load %scratch[%i] : memref<40xi32>",
)
_ALIGNED = replace(
    _BUFFERED,
    body=_BUFFERED.body
    + """
func.func private @fill(%in: memref<16xi32>, %out: memref<40xi32>) attributes {llvm.no_inline} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c16 = arith.constant 16 : index
  scf.for %i = %c0 to %c16 step %c1 {
    %a = memref.load %in[%i] : memref<16xi32>
    memref.store %a, %out[%i] : memref<40xi32>
  }
  return
}
""",
)


@pytest.mark.parametrize("target", _EMULATED, ids=lambda target: target.name)
def test_int8_in_exactly_the_claimed_memory(target: Target, tmp_path: Path) -> None:
    x = np.random.default_rng(7).integers(-128, 128, (1, 64), dtype=np.int8)
    _run(INT8_NET, target, [x], int8_reference(x), tmp_path)


@pytest.mark.parametrize("target", _EMULATED, ids=lambda target: target.name)
@pytest.mark.parametrize("network", [SHARED_NET, _ALIGNED], ids=["shared", "aligned"])
def test_calls_in_exactly_the_claimed_memory(network: Network, target: Target, tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    x = rng.integers(0, 256, (4, 4), dtype=np.uint8)
    b = rng.integers(-(2**20), 2**20, 16, dtype=np.int32)
    _run(network, target, [x, b], shared_reference(x, b), tmp_path)


def _run(network: Network, target: Target, inputs: list[Array], expected: Array, folder: Path) -> None:
    result = generate(network, target, folder)
    _write_report(network, target, result)
    ran = backend_named("unicorn").run(load_artifact(folder), inputs)
    assert np.array_equal(ran.outputs[0], expected)
    assert ran.stack_used_bytes is not None
    print(f"{network.name} on {target.name}: bound {result.stack_bytes}, used {ran.stack_used_bytes}")
    assert ran.stack_used_bytes <= result.stack_bytes
    # The bound is close: what is aligned away, saved registers that are not touched.
    assert result.stack_bytes <= ran.stack_used_bytes + 64


def _write_report(network: Network, target: Target, result: CodegenResult) -> None:
    report = {
        "model": "net.tflite",
        "name": network.name,
        "target": target.name,
        "arena_bytes": network.arena_bytes,
        "stack_bytes": result.stack_bytes,
        "data_bytes": result.data_bytes,
        "sram_bytes": network.arena_bytes + result.stack_bytes + result.data_bytes,
        "inputs": [_entry(slot) for slot in network.inputs],
        "outputs": [_entry(slot) for slot in network.outputs],
    }
    (result.object.parent / "report.json").write_text(json.dumps(report))


def _entry(slot: Slot) -> dict[str, object]:
    tensor = slot.tensor
    return {
        "name": tensor.name,
        "shape": list(tensor.shape),
        "dtype": tensor.dtype,
        "scale": tensor.scale,
        "zero_point": tensor.zero_point,
        "offset": slot.offset,
    }


def _object(network: Network, target: Target) -> tuple[bytes, dict[str, int]]:
    with scratch_directory() as scratch:
        built = build_object(network, target, prepare_body(network).own, scratch)
    return built.data, built.frames


@pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)
def test_the_call_graph(target: Target) -> None:
    data, frames = _object(_ALIGNED, target)
    graph = call_graph(data)
    assert graph.callees == {
        "shared_net_run": frozenset({"row_sums"}),
        "row_sums": frozenset({"fill"}),
        "fill": frozenset(),
    }
    assert graph.external == ()
    # Three frames, of which the second holds 160 bytes and up to 63 of alignment.
    assert sum(frames[name] for name in graph.callees) + 32 <= stack_bound(data, frames, "shared_net_run") <= 512


def test_soft_float_calls_are_listed_and_not_counted() -> None:
    data, frames = _object(FLOAT_NET, TARGETS["cortex-m3"])
    assert {"__aeabi_fmul", "__aeabi_fadd"} <= set(call_graph(data).external)
    assert 0 < stack_bound(data, frames, "float_net_run") < 256


def test_sizes_count_what_is_linked() -> None:
    data, _ = _object(INT8_NET, M4)
    with scratch_directory() as scratch:
        found = sizes(data, ["int8_net_run"], scratch)
    # 64 weights, and two unwind entries of 8 bytes.
    assert (found.rodata_bytes, found.data_bytes) == (80, 0)
    assert 60 < found.code_bytes < 200


def test_an_unknown_frame_is_refused() -> None:
    data, frames = _object(SHARED_NET, M4)
    del frames["row_sums"]
    with pytest.raises(InternalError, match="frame of row_sums is not known"):
        stack_bound(data, frames, "shared_net_run")


@pytest.mark.parametrize("target", [M4, RV32, TARGETS["host"]], ids=lambda target: target.name)
def test_a_function_whose_address_is_taken_is_refused(target: Target) -> None:
    pointer = f"i{8 * target.pointer_bytes}"
    network = with_body(
        SHARED_NET,
        "  return\n}\nfunc.func private @shared_net_body(%arena: memref<256xi8>) {\n  %c0 = arith.constant 0 : index\n",
        "  return\n}\nllvm.func @helper(%p: !llvm.ptr) attributes {no_inline} {\n"
        f"  %a = llvm.load volatile %p : !llvm.ptr -> {pointer}\n  llvm.return\n}}\n"
        "func.func private @shared_net_body(%arena: memref<256xi8>) {\n  %c0 = arith.constant 0 : index\n"
        "  %function = llvm.mlir.addressof @helper : !llvm.ptr\n"
        "  %index = memref.extract_aligned_pointer_as_index %arena : memref<256xi8> -> index\n"
        f"  %word = arith.index_cast %index : index to {pointer}\n"
        f"  %p = llvm.inttoptr %word : {pointer} to !llvm.ptr\n"
        "  llvm.store volatile %function, %p : !llvm.ptr, !llvm.ptr\n",
    )
    data, frames = _object(network, target)
    with pytest.raises(InternalError, match="address of helper is taken"):
        stack_bound(data, frames, "shared_net_run")


def test_two_functions_in_one_section_are_refused() -> None:
    data, _ = _object(SHARED_NET, M4)
    with pytest.raises(InternalError, match="share a section"):
        call_graph(_with_all_functions_in_one_section(data))


def _with_all_functions_in_one_section(data: bytes) -> bytes:
    from lowtide.codegen.elf import read_elf, symbol_table, symbols

    elf = read_elf(data)
    table = symbol_table(elf)
    out = bytearray(data)
    functions = [index for index, symbol in enumerate(symbols(elf)) if symbol.kind == "STT_FUNC"]
    for index in functions:
        struct.pack_into("<H", out, table["sh_offset"] + 16 * index + 14, 1)
    return bytes(out)


def test_the_deepest_chain_counts() -> None:
    frames = {"run": 8, "a": 100, "b": 10, "c": 60, "unused": 1_000}
    calls = {"run": {"a", "b"}, "a": set[str](), "b": {"c", "a"}, "c": set[str](), "unused": {"a"}}
    callees = {name: frozenset(found) for name, found in calls.items()}
    assert deepest(frames, callees, "run") == 8 + 10 + 100


def test_recursion_is_refused() -> None:
    callees = {"run": frozenset({"a"}), "a": frozenset({"b"}), "b": frozenset({"a"})}
    with pytest.raises(InternalError, match="run -> a -> b -> a"):
        deepest({"run": 1, "a": 1, "b": 1}, callees, "run")


def _words(*words: int) -> bytes:
    return struct.pack(f"<{len(words)}I", *words)


# Hand-assembled: addi sp, -272; csrr a0, vlenb; slli a0, 2; sub sp, a0; andi sp, -64.
_ADDI, _CSRR, _SLLI, _SUB, _ANDI = 0xEF01_0113, 0xC220_2573, 0x0025_1513, 0x40A1_0133, 0xFC01_7113


@pytest.mark.parametrize(
    ("machine", "code", "reported", "extra"),
    [
        ("EM_ARM", struct.pack("<4H", 0x466C, 0xF36F, 0x0405, 0x46A5), 320, 56),  # mov r4, sp; bfc r4, #0, #6
        ("EM_ARM", struct.pack("<2H", 0xF36F, 0x0403), 32, 8),
        ("EM_ARM", b"\x80\xb5\x00\xbf", 8, 0),
        # vmladav.s8 r0, q0, q0, which capstone does not know, is left out as a whole; bfc r4, #0, #6
        ("EM_ARM", struct.pack("<4H", 0xEEF0, 0x0F00, 0xF36F, 0x0405), 320, 56),
        ("EM_ARM", struct.pack("<2H", 0xF36F, 0x0445), 32, 0),  # bfc r4, #1, #5: not the low bits
        # str r7, [sp, #-8]!; ldr r7, [sp], #8; twice, one after the other
        ("EM_ARM", struct.pack("<4H", 0xF84D, 0x7D08, 0xF85D, 0x7B08) * 2, 16, 8),
        ("EM_RISCV", _words(_ADDI), 256, 16),
        ("EM_RISCV", _words(_ADDI), 272, 0),
        ("EM_RISCV", b"\x6d\x71", 256, 16),  # c.addi16sp -272
        ("EM_RISCV", b"\x41\x11", 0, 16),  # c.addi sp, -16
        ("EM_RISCV", _words(_ADDI, _CSRR, _SLLI, _SUB, _ANDI), 256, 16 + 4 * 16 + 48),
        ("EM_RISCV", _words(_CSRR) + b"\x0a\x05" + _words(_SUB), 0, 4 * 16),  # c.slli a0, 2
        ("EM_RISCV", _words(_CSRR, _SUB), 0, 16),
        ("EM_RISCV", _words(_CSRR, 0x00A1_2223, 0x0005_1463, _SUB), 0, 16),  # sw a0, 4(sp); bnez a0, 8
        # li a1, 2; mul a0, a0, a1; vle8.v v8, (a0), not known to capstone, whose second half is none either
        ("EM_RISCV", _words(_CSRR, 0x0020_0593, 0x02B5_0533, 0x0205_0407, _SUB), 0, 2 * 16),
        ("EM_RISCV", _words(_CSRR, 0x40A0_0533, 0x40A0_0533, _SUB), 0, 16),  # neg a0, a0, twice
        # c.li a1, 24; mul a0, a0, a1
        ("EM_RISCV", _words(_CSRR) + b"\xe1\x45" + _words(0x02B5_0533, _SUB), 0, 24 * 16),
        # slli a1, a0, 1; c.add a0, a1
        ("EM_RISCV", _words(_CSRR, 0x0015_1593) + b"\x2e\x95" + _words(_SUB), 0, 3 * 16),
        # slli a1, a0, 3; c.mv a2, a0; sub a0, a1, a2
        ("EM_RISCV", _words(_CSRR, 0x0035_1593) + b"\x2a\x86" + _words(0x40C5_8533, _SUB), 0, 7 * 16),
        # c.slli a0, 3; c.mv a1, a0; csrr a0, vlenb; c.sub a1, a0; c.mv a0, a1
        ("EM_RISCV", _words(_CSRR) + b"\x0e\x05\xaa\x85" + _words(_CSRR) + b"\x89\x8d\x2e\x85" + _words(_SUB), 0, 112),
        ("EM_X86_64", b"\x48\x83\xe4\xc0", 64, 64 + 8),
        ("EM_X86_64", bytes.fromhex("4881e400ffffff"), 512, 256 + 8),  # and rsp, -256
        ("EM_X86_64", b"\x90", 64, 8),
        ("EM_AARCH64", _words(0x927A_E53F), 64, 48),  # and sp, x9, #~63
        ("EM_AARCH64", _words(0xD503_201F), 64, 0),
    ],
)
def test_what_llvm_s_frames_leave_out(machine: str, code: bytes, reported: int, extra: int) -> None:
    assert extra_stack_bytes(machine, code, reported) == extra


def test_vectors_of_unknown_size_are_refused() -> None:
    # lw a0, 0(a0); c.lwsp a0, 4(sp) and c.nop
    for code in ((_SUB,), (_CSRR, 0x0005_2503, _SUB), (_CSRR, 0x0001_4512, _SUB)):
        with pytest.raises(InternalError, match="takes stack of a size that isn't known"):
            extra_stack_bytes("EM_RISCV", _words(*code), 0)
