"""Links the shipped NAME.o the way a firmware's build does: sections collected, constants in flash, entry NAME_run."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from lowtide.codegen.iree import tool
from lowtide.emulate.artifact import ArtifactView
from lowtide.emulate.image.elf_loader import DAMAGED
from lowtide.emulate.image.image import DATA_BASE, FLASH_BASE, MOST_FLASH, PAGE, Image, functions_of
from lowtide.errors import InputError, InternalError
from lowtide.network import STREAMING

_ALIGNMENT = 16
_UNDEFINED = re.compile(r"undefined symbol: (\S+)")
_SHF_ALLOC = 2


def link_object(artifact: ArtifactView) -> Image:
    """Link NAME.o into an `Image` whose flash ends at a page's end, less than 16 bytes of alignment.

    Raises:
        InputError: the object is missing or damaged, or needs functions of the firmware's compiler library.
        InternalError: the object has no global NAME_run.
    """
    source = artifact.file(".o")
    with tempfile.TemporaryDirectory() as scratch:
        linked = Path(scratch) / "firmware.elf"
        first = _link(artifact, source, linked, FLASH_BASE)
        slack = -len(first.flash) % PAGE // _ALIGNMENT * _ALIGNMENT
        return _link(artifact, source, linked, FLASH_BASE + slack)


def _link(artifact: ArtifactView, source: Path, linked: Path, flash_start: int) -> Image:
    script = Path(__file__).with_name("firmware.ld")
    entry = f"{artifact.name}_{STREAMING[0] if artifact.streams else 'run'}"
    lld, start = tool("iree-lld"), f"--defsym=flash_start={flash_start}"
    options = ("-flavor", "gnu", "--gc-sections", "-e", entry, start, "-T", script, "--error-limit=0")
    # collected otherwise: nothing in the image calls it
    others = (*(STREAMING if artifact.streams else ()), *(("reset",) if artifact.states else ()))
    kept = [word for what in others for word in ("-u", f"{artifact.name}_{what}")]
    command = (lld, *options, *kept, source, "-o", linked)
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        raise _refusal(artifact, done.stderr)
    try:
        with linked.open("rb") as stream:
            return _read(ELFFile(stream), entry, flash_start)
    except DAMAGED as error:
        message = f"the object is damaged: {str(error) or type(error).__name__}"
        raise InputError("run", message, where=source.name, remedy="compile again") from error


def _refusal(artifact: ArtifactView, stderr: str) -> InputError:
    undefined = sorted(set(_UNDEFINED.findall(stderr)))
    where = f"{artifact.name}.o"
    if not undefined:
        line = next((line for line in stderr.splitlines() if "error:" in line), stderr.strip())
        return InputError("run", f"the object does not link: {line}", where=where, remedy="compile again")
    fpu = "" if artifact.target.hard_float else f" ({artifact.target.name} has no FPU: soft-float calls)"
    called = f"{', '.join(undefined)}{fpu}"
    message = f"the .o alone does not run: it calls {called}, which the firmware's compiler library supplies"
    remedy = "link the .o into a firmware, run --backend host, or compile for a core that has the instructions"
    return InputError("run", message, where=where, remedy=remedy)


def _read(elf: ELFFile, entry: str, flash_start: int) -> Image:
    flash, data = bytearray(), bytearray()
    for section in elf.iter_sections():
        if not section["sh_flags"] & _SHF_ALLOC or section["sh_size"] == 0:
            continue
        target, base = (flash, flash_start) if section["sh_addr"] < DATA_BASE else (data, DATA_BASE)
        gap, size = section["sh_addr"] - base - len(target), section["sh_size"]
        if gap < 0 or len(target) + gap + size > MOST_FLASH:
            raise ValueError(f"the section {section.name} lies at 0x{section['sh_addr']:x} and has {size:,} bytes")
        target.extend(bytes(gap))
        target.extend(bytes(section["sh_size"]) if section["sh_type"] == "SHT_NOBITS" else section.data())
    address = _entry_address(elf, entry)
    return Image(flash_start, bytes(flash), bytes(data), address & ~1, functions_of(elf))


def _entry_address(elf: ELFFile, entry: str) -> int:
    table = elf.get_section_by_name(".symtab")
    symbols = table.get_symbol_by_name(entry) if isinstance(table, SymbolTableSection) else None
    if not symbols or symbols[0]["st_info"]["bind"] != "STB_GLOBAL":
        raise InternalError("run", f"the object exports no function {entry}")
    return symbols[0]["st_value"]
