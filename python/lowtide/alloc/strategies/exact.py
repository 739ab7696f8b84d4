"""CP-SAT, hinted by local search: the least arena, or the best one in a fixed effort with its proven bound.

One worker, a fixed seed and a limit in the solver's deterministic time: the same problem always has the same
answer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lowtide.alloc.liveness import live_pairs
from lowtide.alloc.problem import Forbidden, Problem, Solution
from lowtide.alloc.strategies.local_search import local_search

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

NAME = "exact"
EFFORT = 10.0
"""Deterministic time of the solver; a unit is from one to some ten seconds."""
SEED = 1

Pair = tuple[int, int]


def exact(problem: Problem) -> Solution:
    """The optimum with its proof within `EFFORT`, else the best found and the best bound proven."""
    return improved(problem, local_search(problem))


def improved(problem: Problem, start: Solution, effort: float = EFFORT, *, presolve: bool = True) -> Solution:
    """The solver's answer, started from and never worse than `start`.

    Args:
        problem, start: what is to be solved, and a solution of it.
        effort: deterministic time at most.
        presolve: simplify the model and relax it linearly.
    """
    if start.arena_bytes <= max(start.bound_bytes, problem.capacity or 0):
        return replace(start, strategy=NAME)
    # half a second, which most problems need not take
    from ortools.sat.python import cp_model

    program = _Program.of(cp_model.CpModel(), problem, start)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = SEED
    # It would leave Ctrl-C ending the process on the spot, files and all.
    solver.parameters.catch_sigint_signal = False
    solver.parameters.max_deterministic_time = effort
    if not presolve:
        solver.parameters.cp_model_presolve = False
        solver.parameters.linearization_level = 0
    status = solver.solve(program.model)
    bound = max(start.bound_bytes, min(start.arena_bytes, int(solver.best_objective_bound)))
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return replace(start, bound_bytes=bound, strategy=NAME)
    offsets = tuple(
        buffer.alignment * solver.value(slot) for buffer, slot in zip(problem.buffers, program.slots, strict=True)
    )
    picked = tuple(
        next(index for index, literal in enumerate(literals) if solver.value(literal)) for literals in program.picks
    )
    arena = max(offset + buffer.size for buffer, offset in zip(problem.buffers, offsets, strict=True))
    return Solution(offsets, picked, arena, bound, NAME)


@dataclass(frozen=True)
class _Program:
    """`slots` are offsets in units of the buffer's alignment, `picks` one literal for each alternative."""

    model: cp_model.CpModel
    slots: tuple[cp_model.IntVar, ...]
    picks: tuple[tuple[cp_model.IntVar, ...], ...]

    @staticmethod
    def of(model: cp_model.CpModel, problem: Problem, start: Solution) -> _Program:
        """The problem in an empty model, with arenas from the bound to that of `start`."""
        arena = model.new_int_var(start.bound_bytes, start.arena_bytes, "arena")
        program = _Program(model, _slots(problem, model, start), _picks(problem, model, start))
        for buffer, slot in zip(problem.buffers, program.slots, strict=True):
            model.add(slot * buffer.alignment + buffer.size <= arena)
        program.forbid_chosen(problem)
        program.keep_defaults_of_others(problem, program.keep_defaults_of_named(problem))
        model.minimize(arena)
        return program

    def forbid_chosen(self, problem: Problem) -> None:
        """The intervals of every alternative, where it is picked."""
        for alternative, literal in self._alternatives(problem):
            for item in alternative:
                self._forbid(problem, item, [literal])

    def keep_defaults_of_named(self, problem: Problem) -> set[Pair]:
        """Pairs that some alternative names are disjoint, as by default, unless such an alternative is picked."""
        naming: dict[Pair, list[cp_model.IntVar]] = defaultdict(list)
        for alternative, literal in self._alternatives(problem):
            for pair in {_pair(problem, item) for item in alternative}:
                naming[pair].append(literal)
        for (a, b), literals in naming.items():
            one, two = problem.buffers[a], problem.buffers[b]
            if one.first <= two.last and two.first <= one.last:
                self._forbid(problem, _disjoint(problem, a, b), [literal.negated() for literal in literals])
        return set(naming)

    def _alternatives(self, problem: Problem) -> Iterator[tuple[tuple[Forbidden, ...], cp_model.IntVar]]:
        """Every alternative of every choice, and the literal that is true where it is picked."""
        for choice, literals in zip(problem.choices, self.picks, strict=True):
            yield from zip(choice.alternatives, literals, strict=True)

    def keep_defaults_of_others(self, problem: Problem, named: set[Pair]) -> None:
        """Pairs that no alternative names are disjoint where they are live together."""
        live = live_pairs(problem.buffers)
        for a in range(len(problem.buffers)):
            for b in live.beside(a).tolist():
                if a < b and (a, b) not in named:
                    self._forbid(problem, _disjoint(problem, a, b), [])

    def _forbid(self, problem: Problem, item: Forbidden, literals: Sequence[cp_model.Literal]) -> None:
        """Forbid an interval where all literals hold: the difference is then not inside it."""
        if item.high - item.low <= 1:
            return
        a, b = problem.index(item.a), problem.index(item.b)
        one, two = problem.buffers[a], problem.buffers[b]
        difference = self.slots[b] * two.alignment - self.slots[a] * one.alignment
        above = self.model.new_bool_var("")
        self.model.add(difference >= item.high).only_enforce_if([*literals, above])
        self.model.add(difference <= item.low).only_enforce_if([*literals, above.negated()])


def _slots(problem: Problem, model: cp_model.CpModel, start: Solution) -> tuple[cp_model.IntVar, ...]:
    slots: list[cp_model.IntVar] = []
    for buffer, offset in zip(problem.buffers, start.offsets, strict=True):
        fixed = buffer.fixed_offset
        low = 0 if fixed is None else fixed // buffer.alignment
        high = (start.arena_bytes - buffer.size) // buffer.alignment if fixed is None else low
        slot = model.new_int_var(low, high, "")
        model.add_hint(slot, offset // buffer.alignment)
        slots.append(slot)
    return tuple(slots)


def _picks(problem: Problem, model: cp_model.CpModel, start: Solution) -> tuple[tuple[cp_model.IntVar, ...], ...]:
    picks: list[tuple[cp_model.IntVar, ...]] = []
    for choice, picked in zip(problem.choices, start.choices, strict=True):
        literals = tuple(model.new_bool_var("") for _ in choice.alternatives)
        model.add_exactly_one(literals)
        for index, literal in enumerate(literals):
            model.add_hint(literal, index == picked)
        picks.append(literals)
    return tuple(picks)


def _pair(problem: Problem, item: Forbidden) -> Pair:
    a, b = problem.index(item.a), problem.index(item.b)
    return min(a, b), max(a, b)


def _disjoint(problem: Problem, a: int, b: int) -> Forbidden:
    return Forbidden(a, b, -problem.buffers[b].size, problem.buffers[a].size)
