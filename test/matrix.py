"""One `.tflite` file on a target against the reference engine: equal, different, refused (by an operator), or crashed.

For sweeps over folders of operator variants and strangers' networks: `tools/matrix.py` runs them, a test runs a sample.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lowtide.errors import InternalError, LowtideError, OracleError
from lowtide.verification import verify_model

Kind = Literal["equal", "different", "refused", "no reference", "crashed"]
KINDS: tuple[Kind, ...] = ("equal", "different", "refused", "no reference", "crashed")
"""In the order in which they are told; a sweep is bad from `different` or `crashed` on."""
_OPERATOR = re.compile(r"operator \d+ (?P<name>[A-Z_0-9]+)")


@dataclass(frozen=True)
class Verdict:
    """How one file fared.

    Attributes:
        name, target: which file, compiled for what.
        kind: one of `KINDS`.
        operator: the operator at fault of a refusal, where the message names one.
        message: what lowtide said, or how far the outputs are off.
    """

    name: str
    target: str
    kind: Kind
    operator: str = ""
    message: str = ""


def judge(path: Path, target: str, runs: int, seed: int = 0) -> Verdict:
    """Compile the file, run it on inputs that include extremes and ties, and compare with the reference engine."""
    name = path.stem
    try:
        with tempfile.TemporaryDirectory() as folder:
            outcome = verify_model(path, target=target, count=runs, seed=seed, out=Path(folder) / "out")
    except OracleError as error:
        return Verdict(name, target, "no reference", message=error.message)
    except InternalError as error:
        return Verdict(name, target, "crashed", message=str(error))
    except LowtideError as error:
        found = _OPERATOR.search(str(error))
        return Verdict(name, target, "refused", found["name"] if found else "", str(error))
    # Whatever else comes through is a bug of lowtide, and the file's name must be told.
    except Exception as error:
        return Verdict(name, target, "crashed", message=f"{type(error).__name__}: {error}")
    if outcome.passed:
        return Verdict(name, target, "equal", message=outcome.oracle)
    difference = outcome.difference
    said = f"{difference.count} of {difference.total} elements, by up to {difference.max_abs:g}; {outcome.oracle}"
    return Verdict(name, target, "different", message=said)
