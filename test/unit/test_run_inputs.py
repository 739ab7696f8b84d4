"""Random and loaded inputs, and the comparison of outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lowtide.dtypes import DTYPE_BYTES
from lowtide.emulate.compare import compare, compare_runs
from lowtide.emulate.inputs import load_inputs, random_inputs
from lowtide.errors import InputError, UsageError
from lowtide.network import IoTensor

IMAGE = IoTensor("image", (1, 4, 4, 3), "int8", 0.5, -3)


def test_random_inputs_repeat_and_fill_the_range() -> None:
    tensors = [IoTensor(dtype, (1, 4000), dtype) for dtype in DTYPE_BYTES]
    first, second, other = (random_inputs(tensors, seed) for seed in (3, 3, 4))
    for tensor, one, two, three in zip(tensors, first, second, other, strict=True):
        assert one.shape == tensor.shape and one.dtype.name == tensor.dtype
        assert one.tobytes() == two.tobytes() != three.tobytes()
    by_name = dict(zip(DTYPE_BYTES, first, strict=True))
    assert (by_name["int8"].min(), by_name["int8"].max()) == (-128, 127)
    assert (by_name["uint8"].min(), by_name["uint8"].max()) == (0, 255)
    assert -1 <= by_name["float32"].min() < -0.9 < 0.9 < by_name["float32"].max() <= 1
    assert (by_name["int64"].min(), by_name["int64"].max()) == (0, 127)


def test_npy_files_are_read_with_or_without_batch(tmp_path: Path) -> None:
    image = np.arange(48, dtype=np.int8)
    for shape in ((1, 4, 4, 3), (4, 4, 3)):
        np.save(tmp_path / "x.npy", image.reshape(shape))
        (loaded,) = load_inputs([tmp_path / "x.npy"], [IMAGE])
        assert loaded.shape == IMAGE.shape and loaded.tobytes() == image.tobytes()
    np.save(tmp_path / "big.npy", np.arange(48).reshape(IMAGE.shape).astype(">f4"))
    (loaded,) = load_inputs([tmp_path / "big.npy"], [IoTensor("x", IMAGE.shape, "float32")])
    assert loaded.dtype == np.dtype("<f4") and loaded.ravel()[5] == 5


def test_bad_input_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    with pytest.raises(UsageError, match=r"has 1 inputs \(image\), 0 files were given"):
        load_inputs([], [IMAGE])
    with pytest.raises(InputError, match="can't be read"):
        load_inputs([path], [IMAGE])
    for content in (b"", b"text", b"\x93NUMPY\x01\x00garbage"):
        path.write_bytes(content)
        with pytest.raises(InputError, match="can't be read"):
            load_inputs([path], [IMAGE])
    np.savez(tmp_path / "x.npz", x=np.zeros(3))
    with pytest.raises(InputError, match=r"is an \.npz archive"):
        load_inputs([tmp_path / "x.npz"], [IMAGE])
    np.save(path, np.zeros(IMAGE.shape, np.float32))
    with pytest.raises(InputError, match=r"quantise it: round\(x / 0\.5\) \+ -3, clipped to int8"):
        load_inputs([path], [IMAGE])
    np.save(path, np.zeros(IMAGE.shape, np.uint8))
    with pytest.raises(InputError, match=r"holds uint8\[1, 4, 4, 3\], the network's image is int8"):
        load_inputs([path], [IMAGE])
    np.save(path, np.zeros((48,), np.int8))
    with pytest.raises(InputError, match=r"reshape it to \[1, 4, 4, 3\]"):
        load_inputs([path], [IMAGE])
    np.save(path, np.array([object()]), allow_pickle=True)
    with pytest.raises(InputError, match="can't be read"):
        load_inputs([path], [IMAGE])


def test_integers_compare_exactly() -> None:
    one, two = np.array([[1, 2, -128]], np.int8), np.array([[1, 4, 127]], np.int8)
    difference = compare([one, one], [two, one])
    assert (difference.max_abs, difference.count, difference.total, difference.range) == (255, 2, 6, 126)
    assert not difference.within(0) and compare([one], [one]).within(0)


def test_floats_compare_relative_to_the_range_of_all_runs() -> None:
    runs = [[np.array([value], np.float32)] for value in (0.0, 10.001)]
    expected = [[np.array([value], np.float32)] for value in (0.0, 10.0)]
    difference = compare_runs(runs, expected)
    assert difference.range == 10 and difference.relative == pytest.approx(1e-4, rel=1e-2)
    single = compare(runs[1], expected[1])
    assert single.range == 10 and single.within(2e-4)


def test_values_that_are_not_finite_compare() -> None:
    nan, inf = (np.array([value, 1.0], np.float32) for value in (np.nan, np.inf))
    assert compare([nan, inf], [nan, inf]).count == 0
    for one, two in ((nan, inf), (inf, nan), (-inf, inf), (nan, np.ones(2, np.float32))):
        difference = compare([one], [two])
        assert difference.max_abs == np.inf and not difference.within(1e9)


def test_what_can_not_be_compared_is_refused() -> None:
    one = np.zeros(3, np.int8)
    with pytest.raises(UsageError, match="1 outputs, 2 expected ones"):
        compare([one], [one, one])
    with pytest.raises(UsageError, match=r"output 0 is int8\[3\], uint8\[3\] is expected"):
        compare([one], [one.view(np.uint8)])
    with pytest.raises(UsageError, match="1 runs, 0 expected ones"):
        compare_runs([[one]], [])
