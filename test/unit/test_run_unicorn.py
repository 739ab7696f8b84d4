"""The emulated microcontroller: right results, true counts, and no access outside the report's memory."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import run_nets
import unicorn

from lowtide.emulate import ArtifactView, backend_named, load_artifact
from lowtide.emulate.backends.unicorn import ArtifactKind, UnicornBackend
from lowtide.errors import InputError, InternalError, UsageError
from lowtide.network import IoTensor, Slot
from lowtide.targets import TARGETS

EMULATED = ("cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33", "rv32imac", "rv32imafc")
WITH_FPU = ("cortex-m4", "cortex-m7", "cortex-m33", "rv32imafc")
Layer = Callable[[str], ArtifactView]

X = Slot(IoTensor("x", (1, 64), "int8"), 0)
Y = Slot(IoTensor("o", (64,), "int32"), 64)
SAMPLE = np.random.default_rng(1).integers(-128, 128, (1, 64)).astype(np.int8)
EXPECTED = (SAMPLE.astype(np.int32).sum() * np.arange(64)).astype(np.int32)


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Layer:
    compiled: dict[str, ArtifactView] = {}

    def build(name: str) -> ArtifactView:
        if name not in compiled:
            directory = tmp_path_factory.mktemp(name)
            target = TARGETS[name]
            body = run_nets.LAYER
            run_nets.compile_net(directory, target, body, arena_bytes=320, inputs=[X], outputs=[Y], elf=True)
            compiled[name] = load_artifact(directory)
        return compiled[name]

    return build


def small(
    tmp_path: Path, name: str, body: str, arena: int = 64, inputs: Sequence[Slot] = (), outputs: Sequence[Slot] = ()
) -> ArtifactView:
    code = run_nets.loads_and_stores(body, arena)
    directory = tmp_path / name
    run_nets.compile_net(directory, TARGETS[name], code, arena_bytes=arena, inputs=inputs, outputs=outputs)
    return load_artifact(directory)


@pytest.mark.parametrize("kind", ["object", "elf"])
@pytest.mark.parametrize("name", EMULATED)
def test_result_is_right_and_the_same_again(name: str, kind: ArtifactKind, layer: Layer) -> None:
    session = UnicornBackend(kind).open(layer(name))
    first = session.run([SAMPLE], probe=True)
    again = session.run([SAMPLE])
    assert np.array_equal(first.outputs[0], EXPECTED)
    assert np.array_equal(again.outputs[0], EXPECTED)
    assert first.instructions == again.instructions
    assert first.arena_touched_bytes == 320
    assert first.return_code == 0
    assert again.arena_touched_bytes is None
    assert session.run([SAMPLE], count=False).instructions is None


@pytest.mark.parametrize("name", WITH_FPU)
def test_float_arithmetic_runs_on_the_fpu(name: str, tmp_path: Path) -> None:
    body = """
      %a = llvm.load %p : !llvm.ptr -> f32
      %s = llvm.fmul %a, %a : f32
      %q = llvm.getelementptr %p[4] : (!llvm.ptr) -> !llvm.ptr, i8
      llvm.store %s, %q : f32, !llvm.ptr"""
    x, y = (Slot(IoTensor(name, (1,), "float32"), offset) for name, offset in (("x", 0), ("y", 4)))
    artifact = small(tmp_path, name, body, 16, [x], [y])
    result = backend_named("unicorn").run(artifact, [np.array([1.5], np.float32)])
    assert result.outputs[0].tolist() == [2.25]


@pytest.mark.parametrize("name", ["cortex-m4", "cortex-m7", "rv32imac"])
def test_instruction_count_equals_a_hook_on_every_instruction(name: str, layer: Layer) -> None:
    session = UnicornBackend().open(layer(name))
    counted = session.run([SAMPLE]).instructions
    slow = 0

    def on_instruction(*_: object) -> None:
        nonlocal slow
        slow += 1

    machine = session.machine(False)
    machine.uc.hook_add(unicorn.UC_HOOK_CODE, on_instruction)
    session.run([SAMPLE], count=False)
    assert counted == slow > 1_000


@pytest.mark.parametrize("name", ["cortex-m4", "rv32imac"])
def test_stack_high_water_is_the_least_stack_that_works(name: str, layer: Layer) -> None:
    artifact = layer(name)
    used = UnicornBackend().run(artifact, [SAMPLE], probe=True).stack_used_bytes
    assert used is not None and 0 < used <= artifact.stack_bytes
    exact = UnicornBackend().run(replace(artifact, stack_bytes=used), [SAMPLE])
    assert np.array_equal(exact.outputs[0], EXPECTED)
    with pytest.raises(InternalError, match=r"stack overflow: .*before the start of the stack"):
        UnicornBackend().run(replace(artifact, stack_bytes=used - 16), [SAMPLE])


STRAYS = {
    "write one past": ("64", "store", r"writes 1 byte at 0x\w+, 1 byte past the end of the arena"),
    "read one past": ("64", "load", r"reads 1 byte at 0x\w+, 1 byte past the end of the arena"),
    "write one before": ("-1", "store", r"writes 1 byte at 0x\w+, 1 byte before the start of the arena"),
    "read one before": ("-1", "load", r"reads 1 byte at 0x\w+, 1 byte before the start of the arena"),
    "write far away": ("1000000", "store", r"writes 1 byte at 0x\w+, 999,937 bytes past the end of the arena"),
}


@pytest.mark.parametrize("name", ["cortex-m4", "rv32imac"])
@pytest.mark.parametrize("stray", STRAYS)
def test_a_stray_access_to_the_byte_is_named(stray: str, name: str, tmp_path: Path) -> None:
    offset, kind, message = STRAYS[stray]
    access = {
        "store": "llvm.store volatile %v, %q : i8, !llvm.ptr",
        "load": "%w = llvm.load volatile %q : !llvm.ptr -> i8",
    }[kind]
    body = f"""
      %v = llvm.mlir.constant(7 : i8) : i8
      %q = llvm.getelementptr %p[{offset}] : (!llvm.ptr) -> !llvm.ptr, i8
      {access}"""
    with pytest.raises(InternalError, match=rf"run: net_\w+\+0x\w+ \(pc 0x08\w+\) {message}"):
        UnicornBackend().run(small(tmp_path, name, body), [])


@pytest.mark.parametrize("name", ["cortex-m4", "rv32imac"])
def test_an_access_across_the_end_is_caught(name: str, tmp_path: Path) -> None:
    body = """
      %q = llvm.getelementptr %p[20] : (!llvm.ptr) -> !llvm.ptr, i8
      %w = llvm.load volatile %q : !llvm.ptr -> i32"""
    with pytest.raises(InternalError, match=r"reads 4 bytes at 0x\w+, 2 bytes past the end of the arena"):
        UnicornBackend().run(small(tmp_path, name, body, arena=22), [])


@pytest.mark.parametrize("name", ["cortex-m4", "rv32imac"])
def test_a_write_to_flash_is_caught(name: str, tmp_path: Path) -> None:
    body = """
      %v = llvm.mlir.constant(7 : i8) : i8
      %f = llvm.mlir.addressof @net_run : !llvm.ptr
      llvm.store volatile %v, %f : i8, !llvm.ptr"""
    with pytest.raises(InternalError, match=r"writes 1 byte at 0x08\w+, inside the flash"):
        UnicornBackend().run(small(tmp_path, name, body), [])


def test_flash_ends_where_the_image_ends(layer: Layer) -> None:
    flash = UnicornBackend().open(layer("cortex-m4")).layout.flash
    assert 0 <= -flash.end % 4096 < 16


@pytest.mark.parametrize("name", ["cortex-m4", "rv32imac"])
def test_every_access_width_and_alignment_works_in_edge_pages(name: str, tmp_path: Path) -> None:
    """A word copied from offset 3 to offset 9, in a whole arena of edge pages and in one that spans pages."""
    body = """
      %q = llvm.getelementptr %p[{0}] : (!llvm.ptr) -> !llvm.ptr, i8
      %r = llvm.getelementptr %p[{1}] : (!llvm.ptr) -> !llvm.ptr, i8
      %w = "llvm.load"(%q) <{{alignment = 1 : i64, ordering = 0 : i64, volatile_}}> : (!llvm.ptr) -> {2}
      "llvm.store"(%w, %r) <{{alignment = 1 : i64, ordering = 0 : i64, volatile_}}> : ({2}, !llvm.ptr) -> ()"""
    arena = 3 * 4096
    memory = np.random.default_rng(5).integers(0, 256, arena).astype(np.uint8)
    whole = [Slot(IoTensor("x", (arena,), "uint8"), 0)]
    # The arena starts 16 bytes into a page: 4080 is the first byte of its second page.
    copies = [(3, 9, 4), (5, 4078, 4), (4079, 40, 2), (8158, 8175, 4), (arena - 4, 17, 4), (1, arena - 1, 1)]
    lines = [body.format(a, b, f"i{8 * n}") for a, b, n in copies]
    renamed = "\n".join(
        line.replace("%q", f"%q{i}").replace("%r", f"%r{i}").replace("%w", f"%w{i}") for i, line in enumerate(lines)
    )
    result = UnicornBackend().run(small(tmp_path, name, renamed, arena, whole, whole), [memory])
    for source, destination, count in copies:
        memory[destination : destination + count] = memory[source : source + count].copy()
    assert np.array_equal(result.outputs[0], memory)


def test_probe_counts_bytes_and_finds_uninitialised_reads(tmp_path: Path) -> None:
    output = [Slot(IoTensor("y", (1,), "int32"), 8)]
    writes = "%v = llvm.mlir.constant(7 : i32) : i32\n"
    writes += "%q = llvm.getelementptr %p[8] : (!llvm.ptr) -> !llvm.ptr, i8\n"
    writes += "llvm.store %v, %q : i32, !llvm.ptr"
    result = UnicornBackend().run(small(tmp_path / "a", "cortex-m4", writes, outputs=output), [], probe=True)
    assert result.arena_touched_bytes == 4
    copies = "%w = llvm.load %p : !llvm.ptr -> i32\n" + writes.replace("store %v", "store %w")
    with pytest.raises(InternalError, match="read before it is written"):
        UnicornBackend().run(small(tmp_path / "b", "cortex-m4", copies, outputs=output), [], probe=True)


def test_a_core_without_fpu_needs_the_firmwares_library(tmp_path: Path) -> None:
    body = """
      %a = llvm.load %p : !llvm.ptr -> f32
      %s = llvm.fmul %a, %a : f32
      llvm.store %s, %p : f32, !llvm.ptr"""
    artifact = small(tmp_path, "cortex-m3", body)
    with pytest.raises(InputError, match=r"the \.o alone does not run: it calls __\w+.*cortex-m3 has no FPU"):
        UnicornBackend().open(artifact)


def test_data_that_the_report_does_not_claim_is_refused(tmp_path: Path, layer: Layer) -> None:
    with pytest.raises(InternalError, match="the report claims 4 data bytes, the code has 0"):
        UnicornBackend().open(replace(layer("cortex-m4"), data_bytes=4))


@pytest.mark.parametrize("name", ["cortex-m55", "rv32gcv", "host"])
def test_a_core_that_unicorn_lacks_is_refused(name: str, layer: Layer) -> None:
    with pytest.raises(UsageError, match="use --backend"):
        UnicornBackend().open(replace(layer("cortex-m4"), target=TARGETS[name]))


def test_damaged_files_are_refused(tmp_path: Path, layer: Layer) -> None:
    artifact = replace(layer("cortex-m4"), directory=tmp_path)
    with pytest.raises(InputError, match=r"net\.o is missing"):
        UnicornBackend().open(artifact)
    with pytest.raises(InputError, match=r"net\.elf is missing"):
        UnicornBackend("elf").open(artifact)
    (tmp_path / "net.o").write_bytes(b"no object")
    with pytest.raises(InputError, match="does not link"):
        UnicornBackend().open(artifact)
    whole = layer("cortex-m4").file(".elf").read_bytes()
    for damaged in (b"", b"no ELF at all", whole[:40], whole[:200], layer("cortex-m4").file(".o").read_bytes()):
        (tmp_path / "net.elf").write_bytes(damaged)
        with pytest.raises((InputError, InternalError)):
            UnicornBackend("elf").open(artifact)


def test_wrong_inputs_are_refused(layer: Layer) -> None:
    session = UnicornBackend().open(layer("cortex-m4"))
    with pytest.raises(UsageError, match="has 1 inputs, 0 were given"):
        session.run([])
    with pytest.raises(UsageError, match=r"expects int8\[1, 64\], got uint8\[1, 64\]"):
        session.run([SAMPLE.view(np.uint8)])


def test_reports_are_read_and_damage_is_named(tmp_path: Path, layer: Layer) -> None:
    with pytest.raises(InputError, match="no such folder"):
        load_artifact(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"has no report\.json"):
        load_artifact(tmp_path)
    report = json.loads((layer("cortex-m4").directory / "report.json").read_text())
    damages: list[tuple[dict[str, Any], str]] = [
        ({"target": "z80"}, "unknown target"),
        ({"sram_bytes": 1}, "is not arena"),
        ({"arena_bytes": -1}, "not a whole number from 0"),
        ({"name": "../net"}, "not a C identifier"),
        ({"inputs": 3}, "must be lists"),
        ({"outputs": [{**report["outputs"][0], "offset": 300}]}, "ends past the arena"),
        ({"outputs": [{**report["outputs"][0], "dtype": "int4"}]}, "int4"),
        ({"outputs": [{}]}, "has no 'dtype'"),
    ]
    for change, message in damages:
        (tmp_path / "report.json").write_text(json.dumps({**report, **change}))
        with pytest.raises(InputError, match=message):
            load_artifact(tmp_path)
    for text in ("{", "[]", "\xff"):
        (tmp_path / "report.json").write_text(text, encoding="latin-1")
        with pytest.raises(InputError):
            load_artifact(tmp_path)


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(UsageError, match="choose one of unicorn, qemu, host"):
        backend_named("fpga")


def test_writable_data_has_its_own_region(tmp_path: Path) -> None:
    body = """
    memref.global "private" @counter : memref<3xi32> = dense<[5, 6, 7]>
    func.func private @net_body(%arena: memref<64xi8>) attributes {llvm.no_inline} {
      %c0 = arith.constant 0 : index
      %c2 = arith.constant 2 : index
      %g = memref.get_global @counter : memref<3xi32>
      %o = memref.view %arena[%c0][] : memref<64xi8> to memref<1xi32>
      %v = memref.load %g[%c2] : memref<3xi32>
      %n = arith.addi %v, %v : i32
      memref.store %n, %g[%c2] : memref<3xi32>
      memref.store %n, %o[%c0] : memref<1xi32>
      return
    }"""
    output = [Slot(IoTensor("y", (1,), "int32"), 0)]
    run_nets.compile_net(tmp_path, TARGETS["cortex-m4"], body, arena_bytes=64, outputs=output)
    # LLVM keeps the one element that is used.
    session = UnicornBackend().open(replace(load_artifact(tmp_path), data_bytes=4))
    assert [session.run([]).outputs[0].tolist() for _ in range(2)] == [[14], [14]]


def test_ctrl_c_stops_an_emulation_that_does_not_end(tmp_path: Path) -> None:
    body = """
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %word2 = llvm.load volatile %p : !llvm.ptr -> i32
      scf.while : () -> () {
        %again = llvm.load volatile %p : !llvm.ptr -> i32
        %same = arith.cmpi eq, %again, %word2 : i32
        scf.condition(%same)
      } do {
        scf.yield
      }"""
    session = UnicornBackend().open(small(tmp_path, "cortex-m4", body))

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        with pytest.raises(KeyboardInterrupt):
            session.run([])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
