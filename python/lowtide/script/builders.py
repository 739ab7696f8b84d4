"""Transform scripts from Python: a function for each operation of lowtide's transform dialect.

    with Script() as script:
        chain = layers(script.module, numbers=[1, 2, 3])
        fuse_spatial(chain, rows=1)
        allocate(script.module, budget=5_146)
    print(script.text())

Each function makes one operation at MLIR's current insertion point, so that operations of MLIR's own transform
dialect (`transform.structured.match`, …) can stand between them. `dialects/lowtide_dialect/*.md` says what each does;
what an operation refuses, it refuses when the script is applied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Literal

from lowtide.errors import InputError
from lowtide.graph.program import Direction
from lowtide.ir import (
    ArrayAttr,
    Attribute,
    BoolAttr,
    Context,
    DictAttr,
    FunctionType,
    InsertionPoint,
    Location,
    Module,
    Operation,
    StringAttr,
    TypeAttr,
    UnitAttr,
    Value,
    i64,
    i64_array,
    transform,
    verify,
)
from lowtide.transform.interpreter import MAIN, make_transform_context

STAGE = "script"
Handle = Value
"""A value of type `!transform.any_op`: what it stands for is known when the script is applied."""
Halo = Literal["cache", "recompute"]
"""Whether rows that two iterations need wait in a line buffer, or are recomputed."""


class Script:
    """A module with the sequence `@__transform_main`; operations made inside the `with` go to its end.

    Attributes:
        module: handle to the module that the script is applied to.

    Args:
        context: one with lowtide's transform dialect; by default a new one.
    """

    module: Handle

    def __init__(self, context: Context | None = None) -> None:
        self._context = context or make_transform_context()
        self._entered = ExitStack()
        with self._context, Location.unknown():
            self._script = Module.create()
            self._script.operation.attributes["transform.with_named_sequence"] = UnitAttr.get()
            handle = transform.AnyOpType.get()
            with InsertionPoint(self._script.body):
                sequence = Operation.create(
                    "transform.named_sequence",
                    attributes={
                        "sym_name": StringAttr.get(MAIN),
                        "function_type": TypeAttr.get(FunctionType.get([handle], [])),
                        "arg_attrs": ArrayAttr.get([DictAttr.get({"transform.readonly": UnitAttr.get()})]),
                    },
                    regions=1,
                )
            self._block = sequence.regions[0].blocks.append(handle)
            self.module = self._block.arguments[0]
            with InsertionPoint(self._block):
                self._end = Operation.create("transform.yield")

    def __enter__(self) -> Script:
        self._entered.enter_context(self._context)
        self._entered.enter_context(Location.unknown(self._context))
        self._entered.enter_context(InsertionPoint(self._end))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._entered.close()

    def text(self) -> str:
        """The script as `lowtide compile --plan` and `lowtide-opt --transform-script` read it.

        Raises:
            InputError: MLIR's verifier refuses it.
        """
        verify(self._script, stage=STAGE)
        return str(self._script)


def concat(target: Handle, *, copied: Sequence[int]) -> None:
    """Say which parts of concats are copied into their place; it comes before what cuts the network into layers.

    Args:
        target: the module.
        copied: numbers of the parts, from 1 in program order.
    """
    _step("concat", target, {"copied": i64_array(copied)})


def stream(target: Handle, *, inputs: Sequence[int]) -> None:
    """Say which inputs arrive row by row; it comes before what cuts the network into layers.

    Args:
        target: the module.
        inputs: their numbers, from 0.
    """
    _step("stream", target, {"inputs": i64_array(inputs)})


def schedule(target: Handle, *, order: Sequence[int]) -> None:
    """Put the layers into another order.

    Args:
        target: the module.
        order: each layer's number so far, from 1, in the new order.
    """
    _step("schedule", target, {"order": i64_array(order)})


def layers(
    target: Handle,
    *,
    numbers: Sequence[int] | None = None,
    names: Sequence[str] | None = None,
    kinds: Sequence[str] | None = None,
) -> Handle:
    """A handle to layers of the network: to all of them where nothing says which.

    Args:
        target: the module.
        numbers: in the network's order, from 1.
        names: the model's of their outputs.
        kinds: conv, depthwise, dense, pool, gather, concat, reduce or map.

    Raises:
        InputError: more than one of the three says which.
    """
    lists = {"names": names, "kinds": kinds}
    given: dict[str, Attribute] = {name: _words(words) for name, words in lists.items() if words is not None}
    if numbers is not None:
        given["numbers"] = i64_array(numbers)
    if len(given) > 1:
        message = f"{' and '.join(sorted(given))} say which layers"
        raise InputError(STAGE, message, where="'lowtide.layers'", remedy="give one of numbers, names, kinds")
    return _step_with_result("layers", target, given)


def kernel(chosen: Handle, *, name: str) -> None:
    """Pick the kernel that computes some layers.

    Args:
        chosen: the layers.
        name: a name of `lowtide.kernels.library.KERNELS`.
    """
    _step("kernel", chosen, {"kernel": StringAttr.get(name)})


def fuse_spatial(
    chain: Handle,
    *,
    rows: int = 1,
    columns: int = 0,
    direction: Direction = "forwards",
    halo: Halo = "cache",
    recompute: Sequence[int] = (),
) -> Handle:
    """Put layers into one loop by rows.

    Args:
        chain: the layers.
        rows: rows an iteration, of the layer that has the most to make.
        columns: columns of those rows at a time, 0 for whole rows; else `rows` is 1.
        direction: from the first row to the last, or from the last to the first.
        halo: `cache` computes no element twice; with `recompute` all layers but the last compute rows again.
        recompute: with `cache`, positions in the chain, from 1, of layers whose rows are recomputed all the same.

    Returns:
        a handle to the loop.
    """
    attributes: dict[str, Attribute] = {
        "recompute": i64_array(recompute),
        "columns": i64(columns),
        "direction": StringAttr.get(direction),
        "halo": StringAttr.get(halo),
        "rows": i64(rows),
    }
    return _step_with_result("fuse_spatial", chain, attributes)


def fuse_channels(chain: Handle, *, slice: int = 1) -> Handle:
    """Put layers into one loop by slices of channels.

    Args:
        chain: the layers.
        slice: channels an iteration.

    Returns:
        a handle to the loop.
    """
    return _step_with_result("fuse_channels", chain, {"slice": i64(slice)})


def allocate(target: Handle, *, strategy: str = "auto", overlap: bool = True, budget: int = 0) -> None:
    """Say how the buffers are placed in the arena.

    Args:
        target: the module.
        strategy: a name of `lowtide.alloc.STRATEGIES`.
        overlap: a layer may write over the part of a dying input that it no longer reads.
        budget: bytes that the arena must fit in; 0 for no such bound.
    """
    attributes: dict[str, Attribute] = {
        "budget": i64(budget),
        "overlap": BoolAttr.get(overlap),
        "strategy": StringAttr.get(strategy),
    }
    _step("allocate", target, attributes)


def _step(name: str, operand: Handle, attributes: Mapping[str, Attribute]) -> None:
    Operation.create(f"lowtide.{name}", operands=[operand], attributes=dict(attributes))


def _step_with_result(name: str, operand: Handle, attributes: Mapping[str, Attribute]) -> Handle:
    results = [transform.AnyOpType.get()]
    op = Operation.create(f"lowtide.{name}", results=results, operands=[operand], attributes=dict(attributes))
    return op.results[0]


def _words(words: Sequence[str]) -> ArrayAttr:
    return ArrayAttr.get([StringAttr.get(word) for word in words])
