"""Transform scripts: a plan's text, its round trip, what it does, and how bad scripts are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

import lowtide_dialect
from lowtide.alloc import STRATEGIES
from lowtide.bufferise.allocate import BUDGET, OVERLAP, STRATEGY
from lowtide.errors import InputError, UsageError
from lowtide.ir import BoolAttr, IntegerAttr, Module, StringAttr, make_context, parse_module
from lowtide.normalise.outline import COPIED
from lowtide.plan.plan import Plan
from lowtide.script.emit import script_for
from lowtide.transform.interpreter import (
    apply_embedded_script,
    apply_script,
    has_embedded_script,
    make_transform_context,
    register,
)

SCRIPT = script_for(Plan("untiled", "first-fit"))
HEADER = "module attributes {transform.with_named_sequence} {"


@pytest.fixture
def module() -> Module:
    return parse_module("func.func @f() {\n  return\n}", make_transform_context())


def strategy(module: Module) -> str:
    return StringAttr(module.operation.attributes[STRATEGY]).value


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_a_plans_script_is_what_mlir_prints_of_it_and_carries_it_out(name: str, module: Module) -> None:
    text = script_for(Plan("untiled", name))
    assert str(parse_module(text, module.context)) == text
    apply_script(module, text)
    assert strategy(module) == name


@pytest.mark.parametrize(("overlap", "budget"), [(True, 0), (False, 0), (True, 4_096), (False, 1 << 40)])
def test_a_plans_script_says_how_the_arena_is_allocated(overlap: bool, budget: int, module: Module) -> None:
    text = script_for(Plan("untiled", overlap=overlap, budget=budget))
    assert str(parse_module(text, module.context)) == text
    apply_script(module, text)
    attributes = module.operation.attributes
    assert (BoolAttr(attributes[OVERLAP]).value, IntegerAttr(attributes[BUDGET]).value) == (overlap, budget)


def test_a_script_names_the_parts_to_be_copied_before_the_order(module: Module) -> None:
    text = script_for(Plan("untiled", order=(2, 1), copied=(1, 3)))
    assert str(parse_module(text, module.context)) == text
    assert text.index("lowtide.concat") < text.index("lowtide.schedule")
    apply_script(module, script_for(Plan("untiled", copied=(1, 3))))
    assert str(module.operation.attributes[COPIED]) == "[1, 3]"


def test_a_script_file_does_the_same_as_its_text(tmp_path: Path, module: Module) -> None:
    path = tmp_path / "net.plan.mlir"
    path.write_text(SCRIPT)
    apply_script(module, path)
    assert strategy(module) == "first-fit"


def test_the_dialect_loads_in_many_contexts_and_once_in_each() -> None:
    for _ in range(3):
        context = make_context()
        register(context)
        register(context)
        module = parse_module("module {}", context)
        apply_script(module, SCRIPT)
        assert strategy(module) == "first-fit"


def test_apply_script_loads_the_dialect_by_itself() -> None:
    module = parse_module("module {}", make_context())
    apply_script(module, SCRIPT)
    assert strategy(module) == "first-fit"


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (script_for(Plan("untiled", "nonesuch")), "edited:3:5: error: 'lowtide.allocate': unknown strategy 'nonesuch'"),
        (script_for(Plan("untiled", 'a"\\b')), "unknown strategy 'a\"\\b'"),
        (script_for(Plan("untiled", budget=-5)), "edited:3:5: error: 'lowtide.allocate': a budget of -5 bytes"),
        ("", "single top-level operation"),
        ("module {", "edited:1:"),
        ("module {}", "transform at edited: the script's module lacks the attribute"),
        (f"{HEADER}}}", "transform at edited: the script has no transform.named_sequence @__transform_main"),
        (SCRIPT.replace("__transform_main", "other"), "has no transform.named_sequence @__transform_main"),
        (SCRIPT.replace("readonly})", "readonly}, %b: !transform.any_op)"), "edited:2:"),
        (SCRIPT.replace("lowtide.allocate", "lowtide.nonesuch"), "edited:3:5: error: "),
        (SCRIPT.replace("any_op", 'op<"func.func">'), "incompatible payload operation name"),
    ],
)
def test_bad_scripts_are_refused_with_their_place(script: str, expected: str, module: Module) -> None:
    before = str(module)
    with pytest.raises(InputError) as caught:
        apply_script(module, script, name="edited")
    assert expected in str(caught.value)
    assert caught.value.stage == "transform"
    assert str(module) == before


def test_notes_of_a_failed_step_name_the_payload(module: Module) -> None:
    handle = "!transform.any_op"
    script = "\n".join(
        [
            HEADER,
            f"  transform.named_sequence @__transform_main(%m: {handle}) {{",
            f'    %r = transform.structured.match ops{{["func.return"]}} in %m : ({handle}) -> {handle}',
            f"    %t:2 = transform.structured.tile_using_for %r tile_sizes [4] : ({handle}) -> ({handle}, {handle})",
            "    transform.yield",
            "  }",
            "}",
        ]
    )
    with pytest.raises(InputError) as caught:
        apply_script(module, script, name="edited")
    assert caught.value.message.splitlines() == [
        "edited:4:12: error: only ops implementing TilingInterface are supported",
        "  -:2:3: note: target op",
    ]


def test_an_embedded_script_is_found_only_beside_a_payload(module: Module) -> None:
    context = module.context
    assert not has_embedded_script(module)
    assert not has_embedded_script(parse_module(SCRIPT, context))
    both = parse_module(SCRIPT.replace(HEADER, f"{HEADER}\n  func.func private @f()"), context)
    assert has_embedded_script(both)
    apply_embedded_script(both)
    assert strategy(both) == "first-fit"


def test_an_embedded_script_fails_with_its_place(module: Module) -> None:
    text = SCRIPT.replace("first-fit", "nonesuch").replace(HEADER, f"{HEADER} func.func private @f()")
    with pytest.raises(InputError, match=r"-:3:5: error: 'lowtide.allocate': unknown strategy 'nonesuch'"):
        apply_embedded_script(parse_module(text, module.context))


def test_an_unknown_objective_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="unknown objective 'tiled'"):
        Plan("tiled")  # pyright: ignore[reportArgumentType]


def test_the_irdl_text_is_the_operations_own() -> None:
    path = Path(lowtide_dialect.__file__).parent / "lowtide.irdl.mlir"
    comment, text = path.read_text().split("\n", 1)
    assert comment.startswith("//")
    assert text == lowtide_dialect.irdl_text(make_context())
    parse_module(text, make_context())


PAYLOAD = ("layer", "yield", "fused", "output", "arena")


def test_every_operation_has_its_page() -> None:
    folder = Path(lowtide_dialect.__file__).parent
    for operation in lowtide_dialect.LowtideDialect.operations:
        name = operation.OPERATION_NAME.split(".")[1]
        page = (folder / f"{'payload' if name in PAYLOAD else name}.md").read_text()
        assert "Before → after" in page
        assert f"`lowtide.{name}`" in page
