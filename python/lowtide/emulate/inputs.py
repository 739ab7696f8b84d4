"""Model inputs: random ones from a seed, or the user's .npy files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np

from lowtide.emulate.backend import Array
from lowtide.errors import InputError, UsageError
from lowtide.network import DTYPE_BYTES, IoTensor


def random_inputs(tensors: Sequence[IoTensor], seed: int) -> tuple[Array, ...]:
    """One array per tensor, the same for the same seed.

    Integers of 8 and 16 bits take their whole range, wider ones 0 to 127 (they are indices or counts); floats are
    uniform in [-1, 1).
    """
    generator = np.random.default_rng(seed)
    return tuple(_random(tensor, generator) for tensor in tensors)


def _random(tensor: IoTensor, generator: np.random.Generator) -> Array:
    if tensor.dtype == "float32":
        return generator.uniform(-1.0, 1.0, tensor.shape).astype(np.float32)
    if tensor.dtype == "bool":
        return generator.integers(0, 2, tensor.shape).astype(np.bool_)
    if DTYPE_BYTES[tensor.dtype] > 2:
        return generator.integers(0, 128, tensor.shape).astype(tensor.dtype)
    limits = np.iinfo(tensor.dtype)
    return generator.integers(limits.min, limits.max, tensor.shape, dtype=tensor.dtype, endpoint=True)


def load_inputs(paths: Sequence[Path], tensors: Sequence[IoTensor]) -> tuple[Array, ...]:
    """Read one .npy file per tensor, in the model's order.

    Raises:
        UsageError: not as many files as inputs.
        InputError: a file can't be read, or has another shape or dtype than its input.
    """
    if len(paths) != len(tensors):
        names = ", ".join(tensor.name for tensor in tensors)
        message = f"the model has {len(tensors)} inputs ({names}), {len(paths)} files were given"
        raise UsageError("run", message, remedy="give --input once for each, in this order")
    return tuple(_load(path, tensor) for path, tensor in zip(paths, tensors, strict=True))


def _load(path: Path, tensor: IoTensor) -> Array:
    try:
        loaded: object = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError("run", f"can't be read: {error}", where=str(path), remedy="give a .npy file") from error
    if not isinstance(loaded, np.ndarray):
        raise InputError("run", "is an .npz archive", where=str(path), remedy="save each input with numpy.save")
    return fit_input(cast("Array", loaded), tensor, str(path))


def fit_input(array: Array, tensor: IoTensor, where: str) -> Array:
    """The array with the tensor's shape, contiguous; a batch dimension of 1 may be missing.

    Raises:
        InputError: another dtype, or another shape.
    """
    wanted = f"{tensor.dtype}{list(tensor.shape)}"
    found = f"{array.dtype.name}{list(array.shape)}"
    message = f"holds {found}, input {tensor.name} is {wanted}"
    if array.dtype.name != tensor.dtype:
        raise InputError("run", message, where=where, remedy=_dtype_remedy(array, tensor))
    without_batch = tensor.shape[1:] if tensor.shape[:1] == (1,) else tensor.shape
    if array.shape not in (tensor.shape, without_batch):
        raise InputError("run", message, where=where, remedy=f"reshape it to {list(tensor.shape)}")
    return np.ascontiguousarray(array).astype(tensor.dtype, copy=False).reshape(tensor.shape)


def _dtype_remedy(array: Array, tensor: IoTensor) -> str:
    if array.dtype.kind == "f" and tensor.scale is not None:
        return f"quantise it: round(x / {tensor.scale:g}) + {tensor.zero_point}, clipped to {tensor.dtype}"
    return f"convert it with numpy's astype('{tensor.dtype}')"
