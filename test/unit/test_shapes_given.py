"""Inputs with dimensions that a file leaves open: `--shape` says how large they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tflite_nets import Net

import lowtide
from lowtide.cli.arguments import parse_shape
from lowtide.errors import InputError, UsageError
from lowtide.importer.tflite import import_tflite


def _open_network(folder: Path) -> Path:
    """The sum of two neighbours along an axis that is open, in floats; what follows is open, too."""
    net = Net()
    x = net.tensor("x", (1, 1, 2), np.float32, signature=(1, -1, 2))
    y = net.tensor("y", (1, 1, 2), np.float32, signature=(1, -1, 2))
    net.operator("RELU", (x,), y)
    return net.save(folder, [x], [y])


def test_an_open_dimension_is_given(tmp_path: Path) -> None:
    path = _open_network(tmp_path)
    imported = import_tflite(path, shapes={"x": (1, 5, 2)})
    assert imported.inputs[0].shape == imported.outputs[0].shape == (1, 5, 2)
    found = lowtide.verify(path, target="host", count=2, shape={"x": (1, 5, 2)}, out=tmp_path / "out")
    assert found.passed


def test_without_it_the_remedy_says_how(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"dimension 1 is dynamic") as error:
        import_tflite(_open_network(tmp_path))
    assert "--shape INPUT=1,16000" in str(error.value)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("z", (1, 5, 2), "there is no such input"),
        ("x", (1, 5), "the input's shape is 1,?,2"),
        ("x", (1, 5, 3), "the input's shape is 1,?,2"),
        ("x", (1, 0, 2), "the input's shape is 1,?,2"),
    ],
)
def test_a_shape_that_does_not_fit_is_refused(name: str, shape: tuple[int, ...], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        import_tflite(_open_network(tmp_path), shapes={name: shape})
    assert message in str(error.value)


def test_the_command_line() -> None:
    assert parse_shape("a=b=1,16000") == ("a=b", (1, 16000))
    for text in ("1,2", "x=", "x=1,b", "x=-1"):
        with pytest.raises(Exception, match="is not like INPUT=1,16000"):
            parse_shape(text)
