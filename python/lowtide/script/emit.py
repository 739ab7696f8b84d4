"""A plan as the text of a transform script: to inspect, to edit, and to replay with `lowtide-opt`."""

from __future__ import annotations

import json

from lowtide.plan.plan import Plan

MAIN = "__transform_main"


def script_for(plan: Plan) -> str:
    """The script that carries out a plan, in the form in which MLIR itself prints it.

    Args:
        plan: complete; the same plan gives the same text.
    """
    steps = _steps(plan)
    return "\n".join(
        [
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
        steps.append(_step("concat", f"copied = [{', '.join(map(str, plan.copied))}]"))
    if plan.order:
        steps.append(_step("schedule", f"order = [{', '.join(map(str, plan.order))}]"))
    # JSON's escapes for quotes and backslashes are MLIR's too.
    steps.append(_step("allocate", f"strategy = {json.dumps(plan.strategy, ensure_ascii=False)}"))
    return steps


def _step(name: str, attributes: str) -> str:
    return f'"lowtide.{name}"(%arg0) {{{attributes}}} : (!transform.any_op) -> ()'
