"""From a lowered network and a target to the files that a firmware takes. Each step can be called alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lowtide.codegen.body import prepare_body
from lowtide.codegen.elf import undefined_symbols
from lowtide.codegen.embedded import build_embedded
from lowtide.codegen.header import header_text
from lowtide.codegen.iree import scratch_directory
from lowtide.codegen.object import ObjectFile, build_object
from lowtide.codegen.runtime import build_runtime
from lowtide.codegen.sizes import sizes
from lowtide.codegen.stack import stack_bound
from lowtide.errors import InputError
from lowtide.network import Network
from lowtide.targets import Target


@dataclass(frozen=True)
class ObjectResult:
    """What `generate_object` wrote, and the figures of NAME.o.

    Attributes:
        object, header: the files.
        stack_bytes: bound on the stack of NAME_run; the stack of `external_symbols` comes on top.
        data_bytes: .data and .bss.
        code_bytes: instructions.
        rodata_bytes: weights, tables and unwind entries.
        external_symbols: soft-float and mathematical functions that the firmware's compiler library supplies.
    """

    object: Path
    header: Path
    stack_bytes: int
    data_bytes: int
    code_bytes: int
    rodata_bytes: int
    external_symbols: tuple[str, ...]


@dataclass(frozen=True)
class CodegenResult(ObjectResult):
    """What `generate` wrote.

    Attributes:
        elf: the embedded ELF, or None for a float network on a core without FPU.
        vmfb: the module for IREE's runtime.
    """

    elf: Path | None
    vmfb: Path


def generate(network: Network, target: Target, out_dir: Path) -> CodegenResult:
    """Write NAME.o, NAME.h, NAME.elf and NAME.vmfb; the same network gives the same bytes.

    Args:
        network: the network on its arena.
        target: the core.
        out_dir: an existing folder.

    Raises:
        InternalError: the network breaks its contract, or IREE refuses it.
        InputError: a file can't be written.
    """
    body = prepare_body(network)
    with scratch_directory() as scratch:
        built = build_object(network, target, body.own, scratch)
        code = _written(network, target, built, out_dir, scratch)
        elf = None if code.external_symbols else build_embedded(network, built.library, scratch)
        vmfb = build_runtime(network, body.portable, scratch)
    return CodegenResult(
        **vars(code),
        elf=None if elf is None else _write(out_dir / f"{network.name}.elf", elf),
        vmfb=_write(out_dir / f"{network.name}.vmfb", vmfb),
    )


def generate_object(network: Network, target: Target, out_dir: Path) -> ObjectResult:
    """Write NAME.o and NAME.h alone, the same as `generate` writes; arguments and errors are its."""
    with scratch_directory() as scratch:
        built = build_object(network, target, prepare_body(network).own, scratch)
        return _written(network, target, built, out_dir, scratch)


def _written(network: Network, target: Target, built: ObjectFile, out_dir: Path, scratch: Path) -> ObjectResult:
    run, code = f"{network.name}_run", built.data
    counted = sizes(code, run, scratch)
    external = undefined_symbols(code)
    header = header_text(network, target, external).encode()
    return ObjectResult(
        object=_write(out_dir / f"{network.name}.o", code),
        header=_write(out_dir / f"{network.name}.h", header),
        stack_bytes=_rounded(stack_bound(code, built.frames, run), target),
        data_bytes=counted.data_bytes,
        code_bytes=counted.code_bytes,
        rodata_bytes=counted.rodata_bytes,
        external_symbols=external,
    )


def _rounded(stack: int, target: Target) -> int:
    """The stack in whole units of the ABI: 8 bytes in AAPCS, 16 on RISC-V and the hosts."""
    unit = 8 if target.family == "arm" else 16
    return -(-stack // unit) * unit


def _write(path: Path, data: bytes) -> Path:
    try:
        path.write_bytes(data)
    except OSError as error:
        message = f"cannot write the file: {error.strerror or error}"
        raise InputError(
            "codegen", message, where=str(path), remedy="free some space or choose another folder"
        ) from error
    return path


__all__ = ["CodegenResult", "ObjectResult", "generate", "generate_object"]
