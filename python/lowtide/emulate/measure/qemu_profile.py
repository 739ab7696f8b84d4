"""One run in QEMU, instruction by instruction: for the cores that Unicorn lacks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from elftools.elf.elffile import ELFFile

from lowtide.emulate.artifact import ArtifactView
from lowtide.emulate.backend import Array
from lowtide.emulate.backends.qemu import QemuSession
from lowtide.emulate.image.image import Function, Image, functions_of
from lowtide.emulate.measure.counting import Executed, executed_instructions
from lowtide.emulate.measure.profile import Profile
from lowtide.errors import InternalError


def profile_in_qemu(artifact: ArtifactView, inputs: Sequence[Array]) -> Profile:
    """Run NAME.o twice, once to count and once to see which instructions it was.

    Raises:
        UsageError: QEMU or a C compiler is missing, or there is no board for the target.
        InputError: a file is missing, or the firmware around the network doesn't build.
        InternalError: as `Session.run`, or the two runs disagree, as where the network calls the compiler's library.
    """
    session = QemuSession(artifact, "object", symbols=True)
    result = session.run(inputs)
    image = _image(session.program, artifact)
    marks = session.blocks(inputs).marks(image.flash_start, len(image.flash))
    executed = _of_network(executed_instructions(image.flash, marks, session.isa), image)
    if executed.total != result.instructions:
        message = f"{artifact.name} executed {executed.total} instructions of its own, {result.instructions} in all"
        raise InternalError("run", message, where=str(artifact.directory))
    return Profile(result, image, executed, session.isa)


def _image(program: Path, artifact: ArtifactView) -> Image:
    """The firmware's code, with the functions of the network alone."""
    with program.open("rb") as stream, artifact.file(".o").open("rb") as network:
        elf = ELFFile(stream)
        names = {function.name for function in functions_of(ELFFile(network))}
        text = elf.get_section_by_name(".text")
        if text is None:
            raise InternalError("run", "the firmware has no code")
        functions = tuple(function for function in functions_of(elf) if function.name in names)
        entry = _entry(functions, f"{artifact.name}_run")
        return Image(text["sh_addr"], text.data(), b"", entry, functions)


def _entry(functions: Sequence[Function], name: str) -> int:
    found = [function.address for function in functions if function.name == name]
    if len(found) != 1:
        raise InternalError("run", f"the firmware has {len(found)} functions {name}")
    return found[0]


def _of_network(executed: Executed, image: Image) -> Executed:
    starts = [function.address - image.flash_start for function in image.functions]
    sizes = [function.size for function in image.functions]
    parts = [executed.between(first, first + size) for first, size in zip(starts, sizes, strict=True)]
    offsets = np.concatenate([part.offsets for part in parts])
    return Executed(offsets, np.concatenate([part.times for part in parts]))
