"""Networks in `.mlir` that reach outside their tensors, or for what no core has: refused by name, or harmless."""

from __future__ import annotations

from pathlib import Path

import jit
import numpy as np
import pytest

from lowtide import limits
from lowtide.errors import InputError
from lowtide.ir import Attribute, make_context, parse_module
from lowtide.limits import MOST_ARENA, check_arena
from lowtide.lower import LONGEST_NAME, Lowered, identifier, lower
from lowtide.normalise.bounds import objection_to_places
from lowtide.passes import run_passes
from lowtide.stages import Stages
from lowtide.targets import TARGETS
from lowtide.transform.interpreter import make_transform_context

F = "tensor<4xf32>"
SAME = "affine_map<(d0) -> (d0)>"


def network(*lines: str, takes: str = f"%a: {F}", gives: str = F, returns: str = "%r") -> str:
    body = "\n  ".join(lines)
    return f"func.func @main({takes}) -> ({gives}) {{\n  {body}\n  return {returns} : {gives}\n}}\n"


def pointwise(*code: str, kind: str = "f32", maps: str = f"{SAME}, {SAME}") -> str:
    tensor = f"tensor<4x{kind}>"
    lines = [
        f"%e = tensor.empty() : {tensor}",
        f'%r = linalg.generic {{indexing_maps = [{maps}], iterator_types = ["parallel"]}} ins(%a : {tensor})'
        f" outs(%e : {tensor}) {{ ^bb0(%i: {kind}, %o: {kind}):",
        *code,
        f"linalg.yield %y : {kind} }} -> {tensor}",
    ]
    return network(*lines, takes=f"%a: {tensor}", gives=tensor)


def padded(low: int, high: int) -> str:
    extent = 4 + low + high
    return network(
        "%z = arith.constant 0.0 : f32",
        f"%r = tensor.pad %a low[{low}] high[{high}] {{ ^bb0(%i: index): tensor.yield %z : f32 }}"
        f" : {F} to tensor<{extent}xf32>",
        gives=f"tensor<{extent}xf32>",
    )


MANY = ", ".join(f"%a{i}: tensor<67108864xi64>" for i in range(5))
REFUSED: dict[str, tuple[str, str]] = {
    "a slice that goes backwards": (
        network(f"%r = tensor.extract_slice %a[0] [4] [-1] : {F} to {F}"),
        "(tensor.extract_slice): its stride in dimension 0 is -1; 1 or more are wanted",
    ),
    "a slice that stands still": (
        network(f"%r = tensor.extract_slice %a[0] [4] [0] : {F} to {F}"),
        "its stride in dimension 0 is 0",
    ),
    "an insertion that goes backwards": (
        network(f"%e = tensor.empty() : {F}", f"%r = tensor.insert_slice %a into %e[3] [4] [-1] : {F} into {F}"),
        "(tensor.insert_slice): its stride in dimension 0 is -1",
    ),
    "a pad that takes away": (padded(-1, 3), "(tensor.pad): pads dimension 0 with -1 elements; 0 or more are wanted"),
    "subscripts with a remainder": (
        pointwise("%y = math.exp %i : f32", maps=f"affine_map<(d0) -> (d0 mod 5)>, {SAME}"),
        "a subscript is not linear in the loops",
    ),
    "doubles in scalar code": (
        pointwise("%d = arith.extf %i : f32 to f64", "%x = math.exp %d : f64", "%y = arith.truncf %x : f64 to f32"),
        "no kernel takes scalar code with 'arith.extf'",
    ),
    "long integers of floats": (
        pointwise("%l = arith.fptosi %i : f32 to i64", "%y = arith.sitofp %l : i64 to f32"),
        "no kernel converts between floats and 'i64' (arith.fptosi)",
    ),
    "a remainder of floats": (pointwise("%y = arith.remf %i, %i : f32"), "scalar code with 'arith.remf'"),
    "wider integers": (
        pointwise(
            "%w = arith.extsi %i : i64 to i128",
            "%q = arith.muli %w, %w : i128",
            "%y = arith.trunci %q : i128 to i64",
            kind="i64",
        ),
        "no kernel takes scalar code on 'i128'",
    ),
    "a table that nobody wrote": (
        pointwise("%t = arith.constant 1 : index", "%y = tensor.extract %e[%t] : tensor<4xf32>"),
        "reads a tensor that nobody wrote",
    ),
    "a large input that is not used": (
        network(f"%r = arith.constant dense<1.0> : {F}", takes="%a: tensor<1x4294967296x8xf32>"),
        "'tensor<1x4294967296x8xf32>' of func.func at ",
    ),
    "a size that wraps round": (
        network(f"%r = arith.constant dense<1.0> : {F}", takes="%a: tensor<4294967296x4294967296xf32>"),
        "has more than 67,108,864 elements",
    ),
    "a large vector": (
        network("%v = arith.constant dense<0> : vector<4294967296xi8>", returns="%a"),
        "'vector<4294967296xi8>' of arith.constant",
    ),
    "inputs beyond what microcontrollers have": (
        network(f"%r = arith.constant dense<1.0> : {F}", takes=MANY),
        "the network needs an arena of 2,684,354,560 bytes, the most that lowtide makes are 67,108,864",
    ),
    "a script beside the network": (
        "module attributes {transform.with_named_sequence} {\n"
        + network(f"%r = tosa.abs %a : ({F}) -> {F}")
        + "transform.named_sequence @__transform_main(%m: !transform.any_op) { transform.yield } }",
        "the module holds a transform script beside the network\n  remedy: apply it with lowtide-opt",
    ),
    "a resource that is not aligned": (
        network(f"%r = arith.constant dense_resource<w> : {F}")
        + '{-# dialect_resources: { builtin: { w: "0x000000000000803F" } } #-}',
        "MLIR crashes on it (SIGABRT",
    ),
}


def lowered(tmp_path: Path, text: str) -> Lowered:
    path = tmp_path / "net.mlir"
    path.write_text(text, encoding="utf-8")
    return lower(path, TARGETS["host"], stages=Stages())


@pytest.mark.parametrize("name", REFUSED)
def test_refused(tmp_path: Path, name: str) -> None:
    text, message = REFUSED[name]
    with pytest.raises(InputError) as caught:
        lowered(tmp_path, text)
    assert message in str(caught.value)


X = np.array([-3, 1, 2.5, 9], np.float32)


def test_an_index_made_of_data_stays_in_its_table(tmp_path: Path) -> None:
    text = pointwise(
        "%l = arith.fptosi %i : f32 to i32",
        "%k = arith.index_cast %l : i32 to index",
        f"%y = tensor.extract %a[%k] : {F}",
    )
    found = jit.run_network(lowered(tmp_path, text).network, [X])
    np.testing.assert_array_equal(found[0], [-3, 1, 2.5, 9])


def test_what_a_stranger_notes_for_lowtide_is_dropped(tmp_path: Path) -> None:
    noted = "lowtide.copied = [-1], lowtide.strategy = 3 : i8, lowtide.budget = 1 : i64, transform.with_named_sequence"
    text = f"module attributes {{{noted}}} {{\n{network(f'%r = tosa.abs %a : ({F}) -> {F}')}}}"
    np.testing.assert_array_equal(jit.run_network(lowered(tmp_path, text).network, [X])[0], abs(X))


def test_a_note_of_linalgs_own_is_dropped(tmp_path: Path) -> None:
    believed = "linalg.memoized_indexing_maps = [affine_map<(d0) -> (d0 + 9)>, affine_map<(d0) -> (d0)>]"
    text = network(f"%e = tensor.empty() : {F}", f"%r = linalg.exp {{{believed}}} ins(%a : {F}) outs(%e : {F}) -> {F}")
    np.testing.assert_allclose(jit.run_network(lowered(tmp_path, text).network, [X])[0], np.exp(X), rtol=1e-6)


@pytest.mark.parametrize(
    ("first", "objection"),
    [
        ("d0 + 1", "operand 0: takes elements 1 to 4 of the 4 in dimension 0"),
        ("-d0 + 2", "operand 0: takes elements -1 to 2 of the 4 in dimension 0"),
        ("d0 * 4611686018427387904", "operand 0: takes elements 0 to 13835058055282163712 of the 4 in dimension 0"),
        ("d0 * 2 - d0", ""),
        ("-d0 + 3", ""),
    ],
)
def test_subscripts_stay_in_their_operands(first: str, objection: str) -> None:
    text = pointwise("%y = math.exp %i : f32")
    module = parse_module(text, make_context())
    block = module.body.operations[0].regions[0].blocks[0]
    op = block.operations[1].operation
    with module.context:
        # as a pass may leave it: the parser would refuse most of them
        op.attributes["indexing_maps"] = Attribute.parse(f"[affine_map<(d0) -> ({first})>, {SAME}]")
    assert objection_to_places(op) == objection


def test_what_is_inside_has_no_objection() -> None:
    lines = (
        "%s = tensor.extract_slice %a[1] [2] [2] : tensor<4xf32> to tensor<2xf32>",
        f"%r = tensor.insert_slice %s into %a[0] [2] [3] : tensor<2xf32> into {F}",
    )
    module = parse_module(network(*lines), make_context())
    for view in module.body.operations[0].regions[0].blocks[0].operations:
        assert objection_to_places(view.operation) == ""


def test_an_arena_beyond_what_microcontrollers_have_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    check_arena(MOST_ARENA)
    with pytest.raises(InputError, match="the most that lowtide makes are 67,108,864"):
        check_arena(MOST_ARENA + 1)
    monkeypatch.setattr(limits, "MOST_ARENA", 15)
    module = parse_module(network(f"%r = tosa.abs %a : ({F}) -> {F}"), make_transform_context())
    with pytest.raises(InputError, match="an arena of 16 bytes, the most that lowtide makes are 15"):
        run_passes(module, "lowtide-import-tosa,lowtide-normalise,lowtide-outline,lowtide-allocate")


def test_long_names_of_models_are_shortened_and_stay_apart() -> None:
    names = [identifier("a" * length) for length in (LONGEST_NAME, LONGEST_NAME + 1, 240, 241)]
    assert names[0] == "a" * LONGEST_NAME
    assert len(set(names)) == len(names)
    assert max(map(len, names)) == LONGEST_NAME
    assert all(name.isidentifier() for name in names)
