"""Shapes that the user gives to inputs whose dimensions a file leaves open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lowtide.errors import UsageError
from lowtide.importer.tflite.model import Model, Tensor

Shapes = Mapping[str, Sequence[int]]
"""Name of an input → its shape."""
_MOST = (1 << 31) - 1


def with_shapes(model: Model, shapes: Shapes, where: str) -> Model:
    """The model with these inputs as large as that; what follows from it is inferred later.

    Raises:
        UsageError: there is no such input, or the file says another size.
    """
    inputs = {model.tensors[index].name: index for index in model.own_inputs}
    changed: dict[int, Tensor] = {}
    for name, shape in shapes.items():
        if name not in inputs:
            known = ", ".join(f"'{one}'" for one in inputs)
            raise UsageError(
                "importer", f"--shape '{name}': there is no such input", where=where, remedy=f"name {known}"
            )
        tensor = model.tensors[inputs[name]]
        said = tensor.signature or tensor.shape
        fits = len(shape) == len(said) and all(have in (-1, size) for size, have in zip(shape, said, strict=True))
        if not fits or not all(1 <= size <= _MOST for size in shape):
            open_ones = ",".join("?" if size < 0 else str(size) for size in said)
            message = f"--shape '{name}={','.join(map(str, shape))}': the input's shape is {open_ones}"
            raise UsageError("importer", message, where=where, remedy="give each ? a size, and leave the others")
        changed[inputs[name]] = replace(tensor, shape=tuple(shape), signature=())
    return model.with_tensors(changed)
