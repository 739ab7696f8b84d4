"""NAME.o, NAME.elf and what `generate` promises of them, for every target."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from codegen_nets import FLOAT_NET, INT8_NET, NETS, SHARED_NET, int8_reference, with_body
from elftools.elf.elffile import ELFFile

from lowtide.codegen import CodegenResult, generate
from lowtide.codegen.body import prepare_body
from lowtide.codegen.elf import Relocation, Symbol, read_elf, relocations, symbols, undefined_symbols
from lowtide.codegen.embedded import check_embedded, check_imports
from lowtide.codegen.iree import compile_module, link, scratch_directory
from lowtide.codegen.module import object_module
from lowtide.codegen.object import globalise, keep_only, parse_stack_usage
from lowtide.errors import InputError, InternalError
from lowtide.network import Network
from lowtide.targets import TARGETS, Target

HOST = TARGETS["host"]
M4 = TARGETS["cortex-m4"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("codegen")


@cache
def _compile(network: Network, target: Target, folder: Path) -> CodegenResult:
    out = folder / target.name
    out.mkdir(exist_ok=True)
    return generate(network, target, out)


@pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)
@pytest.mark.parametrize("network", NETS, ids=lambda network: network.name)
def test_every_target(network: Network, target: Target, folder: Path) -> None:
    result = _compile(network, target, folder)
    data = result.object.read_bytes()
    exported = [symbol for symbol in symbols(read_elf(data)) if symbol.binding == "STB_GLOBAL" and not symbol.undefined]
    assert [(symbol.name, symbol.kind) for symbol in exported] == [(f"{network.name}_run", "STT_FUNC")]
    soft = network is FLOAT_NET and not target.hard_float
    assert result.external_symbols == undefined_symbols(data)
    assert bool(result.external_symbols) == soft
    assert (result.elf is None) == soft
    assert result.data_bytes == 0
    assert 0 < result.code_bytes < 1_500
    assert 0 <= result.rodata_bytes < 200
    assert 0 < result.stack_bytes < 256
    names = [section.name for section in read_elf(data).iter_sections()]
    assert not [name for name in names if name.startswith((".data", ".bss", ".debug", ".rel.debug", ".eh_frame"))]


@pytest.mark.parametrize("target", [M4, TARGETS["rv32imac"], HOST], ids=lambda target: target.name)
def test_same_input_same_bytes(target: Target, folder: Path, tmp_path: Path) -> None:
    first = _compile(SHARED_NET, target, folder)
    second = generate(SHARED_NET, target, tmp_path)
    assert first.elf is not None and second.elf is not None
    for one, other in zip(
        (first.object, first.header, first.elf, first.vmfb),
        (second.object, second.header, second.elf, second.vmfb),
        strict=True,
    ):
        data = one.read_bytes()
        assert data == other.read_bytes(), one.name
        assert b"lowtide-" not in data, f"{one.name} names a temporary folder"


def test_a_shared_kernel_is_there_once(folder: Path) -> None:
    table = symbols(read_elf(_compile(SHARED_NET, M4, folder).object.read_bytes()))
    functions = sorted(symbol.name for symbol in table if symbol.kind == "STT_FUNC")
    assert functions == ["row_sums", "shared_net_run"]


def test_the_embedded_elf_is_small_and_needs_no_loader(folder: Path) -> None:
    path = _compile(INT8_NET, M4, folder).elf
    assert path is not None
    with path.open("rb") as stream:
        loads = [segment for segment in ELFFile(stream).iter_segments() if segment["p_type"] == "PT_LOAD"]
    assert len(loads) == 1
    assert loads[0]["p_memsz"] < 1_024
    assert loads[0]["p_align"] == 16


def test_an_elf_with_other_exports_is_refused(tmp_path: Path) -> None:
    with scratch_directory() as scratch:
        data = _raw_object(scratch, M4)
        (scratch / "raw.o").write_bytes(data)
        link(["-shared", "--unresolved-symbols=ignore-all", "raw.o", "-o", "raw.so"], scratch)
        shared = (scratch / "raw.so").read_bytes()
    with pytest.raises(InternalError, match=r"exports .*int8_net_library_query"):
        check_embedded(shared)


def test_a_library_that_imports_is_refused() -> None:
    with scratch_directory() as scratch:
        data = bytearray(_raw_object(scratch, M4))
    elf = read_elf(bytes(data))
    library = next(symbol for symbol in symbols(elf) if symbol.name.endswith("library_query_v0"))
    assert library.section is not None
    # The word behind the pointer to the library's header is the number of imports.
    struct.pack_into("<I", data, elf.get_section(library.section)["sh_offset"] + 4, 2)
    with pytest.raises(InternalError, match="imports 2 functions"):
        check_imports(bytes(data), "int8_net_library_query")


def test_a_temporary_folder_with_blanks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = tmp_path / "two words, 'quoted'"
    odd.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(odd))
    assert generate(INT8_NET, M4, odd).elf is not None
    assert len(list(odd.iterdir())) == 4


def test_the_function_runs_on_the_host(folder: Path) -> None:
    run, arena = _load(folder, INT8_NET)
    x = np.random.default_rng(1).integers(-128, 128, 64, dtype=np.int8)
    arena[16:80] = x.view(np.uint8)
    address = arena.ctypes.data
    assert run(address) == 0
    assert np.array_equal(arena[16:79].view(np.int8), int8_reference(x).reshape(-1))


@pytest.mark.parametrize("offset", [1, 4, 8, 15, None])
def test_a_bad_arena_is_refused(offset: int | None, folder: Path) -> None:
    run, arena = _load(folder, INT8_NET)
    arena[:] = 0x5A
    address = 0 if offset is None else arena.ctypes.data + offset
    assert run(address) == -1
    assert (arena == 0x5A).all()


def _load(folder: Path, network: Network) -> tuple[Callable[[int], int], npt.NDArray[np.uint8]]:
    """NAME_run of the host's object file, linked into a library, and an aligned arena."""
    result = _compile(network, HOST, folder)
    library = folder / f"{network.name}.so"
    link(["-shared", str(result.object), "-o", str(library)], folder)
    run = ctypes.CDLL(str(library))[f"{network.name}_run"]
    run.argtypes, run.restype = [ctypes.c_void_p], ctypes.c_int
    memory = np.zeros(network.arena_bytes + 16, np.uint8)
    start = -memory.ctypes.data % 16
    return run, memory[start : start + network.arena_bytes]


@pytest.mark.parametrize("target", [M4, TARGETS["rv32imac"], HOST], ids=lambda target: target.name)
def test_globalise_changes_nothing_else(target: Target) -> None:
    with scratch_directory() as scratch:
        raw = _raw_object(scratch, target)
        changed = globalise(raw, "int8_net_run")
        assert globalise(changed, "int8_net_run") == changed
        assert len(changed) == len(raw)
        before, after = _resolved(raw), _resolved(changed)
        assert after == before
        keep_only(changed, ["int8_net_run"], scratch)


def test_globalise_refuses_what_is_not_there() -> None:
    with scratch_directory() as scratch:
        raw = _raw_object(scratch, M4)
    with pytest.raises(InternalError, match="has 0 functions no_such"):
        globalise(raw, "no_such")


def test_globalise_refuses_other_tables_of_symbols() -> None:
    with scratch_directory() as scratch:
        raw = bytearray(_raw_object(scratch, M4))
    elf = read_elf(bytes(raw))
    # Section 2's header says now that it is a group.
    struct.pack_into("<I", raw, elf["e_shoff"] + 2 * elf["e_shentsize"] + 4, 17)
    with pytest.raises(InternalError, match="refers to symbols by index"):
        globalise(bytes(raw), "int8_net_run")


def _raw_object(scratch: Path, target: Target) -> bytes:
    flags = ["--compile-mode=hal-executable", "--iree-llvmcpu-link-embedded=false", "--iree-llvmcpu-link-static"]
    flags.append("--iree-llvmcpu-static-library-output-path=raw.o")
    module = object_module(INT8_NET, target, prepare_body(INT8_NET).own)
    compile_module(module, target, flags, scratch, name="int8_net")
    return (scratch / "raw.o").read_bytes()


def _resolved(data: bytes) -> list[tuple[Relocation, Symbol]]:
    """Every relocation, its symbol's index left out, and its symbol, the binding left out."""
    elf = read_elf(data)
    table = symbols(elf)
    return [(replace(entry, symbol=0), replace(table[entry.symbol], binding="")) for entry in relocations(elf)]


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (with_body(INT8_NET, "arith.muli %x0e", "arith.mulq %x0e"), "not valid IR"),
        (with_body(INT8_NET, "memref<128xi8>) {", "memref<127xi8>) {"), "not valid IR"),
        (replace(INT8_NET, arena_bytes=144), r"must be \(memref<144xi8>\) -> \(\); it is \(memref<128xi8>\)"),
        (replace(INT8_NET, name="other"), "it is no such function"),
        (replace(INT8_NET, name="my-net"), "not a C identifier"),
        (replace(INT8_NET, outputs=()), "no output"),
        (
            with_body(INT8_NET, "  %c0 = arith", "  %m = memref.alloc() : memref<4xi8>\n  %c0 = arith"),
            "memref.alloc is left after allocation",
        ),
        (
            with_body(
                SHARED_NET,
                "  %sum = scf",
                "  func.call @row_sums(%in, %in) : (memref<16xi32>, memref<16xi32>) -> ()\n  %sum = scf",
            ),
            "call themselves: row_sums -> row_sums",
        ),
        (
            replace(INT8_NET, body=INT8_NET.body + "func.func private @elsewhere(i32)\n"),
            "@elsewhere has no body",
        ),
        (
            replace(INT8_NET, inputs=(replace(INT8_NET.inputs[0], offset=65),)),
            r"bytes 65 to 129.* leaves the arena of 128",
        ),
    ],
)
def test_a_broken_network_is_refused(network: Network, message: str, tmp_path: Path) -> None:
    with pytest.raises(InternalError, match=message):
        generate(network, M4, tmp_path)
    assert not list(tmp_path.iterdir())


def test_arithmetic_that_nothing_supplies_is_refused(tmp_path: Path) -> None:
    double = (
        "  %d = arith.extf %p : f32 to f64\n  %e1 = arith.mulf %d, %d : f64\n  %e2 = arith.mulf %e1, %d : f64\n"
        "  %p2 = arith.truncf %e2 : f64 to f32\n"
    )
    network = with_body(FLOAT_NET, "    %f = math.floor %p", f"{double}    %f = math.floor %p2")
    with pytest.raises(InternalError, match=r"code for cortex-m4 calls __aeabi_d2f.*which nothing supplies"):
        generate(network, M4, tmp_path)


def test_iree_s_refusal_is_told() -> None:
    with scratch_directory() as scratch, pytest.raises(InternalError, match="failed") as caught:
        compile_module("module { func.func @f() { nonsense } }", M4, (), scratch, name="broken")
    assert "broken.mlir:1:27: error:" in caught.value.message
    assert str(scratch) not in caught.value.message
    assert "see current operation" not in caught.value.message


def test_a_compiler_that_does_not_end_is_stopped() -> None:
    with scratch_directory() as scratch, pytest.raises(InternalError, match=r"did not end within 0\.01 seconds"):
        compile_module("module {}", M4, (), scratch, name="slow", timeout=0.01)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot write the file"):
        generate(INT8_NET, M4, tmp_path / "missing")


def test_no_temporary_folder_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def interrupted() -> None:
        with scratch_directory() as scratch:
            (scratch / "file").write_text("x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not list(tmp_path.iterdir())


def test_a_frame_without_fixed_size_is_refused() -> None:
    assert parse_stack_usage("net:f\t24\tstatic\nnet.mlir:1:g\t8\tstatic\n") == {"f": 24, "g": 8}
    with pytest.raises(InternalError, match="frame of f has no fixed size"):
        parse_stack_usage("net:f\t24\tdynamic\n")
