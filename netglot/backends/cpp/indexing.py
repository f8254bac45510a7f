"""Operators that read or write at computed places. An index outside of its axis is moved inside."""

from __future__ import annotations

from math import prod

import numpy as np

from netglot.backends.cpp.context import CppBuilder, c_type, cpp_op
from netglot.backends.cpp.nest import Ints, Walk, nest, strides
from netglot.backends.cpp.packing import to_exact_halves
from netglot.backends.lowering import NotMappedError
from netglot.ir.graph import Value

COMBINE = {
    "none": "y = u;",
    "add": "y += u;",
    "mul": "y *= u;",
    "max": "y = netglot::maximum(y, u);",
    "min": "y = netglot::minimum(y, u);",
}


def _at(x: Value, axis: int, index: str = "i") -> str:
    return f"netglot::index<{x.sizes[axis]}>({index}) * {strides(x.sizes)[axis]}"


@cpp_op("Gather")
def gather(m: CppBuilder, x: Value, indices: Value, y: Value, *, axis: int) -> str:
    """Walks the axes before, those of the indices, and those behind."""
    axis %= x.rank
    steps, none = strides(x.sizes), (0,) * indices.rank
    read = _table(m, x, (*steps[:axis], *none, *steps[axis + 1 :]))
    index_steps = (*(0,) * axis, *strides(indices.sizes), *(0,) * (x.rank - axis - 1))
    element = f"netglot::cast<{m.kind(y)}>((&x)[{_at(x, axis)}])"
    return nest(y.sizes, [m.write(y), read, m.read(indices, "i", steps=index_steps)], f"y = {element};")


def _table(m: CppBuilder, x: Value, steps: Ints) -> Walk:
    """What elements are taken of, by address; embeddings that are halves in the source stay so."""
    may_be_halves = m.has_halves and x.is_constant and x.dtype == np.float32
    halves = to_exact_halves(x.array) if may_be_halves else None
    if halves is None:
        return m.read(x, "x", steps=steps, by_address=True)
    return Walk(f"const {c_type(halves.dtype)}& x", m.table(halves, "table"), steps)


@cpp_op("GatherElements")
def gather_elements(m: CppBuilder, x: Value, indices: Value, y: Value, *, axis: int) -> str:
    axis %= x.rank
    read = m.read(x, "x", steps=_except(strides(x.sizes), axis), by_address=True)
    return nest(y.sizes, [m.write(y), read, m.read(indices, "i")], f"y = (&x)[{_at(x, axis)}];")


def _except(steps: Ints, axis: int) -> Ints:
    return tuple(0 if i == axis else step for i, step in enumerate(steps))


@cpp_op("ScatterElements")
def scatter_elements(
    m: CppBuilder, x: Value, indices: Value, updates: Value, y: Value, *, axis: int, reduction: str
) -> str:
    axis %= x.rank
    write = m.write(y, _except(strides(y.sizes), axis), "first")
    place = f"{m.kind(y)}& y = (&first)[{_at(y, axis)}]; {COMBINE[reduction]}"
    walks = [write, m.read(indices, "i"), m.read(updates, "u")]
    return f"{m.copy(x, y)}\n  {nest(indices.sizes, walks, place)}"


@cpp_op("GatherND")
def gather_nd(m: CppBuilder, x: Value, indices: Value, y: Value, *, batch_dims: int) -> str:
    *outer, depth = indices.sizes
    tail = x.rank - batch_dims - depth
    steps, index_steps = strides(x.sizes), strides(indices.sizes)[:-1]
    x_steps = (*steps[:batch_dims], *(0,) * (len(outer) - batch_dims), *steps[x.rank - tail :])
    walks = [
        m.write(y),
        m.read(x, "x", steps=x_steps, by_address=True),
        m.read(indices, "i", steps=(*index_steps, *(0,) * tail), by_address=True),
    ]
    return nest((*outer, *x.sizes[x.rank - tail :]), walks, f"y = (&x)[{_tuple(x, batch_dims, depth)}];")


def _tuple(x: Value, first: int, depth: int) -> str:
    """The offset in x that the numbers (&i)[0], (&i)[1]... say, for its axes from `first` on."""
    return " + ".join(_at(x, first + k, f"(&i)[{k}]") for k in range(depth)) or "0"


@cpp_op("ScatterND")
def scatter_nd(m: CppBuilder, x: Value, indices: Value, updates: Value, y: Value, *, reduction: str) -> str:
    *outer, depth = indices.sizes
    tail = x.sizes[depth:]
    walks = [
        m.write(y, (*(0,) * len(outer), *strides(tail)), "first"),
        m.read(indices, "i", steps=(*strides(indices.sizes)[:-1], *(0,) * len(tail)), by_address=True),
        m.read(updates, "u"),
    ]
    place = f"{m.kind(y)}& y = (&first)[{_tuple(y, 0, depth)}]; {COMBINE[reduction]}"
    return f"{m.copy(x, y)}\n  {nest((*outer, *tail), walks, place)}"


@cpp_op("MaxUnpool")
def max_unpool(m: CppBuilder, x: Value, indices: Value, shape: Value | None, y: Value, *, kernel_shape: Ints,
               strides: Ints = (), pads: Ints = ()) -> str:  # fmt: skip
    """The indices are places in the whole of y."""
    count = prod(y.sizes)
    walks = [m.write(y, (0,) * x.rank, "first"), m.read(indices, "i"), m.read(x, "u")]
    place = f"(&first)[netglot::index<{count}>(i)] = u;"
    return f"{nest(y.sizes, [m.write(y)], 'y = 0;')}\n  {nest(x.sizes, walks, place)}"


@cpp_op("OneHot")
def one_hot(m: CppBuilder, indices: Value, depth: Value, values: Value, y: Value, *, axis: int) -> str:
    axis %= y.rank
    steps = strides(indices.sizes)
    positions = m.along(np.arange(y.sizes[axis]), "at", axis, y.rank)
    walks = [
        m.write(y),
        m.read(indices, "i", steps=(*steps[:axis], 0, *steps[axis:])),
        m.read(values, "off", steps=(0,) * y.rank, by_address=True),
        positions,
    ]
    body = f"y = std::int64_t(i) + (i < 0 ? {y.sizes[axis]} : 0) == at ? (&off)[1] : off;"
    return nest(y.sizes, walks, body)


@cpp_op("Trilu")
def trilu(m: CppBuilder, x: Value, k: Value | None, y: Value, *, upper: int) -> str:
    if k is not None and not k.is_constant:
        raise NotMappedError("k is computed")
    shift, rank = 0 if k is None else int(k.array.item()), x.rank
    rows = m.along(np.arange(x.sizes[-2]) + shift, "row", rank - 2, rank)
    columns = m.along(np.arange(x.sizes[-1]), "column", rank - 1, rank)
    body = f"y = column {'>=' if upper else '<='} row ? a : 0;"
    return nest(y.sizes, [m.write(y), m.read(x, "a"), rows, columns], body)


@cpp_op("ReverseSequence")
def reverse_sequence(m: CppBuilder, x: Value, lengths: Value, y: Value, *, batch_axis: int, time_axis: int) -> str:
    steps, size = strides(x.sizes), x.sizes[time_axis]
    walks = [
        m.write(y),
        m.read(x, "x", steps=_except(steps, time_axis), by_address=True),
        m.read(lengths, "n", steps=tuple(int(i == batch_axis) for i in range(x.rank))),
        m.along(np.arange(size), "t", time_axis, x.rank),
    ]
    return nest(y.sizes, walks, f"y = (&x)[netglot::index<{size}>(t < n ? n - 1 - t : t) * {steps[time_axis]}];")
