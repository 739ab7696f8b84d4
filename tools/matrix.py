#!/usr/bin/env python3
"""Compiles every `.tflite` file of a folder, runs it in an emulated core and compares it with LiteRT Micro.

    python tools/matrix.py ../shared/matrix
    python tools/matrix.py ../shared/matrix --targets cortex-m4 --only 'conv*' --results build/matrix.jsonl

Files go to processes of their own: what kills one is told and the others go on. With `--results` each verdict is kept,
and a run that was cut short goes on where it was; `--again` forgets them. The exit code is 1 where an output differs or
something crashed.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import queue
import sys
import threading
import time
from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / folder) for folder in ("python", "dialects", "test")]

if TYPE_CHECKING:
    from matrix import Verdict

SECONDS = 600


@dataclass(frozen=True)
class Job:
    """One file for one target."""

    path: Path
    target: str
    runs: int
    seed: int


def main(argv: Sequence[str] | None = None) -> int:
    """Judge the files that the command line names; returns the exit code."""
    arguments = _parser().parse_args(argv)
    files = sorted(path for path in arguments.folder.rglob("*.tflite") if path.match(arguments.only))
    results: Path | None = arguments.results
    if results is not None and arguments.again:
        results.unlink(missing_ok=True)
    verdicts = _kept(results)
    done = {(verdict.name, verdict.target) for verdict in verdicts}
    jobs = [Job(path, target, arguments.runs, arguments.seed) for target in arguments.targets for path in files]
    jobs = [job for job in jobs if (job.path.stem, job.target) not in done]
    start = time.monotonic()
    for verdict in _judged(jobs, arguments.jobs):
        verdicts.append(verdict)
        _tell(verdict, len(verdicts), time.monotonic() - start)
        if results is not None:
            results.parent.mkdir(parents=True, exist_ok=True)
            with results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(verdict)) + "\n")
    names = {path.stem for path in files}
    return _summary([verdict for verdict in verdicts if verdict.name in names and verdict.target in arguments.targets])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="searched for .tflite files, with what is below it")
    parser.add_argument("--targets", type=lambda text: text.split(","), default=["cortex-m4", "rv32imac"])
    parser.add_argument("--only", default="*.tflite", help="files that match this pattern, e.g. 'conv*'")
    parser.add_argument("--runs", type=int, default=8, help="inputs for each; the first six look for trouble")
    parser.add_argument("--seed", type=int, default=0, help="of the inputs")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="processes at once")
    parser.add_argument("--results", type=Path, metavar="FILE.jsonl", help="keep verdicts there, and go on from them")
    parser.add_argument("--again", action="store_true", help="forget the verdicts that are kept")
    return parser


def _kept(results: Path | None) -> list[Verdict]:
    from matrix import Verdict

    if results is None or not results.exists():
        return []
    return [Verdict(**json.loads(line)) for line in results.read_text(encoding="utf-8").splitlines()]


def _judged(jobs: Sequence[Job], count: int) -> Generator[Verdict]:
    """Verdicts as they come, from `count` processes, each fed by a thread of its own."""
    waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
    for job in jobs:
        waiting.put(job)
    found: queue.SimpleQueue[Verdict] = queue.SimpleQueue()
    for _ in range(min(count, len(jobs))):
        threading.Thread(target=_feed, args=(waiting, found), daemon=True).start()
    for _ in jobs:
        yield found.get()


def _feed(waiting: queue.SimpleQueue[Job], found: queue.SimpleQueue[Verdict]) -> None:
    from matrix import Verdict

    worker = _Worker()
    while True:
        try:
            job = waiting.get_nowait()
        except queue.Empty:
            worker.end()
            return
        died = worker.judge(job)
        found.put(Verdict(job.path.stem, job.target, "crashed", message=died) if isinstance(died, str) else died)


class _Worker:
    """A process that judges one file after the other; a new one after it died."""

    def __init__(self) -> None:
        self._start()

    def judge(self, job: Job) -> Verdict | str:
        """The verdict, or how the process died of the file."""
        try:
            self._pipe.send(job)
            if self._pipe.poll(SECONDS):
                return self._pipe.recv()
            how = f"not finished in {SECONDS} s"
        except (EOFError, OSError):
            self._process.join()
            how = f"the process died with exit code {self._process.exitcode}"
        self.end()
        self._start()
        return how

    def end(self) -> None:
        """Kill the process."""
        self._process.kill()
        self._process.join()

    def _start(self) -> None:
        # a fresh interpreter: MLIR's threads would not survive a fork
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()


def _work(pipe: Connection) -> None:
    from matrix import judge

    while True:
        job: Job = pipe.recv()
        pipe.send(judge(job.path, job.target, job.runs, job.seed))


def _tell(verdict: Verdict, number: int, seconds: float) -> None:
    if verdict.kind in ("different", "crashed"):
        print(f"{verdict.kind}: {verdict.name} on {verdict.target}: {verdict.message}", flush=True)
    if number % 50 == 0:
        print(f"{seconds:5.0f} s  {number} judged", flush=True)


def _summary(verdicts: Sequence[Verdict]) -> int:
    from matrix import KINDS

    for target in sorted({verdict.target for verdict in verdicts}):
        kinds = Counter(verdict.kind for verdict in verdicts if verdict.target == target)
        print(f"{target}: " + ", ".join(f"{kinds[kind]} {kind}" for kind in KINDS))
        refusals = [v for v in verdicts if (v.target, v.kind) == (target, "refused")]
        refused = Counter(verdict.operator or _short(verdict.message) for verdict in refusals)
        for operator, count in refused.most_common():
            print(f"  {count:4} refused: {operator}")
    bad = [verdict for verdict in verdicts if verdict.kind in ("different", "crashed")]
    return int(bool(bad))


def _short(message: str) -> str:
    """A refusal that names no operator, without its place."""
    return message.splitlines()[0].rpartition(": ")[2][:100]


if __name__ == "__main__":
    sys.exit(main())
