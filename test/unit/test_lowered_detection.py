"""`TFLite_Detection_PostProcess` against LiteRT Micro, and against LiteRT where Micro lacks its type."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flatbuffers import flexbuffers
from lowered_nets import oracle_fixture
from numpy.typing import NDArray
from oracles import needs_oracle
from tflite import BuiltinOperator
from tflite_nets import Net
from tflite_run import run_model

from lowtide.emulate.oracle import Oracle
from lowtide.errors import InputError
from lowtide.importer.tflite import import_tflite
from lowtide.importer.tflite.model import Operator
from lowtide.importer.tflite.writer import write

Array = NDArray[Any]
oracle = pytest.fixture(oracle_fixture, scope="module")
BOXES, CLASSES = 40, 3
DEFAULTS: Mapping[str, int | float] = {
    "max_detections": 5, "max_classes_per_detection": 1, "num_classes": CLASSES, "nms_score_threshold": 0.1,
    "nms_iou_threshold": 0.4, "y_scale": 10.0, "x_scale": 10.0, "h_scale": 5.0, "w_scale": 5.0,
}  # fmt: skip


def stored(options: Mapping[str, int | float]) -> tuple[int, ...]:
    """Options as a map of FlexBuffers."""
    builder = flexbuffers.Builder()
    with builder.Map():
        for name, value in options.items():
            builder.Key(name)
            (builder.Bool if isinstance(value, bool) else builder.Int if isinstance(value, int) else builder.Float)(
                value
            )
    return tuple(bytes(builder.Finish()))


def detector(
    dtype: str = "float32",
    scores: int = CLASSES + 1,
    options: tuple[int, ...] = (),
    *,
    open_: bool = False,
    **more: Any,
) -> bytes:
    """The operator alone, on boxes and scores; `open_` where its outputs have no shapes in the file."""
    random, net, given = np.random.default_rng(4), Net(), {**DEFAULTS, **more}
    places, sizes = random.random((BOXES, 2)), 0.1 + 0.3 * random.random((BOXES, 2))
    anchors = np.concatenate([places, sizes], 1).astype(np.float32)
    if dtype == "uint8":
        inputs = [net.tensor("boxes", (1, BOXES, 4), dtype, 0.03, 120)]
        inputs.append(net.tensor("scores", (1, BOXES, scores), dtype, 1 / 256, 0))
        inputs.append(net.constant("anchors", anchors / 0.006, dtype, 0.006))
    else:
        inputs = [net.tensor("boxes", (1, BOXES, 4), dtype), net.tensor("scores", (1, BOXES, scores), dtype)]
        inputs.append(net.constant("anchors", anchors, dtype))
    most = int(given["max_detections"])
    shapes = ((1, most, 4), (1, most), (1, most), (1,))
    outputs = [net.tensor(f"made{i}", () if open_ else shape, "float32") for i, shape in enumerate(shapes)]
    custom = {"custom_options": options or stored(given)}
    name = "TFLite_Detection_PostProcess"
    net.operators.append(Operator(0, BuiltinOperator.CUSTOM, tuple(inputs), tuple(outputs), custom, name))
    return write(net.model(inputs[:2], outputs))


def drawn(dtype: str, scores: int = CLASSES + 1) -> list[Array]:
    """Boxes, and scores of which many are equal."""
    print("seed 5")
    random = np.random.default_rng(5)
    if dtype == "uint8":
        levels = random.integers(0, 12, (1, BOXES, scores)) * 20
        return [random.integers(90, 150, (1, BOXES, 4)).astype(np.uint8), levels.astype(np.uint8)]
    levels = np.round(random.random((1, BOXES, scores)) * 20) / 20
    return [random.normal(0, 2, (1, BOXES, 4)).astype(np.float32), levels.astype(np.float32)]


@needs_oracle
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@pytest.mark.parametrize(
    ("scores", "options"),
    [
        (CLASSES + 1, {}),
        (CLASSES, {"max_detections": 8}),
        (CLASSES + 1, {"nms_score_threshold": 0.8}),
        (CLASSES + 1, {"use_regular_nms": True}),
        (CLASSES + 1, {"use_regular_nms": True, "detections_per_class": 2, "max_detections": 8}),
        (1, {"use_regular_nms": True, "num_classes": 1}),
    ],
)
def test_detections(oracle: Oracle, dtype: str, scores: int, options: dict[str, Any]) -> None:
    model, arrays = detector(dtype, scores, **options), drawn(dtype, scores)
    mine, theirs = run_model(model, arrays), oracle.run(model, [arrays]).outputs[0]
    count = int(theirs[3][0])
    assert count > 0 and mine[3].tolist() == [count]
    for got, wanted in zip(mine[:3], theirs[:3], strict=True):
        # behind the detections LiteRT leaves what there was
        assert np.abs(got[:, :count] - wanted[:, :count]).max() < 1e-5
        assert not got[:, count:].any()


def test_shapes_that_the_file_leaves_open() -> None:
    arrays = drawn("float32")
    for got, wanted in zip(run_model(detector(open_=True), arrays), run_model(detector(), arrays), strict=True):
        assert got.shape == wanted.shape and np.array_equal(got, wanted)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"max_classes_per_detection": 2}, "LiteRT Micro then writes behind its outputs"),
        ({"use_regular_nms": True, "max_detections": 40}, "it looks for 160 boxes one after the other"),
        ({"num_classes": 9}, "it has 4 scores for each box, and 9 classes"),
        ({"y_scale": 0.0}, "its scales are [0.0,"),
        ({"options": (1, 2, 3)}, "this is a custom operator"),
        ({"options": stored({"max_detections": 5})}, "this is a custom operator"),
        ({"options": (0,) * 40}, "this is a custom operator"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(detector(**options))
    with pytest.raises(InputError) as caught:
        import_tflite(path)
    assert said in str(caught.value)
