"""Puts constants that live in the file's resource section (`dense_resource<key>`) into the operations themselves.

The bindings can't read such elements: the section of the printed module is what there is. What stands alone in a later
stage, a function printed without its module, would lose them.
"""

from __future__ import annotations

import math
import re

from lowtide.dtypes import DTYPE_BYTES
from lowtide.errors import InputError
from lowtide.ir import Attribute, Module, Operation, RankedTensorType, func
from lowtide.normalise.analysis import ELEMENTS

STAGE = "importer"
_HOLDERS = {"arith.constant": "value", "tosa.const": "values"}
_KEY = re.compile(r'dense_resource<("(?:[^"\\]|\\.)*"|[^">]*)>')
_BLOB = re.compile(r'^\s*("(?:[^"\\]|\\.)*"|[\w$.-]+): "0x([0-9A-Fa-f]*)"', re.MULTILINE)
# A blob begins with its alignment, four bytes.
_HEADER = 8


def inline_resources(module: Module) -> None:
    """Replace resources by dense elements in place.

    Raises:
        InputError: a resource is not in the file, or is not the size of its tensor.
    """
    holders = [(op, name) for op, name in _constants(module) if str(op.attributes[name]).startswith("dense_resource<")]
    if not holders:
        return
    text = module.operation.get_asm()
    blobs = dict(_BLOB.findall(text[text.rfind("{-#") :])) if "{-#" in text else {}
    for op, name in holders:
        op.attributes[name] = _dense(op, str(op.attributes[name]), blobs)


def _constants(module: Module) -> list[tuple[Operation, str]]:
    blocks = [block for view in module.body.operations if isinstance(view, func.FuncOp) for block in view.regions[0]]
    operations = [view.operation for block in blocks for view in block.operations]
    return [(op, _HOLDERS[op.name]) for op in operations if op.name in _HOLDERS]


def _dense(op: Operation, text: str, blobs: dict[str, str]) -> Attribute:
    match = _KEY.match(text)
    key = match.group(1) if match else text
    kind = op.results[0].type
    where = f"{op.name}, resource {key}"
    if key not in blobs:
        raise InputError(STAGE, "the constant's elements are not in the file", where=where, remedy="write it unelided")
    if not isinstance(kind, RankedTensorType) or ELEMENTS.get(str(kind.element_type), "bool") == "bool":
        raise InputError(STAGE, f"'{kind}' can't be read from a resource", where=where, remedy="write it as dense<…>")
    data = blobs[key][_HEADER:]
    size = math.prod(kind.shape) * DTYPE_BYTES[ELEMENTS[str(kind.element_type)]]
    if len(data) != 2 * size:
        raise InputError(STAGE, f"{len(data) // 2} bytes, but '{kind}' has {size}", where=where)
    return Attribute.parse(f'dense<"0x{data}"> : {kind}', op.context)
