"""Access profiles against brute force: never optimistic, by the definition of each layer and by the code itself.

The reference is what numpy says each output element depends on; a store is unsafe if it hits a byte that a later
element reads. A blocked kernel may take any `BLOCK` neighbouring pixels at a time, in any order within: there a store
is unsafe if it hits a byte that a pixel of such a block, or a later one, reads. The code is run on this machine with
the output at every distance from the input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from shifted import BLOCK, Array, Shifted, kernel_of, profiles
from single_layers import PADDED_BEHIND, Single, all_layers, conv, depthwise
from tosa_nets import Window

from lowtide.graph.program import DIRECTIONS

LAYERS = all_layers()


@dataclass(frozen=True)
class Case:
    """One input of one layer in one direction.

    Attributes:
        reads: bool[output elements, input elements]: what each output element depends on.
        distance: D forwards, D' backwards, as lowtide computes it.
        blocked: the kernel goes by blocks of pixels, not by elements.
    """

    layer: Single
    kind: str
    number: int
    direction: str
    reads: NDArray[np.bool_]
    input_bytes: int
    output_bytes: int
    distance: int
    blocked: bool

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


def _cases(layer: Single) -> Iterator[Case]:
    reads = layer.reads()
    for kind in layer.kinds:
        net, output = layer.net(kind)
        sizes = [value.array.nbytes for value in net.inputs]
        blocked = kernel_of(net.text([output])) == "blocked"
        for number, profile in enumerate(profiles(net.text([output]), sizes, output.array.nbytes)):
            for direction in DIRECTIONS:
                distance = profile.forwards if direction == "forwards" else profile.backwards
                nbytes = output.array.nbytes
                yield Case(layer, kind, number, direction, reads[number], sizes[number], nbytes, distance, blocked)


def _safe(case: Case) -> Callable[[int], bool]:
    """Tells whether no element stores to a byte that a later one reads, or one of the same block of pixels."""
    steps, elements = case.reads.shape
    order = range(steps) if case.direction == "forwards" else range(steps - 1, -1, -1)
    last, written = np.full(elements, -1), np.empty(steps, np.int64)
    channels = case.layer.net(case.kind)[1].array.shape[-1]
    for time, element in enumerate(order):
        pixel = time // channels
        last[case.reads[element]] = pixel + BLOCK if case.blocked else time
        written[element] = pixel if case.blocked else time
    last = np.repeat(last, case.input_bytes // elements)
    written = np.repeat(written, case.output_bytes // steps)

    def safe(shift: int) -> bool:
        low, high = max(shift, 0), min(shift + len(written), len(last))
        return low >= high or not np.any(last[low:high] > written[low - shift : high - shift])

    return safe


def _check_definition(layers: Sequence[Single], capsys: pytest.CaptureFixture[str]) -> None:
    gaps: list[tuple[int, str]] = []
    loose: set[str] = set()
    for case in (case for layer in layers for case in _cases(layer)):
        safe = _safe(case)
        wrong = [shift for shift in case.shifts if case.allows(shift) and not safe(shift)]
        assert not wrong, f"{case}: {case.distance} bytes are allowed, the output may not start at {wrong}"
        gaps.append((case.distance - case.least(safe), str(case)))
        if gaps[-1][0]:
            loose.add(case.layer.name.split()[0])
    _print_gaps(capsys, "by definition", gaps)
    # these two read at places that their scalar code computes: "all of it"
    assert loose <= {"reverse", "gather"}


def test_profiles_are_safe_by_definition(capsys: pytest.CaptureFixture[str]) -> None:
    _check_definition(LAYERS[::4], capsys)


@pytest.mark.slow
def test_every_profile_is_safe_by_definition(capsys: pytest.CaptureFixture[str]) -> None:
    _check_definition(LAYERS, capsys)


@pytest.mark.parametrize(
    ("layer", "forwards"),
    [
        # each element is stored where it was read, and nothing is read while the pad is stored
        (PADDED_BEHIND, 0),
        # 2 bytes of a pixel become 8: the last pixel is stored while its block may still be read
        (conv((5, 5), (2, 2), Window((1, 1)), wide=True), 200 - (50 - 2 * BLOCK)),
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
