"""Runs compiled networks: on an emulated microcontroller, or on this machine."""

from __future__ import annotations

from collections.abc import Callable

from lowtide.emulate.artifact import ArtifactView, load_artifact
from lowtide.emulate.backend import Array, Backend, RunResult, Session
from lowtide.errors import UsageError


def _unicorn() -> Backend:
    from lowtide.emulate.backends.unicorn import UnicornBackend

    return UnicornBackend()


def _host() -> Backend:
    from lowtide.emulate.backends.host import HostBackend

    return HostBackend()


def _qemu() -> Backend:
    from lowtide.emulate.backends.qemu import QemuBackend

    return QemuBackend()


# The backends by name; a backend's libraries are imported when it is asked for.
BACKENDS: dict[str, Callable[[], Backend]] = {"unicorn": _unicorn, "qemu": _qemu, "host": _host}


def backend_named(name: str) -> Backend:
    """The backend of that name; `UsageError` listing the known ones otherwise."""
    if name not in BACKENDS:
        raise UsageError("run", f"unknown backend '{name}'", remedy=f"choose one of {', '.join(BACKENDS)}")
    return BACKENDS[name]()


__all__ = [
    "BACKENDS",
    "Array",
    "ArtifactView",
    "Backend",
    "RunResult",
    "Session",
    "backend_named",
    "load_artifact",
]
