"""Random chains of layers as stages of a fused loop: windows and rows, no network behind them."""

from __future__ import annotations

import random

from lowtide.graph.program import Window
from lowtide.graph.stages import Stage


def random_stages(choose: random.Random) -> tuple[list[Stage], set[int]]:
    """A chain with residuals; tensor 0 comes from outside, tensor n is what stage n - 1 makes."""
    rows = {0: choose.randint(4, 17)}
    stages: list[Stage] = []
    for tensor in range(1, choose.randint(3, 8)):
        source = tensor - 1
        skipped = [t for t in range(tensor - 1) if rows[t] == rows[source]]
        if skipped and choose.random() < 0.4:
            same = Window(1, 0, 0)
            inputs, rows[tensor] = ((source, same), (choose.choice(skipped), same)), rows[source]
        else:
            kernel, stride = choose.choice((1, 2, 3, 3, 5)), choose.randint(1, 2)
            low = choose.randrange(kernel)
            made = (rows[source] + low + choose.randrange(kernel) - kernel) // stride + 1
            if made < 1:
                break
            inputs, rows[tensor] = ((source, Window(stride, -low, kernel - 1 - low)),), made
        stages.append(Stage(inputs, tensor, rows[tensor]))
    if choose.random() < 0.3 and stages:
        last = stages[-1].output
        stages.append(Stage(((last, Window(1, 0, 0)),), last + 1, rows[last], accumulates=True))
    escaping = {stage.output for stage in stages if choose.random() < 0.1}
    return stages, escaping | ({stages[-1].output} if stages else set())
