"""From a lowered network and a target to the files that a firmware takes. Each step can be called alone."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from lowtide.codegen.body import prepare_body
from lowtide.codegen.elf import undefined_symbols
from lowtide.codegen.embedded import build_embedded
from lowtide.codegen.header import header_text
from lowtide.codegen.iree import scratch_directory
from lowtide.codegen.object import build_object
from lowtide.codegen.runtime import build_runtime
from lowtide.codegen.sizes import sizes
from lowtide.codegen.stack import stack_bound
from lowtide.errors import InputError
from lowtide.network import Network
from lowtide.targets import Target


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What NAME.o takes, in bytes.

    Attributes:
        stack_bytes: bound on the stack of NAME_run; the stack of `external_symbols` comes on top.
        data_bytes: .data and .bss.
        code_bytes: instructions.
        rodata_bytes: weights, tables and unwind entries.
        external_symbols: soft-float and mathematical functions that the firmware's compiler library supplies.
    """

    stack_bytes: int
    data_bytes: int
    code_bytes: int
    rodata_bytes: int
    external_symbols: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Compiled(Figures):
    """A network's code for the target, in memory: what its files are made of.

    Attributes:
        object, header: the contents of NAME.o and NAME.h.
        library: an object file with the same code for NAME.elf.
        portable: the network's body for the machine that this runs on.
    """

    object: bytes
    header: bytes
    library: bytes
    portable: str


@dataclass(frozen=True, kw_only=True)
class ObjectResult(Figures):
    """What `generate_object` wrote.

    Attributes:
        object, header: the files.
    """

    object: Path
    header: Path


@dataclass(frozen=True, kw_only=True)
class CodegenResult(ObjectResult):
    """What `generate` wrote.

    Attributes:
        elf: the embedded ELF, or None for a float network on a core without FPU.
        vmfb: the module for IREE's runtime.
    """

    elf: Path | None
    vmfb: Path


def compile_network(network: Network, target: Target) -> Compiled:
    """Compile a network for a target, and write nothing: what there is to know before anything is decided.

    Args:
        network: the network on its arena.
        target: the core.

    Raises:
        InternalError: the network breaks its contract, or IREE refuses it.
    """
    body = prepare_body(network)
    with scratch_directory() as scratch:
        built = build_object(network, target, body.own, scratch)
        code = built.data
        counted = sizes(code, network.functions, scratch)
    external = undefined_symbols(code)
    return Compiled(
        object=code,
        header=header_text(network, target, external).encode(),
        library=built.library,
        portable=body.portable,
        stack_bytes=_rounded(max(stack_bound(code, built.frames, root) for root in network.functions), target),
        data_bytes=counted.data_bytes,
        code_bytes=counted.code_bytes,
        rodata_bytes=counted.rodata_bytes,
        external_symbols=external,
    )


def write_files(network: Network, code: Compiled, out_dir: Path) -> CodegenResult:
    """Write NAME.o, NAME.h, NAME.elf and NAME.vmfb; the same network gives the same bytes.

    Args:
        network: what was compiled.
        code: of it.
        out_dir: an existing folder.

    Raises:
        InternalError: IREE refuses the network.
        InputError: a file can't be written.
    """
    written = _written(network, code, out_dir)
    with scratch_directory() as scratch:
        # the embedded ELF's calls say nothing of how they went
        elf = None if code.external_symbols or network.streams else build_embedded(network, code.library, scratch)
        vmfb = build_runtime(network, code.portable, scratch)
    return CodegenResult(
        **vars(written),
        elf=None if elf is None else _write(out_dir / f"{network.name}.elf", elf),
        vmfb=_write(out_dir / f"{network.name}.vmfb", vmfb),
    )


def generate(network: Network, target: Target, out_dir: Path) -> CodegenResult:
    """`compile_network`, then `write_files`."""
    return write_files(network, compile_network(network, target), out_dir)


def generate_object(network: Network, target: Target, out_dir: Path) -> ObjectResult:
    """Write NAME.o and NAME.h alone, the same as `generate` writes; arguments and errors are its."""
    return _written(network, compile_network(network, target), out_dir)


def _written(network: Network, code: Compiled, out_dir: Path) -> ObjectResult:
    return ObjectResult(
        object=_write(out_dir / f"{network.name}.o", code.object),
        header=_write(out_dir / f"{network.name}.h", code.header),
        **{field.name: getattr(code, field.name) for field in fields(Figures)},
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
        remedy = "free some space or choose another folder"
        raise InputError("codegen", message, where=str(path), remedy=remedy) from error
    return path


__all__ = [
    "CodegenResult",
    "Compiled",
    "Figures",
    "ObjectResult",
    "compile_network",
    "generate",
    "generate_object",
    "write_files",
]
