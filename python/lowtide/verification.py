"""Runs artifacts and compares them with a reference: behind `lowtide run` and `lowtide verify`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from lowtide import streaming
from lowtide.artifact import Artifact, compile_model, load
from lowtide.codegen.iree import scratch_directory
from lowtide.emulate import backend_named, load_artifact
from lowtide.emulate.backend import Array, Backend, RunResult, Session
from lowtide.emulate.backends.qemu import QemuBackend
from lowtide.emulate.backends.unicorn import UnicornBackend, UnicornSession
from lowtide.emulate.compare import Difference, compare_runs
from lowtide.emulate.inputs import fit_input, load_arrays, load_inputs, random_inputs
from lowtide.emulate.oracle import Oracle
from lowtide.emulate.oracle.decisive import decisive_engine, explained
from lowtide.emulate.oracle.domains import domains
from lowtide.emulate.oracle.draw import draw
from lowtide.emulate.oracle.question import question
from lowtide.emulate.timing.model import Cycles
from lowtide.emulate.witness.witness import check_trace
from lowtide.errors import InputError, InternalError, UsageError
from lowtide.flash_models import FlashModel, flash_model_named
from lowtide.importer import IMPORTERS
from lowtide.importer.tflite import NO_SHAPES, contents
from lowtide.importer.tflite.given_shapes import Shapes
from lowtide.limits import MOST_RUNS, MOST_SEED, check_number
from lowtide.network import RESET_MARK_BYTES, IoTensor
from lowtide.plan.plan import DEFAULT_OBJECTIVE, Objective
from lowtide.report.report import Report, update_report

EMULATED_MACS = 50_000_000
"""Networks above this are emulated on one input and run on the host, same IR, on the others."""
FLOAT_TOLERANCE = 1e-4
"""Largest difference of a float output, as a fraction of the range of the reference outputs."""
ArtifactKind = Literal["object", "elf"]
ELF_BACKENDS: dict[str, Callable[[ArtifactKind], Backend]] = {"unicorn": UnicornBackend, "qemu": QemuBackend}


@dataclass(frozen=True)
class Verification:
    """Outcome of a comparison.

    Attributes:
        difference: over all runs.
        runs: how many inputs; `emulated` of them on the target's emulator, the others on the host.
        oracle: where the reference outputs come from.
        passed: int8 bit-exact, float within `FLOAT_TOLERANCE` of the range.
        result: what the first emulated run measured.
        report: the report of the compiled network.
    """

    difference: Difference
    runs: int
    emulated: int
    oracle: str
    passed: bool
    result: RunResult
    report: Report


def run_artifact(
    directory: str | Path,
    inputs: Sequence[Array | Path] = (),
    *,
    seed: int = 0,
    backend: str = "unicorn",
    kind: ArtifactKind = "object",
    witness: bool = False,
    flash_model: str | None = None,
) -> RunResult:
    """Run a compiled network once and note in its report what was measured.

    Args:
        directory: a folder that `compile` wrote.
        inputs: one array or `.npy` file per network input; empty for random ones.
        seed: of the random inputs.
        backend: a name of `lowtide.emulate.BACKENDS`.
        kind: the shipped object file, or the embedded ELF (not on the host).
        witness: run it once more, and check that every load from the arena reads what the right layer stored.
        flash_model: a name of `lowtide.flash_models.FLASH_MODELS`: run it twice more, and model the cycles with
            the wait states of that flash.

    Raises:
        InputError: the folder or an input is refused; or the code left its memory, took more stack than the report
            claims, or a load read what it should not: a folder may come from anybody.
        UsageError: the backend can't run this target, can't witness, or can't model cycles.
    """
    check_number("run", seed, "seed", 0, MOST_SEED)
    flash = None if flash_model is None else flash_model_named(flash_model)
    try:
        return _run(Path(directory), inputs, seed, backend, kind, witness=witness, flash=flash)
    except InternalError as error:
        remedy = "compile the model again; if the new folder fails too, that is a bug of lowtide: report it"
        raise InputError(error.stage, error.message, where=error.where or str(directory), remedy=remedy) from error


def _run(
    folder: Path,
    inputs: Sequence[Array | Path],
    seed: int,
    backend: str,
    kind: ArtifactKind,
    *,
    witness: bool,
    flash: FlashModel | None,
) -> RunResult:
    """Do what `run_artifact` says; an `InternalError` tells what the folder's code did wrong."""
    view = load_artifact(folder)
    tensors = view.given
    arrays = _arrays(inputs, tensors) if inputs else random_inputs(tensors, seed)
    measures = backend == "unicorn"
    report = load(folder).report
    session = _backend(backend, kind).open(view)
    before = session.held
    result = session.run(arrays, probe=measures)
    _check_result(result, report, kind)
    _check_pull(session, arrays, result, before)
    if witness:
        result = replace(result, witnessed_loads=_witness(session, arrays, result, report, before))
    if flash is not None:
        result = replace(result, cycles=_cycles_with(session, arrays, flash, before))
    if result.instructions is not None and kind == "object":
        if load(folder).report.measured(None, None) != report.measured(None, None):
            raise InputError(
                "run", "the folder was written anew during the run", where=str(folder), remedy="run it again"
            )
        update_report(folder, _measured(report, result))
    return result


def _check_pull(session: Session, inputs: Sequence[Array], pushed: RunResult, before: tuple[bytes, ...]) -> None:
    """Run once more where rows may be brought in another way, from what was remembered before the run, and compare."""
    if not isinstance(session, UnicornSession) or not session.is_streamed:
        return
    pulled = session.pulled(inputs, before)
    if any(one.tobytes() != two.tobytes() for one, two in zip(pushed.outputs, pulled.outputs, strict=True)):
        raise InternalError("run", "the outputs are others where rows are written into the arena by the caller")


def _measured(report: Report, result: RunResult) -> Report:
    cycles = None if result.cycles is None else (result.cycles.count, result.cycles.model)
    return report.measured(result.instructions, result.stack_used_bytes, cycles)


def _cycles_with(session: Session, inputs: Sequence[Array], flash: FlashModel, before: tuple[bytes, ...]) -> Cycles:
    if not isinstance(session, UnicornSession):
        raise UsageError("run", "only Unicorn can model flash", remedy="leave out --backend, or --flash-model")
    session.held = before
    return session.cycles_with(inputs, flash)


def _witness(
    session: Session, inputs: Sequence[Array], first: RunResult, report: Report, before: tuple[bytes, ...]
) -> int:
    """The number of loads that a further run was seen to make, all of them right."""
    if not isinstance(session, UnicornSession):
        raise UsageError("run", "only Unicorn can witness a run", remedy="leave out --backend, or --witness")
    if not report.layers:
        raise InputError("run", "the report does not say what the layers read and write", remedy="compile again")
    rewriting = next((layer for layer in report.layers if layer.rewrites), None)
    if rewriting is not None:
        message = "MLIR made the code of this layer, and stores bytes of its output more than once"
        raise InputError("run", message, where=f"'{rewriting.name}'", remedy="leave out --witness")
    # from what was remembered before the first run, not after it
    session.held = before
    result, trace = session.trace(inputs)
    if report.mark_offset is not None:
        # an access that is no layer's: whether the states hold something
        trace = trace.without(report.mark_offset, RESET_MARK_BYTES)
    if report.position_offset is not None:
        # nor those that say how far a run has got
        trace = trace.without(report.position_offset, streaming.WORD_BYTES * streaming.words(len(report.streams)))
    if any(one.tobytes() != two.tobytes() for one, two in zip(first.outputs, result.outputs, strict=True)):
        raise InternalError("witness", "the run gave other outputs than before, when it was not watched")
    return check_trace(trace, report.layers, report.buffers, report.arena_bytes, report.loops).loads


def _arrays(inputs: Sequence[Array | Path], tensors: Sequence[IoTensor]) -> tuple[Array, ...]:
    if len(inputs) != len(tensors):
        raise UsageError("run", f"the network has {len(tensors)} inputs, {len(inputs)} were given")
    return tuple(
        load_inputs([item], [tensor])[0] if isinstance(item, Path) else fit_input(item, tensor, "input")
        for item, tensor in zip(inputs, tensors, strict=True)
    )


def _backend(name: str, kind: ArtifactKind) -> Backend:
    if kind == "object":
        return backend_named(name)
    if name not in ELF_BACKENDS:
        remedy = f"choose --backend {' or '.join(ELF_BACKENDS)}"
        raise UsageError("run", f"the backend '{name}' does not run the embedded ELF", remedy=remedy)
    return ELF_BACKENDS[name]("elf")


def _check_result(result: RunResult, report: Report, kind: ArtifactKind = "object") -> None:
    used, stack_bytes = result.stack_used_bytes, report.stack_bytes
    # The claim is for the object file: the ELF is entered through IREE's own function. What the compiler library's
    # functions take is not in it either, and the report says so.
    claimed = kind == "object" and not report.external_symbols
    if claimed and used is not None and used > stack_bytes:
        raise InternalError("run", f"the run took {used} bytes of stack, the report claims at most {stack_bytes}")
    if result.return_code != 0:
        raise InternalError("run", f"the network returned {result.return_code}")


def verify_model(
    model: str | Path,
    *,
    target: str,
    golden: str | Path | None = None,
    count: int = 20,
    seed: int = 0,
    backend: str | None = None,
    objective: Objective = DEFAULT_OBJECTIVE,
    ram: int | None = None,
    stream_input: Sequence[str] = (),
    out: str | Path | None = None,
    until: Sequence[str] = (),
    shape: Shapes = NO_SHAPES,
    listen: Callable[[str], None] = lambda _: None,
) -> Verification:
    """Compile a model, run it and compare it with stored outputs or with LiteRT Micro.

    Args:
        model: the model's file.
        target: a name of `lowtide.targets.TARGETS`.
        golden: an `.npz` with inputs `x` and outputs `y` (one run a row); None to compare with LiteRT Micro,
            or with LiteRT's reference kernels where Micro does not take the model.
        count: runs at most (all stored ones if fewer).
        seed: of the random inputs without `golden`.
        backend: a name of `lowtide.emulate.BACKENDS`; None for Unicorn, or the host where Unicorn has no such core.
        objective, ram, stream_input: as in `compile_model`; rows are brought through both interfaces.
        out: keep the artifacts there.
        until, shape: as in `compile_model`.
        listen: called with what is being done.

    Raises:
        InputError, UsageError, InternalError: as `compile_model` and `run_artifact`.
        OracleError: neither engine is installed, or neither takes the model.
    """
    check_number("verify", count, "count", 1, MOST_RUNS)
    check_number("verify", seed, "seed", 0, MOST_SEED - MOST_RUNS)
    reference = _Stored(Path(golden), count) if golden is not None else _Engines(Path(model), until, shape, count, seed)
    if backend is not None:
        backend_named(backend)
    with scratch_directory() as scratch:
        directory = Path(out) if out is not None else scratch / "out"
        artifact = compile_model(
            model,
            target=target,
            ram=ram,
            objective=objective,
            stream_input=stream_input,
            out=directory,
            until=until,
            shape=shape,
            listen=listen,
        )
        listen("reference")
        references = reference.runs(artifact.report)
        listen("run")
        return _compare(artifact, references, backend)


def _compare(artifact: Artifact, references: References, backend: str | None) -> Verification:
    view = load_artifact(artifact.directory)
    first = backend_named(backend or ("unicorn" if view.target.emulator not in ("", "host") else "host")).open(view)
    # what a network remembers is on the one machine that ran it
    large = artifact.report.macs > EMULATED_MACS and backend is None and not artifact.report.states
    rest: Session = backend_named("host").open(view) if large else first
    results: list[RunResult] = []
    for number, arrays in enumerate(references.inputs):
        session = first if number == 0 else rest
        before = session.held
        results.append(session.run(arrays))
        _check_result(results[-1], artifact.report)
        _check_pull(session, arrays, results[-1], before)
    difference = compare_runs([result.outputs for result in results], references.outputs)
    exact = not any(np.issubdtype(output.dtype, np.floating) for output in results[0].outputs)
    on_host = [result.instructions is None for result in results]
    return Verification(
        difference=difference,
        runs=len(results),
        emulated=on_host.count(False) if backend != "qemu" else len(results),
        oracle=references.oracle,
        passed=difference.count == 0 if exact else difference.within(FLOAT_TOLERANCE),
        result=results[0],
        report=_measured(artifact.report, results[0]),
    )


@dataclass(frozen=True)
class References:
    """Inputs and the outputs that are right for them, `[run][tensor]`, and who says so."""

    inputs: Sequence[Sequence[Array]]
    outputs: Sequence[Sequence[Array]]
    oracle: str


class _Engines:
    """Random inputs, and what LiteRT Micro makes of them, or LiteRT where Micro does not take the model."""

    def __init__(self, model: Path, until: Sequence[str], shapes: Shapes, count: int, seed: int) -> None:
        if model.suffix in IMPORTERS and model.suffix != ".tflite":
            remedy = "compare with stored outputs: --golden FILE.npz"
            raise UsageError("verify", "LiteRT can only check a .tflite model", where=str(model), remedy=remedy)
        self._model, self._until, self._shapes, self._count, self._seed = model, until, shapes, count, seed

    def runs(self, report: Report) -> References:
        where = str(self._model)
        asked = question(contents(self._model), self._until, self._shapes, where)
        tensors, sensible = report.given, domains(asked.model)
        inputs = [draw(tensors, sensible, run, self._seed) for run in range(self._count)]
        with Oracle() as oracle:
            first = decisive_engine(asked.model)
            answer = oracle.run(asked.file, inputs, where, first=first, static=asked.static)
        return References(inputs, answer.outputs, explained(answer))


class _Stored:
    """The arrays `x` and `y` of an `.npz` file."""

    def __init__(self, path: Path, count: int) -> None:
        self._path, self._count = path, count
        remedy = "store inputs as x and outputs as y, one run a row: numpy.savez(FILE, x=…, y=…)"
        arrays = load_arrays(path, ("x", "y"), "verify", remedy)
        self._xs, self._ys = arrays["x"], arrays["y"]
        if not self._xs.ndim or not self._ys.ndim or not len(self._xs) or len(self._xs) != len(self._ys):
            shapes = f"x has the shape {list(self._xs.shape)}, y {list(self._ys.shape)}: not one row a run each"
            raise InputError("verify", shapes, where=str(path), remedy=remedy)

    def runs(self, report: Report) -> References:
        if len(report.given) != 1 or len(report.outputs) != 1:
            raise UsageError("verify", "--golden takes networks with one input and one output")
        inputs = self._rows(self._xs, report.given[0], "x")
        return References(inputs, self._rows(self._ys, report.outputs[0].tensor, "y"), self._path.name)

    def _rows(self, rows: Array, tensor: IoTensor, name: str) -> list[tuple[Array, ...]]:
        where = f"{self._path}, a row of {name}"
        return [(fit_input(row, tensor, where, stage="verify"),) for row in rows[: self._count]]
