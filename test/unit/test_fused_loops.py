"""Random chains of layers in random loops: bit-equal to the whole layers, in the arena that was predicted."""

from __future__ import annotations

import random

import pytest
from fused_chains import check, check_refused, graph_of, random_chain, random_fusions

CASES = 60
# seeds that found: a convolution whose kernel is as high as its input taken for a sum over rows, loops from the end
# whose kernels ran forwards within a row, line buffers as large as their tensors placed otherwise than predicted
INT8_FOUND = (1006, 1009, 1070, 1156, 1259, 1282)
FLOAT32_FOUND = (1015, 1022, 1031, 1074, 1075)
SWEEP = 2_000


def try_one(seed: int, kind: str) -> tuple[int, int]:
    """Loops that were made and loops that were refused."""
    choose = random.Random(f"{kind} {seed}")
    chain = random_chain(choose, seed, kind)
    graph = graph_of(chain)
    tried = random_fusions(choose, graph)
    label = f"{kind}, seed {seed}: {tried.fusions}"
    if tried.fusions:
        check(chain, graph, tried.fusions, label)
    for fusion, reason in tried.refused:
        check_refused(chain, fusion, reason, f"{kind}, seed {seed}: {fusion}")
    return len(tried.fusions), len(tried.refused)


@pytest.mark.parametrize("seed", (*range(CASES), *INT8_FOUND))
def test_int8(seed: int) -> None:
    try_one(seed, "int8")


@pytest.mark.parametrize("seed", (*range(CASES // 3), *FLOAT32_FOUND))
def test_float32(seed: int) -> None:
    try_one(seed, "float32")


@pytest.mark.slow
def test_a_long_sweep() -> None:
    made = [try_one(seed, kind)[0] for seed in range(CASES, CASES + SWEEP) for kind in ("int8", "float32")]
    assert sum(made) > SWEEP
