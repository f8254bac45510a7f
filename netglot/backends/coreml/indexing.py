"""Gather and scatter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from netglot.backends.coreml.context import CoreMLBuilder, Tensor, Var, coreml_op, ints, is_float, mil_type
from netglot.backends.coreml.shape import select
from netglot.backends.lowering import NotMappedError

_MODES = {"none": "update", "add": "add", "mul": "mul", "max": "max", "min": "min"}


def wrapped(m: CoreMLBuilder, indices: Tensor, size: Any) -> Tensor:
    """Indices without the negative ones, which not every version of Core ML counts from the end."""
    if isinstance(indices, np.ndarray) and (indices >= 0).all():
        return indices
    if not isinstance(size, int | np.integer):
        raise NotMappedError("indices may count from the end of an axis whose size is known only when the model runs")
    if isinstance(indices, np.ndarray):
        return np.where(indices < 0, indices + size, indices)
    return m.select(cond=m.less(x=indices, y=0), a=m.add(x=indices, y=size), b=indices)


@coreml_op("Gather", open_sizes=True)
def gather(m: CoreMLBuilder, x: Tensor, indices: Tensor, *, axis: int) -> Var:
    return numeric(m, x, lambda x: m.gather(x=x, indices=wrapped(m, indices, x.shape[axis]), axis=axis))


@coreml_op("GatherElements")
def gather_elements(m: CoreMLBuilder, x: Tensor, indices: Tensor, *, axis: int) -> Var:
    return numeric(m, x, lambda x: m.gather_along_axis(x=x, indices=wrapped(m, indices, x.shape[axis]), axis=axis))


def numeric(m: CoreMLBuilder, x: Tensor, compute: Callable[[Tensor], Var]) -> Var:
    """compute(x), where booleans go through int32: MIL gathers only numbers."""
    if mil_type(x) != "bool":
        return compute(x)
    return m.cast(x=compute(m.cast(x=x, dtype="int32")), dtype="bool")


@coreml_op("GatherND")
def gather_nd(m: CoreMLBuilder, x: Tensor, indices: Tensor, *, batch_dims: int) -> Var:
    more = {}
    if batch_dims:
        m.require("iOS16")
        more = {"batch_dims": batch_dims}
    where = _wrapped_rows(m, indices, x.shape[batch_dims:])
    return numeric(m, x, lambda x: m.gather_nd(x=x, indices=where, **more))


def _wrapped_rows(m: CoreMLBuilder, indices: Tensor, shape: tuple[int, ...]) -> Tensor:
    """As `wrapped`, where the last axis holds one index for each axis of `shape`."""
    sizes = np.array(shape[: indices.shape[-1]], np.int64)
    if isinstance(indices, np.ndarray):
        return np.where(indices < 0, indices + sizes, indices)
    return m.select(cond=m.less(x=indices, y=0), a=m.add(x=indices, y=sizes), b=indices)


@coreml_op("ScatterND")
def scatter_nd(m: CoreMLBuilder, x: Tensor, indices: Tensor, updates: Tensor, *, reduction: str) -> Var:
    return m.scatter_nd(
        data=x, indices=_wrapped_rows(m, indices, x.shape), updates=updates, mode=_MODES[reduction]
    )  # fmt: skip


@coreml_op("ScatterElements")
def scatter_elements(
    m: CoreMLBuilder, x: Tensor, indices: Tensor, updates: Tensor, *, axis: int, reduction: str
) -> Var:
    where = wrapped(m, indices, x.shape[axis])
    return m.scatter_along_axis(data=x, indices=where, updates=updates, axis=axis, mode=_MODES[reduction])


@coreml_op("OneHot")
def one_hot(m: CoreMLBuilder, indices: Var, depth: Tensor, values: Tensor, *, axis: int) -> Var:
    """By comparison: what MIL's one_hot gives for an index that is out of range, nothing says; ONNX's gives `off`."""
    size = ints(depth, "the depth")[0]
    fixed = isinstance(values, np.ndarray)
    off, on = (values[:1], values[1:]) if fixed else m.split(x=values, num_splits=2, axis=0)
    where = wrapped(m, m.cast(x=indices, dtype="int32") if is_float(indices) else indices, size)
    axis %= where.rank + 1
    classes = np.arange(size, dtype=np.int32).reshape([size if i == axis else 1 for i in range(where.rank + 1)])
    hot = m.equal(x=m.expand_dims(x=where, axes=[axis]), y=classes)
    return select(m, hot, on, off)


@coreml_op("Hardmax")
def hardmax(m: CoreMLBuilder, x: Var, *, axis: int) -> Var:
    chosen = m.reduce_argmax(x=x, axis=axis, keep_dims=False)
    return m.cast(x=m.one_hot(indices=chosen, one_hot_vector_size=x.shape[axis], axis=axis), dtype=mil_type(x))


@coreml_op("ReverseSequence")
def reverse_sequence(m: CoreMLBuilder, x: Var, lengths: Tensor, *, batch_axis: int, time_axis: int) -> Var:
    return m.reverse_sequence(x=x, lengths=lengths, seq_axis=time_axis, batch_axis=batch_axis)


@coreml_op("GridSample")
def grid_sample(m: CoreMLBuilder, x: Var, grid: Var, *, align_corners: int, mode: str, padding_mode: str) -> Var:
    """ONNX reflects at the centres of the border pixels if the corners are aligned, else at their edges; MIL asks."""
    modes = {"linear": "bilinear", "bilinear": "bilinear", "nearest": "nearest"}
    if mode not in modes or x.rank != 4:
        raise NotMappedError(f"Core ML samples images linearly or nearest, not {x.rank - 2} axes by {mode}")
    reflected = "reflection" if align_corners else "symmetric"
    padding = {"zeros": "constant", "reflection": reflected}.get(padding_mode, padding_mode)
    return m.resample(
        x=x, coordinates=grid, sampling_mode=modes[mode], padding_mode=padding, padding_value=0.0,
        coordinates_mode="normalized_minus_one_to_one", align_corners=bool(align_corners),
    )  # fmt: skip
