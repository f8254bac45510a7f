"""Changes of the element type, and copies."""

from __future__ import annotations

import numpy as np

from netglot.frontends.pytorch.builder import TorchBuilder, aten
from netglot.frontends.pytorch.numeric import is_floating
from netglot.ir.graph import Value


def converted(g: TorchBuilder, x: Value, dtype: np.dtype | None) -> Value:
    """`x` as `dtype`: floats to integers drop the fraction, and to uint8 take the low bits, as a cast by int64 does."""
    if dtype is None:
        return x
    if dtype == np.uint8 and is_floating(x):
        x = g.cast(x, np.int32)
    return g.cast(x, dtype)


@aten("to.dtype", order="self dtype non_blocking copy memory_format")
@aten("to.device", order="self device dtype non_blocking copy memory_format")
def to(g: TorchBuilder, x: Value, *, dtype: np.dtype, copy: bool = False) -> Value:
    return converted(g, x, dtype)


@aten("to.dtype_layout", order="self *")
def to_layout(g: TorchBuilder, x: Value, *, dtype: np.dtype | None = None, copy: bool = False) -> Value:
    return converted(g, x, dtype)


@aten("to.other", order="self other non_blocking copy memory_format")
def to_other(g: TorchBuilder, x: Value, other: Value, *, copy: bool = False) -> Value:
    return converted(g, x, other.dtype)


@aten("_to_copy")
def to_copy(g: TorchBuilder, x: Value, *, dtype: np.dtype | None = None) -> Value:
    return converted(g, x, dtype)


@aten("type_as")
def type_as(g: TorchBuilder, x: Value, other: Value) -> Value:
    return converted(g, x, other.dtype)


@aten("clone", "contiguous", "lift_fresh", "lift_fresh_copy", "lift")
def same(g: TorchBuilder, x: Value) -> Value:
    return x


@aten("copy", order="self src non_blocking")
def copy(g: TorchBuilder, x: Value, src: Value) -> Value:
    """`src` in the type and shape of the tensor that it is copied to."""
    src = converted(g, src, x.dtype)
    return src if src.shape == x.shape and None not in (x.shape or ()) else g.Expand(src, g.Shape(x))
