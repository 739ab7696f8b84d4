"""The schema of `report.json`: a folder may come from anybody, and what is wrong in it is refused here and not later.

Every function takes a value of the JSON and what it is called, and raises `ValueError` in words where it is not what it
must be.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import Field, fields
from typing import Any, TypeVar, cast

from lowtide import streaming
from lowtide.dtypes import DTYPE_BYTES
from lowtide.graph.program import DIRECTIONS, Loop, Run, Window
from lowtide.limits import MOST_ARENA
from lowtide.network import IoTensor, Slot, State, Stream
from lowtide.placement import LayerAccess, PlacedBuffer

MOST_STACK, MOST_DATA = 1 << 24, 1 << 20
"""Bytes of stack and of .data and .bss, for the same reason."""
MOST_RUNS = 1 << 20
"""Runs of the layers of a loop."""
_MOST_NUMBER = 1 << 62
_MOST_RANK, _WIDEST_ELEMENT, _MOST_INPUTS = 16, 8, 1 << 16
_Read = TypeVar("_Read")
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def whole(value: object, name: str, least: int = 0, most: int = _MOST_NUMBER) -> int:
    """A whole number within bounds, both included."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ValueError(f"{name} is {_shown(value)}, not a whole number from {least} to {most}")
    return value


def text(value: object, name: str) -> str:
    """A string."""
    if not isinstance(value, str):
        raise ValueError(f"{name} is {_shown(value)}, not a text")
    return value


def identifier(value: object, name: str) -> str:
    """A C identifier."""
    if not isinstance(value, str) or not _IDENTIFIER.fullmatch(value):
        raise ValueError(f"{name} {_shown(value)} is not a C identifier")
    return value


def truth(value: object, name: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} is {_shown(value)}, not true or false")
    return value


def real(value: object, name: str) -> float:
    """A finite number."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise ValueError(f"{name} is {_shown(value)}, not a finite number")
    return float(value)


def one_of(value: object, name: str, words: Iterable[str]) -> Any:
    """One of some words."""
    known = tuple(words)
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{name} {_shown(value)} is none of {', '.join(known)}")
    return value


def items(value: object, name: str) -> list[object]:
    """A list."""
    if not isinstance(value, list):
        raise ValueError(f"{name} is {_shown(value)}, not a list")
    return cast("list[object]", value)


def members(
    value: object, name: str, keys: Iterable[str] | None = None, missing: Iterable[str] = ()
) -> Mapping[str, Any]:
    """An object, with these keys and no others unless they are None; some of them may be missing."""
    if not isinstance(value, dict):
        raise ValueError(f"{name} is {_shown(value)}, not an object")
    found = cast("dict[str, Any]", value)
    wanted = set(found) if keys is None else set(keys)
    if lacking := sorted(wanted - set(found) - set(missing)):
        raise ValueError(f"{name} has no '{lacking[0]}'")
    if more := sorted(set(found) - wanted):
        raise ValueError(f"{name} has a '{more[0]}', which is unknown")
    return found


def optional(value: object, read: Callable[[object], _Read]) -> _Read | None:
    """What is read of a value that is not null."""
    return None if value is None else read(value)


def _shown(value: object) -> str:
    """A value of the JSON, cut short."""
    shown = repr(value) if not isinstance(value, int) or abs(value) < _MOST_NUMBER else "too large a number"
    return shown if len(shown) <= 60 else f"{shown[:60]}…"


def _names(kind: type[Any]) -> list[str]:
    found: tuple[Field[Any], ...] = fields(kind)
    return [field.name for field in found]


def states(value: object, arena_bytes: int) -> tuple[State, ...]:
    """What a network remembers, within the arena, with its first bytes."""
    found: list[State] = []
    for number, one in enumerate(items(value, "states")):
        row = dict(members(one, f"state {number}"))
        try:
            initial = bytes.fromhex(text(row.pop("initial", None), f"the first bytes of state {number}"))
        except ValueError:
            raise ValueError(f"the first bytes of state {number} are not hexadecimal") from None
        place = slot(row, f"state {number}", arena_bytes)
        if len(initial) != place.tensor.nbytes:
            raise ValueError(f"state {number} has {place.tensor.nbytes} bytes, its first contents {len(initial)}")
        found.append(State(place.tensor, place.offset, initial))
    return tuple(found)


def streams(value: object, arena_bytes: int) -> tuple[Stream, ...]:
    """The inputs that arrive row by row; the rows that there are at a time lie within the arena."""
    found: list[Stream] = []
    for index, one in enumerate(items(value, "streams")):
        row = dict(members(one, f"stream {index}"))
        number = whole(row.pop("number", None), f"the number of stream {index}", 0, _MOST_INPUTS)
        rows = whole(row.pop("rows", None), f"the rows of stream {index}", 1, MOST_ARENA)
        held = whole(row.pop("held", None), f"the held rows of stream {index}", 1, rows)
        offset = whole(row.get("offset"), f"the offset of stream {index}", 0, arena_bytes)
        tensor = slot({**row, "offset": 0}, f"stream {index}", MOST_ARENA).tensor
        if tensor.nbytes % rows or offset + tensor.nbytes // rows * held > arena_bytes:
            raise ValueError(f"the {held} rows of stream {index} do not lie in the arena's {arena_bytes} bytes")
        if found and number <= found[-1].number:
            raise ValueError("streams are not in the order of their numbers")
        found.append(Stream(tensor, offset, number, rows, held))
    return tuple(found)


def position_offset(value: object, arena_bytes: int, sources: int) -> int | None:
    """Where the words lie that say how far a run has got whose rows arrive from outside."""
    last = arena_bytes - streaming.WORD_BYTES * streaming.words(sources)
    found = optional(value, lambda offset: whole(offset, "position_offset", 0, last))
    if (found is None) == bool(sources):
        raise ValueError("position_offset is there if and only if there are streams")
    return found


def mark_offset(value: object, arena_bytes: int) -> int | None:
    """Where the word lies that says that states hold something."""
    return optional(value, lambda offset: whole(offset, "mark_offset", 0, arena_bytes - 4))


def slot(value: object, name: str, arena_bytes: int) -> Slot:
    """An input or an output, within the arena."""
    row = members(value, name, (*_names(IoTensor), "offset"))
    shape = tuple(whole(extent, f"an extent of {name}", 1) for extent in items(row["shape"], f"{name}'s shape"))
    if len(shape) > _MOST_RANK:
        raise ValueError(f"{name} has {len(shape)} dimensions, the most are {_MOST_RANK}")
    tensor = IoTensor(
        name=text(row["name"], f"{name}'s name"),
        shape=shape,
        dtype=one_of(row["dtype"], "dtype", DTYPE_BYTES),
        scale=optional(row["scale"], lambda scale: real(scale, f"{name}'s scale")),
        zero_point=optional(row["zero_point"], lambda zero: whole(zero, f"{name}'s zero point", -(1 << 31), 1 << 31)),
    )
    offset = whole(row["offset"], f"{name}'s offset")
    if offset + tensor.nbytes > arena_bytes:
        raise ValueError(f"{tensor.name} at offset {offset} ends past the arena's {arena_bytes} bytes")
    return Slot(tensor, offset)


def buffer(value: object, arena_bytes: int, steps: int) -> PlacedBuffer:
    """A buffer at its place, within the arena and the steps."""
    row = members(value, "a buffer", _names(PlacedBuffer))
    name = text(row["name"], "a buffer's name")
    numbers = {key: whole(row[key], f"{key} of the buffer '{name}'") for key in row if key != "name"}
    found = PlacedBuffer(name, **numbers)
    for key in ("pixels", "columns", "channels", "element"):
        whole(numbers[key], f"{key} of the buffer '{name}'", 1, MOST_ARENA)
    if found.offset + found.size > arena_bytes:
        raise ValueError(f"the buffer '{name}' ends past the arena's {arena_bytes} bytes")
    if not found.first <= found.last < steps:
        raise ValueError(f"the buffer '{name}' lives from step {found.first} to {found.last} of {steps}")
    whole(found.element, f"element of the buffer '{name}'", 1, _WIDEST_ELEMENT)
    whole(found.shift, f"shift of the buffer '{name}'", 0, MOST_ARENA)
    if found.size % found.pixels or (found.block and found.pixels % found.block):
        raise ValueError(f"the buffer '{name}' of {found.size} bytes is not made of {found.pixels} pixels")
    return found


def _window(value: object, name: str) -> Window | None:
    if value is None:
        return None
    row = items(value, name)
    if len(row) != len(_names(Window)):
        raise ValueError(f"{name} is {_shown(value)}, not [stride, first, last]")
    # rows and columns are of tensors in the arena; so far apart no two are
    stride, first, last = (whole(number, name, -MOST_ARENA, MOST_ARENA) for number in row)
    return Window(stride, first, last)


def layer(value: object, buffers: Mapping[str, PlacedBuffer]) -> LayerAccess:
    """What a layer reads and writes, which are buffers."""
    row = members(value, "a layer", _names(LayerAccess))
    name = text(row["name"], "a layer's name")
    inputs = tuple(one_of(item, f"an input of the layer '{name}'", buffers) for item in items(row["inputs"], "inputs"))
    output = buffers[one_of(row["output"], f"the output of the layer '{name}'", buffers)]
    windows: list[tuple[Window | None, Window | None]] = []
    for pair in items(row["windows"], "windows"):
        both = items(pair, f"a window of the layer '{name}'")
        if len(both) != 2:
            raise ValueError(f"a window of the layer '{name}' is {_shown(pair)}, not a pair")
        windows.append((_window(both[0], "a window"), _window(both[1], "a window")))
    found = LayerAccess(
        name=name,
        function=text(row["function"], "function"),
        direction=one_of(row["direction"], "direction", DIRECTIONS),
        inputs=inputs,
        output=output.name,
        stored_bytes=whole(row["stored_bytes"], "stored_bytes", 0, output.size),
        in_place_first=whole(row["in_place_first"], "in_place_first", 0, output.size),
        in_place_bytes=whole(row["in_place_bytes"], "in_place_bytes", 0, output.size),
        windows=tuple(windows),
        accumulates=truth(row["accumulates"], "accumulates"),
        macs=whole(row["macs"], "macs"),
        rewrites=truth(row["rewrites"], "rewrites"),
        workspaces=tuple(
            one_of(item, f"a workspace of the layer '{name}'", buffers)
            for item in items(row["workspaces"], "workspaces")
        ),
    )
    if found.in_place_first + found.in_place_bytes > output.size:
        raise ValueError(f"the layer '{name}' lies in place past the end of '{output.name}'")
    if not found.stored_bytes and not found.in_place_bytes:
        raise ValueError(f"the layer '{name}' stores nothing")
    return found


def loop(value: object, layers: tuple[LayerAccess, ...], buffers: Mapping[str, PlacedBuffer]) -> Loop:
    """A loop of some of the layers, and its runs."""
    row = members(value, "a loop", _names(Loop))
    first = whole(row["first"], "a loop's first layer", 0, len(layers) - 1)
    last = whole(row["last"], "a loop's last layer", first, len(layers) - 1)
    for one in layers[first : last + 1]:
        if len(one.windows) != len(one.inputs) or one.in_place_bytes:
            raise ValueError(f"the layer '{one.name}' can't be in a loop: its windows are not those of its inputs")
    runs = tuple(_run(run, first, last) for run in items(row["runs"], "a loop's runs"))
    columns = optional(row["columns"], lambda given: _columns(given, last + 1 - first))
    turns = 1 if columns is None else len(columns[0])
    if len(runs) * turns > MOST_RUNS:
        raise ValueError(f"a loop has {len(runs) * turns} runs, the most are {MOST_RUNS}")
    backwards, by_channels = (truth(row[key], f"a loop's {key}") for key in ("backwards", "by_channels"))
    found = Loop(first, last, runs, columns, backwards, by_channels)
    for run in runs:
        _check_extent(run, layers[run.call], found, buffers)
    return found


def _run(value: object, first: int, last: int) -> Run:
    row = items(value, "a run")
    if len(row) != len(Run._fields):
        raise ValueError(f"a run is {_shown(value)}, not [layer, iteration, begin, end]")
    call = whole(row[0], "a run's layer", first, last)
    iteration = whole(row[1], "a run's iteration", -MOST_ARENA, MOST_ARENA)
    begin = whole(row[2], "a run's first row", 0, MOST_ARENA)
    return Run(call, iteration, begin, whole(row[3], "a run's end", begin + 1, MOST_ARENA))


def _columns(value: object, calls: int) -> tuple[tuple[tuple[int, int], ...], ...]:
    of_calls = [items(of_one, "a layer's columns") for of_one in items(value, "a loop's columns")]
    if len(of_calls) != calls or len({len(of_one) for of_one in of_calls}) != 1:
        raise ValueError("a loop's columns are not those of its layers")
    return tuple(tuple(_span(pair) for pair in of_one) for of_one in of_calls)


def _span(value: object) -> tuple[int, int]:
    pair = items(value, "columns")
    if len(pair) != 2:
        raise ValueError(f"columns are {_shown(value)}, not [begin, end]")
    begin, end = (whole(number, "a column", 0, MOST_ARENA) for number in pair)
    return begin, end


def _check_extent(run: Run, layer: LayerAccess, found: Loop, buffers: Mapping[str, PlacedBuffer]) -> None:
    """What a run makes is of a tensor that a microcontroller could have."""
    made = buffers[layer.output]
    width = made.columns
    if found.columns is not None:
        width = max((end - begin for begin, end in found.columns[run.call - found.first]), default=0)
    if found.by_channels and not layer.accumulates:
        whole(run.end, "the end of a run's channels", 0, made.channels)
    elif not layer.accumulates and run.end * max(width, 1) * layer.stored_bytes > MOST_ARENA:
        raise ValueError(f"a run of the layer '{layer.name}' makes rows to {run.end}, more than there can be")
