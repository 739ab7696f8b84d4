"""The typed builders of transform scripts: what they make, what they refuse, and that their types are strict."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import lowtide_dialect
from lowtide.errors import InputError
from lowtide.ir import Operation, parse_module, transform
from lowtide.script import builders
from lowtide.script.builders import (
    Handle,
    Script,
    allocate,
    concat,
    fuse_channels,
    fuse_spatial,
    kernel,
    layers,
    schedule,
    stream,
)
from lowtide.transform.interpreter import apply_script, make_transform_context

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "examples" / "digits" / "script.py"
EXPECTED = {
    "allocate": 'budget = 0 : i64, overlap = true, strategy = "auto"',
    "concat": "copied = [2, 3]",
    "fuse_channels": "slice = 1 : i64",
    "fuse_spatial": 'columns = 0 : i64, direction = "forwards", halo = "cache", recompute = [], rows = 1 : i64',
    "kernel": 'kernel = "general"',
    "layers": 'names = ["a\\22b"]',
    "schedule": "order = [2, 1]",
    "stream": "inputs = [0]",
}
STEPS: dict[str, Callable[[Handle], object]] = {
    "allocate": allocate,
    "concat": lambda module: concat(module, copied=[2, 3]),
    "fuse_channels": fuse_channels,
    "fuse_spatial": fuse_spatial,
    "kernel": lambda module: kernel(module, name="general"),
    "layers": lambda module: layers(module, names=['a"b']),
    "schedule": lambda module: schedule(module, order=(2, 1)),
    "stream": lambda module: stream(module, inputs=[0]),
}


def test_every_operation_of_the_dialect_has_a_builder() -> None:
    words = [re.sub(r"(?<!^)([A-Z])", r"_\1", name[:-2]).lower() for name in dir(lowtide_dialect) if name[-2:] == "Op"]
    assert words == sorted(EXPECTED)
    assert all(callable(getattr(builders, word)) for word in words)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_builder_makes_its_operation_with_all_defaults_written_out(name: str) -> None:
    with Script() as script:
        STEPS[name](script.module)
    text = script.text()
    assert f'"lowtide.{name}"(%arg0) {{{EXPECTED[name]}}} : (!transform.any_op)' in text
    assert str(parse_module(text, make_transform_context())) == text


def test_operations_of_mlir_stand_between_them() -> None:
    with Script() as script:
        merged = Operation.create(
            "transform.merge_handles",
            results=[transform.AnyOpType.get()],
            operands=[layers(script.module, kinds=["conv"]), layers(script.module, numbers=[1])],
        )
        fuse_spatial(merged.results[0], rows=2, columns=0, halo="recompute", recompute=[1])
    lines = [line.strip().split(" = ")[-1].split("(")[0] for line in script.text().splitlines()[2:-3]]
    assert [re.sub(r"[ %].*", "", line) for line in lines][2] == "transform.merge_handles"
    assert script.text().index("merge_handles") < script.text().index("fuse_spatial")


def test_a_script_grows_until_it_is_done() -> None:
    script = Script()
    with script:
        allocate(script.module, strategy="first-fit")
    with script:
        allocate(script.module, budget=7)
    assert script.text().index("first-fit") < script.text().index("budget = 7")
    module = parse_module("module {}", make_transform_context())
    apply_script(module, script.text())


def test_a_script_leaves_the_insertion_point_when_building_it_fails() -> None:
    with pytest.raises(ZeroDivisionError), Script():
        raise ZeroDivisionError
    with pytest.raises(RuntimeError, match="Context"):
        transform.AnyOpType.get()


def test_layers_are_chosen_in_one_way() -> None:
    with Script() as script, pytest.raises(InputError, match="names and numbers say which layers") as caught:
        layers(script.module, numbers=[1], names=["x"])
    assert (caught.value.stage, caught.value.where) == ("script", "'lowtide.layers'")


def test_the_verifier_has_the_last_word() -> None:
    with Script() as script:
        Operation.create("lowtide.kernel", operands=[script.module])
    with pytest.raises(InputError) as caught:
        script.text()
    assert caught.value.stage == "script" and "kernel" in caught.value.message


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ("", "", ""),
        ("rows=1", 'rows="1"', "reportArgumentType"),
        ("backwards", "sideways", "reportArgumentType"),
        ("digits_script()", "digits_script(untyped)", "reportMissingParameterType"),
    ],
)
def test_a_sample_script_passes_strict_type_checks(old: str, new: str, finding: str, tmp_path: Path) -> None:
    if importlib.util.find_spec("pyright") is None:
        pytest.skip("pyright is not installed")
    sample = tmp_path / "sample.py"
    sample.write_text(SAMPLE.read_text().replace(old, new, 1))
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, str(sample)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, finding in done.stdout) == (int(finding != ""), True), done.stdout + done.stderr
