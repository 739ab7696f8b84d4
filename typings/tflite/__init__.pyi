"""Stubs for the slice of tflite that lowtide uses: enumerations of the schema."""

class ActivationFunctionType:
    NONE: int
    RELU: int
    RELU6: int
    RELU_N1_TO_1: int

class BuiltinOperator:
    ADD: int
    AVERAGE_POOL_2D: int
    CAST: int
    CEIL: int
    CONCATENATION: int
    CONV_2D: int
    CUSTOM: int
    DEPTHWISE_CONV_2D: int
    DEQUANTIZE: int
    EMBEDDING_LOOKUP: int
    EXPAND_DIMS: int
    FLOOR: int
    FULLY_CONNECTED: int
    GATHER: int
    GATHER_ND: int
    HARD_SWISH: int
    LEAKY_RELU: int
    LOGISTIC: int
    MAXIMUM: int
    MAX_POOL_2D: int
    MEAN: int
    MINIMUM: int
    MUL: int
    PAD: int
    PADV2: int
    PLACEHOLDER_FOR_GREATER_OP_CODES: int
    QUANTIZE: int
    RELU: int
    RELU6: int
    RELU_N1_TO_1: int
    RESHAPE: int
    SLICE: int
    SOFTMAX: int
    SQUEEZE: int
    STRIDED_SLICE: int
    SUB: int
    TANH: int
    TRANSPOSE: int

class BuiltinOptions:
    AddOptions: int
    CastOptions: int
    ConcatenationOptions: int
    Conv2DOptions: int
    DepthwiseConv2DOptions: int
    DequantizeOptions: int
    ExpandDimsOptions: int
    FullyConnectedOptions: int
    GatherOptions: int
    HardSwishOptions: int
    LeakyReluOptions: int
    MaximumMinimumOptions: int
    MulOptions: int
    PadOptions: int
    PadV2Options: int
    Pool2DOptions: int
    QuantizeOptions: int
    ReducerOptions: int
    ReshapeOptions: int
    SliceOptions: int
    SoftmaxOptions: int
    SqueezeOptions: int
    StridedSliceOptions: int
    SubOptions: int
    TransposeOptions: int

class TensorType:
    BOOL: int
    COMPLEX64: int
    COMPLEX128: int
    FLOAT16: int
    FLOAT32: int
    INT16: int
    INT32: int
    INT64: int
    INT8: int
    UINT16: int
    UINT32: int
    UINT64: int
    UINT8: int

class SubGraph:
    def OutputsLength(self) -> int: ...  # noqa: N802

class Model:
    @classmethod
    def GetRootAs(cls, buf: bytes, offset: int) -> Model: ...  # noqa: N802
    def Subgraphs(self, j: int) -> SubGraph | None: ...  # noqa: N802
