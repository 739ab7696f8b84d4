"""Networks of one operator for tests of what lowtide lowers itself, and what an engine of LiteRT makes of them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import pytest
from numpy.typing import NDArray
from operator_variants import draw
from random_operators import check, difference
from tflite_nets import Net
from tflite_run import run_model

from lowtide.emulate.oracle import Oracle
from lowtide.errors import InputError
from lowtide.importer.tflite import import_tflite
from lowtide.importer.tflite.writer import write

Array = NDArray[Any]
Build = Callable[[Net], tuple[Sequence[int], Sequence[int]]]
"""Adds operators to a network; gives its inputs and its outputs."""


def oracle_fixture() -> Generator[Oracle]:
    """An oracle whose processes last as long as the tests of a file."""
    with Oracle() as oracle:
        yield oracle


def made_by(build: Build) -> bytes:
    """The `.tflite` file of a network."""
    net = Net()
    inputs, outputs = build(net)
    return write(net.model(inputs, outputs))


def run(build: Build, arrays: Sequence[Array]) -> list[Array]:
    """What lowtide makes of one array an input."""
    return run_model(made_by(build), arrays)


def assert_like_litert(oracle: Oracle, build: Build, arrays: Sequence[Array], *, rounded: bool = False) -> None:
    """Outputs are those of LiteRT Micro, or LiteRT's: to the bit, or close if floats are computed with."""
    model = made_by(build)
    for mine, theirs in zip(run_model(model, arrays), oracle.run(model, [arrays]).outputs[0], strict=True):
        assert not difference(mine, theirs, rounded=rounded)


def assert_random_like_litert(oracle: Oracle, names: Sequence[str], count: int, seed: int) -> None:
    """Random variants of these operators are equal to LiteRT Micro's, or LiteRT's."""
    print(f"seed {seed}")
    kinds: list[str] = []
    for number in range(count):
        case = draw(seed, number, names)
        outcome = check(case, oracle)
        assert outcome.kind != "different", f"case {number} {case.name}: {outcome.detail}"
        kinds.append(outcome.kind)
    assert kinds.count("equal") > count // 2


def refusal(tmp_path: Path, build: Build) -> str:
    """What lowtide says of a network that it refuses, with the place."""
    path = tmp_path / "net.tflite"
    path.write_bytes(made_by(build))
    with pytest.raises(InputError) as caught:
        import_tflite(path)
    return str(caught.value)
