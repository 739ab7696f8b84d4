#!/usr/bin/env python3
"""Writes a transform script for digits with the typed builders: `python examples/digits/script.py > digits.plan.mlir`.

`lowtide compile examples/digits/digits_int8.tflite --target cortex-m4 --plan digits.plan.mlir` then carries it out.
"""

from __future__ import annotations

from lowtide.script.builders import Script, allocate, fuse_spatial, kernel, layers


def digits_script() -> str:
    """The first six layers in one loop by rows, the first convolution by the general kernel."""
    with Script() as script:
        kernel(layers(script.module, numbers=[1]), name="general")
        fuse_spatial(layers(script.module, numbers=range(1, 7)), rows=1, direction="backwards")
        allocate(script.module, strategy="auto", budget=1_024)
    return script.text()


if __name__ == "__main__":
    print(digits_script(), end="")
