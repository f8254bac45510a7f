"""Operators that reduce axes, and normalisation by what they give. Sums are added up in double."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

from netglot.backends.cpp.context import CppBuilder, cpp_op, number
from netglot.backends.cpp.lines import without
from netglot.backends.cpp.nest import Ints, Walk, inner, nest, strides
from netglot.backends.lowering import NotMappedError
from netglot.ir.graph import Value


@dataclass(frozen=True)
class Reduction:
    """`total` starts as `start`, `step` is done for each element v, and the result is `result` (n: how many)."""

    step: str
    start: str = "0"
    result: str = "total"
    type: str = "netglot::Sum<T>"


SUM = Reduction("total += v;")
MEAN = Reduction("total += v;", result="total / n")
MAX = Reduction("total = netglot::maximum(total, v);", "std::numeric_limits<T>::lowest()", type="T")
REDUCTIONS = {
    "ReduceSum": SUM,
    "ReduceMean": MEAN,
    "ReduceMax": MAX,
    "ReduceMin": Reduction("total = netglot::minimum(total, v);", "std::numeric_limits<T>::max()", type="T"),
    "ReduceProd": Reduction("total *= v;", "1"),
    "ReduceL1": Reduction("total += netglot::absolute(v);"),
    "ReduceL2": Reduction("total += netglot::Sum<T>(v) * v;", result="std::sqrt(total)"),
    "ReduceSumSquare": Reduction("total += netglot::Sum<T>(v) * v;"),
    "ReduceLogSum": Reduction("total += v;", result="std::log(total)"),
}


def reduce(m: CppBuilder, x: Value, y: Value, axes: Ints, reduction: Reduction) -> str:
    """One walk over what is kept, and inside of it one over what is reduced."""
    kind, steps = m.kind(x), strides(x.sizes)
    walk = Walk(f"{kind} v", "&x", tuple(steps[axis] for axis in axes))
    sizes = tuple(x.sizes[axis] for axis in axes)
    body = f"{reduction.type} total = {reduction.start}; {inner(sizes, [walk], reduction.step)}"
    body = f"{body} y = T({reduction.result});".replace("/ n", f"/ {max(1, prod(sizes))}")
    return _over_kept(m, x, y, axes, f"using T = {kind}; {body}")


def _over_kept(m: CppBuilder, x: Value, y: Value, axes: Ints, body: str) -> str:
    """Runs `body` at the start of every block of x that `axes` span, with the element of y that it is reduced to."""
    kept = without(x.sizes, axes)
    starts = tuple(0 if axis in axes else step for axis, step in enumerate(strides(x.sizes)))
    return nest(kept, [m.write(y, strides(kept)), m.read(x, "x", steps=starts, by_address=True)], body)


def reduced_axes(x: Value, axes: Value | None, noop: int) -> Ints:
    """The axes in increasing order, each counted from the front."""
    if axes is not None and not axes.is_constant:
        raise NotMappedError("the axes are computed")
    given = [] if axes is None else [int(axis) % x.rank for axis in axes.array.reshape(-1)]
    return tuple(sorted(given)) if given or noop else tuple(range(x.rank))


def _register(reduction: Reduction) -> Callable[..., str]:
    def function(
        m: CppBuilder, x: Value, axes: Value | None, y: Value, *, keepdims: int, noop_with_empty_axes: int
    ) -> str:
        chosen = reduced_axes(x, axes, noop_with_empty_axes)
        return reduce(m, x, y, chosen, reduction) if chosen else m.copy(x, y)

    return function


for _op, _reduction in REDUCTIONS.items():
    cpp_op(_op)(_register(_reduction))


@cpp_op("ReduceLogSumExp")
def reduce_log_sum_exp(
    m: CppBuilder, x: Value, axes: Value | None, y: Value, *, keepdims: int, noop_with_empty_axes: int
) -> str:
    """The largest is taken out first, so that nothing overflows."""
    chosen = reduced_axes(x, axes, noop_with_empty_axes)
    kind, steps = m.kind(x), tuple(strides(x.sizes)[axis] for axis in chosen)
    sizes, walk = tuple(x.sizes[axis] for axis in chosen), Walk(f"{kind} v", "&x", steps)
    body = f"{kind} top = x; {inner(sizes, [walk], 'top = netglot::maximum(top, v);')} "
    body += f"double total = 0; {inner(sizes, [walk], 'total += std::exp(v - top);')} "
    return _over_kept(m, x, y, chosen, f"{body} y = top + {kind}(std::log(total));")


@cpp_op("GlobalAveragePool")
def global_average_pool(m: CppBuilder, x: Value, y: Value) -> str:
    return reduce(m, x, y, tuple(range(2, x.rank)), MEAN)


@cpp_op("GlobalMaxPool")
def global_max_pool(m: CppBuilder, x: Value, y: Value) -> str:
    return reduce(m, x, y, tuple(range(2, x.rank)), MAX)


@cpp_op("GlobalLpPool")
def global_lp_pool(m: CppBuilder, x: Value, y: Value, *, p: int) -> str:
    step = f"total += std::pow(std::abs(v), {p});"
    return reduce(m, x, y, tuple(range(2, x.rank)), Reduction(step, result=f"std::pow(total, {1 / p!r})"))


# ---------------------------------------------------------------- normalisation


def normalize(m: CppBuilder, x: Value, y: Value, shape: Ints, axes: Ints, epsilon: float, center: bool = True) -> str:
    """y = (x - mean) / sqrt(variance + epsilon) over `axes` of x seen as `shape`; without `center`, mean is 0."""
    kind, steps = m.kind(x), strides(shape)
    sizes, n = tuple(shape[axis] for axis in axes), prod(shape[axis] for axis in axes)
    read = Walk(f"{kind} v", "&x", tuple(steps[axis] for axis in axes))
    write = Walk(f"{kind}& out", "&y", read.steps)
    mean = f"double mean = 0; {inner(sizes, [read], 'mean += v;')} mean /= {n};" if center else "const double mean = 0;"
    square = inner(sizes, [read], "square += (v - mean) * (v - mean);")
    scale = f"const double scale = 1 / std::sqrt(square / {n} + {float(epsilon)!r});"
    result = inner(sizes, [write, read], f"out = {kind}((v - mean) * scale);")
    starts = tuple(0 if axis in axes else step for axis, step in enumerate(steps))
    walks = [m.write(y, starts), m.read(x, "x", steps=starts, by_address=True)]
    return nest(without(shape, axes), walks, f"{mean} double square = 0; {square} {scale} {result}")


def _affine(m: CppBuilder, y: Value, scale: Value, bias: Value) -> str:
    """y = y * scale + bias, in place, with a scale and a bias for each channel."""
    walks = [m.write(y), m.read(scale, "s", steps=_channel(y)), m.read(bias, "b", steps=_channel(y))]
    return "\n  " + nest(y.sizes, walks, "y = y * s + b;")


def _channel(y: Value) -> Ints:
    return tuple(int(axis == 1) for axis in range(y.rank))


@cpp_op("InstanceNormalization")
def instance_normalization(m: CppBuilder, x: Value, scale: Value, bias: Value, y: Value, *, epsilon: float) -> str:
    return normalize(m, x, y, x.sizes, tuple(range(2, x.rank)), epsilon) + _affine(m, y, scale, bias)


@cpp_op("GroupNormalization")
def group_normalization(
    m: CppBuilder, x: Value, scale: Value, bias: Value, y: Value, *, epsilon: float, num_groups: int, stash_type: int
) -> str:
    n, channels, *rest = x.sizes
    shape = (n, num_groups, channels // num_groups * prod(rest))
    return normalize(m, x, y, shape, (2,), epsilon) + _affine(m, y, scale, bias)


@cpp_op("LayerNormalization")
def layer_normalization(
    m: CppBuilder, x: Value, scale: Value, bias: Value | None, y: Value, mean: Value | None, deviation: Value | None, *,
    axis: int, epsilon: float, stash_type: int,
) -> str:  # fmt: skip
    if mean is not None or deviation is not None:
        raise NotMappedError("only the normalised output, not the mean and the deviation")
    axes = tuple(range(axis % x.rank, x.rank))
    return normalize(m, x, y, x.sizes, axes, epsilon) + _scaled(m, y, scale, bias)


@cpp_op("RMSNormalization")
def rms_normalization(
    m: CppBuilder, x: Value, scale: Value, y: Value, *, axis: int, epsilon: float, stash_type: int
) -> str:
    axes = tuple(range(axis % x.rank, x.rank))
    return normalize(m, x, y, x.sizes, axes, epsilon, center=False) + _scaled(m, y, scale, None)


def _scaled(m: CppBuilder, y: Value, scale: Value, bias: Value | None) -> str:
    operands = [scale] if bias is None else [scale, bias]
    return "\n  " + m.elementwise(y, "a * b" if bias is None else "a * b + c", y, *operands)


@cpp_op("MeanVarianceNormalization", in_place=True)
def mean_variance_normalization(m: CppBuilder, x: Value, y: Value, *, axes: Ints) -> str:
    """ONNX's function adds 1e-9 to the deviation; here its square goes under the root, as it only guards a zero."""
    return normalize(m, x, y, x.sizes, tuple(sorted(axis % x.rank for axis in axes)), 1e-18)


@cpp_op("LpNormalization", in_place=True)
def lp_normalization(m: CppBuilder, x: Value, y: Value, *, axis: int, p: int) -> str:
    """x / norm along an axis; a line of zeros stays zero."""
    kind, axis = m.kind(x), axis % x.rank
    step = (strides(x.sizes)[axis],)
    read, write = Walk(f"{kind} v", "&x", step), Walk(f"{kind}& out", "&y", step)
    total = inner((x.sizes[axis],), [read], "total += std::abs(v);" if p == 1 else "total += double(v) * v;")
    norm = "const double norm = total > 0 ? " + ("total" if p == 1 else "std::sqrt(total)") + " : 1;"
    result = inner((x.sizes[axis],), [write, read], f"out = {kind}(v / norm);")
    starts = tuple(0 if i == axis else s for i, s in enumerate(strides(x.sizes)))
    walks = [m.write(y, starts), m.read(x, "x", steps=starts, by_address=True)]
    return nest(without(x.sizes, (axis,)), walks, f"double total = 0; {total} {norm} {result}")


@cpp_op("BatchNormalization", in_place=True)
def batch_normalization(
    m: CppBuilder, x: Value, scale: Value, bias: Value, mean: Value, variance: Value, y: Value,
    running_mean: Value | None, running_variance: Value | None, *, epsilon: float, momentum: float, training_mode: int,
) -> str:  # fmt: skip
    if training_mode:
        raise NotMappedError("only inference")
    kind, rest = m.kind(x), tuple(range(2, x.rank))
    named = (("scale", scale), ("bias", bias), ("mean", mean), ("variance", variance))
    starts = tuple(0 if axis in rest else step for axis, step in enumerate(strides(x.sizes)))
    walks = [m.write(y, starts), m.read(x, "x", steps=starts, by_address=True)]
    walks += [m.read(value, name, steps=_channel(x)) for name, value in named]
    steps, sizes = strides(x.sizes)[2:], x.sizes[2:]
    factor = f"const {kind} factor = scale / std::sqrt(variance + {number(epsilon, x)});"
    read, write = Walk(f"{kind} v", "&x", steps), Walk(f"{kind}& out", "&y", steps)
    each = inner(sizes, [write, read], "out = (v - mean) * factor + bias;")
    return nest(without(x.sizes, rest), walks, f"{factor} {each}")
