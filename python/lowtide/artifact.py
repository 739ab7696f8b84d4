"""From a model to a folder of artifacts: the compile behind `lowtide compile` and `lowtide.compile`."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lowtide.codegen import CodegenResult, generate
from lowtide.errors import InputError, UsageError
from lowtide.lower import Lowered, identifier, lower
from lowtide.plan.plan import Objective
from lowtide.report.memory_map import memory_map_svg
from lowtide.report.report import FILE, Report, read_report, step_names
from lowtide.stages import Stages
from lowtide.targets import Target, target_named


@dataclass(frozen=True)
class Artifact:
    """A compiled network on disk.

    Attributes:
        directory: the folder; its files are NAME.o, NAME.h, NAME.elf (absent for a float network on a core without FPU),
            NAME.vmfb, NAME.plan.mlir, report.json and memory_map.svg.
        report: what report.json says.
    """

    directory: Path
    report: Report

    def file(self, suffix: str) -> Path:
        """NAME + suffix in the folder."""
        return self.directory / f"{self.report.name}{suffix}"


def compile_model(
    model: str | Path,
    *,
    target: str,
    ram: int | None = None,
    objective: Objective = "untiled",
    out: str | Path | None = None,
    until: Sequence[str] = (),
    keep_input: bool = False,
    dump_dir: str | Path | None = None,
    listen: Callable[[str], None] = lambda _: None,
) -> Artifact:
    """Compile a network into a folder; the same input gives the same bytes (but for the times in report.json).

    Args:
        model: a `.tflite`, `.mlir` or `.mlirbc` file.
        target: a name of `lowtide.targets.TARGETS`.
        ram: bytes that `sram_bytes` (arena + stack + data) must not exceed.
        objective: `untiled` leaves every layer whole.
        out: the folder to make or replace; default `MODEL-TARGET` in the current folder.
        until: tensors that become the outputs; the rest of the network is left out.
        keep_input: leave the input's bytes intact; otherwise later layers may overwrite them.
        dump_dir: write the IR there after every stage.
        listen: called with each stage's name as it begins.

    Raises:
        InputError: the model is refused, does not fit `ram`, or the folder can't be written.
        UsageError: unknown target or objective, or a bad argument.
    """
    path = Path(model)
    core = target_named(target)
    if ram is not None and ram <= 0:
        raise UsageError("compile", f"{ram} bytes of RAM hold nothing", remedy="give --ram a positive number of bytes")
    directory = Path(out) if out is not None else Path(f"{identifier(path.stem)}-{target}")
    _check_replaceable(directory)
    stages = Stages(listen, Path(dump_dir) if dump_dir is not None else None)
    lowered = lower(path, core, objective=objective, until=until, keep_input=keep_input, stages=stages)
    _check_arena(lowered, ram)
    with _aside(directory) as scratch:
        with stages.stage("codegen"):
            code = generate(lowered.network, core, scratch)
        report = _report(path, core, objective, lowered, code, stages)
        _check_ram(report, ram)
        _write(scratch / f"{report.name}.plan.mlir", lowered.script)
        _write(scratch / FILE, report.to_json())
        title = f"{report.name} on {report.target}"
        _write(
            scratch / "memory_map.svg",
            memory_map_svg(title, report.buffers, report.steps, max(report.arena_bytes, 1), ram),
        )
    return Artifact(directory, report)


def load(directory: str | Path) -> Artifact:
    """The artifact in a folder that `compile` wrote."""
    folder = Path(directory)
    return Artifact(folder, read_report(folder))


def _report(
    path: Path, target: Target, objective: Objective, lowered: Lowered, code: CodegenResult, stages: Stages
) -> Report:
    network, graph = lowered.network, lowered.graph
    return Report(
        model=path.name,
        name=network.name,
        target=target.name,
        objective=objective,
        arena_bytes=network.arena_bytes,
        stack_bytes=code.stack_bytes,
        data_bytes=code.data_bytes,
        sram_bytes=network.arena_bytes + code.stack_bytes + code.data_bytes,
        baseline_bytes=graph.baseline_bytes,
        untiled_bound_bytes=graph.between_bytes,
        allocation_bound_bytes=lowered.bound_bytes,
        flash_bytes=code.code_bytes + code.rodata_bytes,
        code_bytes=code.code_bytes,
        weights_bytes=code.rodata_bytes,
        macs=graph.macs,
        baseline_macs=graph.macs,
        instructions=None,
        stack_used_bytes=None,
        keep_input=network.keep_input,
        external_symbols=code.external_symbols,
        inputs=network.inputs,
        outputs=network.outputs,
        steps=step_names([layer.name for layer in graph.layers]),
        buffers=lowered.buffers,
        stages=tuple(stages.seconds),
    )


def _check_arena(lowered: Lowered, ram: int | None) -> None:
    """Refuse before codegen what the arena alone rules out."""
    if ram is not None and lowered.network.arena_bytes > ram:
        raise _too_small(lowered.network.arena_bytes, "for the arena alone", lowered, ram)


def _check_ram(report: Report, ram: int | None) -> None:
    if ram is not None and report.sram_bytes > ram:
        message = f"the network needs {report.sram_bytes:,} bytes of RAM, --ram gives {ram:,}"
        parts = f"arena {report.arena_bytes:,} + stack {report.stack_bytes:,} + data {report.data_bytes:,}"
        raise InputError("allocate", f"{message} ({parts})", remedy=f"give it --ram {report.sram_bytes}")


def _too_small(needed: int, what: str, lowered: Lowered, ram: int) -> InputError:
    graph = lowered.graph
    step = graph.peak_step
    names = step_names([layer.name for layer in graph.layers])
    held = ", ".join(f"'{t.name}' {t.nbytes:,}" for t in sorted(graph.live(step), key=lambda t: -t.nbytes))
    return InputError(
        "allocate",
        f"the network needs {needed:,} bytes {what}, --ram gives {ram:,}",
        where=f"step {step} of {len(graph.layers)}, '{names[step]}', which holds {held}",
        remedy=f"give it at least {needed:,} bytes and its stack, or a smaller model",
    )


def _check_replaceable(directory: Path) -> None:
    """Only a folder that lowtide wrote, or an empty one, is replaced."""
    if not directory.exists():
        return
    if not directory.is_dir():
        raise UsageError("compile", "the output is not a folder", where=str(directory), remedy="choose another -o DIR")
    if any(directory.iterdir()) and not (directory / FILE).is_file():
        message = "the output folder holds files that lowtide did not write"
        raise UsageError("compile", message, where=str(directory), remedy="choose another -o DIR, or empty it")


@contextmanager
def _aside(directory: Path) -> Generator[Path]:
    """A folder beside `directory` that takes its place at the end; nothing is left of it after an error."""
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    except OSError as error:
        raise _cannot_write(directory, error) from error
    try:
        yield scratch
        scratch.chmod(0o755)
        _swap(scratch, directory)
    except OSError as error:
        raise _cannot_write(directory, error) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _swap(scratch: Path, directory: Path) -> None:
    """Rename `scratch` to `directory`, keeping the old folder until the new one is in place."""
    if not directory.exists():
        os.replace(scratch, directory)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{directory.name}.old.", dir=directory.parent))
    os.replace(directory, old / "was")
    try:
        os.replace(scratch, directory)
    except OSError:
        os.replace(old / "was", directory)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _cannot_write(directory: Path, error: OSError) -> InputError:
    reason = error.strerror or str(error)
    remedy = "free some space or choose another -o DIR"
    return InputError("compile", f"cannot write the output: {reason}", where=str(directory), remedy=remedy)
