"""Pooling: images of float32 channels-last by runtime/pool.h, 8-bit ones by the quantised kernels, others as the IR has
them, by runtime/window.h. What reduces whole images is in reduction.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from math import prod

import numpy as np

from netglot.backends.cpp import packing, quantized
from netglot.backends.cpp.context import CppBuilder, Side, cpp_op, number
from netglot.backends.cpp.nest import Ints, nest, numbers
from netglot.backends.cpp.spatial import Axis, call_window, window_axes
from netglot.backends.lowering import NotMappedError
from netglot.ir.graph import Node, Value

_FLOAT, _BYTES = np.dtype(np.float32), (np.dtype(np.int8), np.dtype(np.uint8))


def _is_image(x: Value | None, *dtypes: np.dtype) -> bool:
    """Whether the kernels of channels-last images have x."""
    return x is not None and x.dtype in dtypes and x.rank in (3, 4) and prod(x.sizes) > 0


def _max_layout(node: Node) -> Side:
    has_indices = len(node.outputs) > 1 and node.outputs[1] is not None
    return Side.LAST if _is_image(node.inputs[0], _FLOAT, *_BYTES) and not has_indices else Side.FIRST


def _mean_layout(node: Node) -> Side:
    return Side.LAST if _is_image(node.inputs[0], _FLOAT) else Side.FIRST


def _lp_layout(node: Node) -> Side:
    return _mean_layout(node) if node.attributes.get("p", 2) in _LP else Side.FIRST


_LP = {1: "PoolL1", 2: "PoolL2"}


@cpp_op("MaxPool", layout=_max_layout)
def max_pool(
    m: CppBuilder, x: Value, y: Value, indices: Value | None, *, auto_pad: str, kernel_shape: Ints, strides: Ints = (),
    pads: Ints = (), dilations: Ints = (), ceil_mode: int = 0, storage_order: int = 0,
) -> str:  # fmt: skip
    axes = window_axes(x.sizes[2:], y.sizes[2:], kernel_shape, strides, pads, dilations, auto_pad)
    if indices is not None:
        if storage_order:
            raise NotMappedError("indices in column-major order")
        return call_window("max_pool_indices", [prod(x.sizes[:2])], axes, m.ref(x), m.ref(y), m.ref(indices))
    if _is_image(x, _FLOAT):
        return _images(m, "PoolMax", x, y, axes)
    if _is_image(x, *_BYTES):
        return quantized.max_pool(m, x, y, axes)
    kind = m.kind(x)
    start = f"std::numeric_limits<{kind}>::lowest()"
    return _planes(m, x, y, axes, start, f"{kind} a, {kind} b) {{ return netglot::maximum(a, b)")


@cpp_op("AveragePool", layout=_mean_layout)
def average_pool(
    m: CppBuilder, x: Value, y: Value, *, auto_pad: str, kernel_shape: Ints, strides: Ints = (), pads: Ints = (),
    dilations: Ints = (), ceil_mode: int = 0, count_include_pad: int,
) -> str:  # fmt: skip
    """Sums, then divided by what each window holds: a table for each axis, or one number if they are all alike."""
    axes = window_axes(x.sizes[2:], y.sizes[2:], kernel_shape, strides, pads, dilations, auto_pad)
    counts = [np.maximum(axis.counts(bool(count_include_pad)), 1) for axis in axes]
    if _is_image(x, _FLOAT):
        tables = [np.ones(1), *counts][-2:]
        return _images(m, "PoolMean", x, y, axes, *(m.table(table.astype(_FLOAT), "counts") for table in tables))
    sums = _planes(m, x, y, axes, "0.0", f"double a, {m.kind(x)} b) {{ return a + b")
    if all((count == count[0]).all() for count in counts):
        return f"{sums}\n  {m.elementwise(y, f'a / {number(prod(int(c[0]) for c in counts), y)}', y)}"
    divisors = [m.along(c.astype(x.dtype), f"c{i}", i + 2, y.rank) for i, c in enumerate(counts)]
    product = " * ".join(f"c{i}" for i in range(len(axes)))
    return f"{sums}\n  {nest(y.sizes, [m.write(y), *divisors], f'y /= ({product});')}"


@cpp_op("LpPool", layout=_lp_layout)
def lp_pool(
    m: CppBuilder, x: Value, y: Value, *, auto_pad: str, kernel_shape: Ints, strides: Ints = (), pads: Ints = (),
    dilations: Ints = (), ceil_mode: int = 0, p: int,
) -> str:  # fmt: skip
    axes = window_axes(x.sizes[2:], y.sizes[2:], kernel_shape, strides, pads, dilations, auto_pad)
    if _is_image(x, _FLOAT) and p in _LP:
        return _images(m, _LP[p], x, y, axes)
    power = {1: "std::abs(b)", 2: "double(b) * b"}.get(p, f"std::pow(std::abs(b), {p})")
    sums = _planes(m, x, y, axes, "0.0", f"double a, {m.kind(x)} b) {{ return a + {power}")
    root = {1: "a", 2: "std::sqrt(a)"}.get(p, f"std::pow(a, {number(1 / p, y)})")
    return f"{sums}\n  {m.elementwise(y, root, y)}"


def _images(m: CppBuilder, operation: str, x: Value, y: Value, axes: Sequence[Axis], *counts: str) -> str:
    """The call of runtime/pool.h; one spatial axis is the width of images of height one."""
    across, down = axes[-1], axes[0] if len(axes) > 1 else Axis(1, 1, 1, 1, 0, 1)
    window = packing.Window(
        x.sizes[0], down.size, across.size, x.sizes[1], down.out, across.out, x.sizes[1], down.kernel, across.kernel,
        down.stride, across.stride, down.pad, across.pad, down.dilation, across.dilation, x.sizes[1],
    )  # fmt: skip
    arguments = ", ".join([m.ref(x), m.ref(y), "parallel", *counts])
    return f"netglot::pool_images<netglot::{operation}>({{{numbers(astuple(window))}}},\n      {arguments});"


def _planes(m: CppBuilder, x: Value, y: Value, axes: Sequence[Axis], start: str, combine: str) -> str:
    planes = [prod(x.sizes[:2])]
    return call_window("pool", planes, axes, m.ref(x), m.ref(y), start, f"[]({combine}; }}")
