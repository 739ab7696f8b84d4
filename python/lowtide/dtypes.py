"""Element types of tensors, by their numpy names."""

from __future__ import annotations

from typing import Literal

DType = Literal["int8", "uint8", "int16", "uint16", "int32", "int64", "float32", "bool"]

DTYPE_BYTES: dict[DType, int] = {
    "int8": 1,
    "uint8": 1,
    "int16": 2,
    "uint16": 2,
    "int32": 4,
    "int64": 8,
    "float32": 4,
    "bool": 1,
}
