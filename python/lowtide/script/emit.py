"""A plan as the text of a transform script: to inspect, to edit, and to replay with `lowtide-opt`."""

from __future__ import annotations

import json
from collections.abc import Iterable

from lowtide.plan.plan import Plan

MAIN = "__transform_main"
_CUT_SHORT = {
    "budget": "The search for this plan used up its budget of steps: there may be better ones.",
    "interrupted": "The search for this plan was interrupted: there may be better ones.",
}


def script_for(plan: Plan) -> str:
    """The script that carries out a plan, in the form in which MLIR itself prints it.

    Args:
        plan: complete; the same plan gives the same text. A comment says where its search did not come to its end.
    """
    steps = _steps(plan)
    return "\n".join(
        [
            *([] if plan.search == "complete" else [f"// {_CUT_SHORT[plan.search]}"]),
            "module attributes {transform.with_named_sequence} {",
            f"  transform.named_sequence @{MAIN}(%arg0: !transform.any_op {{transform.readonly}}) {{",
            *(f"    {step}" for step in steps),
            "    transform.yield ",
            "  }",
            "}",
            "",
        ]
    )


def _steps(plan: Plan) -> list[str]:
    steps: list[str] = []
    if plan.copied:
        steps.append(_step("concat", f"copied = [{_numbers(plan.copied)}]"))
    if plan.order:
        steps.append(_step("schedule", f"order = [{_numbers(plan.order)}]"))
    for place, (kernel, numbers) in enumerate(plan.kernels):
        steps.append(_step("layers", f"numbers = [{_numbers(numbers)}]", result=f"%{place}"))
        steps.append(_step("kernel", f"kernel = {json.dumps(kernel)}", operand=f"%{place}"))
    # all handles are taken before the first loop takes its layers out of the count
    chains = range(len(plan.kernels), len(plan.kernels) + len(plan.fusions))
    for chain, fusion in zip(chains, plan.fusions, strict=True):
        numbers = _numbers(range(fusion.first, fusion.last + 1))
        steps.append(_step("layers", f"numbers = [{numbers}]", result=f"%{chain}"))
    for chain, fusion in zip(chains, plan.fusions, strict=True):
        if fusion.axis == "channels":
            steps.append(
                _step(
                    "fuse_channels",
                    f"slice = {fusion.rows} : i64",
                    operand=f"%{chain}",
                    result=f"%{len(plan.fusions) + chain}",
                )
            )
            continue
        attributes = (
            f"again = [{_numbers(fusion.again)}], "
            f'columns = {fusion.columns} : i64, direction = "{fusion.direction}", '
            f'halo = "cache", rows = {fusion.rows} : i64'
        )
        result = f"%{len(plan.fusions) + chain}"
        steps.append(_step("fuse_spatial", attributes, operand=f"%{chain}", result=result))
    # JSON's escapes for quotes and backslashes are MLIR's too, and its words for what is true.
    attributes = (
        f"budget = {plan.budget} : i64, overlap = {json.dumps(plan.overlap)}, "
        f"strategy = {json.dumps(plan.strategy, ensure_ascii=False)}"
    )
    steps.append(_step("allocate", attributes))
    return steps


def _numbers(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))


def _step(name: str, attributes: str, *, operand: str = "%arg0", result: str = "") -> str:
    given, kind = (f"{result} = ", "!transform.any_op") if result else ("", "()")
    return f'{given}"lowtide.{name}"({operand}) {{{attributes}}} : (!transform.any_op) -> {kind}'
