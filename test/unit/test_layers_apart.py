"""A network whose layers are functions of their own: one for each call, not inlined, and it computes the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from codegen_nets import SHARED_NET, shared_reference

from lowtide.codegen import generate
from lowtide.codegen.apart import layers_apart
from lowtide.codegen.elf import read_elf
from lowtide.emulate.artifact import ArtifactView
from lowtide.emulate.backends.unicorn import UnicornSession
from lowtide.emulate.image.image import functions_of
from lowtide.emulate.inputs import random_inputs
from lowtide.network import Network
from lowtide.targets import TARGETS

TARGET = TARGETS["cortex-m4"]
HELPED = """
func.func private @twice(%v: i32) -> i32 attributes {llvm.no_inline} {
  %s = arith.addi %v, %v : i32
  return %s : i32
}
func.func private @double(%m: memref<4xi32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  scf.for %i = %c0 to %c4 step %c1 {
    %v = memref.load %m[%i] : memref<4xi32>
    %t = func.call @twice(%v) : (i32) -> i32
    memref.store %t, %m[%i] : memref<4xi32>
  }
  return
}
func.func private @shared_net_body(%arena: memref<256xi8>) {
  %c128 = arith.constant 128 : index
  %y = memref.view %arena[%c128][] : memref<256xi8> to memref<4xi32>
  func.call @double(%y) : (memref<4xi32>) -> ()
  func.call @double(%y) : (memref<4xi32>) -> ()
  return
}
"""


def _functions(network: Network, directory: Path) -> set[str]:
    code = generate(network, TARGET, directory)
    return {function.name for function in functions_of(read_elf(code.object.read_bytes()))}


def test_every_call_has_a_function_of_its_own(tmp_path: Path) -> None:
    apart = layers_apart(SHARED_NET)
    assert apart.symbols == ("layer_0", "layer_1")
    assert replace(apart.network, body="") == replace(SHARED_NET, body="")
    code = generate(apart.network, TARGET, tmp_path)
    names = {function.name for function in functions_of(read_elf(code.object.read_bytes()))}
    assert names == {"shared_net_run", "layer_0", "layer_1"}
    slots = apart.network.inputs
    view = ArtifactView(
        tmp_path,
        "shared_net",
        TARGET,
        apart.network.arena_bytes,
        code.stack_bytes,
        code.data_bytes,
        apart.network.arena_bytes + code.stack_bytes + code.data_bytes,
        slots,
        apart.network.outputs,
    )
    inputs = random_inputs([slot.tensor for slot in slots], 3)
    profile = UnicornSession(view, "object").profile(inputs)
    assert np.array_equal(profile.result.outputs[0], shared_reference(*inputs))
    runs = [
        profile.executed.between(first, first + function.size).total
        for function in profile.image.functions
        for first in [function.address - profile.image.flash_start]
    ]
    assert all(runs)
    assert sum(runs) == profile.result.instructions


def test_what_a_layer_calls_is_copied_with_it(tmp_path: Path) -> None:
    helped = replace(SHARED_NET, body=HELPED)
    assert _functions(helped, tmp_path) == {"shared_net_run", "twice"}
    assert _functions(layers_apart(helped).network, tmp_path) == {
        "shared_net_run",
        "layer_0",
        "layer_0.twice",
        "layer_1",
        "layer_1.twice",
    }
