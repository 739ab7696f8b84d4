"""The order of layers: hand-made graphs where it matters, and brute force over all orders of small ones."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence

from lowtide.graph.bound import shared_bytes, step_bytes, untiled_bound
from lowtide.graph.graph import Graph, Layer, Overlap, Tensor
from lowtide.plan.schedule import schedule
from lowtide.plan.untiled import plan_untiled

IN_PLACE = (0, 0)
DISJOINT = None
Distances = tuple[int, int] | None


class Maker:
    """A graph layer by layer; tensors are known by their numbers."""

    def __init__(self, *inputs: int) -> None:
        self.sizes = list(inputs)
        self.inputs = tuple(range(len(inputs)))
        self.layers: list[Layer] = []

    def layer(self, output: int, *inputs: int, overlap: Distances = DISJOINT) -> int:
        """A layer that makes a new tensor of `output` bytes."""
        self.sizes.append(output)
        return self.write(len(self.sizes) - 1, *inputs, overlap=overlap)

    def write(self, tensor: int, *inputs: int, overlap: Distances = DISJOINT) -> int:
        """A layer that writes (a part of) a tensor."""
        begun = any(layer.output == tensor for layer in self.layers)
        far = [(self.sizes[tensor], self.sizes[tensor])] * len(inputs) if overlap is None else [overlap] * len(inputs)
        overlaps = () if begun else tuple(Overlap(i, *d) for i, d in zip(inputs, far, strict=True))
        step = len(self.layers) + 1
        self.layers.append(Layer(step, f"layer {step}", "map", "map_0", inputs, tensor, 0, 0, overlaps))
        return tensor

    def graph(self, *outputs: int) -> Graph:
        tensors = tuple(Tensor(i, f"t{i}", (size,), "int8", 0, 0) for i, size in enumerate(self.sizes))
        graph = Graph(tuple(self.layers), tensors, self.inputs, outputs)
        return graph.reordered(range(1, len(self.layers) + 1))


def peak(graph: Graph, order: Sequence[int]) -> int:
    """The largest of the steps' bounds in that order."""
    again = graph.reordered(order)
    return max(step_bytes(again, step) for step in range(len(graph.layers) + 2))


def orders(graph: Graph) -> Iterator[tuple[int, ...]]:
    """All orders in which every layer follows what it needs."""
    writes: dict[int, list[int]] = {}
    needs: list[set[int]] = []
    readers: dict[int, list[int]] = {}
    for number, layer in enumerate(graph.layers, start=1):
        earlier = [*writes.get(layer.output, []), *readers.get(layer.output, [])]
        needs.append({*earlier, *(n for index in layer.inputs for n in writes.get(index, []))})
        writes.setdefault(layer.output, []).append(number)
        for index in layer.inputs:
            readers.setdefault(index, []).append(number)

    def extend(order: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        if len(order) == len(graph.layers):
            yield order
        for number in range(1, len(graph.layers) + 1):
            if number not in order and needs[number - 1].issubset(order):
                yield from extend((*order, number))

    return extend(())


def test_a_chain_keeps_its_order() -> None:
    maker = Maker(10)
    x = 0
    for size in (40, 5, 80, 3):
        x = maker.layer(size, x)
    found = schedule(maker.graph(x))
    assert found.order == (1, 2, 3, 4)
    assert (found.peak_bytes, found.exact) == (85, True)


def test_the_branch_with_the_big_intermediate_goes_first() -> None:
    maker = Maker(10)
    small = maker.layer(20, 0)
    big = maker.layer(100, 0)
    shrunk = maker.layer(5, big)
    joined = maker.layer(25, small, shrunk)
    graph = maker.graph(joined)
    # in the model's order `small` waits beside `big` and what comes of it; the other way round the input does
    assert peak(graph, (1, 2, 3, 4)) == 130
    found = schedule(graph)
    assert found.order == (2, 3, 1, 4)
    assert (found.peak_bytes, found.exact) == (115, True)


def test_an_inception_block_runs_branch_by_branch() -> None:
    maker = Maker(50)
    wide = [maker.layer(60, 0) for _ in range(4)]  # all first convolutions, then all second ones
    narrow = [maker.layer(10, w) for w in wide]
    joined = maker.layer(40, *narrow)
    graph = maker.graph(joined)
    assert peak(graph, range(1, 10)) == 290
    found = schedule(graph)
    assert found.exact
    assert found.peak_bytes == 140 == min(peak(graph, order) for order in orders(graph))


def test_equal_peaks_keep_the_models_order() -> None:
    maker = Maker(10)
    one, two = maker.layer(30, 0), maker.layer(30, 0)
    graph = maker.graph(maker.layer(30, one, two))
    assert schedule(graph).order == (1, 2, 3)


def test_in_place_accumulation_counts() -> None:
    """A running sum over branches stays within one buffer where the add works in place."""
    maker = Maker(10)
    branches = [maker.layer(100, 0) for _ in range(3)]
    total = maker.layer(100, branches[0], branches[1], overlap=IN_PLACE)
    total = maker.layer(100, total, branches[2], overlap=IN_PLACE)
    found = schedule(maker.graph(total))
    assert found.order == (1, 2, 4, 3, 5)
    assert found.peak_bytes == 210


def test_kept_inputs_stay() -> None:
    maker = Maker(50)
    x = maker.layer(60, maker.layer(60, 0))
    assert schedule(maker.graph(x)).peak_bytes == 120
    assert schedule(maker.graph(x), keep_input=True).peak_bytes == 170


def test_parts_of_one_tensor_keep_their_order() -> None:
    maker = Maker(10)
    left, right = maker.layer(30, 0), maker.layer(40, 0)
    maker.sizes.append(70)
    joined = len(maker.sizes) - 1
    maker.write(joined, left)
    maker.write(joined, right)
    graph = maker.graph(joined)
    found = schedule(graph)
    assert found.peak_bytes == min(peak(graph, order) for order in orders(graph))
    assert found.order.index(3) < found.order.index(4)


def test_shared_bytes_are_those_of_the_best_allowed_place() -> None:
    generator = random.Random(4)
    print("seed 4")
    for _ in range(300):
        source, output = generator.randrange(1, 12), generator.randrange(1, 12)
        forwards, backwards = generator.randrange(-source, output + 1), generator.randrange(-source, output + 1)
        places = range(-30, 30)
        allowed = (
            [d for d in places if not -forwards < d < source],
            [d for d in places if not -output < d < source - output + backwards],
        )
        best = tuple(max(max(0, min(source, d + output) - max(0, d)) for d in some) for some in allowed)
        assert shared_bytes(source, output, Overlap(0, forwards, backwards)) == best


def random_graph(generator: random.Random, layers: int) -> Graph:
    maker = Maker(*(generator.randrange(1, 40) for _ in range(generator.randrange(1, 3))))
    written: list[int] = []
    for _ in range(layers):
        made = range(len(maker.sizes))
        inputs = generator.sample(made, min(len(made), generator.choice((1, 1, 1, 2, 2, 3))))
        if written and generator.random() < 0.15 and written[-1] not in inputs:
            maker.write(written[-1], *inputs)
            continue
        overlap = generator.choice((DISJOINT, IN_PLACE, (generator.randrange(-5, 9), generator.randrange(-5, 9))))
        written.append(maker.layer(generator.randrange(1, 100), *inputs, overlap=overlap))
    outputs = {written[-1], *generator.sample(written, generator.randrange(0, 2))}
    return maker.graph(*sorted(outputs))


def test_brute_force_over_all_orders() -> None:
    seed = 31
    generator = random.Random(seed)
    print(f"seed {seed}")
    changed = 0
    for _ in range(150):
        graph = random_graph(generator, generator.randrange(2, 8))
        least = min(peak(graph, order) for order in orders(graph))
        found = schedule(graph)
        assert found.exact
        assert found.peak_bytes == least == peak(graph, found.order)
        assert found.order in set(orders(graph))
        same = tuple(range(1, len(graph.layers) + 1))
        changed += found.order != same
        assert (found.order == same) == (peak(graph, same) == least)
        assert untiled_bound(graph.reordered(found.order)).nbytes <= found.peak_bytes
    assert changed > 30


def test_the_beam_is_never_worse_than_the_models_order() -> None:
    seed = 32
    generator = random.Random(seed)
    print(f"seed {seed}")
    better = 0
    for _ in range(40):
        graph = random_graph(generator, 9)
        quick, best = schedule(graph, states=2), schedule(graph)
        before = peak(graph, range(1, 10))
        assert best.peak_bytes <= quick.peak_bytes == peak(graph, quick.order) <= before
        better += quick.peak_bytes < before
    assert better > 10


def test_hundreds_of_layers() -> None:
    maker = Maker(100)
    x = 0
    for _ in range(40):
        wide = [maker.layer(60 + i, x) for i in range(4)]
        x = maker.layer(100, *[maker.layer(20 + i, w) for i, w in enumerate(wide)])
    graph = maker.graph(x)
    start = time.perf_counter()
    found = schedule(graph)
    assert found.exact
    assert found.peak_bytes < peak(graph, range(1, len(graph.layers) + 1))
    assert found == schedule(graph)
    assert time.perf_counter() - start < 20


def test_a_wide_graph_falls_back_to_the_beam() -> None:
    generator = random.Random(7)
    maker = Maker(100)
    wide = [maker.layer(generator.randrange(50, 99), 0) for _ in range(30)]
    narrow = [maker.layer(generator.randrange(1, 30), w) for w in wide]
    graph = maker.graph(maker.layer(50, *narrow))
    found = schedule(graph, states=500)
    assert found.peak_bytes < peak(graph, range(1, 62)) / 2


def test_an_order_is_taken_only_where_the_arena_gets_smaller() -> None:
    maker = Maker(10)
    small, big = maker.layer(20, 0), maker.layer(100, 0)
    joined = maker.layer(25, small, maker.layer(5, big))
    graph = maker.graph(joined)
    assert plan_untiled(lambda _: graph, 1).plan.order == (2, 3, 1, 4)
    maker = Maker(10)
    graph = maker.graph(maker.layer(20, 0))
    assert plan_untiled(lambda _: graph, 4).plan.order == ()
