"""Operators that read or write at computed places, as a Gather or ScatterND over all elements in a row; masks."""

from __future__ import annotations

from math import prod

import numpy as np

from netglot.backends.composed.driver import Composer, composition
from netglot.backends.lowering import NotMappedError, padded_places
from netglot.ir.graph import Node, Value
from netglot.ir.types import to_onnx

INT64 = to_onnx(np.dtype(np.int64))


def strides(sizes: tuple[int, ...]) -> tuple[int, ...]:
    """How many elements apart neighbours along each axis lie."""
    return tuple(prod(sizes[axis + 1 :]) for axis in range(len(sizes)))


def from_start(g: Composer, indices: Value, sizes: int | tuple[int, ...]) -> Value:
    """Indices that count from the end counted from the start, as int64; `sizes` are broadcast with them."""
    indices = indices if indices.dtype == np.int64 else g.Cast(indices, to=INT64)
    ends = np.array(sizes, np.int64)
    if indices.is_constant:
        return g.constant(np.where(indices.array < 0, indices.array + ends, indices.array))
    return g.Where(g.Less(indices, np.int64(0)), g.Add(indices, ends), indices)


def _others(shape: tuple[int, ...], steps: tuple[int, ...], axes: range | list[int]) -> np.ndarray:
    """The part of each element's place, in something of `shape`, that its coordinates along `axes` make."""
    grid = np.indices(shape, np.int64, sparse=True)
    return np.asarray(sum((grid[axis] * steps[axis] for axis in axes), np.zeros((1,) * len(shape), np.int64)))


def places(g: Composer, x: Value, indices: Value, axis: int) -> Value:
    """Where in the row of all elements of x each of `indices` along `axis` is, the other coordinates being its own."""
    axis %= x.rank
    steps = strides(x.sizes)
    others = _others(indices.sizes, steps, [i for i in range(x.rank) if i != axis])
    return g.Add(g.Mul(from_start(g, indices, x.sizes[axis]), np.int64(steps[axis])), others)


def _differs_beside_axis(node: Node) -> bool:
    x, indices = node.inputs[0], node.inputs[1]
    assert x is not None
    assert indices is not None
    axis = int(node.attributes.get("axis", 0)) % x.rank
    return any(a != b for i, (a, b) in enumerate(zip(x.sizes, indices.sizes, strict=True)) if i != axis)


@composition("GatherElements", instead={"coreml": _differs_beside_axis})
def gather_elements(g: Composer, x: Value, indices: Value, *, axis: int) -> Value:
    return g.Gather(g.Reshape(x, [-1]), places(g, x, indices, axis))


@composition("ScatterElements", instead={"coreml": _differs_beside_axis})
def scatter_elements(g: Composer, x: Value, indices: Value, updates: Value, *, axis: int, reduction: str) -> Value:
    rows = g.Reshape(places(g, x, indices, axis), [-1, 1])
    result = g.ScatterND(g.Reshape(x, [-1]), rows, g.Reshape(updates, [-1]), reduction=reduction)
    return g.Reshape(result, list(x.sizes))


def _is_batched(node: Node) -> bool:
    return bool(node.attributes.get("batch_dims"))


@composition("GatherND", instead={"tflite": _is_batched})
def gather_nd(g: Composer, x: Value, indices: Value, *, batch_dims: int) -> Value:
    """A row of x for each tuple of indices, which with the batch's coordinates says the number of the row."""
    *outer, depth = indices.sizes
    picked, tail = x.sizes[: batch_dims + depth], x.sizes[batch_dims + depth :]
    steps = np.array(strides(picked), np.int64)
    tuples = from_start(g, indices, picked[batch_dims:])
    numbers = g.ReduceSum(g.Mul(tuples, steps[batch_dims:]), [-1], keepdims=0)
    if batch_dims:
        numbers = g.Add(numbers, _others(tuple(outer), tuple(steps), range(batch_dims)))
    rows = g.Gather(g.Reshape(x, [prod(picked), prod(tail)]), g.Reshape(numbers, [-1]))
    return g.Reshape(rows, [*outer, *tail])


@composition("MaxUnpool")
def max_unpool(
    g: Composer, x: Value, indices: Value, shape: Value | None, *, kernel_shape: tuple[int, ...],
    strides: tuple[int, ...] = (), pads: tuple[int, ...] = (),
) -> Value:  # fmt: skip
    """The indices are places in the whole of the output, whose size follows from the kernel's."""
    if shape is not None:
        raise NotMappedError("an output_shape: of what its indices are places, ONNX and ONNX Runtime do not agree")
    sizes = g.outputs[0].sizes
    zeros = g.constant(np.zeros(g.affordable(prod(sizes)), x.dtype))
    result = g.ScatterND(zeros, g.Reshape(indices, [-1, 1]), g.Reshape(x, [-1]))
    return g.Reshape(result, list(sizes))


@composition("Trilu")
def trilu(g: Composer, x: Value, k: Value | None, *, upper: int) -> Value:
    if k is not None and not k.is_constant:
        raise NotMappedError("k is computed")
    shift = 0 if k is None else int(k.array.item())
    mask = (np.triu if upper else np.tril)(np.ones(x.sizes[-2:], bool), shift)
    return g.Where(mask.reshape((1,) * (x.rank - 2) + mask.shape), x, np.array(0, x.dtype))


@composition("Hardmax")
def hardmax(g: Composer, x: Value, *, axis: int) -> Value:
    assert x.dtype is not None
    classes = np.arange(x.sizes[axis]).reshape([-1 if i == axis % x.rank else 1 for i in range(x.rank)])
    return g.Cast(g.Equal(g.ArgMax(x, axis=axis, keepdims=1), classes), to=to_onnx(x.dtype))


@composition("CumProd")
def cum_prod(g: Composer, x: Value, axis: Value, *, exclusive: int, reverse: int) -> Value:
    """In steps that double: each element is multiplied by that 1, 2, 4... before it, or by one."""
    if not axis.is_constant:
        raise NotMappedError("the axis is computed")
    at = int(axis.array.item()) % x.rank
    size, result = x.sizes[at], x
    if exclusive:
        result = _shifted(g, result, at, 1, bool(reverse))
    step = 1
    while step < size:
        result = g.Mul(result, _shifted(g, result, at, step, bool(reverse)))
        step *= 2
    return result


def _shifted(g: Composer, x: Value, axis: int, by: int, backwards: bool) -> Value:
    """x moved `by` elements towards its end (or its beginning), with ones where it was."""
    ones = g.constant(np.ones([by if i == axis else n for i, n in enumerate(x.sizes)], x.dtype))
    size = x.sizes[axis]
    if by >= size:
        return g.constant(np.ones(x.sizes, x.dtype))
    if backwards:
        return g.Concat(g.Slice(x, [by], [size], [axis]), ones, axis=axis)
    return g.Concat(ones, g.Slice(x, [0], [size - by], [axis]), axis=axis)


def _wraps_or_pads_much(node: Node) -> bool:
    """Of what Core ML pads: nothing by wrapping, and by other values of x at most two axes."""
    mode, pads = node.attributes.get("mode", "constant"), node.input(1)
    if mode == "constant" or pads is None or pads.data is None:
        return False
    touched = np.any(np.reshape(pads.data, (2, -1)) != 0, axis=0)
    return mode == "wrap" or int(touched.sum()) > 2


@composition("Pad", instead={"coreml": _wraps_or_pads_much})
def pad(g: Composer, x: Value, pads: Value, fill: Value | None, axes: Value | None, *, mode: str) -> Value:
    """What lies under each index outside, gathered an axis at a time."""
    if not pads.is_constant or (axes is not None and not axes.is_constant):
        raise NotMappedError("the pads are computed")
    if mode == "constant":
        raise NotMappedError("it pads by a constant")
    chosen = range(x.rank) if axes is None else [int(axis) % x.rank for axis in axes.array]
    result = x
    for axis, (before, after) in zip(chosen, pads.array.reshape(2, -1).T.tolist(), strict=True):
        if before or after:
            indices = np.arange(-before, x.sizes[axis] + after)
            result = g.Gather(result, padded_places(indices, x.sizes[axis], mode), axis=axis)
    return result


@composition("Size")
def size(g: Composer, x: Value) -> Value:
    return g.constant(np.array(prod(x.sizes), np.int64))


@composition("Shape")
def shape(g: Composer, x: Value, *, start: int, end: int | None = None) -> Value:
    return g.constant(np.array(x.sizes[start:end], np.int64))


@composition("ConstantOfShape")
def constant_of_shape(g: Composer, sizes: Value, *, value: np.ndarray | None = None) -> Value:
    fill = np.zeros((), np.float32) if value is None else value.reshape(())
    return g.constant(np.full(g.affordable(*g.outputs[0].sizes), fill))


@composition("EyeLike")
def eye_like(g: Composer, x: Value, *, dtype: int = 0, k: int) -> Value:
    rows, columns = g.affordable(*x.sizes)
    return g.constant(np.eye(rows, columns, k, g.outputs[0].dtype))
