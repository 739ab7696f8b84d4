"""`lowtide bench speed`: its sums are what `lowtide run` counts, and both emulators agree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from boards import golden, need_board
from command import DIGITS, lowtide, refused

from lowtide.artifact import Artifact
from lowtide.bench._published import LITERT_MICRO
from lowtide.codegen import generate
from lowtide.emulate import load_artifact
from lowtide.emulate.artifact import ArtifactView
from lowtide.emulate.backends.unicorn import UnicornSession
from lowtide.emulate.measure.mix import mix_of
from lowtide.emulate.measure.qemu_profile import profile_in_qemu
from lowtide.network import IoTensor, Network, Slot
from lowtide.targets import TARGETS
from lowtide.verification import run_artifact

KINDS = ("loads", "stores", "multiplies", "divides", "branches", "others")


def _measured(tmp_path: Path, *arguments: str | Path) -> tuple[list[dict[str, Any]], str]:
    path = tmp_path / "figures.json"
    outcome = lowtide("bench", "speed", DIGITS, *arguments, "--json", path)
    assert outcome.code == 0, outcome
    return json.loads(path.read_text())["figures"], outcome.out


def _total(mix: dict[str, int]) -> int:
    return sum(mix[kind] for kind in KINDS)


@pytest.mark.parametrize("target", ["cortex-m4", "rv32imac"])
def test_the_sums_are_what_a_run_counts(target: str, digits: Artifact, tmp_path: Path) -> None:
    (figures,), text = _measured(tmp_path, "--target", target, "--layers")
    folder = digits.directory
    if target != "cortex-m4":
        folder = tmp_path / "out"
        assert lowtide("compile", DIGITS, "--target", target, "-o", folder).code == 0
    report = json.loads((folder / "report.json").read_text())
    assert figures["instructions"] == _total(figures["mix"]) == run_artifact(folder).instructions
    for key in ("macs", "code_bytes", "weights_bytes", "arena_bytes", "stack_bytes", "data_bytes"):
        assert figures[key] == report[key]
    layers = figures["layers"]
    assert all(layer["instructions"] == _total(layer["mix"]) for layer in layers)
    assert figures["apart_instructions"] == sum(layer["instructions"] for layer in layers)
    assert figures["macs"] == sum(layer["macs"] for layer in layers)
    called = [layer for layer in report["layers"] if not layer["in_place_bytes"]]
    assert [layer["name"] for layer in layers[:-1]] == [layer["name"] for layer in called]
    assert layers[-1]["name"] == "(loops and calls)"
    assert all(layer["mix"]["multiplies"] > 0 for layer in layers if layer["macs"])
    assert f"{figures['instructions']:,}" in text
    assert f"{figures['apart_instructions']:,}" in text


def test_one_layer_after_another_has_the_kinds_of_the_graph(tmp_path: Path) -> None:
    (figures,), _ = _measured(tmp_path, "--layers", "--objective", "untiled")
    kinds = [layer["kind"] for layer in figures["layers"][:-1]]
    assert {"conv", "depthwise", "dense", "pool"} <= set(kinds)
    assert figures["objective"] == "untiled"


def test_both_emulators_see_the_same_instructions(digits: Artifact) -> None:
    need_board("cortex-m4")
    view = load_artifact(digits.directory)
    inputs = [golden()[0][0]]
    here, there = UnicornSession(view, "object").profile(inputs), profile_in_qemu(view, inputs)
    assert mix_of(here.image.flash, here.executed, here.isa) == mix_of(there.image.flash, there.executed, there.isa)
    assert np.array_equal(here.result.outputs[0], there.result.outputs[0])


@pytest.mark.parametrize("target", ["cortex-m55", "rv32gcv"])
def test_cores_that_only_qemu_has_are_counted_by_layer_too(target: str, tmp_path: Path) -> None:
    need_board(target)
    (figures,), _ = _measured(tmp_path, "--target", target, "--layers")
    assert figures["instructions"] == _total(figures["mix"])
    assert figures["apart_instructions"] == sum(_total(layer["mix"]) for layer in figures["layers"])
    assert figures["note"] == ""


SQUARES = """
func.func private @squares_body(%arena: memref<512xi8>) {
  %c0 = arith.constant 0 : index
  %c4 = arith.constant 4 : index
  %c64 = arith.constant 64 : index
  %c256 = arith.constant 256 : index
  %x = memref.view %arena[%c0][] : memref<512xi8> to memref<64xi32>
  %y = memref.view %arena[%c256][] : memref<512xi8> to memref<64xi32>
  scf.for %i = %c0 to %c64 step %c4 {
    %v = vector.load %x[%i] : memref<64xi32>, vector<4xi32>
    %s = arith.muli %v, %v : vector<4xi32>
    vector.store %s, %y[%i] : memref<64xi32>, vector<4xi32>
  }
  return
}
"""


def test_a_loop_of_known_length_in_helium(tmp_path: Path) -> None:
    need_board("cortex-m55")
    x, y = (Slot(IoTensor(name, (64,), "int32"), offset) for name, offset in (("x", 0), ("y", 256)))
    network = Network("squares", SQUARES, 512, (x,), (y,), keep_input=True)
    target = TARGETS["cortex-m55"]
    code = generate(network, target, tmp_path)
    sram = 512 + code.stack_bytes + code.data_bytes
    view = ArtifactView(tmp_path, "squares", target, 512, code.stack_bytes, code.data_bytes, sram, (x,), (y,))
    given = np.arange(64, dtype=np.int32)
    profile = profile_in_qemu(view, [given])
    assert np.array_equal(profile.result.outputs[0], given * given)
    mix = mix_of(profile.image.flash, profile.executed, profile.isa)
    assert mix.instructions == profile.result.instructions
    # Sixteen turns, of which each loads, multiplies and stores four elements; the rest saves and restores registers.
    assert mix.multiplies == 16
    inside = profile.executed.times == 16
    assert int(inside.sum()) >= 4
    assert 64 <= mix.loaded_words <= 64 + 8
    assert 64 <= mix.stored_words <= 64 + 8


def test_what_can_not_be_counted_says_why(tmp_path: Path) -> None:
    (figures,), text = _measured(tmp_path, "--target", "host", "--layers", "--markdown")
    assert figures["instructions"] is None
    assert figures["mix"] is None
    assert figures["layers"] == []
    assert "digits_int8 on host: not counted" in text
    assert text.startswith("| model | target |")


def test_a_library_s_figures_stand_beside_ours(tmp_path: Path) -> None:
    assert set(LITERT_MICRO) == {
        "kws_ref_model",
        "vww_96_int8",
        "pretrainedResnet_quant",
        "ad01_int8",
        "person_detect",
        "micro_speech_quantized",
    }
    # The table goes by the file's name.
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "ad01_int8.tflite").write_bytes(DIGITS.read_bytes())
    outcome = lowtide("bench", "speed", tmp_path / "models")
    assert outcome.code == 0
    assert "583,000" in outcome.out
    assert "LiteRT Micro: LiteRT Micro + CMSIS-NN, -O3 class build" in outcome.out


def test_wrong_arguments_are_refused(tmp_path: Path) -> None:
    assert "none of kws_ref_model.tflite" in refused(2, "bench", "speed", tmp_path)
    assert "unknown target" in refused(2, "bench", "speed", DIGITS, "--target", "z80")
