"""Plans from outside (`--plan`): what is no step of a plan is refused before anything is done."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import DIGITS, lowtide, refused

from lowtide.errors import InputError
from lowtide.graph.fusion import Fusion
from lowtide.ir import Module, make_context, parse_module, parse_operation
from lowtide.lower import lower
from lowtide.plan.plan import Plan
from lowtide.script.emit import script_for
from lowtide.stages import Stages
from lowtide.targets import target_named
from lowtide.transform.interpreter import apply_script, make_transform_context
from lowtide.transform.plans import check_plan

ANY = "!transform.any_op"
LAYERS = f'%l = "lowtide.layers"(%m) {{numbers = [1, 2]}} : ({ANY}) -> {ANY}'
CHAIN = """func.func @main(%x: tensor<1x8x4x2xi8>) -> tensor<1x4x2x2xi8> {
  %1 = tosa.max_pool2d %x {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>}
    : (tensor<1x8x4x2xi8>) -> tensor<1x8x4x2xi8>
  %2 = tosa.max_pool2d %1 {kernel = array<i64: 2, 2>, pad = array<i64: 0, 0, 0, 0>, stride = array<i64: 2, 2>}
    : (tensor<1x8x4x2xi8>) -> tensor<1x4x2x2xi8>
  return %2 : tensor<1x4x2x2xi8>
}"""


def script(*steps: str) -> str:
    return "\n".join(
        (
            "module attributes {transform.with_named_sequence} {",
            f"  transform.named_sequence @__transform_main(%m: {ANY} {{transform.consumed}}) {{",
            *(f"    {step}" for step in steps),
            "    transform.yield",
            "  }",
            "}",
        )
    )


def registered(name: str, options: str = "") -> str:
    return f'%r = transform.apply_registered_pass "{name}" {options}to %m : ({ANY}) -> {ANY}'


REFUSED = {
    "a pass that writes a file": (
        (registered("snapshot-op-locations", 'with options = { "filename" = "written" } '),),
        "may not run the pass 'snapshot-op-locations'",
    ),
    "a pass that allocates": ((registered("empty-tensor-to-alloc-tensor"),), "may not run the pass 'empty-tensor"),
    "options of a pass": (
        (registered("canonicalize", 'with options = { "max-iterations" = 9 : i64 } '),),
        "may not give options to the pass 'canonicalize'",
    ),
    "a loop unrolled": (
        (LAYERS, f"transform.loop.unroll %l {{factor = 1000000}} : {ANY}"),
        "edited:4:5: 'transform.loop.unroll' makes 1000000 copies; a plan may make 64 in all",
    ),
    "a loop unrolled again and again": (
        (f"transform.loop.unroll %m {{factor = 8}} : {ANY}",) * 3,
        "edited:5:5: 'transform.loop.unroll' makes 8 copies; a plan may make 64 in all",
    ),
    "a file printed to": ((f"transform.print %m : {ANY}",), "may not use 'transform.print'"),
    "itself": (
        (f"transform.include @__transform_main failures(propagate) (%m) : ({ANY}) -> ()",),
        "recursion not allowed",
    ),
    "a loop over operations": (
        (f"transform.foreach %m : {ANY} {{ ^bb0(%o: {ANY}): transform.yield }}",),
        "may not use 'transform.foreach'",
    ),
    "rewrites of layers": (
        (LAYERS, f"transform.apply_cse to %m : {ANY}"),
        "'transform.apply_cse' comes after 'lowtide.layers', which has cut the network into layers",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_step_of_a_plan(name: str) -> None:
    steps, message = REFUSED[name]
    with pytest.raises(InputError) as caught:
        check_plan(parse_operation(script(*steps), make_transform_context(), "edited").operation)
    assert message in str(caught.value)


def test_what_plans_hold_is_accepted() -> None:
    plan = Plan(
        "ram",
        order=(1, 2, 3),
        fusions=(Fusion(1, 2), Fusion(3, 4, axis="channels")),
        copied=(1,),
        kernels=(("general", (1,)),),
    )
    own = registered("linalg-generalize-named-ops")
    for text in (script_for(plan), script(own, f"transform.apply_dce to %r : {ANY}", LAYERS.replace("%m", "%r"))):
        check_plan(parse_operation(text, make_transform_context(), "edited").operation)


def test_a_refused_plan_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plan = tmp_path / "plan.mlir"
    plan.write_text(script(*REFUSED["a pass that writes a file"][0]))
    message = refused(1, "compile", DIGITS, "--target", "cortex-m4", "--plan", plan, "-o", tmp_path / "out")
    assert f"{plan}:3:10: a plan may not run the pass" in message
    assert [path.name for path in tmp_path.iterdir()] == ["plan.mlir"]


def fused(attributes: str) -> tuple[str, str]:
    step = (
        f'%f = "lowtide.fuse_spatial"(%l) {{{attributes}, direction = "forwards", halo = "cache"}} : ({ANY}) -> {ANY}'
    )
    return LAYERS, step


LARGE = 9223372036854775807
ATTRIBUTES = {
    "rows": (
        fused(f"recompute = [], columns = 0 : i64, rows = {LARGE} : i64"),
        f"{LARGE} rows an iteration; 2147483647 or fewer",
    ),
    "rows as a flag": (fused("recompute = [], columns = 0 : i64, rows = true"), "true rows an iteration"),
    "rows of many bits": (fused("recompute = [], columns = 0 : i64, rows = 1 : i128"), "1 rows an iteration"),
    "rows beyond 32 bits": (
        fused("recompute = [], columns = 0 : i64, rows = 2147483647 : i64"),
        "the loop would count up to",
    ),
    "columns": (fused(f"recompute = [], columns = {LARGE} : i64, rows = 1 : i64"), f"{LARGE} columns at a time"),
    "columns beyond 32 bits": (
        fused("recompute = [], columns = 2147483647 : i64, rows = 1 : i64"),
        "the loop would count up to",
    ),
    "recompute": (
        fused("recompute = [1 : i128], columns = 0 : i64, rows = 1 : i64"),
        "to recompute are not a list of integers",
    ),
    "slice": (
        (LAYERS, f'%f = "lowtide.fuse_channels"(%l) {{slice = {LARGE} : i64}} : ({ANY}) -> {ANY}'),
        f"{LARGE} channels a slice; 2147483647 or fewer are wanted",
    ),
    "slice beyond 32 bits": (
        (LAYERS, f'%f = "lowtide.fuse_channels"(%l) {{slice = 2147483647 : i64}} : ({ANY}) -> {ANY}'),
        "the loop would count up to",
    ),
    "numbers": ((f'%l = "lowtide.layers"(%m) {{numbers = [{LARGE}]}} : ({ANY}) -> {ANY}',), "not a list of integers"),
    "order": ((f'"lowtide.schedule"(%m) {{order = [1, {LARGE}]}} : ({ANY}) -> ()',), "not a list of integers"),
    "parts": ((f'"lowtide.concat"(%m) {{copied = [{LARGE}]}} : ({ANY}) -> ()',), "not a list of integers"),
    "budget": (
        (f'"lowtide.allocate"(%m) {{budget = 1 : i128, overlap = true, strategy = "auto"}} : ({ANY}) -> ()',),
        "the budget is a number of bytes",
    ),
}


@pytest.fixture
def module() -> Module:
    from lowtide.passes import run_passes

    found = parse_module(CHAIN, make_context())
    run_passes(found, "lowtide-import-tosa,lowtide-normalise")
    return found


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_numbers_beyond_what_a_loop_counts(name: str, module: Module) -> None:
    steps, message = ATTRIBUTES[name]
    with pytest.raises(InputError) as caught:
        apply_script(module, script(*steps), name="edited")
    assert message in str(caught.value)


CURVES = """func.func @main(%x: tensor<8x6xf32>) -> tensor<8x6xf32> {
  %e = tensor.empty() : tensor<8x6xf32>
  %0 = linalg.exp ins(%x : tensor<8x6xf32>) outs(%e : tensor<8x6xf32>) -> tensor<8x6xf32>
  return %0 : tensor<8x6xf32>
}"""
MATCH = f'%c = transform.structured.match ops{{["linalg.exp"]}} in %m : ({ANY}) -> {ANY}'
TILES = {
    "negative": ("for", "[-2]", "expected sizes to be non-negative"),
    "negative, at once": ("forall", "[-2]", "expected sizes to be non-negative"),
    "more threads than a core counts": ("forall", f"num_threads [{1 << 40}]", "beyond a target's 32 bits"),
}


@pytest.mark.parametrize("name", TILES)
def test_tiles_that_no_core_counts(name: str, tmp_path: Path) -> None:
    kind, sizes, message = TILES[name]
    plan, network = tmp_path / "plan.mlir", tmp_path / "net.mlir"
    wanted = sizes if sizes.startswith("num") else f"tile_sizes {sizes}"
    tile = f"%t, %l = transform.structured.tile_using_{kind} %c {wanted} : ({ANY}) -> ({ANY}, {ANY})"
    plan.write_text(script(MATCH, tile))
    network.write_text(CURVES)
    with pytest.raises(InputError) as caught:
        lower(network, target_named("host"), plan=plan, stages=Stages())
    assert message in str(caught.value)


def test_a_loop_that_stores_bytes_twice_is_not_witnessed(tmp_path: Path) -> None:
    plan, network, out = (tmp_path / name for name in ("plan.mlir", "net.mlir", "out"))
    tile = f"%t, %l = transform.structured.tile_using_for %c tile_sizes [2] : ({ANY}) -> ({ANY}, {ANY})"
    plan.write_text(script(MATCH, tile))
    network.write_text(CURVES)
    assert lowtide("compile", network, "--target", "cortex-m4", "--plan", plan, "-o", out).code == 0
    message = refused(1, "run", out, "--witness")
    assert "MLIR made the code of this layer, and stores bytes of its output more than once" in message
