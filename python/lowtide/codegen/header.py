"""NAME.h: all that a firmware engineer needs to call the network, in C99 that C++ takes too."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Sequence

from lowtide.codegen.module import ARENA_ALIGNMENT
from lowtide.codegen.templates import render
from lowtide.dtypes import DTYPE_BYTES, DType
from lowtide.network import Network, Slot, Stream
from lowtide.targets import Target

_C_TYPE: dict[DType, str] = {
    "int8": "int8_t",
    "uint8": "uint8_t",
    "int16": "int16_t",
    "uint16": "uint16_t",
    "int32": "int32_t",
    "int64": "int64_t",
    "float32": "float",
    "bool": "uint8_t",
}


def header_text(network: Network, target: Target, external_symbols: Sequence[str] = ()) -> str:
    """The text of NAME.h.

    Args:
        network: names, places and quantisation of inputs and outputs.
        target: the core that NAME.o is for.
        external_symbols: functions that NAME.o takes from the firmware's compiler library, for the comment.
    """
    return render(
        "header.h.jinja",
        name=network.name,
        target=target,
        arena_bytes=network.arena_bytes,
        alignment=ARENA_ALIGNMENT,
        inputs=_slots(network, network.inputs, "INPUT"),
        outputs=_slots(network, network.outputs, "OUTPUT"),
        keep_input=network.keep_input,
        state_bytes=sum(state.tensor.nbytes for state in network.states),
        streams=[_stream(stream, index, network) for index, stream in enumerate(network.streams)],
        external_lines=_wrap(external_symbols),
    )


def c_float(value: float) -> str:
    """The shortest C constant for a scale: of type float where the value is one, double otherwise."""
    if not math.isfinite(value):
        raise ValueError(f"a scale of {value}")
    if _as_float(value) != value:
        return repr(value)
    digits = next(text for text in (f"{value:.{count}g}" for count in range(1, 18)) if _as_float(float(text)) == value)
    return f"{digits if re.search('[.e]', digits) else digits + '.0'}f"


def _as_float(value: float) -> float:
    """The nearest single-precision number; infinity where there is none."""
    try:
        return struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return math.inf


def _slots(network: Network, slots: Sequence[Slot], kind: str) -> list[dict[str, object]]:
    return [_slot(slot, f"{network.name}_{kind}{index}") for index, slot in enumerate(slots)]


def _slot(slot: Slot, prefix: str) -> dict[str, object]:
    tensor = slot.tensor
    return {
        "prefix": prefix,
        "title": _comment(tensor.name),
        "dtype": tensor.dtype,
        "type": _C_TYPE[tensor.dtype],
        "offset": slot.offset,
        "nbytes": tensor.nbytes,
        "elements": tensor.nbytes // DTYPE_BYTES[tensor.dtype],
        "rank": len(tensor.shape),
        "shape": tensor.shape,
        "scale": None if tensor.scale is None else c_float(tensor.scale),
        "zero_point": tensor.zero_point,
    }


def _stream(stream: Stream, index: int, network: Network) -> dict[str, object]:
    """An input that arrives row by row: a tensor without a place, and its rows."""
    described = _slot(stream, f"{network.name}_STREAM{index}")
    return {**described, "rows": stream.rows, "row_bytes": stream.row_bytes, "number": stream.number}


def _comment(text: str) -> str:
    """A tensor's name, which may hold anything, as the inside of a C comment."""
    return re.sub(r"[^A-Za-z0-9_.,:;/@ -]", "_", text).replace("/", "|")[:80]


def _wrap(words: Sequence[str], width: int = 100) -> list[str]:
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + len(word) + 2 <= width:
            lines[-1] += f", {word}"
        else:
            lines.append(word)
    return lines
