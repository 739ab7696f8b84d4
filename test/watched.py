"""A layer's kernel, run on this machine with every load and store noted: which bytes it touches, and whose they are."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
from jit import Array
from shifted import Shifted

from lowtide.ir import Module

_LOAD, _STORE, _OWN = range(3)
"""What a note is of; the last is of memory that is no tensor's: on the stack, or a constant."""
_ROOM = 1 << 18
"""Notes at the most."""
_NOTE = """
llvm.func @note(%address: i64, %kind: i64, %size: i64) attributes {{sym_visibility = "private"}} {{
  %base = llvm.mlir.constant({base} : i64) : i64
  %count_at = llvm.inttoptr %base : i64 to !llvm.ptr
  %count = llvm.load %count_at : !llvm.ptr -> i64
  %one = llvm.mlir.constant(1 : i64) : i64
  %more = llvm.add %count, %one : i64
  llvm.store %more, %count_at : i64, !llvm.ptr
  %most = llvm.mlir.constant({most} : i64) : i64
  %here = llvm.intr.umin(%more, %most) : (i64, i64) -> i64
  %row = llvm.getelementptr %count_at[%here, 0] : (!llvm.ptr, i64) -> !llvm.ptr, !llvm.array<3 x i64>
  llvm.store %address, %row : i64, !llvm.ptr
  %second = llvm.getelementptr %count_at[%here, 1] : (!llvm.ptr, i64) -> !llvm.ptr, !llvm.array<3 x i64>
  llvm.store %kind, %second : i64, !llvm.ptr
  %third = llvm.getelementptr %count_at[%here, 2] : (!llvm.ptr, i64) -> !llvm.ptr, !llvm.array<3 x i64>
  llvm.store %size, %third : i64, !llvm.ptr
  llvm.return
}}
"""
_LOADED = re.compile(r"%\S+ = llvm\.load (?:volatile )?(%[\w#]+).* : !llvm\.ptr -> (\S+)$")
_STORED = re.compile(r"llvm\.store (?:volatile )?%[\w#]+, (%[\w#]+).* : (\S+), !llvm\.ptr$")
_STACK = re.compile(r"(%\S+) = llvm\.alloca (?:inalloca )?(%\S+) x (\S+).*$")
_CONSTANT = re.compile(r"(%\S+) = llvm\.mlir\.addressof (@\S+) : !llvm\.ptr$")
_GLOBAL = re.compile(r"llvm\.mlir\.global [^(]*(@[\w.$-]+)\(.* : (!llvm\.array<.*>|\w+)$")


class Watched(Shifted):
    """A `Shifted` whose `run` raises an AssertionError where code loads what is no input's, or stores elsewhere."""

    def _finished(self, module: Module) -> Module:
        self._notes = np.zeros((_ROOM + 1, 3), np.int64)
        note = _NOTE.format(base=self._notes.ctypes.data, most=_ROOM)
        lines = str(module).splitlines()
        sizes = {name: _bytes(kind) for name, kind in (found.groups() for found in map(_GLOBAL.search, lines) if found)}
        end = max(number for number, line in enumerate(lines) if line == "}")
        text = "\n".join((*_noted(lines[:end], sizes), note, *lines[end:]))
        return Module.parse(text, module.context)

    def run(self, inputs: list[Array], like: Array, number: int, shift: int) -> Array:
        """Run as `Shifted` does, and hold the bytes that were touched against those of the tensors."""
        self._notes[0] = 0
        found = super().run(inputs, like, number, shift)
        count = int(self._notes[0, 0])
        assert 0 < count <= _ROOM, f"{count} accesses"
        address, kind, size = self._notes[1 : count + 1].T
        own = {(int(a), int(s)) for a, s in zip(address[kind == _OWN], size[kind == _OWN], strict=True)}
        places = [self.base + offset for offset in self.offsets]
        read = [(at, array.nbytes) for at, array in zip(places, inputs, strict=False)]
        for word, one, tensors in (("loads", _LOAD, read), ("stores", _STORE, [(places[-1], like.nbytes)])):
            first, extent = address[kind == one], size[kind == one]
            inside = np.zeros(len(first), np.bool_)
            for begin, room in (*tensors, *own):
                inside |= (first >= begin) & (first + extent <= begin + room)
            stray = [(int(a) - self.base, int(s)) for a, s in zip(first[~inside], extent[~inside], strict=True)]
            assert not stray, f"{len(stray)} {word} outside tensors at {self.offsets}, of bytes and size {stray[:5]}"
        return found


def _noted(lines: list[str], sizes: dict[str, int]) -> Iterator[str]:
    """The lines with notes of what they touch."""
    shipped = True
    for number, line in enumerate(lines):
        if "llvm.func" in line:
            # the wrapper for C reads its descriptor
            shipped = "_mlir_ciface" not in line
        code = line.split(" loc(")[0]
        if not shipped:
            yield line
        elif found := _LOADED.search(code):
            yield from _note(number, found[1], _LOAD, _bytes(found[2]))
            yield line
        elif found := _STORED.search(code):
            yield from _note(number, found[1], _STORE, _bytes(found[2]))
            yield line
        elif found := _STACK.search(code):
            yield line
            yield from _note(number, found[1], _OWN, _bytes(found[3]), found[2])
        elif found := _CONSTANT.search(code):
            yield line
            yield from _note(number, found[1], _OWN, sizes[found[2]])
        else:
            yield line


def _note(number: int, pointer: str, kind: int, size: int, times: str = "") -> Iterator[str]:
    at = f"%note{number}"
    yield f"{at} = llvm.ptrtoint {pointer} : !llvm.ptr to i64"
    yield f"{at}k = llvm.mlir.constant({kind} : i64) : i64"
    yield f"{at}s = llvm.mlir.constant({size} : i64) : i64"
    if times:
        yield f"{at}t = llvm.mul {at}s, {times} : i64"
    yield f"llvm.call @note({at}, {at}k, {at}{'t' if times else 's'}) : (i64, i64, i64) -> ()"


def _bytes(kind: str) -> int:
    """Size of a value of that type, or of a variable that may be vectors or arrays."""
    total = 1
    for extent in re.findall(r"(\d+)\s*x", kind):
        total *= int(extent)
    element = re.search(r"(i|f|bf)(\d+)>*$", kind)
    if element is None:
        assert "ptr" in kind, kind
        return 8 * total
    return total * -(-int(element[2]) // 8)
