"""Operators that reduce axes, and normalisation by what they give.

float32 goes to runtime/rows.h where the axes lie side by side in memory; else there are nests, with sums in double.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from netglot.backends.cpp import maps
from netglot.backends.cpp.context import CppBuilder, Side, cpp_op, number, steps_of
from netglot.backends.cpp.lines import without
from netglot.backends.cpp.nest import Ints, Walk, inner, nest, strides
from netglot.backends.lowering import NotMappedError
from netglot.backends.sides import alike, reduction
from netglot.ir.graph import Node, Value


@dataclass(frozen=True)
class Reduction:
    """`total` starts as `start`, `step` is done for each element v, and the result is `result` (n: how many).

    `fast`: the same in runtime/rows.h, and `last` the operation of runtime/map.h that follows it, if any.
    """

    step: str
    start: str = "0"
    result: str = "total"
    type: str = "netglot::Sum<T>"
    fast: str = ""
    last: str = ""


SUM = Reduction("total += v;", fast="SumLine<netglot::Itself>{1}")
MEAN = Reduction("total += v;", result="total / n", fast="SumLine<netglot::Itself>{1.f / n}")
SQUARES = Reduction("total += netglot::Sum<T>(v) * v;", fast="SumLine<netglot::SquaredDifference>{1}")
MAX = Reduction(
    "total = netglot::maximum(total, v);", "std::numeric_limits<T>::lowest()", type="T",
    fast="ExtremeLine<netglot::Max>{}",
)  # fmt: skip
MIN = Reduction(
    "total = netglot::minimum(total, v);", "std::numeric_limits<T>::max()", type="T",
    fast="ExtremeLine<netglot::Min>{}",
)  # fmt: skip
REDUCTIONS = {
    "ReduceSum": SUM,
    "ReduceMean": MEAN,
    "ReduceMax": MAX,
    "ReduceMin": MIN,
    "ReduceProd": Reduction("total *= v;", "1"),
    "ReduceL1": Reduction("total += netglot::absolute(v);", fast="SumLine<netglot::Magnitude>{1}"),
    "ReduceL2": replace(SQUARES, result="std::sqrt(total)", last="Sqrt{}"),
    "ReduceSumSquare": SQUARES,
    "ReduceLogSum": Reduction("total += v;", result="std::log(total)"),
}


def reduce(m: CppBuilder, x: Value, y: Value, axes: Ints, reduction: Reduction) -> str:
    """One walk over what is kept, and inside of it one over what is reduced."""
    fast = _along_lines(m, x, y, axes, reduction)
    if fast:
        return fast
    kind, steps = m.kind(x), steps_of(x)
    walk = Walk(f"{kind} v", "&x", tuple(steps[axis] for axis in axes))
    sizes = tuple(x.sizes[axis] for axis in axes)
    body = f"{reduction.type} total = {reduction.start}; {inner(sizes, [walk], reduction.step)}"
    body = f"{body} y = T({reduction.result});".replace("/ n", f"/ {max(1, prod(sizes))}")
    return _over_kept(m, x, y, axes, f"using T = {kind}; {body}")


def _along_lines(m: CppBuilder, x: Value, y: Value, axes: Ints, reduction: Reduction) -> str | None:
    sizes = maps.lines_of(x, axes)
    if sizes is None or not reduction.fast or not _keeps_order(x, y, axes):
        return None
    text = maps.lines(m, x, y, sizes, reduction.fast.replace("/ n", f"/ {sizes[1]}"))
    return "\n  ".join(filter(None, [text, reduction.last and maps.unary(m, y, y, reduction.last)]))


def _keeps_order(x: Value, y: Value, axes: Ints) -> bool:
    """Whether what is kept of x lies in memory in the order of y."""
    kept = [axis for axis in x.layout or range(x.rank) if axis not in axes and x.sizes[axis] != 1]
    steps = _kept_steps(x, y, axes)
    return [steps[axis] for axis in kept] == list(strides([x.sizes[axis] for axis in kept]))


def _kept_steps(x: Value, y: Value, axes: Ints) -> Ints:
    """The steps of y, which has lost `axes` or has them with a size of one, along the axes of x."""
    steps = iter(steps_of(y))
    return tuple(0 if axis in axes and y.rank < x.rank else next(steps) for axis in range(x.rank))


def _over_kept(m: CppBuilder, x: Value, y: Value, axes: Ints, body: str) -> str:
    """Runs `body` at the start of every block of x that `axes` span, with the element of y that it is reduced to."""
    kept = without(x.sizes, axes)
    starts = tuple(0 if axis in axes else step for axis, step in enumerate(steps_of(x)))
    return nest(kept, [m.write(y, _kept_steps(x, y, axes)), m.read(x, "x", steps=starts, by_address=True)], body)


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
        return reduce(m, x, y, chosen, reduction) if chosen else m.elementwise(y, "a", x)

    return function


for _op, _reduction in REDUCTIONS.items():
    cpp_op(_op, layout=reduction)(_register(_reduction))


@cpp_op("ReduceLogSumExp", layout=reduction)
def reduce_log_sum_exp(
    m: CppBuilder, x: Value, axes: Value | None, y: Value, *, keepdims: int, noop_with_empty_axes: int
) -> str:
    """The largest is taken out first, so that nothing overflows."""
    chosen = reduced_axes(x, axes, noop_with_empty_axes)
    kind, steps = m.kind(x), tuple(steps_of(x)[axis] for axis in chosen)
    sizes, walk = tuple(x.sizes[axis] for axis in chosen), Walk(f"{kind} v", "&x", steps)
    body = f"{kind} top = x; {inner(sizes, [walk], 'top = netglot::maximum(top, v);')} "
    body += f"double total = 0; {inner(sizes, [walk], 'total += std::exp(v - top);')} "
    return _over_kept(m, x, y, chosen, f"{body} y = top + {kind}(std::log(total));")


@cpp_op("GlobalAveragePool", layout=Side.FREE)
def global_average_pool(m: CppBuilder, x: Value, y: Value) -> str:
    return reduce(m, x, y, tuple(range(2, x.rank)), MEAN)


@cpp_op("GlobalMaxPool", layout=Side.FREE)
def global_max_pool(m: CppBuilder, x: Value, y: Value) -> str:
    return reduce(m, x, y, tuple(range(2, x.rank)), MAX)


@cpp_op("GlobalLpPool", layout=Side.FREE)
def global_lp_pool(m: CppBuilder, x: Value, y: Value, *, p: int) -> str:
    step = f"total += std::pow(std::abs(v), {p});"
    return reduce(m, x, y, tuple(range(2, x.rank)), Reduction(step, result=f"std::pow(total, {1 / p!r})"))


# ---------------------------------------------------------------- normalisation


def normalize(m: CppBuilder, x: Value, y: Value, shape: Ints, axes: Ints, epsilon: float, center: bool = True) -> str:
    """y = (x - mean) / sqrt(variance + epsilon) over `axes` of x seen as `shape`; without `center`, mean is 0."""
    kind, steps = m.kind(x), strides(shape) if shape != x.sizes else steps_of(x)
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


def _normal_lines(
    m: CppBuilder, x: Value, y: Value, sizes: Ints, epsilon: float, scale: Value | None = None,
    bias: Value | None = None, *, center: bool = True,
) -> str:  # fmt: skip
    """Normalisation by runtime/rows.h; scale and bias are of each element of a line, or, across them, of each line."""
    parameters = f"{{{m.optional(scale)}, {m.optional(bias)}, {number(epsilon, x)}}}"
    return maps.lines(m, x, y, sizes, f"NormalLine<{str(center).lower()}>{parameters}")


def _affine(m: CppBuilder, y: Value, scale: Value, bias: Value) -> str:
    """y = y * scale + bias, in place, with a scale and a bias for each channel."""
    walks = [m.write(y), m.read(scale, "s", steps=_channel(y)), m.read(bias, "b", steps=_channel(y))]
    return "\n  " + nest(y.sizes, walks, "y = y * s + b;")


def _channel(y: Value) -> Ints:
    return tuple(int(axis == 1) for axis in range(y.rank))


def _groups(m: CppBuilder, x: Value, scale: Value, bias: Value, y: Value, groups: int, epsilon: float) -> str | None:
    """Normalises groups of channels by runtime/rows.h, whether channels or pixels lie side by side."""
    if not maps.is_float(x, scale, bias) or not prod(x.sizes) or not maps.is_alike(x, y):
        return None
    n, channels, *rest = x.sizes
    each, pixels, end = channels // groups, prod(rest), f"{m.ref(scale)}, {m.ref(bias)}"
    if x.layout is None or channels == 1:  # of one channel, the lines of pixels lie in one piece too
        line = f"GroupLine{{{end}, {groups}, {each}, {pixels}, {number(epsilon, x)}}}"
        sizes = f"{n * groups}, {each * pixels}, netglot::{line}"
        return f"netglot::whole_lines(parallel, {m.ref(x)}, {m.ref(y)}, {sizes});"
    if each == 1:
        return _normal_lines(m, x, y, (n, pixels, channels), epsilon, scale, bias)
    task = f"{m.ref(x)}, {m.ref(y)}, {end}, {pixels}, {channels}, {groups}, {number(epsilon, x)}"
    return f"netglot::normalize_groups(parallel, {n}, {{{task}}});"


def _float_images(node: Node) -> Side:
    """float32 is normalised however it is stored."""
    x = node.inputs[0]
    return Side.FREE if x is not None and not x.is_constant and x.dtype == np.float32 else Side.FIRST


@cpp_op("InstanceNormalization", layout=_float_images, in_place=(0,))
def instance_normalization(m: CppBuilder, x: Value, scale: Value, bias: Value, y: Value, *, epsilon: float) -> str:
    fast = _groups(m, x, scale, bias, y, x.sizes[1], epsilon)
    return fast or normalize(m, x, y, x.sizes, tuple(range(2, x.rank)), epsilon) + _affine(m, y, scale, bias)


@cpp_op("GroupNormalization", layout=_float_images, in_place=(0,))
def group_normalization(
    m: CppBuilder, x: Value, scale: Value, bias: Value, y: Value, *, epsilon: float, num_groups: int, stash_type: int
) -> str:
    fast = _groups(m, x, scale, bias, y, num_groups, epsilon)
    n, channels, *rest = x.sizes
    shape = (n, num_groups, channels // num_groups * prod(rest))
    return fast or normalize(m, x, y, shape, (2,), epsilon) + _affine(m, y, scale, bias)


@cpp_op("LayerNormalization")
def layer_normalization(
    m: CppBuilder, x: Value, scale: Value, bias: Value | None, y: Value, mean: Value | None, deviation: Value | None, *,
    axis: int, epsilon: float, stash_type: int,
) -> str:  # fmt: skip
    if mean is not None or deviation is not None:
        raise NotMappedError("only the normalised output, not the mean and the deviation")
    return _layer(m, x, y, axis, epsilon, scale, bias)


@cpp_op("RMSNormalization")
def rms_normalization(
    m: CppBuilder, x: Value, scale: Value, y: Value, *, axis: int, epsilon: float, stash_type: int
) -> str:
    return _layer(m, x, y, axis, epsilon, scale, None, center=False)


def _layer(
    m: CppBuilder, x: Value, y: Value, axis: int, epsilon: float, scale: Value, bias: Value | None, *,
    center: bool = True,
) -> str:  # fmt: skip
    axes = tuple(range(axis % x.rank, x.rank))
    sizes, count = maps.lines_of(x, axes), prod(x.sizes[axis] for axis in axes)
    factors = [scale] if bias is None else [scale, bias]
    if sizes and all(maps.is_float(value) and prod(value.sizes) == count for value in factors):
        return _normal_lines(m, x, y, (prod(x.sizes) // count, count, 1), epsilon, scale, bias, center=center)
    expression = "a * b" if bias is None else "a * b + c"
    return f"{normalize(m, x, y, x.sizes, axes, epsilon, center)}\n  {m.elementwise(y, expression, y, *factors)}"


@cpp_op("MeanVarianceNormalization", layout=alike, in_place=True)
def mean_variance_normalization(m: CppBuilder, x: Value, y: Value, *, axes: Ints) -> str:
    """ONNX's function adds 1e-9 to the deviation; here its square goes under the root, as it only guards a zero."""
    return normalize(m, x, y, x.sizes, tuple(sorted(axis % x.rank for axis in axes)), 1e-18)


@cpp_op("LpNormalization", layout=alike, in_place=True)
def lp_normalization(m: CppBuilder, x: Value, y: Value, *, axis: int, p: int) -> str:
    """x / norm along an axis; a line of zeros stays zero, and one with a NaN is NaN."""
    kind, axis = m.kind(x), axis % x.rank
    step = (steps_of(x)[axis],)
    read, write = Walk(f"{kind} v", "&x", step), Walk(f"{kind}& out", "&y", step)
    total = inner((x.sizes[axis],), [read], "total += std::abs(v);" if p == 1 else "total += double(v) * v;")
    norm = "const double norm = total == 0 ? 1 : " + ("total;" if p == 1 else "std::sqrt(total);")
    result = inner((x.sizes[axis],), [write, read], f"out = {kind}(v / norm);")
    starts = tuple(0 if i == axis else s for i, s in enumerate(steps_of(x)))
    walks = [m.write(y, starts), m.read(x, "x", steps=starts, by_address=True)]
    return nest(without(x.sizes, (axis,)), walks, f"double total = 0; {total} {norm} {result}")


@cpp_op("BatchNormalization", layout=Side.FREE, in_place=(0,))
def batch_normalization(
    m: CppBuilder, x: Value, scale: Value, bias: Value, mean: Value, variance: Value, y: Value,
    running_mean: Value | None, running_variance: Value | None, *, epsilon: float, momentum: float, training_mode: int,
) -> str:  # fmt: skip
    if training_mode:
        raise NotMappedError("only inference")
    kind, rest = m.kind(x), tuple(range(2, x.rank))
    named = (("scale", scale), ("bias", bias), ("mean", mean), ("variance", variance))
    starts = tuple(0 if axis in rest else step for axis, step in enumerate(steps_of(x)))
    walks = [m.write(y, starts), m.read(x, "x", steps=starts, by_address=True)]
    walks += [m.read(value, name, steps=_channel(x)) for name, value in named]
    steps, sizes = steps_of(x)[2:], x.sizes[2:]
    factor = f"const {kind} factor = scale / std::sqrt(variance + {number(epsilon, x)});"
    read, write = Walk(f"{kind} v", "&x", steps), Walk(f"{kind}& out", "&y", steps)
    each = inner(sizes, [write, read], "out = (v - mean) * factor + bias;")
    return nest(without(x.sizes, rest), walks, f"{factor} {each}")
