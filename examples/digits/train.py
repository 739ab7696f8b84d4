"""Train a small CNN on scikit-learn's bundled digits and quantise it to a full-int8 `.tflite`.

Writes next to this script (or into `--out`):
    digits_int8.tflite   int8 in and out, batch dimension dynamic
    digits_golden.npz    x (20, 1, 8, 8, 1) int8, y (20, 1, 10) int8, labels (20,) int64

It runs in an environment of its own (README.md beside it); lowtide itself never needs TensorFlow.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# oneDNN picks kernels by the CPU it runs on; the plain ones are the same everywhere.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import keras
import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

SEED = 7
EPOCHS = 60
CHANNELS = 16
CLASSES = 10
GOLDEN_PER_CLASS = 2
CALIBRATION_SAMPLES = 300
LEAST_ACCURACY = 0.95
LARGEST_FILE_BYTES = 30 * 1024


@dataclass(frozen=True)
class Split:
    """Images are (n, 8, 8, 1) float32 in [0, 1], labels (n,) int64."""

    train_x: np.ndarray
    train_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray


def load_split() -> Split:
    """The 1,797 digits, a quarter of them held out, the same proportion of each class in both parts."""
    digits = load_digits()
    images = (digits.images / 16.0).astype(np.float32)[..., np.newaxis]
    train_x, test_x, train_y, test_y = train_test_split(
        images, digits.target.astype(np.int64), test_size=0.25, random_state=SEED, stratify=digits.target
    )
    return Split(train_x, train_y, test_x, test_y)


def build_model() -> keras.Model:
    """Conv 3x3, a depthwise-separable block with a residual add, max pool, dense, softmax."""
    layers = keras.layers
    image = keras.Input((8, 8, 1), name="image")
    stem = layers.Conv2D(CHANNELS, 3, padding="same", use_bias=False, name="stem")(image)
    stem = layers.ReLU()(layers.BatchNormalization()(stem))
    branch = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise")(stem)
    branch = layers.ReLU()(layers.BatchNormalization()(branch))
    branch = layers.Conv2D(CHANNELS, 1, use_bias=False, name="pointwise")(branch)
    branch = layers.BatchNormalization()(branch)
    merged = layers.ReLU()(layers.Add(name="residual")([stem, branch]))
    pooled = layers.MaxPooling2D(2, name="pool")(merged)
    # Flatten() would export the batch as SHAPE, STRIDED_SLICE and PACK operators; -1 is one RESHAPE.
    flat = keras.ops.reshape(layers.Dropout(0.3)(pooled), (-1, 4 * 4 * CHANNELS))
    scores = layers.Dense(CLASSES, name="dense")(flat)
    return keras.Model(image, layers.Softmax(name="probabilities")(scores), name="digits")


def train(model: keras.Model, split: Split) -> float:
    """Fit in place; the float accuracy on the held-out part, 0 to 1."""
    model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(split.train_x, split.train_y, batch_size=32, epochs=EPOCHS, verbose=0)
    _, accuracy = model.evaluate(split.test_x, split.test_y, verbose=0)
    return float(accuracy)


def quantise(model: keras.Model, train_x: np.ndarray) -> bytes:
    """Post-training quantisation with a representative data set; int8 everywhere, input and output included."""
    with tempfile.TemporaryDirectory() as saved:
        model.export(saved, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(saved)
        return convert_int8(converter, train_x)


def convert_int8(converter: tf.lite.TFLiteConverter, train_x: np.ndarray) -> bytes:
    """Convert with int8 forced on every operator."""
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image[np.newaxis]] for image in train_x[:CALIBRATION_SAMPLES])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    return converter.convert()


def run_reference(flatbuffer: bytes, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The reference kernels on each image: quantised inputs (n, 1, 8, 8, 1) and outputs (n, 1, 10), int8."""
    interpreter = tf.lite.Interpreter(
        model_content=flatbuffer,
        experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_REF,
    )
    interpreter.allocate_tensors()
    source, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    scale, zero_point = source["quantization"]
    inputs = np.clip(np.round(images / scale) + zero_point, -128, 127).astype(np.int8)[:, np.newaxis]
    outputs: list[np.ndarray] = []
    for image in inputs:
        interpreter.set_tensor(source["index"], image)
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(result["index"]))
    return inputs, np.stack(outputs)


def least_sure(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Indices of the two images of each class with the lowest top score.

    Sure answers saturate at -128 and 127 and would hide small errors of arithmetic.
    """
    by_score = np.argsort(scores.max(axis=1), kind="stable")
    return np.concatenate([by_score[labels[by_score] == label][:GOLDEN_PER_CLASS] for label in range(CLASSES)])


def main() -> None:
    """Train, quantise, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder for the two files")
    out: Path = parser.parse_args().out

    keras.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()
    split = load_split()
    model = build_model()
    float_accuracy = train(model, split)
    flatbuffer = quantise(model, split.train_x)
    inputs, outputs = run_reference(flatbuffer, split.test_x)
    int8_accuracy = float(np.mean(outputs.reshape(-1, CLASSES).argmax(axis=1) == split.test_y))

    print(f"held out: {len(split.test_y)} images of {len(split.test_y) + len(split.train_y)}")
    print(f"float accuracy: {float_accuracy:.2%}")
    print(f"int8 accuracy:  {int8_accuracy:.2%}")
    print(f"flatbuffer:     {len(flatbuffer):,} bytes")
    if int8_accuracy < LEAST_ACCURACY or len(flatbuffer) > LARGEST_FILE_BYTES:
        limits = f"at least {LEAST_ACCURACY:.0%} and at most {LARGEST_FILE_BYTES:,} bytes"
        raise SystemExit(f"wanted {limits}; wrote nothing")

    out.mkdir(parents=True, exist_ok=True)
    (out / "digits_int8.tflite").write_bytes(flatbuffer)
    golden = least_sure(outputs.reshape(-1, CLASSES), split.test_y)
    np.savez(out / "digits_golden.npz", x=inputs[golden], y=outputs[golden], labels=split.test_y[golden])


if __name__ == "__main__":
    main()
