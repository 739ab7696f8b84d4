"""Wraps a network's body in the modules that iree-compile takes: for the object file and for the runtime."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from lowtide.codegen.templates import render
from lowtide.dtypes import DType
from lowtide.network import RESET_MARK, Network, Slot
from lowtide.targets import Target

ARENA_ALIGNMENT = 16

# IREE's integers have no sign: unsigned tensors travel as signed ones of the same width.
_ELEMENT: dict[DType, str] = {
    "int8": "i8",
    "uint8": "i8",
    "int16": "i16",
    "uint16": "i16",
    "int32": "i32",
    "int64": "i64",
    "float32": "f32",
    "bool": "i1",
}


def object_module(network: Network, target: Target, body: str) -> str:
    """The module whose object file has `int NAME_run(void *arena)`, and an executable library whose dispatch calls it.

    Args:
        network: whose `body` is not read.
        target: its pointer size decides the module's index type.
        body: as `prepare_body` gives it.
    """
    states = [
        {"offset": state.offset, "nbytes": len(state.initial), "initial": _initial(state.initial)}
        for state in network.states
    ]
    return render(
        "object.mlir.jinja",
        **_common(network, body),
        index=f"i{8 * target.pointer_bytes}",
        states=states,
        mark_offset=network.mark_offset,
        mark=RESET_MARK,
    )


def _initial(data: bytes) -> int | str:
    """A state's first contents: the one byte that fills it, or all of them in hexadecimal."""
    return data[0] if len(set(data)) == 1 else data.hex().upper()


def runtime_module(network: Network, body: str) -> str:
    """The module of the .vmfb: `main` takes the inputs as tensors and returns the outputs, states behind both."""
    inputs = [_slot(slot, f"input{index}") for index, slot in enumerate((*network.inputs, *network.states))]
    outputs = [_slot(slot, f"output{index}") for index, slot in enumerate((*network.outputs, *network.states))]
    return render("runtime.mlir.jinja", **_common(network, body), inputs=inputs, outputs=outputs)


def _common(network: Network, body: str) -> dict[str, object]:
    return {
        "name": network.name,
        "body": body,
        "arena_bytes": network.arena_bytes,
        "alignment": ARENA_ALIGNMENT,
        "builtins": _builtins(),
    }


@cache
def _builtins() -> str:
    return Path(__file__).with_name("builtins.mlir").read_text(encoding="utf-8")


def _slot(slot: Slot, name: str) -> dict[str, object]:
    dims = "".join(f"{extent}x" for extent in slot.tensor.shape)
    return {
        "name": name,
        "offset": slot.offset,
        "nbytes": slot.tensor.nbytes,
        "type": f"tensor<{dims}{_ELEMENT[slot.tensor.dtype]}>",
    }
