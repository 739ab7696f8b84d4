"""Compiles hostile networks and plans, each in a process of its own under limits, and says what went wrong.

The process is a copy of this one that has everything loaded (`fork`), which takes a tenth of the time of a new one;
so is the one in which lowtide reads strangers' IR. Nothing here may use MLIR before.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pkgutil
import random
import resource
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

import hostile_samples
import hostile_tflite
from hostile_edits import NETWORK_WEIGHTS, PLAN_WEIGHTS, edited
from hostile_samples import Sample

import lowtide
from lowtide import isolated
from lowtide.cli.main import main as lowtide_main
from lowtide.isolated_child import answer

Kind = Literal["network", "plan", "tflite"]
TARGETS = ("cortex-m4", "cortex-m4", "cortex-m4", "rv32imac", "cortex-m55")
SECONDS = 60
"""Processor time that a case may take, together with its processes."""
MEMORY_BYTES = 4 << 30
_PATIENCE = 900
_LONGEST_OUTPUT = 20_000
_REFUSED = (1, 2)


@dataclass(frozen=True)
class Case:
    """A network and perhaps a plan for it, one of them edited.

    Attributes:
        name: kind, seed and number, which give the same case again.
        network, plan: the files' contents; the plan's is empty for none.
    """

    name: str
    network: bytes
    plan: bytes
    target: str

    @property
    def file(self) -> str:
        """The name of the network's file."""
        return "net.tflite" if self.name.startswith("tflite:") else "net.mlir"


@dataclass(frozen=True)
class Verdict:
    """How a case ended.

    Attributes:
        code: the exit code; the negative number of a signal.
        fault: what is wrong with that; empty where nothing is.
        seconds: of processor time.
        memory: bytes that the largest process held.
        said: what was printed.
    """

    code: int
    fault: str
    seconds: float
    memory: int
    said: str


def preload() -> None:
    """Load all of lowtide, so that no case has to."""
    for module in pkgutil.walk_packages(lowtide.__path__, "lowtide."):
        # what needs an extra that is not installed is not needed here, either
        with contextlib.suppress(ImportError):
            importlib.import_module(module.name)


def samples() -> tuple[list[str], list[Sample]]:
    """Networks, and networks with plans; they are made in another process, as that uses MLIR."""
    reader, writer = os.pipe()
    process = os.fork()
    if process == 0:
        with os.fdopen(writer, "w") as stream:
            json.dump([hostile_samples.networks(), list(map(asdict, hostile_samples.planned()))], stream)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        networks, planned = json.load(stream)
    os.waitpid(process, 0)
    return networks, [Sample(**fields) for fields in planned]


def cases(kind: Kind, seed: int, first: int, count: int) -> Iterator[Case]:
    """The cases of a seed from number `first` on."""
    preload()
    networks, planned = samples() if kind != "tflite" else ([], [])
    files = hostile_tflite.samples() if kind == "tflite" else []
    for number in range(first, first + count):
        choose = random.Random(f"{kind}:{seed}:{number}")
        name, target = f"{kind}:{seed}:{number}", choose.choice(TARGETS)
        if kind == "network":
            yield Case(name, _encoded(edited(choose.choice(networks), choose, NETWORK_WEIGHTS)), b"", target)
        elif kind == "tflite":
            yield Case(name, hostile_tflite.edited(choose.choice(files), choose), b"", target)
        else:
            sample = choose.choice(planned)
            plan = _encoded(edited(sample.plan, choose, PLAN_WEIGHTS))
            yield Case(name, _encoded(sample.network), plan, target)


def run(case: Case) -> Verdict:
    """Compile a case; leaves nothing behind."""
    folder = Path(tempfile.mkdtemp(prefix="hostile-"))
    try:
        (folder / case.file).write_bytes(case.network)
        (folder / "tmp").mkdir()
        arguments = ["compile", case.file, "--target", case.target, "-o", "out"]
        if case.plan:
            (folder / "plan.mlir").write_bytes(case.plan)
            arguments += ["--plan", "plan.mlir"]
        started = time.monotonic()
        process = os.fork()
        if process == 0:
            _compile(folder, arguments)
        status, usage, late = _wait(process, started)
        code = os.waitstatus_to_exitcode(status)
        said = (folder / "said").read_text(encoding="utf-8", errors="replace")
        (folder / "said").unlink()
        seconds, memory = usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024
        fault = f"did not end in {_PATIENCE} s" if late else _fault(code, said, seconds, memory)
        return Verdict(code, fault or _left_over(folder, code), seconds, memory, said)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _compile(folder: Path, arguments: list[str]) -> NoReturn:
    """In the new process: the command line, with both streams in one file."""
    code = 70
    try:
        os.setsid()
        os.chdir(folder)
        os.environ |= {"TMPDIR": str(folder / "tmp"), "COLUMNS": "200", "MALLOC_ARENA_MAX": "1"}
        tempfile.tempdir = None
        said = os.open(folder / "said", os.O_WRONLY | os.O_CREAT)
        os.dup2(said, 1)
        os.dup2(said, 2)
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
        isolated.start_child = _forked
        code = lowtide_main(arguments)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _forked(request: bytes) -> subprocess.CompletedProcess[bytes]:
    """`lowtide.isolated.start_child` by a copy of this process."""
    (out_reader, out), (error_reader, error) = os.pipe(), os.pipe()
    process = os.fork()
    if process == 0:
        try:
            os.dup2(error, 2)
            sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
            answer(request, out)
        except BaseException as raised:
            sys.excepthook(type(raised), raised, raised.__traceback__)
            sys.stderr.flush()
            os._exit(1)
    os.close(out)
    os.close(error)
    printed = _drained(out_reader, error_reader)
    _, status = os.waitpid(process, 0)
    return subprocess.CompletedProcess([], os.waitstatus_to_exitcode(status), *printed)


def _drained(*readers: int) -> list[bytes]:
    """All that comes out of some pipes."""
    found: dict[int, list[bytes]] = {reader: [] for reader in readers}
    with selectors.DefaultSelector() as selector:
        for reader in readers:
            selector.register(reader, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                data = os.read(key.fd, 1 << 16)
                found[key.fd].append(data)
                if not data:
                    selector.unregister(key.fd)
                    os.close(key.fd)
    return [b"".join(found[reader]) for reader in readers]


def _wait(process: int, started: float) -> tuple[int, resource.struct_rusage, bool]:
    while True:
        found, status, usage = os.wait4(process, os.WNOHANG)
        if found:
            return status, usage, False
        if time.monotonic() - started > _PATIENCE:
            os.killpg(process, signal.SIGKILL)
            _, status, usage = os.wait4(process, 0)
            return status, usage, True
        time.sleep(0.01)


def _fault(code: int, said: str, seconds: float, memory: int) -> str:
    checks: tuple[tuple[bool, Callable[[], str]], ...] = (
        (code < 0, lambda: f"ended by {signal.Signals(-code).name}"),
        (code not in (0, *_REFUSED), lambda: f"exit code {code}"),
        ("Traceback" in said, lambda: "a traceback"),
        (code != 0 and not said.strip(), lambda: "refused without a word"),
        (len(said) > _LONGEST_OUTPUT, lambda: f"{len(said)} characters of output"),
        (seconds > SECONDS, lambda: f"{seconds:.0f} s"),
        (memory > MEMORY_BYTES, lambda: f"{memory >> 20} MiB"),
    )
    return next((text() for wrong, text in checks if wrong), "")


def _left_over(folder: Path, code: int) -> str:
    """What is in the folder that should not be there."""
    expected = {"net.mlir", "net.tflite", "plan.mlir", "tmp"} | ({"out"} if code == 0 else set[str]())
    there = {path.name for path in folder.iterdir()}
    foreign = sorted(there - expected) + sorted(f"tmp/{path.name}" for path in (folder / "tmp").iterdir())
    if foreign:
        return f"left {', '.join(foreign)}"
    return "wrote nothing" if code == 0 and not (folder / "out" / "report.json").is_file() else ""


def tally(verdicts: list[Verdict]) -> dict[str, Any]:
    """How many ended how, and the largest figures."""
    return {
        "compiled": sum(verdict.code == 0 for verdict in verdicts),
        "refused": sum(verdict.code in _REFUSED for verdict in verdicts),
        "faults": sum(bool(verdict.fault) for verdict in verdicts),
        "most seconds": round(max((verdict.seconds for verdict in verdicts), default=0), 1),
        "most MiB": max((verdict.memory for verdict in verdicts), default=0) >> 20,
    }
