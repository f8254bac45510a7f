"""Operators that reduce axes."""

from __future__ import annotations

from netglot.backends.coreml.context import CoreMLBuilder, Tensor, Var, coreml_op, ints
from netglot.backends.lowering import NotMappedError

_REDUCTIONS = {
    "ReduceL1": "reduce_l1_norm", "ReduceL2": "reduce_l2_norm", "ReduceLogSum": "reduce_log_sum",
    "ReduceLogSumExp": "reduce_log_sum_exp", "ReduceMax": "reduce_max", "ReduceMean": "reduce_mean",
    "ReduceMin": "reduce_min", "ReduceProd": "reduce_prod", "ReduceSum": "reduce_sum",
    "ReduceSumSquare": "reduce_sum_square",
}  # fmt: skip


def _register(onnx: str, mil: str) -> None:
    @coreml_op(onnx)
    def reduce(
        m: CoreMLBuilder, x: Var, axes: Tensor | None = None, *, keepdims: int, noop_with_empty_axes: int = 0
    ) -> Var:
        wanted = [] if axes is None else ints(axes, "the axes")
        if not wanted and noop_with_empty_axes:
            return x
        if not x.rank:  # MIL reduces axes
            return getattr(m, mil)(x=m.expand_dims(x=x, axes=[0]), axes=[0], keep_dims=False)
        return getattr(m, mil)(x=x, axes=wanted or list(range(x.rank)), keep_dims=bool(keepdims))


for _onnx, _mil in _REDUCTIONS.items():
    _register(_onnx, _mil)


@coreml_op("ArgMax")
def arg_max(m: CoreMLBuilder, x: Var, *, axis: int, keepdims: int, select_last_index: int) -> Var:
    return _arg(m, "reduce_argmax", x, axis, keepdims, select_last_index)


@coreml_op("ArgMin")
def arg_min(m: CoreMLBuilder, x: Var, *, axis: int, keepdims: int, select_last_index: int) -> Var:
    return _arg(m, "reduce_argmin", x, axis, keepdims, select_last_index)


def _arg(m: CoreMLBuilder, op: str, x: Var, axis: int, keepdims: int, last: int) -> Var:
    if not last:
        return getattr(m, op)(x=x, axis=axis, keep_dims=bool(keepdims))
    found = getattr(m, op)(x=m.reverse(x=x, axes=[axis]), axis=axis, keep_dims=bool(keepdims))
    return m.sub(x=x.shape[axis] - 1, y=found)


@coreml_op("TopK")
def top_k(m: CoreMLBuilder, x: Var, k: Tensor, *, axis: int, largest: int, sorted: int) -> list[Var]:
    return list(m.topk(x=x, k=ints(k, "k")[0], axis=axis, ascending=not largest))


@coreml_op("CumSum")
def cum_sum(m: CoreMLBuilder, x: Var, axis: Tensor, *, exclusive: int, reverse: int) -> Var:
    return m.cumsum(x=x, axis=ints(axis, "the axis")[0] % x.rank, exclusive=bool(exclusive), reverse=bool(reverse))


def lp_norm(m: CoreMLBuilder, x: Var, axes: list[int], p: int) -> Var:
    """(sum |x|^p)^(1/p) over `axes`, which stay with size 1."""
    if p not in (1, 2):
        raise NotMappedError(f"Core ML has the norms 1 and 2, not {p}")
    return (m.reduce_l1_norm if p == 1 else m.reduce_l2_norm)(x=x, axes=axes, keep_dims=True)
