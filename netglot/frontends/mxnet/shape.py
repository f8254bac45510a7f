"""Operators that move elements and compute nothing."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from netglot.errors import ConversionError
from netglot.frontends.mxnet.builder import MXNetBuilder, mxnet_op
from netglot.ir.graph import Value
from netglot.ir.types import Dim, Shape, is_static

Ints = tuple[int, ...]


@mxnet_op("Flatten", "flatten")
def flatten(g: MXNetBuilder, data: Value) -> Value:
    return g.Flatten(data, axis=1)


@mxnet_op("Concat", "concat")
def concat(g: MXNetBuilder, *data: Value, dim: int = 1) -> Value:
    return g.Concat(*data, axis=g.axis(data[0], dim))


@mxnet_op("transpose")
def transpose(g: MXNetBuilder, data: Value, *, axes: Ints = ()) -> Value:
    return g.Transpose(data, perm=[g.axis(data, axis) for axis in axes] or list(range(data.rank))[::-1])


@mxnet_op("Reshape", "reshape")
def reshape(
    g: MXNetBuilder, data: Value, *, shape: Ints = (), reverse: bool = False, target_shape: Ints = (),
    keep_highest: bool = False,
) -> Value:  # fmt: skip
    """matrix_op-inl.h, InferReshapeShape. target_shape is how it was said before 0.8: there 0 is what is left."""
    if not data.shape:
        raise g.unsupported("the rank of the data is unknown, or it is a scalar")
    if not shape and target_shape:
        kept = (0, *target_shape[1:]) if keep_highest else target_shape
        first = 1 if keep_highest else 0
        codes = [*kept[:first], *(size or -1 for size in kept[first:])]
        return g.reshaped(data, reshaped_sizes(g, data.shape, codes))
    if reverse:  # all is read from the right, also a -4, which then comes after its two sizes
        return g.reshaped(data, reshaped_sizes(g, data.shape[::-1], shape[::-1])[::-1])
    return g.reshaped(data, reshaped_sizes(g, data.shape, shape))


def reshaped_sizes(g: MXNetBuilder, source: Shape, codes: Sequence[int]) -> list[Dim]:
    """The sizes that Reshape's `shape` makes of `source`; None is not known.

    0 copies a size, -1 is what is left, -2 copies all that follow, -3 multiplies two, -4 splits one into the two that
    come next.
    """
    items = list(codes)
    sizes: list[Dim] = []
    inferred: int | None = None
    at = 0
    while items:
        code = items.pop(0)
        if code == -2:
            sizes += source[at:]
            at = len(source)
        elif code == -3:
            sizes.append(_product(source[at : at + 2]))
            at += 2
        elif code == -4:
            sizes += _split(g, _size(g, source, at), items)
            at += 1
        elif code == 0:
            sizes.append(_size(g, source, at))
            at += 1
        elif code == -1 and inferred is None:
            inferred = len(sizes)
            sizes.append(None)
            at += 1
        elif code > 0:
            sizes.append(code)
            at += 1
        else:
            raise ConversionError(f"Reshape to {tuple(codes)} makes no sense", g.origin)
    return sizes if inferred is None else _filled(source, sizes, inferred)


def _size(g: MXNetBuilder, source: Shape, at: int) -> Dim:
    if at >= len(source):
        raise ConversionError(f"Reshape copies axis {at} of a tensor of rank {len(source)}", g.origin)
    return source[at]


def _product(sizes: Shape) -> Dim:
    known = [size for size in sizes if isinstance(size, int)]
    others = [size for size in sizes if not isinstance(size, int)]
    if not others:
        return prod(known)
    return others[0] if len(others) == 1 and prod(known) == 1 else None


def _split(g: MXNetBuilder, size: Dim, items: list[int]) -> list[Dim]:
    if len(items) < 2:
        raise ConversionError("Reshape: -4 needs two sizes after it", g.origin)
    pair: list[Dim] = [items.pop(0), items.pop(0)]
    if -1 in pair:
        at = pair.index(-1)
        other = pair[1 - at]
        whole = isinstance(size, int) and isinstance(other, int) and other > 0
        pair[at] = size // other if whole and isinstance(size, int) and isinstance(other, int) else None
    return pair


def _filled(source: Shape, sizes: list[Dim], at: int) -> list[Dim]:
    """`sizes` with what is left of `source` in place `at`, where that is known."""
    others = tuple(sizes[:at] + sizes[at + 1 :])
    named = [dim for dim in source if isinstance(dim, str)]
    left = list(source)
    for dim in (dim for dim in others if isinstance(dim, str) and dim in named):
        left.remove(dim)
    rest = tuple(dim for dim in others if not (isinstance(dim, str) and dim in named))
    if is_static(tuple(left)) and is_static(rest):
        count = prod(dim for dim in rest if isinstance(dim, int))
        sizes[at] = prod(dim for dim in left if isinstance(dim, int)) // count if count else 0
    return sizes
