"""Where points are measured: this machine's processes, or a Dask cluster. Either is a `concurrent.futures.Executor`."""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
from collections.abc import Generator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager

from lowtide.codegen.iree import scratch_directory
from lowtide.errors import InputError, UsageError

CONNECT_SECONDS = 10


@contextmanager
def local_workers(count: int) -> Generator[Executor]:
    """Processes of this machine; those that still work when the block is left are ended.

    Args:
        count: how many.
    """
    before = set(multiprocessing.active_children())
    # a fresh interpreter each: MLIR's threads would not survive a fork
    context = multiprocessing.get_context("spawn")
    with scratch_directory() as scratch:
        executor = ProcessPoolExecutor(count, mp_context=context, initializer=_prepare, initargs=(str(scratch),))
        try:
            yield executor
        finally:
            executor.shutdown(wait=False, cancel_futures=True)
            children = set(multiprocessing.active_children()) - before
            for child in children:
                child.terminate()
            for child in children:
                child.join()


def _prepare(scratch: str) -> None:
    """Ctrl-C is the parent's to handle, and so are the temporary files of a worker that is ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tempfile.tempdir = scratch


@contextmanager
def cluster_workers(address: str) -> Generator[Executor]:
    """The workers of a Dask cluster.

    Args:
        address: where its scheduler listens, e.g. tcp://host:8786.

    Raises:
        UsageError: the extra `cluster` is not installed, or this is no address.
        InputError: nobody answers there, or the workers have no lowtide of this version.
    """
    try:
        from distributed import Client
    except ImportError:
        message = "a cluster needs the packages dask and distributed"
        raise UsageError("explore", message, remedy="pip install 'lowtide[cluster]'") from None
    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except ValueError as error:
        raise UsageError("explore", f"no address of a scheduler: {error}", where=address, remedy=_EXAMPLE) from None
    except OSError:
        message = f"no Dask scheduler answered within {CONNECT_SECONDS} seconds"
        raise InputError("explore", message, where=address, remedy=_EXAMPLE) from None
    try:
        _check_workers(client.run(_version), address)
        yield client.get_executor()
    finally:
        client.close()


_EXAMPLE = "start one with `dask scheduler`, and give the address that it prints: --cluster tcp://host:8786"


def _version() -> str:
    """Runs on the workers, which have to have lowtide for that."""
    from lowtide.version import __version__

    return __version__


def _check_workers(versions: dict[str, str], address: str) -> None:
    here = _version()
    if not versions:
        raise InputError("explore", "the cluster has no workers", where=address, remedy="start some: dask worker")
    others = {worker: version for worker, version in sorted(versions.items()) if version != here}
    for worker, version in others.items():
        message = f"the worker {worker} has lowtide {version}, this is {here}"
        raise InputError("explore", message, where=address, remedy="install the same version everywhere")


def cores() -> int:
    """How many processes this machine runs at once."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
