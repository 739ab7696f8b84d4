"""Kernels picked by a script: which one emits a layer, whose profile the allocator takes, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jit
import numpy as np
import pytest
from tosa_nets import TosaNet, Value as Tensor, Window

from lowtide.errors import InputError
from lowtide.graph.nest import LayerBody
from lowtide.graph.profile import Profile
from lowtide.ir import Module, RankedTensorType, StringAttr, Value, func, parse_module
from lowtide.kernels.general import General
from lowtide.kernels.library import KERNELS
from lowtide.kernels.loops import How, Part
from lowtide.kernels.microkernels import PLAIN
from lowtide.normalise.analysis import calls_in, network_function
from lowtide.normalise.form import KERNEL, network_layers
from lowtide.passes import run_passes
from lowtide.transform.interpreter import apply_script, make_transform_context

FRONT = "lowtide-import-tosa,lowtide-normalise"
BACK = "lowtide-outline,lowtide-allocate{alignment=1},lowtide-kernels"
CONVS = Path(__file__).parents[1] / "lit" / "passes" / "Inputs" / "convs.mlir"
AROUND = Window((3, 3), ((1, 1), (1, 1)))
HEADER = """module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
"""
FOOTER = "    transform.yield\n  }\n}\n"


@dataclass
class Careful(General):
    """The general kernel, for convolutions alone, with no overlap: its output may not touch a dying input."""

    emitted: list[Part | None] = field(default_factory=list[Part | None])
    profiled: int = 0

    def accepts(self, body: LayerBody) -> bool:
        return len(body.arguments) > 2  # weights

    def emit(self, body: LayerBody, arguments: Sequence[Value], how: How) -> None:
        self.emitted.append(how.part)
        super().emit(body, arguments, how)

    def profile(
        self, body: LayerBody, argument: int, input_bytes: int, output_bytes: int, microkernels: str = PLAIN
    ) -> Profile:
        self.profiled += 1
        return Profile(output_bytes, output_bytes)


@pytest.fixture
def careful(monkeypatch: pytest.MonkeyPatch) -> Careful:
    """A further kernel of the library, for one test."""
    kernel = Careful()
    monkeypatch.setitem(KERNELS, "careful", kernel)
    return kernel


def convs() -> tuple[TosaNet, Tensor]:
    """Three convolutions and a pool."""
    net = TosaNet(np.random.default_rng(1))
    x = net.input((1, 5, 5, 3), "int8")
    weights = net.random((3, 3, 3, 3), "int8")
    for _ in range(3):
        x = net.rescale(net.conv(x, weights, AROUND))
    return net, net.max_pool(x, AROUND)


def scripted(text: str, *steps: str) -> Module:
    module = parse_module(text, make_transform_context())
    run_passes(module, FRONT)
    apply_script(module, HEADER + "".join(f"    {step}\n" for step in steps) + FOOTER)
    return module


def layers(name: str, numbers: Sequence[int]) -> str:
    return (
        f'%{name} = "lowtide.layers"(%module) {{numbers = {list(numbers)}}} : (!transform.any_op) -> !transform.any_op'
    )


def pick(handle: str, kernel: str) -> str:
    return f'"lowtide.kernel"(%{handle}) {{kernel = "{kernel}"}} : (!transform.any_op) -> ()'


def functions(module: Module) -> set[str]:
    return {view.name.value for view in module.body.operations if isinstance(view, func.FuncOp)}


def arena(text: str, *steps: str) -> tuple[Module, int]:
    module = scripted(text, *steps)
    run_passes(module, BACK)
    return module, int(str(module.operation.attributes["lowtide.arena_bytes"]).split(" ")[0])


def test_without_a_script_the_first_kernel_that_accepts_a_layer_emits_it(careful: Careful) -> None:
    net, y = convs()
    module, _ = arena(net.text([y]))
    assert not careful.emitted and not careful.profiled
    assert not any("careful" in name for name in functions(module))


def test_the_picked_kernel_emits_and_gives_the_overlap(careful: Careful) -> None:
    net, y = convs()
    text = net.text([y])
    _, before = arena(text)
    module, after = arena(text, layers("two", [2, 3]), pick("two", "careful"))
    assert careful.emitted == [None, None] and careful.profiled >= 1
    assert sum("careful" in name for name in functions(module)) == 2
    assert before < after == 2 * y.array.nbytes
    found = jit.run(module, [net.inputs[0].array], [y.array])
    assert np.array_equal(found[0], y.array)


def test_equal_layers_with_different_kernels_are_functions_of_their_own(careful: Careful) -> None:
    text = CONVS.read_text()
    module, _ = arena(text, layers("one", [2]), pick("one", "careful"))
    calls = [str(call.callee).removesuffix("_backwards") for call in calls_in(network_function(module, "test"))]
    assert calls == ["@conv_0", "@conv_0_careful"]
    module, _ = arena(text, layers("both", [1, 2]), pick("both", "careful"))
    assert {"conv_0", "conv_0_backwards"}.isdisjoint(functions(module))


def test_the_choice_survives_a_fused_loop(careful: Careful) -> None:
    net, y = convs()
    loop = (
        '%loop = "lowtide.fuse_spatial"(%all) {columns = 0 : i64, direction = "forwards", halo = "cache", '
        "rows = 1 : i64} : (!transform.any_op) -> !transform.any_op"
    )
    steps = layers("all", [1, 2, 3, 4]), layers("one", [2]), pick("one", "careful"), loop
    module, _ = arena(net.text([y]), *steps)
    assert len(careful.emitted) == 1 and careful.emitted[0] is not None
    found = jit.run(module, [net.inputs[0].array], [y.array])
    assert np.array_equal(found[0], y.array)


class Bytes(General):
    """The general kernel, for what ends in bytes: not for what adds up 32-bit sums in a loop."""

    def accepts(self, body: LayerBody) -> bool:
        return str(RankedTensorType(body.arguments[-1]).element_type) == "i8"


def test_what_a_loop_adds_up_has_a_kernel_of_its_own_where_the_picked_one_does_not_accept_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(KERNELS, "bytes", Bytes())
    net = TosaNet(np.random.default_rng(2))
    x = net.input((1, 6, 5, 3), "int8")
    y = net.mean(net.rescale(net.conv(x, net.random((4, 3, 3, 3), "int8"), AROUND)))
    loop = '%loop = "lowtide.fuse_spatial"(%all) {rows = 1 : i64} : (!transform.any_op) -> !transform.any_op'
    module, _ = arena(net.text([y]), layers("all", [1, 2]), pick("all", "bytes"), loop)
    names = functions(module)
    assert any("accumulate" in name and "bytes" not in name for name in names), names
    assert any("finish" in name and "bytes" in name for name in names), names
    assert np.array_equal(jit.run(module, [x.array], [y.array])[0], y.array)


@pytest.mark.parametrize("kernel", ["register_tiled", "general"])
def test_either_kernel_of_a_convolution_is_right(kernel: str) -> None:
    """What goes by elements may run into its input by a few pixels more."""
    net, y = convs()
    module, found = arena(net.text([y]), layers("all", [1, 2, 3]), pick("all", kernel))
    _, other = arena(net.text([y]), layers("all", [1, 2, 3]), pick("all", "general"))
    assert found > other if kernel == "register_tiled" else found == other
    assert np.array_equal(jit.run(module, [net.inputs[0].array], [y.array])[0], y.array)


@pytest.mark.usefixtures("careful")
def test_a_kernel_that_does_not_accept_the_layer_is_refused() -> None:
    net, y = convs()
    with pytest.raises(InputError) as caught:
        scripted(net.text([y]), layers("pool", [1, 4]), pick("pool", "careful"))
    assert "'lowtide.kernel': layer 'linalg." in caught.value.message
    assert "kernel 'careful' does not accept this layer; choose one of pool, general" in caught.value.message
    with pytest.raises(
        InputError,
        match="unknown kernel 'quick'; choose one of "
        "register_tiled, prepacked_i16, winograd, map, pool, general, careful",
    ):
        scripted(net.text([y]), layers("pool", [4]), pick("pool", "quick"))


def test_a_note_of_no_kernel_is_refused_behind_the_script() -> None:
    net, y = convs()
    module = scripted(net.text([y]), layers("pool", [4]), pick("pool", "general"))
    network_layers(module, "test")[3].attributes[KERNEL] = StringAttr.get("quick", module.context)
    with pytest.raises(InputError, match="unknown kernel 'quick'") as caught:
        run_passes(module, BACK)
    assert caught.value.remedy == "choose one of register_tiled, prepacked_i16, winograd, map, pool, general"
