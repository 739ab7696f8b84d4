from collections.abc import Sequence
from typing import Any

from torch_mlir.ir import (
    ArrayAttr,
    Block,
    FlatSymbolRefAttr,
    FunctionType,
    InsertionPoint,
    Location,
    OpResultList,
    OpView,
    StringAttr,
    Type,
    Value,
)

class FuncOp(OpView):
    def __init__(
        self,
        name: str,
        type: FunctionType | tuple[Sequence[Type], Sequence[Type]],
        *,
        visibility: str | None = None,
        loc: Location | None = None,
        ip: InsertionPoint | None = None,
    ) -> None: ...
    @property
    def name(self) -> StringAttr: ...  # pyright: ignore[reportIncompatibleMethodOverride]
    @property
    def type(self) -> FunctionType: ...
    @property
    def is_external(self) -> bool: ...
    @property
    def body(self) -> Any: ...
    @property
    def entry_block(self) -> Block: ...
    @property
    def arguments(self) -> Sequence[Value]: ...
    @property
    def arg_attrs(self) -> ArrayAttr: ...
    def add_entry_block(self, arg_locs: Sequence[Location] | None = None) -> Block: ...

class CallOp(OpView):
    def __init__(
        self,
        results: Sequence[Type],
        callee: FlatSymbolRefAttr,
        operands: Sequence[Value],
        *,
        loc: Location | None = None,
        ip: InsertionPoint | None = None,
    ) -> None: ...
    @property
    def callee(self) -> FlatSymbolRefAttr: ...
    @property
    def results(self) -> OpResultList: ...

class ReturnOp(OpView):
    def __init__(
        self, operands: Sequence[Value], *, loc: Location | None = None, ip: InsertionPoint | None = None
    ) -> None: ...

def __getattr__(name: str) -> Any: ...
