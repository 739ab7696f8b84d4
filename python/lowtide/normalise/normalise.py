"""Brings any linalg network into the form that layers are cut from.

One function, one block, static shapes; structured ops over tensors with pads, slices and reshapes between
them. Constants are folded through reshapes; what the importer left behind (assertions, target attributes) is gone.
"""

from __future__ import annotations

from collections.abc import Mapping

from lowtide.ir import Module, Operation, run_pipeline
from lowtide.normalise.analysis import network_function
from lowtide.normalise.check import check_network
from lowtide.normalise.form import STATES
from lowtide.normalise.places import tabulate_places
from lowtide.normalise.static import make_static
from lowtide.passes import Pass

STAGE = "normalise"
PIPELINE = (
    "builtin.module(inline,symbol-dce,canonicalize,cse,func.func(linalg-inline-scalar-operands),canonicalize,cse)"
)


def run(module: Module, _: Mapping[str, str]) -> None:
    """Normalise in place.

    Raises:
        InputError: the first operation in program order that no layer can hold, by name.
    """
    network_function(module, STAGE)
    run_pipeline(module, PIPELINE, stage=STAGE)
    function = network_function(module, STAGE)
    strip_attributes(function.operation)
    for block in function.regions[0].blocks:
        make_static(block)
        tabulate_places(block)
    check_network(module, STAGE)


def strip_attributes(function: Operation) -> None:
    """Drop what a front end notes on the function and its arguments; it would mean something else to IREE."""
    for name in list(function.attributes):
        if name not in ("sym_name", "function_type", STATES):
            del function.attributes[name]


PASS = Pass("lowtide-normalise", "bring a linalg network into the form that layers are cut from", run)
