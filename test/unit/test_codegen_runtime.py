"""NAME.vmfb gives the right numbers in IREE's runtime."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from codegen_nets import (
    FLOAT_NET,
    INT8_NET,
    SHARED_NET,
    float_reference,
    int8_reference,
    shared_reference,
    with_body,
)

from lowtide.codegen.body import prepare_body
from lowtide.codegen.iree import scratch_directory
from lowtide.codegen.runtime import build_runtime
from lowtide.network import IoTensor, Network, Slot


def _main(network: Network, driver: str = "local-sync") -> Callable[..., Any]:
    from iree import runtime

    with scratch_directory() as scratch:
        data = build_runtime(network, prepare_body(network).portable, scratch)
    context = runtime.SystemContext(config=runtime.Config(driver))
    module = runtime.VmModule.copy_buffer(context.instance, data)
    context.add_vm_module(module)
    return context.modules[module.name]["main"]


@pytest.mark.parametrize("driver", ["local-sync", "local-task"])
def test_int8(driver: str) -> None:
    main = _main(INT8_NET, driver)
    rng = np.random.default_rng(2)
    for _ in range(3):
        x = rng.integers(-128, 128, (1, 64), dtype=np.int8)
        assert np.array_equal(main(x).to_host(), int8_reference(x))


def test_two_outputs_of_floats() -> None:
    x = np.array([0.5, 1, -2, 3.25, -4, 8, 11, 2.5], np.float32)
    y, z = _main(FLOAT_NET)(x)
    expected_y, expected_z = float_reference(x)
    assert np.array_equal(y.to_host(), expected_y)
    assert np.array_equal(z.to_host(), expected_z)


def test_two_inputs_one_unsigned() -> None:
    rng = np.random.default_rng(3)
    x = rng.integers(0, 256, (4, 4), dtype=np.uint8)
    b = rng.integers(-(2**20), 2**20, 16, dtype=np.int32)
    y = _main(SHARED_NET)(x.view(np.int8), b)
    assert np.array_equal(y.to_host(), shared_reference(x, b))


def test_booleans_and_scalars() -> None:
    network = replace(
        SHARED_NET,
        inputs=(Slot(IoTensor("x", (16,), "bool"), 0), Slot(IoTensor("b", (), "int32"), 64)),
        outputs=(Slot(IoTensor("x", (4, 4), "bool"), 0), Slot(IoTensor("y", (), "int32"), 128)),
    )
    x = np.array([True, False] * 8)
    again, y = _main(network)(x, np.int32(41))
    assert again.to_host().dtype == np.bool_
    assert np.array_equal(again.to_host(), x.reshape(4, 4))
    assert y.to_host() == 42


def test_iree_run_module(tmp_path: Path) -> None:
    with scratch_directory() as scratch:
        data = build_runtime(SHARED_NET, prepare_body(SHARED_NET).portable, scratch)
    (tmp_path / "net.vmfb").write_bytes(data)
    tool = Path(sys.executable).with_name("iree-run-module")
    if not tool.is_file():
        pytest.skip("iree-run-module is not beside Python")
    command = [str(tool), "--module=net.vmfb", "--function=main", "--input=4x4xi8=1", "--input=16xi32=0"]
    for device in ("local-sync", "local-task"):
        done = subprocess.run(
            [*command, f"--device={device}"], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert "16xi32=1 3 6 10 15 21 28 36 45 55 66 78 91 105 120 136" in done.stdout


def test_double_precision_stays_double() -> None:
    network = with_body(
        FLOAT_NET,
        "    %m = arith.maximumf %a, %b : f32\n",
        "    %ad = arith.extf %a : f32 to f64\n    %tiny = arith.constant 1.0e-12 : f64\n"
        "    %sum = arith.addf %ad, %tiny : f64\n    %rest = arith.subf %sum, %ad : f64\n"
        "    %m = arith.truncf %rest : f64 to f32\n",
    )
    _, z = _main(network)(np.ones(8, np.float32))
    assert np.allclose(z.to_host(), 1e-12, rtol=1e-3, atol=0)
