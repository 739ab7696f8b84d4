"""Random variants of every operator give what LiteRT Micro gives (or LiteRT, where Micro lacks the operator).

`LOWTIDE_TEST_SEED` draws others; `python tools/random_operators.py --seed N --first NUMBER --count 1` repeats one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from lowered_variants import FORMS
from operator_variants import VARIANTS, draw
from random_operators import HOST, Tally, check

from lowtide.emulate.oracle import ENGINES, Oracle

SEED = int(os.environ.get("LOWTIDE_TEST_SEED", "0"))
SAMPLE, MANY, EMULATED = 40, 2000, 60
SOFT_FLOAT, HARD_FLOAT = "rv32imac", "rv32imafc"

pytestmark = pytest.mark.skipif(
    not all(engine.installed for engine in ENGINES.values()), reason="LiteRT Micro or LiteRT is not installed"
)


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    with Oracle() as opened:
        yield opened


def _check_all(oracle: Oracle, numbers: range, capsys: pytest.CaptureFixture[str], target: str = HOST) -> Tally:
    tally = Tally()
    wrong: list[str] = []
    for number in numbers:
        case = draw(SEED, number)
        # an object with soft-float calls does not run alone
        core = HARD_FLOAT if target == SOFT_FLOAT and case.floats else target
        outcome = check(case, oracle, core)
        tally.add(case, outcome)
        if outcome.kind == "different":
            wrong.append(f"case {number} {case.name} on {core}: {outcome.detail}")
    with capsys.disabled():
        print(f"\nseed {SEED}, {target}: {tally}")
    assert not wrong, "\n".join(wrong)
    assert tally.kinds["equal"] >= 0.9 * len(numbers)
    return tally


def test_operators(oracle: Oracle, capsys: pytest.CaptureFixture[str]) -> None:
    _check_all(oracle, range(SAMPLE), capsys)


@pytest.mark.slow
def test_many_operators(oracle: Oracle, capsys: pytest.CaptureFixture[str]) -> None:
    assert _check_all(oracle, range(MANY), capsys).operators >= set(VARIANTS) - set(FORMS)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["cortex-m4", SOFT_FLOAT])
def test_emulated_operators(oracle: Oracle, capsys: pytest.CaptureFixture[str], target: str) -> None:
    _check_all(oracle, range(MANY, MANY + EMULATED), capsys, target)
