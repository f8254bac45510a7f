"""Which operators give a view of their first operand, and how a change of the view changes that operand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from netglot.frontends.pytorch.builder import TorchBuilder
from netglot.ir.graph import Value

_END = np.iinfo(np.int64).max
Arguments = Mapping[str, Any]
Writer = Callable[[TorchBuilder, Value, Value, Arguments], Value]

# The tensor itself, in a network that is not trained.
SAME = {
    "alias", "alpha_dropout", "detach", "detach_", "dropout", "dropout_", "feature_alpha_dropout",
    "feature_dropout", "lift_fresh", "pin_memory", "positive", "requires_grad_", "resolve_conj", "resolve_neg",
    "alpha_dropout_", "feature_dropout_", "feature_alpha_dropout_", "rename", "retain_grad",
}  # fmt: skip
# The tensor itself, a view or a copy: it depends on what only torch knows (strides, devices).
PERHAPS = {
    "_autocast_to_full_precision", "_autocast_to_reduced_precision", "_conj", "_reshape_alias", "atleast_1d",
    "atleast_2d", "atleast_3d", "broadcast_tensors", "cartesian_prod", "channel_shuffle", "conj", "contiguous", "cpu",
    "cuda", "dsplit", "einsum", "flatten", "hsplit", "imag", "matrix_H", "meshgrid", "pixel_shuffle", "pixel_unshuffle",
    "ravel", "real", "reshape", "reshape_as", "sum_to_size", "tensor_split", "to", "to_dense", "type_as",
    "unsafe_chunk", "unsafe_split", "unsafe_split_with_sizes", "vsplit",
}  # fmt: skip
# What changes the shape or the memory of the tensor itself.
RESHAPING = {
    "as_strided_", "resize_", "resize_as_", "set_", "squeeze_", "swapaxes_", "swapdims_", "t_", "transpose_",
    "unsqueeze_", "view_",
}  # fmt: skip


def _reshaped(g: TorchBuilder, base: Value, new: Value, arguments: Arguments) -> Value:
    y: Value = g.reshaped(new, base.shape or (), dynamic=g.Shape(base))
    return y


def _permuted(perm: Callable[[TorchBuilder, int, Arguments], list[int]]) -> Writer:
    def write(g: TorchBuilder, base: Value, new: Value, arguments: Arguments) -> Value:
        order = perm(g, base.rank, arguments)
        y: Value = g.Transpose(new, perm=[order.index(axis) for axis in range(len(order))])
        return y

    return write


def _swapped(first: str, second: str) -> Callable[[TorchBuilder, int, Arguments], list[int]]:
    def perm(g: TorchBuilder, rank: int, arguments: Arguments) -> list[int]:
        order = list(range(rank))
        a, b = g.axis(arguments[first], rank), g.axis(arguments[second], rank)
        order[a], order[b] = b, a
        return order

    return perm


def _given(g: TorchBuilder, rank: int, arguments: Arguments) -> list[int]:
    return [g.axis(axis, rank) for axis in arguments["dims"]]


def _all_reversed(g: TorchBuilder, rank: int, arguments: Arguments) -> list[int]:
    return list(range(rank))[::-1]


def _select(g: TorchBuilder, base: Value, new: Value, arguments: Arguments) -> Value:
    axis = g.axis(arguments["dim"], base.rank)
    return replaced(g, base, g.Unsqueeze(new, [axis]), axis, arguments["index"])


def _slice(g: TorchBuilder, base: Value, new: Value, arguments: Arguments) -> Value:
    axis, start = g.axis(arguments.get("dim", 0), base.rank), arguments.get("start") or 0
    step = arguments.get("step", 1)
    return replaced(g, base, new, axis, start) if step == 1 else _strided(g, base, new, axis, start, step)


def _narrow(g: TorchBuilder, base: Value, new: Value, arguments: Arguments) -> Value:
    return replaced(g, base, new, g.axis(arguments["dim"], base.rank), arguments["start"])


def replaced(g: TorchBuilder, base: Value, new: Value, axis: int, start: Any) -> Value:
    """`base` with `new` in the place of what lies from `start` (from the end, where negative) along `axis`."""
    axes = np.array([axis], np.int64)
    head = g.Slice(base, np.zeros(1, np.int64), g.shape([start]), axes)
    behind = g.Add(g.Shape(head, start=axis, end=axis + 1), g.Shape(new, start=axis, end=axis + 1))
    tail = g.Slice(base, behind, np.array([_END]), axes)
    parts = [part for part in (head, new, tail) if (part.shape or (None,) * base.rank)[axis] != 0]
    y: Value = g.Concat(*parts, axis=axis) if len(parts) > 1 else parts[0] if parts else base
    if not y.is_constant:
        y.shape = base.shape
    return y


def _strided(g: TorchBuilder, base: Value, new: Value, axis: int, start: Any, step: int) -> Value:
    """As `replaced`, for every `step`-th element."""
    size = (base.shape or ())[axis]
    if not isinstance(start, int) or (start < 0 and not isinstance(size, int)):
        raise g.unsupported("a slice with a step is changed in place, and where it starts is not known")
    first = start if start >= 0 or not isinstance(size, int) else max(0, start + size)
    count = g.as_size(g.Shape(new, start=axis, end=axis + 1))
    steps = g.Range(np.array(0), count, np.array(1))
    places = g.Add(g.Mul(steps, np.array(step)), np.array(first))
    along = g.view(places, [-1 if i == axis else 1 for i in range(base.rank)])
    y: Value = g.ScatterElements(base, g.Expand(along, g.Shape(new)), new, axis=axis)
    return y


# Always a view. None: a change through it can't be followed.
VIEWS: dict[str, Writer | None] = {
    "view": _reshaped, "view_as": _reshaped, "unsqueeze": _reshaped, "squeeze": _reshaped, "unflatten": _reshaped,
    "select": _select, "slice": _slice, "narrow": _narrow,
    "t": _permuted(_all_reversed), "numpy_T": _permuted(_all_reversed), "permute": _permuted(_given),
    "transpose": _permuted(_swapped("dim0", "dim1")), "swapaxes": _permuted(_swapped("axis0", "axis1")),
    "swapdims": _permuted(_swapped("dim0", "dim1")),
    "expand": None, "expand_as": None, "broadcast_to": None, "diagonal": None, "movedim": None, "moveaxis": None,
    "adjoint": None, "as_strided": None, "unfold": None,
    "mT": None, "mH": None, "linalg_diagonal": None, "view_as_real": None, "view_as_complex": None,
}  # fmt: skip
# Always lists of views that follow one another along an axis.
PARTS = {"split", "split_with_sizes", "chunk", "unbind"}
