"""Wraps a network's body in the modules that iree-compile takes: for the object file and for the runtime."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from lowtide import streaming
from lowtide.codegen.templates import render
from lowtide.dtypes import DType
from lowtide.network import RESET_MARK, Network, Slot, Stream
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
        **_position(network),
        streams=_streams(network),
        mark_offset=network.mark_offset,
        mark=RESET_MARK,
    )


def _streams(network: Network) -> list[dict[str, int]]:
    """What the interface needs to know of each input that arrives row by row."""
    words = network.position_offset or 0
    return [
        {
            "offset": stream.offset,
            "row_bytes": stream.row_bytes,
            "held": stream.held,
            "rows": stream.rows,
            "arrived": words + streaming.WORD_BYTES * streaming.arrived(number),
            "wanted": words + streaming.WORD_BYTES * streaming.wanted(number),
        }
        for number, stream in enumerate(network.streams)
    ]


def _position(network: Network) -> dict[str, object]:
    """Where the words lie that say how far a run has got, and what the first of them says at its ends."""
    return {
        "position_offset": network.position_offset,
        "position_mark": streaming.MARK,
        "phases_end": network.sites + 1,
        "word_count": streaming.words(len(network.streams)),
    }


def _input(slot: Slot, index: int, network: Network) -> dict[str, object]:
    """An input of `main`: whole in the arena, or the rows of it that there are at a time."""
    described = {**_slot(slot, f"input{index}"), "binding": index, "rows": None}
    if not isinstance(slot, Stream):
        return described
    number = network.streams.index(slot)
    words = {"arrived": streaming.arrived(number), "wanted": streaming.wanted(number)}
    return {**described, "rows": slot.rows, "row_bytes": slot.row_bytes, "held": slot.held, **words}


def _initial(data: bytes) -> int | str:
    """A state's first contents: the one byte that fills it, or all of them in hexadecimal."""
    return data[0] if len(set(data)) == 1 else data.hex().upper()


def runtime_module(network: Network, body: str) -> str:
    """The module of the .vmfb: `main` takes the inputs as tensors and returns the outputs, states behind both."""
    inputs = [_input(slot, index, network) for index, slot in enumerate((*network.given, *network.states))]
    outputs = [_slot(slot, f"output{index}") for index, slot in enumerate((*network.outputs, *network.states))]
    return render("runtime.mlir.jinja", **_common(network, body), **_position(network), inputs=inputs, outputs=outputs)


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
