"""Networks of any number of functions compile: IREE's compiler must find each behind those that it calls.

Where it does not, its pass that resolves workgroup counts writes to freed memory for some numbers of functions.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from lowtide.codegen.body import prepare_body
from lowtide.codegen.module import object_module, runtime_module
from lowtide.codegen.object import build_object
from lowtide.codegen.runtime import build_runtime
from lowtide.network import IoTensor, Network, Slot
from lowtide.targets import TARGETS

CORE = TARGETS["cortex-m4"]
# Numbers of functions, each of which failed in one of the modules as long as callers came first.
SOME = (32, 33, 35, 42, 44, 47, 55)
MODULES: dict[str, Callable[[Network, str], str]] = {
    "object": lambda network, body: object_module(network, CORE, body),
    "runtime": runtime_module,
}
BUILDERS: dict[str, Callable[[Network, str, Path], object]] = {
    "object": lambda network, body, scratch: build_object(network, CORE, body, scratch),
    "runtime": build_runtime,
}


def _layer(index: int, *, with_helper: bool) -> str:
    store = (
        f"%v = arith.constant 7 : i8\n%c = arith.constant {index % 64} : index\nmemref.store %v, %a[%c] : memref<64xi8>"
    )
    call = f"func.call @helper_{index}(%a) : (memref<64xi8>) -> ()"
    layer = f"""func.func private @k{index}(%a: memref<64xi8>) attributes {{llvm.no_inline}} {{
      {call if with_helper else store}
      return
    }}\n"""
    helper = f"func.func private @helper_{index}(%a: memref<64xi8>) {{\n{store}\nreturn\n}}\n"
    return layer + helper if with_helper else layer


def trivial(count: int) -> Network:
    """A network of that many layers that write a byte each, its entry in front; half have a helper behind them."""
    entry = "\n".join(f"func.call @k{index}(%arena) : (memref<64xi8>) -> ()" for index in range(count))
    layers = "\n".join(_layer(index, with_helper=index % 2 == 0) for index in range(count))
    body = f"func.func private @net_body(%arena: memref<64xi8>) {{\n{entry}\nreturn\n}}\n{layers}"
    inputs = (Slot(IoTensor("x", (16,), "int8"), 0),)
    return Network("net", body, 64, inputs, (Slot(IoTensor("y", (64,), "int8"), 0),), False)


@pytest.mark.parametrize("module", MODULES)
def test_functions_stand_behind_what_they_call(module: str) -> None:
    network = trivial(40)
    text = MODULES[module](network, prepare_body(network).own)
    defined = {
        match["plain"] or match["generic"]: match.start()
        for match in re.finditer(r"(?:func @|func internal @)(?P<plain>\w+)\(|sym_name = \"(?P<generic>\w+)\"", text)
    }
    calls = [(match[1], match.start()) for match in re.finditer(r"(?:call @|callee = @)(\w+)", text)]
    assert len(calls) > 60
    assert [name for name, place in calls if defined[name] > place] == []


@pytest.mark.parametrize("module", BUILDERS)
@pytest.mark.parametrize("count", SOME)
def test_some_numbers_of_functions_compile(module: str, count: int, tmp_path: Path) -> None:
    network = trivial(count)
    BUILDERS[module](network, prepare_body(network).own, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("count", range(1, 201))
def test_every_number_of_functions_compiles(count: int, tmp_path: Path) -> None:
    network = trivial(count)
    body = prepare_body(network).own
    for builder in BUILDERS.values():
        builder(network, body, tmp_path)
