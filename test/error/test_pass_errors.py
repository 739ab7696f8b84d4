"""lowtide's passes on modules that are in the wrong form for them, and with options that are none."""

from __future__ import annotations

import pytest

from lowtide.errors import InputError, LowtideError, UsageError
from lowtide.ir import parse_module
from lowtide.passes import run_passes
from lowtide.transform.interpreter import make_transform_context

NETWORK = """func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  %e = tensor.empty() : tensor<4xf32>
  %y = linalg.exp ins(%x : tensor<4xf32>) outs(%e : tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}"""
LOWERED = "lowtide-normalise,lowtide-outline"

CASES: list[tuple[str, type[LowtideError], str]] = [
    (
        "lowtide-allocate",
        InputError,
        "allocate: the network has not been cut into layers\n  remedy: run",
    ),
    ("lowtide-kernels", InputError, "kernels: the network has no arena\n  remedy: run lowtide-allocate first"),
    ("lowtide-outline,lowtide-kernels", InputError, "kernels: the network has no arena"),
    (f"{LOWERED},lowtide-allocate,lowtide-allocate", InputError, "allocate: the arena is allocated already"),
    (f"{LOWERED},lowtide-allocate,lowtide-kernels,lowtide-kernels", InputError, "kernels: the network has no arena"),
    (f"{LOWERED},lowtide-allocate,lowtide-kernels,lowtide-allocate", InputError, "has not been cut into layers"),
    (f"{LOWERED},lowtide-allocate{{alignment=x}}", UsageError, "alignment is a number, not 'x'"),
    (f"{LOWERED},lowtide-allocate{{alignment=0}}", UsageError, "an alignment of 0 bytes\n  remedy: give 1 or more"),
    (f"{LOWERED},lowtide-allocate{{keep-input=maybe}}", UsageError, "keep-input is a number, not 'maybe'"),
    (f"{LOWERED},lowtide-allocate{{strategy=x}}", UsageError, "unknown allocation strategy 'x'"),
    (f"{LOWERED},lowtide-allocate{{overlap=maybe}}", UsageError, "overlap is a number, not 'maybe'"),
    (f"{LOWERED},lowtide-allocate{{budget=-1}}", UsageError, "budget is a number, not '-1'"),
    (
        f"{LOWERED},lowtide-allocate{{budget=15 overlap=0}}",
        InputError,
        "allocate at step 1 of 1, 'linalg.exp', where the arena is fullest (bytes: 16 of 'input_0', 16 of 'linalg.exp')"
        ": the arena takes 32 bytes, the budget gives 15, and no placement of these buffers takes less than 32\n"
        "  remedy: let buffers overlap, or take a plan with more layers fused",
    ),
    (f"{LOWERED},lowtide-allocate{{order=x}}", UsageError, "lowtide-allocate has no option 'order'"),
]


@pytest.mark.parametrize(("pipeline", "error", "message"), CASES)
def test_refused(pipeline: str, error: type[LowtideError], message: str) -> None:
    module = parse_module(NETWORK, make_transform_context())
    with pytest.raises(error) as caught:
        run_passes(module, pipeline)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        ('lowtide.buffer_alignment = "x"', "attribute lowtide.buffer_alignment is no number"),
        ("lowtide.strategy = 3", "attribute lowtide.strategy is no name"),
        ('lowtide.overlap = "no"', "attribute lowtide.overlap is no number"),
        ("lowtide.budget = 8.0", "attribute lowtide.budget is no number"),
        ("lowtide.budget = 15", "the arena takes 16 bytes, the budget gives 15"),
        ("lowtide.copied = 3", "attribute lowtide.copied is no list of numbers"),
        ('lowtide.copied = [1, "x"]', "attribute lowtide.copied is no list of numbers"),
        ("lowtide.copied = [1]", "part 1 is to be copied, the network's concats have 0 parts"),
    ],
)
def test_attributes_of_the_wrong_type(attribute: str, message: str) -> None:
    module = parse_module(f"module attributes {{{attribute}}} {{ {NETWORK} }}", make_transform_context())
    with pytest.raises(InputError, match=message):
        run_passes(module, f"{LOWERED},lowtide-allocate")


def test_outlining_again_changes_nothing() -> None:
    module = parse_module(NETWORK, make_transform_context())
    run_passes(module, "lowtide-normalise,lowtide-outline")
    once = str(module)
    run_passes(module, "lowtide-outline")
    assert str(module) == once


def test_a_call_in_the_network_that_is_no_layer() -> None:
    text = "func.func private @other(tensor<4xf32>) -> tensor<4xf32>"
    network = (
        "func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {\n"
        "  %0 = call @other(%x) : (tensor<4xf32>) -> tensor<4xf32>\n  return %0 : tensor<4xf32>\n}"
    )
    module = parse_module(f"{text}\n{network}", make_transform_context())
    with pytest.raises(InputError, match=r"outline at 'func.call' \(func.call\): the call of @other can't be"):
        run_passes(module, "lowtide-outline")
