"""The operators of `.tflite` that lowtide takes: what their options are and what their operands must be.

`SUPPORTED` is the one list. An operator is on it when the converter legalises it to TOSA and the stages after the
importer take what comes of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from tflite import ActivationFunctionType, BuiltinOperator, BuiltinOptions, TensorType

from lowtide.importer.tflite.flatbuffer import Scalar
from lowtide.importer.tflite.model import OptionValue

ABSENT_FROM_MICRO = frozenset(
    getattr(BuiltinOperator, name)
    for name in ["GELU", "ONE_HOT", "POW", "REDUCE_ANY", "REDUCE_PROD", "RELU_N1_TO_1", "SELECT", "SIGN", "TILE"]
)
"""Operators that lowtide takes and LiteRT Micro has not: LiteRT alone runs a network with one of them."""
ABSENT_TYPES_FROM_MICRO = {
    BuiltinOperator.SELECT_V2: (TensorType.INT32, TensorType.INT64, TensorType.BOOL),
    BuiltinOperator.EXP: (TensorType.INT8,),
}
"""What LiteRT Micro does not make with operators that it has."""
EIGHT_BIT_TYPES = (TensorType.INT8, TensorType.UINT8)
REAL_TYPES = (TensorType.FLOAT32, *EIGHT_BIT_TYPES)
ALL_TYPES = (*REAL_TYPES, TensorType.INT16, TensorType.INT32, TensorType.INT64, TensorType.BOOL)
_NUMBERS = (*REAL_TYPES, TensorType.INT32)
_PADDED = (*_NUMBERS, TensorType.INT16)

OptionKind = Scalar | Literal["i32 vector", "text", "unused"]
"""How an option is stored; a text is held as its bytes in UTF-8, a field that the schema has given up not at all."""


@dataclass(frozen=True)
class Option:
    """A field of an options table; its slot is its place in `OpSpec.options`.

    Attributes:
        name: as in the schema, in snake case.
        kind: how it is stored.
        default: the schema's default of a scalar.
        allowed: the values lowtide takes, or None for all.
    """

    name: str
    kind: OptionKind = "i32"
    default: int | float = 0
    allowed: range | tuple[int, ...] | None = None

    def allows(self, value: OptionValue) -> bool:
        """Whether lowtide takes the value."""
        return self.allowed is None or value in self.allowed


@dataclass(frozen=True)
class OpSpec:
    """What lowtide knows of an operator.

    Attributes:
        options_type: number of its options table in the schema's `BuiltinOptions`, 0 for none.
        options: fields of that table, by slot.
        inputs: least and greatest number of inputs.
        constants: operands that must be constants (those that are given).
        same_type: operands that must have the output's element type.
        output_types, input_types: element types of the output and of the first input.
        copies: its output has its input's bytes, moved but not computed with, so that LiteRT Micro never looks at
            their scales.
        outputs: least and greatest number of outputs.
        optional: operands that may be left out though there are others behind them.
    """

    options_type: int = 0
    options: tuple[Option, ...] = ()
    inputs: tuple[int, int] = (1, 1)
    constants: tuple[int, ...] = ()
    same_type: tuple[int, ...] = ()
    output_types: tuple[int, ...] = REAL_TYPES
    input_types: tuple[int, ...] = ALL_TYPES
    copies: bool = False
    outputs: tuple[int, int] = (1, 1)
    optional: tuple[int, ...] = ()


_A = ActivationFunctionType
_ACTIVATION = Option("fused_activation_function", "i8", 0, (_A.NONE, _A.RELU, _A.RELU_N1_TO_1, _A.RELU6))
_NO_ACTIVATION = Option("fused_activation_function", "i8", 0, (_A.NONE,))
_PADDING = Option("padding", "i8", 0, (0, 1))
_SIZE = range(1, 1 << 15)
_STRIDES = (Option("stride_w", allowed=_SIZE), Option("stride_h", allowed=_SIZE))
_DILATIONS = (Option("dilation_w_factor", "i32", 1, _SIZE), Option("dilation_h_factor", "i32", 1, _SIZE))
_BIAS_TYPE = Option("quantized_bias_type", "i8", 0, (TensorType.FLOAT32, TensorType.INT32))
_BLOCK = Option("block_size", allowed=_SIZE)
_POT_SCALE = Option("pot_scale_int16", "bool", 1)

_POOL = OpSpec(
    BuiltinOptions.Pool2DOptions,
    (_PADDING, *_STRIDES, Option("filter_width", allowed=_SIZE), Option("filter_height", allowed=_SIZE), _ACTIVATION),
    same_type=(0,),
)
_UNARY = OpSpec(same_type=(0,))
_ROUND = OpSpec(same_type=(0,), output_types=(TensorType.FLOAT32,))


def _binary(options_type: int, *more: Option) -> OpSpec:
    return OpSpec(options_type, (_ACTIVATION, *more), (2, 2), same_type=(0, 1), output_types=_NUMBERS)


def _moves(
    options_type: int,
    *options: Option,
    inputs: tuple[int, int] = (1, 1),
    outputs: tuple[int, int] = (1, 1),
    constants: tuple[int, ...] = (),
    data: int = 0,
) -> OpSpec:
    """An operator that only moves the bytes of its operand `data`."""
    return OpSpec(options_type, options, inputs, constants, (data,), ALL_TYPES, ALL_TYPES, copies=True, outputs=outputs)


_B = BuiltinOperator
_O = BuiltinOptions
_REDUCTION = OpSpec(_O.ReducerOptions, (Option("keep_dims", "bool"),), (2, 2), (1,), (0,), _NUMBERS)
SUPPORTED: Mapping[int, OpSpec] = {
    _B.CONV_2D: OpSpec(
        _O.Conv2DOptions, (_PADDING, *_STRIDES, _ACTIVATION, *_DILATIONS, _BIAS_TYPE), (2, 3), (1, 2), (0, 1)
    ),
    _B.DEPTHWISE_CONV_2D: OpSpec(
        _O.DepthwiseConv2DOptions,
        (_PADDING, *_STRIDES, Option("depth_multiplier"), _ACTIVATION, *_DILATIONS),
        (2, 3),
        (1, 2),
        (0, 1),
    ),
    _B.FULLY_CONNECTED: OpSpec(
        _O.FullyConnectedOptions,
        (
            _ACTIVATION,
            Option("weights_format", "i8", 0, (0,)),
            Option("keep_num_dims", "bool"),
            Option("asymmetric_quantize_inputs", "bool"),
            _BIAS_TYPE,
        ),
        (2, 3),
        (1, 2),
        (0, 1),
    ),
    _B.TRANSPOSE_CONV: OpSpec(
        _O.TransposeConvOptions, (_PADDING, *_STRIDES, _ACTIVATION, _BIAS_TYPE), (3, 4), (0, 1, 3), (1, 2)
    ),
    _B.AVERAGE_POOL_2D: _POOL,
    _B.MAX_POOL_2D: _POOL,
    _B.L2_POOL_2D: replace(_POOL, output_types=(TensorType.FLOAT32,)),
    _B.MEAN: OpSpec(_O.ReducerOptions, (Option("keep_dims", "bool"),), (2, 2), (1,), (0,)),
    _B.ADD: _binary(_O.AddOptions, _POT_SCALE),
    _B.SUB: _binary(_O.SubOptions, _POT_SCALE),
    _B.MUL: _binary(_O.MulOptions),
    _B.PAD: OpSpec(_O.PadOptions, (), (2, 2), (1,), (0,), _PADDED),
    _B.PADV2: OpSpec(_O.PadV2Options, (), (3, 3), (1, 2), (0, 2), _PADDED),
    _B.RESHAPE: OpSpec(
        _O.ReshapeOptions, (Option("new_shape", "i32 vector"),), (1, 2), (1,), (0,), output_types=ALL_TYPES, copies=True
    ),
    _B.SQUEEZE: OpSpec(
        _O.SqueezeOptions,
        (Option("squeeze_dims", "i32 vector"),),
        (1, 1),
        (),
        (0,),
        output_types=ALL_TYPES,
        copies=True,
    ),
    _B.EXPAND_DIMS: OpSpec(_O.ExpandDimsOptions, (), (2, 2), (1,), (0,), output_types=ALL_TYPES, copies=True),
    _B.CONCATENATION: OpSpec(
        _O.ConcatenationOptions, (Option("axis"), _NO_ACTIVATION), (1, 1 << 10), output_types=ALL_TYPES
    ),
    _B.SOFTMAX: OpSpec(_O.SoftmaxOptions, (Option("beta", "f32", 0, (1,)),), same_type=(0,)),
    _B.LOGISTIC: _UNARY,
    _B.TANH: _UNARY,
    _B.RELU: _UNARY,
    _B.RELU6: _UNARY,
    _B.RELU_N1_TO_1: _UNARY,
    _B.FLOOR: _ROUND,
    _B.CEIL: _ROUND,
    _B.QUANTIZE: OpSpec(_O.QuantizeOptions, output_types=EIGHT_BIT_TYPES, input_types=REAL_TYPES),
    _B.DEQUANTIZE: OpSpec(_O.DequantizeOptions, output_types=(TensorType.FLOAT32,), input_types=EIGHT_BIT_TYPES),
    _B.GATHER: OpSpec(
        _O.GatherOptions,
        (Option("axis"), Option("batch_dims", allowed=(0,))),
        (2, 2),
        (),
        (0,),
        output_types=ALL_TYPES,
        copies=True,
    ),
    _B.CAST: OpSpec(
        _O.CastOptions, (Option("in_data_type", "i8"), Option("out_data_type", "i8")), output_types=ALL_TYPES
    ),
    _B.TRANSPOSE: OpSpec(_O.TransposeOptions, (), (2, 2), (1,), (0,), output_types=ALL_TYPES, copies=True),
    _B.SLICE: OpSpec(_O.SliceOptions, (), (3, 3), (1, 2), (0,), output_types=ALL_TYPES, copies=True),
    _B.STRIDED_SLICE: OpSpec(
        _O.StridedSliceOptions,
        (
            Option("begin_mask"),
            Option("end_mask"),
            Option("ellipsis_mask"),
            Option("new_axis_mask"),
            Option("shrink_axis_mask"),
            Option("offset", "bool"),
        ),
        (4, 4),
        (1, 2, 3),
        (0,),
        output_types=ALL_TYPES,
        copies=True,
    ),
    _B.MINIMUM: OpSpec(_O.MaximumMinimumOptions, (), (2, 2), (), (0, 1), _NUMBERS),
    _B.MAXIMUM: OpSpec(_O.MaximumMinimumOptions, (), (2, 2), (), (0, 1), _NUMBERS),
    _B.LEAKY_RELU: OpSpec(_O.LeakyReluOptions, (Option("alpha", "f32"),), (1, 1), (), (0,)),
    _B.HARD_SWISH: OpSpec(_O.HardSwishOptions, (), (1, 1), (), (0,)),
    _B.PRELU: OpSpec(inputs=(2, 2), same_type=(0, 1)),
    _B.SPACE_TO_BATCH_ND: _moves(_O.SpaceToBatchNDOptions, inputs=(3, 3), constants=(1, 2)),
    _B.BATCH_TO_SPACE_ND: _moves(_O.BatchToSpaceNDOptions, inputs=(3, 3), constants=(1, 2)),
    _B.PACK: _moves(_O.PackOptions, Option("values_count"), Option("axis"), inputs=(1, 1 << 10)),
    _B.UNPACK: _moves(_O.UnpackOptions, Option("num"), Option("axis"), outputs=(1, 1 << 10)),
    _B.SPLIT: _moves(
        _O.SplitOptions, Option("num_splits"), inputs=(2, 2), outputs=(1, 1 << 10), constants=(0,), data=1
    ),
    _B.TILE: _moves(_O.TileOptions, inputs=(2, 2), constants=(1,)),
    _B.BROADCAST_TO: _moves(_O.BroadcastToOptions, inputs=(2, 2), constants=(1,)),
    _B.SPACE_TO_DEPTH: _moves(_O.SpaceToDepthOptions, _BLOCK),
    _B.DEPTH_TO_SPACE: _moves(_O.DepthToSpaceOptions, _BLOCK),
    _B.REVERSE_V2: _moves(_O.ReverseV2Options, inputs=(2, 2), constants=(1,)),
    _B.RESIZE_NEAREST_NEIGHBOR: _moves(
        _O.ResizeNearestNeighborOptions,
        Option("align_corners", "bool"),
        Option("half_pixel_centers", "bool"),
        inputs=(2, 2),
        constants=(1,),
    ),
    _B.BATCH_MATMUL: OpSpec(
        _O.BatchMatMulOptions,
        (Option("adj_x", "bool"), Option("adj_y", "bool"), Option("asymmetric_quantize_inputs", "bool")),
        (2, 2),
        same_type=(0, 1),
    ),
    _B.SQUARED_DIFFERENCE: OpSpec(_O.SquaredDifferenceOptions, (), (2, 2), (), (0, 1), _NUMBERS),
    # LiteRT sums up quantised numbers in floats.
    _B.SUM: replace(_REDUCTION, output_types=(TensorType.FLOAT32, TensorType.INT32)),
    _B.REDUCE_MAX: _REDUCTION,
    _B.REDUCE_MIN: _REDUCTION,
    _B.NEG: OpSpec(_O.NegOptions, same_type=(0,), output_types=(TensorType.FLOAT32, TensorType.INT32)),
    _B.SPLIT_V: _moves(_O.SplitVOptions, Option("num_splits"), inputs=(3, 3), outputs=(1, 1 << 10), constants=(1, 2)),
}
"""By number of the schema's `BuiltinOperator`."""

FOLDED: Mapping[int, OpSpec] = {
    _B.SHAPE: OpSpec(_O.ShapeOptions, (Option("out_type", "i8"),)),
    _B.RANK: OpSpec(_O.RankOptions),
    _B.FILL: OpSpec(_O.FillOptions, inputs=(2, 2)),
    _B.RANGE: OpSpec(_O.RangeOptions, inputs=(3, 3)),
    _B.ZEROS_LIKE: OpSpec(_O.ZerosLikeOptions),
    _B.BROADCAST_ARGS: OpSpec(inputs=(2, 2)),
    _B.REDUCE_PROD: OpSpec(_O.ReducerOptions, (Option("keep_dims", "bool"),), (2, 2)),
    _B.DIV: OpSpec(_O.DivOptions, (_NO_ACTIVATION,), (2, 2)),
    _B.FLOOR_DIV: OpSpec(_O.FloorDivOptions, inputs=(2, 2)),
    _B.FLOOR_MOD: OpSpec(_O.FloorModOptions, inputs=(2, 2)),
    _B.ABS: OpSpec(_O.AbsOptions),
    _B.EQUAL: OpSpec(_O.EqualOptions, inputs=(2, 2)),
    _B.NOT_EQUAL: OpSpec(_O.NotEqualOptions, inputs=(2, 2)),
    _B.LESS: OpSpec(_O.LessOptions, inputs=(2, 2)),
    _B.LESS_EQUAL: OpSpec(_O.LessEqualOptions, inputs=(2, 2)),
    _B.GREATER: OpSpec(_O.GreaterOptions, inputs=(2, 2)),
    _B.GREATER_EQUAL: OpSpec(_O.GreaterEqualOptions, inputs=(2, 2)),
    _B.SELECT: OpSpec(_O.SelectOptions, inputs=(3, 3)),
    _B.SELECT_V2: OpSpec(_O.SelectV2Options, inputs=(3, 3)),
}
"""Operators that lowtide takes where their result is known when the model is imported, as in arithmetic on shapes."""


RESOURCES: Mapping[int, OpSpec] = {
    _B.CALL_ONCE: OpSpec(_O.CallOnceOptions, (Option("init_subgraph_index"),), (0, 0), outputs=(0, 0)),
    _B.VAR_HANDLE: OpSpec(_O.VarHandleOptions, (Option("container", "text"), Option("shared_name", "text")), (0, 0)),
    _B.READ_VARIABLE: OpSpec(_O.ReadVariableOptions),
    _B.ASSIGN_VARIABLE: OpSpec(_O.AssignVariableOptions, (), (2, 2), outputs=(0, 0)),
}
"""Operators on variables, which become inputs and outputs of the network (`variables.py`)."""

CONTROL: Mapping[int, OpSpec] = {
    _B.CALL: OpSpec(_O.CallOptions, (Option("subgraph", "u32"),)),
    _B.IF: OpSpec(_O.IfOptions, (Option("then_subgraph_index"), Option("else_subgraph_index"))),
    _B.WHILE: OpSpec(_O.WhileOptions, (Option("cond_subgraph_index"), Option("body_subgraph_index"))),
}
"""Operators that run subgraphs, in whose place these come (`subgraphs.py`)."""

BIASED = (BuiltinOperator.CONV_2D, BuiltinOperator.DEPTHWISE_CONV_2D, BuiltinOperator.FULLY_CONNECTED)
"""Operators whose inputs are data, weights and an optional bias."""
