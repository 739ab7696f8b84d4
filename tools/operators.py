#!/usr/bin/env python3
"""Prints docs/operators.md: the operators of `.tflite` that lowtide takes, and how.

    python tools/operators.py > docs/operators.md

Types and ways of lowering are read off the importer's maps. What those do not say (whether a layer goes by rows, its
kernel, what says what is right, what is refused) stands here, by kind of operator.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tflite import BuiltinOperator, BuiltinOptions

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "dialects")]

from lowtide.importer.lowered.library import LOWERED  # noqa: E402
from lowtide.importer.tflite.customs import CUSTOM  # noqa: E402
from lowtide.importer.tflite.expand import CHANGES  # noqa: E402
from lowtide.importer.tflite.model import DTYPES  # noqa: E402
from lowtide.importer.tflite.operators import CONTROL, FOLDED, RESOURCES, SUPPORTED, OpSpec  # noqa: E402

NAMES: Mapping[int, str] = {number: name for name, number in vars(BuiltinOperator).items() if name.isupper()}
_WITHOUT_DATA = (BuiltinOptions.CallOnceOptions, BuiltinOptions.VarHandleOptions)


@dataclass(frozen=True)
class Kind:
    """Operators that are alike in what the maps do not say.

    Attributes:
        names: in the schema.
        rows: whether their layers can go by rows in a fused loop.
        kernel: what usually computes them.
        oracle: the engine that says what is right.
        refused: what lowtide does not take, beside the types.
    """

    names: str
    rows: str
    kernel: str
    oracle: str
    refused: str = ""


_ROWS, _SUMS, _MOVED = "yes", "yes, of the output or of the input", "yes, where rows stay in order"
_MICRO, _LITERT = "Micro", "LiteRT"
_WEIGHTS = "`register_tiled`, `prepacked_i16`; int16: `general`, `pool`"
_BYTES = "`map`; floats: `general`"
_REDUCED, _SOME = "`pool`, `general`", "`map`, `general`"
_CONSTANT = "what says the shape or place, where it is computed"
KINDS: Sequence[Kind] = (
    Kind("CONV_2D", _ROWS, _WEIGHTS, _MICRO, "more than 1,024 groups"),
    Kind("DEPTHWISE_CONV_2D", _ROWS, _WEIGHTS, _MICRO),
    Kind("FULLY_CONNECTED", _SUMS, _WEIGHTS, _MICRO, "shuffled weights"),
    Kind("TRANSPOSE_CONV", _ROWS, _WEIGHTS, _MICRO, "computed weights; strides that make 2²⁶ elements"),
    Kind("BATCH_MATMUL", _ROWS, "`register_tiled`, `general`", _MICRO, "operands of one dimension"),
    Kind("AVERAGE_POOL_2D MAX_POOL_2D", _ROWS, "`pool`; floats: `general`", _MICRO),
    Kind("L2_POOL_2D", _ROWS, "`general`", _MICRO),
    Kind("MEAN SUM REDUCE_MAX REDUCE_MIN REDUCE_ALL", _SUMS, _REDUCED, _MICRO, "computed axes"),
    Kind("REDUCE_PROD REDUCE_ANY", _SUMS, _REDUCED, _LITERT, "computed axes"),
    Kind("ARG_MAX ARG_MIN CUMSUM", _ROWS, _SOME, _MICRO, "a computed axis"),
    Kind("ADD SUB MUL MINIMUM MAXIMUM SQUARED_DIFFERENCE FLOOR_DIV FLOOR_MOD ADD_N", _ROWS, _BYTES, _MICRO),
    Kind("DIV", _ROWS, _BYTES, _MICRO, "scales whose quotient is 2³⁰ or more"),
    Kind("POW", _ROWS, "`general`", _LITERT),
    Kind("RELU RELU6 LEAKY_RELU HARD_SWISH ELU LOGISTIC TANH", _ROWS, _BYTES, _MICRO),
    Kind("PRELU", _ROWS, _BYTES, _MICRO, "slopes that do not fit the channels"),
    Kind("RELU_N1_TO_1 GELU SIGN", _ROWS, _BYTES, _LITERT),
    Kind("ABS NEG SQUARE SQRT RSQRT EXP LOG SIN COS ROUND FLOOR CEIL", _ROWS, _BYTES, _MICRO),
    Kind("SOFTMAX LOG_SOFTMAX", _ROWS, _SOME, _MICRO, "other scales of the output than LiteRT's"),
    Kind("L2_NORMALIZATION", _ROWS, "`pool`; floats: `general`", _MICRO, "other scales of the output than LiteRT's"),
    Kind("EQUAL NOT_EQUAL LESS LESS_EQUAL GREATER GREATER_EQUAL", _ROWS, "`general`", _MICRO,
         "bytes with a scale of 1 or more"),
    Kind("SELECT_V2 LOGICAL_AND LOGICAL_OR LOGICAL_NOT", _ROWS, "`general`", _MICRO),
    Kind("SELECT", _ROWS, "`general`", _LITERT),
    Kind("QUANTIZE DEQUANTIZE", _ROWS, _BYTES, _MICRO),
    Kind("CAST", _ROWS, _BYTES, _MICRO, "float32 to int64 and back"),
    Kind("RESHAPE SQUEEZE EXPAND_DIMS", _ROWS, "none: a view; at the network's ends `map`", _MICRO, _CONSTANT),
    Kind("CONCATENATION PACK", _ROWS, "none where parts are made in place; else `map`", _MICRO, "parts of other types"),
    Kind("PAD PADV2", _ROWS, "none: part of the layer behind it; else `general`", _MICRO, _CONSTANT),
    Kind("MIRROR_PAD", "no", "`general`", _MICRO, f"{_CONSTANT}; pads larger than the tensor"),
    Kind("TRANSPOSE SLICE STRIDED_SLICE SPLIT SPLIT_V UNPACK BROADCAST_TO SPACE_TO_DEPTH DEPTH_TO_SPACE REVERSE_V2 "
         "SPACE_TO_BATCH_ND BATCH_TO_SPACE_ND", _MOVED, _SOME, _MICRO, f"{_CONSTANT}; empty results"),
    Kind("TILE", _MOVED, _SOME, _LITERT, _CONSTANT),
    Kind("RESIZE_NEAREST_NEIGHBOR", _ROWS, _SOME, _MICRO, _CONSTANT),
    Kind("RESIZE_BILINEAR", "no", "`general`", _MICRO, f"{_CONSTANT}; aligned corners with centres halved"),
    Kind("GATHER GATHER_ND", "where rows of indices are the output's", "`general`", _MICRO,
         "constant indices that are out of range"),
    Kind("EMBEDDING_LOOKUP", _ROWS, "`general`", _MICRO, "tables of one dimension"),
    Kind("DYNAMIC_UPDATE_SLICE", _ROWS, "`general`", _MICRO, "parts larger than the tensor"),
    Kind("ONE_HOT", _ROWS, "`general`", _LITERT, _CONSTANT),
    Kind("FILL", _ROWS, "`general`", _MICRO, _CONSTANT),
    Kind("SHAPE RANK RANGE ZEROS_LIKE BROADCAST_ARGS", "", "none", _MICRO, "results that are not known when compiled"),
    Kind("UNIDIRECTIONAL_SEQUENCE_LSTM", "those of its layers that have rows", _SOME, _MICRO,
         "peepholes, projection, layer normalisation; more than 256 steps; states that others read"),
    Kind("SVDF", "those of its layers that have rows", _SOME, _MICRO, "a state that others read"),
    Kind("VAR_HANDLE READ_VARIABLE ASSIGN_VARIABLE", "", "none: places in the arena", _MICRO,
         "assigned another type or shape than is read"),
    Kind("CALL", "", "none", "–", "subgraphs that run themselves; more than 4,096 operators of all subgraphs"),
    Kind("IF", "", "none, or that of SELECT_V2", _MICRO, "unknown conditions of branches that differ in shapes, types "
         "or scales, or use variables"),
    Kind("WHILE", "", "none", _MICRO, "conditions that are not known; more than 4,096 operators in all turns"),
    Kind("CALL_ONCE", "", "none", _MICRO, "subgraphs that do more than fill variables with constants"),
)  # fmt: skip
_HEAD = """# Operators

The operators of `.tflite` that lowtide takes. Made by `python tools/operators.py > docs/operators.md` from the
importer's maps.

- **Types** are those of the operand that is computed with; → gives those of the result where they differ.
- **Lowered**: *converter*: by the TOSA converter; *rewritten*: as other operators first
  (`importer/tflite/expand.py`); *linalg*: by lowtide itself (`importer/lowered/`); *folded*: where the result is
  known when the model is compiled; *subgraphs in its place*: what it runs, as often as it runs it, and of an IF whose
  condition is not known both branches; *state*: an operator on variables, which are inputs and outputs of the network's
  function. Types stand behind where they are not all.
- **By rows**: whether the layer can be part of a fused loop.
- **Kernel**: what usually computes it, where it is a layer of its own and not fused into another:
  [kernels](kernels.md).
- **Oracle**: *Micro* is LiteRT Micro, for the types that it has; LiteRT's reference kernels decide on the others
  (most of uint8, int32 and int64). *LiteRT*: those alone, as Micro lacks the operator. [What is right](oracle.md).

"""
_TAIL = """
Custom operators: {customs}. Others are refused by name; `--until TENSOR` compiles the network
up to them. The first is MediaPipe's, taken as TRANSPOSE_CONV. `TFLite_Detection_PostProcess` (float32; uint8 as LiteRT
has it) looks for one detection after the other, at most 128 of all classes, and makes one class of a box; what is
behind the last detection is 0.

Every operator is refused, with its place, where its operands do not fit each other: other ranks, axes that are not
there, scales that are missing, 0 or no numbers. `lowtide inspect` tells all that stands in the way of a model at
once.

Of fused activations TANH and SIGN_BIT are passed over: LiteRT bounds nothing by them.

## Weights that are computed

Convolutions and dense layers whose weights or bias the network computes itself read them as they are stored, by
`general`; those with constants have them packed. Of bytes without a sign they are refused.

## Weights that are stored smaller

- **float16**: dequantised when compiled; the network computes in float32.
- **int4**: unpacked into bytes when compiled.
- **Dynamic range** (weights of int8 in a network of floats): the network is computed in floats with dequantised
  weights. LiteRT quantises the activations of each run instead, which costs digits; `lowtide verify` compares with
  LiteRT on the same dequantised weights.

## What a network remembers

LSTM, SVDF and variables keep values from one run to the next. These are states: they lie in the arena between runs,
`NAME_reset` fills them with their first values, and `NAME_run` refuses an arena that it has not seen:
[tutorial](tutorial.md#7-networks-that-remember).
"""


def main() -> int:
    """Print the page."""
    sys.stdout.write(page())
    return 0


def page() -> str:
    """The text of docs/operators.md.

    Raises:
        AssertionError: an operator that lowtide takes is of no kind, or of two, or one of a kind is not taken.
    """
    kinds = [(name, kind) for kind in KINDS for name in kind.names.split()]
    taken = {NAMES[code] for code in {*SUPPORTED, *LOWERED, *FOLDED, *RESOURCES, *CONTROL} - {BuiltinOperator.CUSTOM}}
    assert sorted(name for name, _ in kinds) == sorted(taken), {name for name, _ in kinds} ^ taken
    lines = ["| operator | types | lowered | by rows | kernel | oracle | refused |", "|---|---|---|---|---|---|---|"]
    for name, kind in sorted(kinds, key=lambda pair: pair[0]):
        code = getattr(BuiltinOperator, name)
        row = (name, types(code), lowered(code), kind.rows, kind.kernel, kind.oracle, kind.refused)
        lines.append(f"| {' | '.join(cell or '–' for cell in row)} |")
    customs = ", ".join(f"`{name}`" for name in sorted(CUSTOM))
    return _HEAD + "\n".join(lines) + "\n" + _TAIL.format(customs=customs)


def types(code: int) -> str:
    """Element types of the data, and those of the result where they differ."""
    if code in CONTROL:
        return "all"
    if code in RESOURCES:
        return "all" if RESOURCES[code].options_type not in _WITHOUT_DATA else ""
    specs = [(item.spec, item.types) for item in LOWERED.get(code, ())]
    if code in SUPPORTED:
        specs.append((SUPPORTED[code], None))
    if not specs:
        return "int32, int64, bool"
    read: set[int] = set()
    made: set[int] = set()
    for spec, given in specs:
        read.update(_read(spec, given))
        made.update(spec.output_types)
    return _named(read) if made == read else f"{_named(read)} → {_named(made)}"


def _read(spec: OpSpec, given: tuple[int, ...] | None) -> tuple[int, ...]:
    """Types of the operand that is computed with."""
    if given is not None:
        return given
    return spec.output_types if spec.same_type else spec.input_types


def lowered(code: int) -> str:
    """Who lowers the operator, with the types where there are several ways."""
    ways: list[str] = []
    items = LOWERED.get(code, ())
    own = {type_ for item in items for type_ in _read(item.spec, item.types)}
    # of these forms the converter takes none
    whole = {type_ for item in items if not (item.made or item.when) for type_ in _read(item.spec, item.types)}
    if code in SUPPORTED:
        rest = [type_ for type_ in _read(SUPPORTED[code], None) if type_ not in whole]
        way = "rewritten, converter" if code in CHANGES else "converter"
        ways.append(f"{way} ({_named(rest)})" if own else way)
    if own:
        some = " in some forms" if own - whole else ""
        ways.append(f"linalg ({_named(own)}{some})" if code in SUPPORTED else "linalg")
    if code in FOLDED:
        ways.append("folded")
    if code in RESOURCES:
        ways.append("state")
    if code in CONTROL:
        ways.append("subgraphs in its place")
    return "; ".join(ways)


def _named(types_: Collection[int]) -> str:
    """Names of element types, in the order in which lowtide lists them."""
    return "all" if set(types_) >= DTYPES.keys() else ", ".join(DTYPES[type_] for type_ in DTYPES if type_ in types_)


if __name__ == "__main__":
    sys.exit(main())
