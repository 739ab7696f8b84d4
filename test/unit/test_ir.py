"""The door to the bindings: parsing refuses with a place, pipelines verify and name what went wrong."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest

from lowtide.errors import InputError, InternalError
from lowtide.ir import (
    MAX_NESTING,
    Context,
    StringAttr,
    make_context,
    parse_module,
    parse_operation,
    place_of,
    read_module,
    run_pipeline,
    verify,
)

SOUND = "func.func @f() {\n  return\n}"
ILL_TYPED = "func.func @f(%a: i32) -> i64 {\n  return %a : i32\n}"


@pytest.fixture
def context() -> Context:
    return make_context()


def test_text_and_bytecode_give_the_same_module(context: Context) -> None:
    module = parse_module(SOUND, context)
    bytecode = BytesIO()
    module.operation.write_bytecode(bytecode)
    assert str(parse_module(bytecode.getvalue(), context)) == str(module)
    assert str(parse_module(SOUND.encode(), context)) == str(module)


@pytest.mark.parametrize(
    ("asm", "expected"),
    [
        (ILL_TYPED, "net.mlir:2:3: error: type of return operand 0 ('i32') doesn't match"),
        ("func.func @f(", "net.mlir:1:13: error: expected"),
        ('"tfl.foo"() : () -> ()', "dialect"),
        (b"\xff\xfe", "byte 0xff at offset 0"),
        (b"ML\xefR\x0d\x01", "net.mlir:0:0: error: "),
        (b"ML\xefR" + bytes(range(256)), "net.mlir:0:0: error: "),
    ],
)
def test_bad_input_is_refused_with_its_place(asm: str | bytes, expected: str, context: Context) -> None:
    with pytest.raises(InputError) as caught:
        parse_module(asm, context, "net.mlir", stage="importer")
    assert expected in str(caught.value)
    assert str(caught.value).startswith("importer")


@pytest.mark.parametrize("opening", ["module {", "[", "tuple<", "("])
def test_deep_nesting_is_refused_before_it_overflows_the_stack(opening: str, context: Context) -> None:
    with pytest.raises(InputError, match="brackets nest more than"):
        parse_module(opening * 200_000, context)


def test_brackets_in_strings_comments_and_arrows_do_not_nest(context: Context) -> None:
    many = MAX_NESTING + 10
    arrows = "\n".join(f"func.func private @f{i}() -> i32" for i in range(many))
    module = parse_module(f'// {"(" * many}\nmodule attributes {{a.b = "{"[" * many}\\""}} {{\n{arrows}\n}}', context)
    assert len(list(module.body.operations)) == many


def test_a_file_is_named_in_its_diagnostics_and_its_operations_know_it(tmp_path: Path, context: Context) -> None:
    path = tmp_path / "net.mlir"
    path.write_text(SOUND)
    function = read_module(path, context).body.operations[0]
    assert place_of(function.operation.location) == f"{path}:1:1"
    path.write_text(ILL_TYPED)
    with pytest.raises(InputError, match=r"net\.mlir:2:3: error"):
        read_module(path, context)


def test_unreadable_files_are_refused(tmp_path: Path, context: Context) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_module(tmp_path / "absent.mlir", context)
    with pytest.raises(InputError, match="Is a directory"):
        read_module(tmp_path, context)


def test_parse_operation_places_what_it_parses(context: Context) -> None:
    operation = parse_operation("module {\n  func.func private @f()\n}", context, "script.mlir")
    assert place_of(operation.operation.regions[0].blocks[0].operations[0].operation.location) == "script.mlir:2:3"
    with pytest.raises(InputError, match="single top-level operation"):
        parse_operation("", context, "script.mlir")


def test_a_failing_pass_gives_the_callers_error_with_the_diagnostics(context: Context) -> None:
    text = (
        "func.func @f(%m: memref<4xi8>) -> tensor<4xi8> {\n"
        "  %0 = bufferization.to_tensor %m : memref<4xi8> to tensor<4xi8>\n"
        "  return %0 : tensor<4xi8>\n}"
    )
    with pytest.raises(InternalError) as caught:
        run_pipeline(
            parse_module(text, context),
            "builtin.module(one-shot-bufferize{bufferize-function-boundaries=1})",
            stage="bufferise",
            error=InternalError,
        )
    assert "bufferise: -:2:8: error: 'bufferization.to_tensor' op" in str(caught.value)


def test_an_unknown_pass_is_the_callers_mistake(context: Context) -> None:
    with pytest.raises(ValueError, match="nonesuch"):
        run_pipeline(parse_module(SOUND, context), "builtin.module(nonesuch)")


def test_verify_reports_what_an_edit_broke(context: Context) -> None:
    module = parse_module("func.func @f() { return }\nfunc.func @g() { return }", context)
    verify(module, stage="test")
    with context:
        module.body.operations[1].operation.attributes["sym_name"] = StringAttr.get("f")
    with pytest.raises(InternalError, match="redefinition of symbol named 'f'"):
        verify(module, stage="test", error=InternalError)


def test_long_diagnostics_are_cut(context: Context) -> None:
    body = "\n".join(f"  %x{i} = arith.constant {i} : i32" for i in range(1_000))
    with pytest.raises(InputError) as caught:
        parse_module(f"func.func @f() -> i32 {{\n{body}\n  return\n}}\nfunc.func @f() {{ return }}", context)
    assert len(str(caught.value)) < 3_000


def test_unregistered_dialects_are_refused(context: Context) -> None:
    assert not context.allow_unregistered_dialects
    with pytest.raises(InputError):
        parse_module('"tfl.custom"() : () -> ()', context)
