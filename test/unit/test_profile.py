"""Access profiles against brute force: never optimistic, by the definition of each layer and by the code itself.

The reference is what numpy says each output element depends on; a store is unsafe if it hits a byte that a later
element reads. A register-tiled kernel goes through a row in blocks: there a store is unsafe if it hits a byte that a
later block reads, or a later element, as code by elements takes their place in some loops. The code is run on this
machine with the output at every distance from the input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import jit
import numpy as np
import pytest
from layers import layer_bodies
from numpy.typing import NDArray
from shifted import BUFFERS, Array, Shifted, profiles
from single_layers import PADDED_BEHIND, Single, all_layers, conv, depthwise
from tosa_nets import Window

from lowtide.graph.program import DIRECTIONS
from lowtide.kernels.library import kernel_name
from lowtide.kernels.microkernels import MICROKERNELS, PLAIN, microkernel_for
from lowtide.kernels.register_tiled.blocks import Blocks
from lowtide.kernels.register_tiled.recognise import contraction_of

LAYERS = all_layers()


@dataclass(frozen=True)
class Case:
    """One input of one layer in one direction.

    Attributes:
        reads: bool[output elements, input elements]: what each output element depends on.
        distance: D forwards, D' backwards, as lowtide computes it.
        orders: how a register-tiled kernel goes through rows, by column and channel the number of the block.
    """

    layer: Single
    kind: str
    number: int
    direction: str
    reads: NDArray[np.bool_]
    input_bytes: int
    output_bytes: int
    distance: int
    orders: tuple[Array, ...]

    def __str__(self) -> str:
        return f"{self.layer.name} {self.kind}, input {self.number} {self.direction}"

    @property
    def shifts(self) -> range:
        """From the output right below the input to right above it."""
        return range(-self.output_bytes, self.input_bytes + 1)

    def allows(self, shift: int) -> bool:
        """Whether the output may start `shift` bytes above the input, by the profile."""
        if self.direction == "forwards":
            return shift <= -self.distance or shift >= self.input_bytes
        return shift <= -self.output_bytes or shift >= self.input_bytes - self.output_bytes + self.distance

    def least(self, safe: Callable[[int], bool]) -> int:
        """The least distance that is safe, where `safe` tells which shifts are."""
        unsafe = [shift for shift in self.shifts if not safe(shift)]
        if not unsafe:
            return -self.input_bytes
        ahead = 1 - unsafe[0] if self.direction == "forwards" else unsafe[-1] + 1 - self.input_bytes + self.output_bytes
        return max(-self.input_bytes, ahead)


def _cases(layer: Single, microkernels: str = PLAIN) -> Iterator[Case]:
    reads = layer.reads()
    for kind in layer.kinds:
        net, output = layer.net(kind)
        sizes = [value.array.nbytes for value in net.inputs]
        orders = _orders(net.text([output]), microkernels)
        for number, profile in enumerate(profiles(net.text([output]), sizes, output.array.nbytes, microkernels)):
            for direction in DIRECTIONS:
                distance = profile.forwards if direction == "forwards" else profile.backwards
                nbytes = output.array.nbytes
                yield Case(layer, kind, number, direction, reads[number], sizes[number], nbytes, distance, orders)


def _orders(text: str, microkernels: str) -> tuple[Array, ...]:
    module = jit.lowered(text, BUFFERS)
    (body,) = layer_bodies(module).values()
    found = contraction_of(body)
    if found is None or kernel_name(body) != "register_tiled":
        return ()
    return tuple(Blocks(found, microkernel_for(found, microkernels)).orders())


def _safe(case: Case) -> Callable[[int], bool]:
    """Tells whether no element stores to a byte that a later one reads, nor a block to one that a later one reads."""
    steps, elements = case.reads.shape
    numbers: list[Array] = [np.arange(steps)]
    for order in case.orders:
        blocks: list[int] = order.reshape(-1).tolist()
        count = max(blocks) + 1
        numbers.append(np.array([row * count + block for row in range(steps // len(blocks)) for block in blocks]))
    times = [number if case.direction == "forwards" else number.max() - number for number in numbers]
    sides: list[tuple[Array, Array]] = []
    for time in times:
        last = np.where(case.reads, time[:, None], -1).max(axis=0)
        sides.append((np.repeat(last, case.input_bytes // elements), np.repeat(time, case.output_bytes // steps)))

    def safe(shift: int) -> bool:
        low, high = max(shift, 0), min(shift + case.output_bytes, case.input_bytes)
        if low >= high:
            return True
        return not any(np.any(last[low:high] > time[low - shift : high - shift]) for last, time in sides)

    return safe


def _check_definition(layers: Sequence[Single], microkernels: str, capsys: pytest.CaptureFixture[str]) -> None:
    gaps: list[tuple[int, str]] = []
    loose: set[str] = set()
    for case in (case for layer in layers for case in _cases(layer, microkernels)):
        safe = _safe(case)
        wrong = [shift for shift in case.shifts if case.allows(shift) and not safe(shift)]
        assert not wrong, f"{case}: {case.distance} bytes are allowed, the output may not start at {wrong}"
        gaps.append((case.distance - case.least(safe), str(case)))
        if gaps[-1][0]:
            loose.add(case.layer.name.split()[0])
    _print_gaps(capsys, f"by definition, {microkernels}", gaps)
    # these two read at places that their scalar code computes: "all of it"
    assert loose <= {"reverse", "gather"}


@pytest.mark.parametrize("microkernels", MICROKERNELS)
def test_profiles_are_safe_by_definition(microkernels: str, capsys: pytest.CaptureFixture[str]) -> None:
    _check_definition(LAYERS[::4], microkernels, capsys)


@pytest.mark.slow
@pytest.mark.parametrize("microkernels", MICROKERNELS)
def test_every_profile_is_safe_by_definition(microkernels: str, capsys: pytest.CaptureFixture[str]) -> None:
    _check_definition(LAYERS, microkernels, capsys)


@pytest.mark.parametrize(
    ("layer", "forwards"),
    [
        # each element is stored where it was read, and nothing is read while the pad is stored
        (PADDED_BEHIND, 0),
        # 2 bytes of a pixel become 8: the last element is stored when nothing is left to read
        (conv((5, 5), (2, 2), Window((1, 1)), wide=True), 200 - 50 - 2),
        # channel 2·c + m is computed from channel c: the last but one element goes where the last one is read
        (depthwise((5, 5), 3, 2, Window((1, 1))), 150 - 75),
    ],
    ids=lambda value: value.name if isinstance(value, Single) else "",
)
def test_distances(layer: Single, forwards: int) -> None:
    net, output = layer.net("int8")
    (profile,) = profiles(net.text([output]), [net.inputs[0].array.nbytes], output.array.nbytes)
    assert profile.forwards == forwards


def _print_gaps(capsys: pytest.CaptureFixture[str], what: str, gaps: list[tuple[int, str]]) -> None:
    above = [gap for gap, _ in gaps if gap > 0]
    with capsys.disabled():
        print(f"\n{what}: {len(gaps)} profiles, none optimistic, {len(gaps) - len(above)} the best possible", end="")
        if above:
            print(f"; the others {np.mean(above):.1f} bytes above on average, at most {max(gaps)[0]}: {max(gaps)[1]}")


def _runs(case: Case, code: Shifted) -> Callable[[int], bool]:
    """Tells whether the code gives the right numbers, on two inputs."""
    net, output = case.layer.net(case.kind)
    samples: list[tuple[list[Array], Array]] = []
    far = case.input_bytes + case.output_bytes
    for sample in range(2):
        rng = np.random.default_rng(sample)
        inputs = [_random(rng, value.array) for value in net.inputs]
        samples.append((inputs, code.run(inputs, output.array, case.number, far)))
    # the first is the network's own, so that numpy has the last word
    own = [value.array for value in net.inputs]
    np.testing.assert_allclose(code.run(own, output.array, case.number, far), output.array, rtol=1e-5, atol=1e-5)

    def safe(shift: int) -> bool:
        return all(
            code.run(inputs, expected, case.number, shift).tobytes() == expected.tobytes()
            for inputs, expected in samples
        )

    return safe


def _random(rng: np.random.Generator, like: Array) -> Array:
    if like.dtype == np.float32:
        return rng.standard_normal(like.shape).astype(np.float32)
    return rng.integers(-128, 128, like.shape).astype(like.dtype)


def _check_code(layers: Sequence[Single], capsys: pytest.CaptureFixture[str]) -> None:
    gaps: list[tuple[int, str]] = []
    for layer in layers:
        codes: dict[tuple[str, str], Shifted] = {}
        for case in _cases(layer):
            if (case.kind, case.direction) not in codes:
                net, output = layer.net(case.kind)
                codes[case.kind, case.direction] = Shifted(net.text([output]), case.direction)
            safe = _runs(case, codes[case.kind, case.direction])
            wrong = [shift for shift in case.shifts if case.allows(shift) and not safe(shift)]
            assert not wrong, f"{case}: {case.distance} bytes are allowed, the code fails at {wrong}"
            gaps.append((case.distance - case.least(safe), str(case)))
    _print_gaps(capsys, "in the code", gaps)


def test_profiles_are_safe_in_the_code(capsys: pytest.CaptureFixture[str]) -> None:
    _check_code(LAYERS[1::12], capsys)


@pytest.mark.slow
def test_every_profile_is_safe_in_the_code(capsys: pytest.CaptureFixture[str]) -> None:
    _check_code(LAYERS, capsys)
