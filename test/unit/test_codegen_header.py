"""NAME.h is valid C99 and C++, and says where everything is."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from codegen_nets import FLOAT_NET, INT8_NET, NETS, SHARED_NET

from lowtide.codegen.header import c_float, header_text
from lowtide.network import IoTensor, Network, Slot, Stream
from lowtide.targets import TARGETS

M4 = TARGETS["cortex-m4"]
_STRICT = ["-Wall", "-Wextra", "-pedantic", "-Werror", "-Wcast-align", "-fsyntax-only"]
_COMPILERS = {"c99": ["gcc", "-std=c99", "-x", "c"], "c++": ["g++", "-std=c++11", "-x", "c++"]}


@pytest.mark.parametrize("language", _COMPILERS)
@pytest.mark.parametrize("network", NETS, ids=lambda network: network.name)
def test_the_header_compiles(network: Network, language: str, tmp_path: Path) -> None:
    _check(header_text(network, M4, ["__aeabi_fadd"] * 20), _program(network), language, tmp_path)


def test_hostile_names_stay_in_their_comment(tmp_path: Path) -> None:
    names = ["*/ #error", "/* nested", "a\nb", "??/", "back\\", "é", "x" * 500]
    slots = tuple(Slot(IoTensor(name, (), "int64"), 8 * index) for index, name in enumerate(names))
    network = replace(SHARED_NET, inputs=slots)
    _check(header_text(network, M4), _program(network), "c99", tmp_path)


@pytest.mark.parametrize("language", _COMPILERS)
def test_rows_are_described_and_their_functions_compile(language: str, tmp_path: Path) -> None:
    """An input that arrives row by row has no place; what the header itself defines compiles and is used."""
    (slot,) = INT8_NET.inputs
    picture = IoTensor("camera */", (1, 4, 4, 4), "int8", slot.tensor.scale, slot.tensor.zero_point)
    network = replace(INT8_NET, inputs=(), streams=(Stream(picture, 16, 0, 4, 2),), position_offset=96, sites=1)
    name = network.name
    text = header_text(network, M4)
    assert "_run(void" not in text and "_INPUT0" not in text
    checks = [f"{name}_STREAM_COUNT == 1", f"{name}_INPUT_COUNT == 0"]
    checks += [f"{name}_STREAM0_ROWS * {name}_STREAM0_ROW_BYTES == {name}_STREAM0_BYTES"]
    program = [
        '#include "net.h"',
        *(f"typedef char check{index}[({check}) ? 1 : -1];" for index, check in enumerate(checks)),
        "static int read(void *context, void *to, int first_row, int rows) {",
        "  return context == to && first_row == rows;",
        "}",
        f"static uint8_t arena[{name}_ARENA_BYTES] __attribute__((aligned({name}_ARENA_ALIGNMENT)));",
        "int main(void) {",
        f"  const {name}_io io = {{read, arena}};",
        f"  int state = {name}_begin(arena) + {name}_wants(arena) + {name}_run_stream(arena, &io);",
        f"  return state + {name}_feed(arena, 0, arena, 0) + {name}_OUTPUT0(arena)[0];",
        "}\n",
    ]
    _check(text, "\n".join(program), language, tmp_path)


def _check(header: str, program: str, language: str, folder: Path) -> None:
    command = _COMPILERS[language]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    (folder / "net.h").write_text(header, encoding="ascii")
    (folder / "main.c").write_text(program)
    done = subprocess.run([*command, *_STRICT, "main.c"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _program(network: Network) -> str:
    """A firmware that uses every name, and checks the constants where C99 can: in the size of an array."""
    name = network.name
    checks = [f"{name}_ARENA_BYTES == {network.arena_bytes}", f"{name}_ARENA_ALIGNMENT == 16"]
    uses: list[str] = []
    for kind, slots in (("INPUT", network.inputs), ("OUTPUT", network.outputs)):
        checks.append(f"{name}_{kind}_COUNT == {len(slots)}")
        for index, slot in enumerate(slots):
            prefix, tensor = f"{name}_{kind}{index}", slot.tensor
            checks += [f"{prefix}_OFFSET == {slot.offset}", f"{prefix}_BYTES == {tensor.nbytes}"]
            checks += [f"{prefix}_ELEMENTS * sizeof({prefix}_TYPE) == {prefix}_BYTES"]
            checks += [f"{prefix}_RANK == {len(tensor.shape)}"]
            uses.append(f"sum += (double){prefix}(arena)[0];")
            if tensor.shape:
                uses.append(f"{{ int shape[] = {prefix}_SHAPE; sum += shape[{prefix}_RANK - 1]; }}")
            if tensor.scale is not None:
                uses.append(f"sum += {prefix}_SCALE; sum -{prefix}_ZERO_POINT > 0 ? (void)0 : (void)1;")
    lines = [f"typedef char check{index}[({check}) ? 1 : -1];" for index, check in enumerate(checks)]
    return "\n".join(
        [
            '#include "net.h"',
            '#include "net.h"',
            *lines,
            f"static uint8_t arena[{name}_ARENA_BYTES] __attribute__((aligned({name}_ARENA_ALIGNMENT)));",
            "int main(void) {",
            f"  double sum = {name}_run(arena);",
            *uses,
            "  return sum > 0;",
            "}\n",
        ]
    )


def test_what_the_comment_says() -> None:
    text = header_text(INT8_NET, M4)
    assert "may destroy the inputs" in text
    assert "--keep-input" in text
    assert "library" not in text
    text = header_text(FLOAT_NET, TARGETS["cortex-m3"], ["__aeabi_fadd", "__aeabi_fmul"])
    assert "leaves the inputs in the arena as they are" in text
    assert " *   __aeabi_fadd, __aeabi_fmul\n" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.25, "0.25f"),
        (1.0, "1.0f"),
        (0.003921568859368563, "0.003921569f"),
        (1 / 255, "0.00392156862745098"),
        (1e-30, "1e-30"),
        (9.99999991097579e-38, "1e-37f"),
        (1e300, "1e+300"),
    ],
)
def test_scales_are_exact_and_short(value: float, text: str) -> None:
    assert c_float(value) == text


def test_a_scale_that_is_no_number() -> None:
    with pytest.raises(ValueError, match="a scale of nan"):
        c_float(float("nan"))
