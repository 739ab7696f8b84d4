"""NAME.elf: the executable library of the object file as IREE's embedded ELF, in one small segment."""

from __future__ import annotations

import struct
from pathlib import Path

from elftools.elf.dynamic import DynamicSegment

from lowtide.codegen.elf import read_elf, relocations, symbols
from lowtide.codegen.iree import link
from lowtide.errors import InternalError
from lowtide.network import Network

LIBRARY_QUERY = "iree_hal_executable_library_query"
# Numbers of R_ARM_RELATIVE, R_RISCV_RELATIVE, R_X86_64_RELATIVE, R_AARCH64_RELATIVE: all that a small loader can do.
_RELATIVE = {"EM_ARM": 23, "EM_RISCV": 3, "EM_X86_64": 8, "EM_AARCH64": 1027}
_LINKER_FLAGS = (
    *("-shared", "-static", "-nostdlib", "--no-undefined", "--build-id=none", "--hash-style=sysv", "-Bsymbolic"),
    *("--gc-sections", "--discard-all", "--strip-debug", "--no-warnings", "-z", "now", "-z", "norelro"),
    # Pages of 64 KiB would lie in RAM otherwise: one segment, aligned to 16 bytes.
    *("-z", "max-page-size=16", "-N"),
)
_EXPORTS = f"{{ global: {LIBRARY_QUERY}; local: *; }};\n"


def build_embedded(network: Network, library: bytes, scratch: Path) -> bytes:
    """Link the bytes of NAME.elf: its code is that of NAME.o, which may lie anywhere.

    Args:
        network: what was compiled.
        library: of its `ObjectFile`; all that it calls is in it.
        scratch: a folder for intermediate files.

    Raises:
        InternalError: the ELF imports a function, exports anything but its query, or needs more of a loader than
            adding the load address.
    """
    query = f"{network.name}_library_query"
    check_imports(library, query)
    (scratch / "library.o").write_bytes(library)
    (scratch / "exports.map").write_text(_EXPORTS, encoding="ascii")
    names = (f"--defsym={LIBRARY_QUERY}={query}", "--version-script=exports.map")
    link([*_LINKER_FLAGS, *names, "library.o", "-o", "library.elf"], scratch)
    data = (scratch / "library.elf").read_bytes()
    check_embedded(data)
    return data


def check_imports(data: bytes, query: str) -> None:
    """Refuse a library whose table of imports is not empty: a forgotten allocation imports `malloc`.

    Args:
        data: the object file.
        query: the function that gives the library.
    """
    elf = read_elf(data)
    library = next((symbol for symbol in symbols(elf) if symbol.name == f"{query}_v0"), None)
    if library is None or library.section is None:
        raise InternalError("codegen", "the embedded ELF's object file has no library")
    pointer = elf.elfclass // 8
    section = elf.get_section(library.section).data()
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
