"""Pipelines: how their text splits, what is refused before anything runs, and that every step is verified."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from lowtide import passes
from lowtide.errors import InputError, InternalError, UsageError
from lowtide.ir import Module, StringAttr, make_context, parse_module
from lowtide.passes import PASSES, Pass, Step, parse_pipeline, run_passes


@pytest.fixture
def module() -> Module:
    return parse_module(
        "func.func @f(%a: i32) -> i32 {\n  %x = arith.addi %a, %a : i32\n  return %a : i32\n}\nfunc.func private @g()",
        make_context(),
    )


def rename(module: Module, options: Mapping[str, str]) -> None:
    with module.context:
        module.body.operations[0].operation.attributes["sym_name"] = StringAttr.get(options.get("to", "renamed"))


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "PASSES", {"lowtide-rename": Pass("lowtide-rename", "test", rename, options=("to",))})


def test_a_pipeline_splits_at_top_level_only() -> None:
    text = " builtin.module( canonicalize{a=1 b=2,3}, func.func(cse,canonicalize) ,cse) "
    assert [step.text for step in parse_pipeline(text)] == [
        "canonicalize{a=1 b=2,3}",
        "func.func(cse,canonicalize)",
        "cse",
    ]
    assert parse_pipeline("canonicalize,cse") == (Step("canonicalize", "canonicalize"), Step("cse", "cse"))
    assert parse_pipeline("builtin.module()") == parse_pipeline("") == ()


def test_options_are_read_as_mlir_reads_them() -> None:
    (step,) = parse_pipeline("lowtide-outline{a=1 flag names={x y,z} text='b c,d'}")
    assert step.ours
    assert step.options == {"a": "1", "flag": "true", "names": "{x y,z}", "text": "'b c,d'"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cse,", "an empty item"),
        (",", "an empty item"),
        ("cse)", r"'\)' closes nothing"),
        ("builtin.module(cse", r"'\)' is missing"),
        ("canonicalize{a=1", "'}' is missing"),
        ("canonicalize{a='1}", "''' is missing"),
        ("func.func(cse}", "'}' closes nothing"),
        ("lowtide-outline(cse)", "options of lowtide-outline are written"),
    ],
)
def test_malformed_text_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_pipeline(text)


@pytest.mark.parametrize(
    "text", ["nonesuch", "cse{nonesuch=1}", "func.func(lowtide-outline)", "func.func(one-shot-bufferize)"]
)
def test_nothing_runs_if_one_step_is_unknown(text: str, module: Module) -> None:
    before = str(module)
    with pytest.raises(UsageError) as caught:
        run_passes(module, f"canonicalize,{text}")
    assert str(module) == before
    assert caught.value.where == text


def test_a_function_pass_on_a_module_is_refused_with_the_way_to_nest_it(module: Module) -> None:
    with pytest.raises(UsageError, match=r"does not run on modules") as caught:
        run_passes(module, "affine-loop-unroll")
    assert "func.func(affine-loop-unroll)" in str(caught.value)
    run_passes(module, "func.func(affine-loop-unroll)")


@pytest.mark.usefixtures("registry")
def test_lowtides_and_mlirs_passes_mix_in_order(module: Module) -> None:
    seen: list[str] = []
    run_passes(
        module,
        "builtin.module(symbol-dce,lowtide-rename{to=h},func.func(canonicalize))",
        after=lambda step, _: seen.append(step.text),
    )
    assert seen == ["symbol-dce", "lowtide-rename{to=h}", "func.func(canonicalize)"]
    assert "@h" in str(module)
    assert "arith.addi" not in str(module)
    assert "@g" not in str(module)


@pytest.mark.usefixtures("registry")
def test_invalid_ir_after_one_of_our_passes_is_a_bug(module: Module) -> None:
    with pytest.raises(InternalError, match="redefinition of symbol named 'g'") as caught:
        run_passes(module, "lowtide-rename{to=g}")
    assert caught.value.stage == "lowtide-rename"


def test_a_refusing_upstream_pass_is_named(module: Module) -> None:
    with pytest.raises(InputError, match="__transform_main") as caught:
        run_passes(module, "transform-interpreter")
    assert caught.value.stage == "transform-interpreter"


def test_every_registered_pass_is_found_under_its_name() -> None:
    for name, found in PASSES.items():
        assert found.name == name
        assert name.startswith("lowtide-")
        assert found.description
        assert not found.description.endswith(".")


def test_a_pass_registered_under_another_name_is_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(passes._WHERE, "lowtide-alias", passes._WHERE["lowtide-outline"])  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(InternalError, match="is called lowtide-outline"):
        PASSES["lowtide-alias"]


@pytest.mark.usefixtures("registry")
def test_an_option_that_the_pass_does_not_know_is_refused(module: Module) -> None:
    with pytest.raises(UsageError, match="lowtide-rename has no option 'from'") as caught:
        run_passes(module, "lowtide-rename{from=x}")
    assert caught.value.remedy == "it knows to"
