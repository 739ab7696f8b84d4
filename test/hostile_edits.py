"""Random edits of MLIR text: most give what does not parse, some what parses and means something else."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

Edit = Callable[[str, random.Random], str]

_NUMBER = re.compile(r"(?<![\w.%#\"x])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w.\"])")
_EXTENT = re.compile(r"(?<=[<x])(\d+|\?)(?=x)")
_TYPE = re.compile(r"\b(?:i1|i8|i16|i32|i64|f32|f16|f64|index)\b")
_SHAPED = re.compile(r"(?:tensor|memref|vector)<[^<>]*>")
_OPERATION = re.compile(r"\b(?:arith|math|linalg|tensor|tosa|func|scf|lowtide|transform|bufferization)\.[\w.]+")
_VALUE = re.compile(r"%\w+")
_SUBSCRIPT = re.compile(r"affine_map<\(([^()]*)\) -> \(([^()]*)\)>")
_WORD = re.compile(r"[A-Za-z_][\w.]*")

NUMBERS = (
    "0", "1", "-1", "2", "3", "7", "64", "127", "128", "255", "256", "-128", "32767", "65536", "2147483647",
    "2147483648", "-2147483648", "4294967296", "9223372036854775807", "-9223372036854775808", "-9223372036854775807",
    "9223372036854775808", "18446744073709551616", "100000000000000000000000000000000", "1.0e308", "1.0e-320", "0.0",
    "-0.0", "0x7FC00000", "0xFF800000", "true", "false", "unit",
)  # fmt: skip
EXTENTS = ("0", "1", "2", "3", "5", "17", "1000", "65536", "67108864", "2147483648", "4294967296",
           "9223372036854775807", "?", "-1")  # fmt: skip
TYPES = (
    "i1", "i3", "i4", "i8", "i16", "i24", "i32", "i48", "i64", "i65", "i128", "i16777215", "si8", "ui8", "ui32", "f16",
    "bf16", "f32", "f64", "f80", "f128", "f8E4M3FN", "tf32", "index", "none", "complex<f32>", "tuple<i8>",
    "vector<4xi8>", "vector<[4]xi8>", "tensor<2xi8>", "!transform.any_op", "!llvm.ptr", "!tosa.shape<2>",
)  # fmt: skip
SHAPED = (
    "tensor<i8>", "tensor<f32>", "tensor<*xf32>", "tensor<0xi8>", "tensor<1xi1>", "tensor<4xindex>", "memref<4xi8>",
    "memref<4xi8, strided<[-1], offset: 3>>", "tensor<1x1x1x1x1x1x1x1x1xi8>", "tensor<4xi8, 3 : i32>", "vector<4xf32>",
    "tensor<1x4294967296x4294967296xi8>", "tensor<67108864xi64>", "tensor<4xcomplex<f32>>",
)  # fmt: skip
OPERATIONS = (
    "arith.addi", "arith.subi", "arith.muli", "arith.divsi", "arith.divui", "arith.remsi", "arith.shli", "arith.shrsi",
    "arith.floordivsi", "arith.ceildivsi", "arith.addf", "arith.divf", "arith.remf", "arith.maximumf", "arith.minnumf",
    "arith.negf", "arith.maxui", "math.exp", "math.tanh", "math.erf", "math.sin", "math.atan2", "math.powf",
    "math.ipowi", "math.absi", "math.absf", "math.ctlz", "math.ctpop", "math.roundeven", "math.sqrt", "math.rsqrt",
    "math.cbrt", "math.log1p", "math.floor", "tosa.add", "tosa.mul", "tosa.abs", "tosa.exp", "tosa.tanh", "tosa.negate",
    "tosa.reverse", "tosa.identity", "tosa.erf", "tosa.ceil", "tosa.maximum", "tosa.pow", "tosa.bitwise_and",
    "tosa.logical_not", "tosa.equal", "tosa.reduce_sum", "tosa.reduce_max", "tosa.avg_pool2d", "tosa.custom",
    "linalg.copy", "linalg.exp", "linalg.add", "linalg.softmax", "linalg.map", "linalg.batch_matmul", "linalg.matmul",
    "linalg.conv_2d_nchw_fchw", "linalg.pooling_nhwc_sum", "linalg.pooling_nhwc_max", "tensor.cast", "tensor.gather",
    "tensor.splat", "tensor.empty", "tensor.reshape", "bufferization.alloc_tensor", "bufferization.to_buffer",
    "transform.foreach", "transform.include", "transform.alternatives", "transform.print", "transform.sequence",
    "transform.loop.unroll", "transform.loop.peel", "transform.structured.tile_using_for", "transform.apply_cse",
    "transform.structured.vectorize", "transform.debug.emit_remark_at", "transform.apply_licm", "transform.get_result",
    "lowtide.layers", "lowtide.fuse_spatial", "lowtide.fuse_channels", "lowtide.kernel", "lowtide.schedule",
    "lowtide.allocate", "lowtide.concat",
)  # fmt: skip
ATTRIBUTES = (
    '{lowtide.copied = [-1, 9223372036854775807]}', '{lowtide.strategy = "exact"}', '{lowtide.kernel = "nonesuch"}',
    "{linalg.memoized_indexing_maps = [affine_map<()->()>]}", "{lowtide.budget = -1 : i64}",
    '{sym_visibility = "private"}', "{operandSegmentSizes = array<i32: -1, 9>}", "{transform.with_named_sequence}",
    '{lowtide.microkernels = "mve"}', "{strides = dense<-1> : vector<2xi64>}", "{dilations = dense<0> : vector<2xi64>}",
)  # fmt: skip
STEPS = tuple(
    step.replace("ANY", "!transform.any_op")
    for step in (
        '%f = transform.apply_registered_pass "snapshot-op-locations" with options = { "filename" = "written" }'
        " to %arg0 : (ANY) -> ANY",
        '%f = transform.apply_registered_pass "canonicalize" to %arg0 : (ANY) -> ANY',
        '%f = transform.apply_registered_pass "print-op-graph" to %arg0 : (ANY) -> ANY',
        '%f = transform.apply_registered_pass "linalg-fuse-elementwise-ops" to %arg0 : (ANY) -> ANY',
        "transform.include @__transform_main failures(propagate) (%arg0) : (ANY) -> ()",
        '%f = transform.structured.match ops{["func.call"]} in %arg0 : (ANY) -> ANY',
        '%f = transform.structured.match ops{["linalg.generic"]} in %arg0 : (ANY) -> ANY\n'
        "    %g = transform.structured.generalize %f : (ANY) -> ANY",
        '%f = transform.structured.match ops{["linalg.generic"]} in %arg0 : (ANY) -> ANY\n'
        "    %g = transform.structured.interchange %f iterator_interchange = [1, 0] : (ANY) -> ANY",
        '%f = "lowtide.layers"(%arg0) {numbers = [1, 1, 2]} : (ANY) -> ANY\n    %g = "lowtide.fuse_spatial"(%f)'
        ' {columns = 1 : i64, direction = "backwards", halo = "recompute", recompute = [1], rows = 1} : (ANY) -> ANY',
        '%f = "lowtide.layers"(%arg0) {numbers = []} : (ANY) -> ANY',
        '%f = "lowtide.layers"(%arg0) {numbers = [1]} : (ANY) -> ANY\n'
        '    "lowtide.kernel"(%f) {kernel = "general"} : (ANY) -> ()',
        '"lowtide.schedule"(%arg0) {order = [3, 2, 1]} : (ANY) -> ()',
        '"lowtide.concat"(%arg0) {copied = [1]} : (ANY) -> ()',
        "transform.apply_cse to %arg0 : ANY",
        "transform.apply_patterns to %arg0 { transform.apply_patterns.canonicalization } : ANY",
        "transform.print %arg0 : ANY",
    )
)
TERMS = ("{} + 1", "{} * 2", "-{}", "{} floordiv 2", "{} mod 3", "0", "{} + d0", "{} * 4611686018427387904",
         "{} - 9223372036854775807", "{} ceildiv 0", "7")  # fmt: skip


def edited(text: str, choose: random.Random, weights: Sequence[int]) -> str:
    """The text after one to four edits, of those that weigh more rather."""
    for _ in range(choose.choice((1, 1, 1, 2, 2, 3, 4))):
        text = choose.choices(EDITS, weights)[0](text, choose)
    return text


def _number(text: str, choose: random.Random) -> str:
    """Another small number, of which many make sense."""
    return _one(_NUMBER, [str(number) for number in range(10)])(text, choose)


def _one(pattern: re.Pattern[str], into: Sequence[str]) -> Edit:
    """Replace one match."""

    def edit(text: str, choose: random.Random) -> str:
        found = list(pattern.finditer(text))
        if not found:
            return text
        match = choose.choice(found)
        return text[: match.start()] + choose.choice(into) + text[match.end() :]

    return edit


def _all(pattern: re.Pattern[str], into: Sequence[str]) -> Edit:
    """Replace all that read like one of the matches: what was consistent stays so."""

    def edit(text: str, choose: random.Random) -> str:
        found = list(pattern.finditer(text))
        if not found:
            return text
        old, new = choose.choice(found)[0], choose.choice(into)
        return pattern.sub(lambda match: new if match[0] == old else match[0], text)

    return edit


def _lines(text: str, choose: random.Random) -> str:
    lines = text.split("\n")
    at, other = choose.randrange(len(lines)), choose.randrange(len(lines))
    match choose.randrange(4):
        case 0:
            del lines[at]
        case 1:
            lines.insert(other, lines[at])
        case 2:
            lines[at], lines[other] = lines[other], lines[at]
        case _:
            lines.insert(at, lines.pop(other))
    return "\n".join(lines)


def _swap(pattern: re.Pattern[str]) -> Edit:
    """Put one match in the place of another."""

    def edit(text: str, choose: random.Random) -> str:
        found = list(pattern.finditer(text))
        if len(found) < 2:
            return text
        into, source = choose.choice(found), choose.choice(found)
        return text[: into.start()] + source[0] + text[into.end() :]

    return edit


def _subscript(text: str, choose: random.Random) -> str:
    found = [match for match in _SUBSCRIPT.finditer(text) if match[2].strip()]
    if not found:
        return text
    match = choose.choice(found)
    terms = match[2].split(",")
    at = choose.randrange(len(terms))
    terms[at] = choose.choice(TERMS).format(terms[at].strip())
    return text[: match.start(2)] + ", ".join(terms) + text[match.end(2) :]


def _attribute(text: str, choose: random.Random) -> str:
    places = [match.start() for match in re.finditer(r" : (?=[(t!])| ins\(|^(?=})", text, re.MULTILINE)]
    at = choose.choice(places) if places else 0
    return f"{text[:at]} {choose.choice(ATTRIBUTES)}{text[at:]}"


def _step(text: str, choose: random.Random) -> str:
    """Insert a step of a script, under the name that its argument has there."""
    lines = text.split("\n")
    places = [at for at, line in enumerate(lines) if "lowtide." in line or "transform.yield" in line]
    if not places:
        return text
    argument = re.search(r"@__transform_main\((%\w+)", text)
    step = choose.choice(STEPS).replace("%arg0", argument[1] if argument else "%arg0")
    unique = f"%h{choose.randrange(1_000_000)}"
    lines.insert(choose.choice(places), "    " + step.replace("%f", f"{unique}f").replace("%g", f"{unique}g"))
    return "\n".join(lines)


def _bytes(text: str, choose: random.Random) -> str:
    at = choose.randrange(len(text) + 1)
    match choose.randrange(4):
        case 0:
            return text[:at]
        case 1:
            return text[:at] + text[at + choose.randrange(1, 9) :]
        case 2:
            return text[:at] + choose.choice('"<>[](){}%@#!^:,=-\\\0\x7fé') + text[at:]
        case _:
            return text[:at] + choose.choice("([{<") * choose.choice((3, 900, 100_000)) + text[at:]


def _elements(text: str, choose: random.Random) -> str:
    """A constant from the resources instead, or from a string of bytes."""
    found = list(re.finditer(r"dense<[^<>]*>", text))
    if not found:
        return text
    match = choose.choice(found)
    new = choose.choice(
        ("dense_resource<w>", 'dense<"0x00">', 'dense<"0xFFFFFFFFFFFFFFFF">', "dense<>", "dense<[[1, 2], [3]]>",
         "sparse<[[0]], [1]>", "array<i64: 1, 2>", "dense<true>", "dense<-9223372036854775808>", "dense<0x7FC00001>")
    )  # fmt: skip
    text = text[: match.start()] + new + text[match.end() :]
    blob = choose.choice(
        ("0x", "0x00", "0x040000000000803F", "0x000000000000803F", "0xFFFFFFFF00", "0x40000000" + "00" * 64)
    )
    return text + f'\n{{-#\n  dialect_resources: {{ builtin: {{ w: "{blob}" }} }}\n#-}}\n'


EDITS: tuple[Edit, ...] = (
    _one(_NUMBER, NUMBERS),
    _all(_NUMBER, NUMBERS),
    _one(_EXTENT, EXTENTS),
    _all(_EXTENT, EXTENTS),
    _one(_TYPE, TYPES),
    _all(_TYPE, TYPES),
    _one(_SHAPED, SHAPED),
    _all(_SHAPED, SHAPED),
    _one(_OPERATION, OPERATIONS),
    _swap(_OPERATION),
    _swap(_VALUE),
    _swap(_WORD),
    _swap(_SHAPED),
    _lines,
    _subscript,
    _attribute,
    _step,
    _bytes,
    _elements,
    _number,
)
NETWORK_WEIGHTS = (4, 4, 2, 8, 1, 8, 1, 5, 8, 5, 6, 1, 3, 4, 8, 3, 2, 1, 2, 4)
PLAN_WEIGHTS = (8, 3, 0, 0, 1, 2, 0, 0, 4, 4, 4, 2, 0, 8, 0, 2, 12, 1, 0, 20)
