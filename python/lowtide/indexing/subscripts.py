"""Affine maps applied to symbolic subscripts."""

from __future__ import annotations

from lowtide.errors import InternalError
from lowtide.indexing.linear import Index, Linear
from lowtide.ir import AffineAddExpr, AffineConstantExpr, AffineDimExpr, AffineExpr, AffineMap, AffineMulExpr


def apply_map(amap: AffineMap, dims: Index) -> Index:
    """The map's results for these dimension values."""
    return tuple(_apply(expr, dims) for expr in amap.results)


def is_linear(amap: AffineMap) -> bool:
    """True where `apply_map` gives the map's results for any dimension values."""
    return all(map(_is_linear, amap.results))


def _is_linear(expr: AffineExpr) -> bool:
    if isinstance(expr, AffineAddExpr):
        return _is_linear(expr.lhs) and _is_linear(expr.rhs)
    if isinstance(expr, AffineMulExpr):
        sides = (expr.lhs, expr.rhs)
        return all(map(_is_linear, sides)) and any(isinstance(side, AffineConstantExpr) for side in sides)
    return isinstance(expr, AffineDimExpr | AffineConstantExpr)


def dimension_of(expr: AffineExpr) -> int | None:
    """The dimension that the expression is, or None where it is anything else."""
    return expr.position if isinstance(expr, AffineDimExpr) else None


def _apply(expr: AffineExpr, dims: Index) -> Linear:
    if isinstance(expr, AffineDimExpr):
        return dims[expr.position]
    if isinstance(expr, AffineConstantExpr):
        return Linear((), expr.value)
    if isinstance(expr, AffineAddExpr):
        add = expr
        return _apply(add.lhs, dims) + _apply(add.rhs, dims)
    if isinstance(expr, AffineMulExpr):
        mul = expr
        left, right = _apply(mul.lhs, dims), _apply(mul.rhs, dims)
        if not right.terms:
            return left * right.const
        if not left.terms:
            return right * left.const
    raise InternalError("graph", f"subscript '{expr}' is not linear in the loop variables")
