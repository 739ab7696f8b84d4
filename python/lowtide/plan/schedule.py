"""The order of layers with the least peak, overlap counted.

A state is the set of layers that have run; what is live, and so what the next layer takes, follows from it alone. The
search goes through states by rising peak, so that the first complete one is the best. It never leaves a layer waiting
that can run within the peak and leaves no more behind than before: nothing later gets dearer by it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from lowtide.graph.bound import shared_bytes
from lowtide.graph.graph import Graph, Layer

STATES = 50_000
"""States that the exact search expands at most: some seconds. Beyond, a beam looks for something better."""
BEAM = 64
"""States that the beam keeps of each size."""


@dataclass(frozen=True)
class Schedule:
    """An order of execution.

    Attributes:
        order: the layers' steps in the graph, in the new order; the graph's own order where none is better.
        peak_bytes: the largest of the steps' bounds (`lowtide.graph.bound.step_bytes`) in this order.
        exact: no order has a smaller peak.
    """

    order: tuple[int, ...]
    peak_bytes: int
    exact: bool


def schedule(graph: Graph, *, keep_input: bool = False, states: int = STATES) -> Schedule:
    """The best order found; always the same for the same graph.

    Args:
        graph: in the model's order, with the overlaps that its kernels allow.
        keep_input: inputs stay to the end.
        states: how many the exact search may expand.
    """
    net = _Net(graph, keep_input)
    same = tuple(range(len(graph.layers)))
    peak = net.peak_of(same)
    if peak == net.least:
        return _schedule(same, peak, exact=True)
    found, exact = _exact(net, peak, states)
    if not exact:
        found = _beam(net, peak)
        exact = found is not None and net.peak_of(found) == net.least
    if found is None:
        return _schedule(same, peak, exact=exact)
    return _schedule(found, net.peak_of(found), exact=exact)


def _schedule(order: tuple[int, ...], peak: int, *, exact: bool) -> Schedule:
    return Schedule(tuple(position + 1 for position in order), peak, exact)


@dataclass(frozen=True)
class _State:
    """Layers done and layers that can run next, as bits; the bytes live in between."""

    done: int
    ready: int
    live: int


class _Net:
    """The graph as bits and sums: layers are numbered from 0."""

    def __init__(self, graph: Graph, keep_input: bool) -> None:
        self.count = len(graph.layers)
        self.all = (1 << self.count) - 1
        self._layers = graph.layers
        self._sizes = [tensor.nbytes for tensor in graph.tensors]
        states = (before for before, _ in graph.states)
        self._stays = {*graph.outputs, *states, *(graph.inputs if keep_input else ())}
        self._inputs = graph.inputs
        self._users = [0] * len(graph.tensors)
        self._needs = _needs(graph)
        self._begins = [0] * self.count
        begun = set(graph.inputs)
        for number, layer in enumerate(graph.layers):
            for index in (*layer.inputs, layer.output):
                self._users[index] |= 1 << number
            if layer.output not in begun:
                self._begins[number] = self._sizes[layer.output]
                begun.add(layer.output)
        self._followers = [[m for m in range(self.count) if self._needs[m] >> n & 1] for n in range(self.count)]
        self._shared = [self._shares(layer) for layer in graph.layers]

    def _shares(self, layer: Layer) -> dict[int, tuple[int, int]]:
        output = self._sizes[layer.output]
        return {o.tensor: shared_bytes(self._sizes[o.tensor], output, o) for o in layer.overlaps}

    @cached_property
    def start(self) -> _State:
        """Nothing has run; inputs that nothing uses are gone."""
        ready = sum(1 << number for number in range(self.count) if not self._needs[number])
        live = sum(self._sizes[index] for index in self._inputs if self._users[index] or index in self._stays)
        return _State(0, ready, live)

    @cached_property
    def least(self) -> int:
        """No order has a smaller peak: each layer with nothing else beside it, all inputs, all outputs."""
        alone = [self._alone(number) for number in range(self.count)]
        arrivals = sum(self._sizes[index] for index in self._inputs)
        return max(*alone, arrivals, sum(self._sizes[index] for index in self._stays))

    def _alone(self, number: int) -> int:
        layer = self._layers[number]
        held = {*layer.inputs, layer.output}
        # what stays and was there from the start
        held |= self._stays.intersection(self._inputs)
        dying = [index for index in layer.inputs if index not in self._stays]
        return sum(self._sizes[index] for index in held) - self._saved(number, dying)

    def _saved(self, number: int, dying: list[int]) -> int:
        pairs = [self._shared[number][index] for index in dying if index in self._shared[number]]
        output = self._begins[number]
        return max(min(output, sum(f for f, _ in pairs)), min(output, sum(b for _, b in pairs)))

    def run(self, state: _State, number: int) -> tuple[int, _State]:
        """The bytes that are needed while the layer runs, and the state after it."""
        done = state.done | 1 << number
        layer = self._layers[number]
        dying = [index for index in layer.inputs if index not in self._stays and not self._users[index] & ~done]
        need = state.live + self._begins[number] - self._saved(number, dying)
        live = state.live + self._begins[number] - sum(self._sizes[index] for index in dying)
        if layer.output not in self._stays and not self._users[layer.output] & ~done:
            live -= self._sizes[layer.output]
        ready = state.ready & ~(1 << number)
        for follower in self._followers[number]:
            if not self._needs[follower] & ~done:
                ready |= 1 << follower
        return need, _State(done, ready, live)

    def moves(self, state: _State, peak: int) -> list[tuple[int, int, _State]]:
        """Layers that may run next with what each needs: one alone where it costs nothing."""
        found: list[tuple[int, int, _State]] = []
        for number in _bits(state.ready):
            need, after = self.run(state, number)
            if need <= peak and after.live <= state.live:
                return [(number, need, after)]
            found.append((number, need, after))
        return found

    def peak_of(self, order: tuple[int, ...]) -> int:
        """The peak of a complete order."""
        peak, state = self.least, self.start
        for number in order:
            need, state = self.run(state, number)
            peak = max(peak, need)
        return peak


def _needs(graph: Graph) -> list[int]:
    """The layers that each has to wait for, as bits; readers and writers of a tensor keep their order."""
    needs: list[int] = []
    writers: dict[int, int] = {}
    readers: dict[int, int] = {}
    for number, layer in enumerate(graph.layers):
        mask = writers.get(layer.output, 0) | readers.get(layer.output, 0)
        for index in layer.inputs:
            mask |= writers.get(index, 0)
            readers[index] = readers.get(index, 0) | 1 << number
        writers[layer.output] = writers.get(layer.output, 0) | 1 << number
        needs.append(mask)
    return needs


def _bits(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def _exact(net: _Net, limit: int, states: int) -> tuple[tuple[int, ...] | None, bool]:
    """The best order with a peak under the limit, None where there is none; and whether the search came to its end."""
    came_by: dict[int, tuple[int, int]] = {}
    peaks = {0: net.least}
    heap = [(net.least, net.count, 0, net.start)]
    expanded = 0
    while heap:
        peak, left, done, state = heapq.heappop(heap)
        if done == net.all:
            return _path(came_by, done), True
        if peak > peaks[done]:
            continue
        expanded += 1
        if expanded > states:
            return None, False
        for number, need, after in net.moves(state, peak):
            reached = max(peak, need)
            if reached < limit and reached < peaks.get(after.done, limit):
                peaks[after.done] = reached
                came_by[after.done] = number, done
                heapq.heappush(heap, (reached, left - 1, after.done, after))
    return None, True


def _path(came_by: dict[int, tuple[int, int]], done: int) -> tuple[int, ...]:
    order: list[int] = []
    while done:
        number, done = came_by[done]
        order.append(number)
    return tuple(reversed(order))


def _beam(net: _Net, limit: int) -> tuple[int, ...] | None:
    """An order with a peak under the limit: of the states with equally many layers done, the best few go on."""
    best: list[tuple[int, _State, tuple[int, ...]]] = [(net.least, net.start, ())]
    for _ in range(net.count):
        reached: dict[int, tuple[int, _State, tuple[int, ...]]] = {}
        for peak, state, order in best:
            for number, need, after in net.moves(state, peak):
                entry = (max(peak, need), after, (*order, number))
                if entry[0] < limit and (after.done not in reached or entry[0] < reached[after.done][0]):
                    reached[after.done] = entry
        best = sorted(reached.values(), key=lambda entry: (entry[0], entry[1].live, entry[2]))[:BEAM]
    return best[0][2] if best else None
