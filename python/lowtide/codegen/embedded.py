"""NAME.elf: IREE's embedded ELF, in one small segment."""

from __future__ import annotations

import shlex
import struct
from pathlib import Path

from elftools.elf.dynamic import DynamicSegment

from lowtide.codegen.elf import read_elf, relocations, sections, symbols
from lowtide.codegen.iree import compile_module, tool
from lowtide.codegen.module import embedded_module
from lowtide.errors import InternalError
from lowtide.network import Network
from lowtide.targets import Target

LIBRARY_QUERY = "iree_hal_executable_library_query"
# Numbers of R_ARM_RELATIVE, R_RISCV_RELATIVE, R_X86_64_RELATIVE, R_AARCH64_RELATIVE: all that a small loader can do.
_RELATIVE = {"EM_ARM": 23, "EM_RISCV": 3, "EM_X86_64": 8, "EM_AARCH64": 1027}
# Pages of 64 KiB would lie in RAM otherwise: one segment, aligned to 16 bytes.
_LINKER_FLAGS = ("-z", "max-page-size=16", "-z", "norelro", "-N", "-Bsymbolic", "--no-warnings")


def build_embedded(network: Network, target: Target, body: str, scratch: Path) -> bytes:
    """Compile to the bytes of NAME.elf.

    Args:
        network: what to compile.
        target: the core.
        body: as `prepare_body` gives it.
        scratch: a folder for intermediate files.

    Raises:
        InternalError: IREE refused the module; or the ELF imports a function, exports anything but its query, or needs
            more of a loader than adding the load address.
    """
    _write_linker(scratch)
    # Relative, as iree-compile runs in the folder: IREE doesn't quote it.
    flags = ("--compile-mode=hal-executable", "--iree-llvmcpu-embedded-linker-path=./linker.sh")
    output = compile_module(embedded_module(network, body), target, flags, scratch, name=network.name)
    data = output.read_bytes()
    check_imports((scratch / "embedded.o").read_bytes())
    check_embedded(data)
    return data


def _write_linker(scratch: Path) -> None:
    """A linker that adds our flags, and leaves the object file in the folder for `check_imports`."""
    wrapper = scratch / "linker.sh"
    lld = shlex.quote(str(tool("iree-lld")))
    wrapper.write_text(
        "#!/bin/sh\n"
        f'for word in "$@"; do case "$word" in *.o) cp "$word" embedded.o ;; esac; done\n'
        f'exec {lld} "$@" {" ".join(_LINKER_FLAGS)}\n',
        encoding="utf-8",
    )
    wrapper.chmod(0o700)


def check_imports(data: bytes) -> None:
    """Refuse a library whose table of imports is not empty (a forgotten allocation imports `malloc`)."""
    elf = read_elf(data)
    library = next((symbol for symbol in symbols(elf) if symbol.name == f"{LIBRARY_QUERY}_v0"), None)
    if library is None or library.section is None:
        raise InternalError("codegen", "the embedded ELF's object file has no library")
    pointer = elf.elfclass // 8
    section = sections(elf)[library.section].data()
    (count,) = struct.unpack_from("<I", section, library.value + pointer)
    if count:
        raise InternalError("codegen", f"the embedded ELF imports {count} functions")


def check_embedded(data: bytes) -> None:
    """Refuse an embedded ELF with relocations other than relative ones, or other exports than the library query."""
    elf = read_elf(data)
    dynamic = next((segment for segment in elf.iter_segments() if isinstance(segment, DynamicSegment)), None)
    if dynamic is None:
        raise InternalError("codegen", "the embedded ELF is not a shared object")
    exports = [symbol.name for symbol in dynamic.iter_symbols() if symbol.name]
    if exports != [LIBRARY_QUERY]:
        raise InternalError("codegen", f"the embedded ELF exports {', '.join(exports) or 'nothing'}")
    others = {relocation.kind for relocation in relocations(elf)} - {_RELATIVE.get(elf["e_machine"])}
    if others:
        raise InternalError("codegen", f"the embedded ELF has relocations of the types {sorted(others)}")
