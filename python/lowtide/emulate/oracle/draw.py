"""Random inputs that look for trouble: whole ranges, both extremes, zeros, ties of a rounding, values out of range."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from lowtide.emulate.backend import Array
from lowtide.emulate.oracle.domains import Domain
from lowtide.errors import UsageError
from lowtide.network import IoTensor

_Real = npt.NDArray[np.float64]


def draw(tensors: Sequence[IoTensor], domains: Sequence[Domain], run: int, seed: int) -> tuple[Array, ...]:
    """One array per tensor for a run of that number; the same for the same seed.

    Args:
        tensors: the network's inputs.
        domains: what each may be.
        run: from 0; runs 1 to 5 have extremes, zeros and ties, all others the whole range.
        seed: a whole number from 0.
    """
    if seed < 0:
        raise UsageError("verify", f"the seed is {seed}", remedy="give --seed a whole number from 0")
    generator = np.random.default_rng((seed, run))
    kind = _KINDS.get(run, _uniform)
    return tuple(
        _stored(kind(generator, tensor.shape, domain), tensor, domain)
        for tensor, domain in zip(tensors, domains, strict=True)
    )


def _stored(values: _Real, tensor: IoTensor, domain: Domain) -> Array:
    """The values in the tensor's element type; an index, a float too, is a whole number."""
    whole = domain.index or tensor.dtype != "float32"
    return (np.rint(values) if whole else values).astype(tensor.dtype)


def _uniform(generator: np.random.Generator, shape: tuple[int, ...], domain: Domain) -> _Real:
    if domain.step is not None:
        # a quarter of them out of the quantised range
        beyond = (domain.high - domain.low) / 6
        return generator.uniform(domain.low - beyond, domain.high + beyond, shape)
    return generator.uniform(domain.low, domain.high, shape)


def _extremes(generator: np.random.Generator, shape: tuple[int, ...], domain: Domain) -> _Real:
    return generator.choice([domain.low, domain.zero, domain.high], shape)


def _ties(generator: np.random.Generator, shape: tuple[int, ...], domain: Domain) -> _Real:
    """Odd multiples of half the step at which the input is quantised."""
    if domain.step is None:
        return _extremes(generator, shape, domain)
    half = domain.step / 2
    first, last = int(domain.low / half), int(domain.high / half)
    odd = generator.integers(first // 2, last // 2, shape, endpoint=True) * 2 + 1
    return odd.astype(np.float64) * half


_KINDS: dict[int, Callable[[np.random.Generator, tuple[int, ...], Domain], _Real]] = {
    1: _extremes,
    2: _ties,
    3: lambda _, shape, domain: np.full(shape, domain.low),
    4: lambda _, shape, domain: np.full(shape, domain.high),
    5: lambda _, shape, domain: np.full(shape, domain.zero),
}
