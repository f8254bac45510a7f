"""Operators along one axis (runtime/lines.h): the other axes only say where each line starts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from netglot.backends.cpp import maps
from netglot.backends.cpp.context import CppBuilder, cpp_op, steps_of
from netglot.backends.cpp.nest import Ints, nest
from netglot.backends.lowering import NotMappedError
from netglot.backends.sides import alike, reduction_of_one
from netglot.ir.graph import Value


def without(shape: Ints, axes: Ints) -> Ints:
    """`shape` or steps with those of `axes` neutral: one, for sizes."""
    return tuple(1 if axis in axes else size for axis, size in enumerate(shape))


def line(x: Value, axis: int) -> str:
    """The number of elements along an axis and the step between them, as template arguments."""
    return f"{x.sizes[axis]}, {steps_of(x)[axis]}"


def each_line(m: CppBuilder, axis: int, body: str, x: Value, *outputs: Value) -> str:
    """Runs `body` for the start of each line of x along `axis` (as x) and of the outputs (as y, y1...)."""
    axis %= x.rank
    names = ["y", *(f"y{i}" for i in range(1, len(outputs)))]
    walks = [m.write(y, _starts(y, axis, x.rank), name) for y, name in zip(outputs, names, strict=True)]
    walks.append(m.read(x, "x", steps=_starts(x, axis, x.rank), by_address=True))
    return nest(without(x.sizes, (axis,)), walks, body)


def _starts(value: Value, axis: int, rank: int) -> Ints:
    """Steps from line to line; a value that has lost the axis has none along it."""
    steps = steps_of(value)
    return steps if value.rank == rank else (*steps[:axis], 0, *steps[axis:])


def _same_shape(kernel: str) -> Callable[..., str]:
    def function(m: CppBuilder, x: Value, y: Value, *, axis: int) -> str:
        return each_line(m, axis, f"netglot::{kernel}<{line(x, axis)}>(&x, &y);", x, y)

    return function


def _softmax(kernel: str, operation: str) -> Callable[..., str]:
    def function(m: CppBuilder, x: Value, y: Value, *, axis: int) -> str:
        sizes = maps.lines_of(x, (axis % x.rank,))
        if sizes and maps.is_alike(x, y):
            return maps.lines(m, x, y, sizes, operation)
        return _same_shape(kernel)(m, x, y, axis=axis)

    return function


cpp_op("Softmax", layout=alike, in_place=True)(_softmax("softmax", "SoftmaxLine<false>{}"))
cpp_op("LogSoftmax", layout=alike, in_place=True)(_softmax("log_softmax", "SoftmaxLine<true>{}"))
cpp_op("Hardmax", layout=alike, in_place=True)(_same_shape("hardmax"))


def _arg(better: str) -> Callable[..., str]:
    def function(m: CppBuilder, x: Value, y: Value, *, axis: int, keepdims: int, select_last_index: int) -> str:
        kind = m.kind(x)
        compare = f"[]({kind} a, {kind} b) {{ return a {better}{'=' if select_last_index else ''} b; }}"
        return each_line(m, axis, f"y = netglot::arg_best<{line(x, axis)}>(&x, {compare});", x, y)

    return function


cpp_op("ArgMax", layout=reduction_of_one)(_arg(">"))
cpp_op("ArgMin", layout=reduction_of_one)(_arg("<"))


@cpp_op("TopK", layout=alike)
def top_k(
    m: CppBuilder, x: Value, k: Value, values: Value, indices: Value, *, axis: int, largest: int, sorted: int
) -> str:
    kind = m.kind(x)
    compare = f"[]({kind} a, {kind} b) {{ return a {'>' if largest else '<'} b; }}"
    sizes = f"{line(x, axis)}, {line(values, axis)}"
    return each_line(m, axis, f"netglot::top_k<{sizes}>(&x, &y, &y1, {compare});", x, values, indices)


def _running(combine: str, start: int) -> Callable[..., str]:
    def function(m: CppBuilder, x: Value, axis: Value, y: Value, *, exclusive: int, reverse: int) -> str:
        if not axis.is_constant:
            raise NotMappedError("the axis is computed")
        at, flags = int(axis.array.item()) % x.rank, f"{str(bool(exclusive)).lower()}, {str(bool(reverse)).lower()}"
        kernel = f"netglot::running<{line(x, at)}, {flags}>"
        return each_line(m, at, f"{kernel}(&x, &y, {start}, [](auto a, auto b) {{ return a {combine} b; }});", x, y)

    return function


cpp_op("CumSum", layout=alike)(_running("+", 0))
cpp_op("CumProd", layout=alike)(_running("*", 1))


@cpp_op("LRN")
def lrn(m: CppBuilder, x: Value, y: Value, *, alpha: float, beta: float, bias: float, size: int) -> str:
    """x / (bias + alpha / size * sum of the squares of `size` neighbouring channels) ^ beta."""
    inner = int(np.prod(x.sizes[2:]))
    numbers = f"{float(alpha / size)!r}, {float(beta)!r}, {float(bias)!r}"
    return f"netglot::lrn<{x.sizes[0]}, {x.sizes[1]}, {inner}, {size}>({m.ref(x)}, {m.ref(y)}, {numbers});"
