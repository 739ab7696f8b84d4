"""The one door to MLIR's Python bindings: what lowtide uses of them, and how modules come in and passes run.

No other folder imports the bindings, so that another wheel can take their place by changing this one.
"""

from __future__ import annotations

from torch_mlir.dialects import (
    affine as affine,
    arith as arith,
    bufferization as bufferization,
    builtin as builtin,
    ext as ext,
    func as func,
    index as index,
    linalg as linalg,
    llvm as llvm,
    math as math,
    memref as memref,
    scf as scf,
    tensor as tensor,
    tosa as tosa,
    transform as transform,
    vector as vector,
)
from torch_mlir.dialects.transform import interpreter as interpreter, structured as structured
from torch_mlir.execution_engine import ExecutionEngine as ExecutionEngine
from torch_mlir.ir import (
    AffineAddExpr as AffineAddExpr,
    AffineConstantExpr as AffineConstantExpr,
    AffineDimExpr as AffineDimExpr,
    AffineExpr as AffineExpr,
    AffineMap as AffineMap,
    AffineMapAttr as AffineMapAttr,
    AffineMulExpr as AffineMulExpr,
    ArrayAttr as ArrayAttr,
    Attribute as Attribute,
    Block as Block,
    BlockArgument as BlockArgument,
    BoolAttr as BoolAttr,
    Context as Context,
    DenseElementsAttr as DenseElementsAttr,
    DenseI32ArrayAttr as DenseI32ArrayAttr,
    DenseI64ArrayAttr as DenseI64ArrayAttr,
    Diagnostic as Diagnostic,
    DiagnosticSeverity as DiagnosticSeverity,
    DictAttr as DictAttr,
    F32Type as F32Type,
    FlatSymbolRefAttr as FlatSymbolRefAttr,
    FloatAttr as FloatAttr,
    FloatType as FloatType,
    FunctionType as FunctionType,
    IndexType as IndexType,
    InsertionPoint as InsertionPoint,
    IntegerAttr as IntegerAttr,
    IntegerType as IntegerType,
    IsTerminatorTrait as IsTerminatorTrait,
    Location as Location,
    MemoryEffectInstancesList as MemoryEffectInstancesList,
    MemoryEffectsOpInterface as MemoryEffectsOpInterface,
    MemRefType as MemRefType,
    Module as Module,
    NameLoc as NameLoc,
    NoneType as NoneType,
    NoTerminatorTrait as NoTerminatorTrait,
    Operation as Operation,
    OpResult as OpResult,
    OpView as OpView,
    RankedTensorType as RankedTensorType,
    ShapedType as ShapedType,
    StringAttr as StringAttr,
    Type as Type,
    TypeAttr as TypeAttr,
    UnitAttr as UnitAttr,
    Value as Value,
    VectorType as VectorType,
    WalkOrder as WalkOrder,
    WalkResult as WalkResult,
)
from torch_mlir.passmanager import PassManager as PassManager

from lowtide.ir.attributes import i64 as i64, i64_array as i64_array
from lowtide.ir.diagnostics import (
    place_of as place_of,
    transform_diagnostics as transform_diagnostics,
)
from lowtide.ir.modules import (
    bytecode_of as bytecode_of,
    declarations_of as declarations_of,
    has_value as has_value,
    make_context as make_context,
    run_pipeline as run_pipeline,
    text_of as text_of,
    verify as verify,
)
from lowtide.ir.parsing import (
    BYTECODE_MAGIC as BYTECODE_MAGIC,
    MAX_NESTING as MAX_NESTING,
    parse_file as parse_file,
    parse_foreign as parse_foreign,
    parse_module as parse_module,
    parse_operation as parse_operation,
    parse_parts as parse_parts,
    read_bytes as read_bytes,
    read_module as read_module,
)
