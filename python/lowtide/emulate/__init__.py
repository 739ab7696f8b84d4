"""Runs compiled networks: on an emulated microcontroller, or on this machine."""

from __future__ import annotations

from importlib import import_module

from lowtide.emulate.artifact import ArtifactView, load_artifact
from lowtide.emulate.backend import Array, Backend, RunResult, Session
from lowtide.errors import UsageError

BACKENDS = {
    "unicorn": "unicorn.UnicornBackend",
    "qemu": "qemu.QemuBackend",
    "host": "host.HostBackend",
    "ibex": "rtl.IbexBackend",
    "cv32e40p": "rtl.Cv32e40pBackend",
}
"""The backends by name: the module in `backends` and its class."""


def backend_named(name: str) -> Backend:
    """The backend of that name; `UsageError` listing the known ones otherwise."""
    if name not in BACKENDS:
        raise UsageError("run", f"unknown backend '{name}'", remedy=f"choose one of {', '.join(BACKENDS)}")
    # Imported when it is asked for: the emulators' libraries are large, and not always installed.
    module, of_it = BACKENDS[name].split(".")
    backend: type[Backend] = getattr(import_module(f"lowtide.emulate.backends.{module}"), of_it)
    return backend()


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
