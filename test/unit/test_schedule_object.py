"""Schedules by hand: what they predict is what the compile makes, steps are taken back, and refusals say a remedy."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tosa_nets import TosaNet, Value, Window

import lowtide
from lowtide import InputError, Schedule
from lowtide.errors import InternalError, UsageError
from lowtide.graph.fusion import Fusion
from lowtide.lower import Lowered, lower
from lowtide.opt.main import main as lowtide_opt
from lowtide.plan.plan import Plan
from lowtide.stages import Stages
from lowtide.targets import TARGETS

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "examples" / "digits" / "digits_int8.tflite"
TARGET = "cortex-m4"
FIRST, SECOND = "digits_1/re_lu_1/Relu", "digits_1/re_lu_1_2/Relu"
CASES = 12

Steps = Callable[[Schedule], object]


def open_digits() -> Schedule:
    return lowtide.open_schedule(DIGITS, target=TARGET)


@pytest.fixture(scope="module")
def opened() -> Schedule:
    """Shared: who uses it takes back what it does."""
    return open_digits()


@pytest.fixture
def digits(opened: Schedule) -> Schedule:
    return opened.undo(len(opened.steps) - 1)


def branches(path: Path) -> Path:
    """Two branches, one of which grows before it shrinks, that meet in a concat; a chain of three behind it."""
    net = TosaNet(np.random.default_rng(7))
    x = net.input((1, 8, 8, 2), "int8")
    around, halve = Window((3, 3), ((1, 1), (1, 1))), Window((2, 2), stride=(2, 2))

    def conv(source: Value, channels: int, window: Window) -> Value:
        weights = net.random((channels, *window.kernel, source.array.shape[3]), "int8")
        return net.rescale(net.conv(source, weights, window))

    small, big = conv(x, 16, halve), conv(conv(x, 12, around), 16, halve)
    joined = net.concat([small, big], 3)
    last = net.max_pool(conv(conv(joined, 8, around), 4, around), halve)
    path.write_text(net.text([last]))
    return path


def realised(schedule: Schedule, model: Path, folder: Path, *, keep_input: bool = False) -> Lowered:
    """The model lowered by the schedule's saved script, as `lowtide compile --plan` does."""
    plan = schedule.save(folder / "by-hand.plan.mlir")
    return lower(model, TARGETS[TARGET], plan=plan, keep_input=keep_input, stages=Stages())


PREDICTED: dict[str, Steps] = {
    "nothing": lambda s: s,
    "rows": lambda s: s.fuse(1, 6),
    "names": lambda s: s.fuse(FIRST, SECOND, rows=3, direction="backwards"),
    "columns": lambda s: s.fuse(1, 6, columns=1),
    "three loops": lambda s: s.fuse(1, 2).fuse(5, 6).fuse(3, 4),
    "recompute": lambda s: s.fuse(2, 3, halo="recompute"),
    "recomputed": lambda s: s.fuse(1, 3, recompute=[SECOND]),
    "channels": lambda s: s.fuse_channels(1, 2, slice=4),
    "kernels": lambda s: s.kernel(1, "general").kernel(2, "general"),
    "kernels in a loop": lambda s: s.kernel(5, "pool").kernel(6, "prepacked_i16").fuse(1, 6),
    "kernel behind a loop": lambda s: s.fuse(1, 3).kernel(3, "general"),
    "no overlap": lambda s: s.allocate(overlap=False).fuse(1, 2),
    "first-fit": lambda s: s.allocate(strategy="first-fit"),
    "search": lambda s: s.search("ram"),
}


@pytest.mark.parametrize("name", PREDICTED)
def test_what_is_predicted_is_what_the_script_makes(name: str, digits: Schedule, tmp_path: Path) -> None:
    PREDICTED[name](digits)
    lowered = realised(digits, DIGITS, tmp_path)
    assert (lowered.network.arena_bytes, lowered.bound_bytes) == (digits.arena_bytes, digits.bound_bytes)
    assert lowered.macs == digits.macs


def random_step(schedule: Schedule, generator: random.Random) -> Steps:
    """Any step, whether it can be taken or not."""
    count = len(schedule.layers)
    first, last = sorted(generator.sample(range(1, count + 1), 2))
    kernel = generator.choice((None, *schedule.layers[first - 1].kernels))
    order = generator.sample(range(1, count + 1), count)
    steps: list[Steps] = [
        lambda s: s.fuse(first, last, rows=1 + count % 2),
        lambda s: s.fuse(first, last, direction="backwards"),
        lambda s: s.fuse(first, last, columns=2),
        lambda s: s.fuse(first, last, halo="recompute"),
        lambda s: s.fuse_channels(first, last, slice=2),
        lambda s: s.kernel(first, kernel),
        lambda s: s.reorder(order),
    ]
    return generator.choice(steps)


@pytest.mark.parametrize("seed", range(CASES))
def test_what_random_steps_predict_is_what_the_script_makes(seed: int, tmp_path: Path) -> None:
    """Whatever of the steps is refused leaves the schedule as it was."""
    generator, model = random.Random(seed), branches(tmp_path / "net.mlir")
    schedule = lowtide.open_schedule(model, target=TARGET, keep_input=seed % 3 == 0)
    if generator.random() < 0.5:
        schedule.concat([part for part in (1, 2) if generator.random() < 0.5])
    taken = len(schedule.steps)
    for _ in range(8):
        step = random_step(schedule, generator)
        before = schedule.plan, schedule.script()
        try:
            step(schedule)
            taken += 1
        except InputError as error:
            assert error.stage == "schedule" and error.where and error.remedy
            assert (schedule.plan, schedule.script()) == before
        assert len(schedule.steps) == taken
    lowered = realised(schedule, model, tmp_path, keep_input=seed % 3 == 0)
    assert lowered.network.arena_bytes == schedule.arena_bytes, f"seed {seed}: {schedule.plan}"
    assert lowered.macs == schedule.macs


def test_a_compile_has_the_predicted_arena_picture_and_script(digits: Schedule, tmp_path: Path) -> None:
    artifact = digits.fuse(1, 6).compile(out=tmp_path / "out")
    assert artifact.report.arena_bytes == digits.arena_bytes == 984
    assert artifact.file(".plan.mlir").read_text() == digits.script()
    assert (artifact.directory / "memory_map.svg").read_text() == digits.picture()
    instructions = lowtide.run(artifact.directory, seed=1).instructions
    assert instructions is not None
    assert 0.85 < digits.predicted_instructions / instructions < 1.15
    with pytest.raises(InputError, match="900"):
        digits.compile(out=tmp_path / "small", ram=900)


def test_instructions_are_predicted_for_the_kernels_that_were_picked(digits: Schedule, tmp_path: Path) -> None:
    own = digits.predicted_instructions
    artifact = digits.kernel(3, "general").kernel(6, "general").fuse(1, 6).compile(out=tmp_path / "out")
    instructions = lowtide.run(artifact.directory, seed=1).instructions
    assert instructions is not None
    assert 0.85 < digits.predicted_instructions / instructions < 1.15
    assert digits.predicted_instructions > 1.5 * own


def test_an_arena_that_was_not_predicted_is_a_bug(
    digits: Schedule, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Schedule, "arena_bytes", 77)
    with pytest.raises(InternalError, match="predicted an arena of 77 bytes"):
        digits.compile(out=tmp_path / "out")


def test_a_saved_script_is_replayed_by_lowtide_opt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = branches(tmp_path / "net.mlir")
    schedule = lowtide.open_schedule(model, target=TARGET).concat([1]).kernel(1, "general").fuse(5, 7)
    path = schedule.save(tmp_path / "net.plan.mlir")
    assert path.read_text() == schedule.script()
    flags = ["--lowtide-import-tosa", "--lowtide-normalise", f"--transform-script={path}", "--lowtide-outline"]
    alignment = TARGETS[TARGET].buffer_alignment
    assert lowtide_opt([str(model), *flags, f"--lowtide-allocate=alignment={alignment}", "--lowtide-kernels"]) == 0
    assert f"lowtide.arena_bytes = {schedule.arena_bytes} :" in capsys.readouterr().out


def test_steps_are_listed_with_their_figures_and_undone(digits: Schedule) -> None:
    whole = digits.plan
    assert digits.fuse(1, 6).undo() is digits and digits.plan == whole
    digits.fuse(1, 2).kernel(6, "general").allocate(overlap=False)
    steps = digits.steps
    assert [step.text for step in steps] == [
        "open",
        "fuse 1 to 2 by 1 rows, forwards",
        "kernel general for 6",
        "allocate by auto, without overlap",
    ]
    assert steps[-1].arena_bytes == digits.arena_bytes > steps[-2].arena_bytes
    assert steps[2].predicted_instructions > steps[1].predicted_instructions > 0
    assert digits.undo(2).steps == steps[:2]
    assert digits.plan.fusions == (Fusion(1, 2),)
    assert digits.undo().plan == whole == Plan("untiled", arena_bytes=whole.arena_bytes)
    with pytest.raises(InputError, match="1 steps can't be undone") as caught:
        digits.undo()
    assert caught.value.remedy == "0 have been taken"


def test_layers_say_what_there_is_to_choose(digits: Schedule) -> None:
    digits.fuse(1, 2).kernel(4, "general")
    first, fourth = digits.layers[0], digits.layers[3]
    assert (first.number, first.name, first.kind, first.inputs, first.output) == (
        1,
        FIRST,
        "conv",
        ((1, 8, 8, 1),),
        (1, 8, 8, 16),
    )
    assert (first.nbytes, first.macs, first.kernel, first.loop, first.part) == (
        1_024,
        9_216,
        "register_tiled",
        Fusion(1, 2),
        0,
    )
    assert (fourth.kernel, fourth.kernels, fourth.loop) == ("general", ("map", "general"), None)
    assert digits.kernel(4, None).layers[3].kernel == "map" and digits.plan.kernels == ()
    table = str(digits).splitlines()
    assert table[0].startswith(f"digits_int8 on cortex-m4: {digits.arena_bytes:,} bytes, ")
    assert len(table) == 8 and table[1].endswith(f"{FIRST}  loop 1-2")


def test_numbers_are_those_of_the_new_order(tmp_path: Path) -> None:
    schedule = lowtide.open_schedule(branches(tmp_path / "net.mlir"), target=TARGET)
    names = [layer.name for layer in schedule.layers]
    before = schedule.kernel(1, "general").arena_bytes
    schedule.reorder([2, 1, 3, 4, 5, 6])
    assert [layer.name for layer in schedule.layers] == [names[1], names[0], *names[2:]]
    assert schedule.plan.order == (2, 1, 3, 4, 5, 6) and schedule.plan.kernels == (("general", (2,)),)
    schedule.reorder([2, 1, 3, 4, 5, 6])
    assert (schedule.plan.order, schedule.plan.kernels, schedule.arena_bytes) == ((), (("general", (1,)),), before)


REFUSALS: list[tuple[Steps, str, str, str]] = [
    (lambda s: s.fuse(1, 7), "layer 1 ", "can't be computed by rows", "layers 1 to 6 can be fused like that"),
    (lambda s: s.fuse(6, 7), "layer 6 ", "can't be computed by rows", "fuse other layers"),
    (lambda s: s.fuse(0, 2), "layer 0", "no layer of this number", "numbers 1 to 7"),
    (lambda s: s.fuse(1, 8), "layer 8", "no layer of this number", "numbers 1 to 7"),
    (lambda s: s.fuse(2, 1), f"layer 2 '{SECOND}'", "two layers or more", "the first layer"),
    (lambda s: s.fuse("digits_1/re_lu_1/Rel", 2), "'digits_1/re_lu_1/Rel'", "no layer of this name", FIRST),
    (lambda s: s.fuse("?", 2), "'?'", "no layer of this name", "a number from 1 to 7"),
    (lambda s: s.fuse(1, 2, rows=0), "layer 1 ", "0 rows an iteration", "give 1 to"),
    (lambda s: s.fuse(1, 2, rows=1 << 31), "layer 1 ", "rows an iteration", "give 1 to 2,147,483,647"),
    (lambda s: s.fuse(1, 2, rows=(1 << 31) - 1), "layer 1 ", "beyond a target's 32 bits", "fuse other layers"),
    (lambda s: s.fuse(1, 2, columns=-1), "layer 1 ", "-1 columns at a time", "give 0 to"),
    (lambda s: s.fuse(1, 2, rows=2, columns=2), "layer 1 ", "goes row by row", "fuse other layers"),
    (lambda s: s.fuse(1, 2, direction="up"), "layer 1 ", "unknown direction 'up'", "forwards, backwards"),  # pyright: ignore[reportArgumentType]
    (lambda s: s.fuse(1, 2, halo="none"), "layer 1 ", "unknown halo 'none'", "cache, recompute"),  # pyright: ignore[reportArgumentType]
    (lambda s: s.fuse(1, 2, recompute=[2]), "layer 1 ", "not in the loop", "layers 1 to 1 alone"),
    (lambda s: s.fuse(1, 4, recompute=[1]), "layer 1 ", "can't be recomputed", "fuse other layers"),
    (lambda s: s.fuse(1, 3).fuse(2, 5), f"layer 2 '{SECOND}'", "in a loop already", "leave out layers 1 to 3"),
    (lambda s: s.fuse_channels(1, 2, slice=0), "layer 1 ", "0 channels a slice", "give 1 to"),
    (lambda s: s.fuse_channels(1, 6), "layer 1 ", "by channels", "layers 1 to 3 can be fused like that"),
    (
        lambda s: s.kernel(5, "register_tiled"),
        "layer 5 ",
        "kernel 'register_tiled' can't compute this layer",
        "pool, general",
    ),
    (lambda s: s.reorder([1, 2]), "[1, 2]", "not have every layer once", "layers 1 to 7 once"),
    (lambda s: s.reorder([2, 1, 3, 4, 5, 6, 7]), "layer 2 ", "before layer 1, which it needs", "put 1 before 2"),
    (lambda s: s.fuse(1, 2).reorder(range(1, 8)), "layer 1 ", "in a loop", "undo() the loops"),
    (lambda s: s.concat([1]), "concat", "no part 1 of a concat", "no part with a choice"),
    (lambda s: s.kernel(1, "general").concat([]), "concat", "other numbers", "undo() the other steps"),
    (lambda s: s.allocate(strategy="best"), "allocate", "unknown strategy 'best'", "auto"),
]


@pytest.mark.parametrize(("steps", "where", "message", "remedy"), REFUSALS)
def test_refusals_say_stage_layer_and_remedy(
    steps: Steps, where: str, message: str, remedy: str, digits: Schedule
) -> None:
    with pytest.raises(InputError) as caught:
        steps(digits)
    error = caught.value
    assert error.stage == "schedule"
    assert where in (error.where or "") and message in error.message and remedy in (error.remedy or "")
    assert digits.undo(len(digits.steps) - 1).plan.arena_bytes == digits.arena_bytes


def test_a_refused_step_leaves_the_schedule_as_it_was(digits: Schedule) -> None:
    before = digits.fuse(1, 2).steps, digits.plan, digits.script()
    with pytest.raises(InputError):
        digits.fuse(2, 3)
    assert (digits.steps, digits.plan, digits.script()) == before


def test_layers_of_one_name_are_told_apart_by_number(tmp_path: Path) -> None:
    schedule = lowtide.open_schedule(branches(tmp_path / "net.mlir"), target=TARGET)
    names = [layer.name for layer in schedule.layers]
    twice = "linalg.generic"
    with pytest.raises(InputError, match="several layers have this name") as caught:
        schedule.kernel(twice, "general")
    numbers = [number for number, name in enumerate(names, start=1) if name == twice]
    assert caught.value.remedy == f"say which by its number: {', '.join(map(str, numbers))}"


def test_unknown_targets_and_objectives_are_usage_errors(digits: Schedule) -> None:
    with pytest.raises(UsageError, match="target"):
        lowtide.open_schedule(DIGITS, target="cortex-m99")
    with pytest.raises(UsageError, match="how much RAM"):
        digits.search("fit")
