"""Rows of a table by number, and sums of them."""

from __future__ import annotations

from dataclasses import dataclass

import ml_dtypes
import numpy as np

from netglot.frontends.pytorch.builder import Size, TorchBuilder, aten
from netglot.frontends.pytorch.operators.linalg import dtype_of
from netglot.ir.graph import Value

SUM, MEAN, MAX = range(3)


@aten("embedding")
def embedding(
    g: TorchBuilder, weight: Value, indices: Value, *, padding_idx: Size = -1, scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Value:  # fmt: skip
    """All options are for training: the row of the padding is in the table like any other."""
    y: Value = g.Gather(weight, indices, axis=0)
    return y


@aten("one_hot")
def one_hot(g: TorchBuilder, x: Value, *, num_classes: int = -1) -> Value:
    if num_classes < 0:
        raise g.unsupported("with as many classes as the data has", "Say num_classes.")
    rows = x if x.rank else g.Unsqueeze(x, [0])
    y: Value = g.OneHot(rows, np.array(num_classes, np.int64), np.array([0, 1], np.int64), axis=-1)
    return y if x.rank else g.Squeeze(y, [0])


# ------------------------------------------------------------------------ bags


@dataclass(frozen=True)
class Bags:
    """Which rows belong together: `of_row` is the number of each row's bag, of `count`.

    `size` is the number of rows in each where they are equally many and lie in order: no need to look at `of_row`.
    """

    count: Size
    of_row: Value | None
    size: Size | None = None

    def sum(self, g: TorchBuilder, rows: Value) -> Value:
        """Sums of rows [N, ...] by bag."""
        if self.size is not None:
            y: Value = g.ReduceSum(self.apart(g, rows), [1], keepdims=0)
            return y
        return self._scattered(g, rows, 0.0, "add")

    def max(self, g: TorchBuilder, rows: Value) -> Value:
        """The greatest of each bag; the lowest number of the type where it is empty."""
        if self.size is not None:
            y: Value = g.ReduceMax(self.apart(g, rows), [1], keepdims=0)
            return y
        return self._scattered(g, rows, lowest(rows), "max")

    def apart(self, g: TorchBuilder, rows: Value) -> Value:
        assert self.size is not None
        return g.view(rows, [-1, self.size, *(g.size(rows, axis) for axis in range(1, rows.rank))])

    def _scattered(self, g: TorchBuilder, rows: Value, start: float, reduction: str) -> Value:
        assert self.of_row is not None
        sizes = [self.count, *(g.size(rows, axis) for axis in range(1, rows.rank))]
        begin = g.Expand(g.constant(start, rows.dtype), g.shape(sizes))
        y: Value = g.ScatterND(begin, g.Unsqueeze(self.of_row, [1]), rows, reduction=reduction)
        return y


def lowest(x: Value) -> float:
    return float(np.finfo(dtype_of(x)).min)


def bags_of(g: TorchBuilder, indices: Value, offsets: Value, *, include_last: bool) -> Bags:
    """The bags that begin at `offsets`; with `include_last` the last offset is only where the last bag ends."""
    if include_last:
        offsets = g.Slice(offsets, [0], [-1], [0])
    total, count = g.size(indices, 0), g.size(offsets, 0)
    size = even_size(g, offsets, total)
    if size is not None:
        return Bags(count, None, size)
    one = g.constant(1, np.int64)
    starts = g.ScatterND(
        g.Expand(g.constant(0, np.int64), g.shape([added(g, total, 1)])), g.Unsqueeze(g.cast(offsets, np.int64), [1]),
        g.Expand(one, g.shape([count])), reduction="add",
    )  # fmt: skip
    begun = g.CumSum(starts, np.array(0, np.int64))
    return Bags(count, g.Sub(g.Slice(begun, [0], [-1], [0]), one))


def even_size(g: TorchBuilder, offsets: Value, total: Size) -> Size | None:
    """The size of all bags where it is known that they are equally large."""
    if not offsets.is_constant or not isinstance(total, int) or offsets.array.size == 0:
        return None
    sizes = np.diff(np.append(offsets.array, total))
    return int(sizes[0]) if sizes[0] > 0 and (sizes == sizes[0]).all() else None


def added(g: TorchBuilder, a: Size, b: int) -> Size:
    return a + b if isinstance(a, int) else g.as_size(g.Add(a, b))


def bag(
    g: TorchBuilder, weight: Value, indices: Value, offsets: Value, per_sample: Value | None, mode: int,
    include_last: bool, padding: int | None,
) -> tuple[Value | None, ...]:  # fmt: skip
    """The sum, mean or maximum of the rows of each bag; nothing of the padding counts, an empty bag is 0."""
    if indices.rank != 1:
        raise g.unsupported("of indices that are not of rank 1")
    dtype = dtype_of(weight)
    bags = bags_of(g, indices, offsets, include_last=include_last)
    rows = g.Gather(weight, indices, axis=0)
    rows = rows if dtype != np.dtype(ml_dtypes.bfloat16) else g.cast(rows, np.float32)
    if per_sample is not None:
        rows = g.Mul(rows, g.Unsqueeze(g.cast(per_sample, rows.dtype), [1]))
    counted = None if padding is None else g.Not(g.Equal(indices, g.constant(padding, indices.dtype)))
    if counted is not None:
        nothing = g.constant(lowest(rows) if mode == MAX else 0.0, rows.dtype)
        rows = g.Where(g.Unsqueeze(counted, [1]), rows, nothing)
    y = bags.max(g, rows) if mode == MAX else bags.sum(g, rows)
    if mode != SUM and (counted is not None or bags.size is None or mode == MEAN):
        y = per_row(g, bags, y, indices, counted, mode)
    return g.cast(y, dtype), None, None, None


def per_row(g: TorchBuilder, bags: Bags, y: Value, indices: Value, counted: Value | None, mode: int) -> Value:
    """What the number of rows in each bag changes: a mean is divided by it, the maximum of none is 0."""
    if counted is None:
        counted = g.Equal(indices, indices)
    number = g.Unsqueeze(bags.sum(g, g.cast(counted, y.dtype)), [1])
    if mode == MEAN:
        mean: Value = g.Div(y, g.Max(number, 1.0))
        return mean
    made: Value = g.Where(g.Greater(number, 0.0), y, g.constant(0.0, y.dtype))
    return made


@aten(
    "embedding_bag",
    order="weight indices offsets scale_grad_by_freq mode sparse per_sample_weights include_last_offset",
)
def embedding_bag(
    g: TorchBuilder, weight: Value, indices: Value, offsets: Value, per_sample_weights: Value | None = None, *,
    scale_grad_by_freq: bool = False, mode: int = 0, sparse: bool = False, include_last_offset: bool = False,
) -> tuple[Value | None, ...]:  # fmt: skip
    """Four results, of which three are for gradients."""
    return bag(g, weight, indices, offsets, per_sample_weights, mode, include_last_offset, None)


@aten(
    "embedding_bag.padding_idx",
    order="weight indices offsets scale_grad_by_freq mode sparse per_sample_weights include_last_offset padding_idx",
)
def embedding_bag_padded(
    g: TorchBuilder, weight: Value, indices: Value, offsets: Value, per_sample_weights: Value | None, *,
    scale_grad_by_freq: bool, mode: int, sparse: bool, include_last_offset: bool, padding_idx: int | None,
) -> tuple[Value | None, ...]:  # fmt: skip
    rows = weight.shape[0] if weight.shape else None
    if padding_idx is not None and padding_idx < 0:
        if not isinstance(rows, int):
            raise g.unsupported("with a padding that is counted from the end of a table of unknown size")
        padding_idx += rows
    return bag(g, weight, indices, offsets, per_sample_weights, mode, include_last_offset, padding_idx)


@aten(
    "_embedding_bag",
    "_embedding_bag_forward_only",
    order="weight indices offsets scale_grad_by_freq mode sparse per_sample_weights include_last_offset padding_idx",
)
def plain_embedding_bag(
    g: TorchBuilder, weight: Value, indices: Value, offsets: Value, per_sample_weights: Value | None = None, *,
    scale_grad_by_freq: bool = False, mode: int = 0, sparse: bool = False, include_last_offset: bool = False,
    padding_idx: int = -1,
) -> tuple[Value | None, ...]:  # fmt: skip
    """Here -1 says that there is no padding."""
    padding = None if padding_idx < 0 else padding_idx
    return bag(g, weight, indices, offsets, per_sample_weights, mode, include_last_offset, padding)
