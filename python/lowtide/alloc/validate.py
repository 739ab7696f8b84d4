"""The independent validator: every solution against the definition of its problem, pair by pair.

It shares no code with the solvers, on purpose: not even the list of conflicts.
"""

from __future__ import annotations

from typing import NoReturn

import numpy as np

from lowtide.alloc.problem import Buffer, Forbidden, Problem, Solution
from lowtide.errors import InternalError


def validate(problem: Problem, solution: Solution) -> None:
    """Raise `InternalError` naming the buffer or both buffers unless the solution is right, in O(n²)."""
    if len(solution.offsets) != len(problem.buffers):
        _refuse(f"{len(solution.offsets)} offsets for {len(problem.buffers)} buffers")
    for buffer, offset in zip(problem.buffers, solution.offsets, strict=True):
        _check_offset(buffer, offset)
    chosen = _chosen(problem, solution)
    for forbidden in chosen:
        _check_forbidden(problem, solution, forbidden)
    named = {frozenset((problem.index(item.a), problem.index(item.b))) for item in chosen}
    _check_disjoint(problem, solution, named)
    _check_arena(problem, solution)


def _check_offset(buffer: Buffer, offset: int) -> None:
    if offset < 0:
        _refuse(f"buffer '{buffer.name}' has the negative offset {offset}")
    if offset % buffer.alignment:
        _refuse(f"buffer '{buffer.name}' at offset {offset} is not aligned to {buffer.alignment} bytes")
    if buffer.fixed_offset is not None and offset != buffer.fixed_offset:
        _refuse(f"buffer '{buffer.name}' is at offset {offset}, its fixed offset is {buffer.fixed_offset}")


def _chosen(problem: Problem, solution: Solution) -> list[Forbidden]:
    if len(solution.choices) != len(problem.choices):
        _refuse(f"{len(solution.choices)} alternatives picked for {len(problem.choices)} choices")
    chosen: list[Forbidden] = []
    for choice, picked in zip(problem.choices, solution.choices, strict=True):
        if not 0 <= picked < len(choice.alternatives):
            _refuse(f"choice '{choice.name}' has no alternative {picked}")
        chosen.extend(choice.alternatives[picked])
    return chosen


def _check_forbidden(problem: Problem, solution: Solution, forbidden: Forbidden) -> None:
    a, b = problem.index(forbidden.a), problem.index(forbidden.b)
    difference = solution.offsets[b] - solution.offsets[a]
    if forbidden.low < difference < forbidden.high:
        _refuse(
            f"buffer '{problem.buffers[b].name}' is {difference} bytes above buffer '{problem.buffers[a].name}', "
            f"forbidden between {forbidden.low} and {forbidden.high}"
        )


def _check_disjoint(problem: Problem, solution: Solution, named: set[frozenset[int]]) -> None:
    """Two buffers live at one step share no byte, unless a chosen alternative names the pair."""
    first = np.array([buffer.first for buffer in problem.buffers], dtype=np.int64)
    last = np.array([buffer.last for buffer in problem.buffers], dtype=np.int64)
    start = np.array(solution.offsets, dtype=np.int64)
    end = start + np.array([buffer.size for buffer in problem.buffers], dtype=np.int64)
    for a in range(len(problem.buffers)):
        live_together = (first[:a] <= last[a]) & (first[a] <= last[:a])
        share_bytes = (start[:a] < end[a]) & (start[a] < end[:a])
        for b in np.flatnonzero(live_together & share_bytes).tolist():
            if frozenset((a, b)) not in named:
                places = (_place(problem, solution, index) for index in (b, a))
                _refuse(f"{' and '.join(places)} share bytes while both live")


def _check_arena(problem: Problem, solution: Solution) -> None:
    ends = [offset + buffer.size for buffer, offset in zip(problem.buffers, solution.offsets, strict=True)]
    if solution.arena_bytes != max(ends, default=0):
        _refuse(f"an arena of {solution.arena_bytes} bytes is claimed, the buffers end at {max(ends, default=0)}")
    if solution.bound_bytes > solution.arena_bytes:
        _refuse(f"the bound of {solution.bound_bytes} bytes is above the arena of {solution.arena_bytes} bytes")


def _place(problem: Problem, solution: Solution, index: int) -> str:
    buffer, offset = problem.buffers[index], solution.offsets[index]
    last = offset + buffer.size - 1
    return f"buffer '{buffer.name}' (bytes {offset} to {last}, steps {buffer.first} to {buffer.last})"


def _refuse(message: str) -> NoReturn:
    raise InternalError("allocate", f"the validator refuses the solution: {message}")
