"""Model inputs: random ones from a seed, or the user's .npy files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np

from lowtide.dtypes import DTYPE_BYTES
from lowtide.emulate.backend import Array
from lowtide.errors import InputError, UsageError
from lowtide.network import IoTensor

_LONGEST_REASON = 200
_NPY, _ZIP = b"\x93NUMPY", b"PK\x03\x04"


def random_inputs(tensors: Sequence[IoTensor], seed: int) -> tuple[Array, ...]:
    """One array per tensor, the same for the same seed.

    Integers of 8 and 16 bits take their whole range, wider ones 0 to 127 (they are indices or counts); floats are
    uniform in [-1, 1). `UsageError` for a seed below 0.
    """
    if seed < 0:
        raise UsageError("run", f"the seed is {seed}", remedy="give --seed a whole number from 0")
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
    remedy = "give a .npy file, as numpy.save writes it"
    if _magic(path, "run", remedy) == _ZIP:
        raise InputError("run", "is an .npz archive", where=str(path), remedy="save each input with numpy.save")
    return fit_input(cast("Array", _read(path, None, "run", remedy)), tensor, str(path))


def load_arrays(path: Path, names: Sequence[str], stage: str, remedy: str) -> dict[str, Array]:
    """Arrays of an `.npz` file by name; `InputError` with that stage and remedy where one can't be read."""
    if _magic(path, stage, remedy) != _ZIP:
        raise InputError(stage, "can't be read: it is not an .npz archive", where=str(path), remedy=remedy)
    return {name: cast("Array", _read(path, name, stage, remedy)) for name in names}


def _magic(path: Path, stage: str, remedy: str) -> bytes:
    """The file's first bytes; `InputError` unless they are numpy's: it would take any other for a pickle."""
    try:
        with path.open("rb") as file:
            start = file.read(len(_NPY))
    except OSError as error:
        raise InputError(stage, f"can't be read: {error.strerror}", where=str(path), remedy=remedy) from error
    if start.startswith(_ZIP):
        return _ZIP
    if start != _NPY:
        raise InputError(stage, "can't be read: it is no file of numpy's", where=str(path), remedy=remedy)
    return _NPY


def _read(path: Path, name: str | None, stage: str, remedy: str) -> object:
    """The array of a .npy file, or the one of that name in an .npz file."""
    try:
        if name is None:
            return np.load(path, allow_pickle=False)
        with np.load(path, allow_pickle=False) as file:
            array: object = file[name]
    except MemoryError:
        reason = "it claims more elements than memory holds"
    except KeyError:
        reason = f"it has no array {name}"
    # Damaged files make numpy, zipfile, zlib and tokenize raise almost anything.
    except Exception as error:
        reason = f"can't be read: {(str(error) or type(error).__name__).splitlines()[0][:_LONGEST_REASON]}"
    else:
        if isinstance(array, np.ndarray):
            return cast("Array", array)
        reason = f"its {name} is not an array"
    raise InputError(stage, reason, where=str(path), remedy=remedy)


def fit_input(array: Array, tensor: IoTensor, where: str, *, stage: str = "run") -> Array:
    """The array with the tensor's shape, contiguous; a batch dimension of 1 may be missing.

    Raises:
        InputError: another dtype, or another shape.
    """
    wanted = f"{tensor.dtype}{list(tensor.shape)}"
    found = f"{array.dtype.name}{list(array.shape)}"
    message = f"holds {found}, the network's {tensor.name} is {wanted}"
    if array.dtype.name != tensor.dtype:
        raise InputError(stage, message, where=where, remedy=_dtype_remedy(array, tensor))
    without_batch = tensor.shape[1:] if tensor.shape[:1] == (1,) else tensor.shape
    if array.shape not in (tensor.shape, without_batch):
        remedy = f"reshape it to {list(tensor.shape)}"
        raise InputError(stage, message, where=where, remedy=remedy)
    return np.ascontiguousarray(array).astype(tensor.dtype, copy=False).reshape(tensor.shape)


def _dtype_remedy(array: Array, tensor: IoTensor) -> str:
    if array.dtype.kind == "f" and tensor.scale is not None:
        return f"quantise it: round(x / {tensor.scale:g}) + {tensor.zero_point}, clipped to {tensor.dtype}"
    return f"convert it with numpy's astype('{tensor.dtype}')"
