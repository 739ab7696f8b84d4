"""Small networks, compiled for any target without the rest of lowtide: what the tests of `lowtide.run` run."""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from lowtide.network import Slot
from lowtide.targets import Target

_HEAD = """
#l = #hal.pipeline.layout<bindings = [#hal.pipeline.binding<storage_buffer>]>
hal.executable.source public @net {{
  hal.executable.export public @net_dispatch ordinal(0) layout(#l) count(%d: !hal.device) -> (index, index, index) {{
    %c1 = arith.constant 1 : index
    hal.return %c1, %c1, %c1 : index, index, index }}
  builtin.module {{
    {body}
    llvm.func @net_run(%p: !llvm.ptr) -> i32 {{
      %zero = llvm.mlir.constant(0 : i32) : i32
      %u = llvm.mlir.undef : !llvm.struct<(ptr, ptr, i32, array<1 x i32>, array<1 x i32>)>
      %d = llvm.insertvalue %p, %u[0] : !llvm.struct<(ptr, ptr, i32, array<1 x i32>, array<1 x i32>)>
      %d1 = llvm.insertvalue %p, %d[1] : !llvm.struct<(ptr, ptr, i32, array<1 x i32>, array<1 x i32>)>
      %d2 = llvm.insertvalue %zero, %d1[2] : !llvm.struct<(ptr, ptr, i32, array<1 x i32>, array<1 x i32>)>
      %m = builtin.unrealized_conversion_cast %d2
        : !llvm.struct<(ptr, ptr, i32, array<1 x i32>, array<1 x i32>)> to memref<{arena}xi8>
      func.call @net_body(%m) : (memref<{arena}xi8>) -> ()
      llvm.return %zero : i32
    }}
    func.func @net_dispatch() attributes {{
        translation_info = #iree_codegen.translation_info<pipeline = #iree_codegen.no_pipeline>}} {{
      %c0 = arith.constant 0 : index
      %arena = hal.interface.binding.subspan layout(#l) binding(0) alignment(16) offset(%c0) : memref<{arena}xi8>
      func.call @net_body(%arena) : (memref<{arena}xi8>) -> ()
      return
    }}
  }}
}}
"""

# One network for most tests: out[i] = sum over j of x[j] * w[i]  (int8 in, int32 out), through a kernel on the stack.
WEIGHTS = bytes(range(64))
LAYER = f"""
    memref.global "private" constant @w : memref<64xi8> = dense<"0x{WEIGHTS.hex()}">
    func.func private @layer(%x: memref<64xi8>, %w: memref<64xi8>, %o: memref<64xi32>) attributes {{llvm.no_inline}} {{
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %c64 = arith.constant 64 : index
      scf.for %i = %c0 to %c64 step %c1 {{
        %z = arith.constant 0 : i32
        %q = memref.load %w[%i] : memref<64xi8>
        %qe = arith.extsi %q : i8 to i32
        %s = scf.for %j = %c0 to %c64 step %c1 iter_args(%a = %z) -> i32 {{
          %p = memref.load %x[%j] : memref<64xi8>
          %pe = arith.extsi %p : i8 to i32
          %m = arith.muli %pe, %qe : i32
          %n = arith.addi %m, %a : i32
          scf.yield %n : i32
        }}
        memref.store %s, %o[%i] : memref<64xi32>
      }}
      return
    }}
    func.func private @net_body(%arena: memref<320xi8>) attributes {{llvm.no_inline}} {{
      %c0 = arith.constant 0 : index
      %c64 = arith.constant 64 : index
      %x = memref.view %arena[%c0][] : memref<320xi8> to memref<64xi8>
      %o = memref.view %arena[%c64][] : memref<320xi8> to memref<64xi32>
      %w = memref.get_global @w : memref<64xi8>
      func.call @layer(%x, %w, %o) : (memref<64xi8>, memref<64xi8>, memref<64xi32>) -> ()
      return
    }}
"""


def loads_and_stores(body: str, arena: int) -> str:
    """A network whose body works on %p, the arena as an `llvm.ptr`."""
    return f"""
    func.func private @net_body(%arena: memref<{arena}xi8>) attributes {{llvm.no_inline}} {{
      %index = memref.extract_aligned_pointer_as_index %arena : memref<{arena}xi8> -> index
      %word = arith.index_cast %index : index to i32
      %p = llvm.inttoptr %word : i32 to !llvm.ptr
      {body}
      return
    }}
"""


def compile_net(
    directory: Path,
    target: Target,
    body: str,
    *,
    arena_bytes: int,
    stack_bytes: int = 128,
    inputs: Sequence[Slot] = (),
    outputs: Sequence[Slot] = (),
    elf: bool = False,
) -> Path:
    """Compile to net.o, report.json and, with `elf`, net.elf in the directory, which is returned."""
    directory.mkdir(parents=True, exist_ok=True)
    source = directory / "net.mlir"
    source.write_text(_HEAD.format(body=body, arena=arena_bytes))
    static = ["--iree-llvmcpu-link-embedded=false", "--iree-llvmcpu-link-static"]
    static.append(f"--iree-llvmcpu-static-library-output-path={directory / 'net.o'}")
    _iree_compile(source, directory / "net.bin", target, static)
    if elf:
        _iree_compile(source, directory / "net.elf", target, [])
    _export(directory / "net.o", "net_run")
    report = {
        "model": "net.tflite",
        "name": "net",
        "target": target.name,
        "arena_bytes": arena_bytes,
        "stack_bytes": stack_bytes,
        "data_bytes": 0,
        "sram_bytes": arena_bytes + stack_bytes,
        "inputs": [_entry(slot) for slot in inputs],
        "outputs": [_entry(slot) for slot in outputs],
    }
    (directory / "report.json").write_text(json.dumps(report))
    return directory


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


def _iree_compile(source: Path, output: Path, target: Target, flags: Sequence[str]) -> None:
    command = ["iree-compile", "--compile-mode=hal-executable", "--iree-hal-target-device=local"]
    command += ["--iree-hal-local-target-device-backends=llvm-cpu", "--iree-llvmcpu-debug-symbols=false"]
    command += [f"--iree-llvmcpu-target-triple={target.triple}", f"--iree-llvmcpu-target-cpu={target.cpu}"]
    command += [f"--iree-llvmcpu-target-cpu-features={target.features}"] if target.features else []
    command += [f"--iree-llvmcpu-target-float-abi={target.float_abi}"] if target.float_abi else []
    command += [*flags, str(source), "-o", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "error:" not in done.stderr, done.stderr


def _export(path: Path, name: str) -> None:
    """Make a local function of an ELF32 object global: swap its symbol with the last local one, which becomes global.

    Relocations name symbols by index; those of the two are exchanged.
    """
    data = bytearray(path.read_bytes())
    with path.open("rb") as stream:
        elf = ELFFile(stream)
        table = elf.get_section_by_name(".symtab")
        assert isinstance(table, SymbolTableSection)
        index = next(i for i, symbol in enumerate(table.iter_symbols()) if symbol.name == name)
        number = elf.get_section_index(".symtab")
        last = table["sh_info"] - 1
        relocations = [s for s in elf.iter_sections() if s["sh_type"] in ("SHT_REL", "SHT_RELA")]
        header = elf["e_shoff"] + number * elf["e_shentsize"]
        start = table["sh_offset"]
        one, two = (slice(start + 16 * i, start + 16 * i + 16) for i in (index, last))
        data[one], data[two] = data[two], data[one]
        data[start + 16 * last + 12] = (1 << 4) | 2
        struct.pack_into("<I", data, header + 28, last)
        exchange = {index: last, last: index}
        for section in relocations:
            for at in range(section["sh_offset"], section["sh_offset"] + section["sh_size"], section["sh_entsize"]):
                info = struct.unpack_from("<I", data, at + 4)[0]
                struct.pack_into("<I", data, at + 4, exchange.get(info >> 8, info >> 8) << 8 | info & 0xFF)
    path.write_bytes(data)
