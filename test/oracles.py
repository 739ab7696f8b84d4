"""Whether this machine has an engine that says what a `.tflite` model must compute."""

from __future__ import annotations

import pytest

from lowtide.emulate.oracle import ENGINES

needs_oracle = pytest.mark.skipif(
    not any(engine.installed for engine in ENGINES.values()), reason="no LiteRT: pip install 'lowtide[verify]'"
)
needs_micro = pytest.mark.skipif(
    not ENGINES["micro"].installed, reason="LiteRT Micro has wheels for Python 3.11 on Linux alone"
)
