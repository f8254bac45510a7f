"""com.microsoft's operators on integers with their scales, as what they are short for: the operator on floats between
DequantizeLinear and QuantizeLinear. (ONNX's own are operators of the IR, of which quantised_layers.py makes the same.)

So every quantised file has the one form that the passes and targets know. The semantics are those that ONNX Runtime
documents (docs/ContribOperators.md). The sums of a layer are the same integers; they are scaled and rounded once either
way, so a result may differ by one step where it lies between two.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from netglot.frontends.onnx.builder import OnnxBuilder, onnx_op
from netglot.frontends.onnx.elementwise import softmax as softmax_of_all_axes
from netglot.ir.graph import Value
from netglot.ir.types import channels_last as order_channels_last
from netglot.ir.types import inverse

Optional = Value | None

# ------------------------------------------------------------------------ grids


def real(g: OnnxBuilder, q: Value, scale: Value, zero: Optional = None, axis: int | None = None) -> Any:
    """What the integers `q` stand for. Scales of more than one number belong to the indices of `axis`."""
    scale, zero = _scalar(g, scale), _scalar(g, zero) if zero is not None else None
    if scale.shape is not None and scale.rank > 1:
        g.refuse(f"{g.operator} with scales of {scale.rank} axes")
    if q.is_constant and zero is not None and zero.is_constant and not zero.array.any():
        zero = None  # what is left out is zero
    return g.DequantizeLinear(q, scale, zero, axis=axis if scale.shape != () else None)


def integers(g: OnnxBuilder, y: Value, scale: Value, zero: Optional, like: Value) -> Any:
    """`y` on the grid. A zero point that is left out is a 0 of the type of `like`."""
    return g.QuantizeLinear(y, _scalar(g, scale), _scalar(g, zero) if zero is not None else np.zeros((), like.dtype))


def _scalar(g: OnnxBuilder, value: Value) -> Any:
    """What has one element, as ONNX wants it of one grid for all: without axes."""
    if value.shape == () or (value.shape is None and not value.is_constant):
        return value
    if value.is_constant:
        return g.constant(value.array.reshape(()), name=value.name) if value.array.size == 1 else value
    return g.Squeeze(value) if value.shape == (1,) else value


# ----------------------------------------------------------------------- layers


@onnx_op("com.microsoft.QLinearConv")
def qlinear_conv(
    g: OnnxBuilder, x: Value, x_scale: Value, x_zero: Value, w: Value, w_scale: Value, w_zero: Value, y_scale: Value,
    y_zero: Value, bias: Optional = None, *, auto_pad: str | None = None, dilations: tuple[int, ...] | None = None,
    group: int | None = None, kernel_shape: tuple[int, ...] | None = None, pads: tuple[int, ...] | None = None,
    strides: tuple[int, ...] | None = None, channels_last: int = 0,
) -> Value:  # fmt: skip
    """ONNX's own, but for the order of the image."""
    rest = x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, bias
    attributes = {
        "auto_pad": auto_pad, "dilations": dilations, "group": group, "kernel_shape": kernel_shape, "pads": pads,
        "strides": strides,
    }  # fmt: skip
    y: Value = _on_images(g, lambda image: g.QLinearConv(image, *rest, **attributes), x, channels_last)
    return y


@onnx_op("com.microsoft.QGemm")
def qgemm(
    g: OnnxBuilder, a: Value, a_scale: Value, a_zero: Value, b: Value, b_scale: Value, b_zero: Value,
    c: Optional = None, y_scale: Optional = None, y_zero: Optional = None, *, alpha: float = 1.0, transA: int = 0,
    transB: int = 0,
) -> Value:  # fmt: skip
    """C stands for integers times alpha * a_scale * b_scale. Without a scale of its own the result is real."""
    bias = None
    if c is not None:
        scale = _product(g, a_scale, b_scale)
        scale = scale if alpha == 1 else _product(g, scale, g.constant(alpha, np.float32))
        bias = real(g, c, scale, axis=None if c.shape is None else max(c.rank - 1, 0))
    attributes = {"alpha": alpha, "transA": transA, "transB": transB}
    y: Value = g.Gemm(real(g, a, a_scale, a_zero), real(g, b, b_scale, b_zero, 1 - bool(transB)), bias, **attributes)
    return y if y_scale is None else integers(g, y, y_scale, y_zero, a)


@onnx_op("com.microsoft.MatMulIntegerToFloat")
def matmul_integer_to_float(
    g: OnnxBuilder, a: Value, b: Value, a_scale: Value, b_scale: Value, a_zero: Optional = None,
    b_zero: Optional = None, bias: Optional = None,
) -> Value:  # fmt: skip
    y: Value = g.MatMul(real(g, a, a_scale, a_zero, _from_end(a, 2)), real(g, b, b_scale, b_zero, _from_end(b, 1)))
    return y if bias is None else g.Add(y, bias)


@onnx_op("com.microsoft.DynamicQuantizeMatMul")
def dynamic_quantize_matmul(
    g: OnnxBuilder, a: Value, b: Value, b_scale: Value, b_zero: Optional = None, bias: Optional = None
) -> Value:
    """`a` is quantised by its own extent, as DynamicQuantizeLinear does."""
    q, scale, zero = g.DynamicQuantizeLinear(a, outputs=3)
    return matmul_integer_to_float(g, q, b, scale, b_scale, zero, b_zero, bias)


def _from_end(value: Value, count: int) -> int:
    return -count if value.shape is None else max(value.rank - count, 0)


def _product(g: OnnxBuilder, a: Value, b: Value) -> Value:
    """Of scales; of constants a constant, rounded once."""
    a, b = _scalar(g, a), _scalar(g, b)
    if a.is_constant and b.is_constant:
        return g.constant(a.array * b.array, name=f"{g.origin.layer}/bias/scale")
    product: Value = g.Mul(a, b)
    return product


# ----------------------------------------------------------- between two grids


def _between(g: OnnxBuilder, x: Value, grids: tuple[Any, ...], compute: Callable[[Any], Any]) -> Value:
    """`compute` of what x stands for; `grids` are the scale and zero point of x and of the result."""
    x_scale, x_zero, y_scale, y_zero = grids
    result: Value = integers(g, compute(real(g, x, x_scale, x_zero)), y_scale, y_zero, x)
    return result


def _on_images(g: OnnxBuilder, compute: Callable[[Any], Any], x: Value, channels_last: int) -> Any:
    """`compute` takes and gives channels first, which the file's values are or are not."""
    if not channels_last:
        return compute(x)
    if x.shape is None:
        g.refuse(f"{g.operator} of an image of unknown rank, channels last")
    order = order_channels_last(x.rank)
    return g.Transpose(compute(g.Transpose(x, perm=inverse(order))), perm=order)


@onnx_op("com.microsoft.QLinearAdd", "com.microsoft.QLinearMul")
def qlinear_binary(
    g: OnnxBuilder, a: Value, a_scale: Value, a_zero: Optional, b: Value, b_scale: Value, b_zero: Optional,
    c_scale: Value, c_zero: Optional = None,
) -> Value:  # fmt: skip
    y = g.op(g.operator.removeprefix("QLinear"), [real(g, a, a_scale, a_zero), real(g, b, b_scale, b_zero)])
    result: Value = integers(g, y, c_scale, c_zero, a)
    return result


@onnx_op("com.microsoft.QLinearSigmoid")
def qlinear_sigmoid(
    g: OnnxBuilder, x: Value, x_scale: Value, x_zero: Optional, y_scale: Value, y_zero: Optional = None
) -> Value:
    return _between(g, x, (x_scale, x_zero, y_scale, y_zero), g.Sigmoid)


@onnx_op("com.microsoft.QLinearLeakyRelu")
def qlinear_leaky_relu(
    g: OnnxBuilder, x: Value, x_scale: Value, x_zero: Optional, y_scale: Value, y_zero: Optional = None, *,
    alpha: float = 0.01,
) -> Value:  # fmt: skip
    return _between(g, x, (x_scale, x_zero, y_scale, y_zero), lambda t: g.LeakyRelu(t, alpha=alpha))


@onnx_op("com.microsoft.QLinearSoftmax")
def qlinear_softmax(
    g: OnnxBuilder, x: Value, x_scale: Value, x_zero: Optional, y_scale: Value, y_zero: Value, *, opset: int,
    axis: int = -1,
) -> Value:  # fmt: skip
    """As Softmax was at `opset`."""
    g.operator = "Softmax"
    of_one = opset >= 13
    grids = (x_scale, x_zero, y_scale, y_zero)
    return _between(g, x, grids, lambda t: g.Softmax(t, axis=axis) if of_one else softmax_of_all_axes(g, t, axis=axis))


@onnx_op("com.microsoft.QLinearAveragePool")
def qlinear_average_pool(
    g: OnnxBuilder, x: Value, x_scale: Value, x_zero: Optional, y_scale: Value, y_zero: Optional = None, *,
    kernel_shape: tuple[int, ...], auto_pad: str | None = None, ceil_mode: int = 0, channels_last: int = 0,
    count_include_pad: int = 0, pads: tuple[int, ...] | None = None, strides: tuple[int, ...] | None = None,
) -> Value:  # fmt: skip
    attributes = {
        "kernel_shape": kernel_shape, "auto_pad": auto_pad, "ceil_mode": ceil_mode, "pads": pads, "strides": strides,
        "count_include_pad": count_include_pad,
    }  # fmt: skip

    def pool(t: Value) -> Any:
        return _on_images(g, lambda image: g.AveragePool(image, **attributes), t, channels_last)

    return _between(g, x, (x_scale, x_zero, y_scale, y_zero), pool)


@onnx_op("com.microsoft.QLinearGlobalAveragePool")
def qlinear_global_average_pool(
    g: OnnxBuilder, x: Value, x_scale: Value, x_zero: Value, y_scale: Value, y_zero: Value, *, channels_last: int = 0
) -> Value:
    grids = (x_scale, x_zero, y_scale, y_zero)
    return _between(g, x, grids, lambda t: _on_images(g, g.GlobalAveragePool, t, channels_last))


@onnx_op("com.microsoft.QLinearReduceMean")
def qlinear_reduce_mean(
    g: OnnxBuilder, x: Value, x_scale: Value, x_zero: Optional, y_scale: Value, y_zero: Optional = None, *,
    axes: tuple[int, ...], keepdims: int,
) -> Value:  # fmt: skip
    grids = (x_scale, x_zero, y_scale, y_zero)
    return _between(g, x, grids, lambda t: g.ReduceMean(t, list(axes), keepdims=keepdims))


@onnx_op("com.microsoft.QLinearConcat")
def qlinear_concat(g: OnnxBuilder, y_scale: Value, y_zero: Value, *inputs: Value, axis: int) -> Value:
    """The inputs in threes: integers, scale, zero point."""
    if not inputs or len(inputs) % 3:
        raise ValueError("its inputs do not come in threes")
    threes = zip(inputs[::3], inputs[1::3], inputs[2::3], strict=True)
    parts = [real(g, q, scale, zero) for q, scale, zero in threes]
    result: Value = integers(g, g.Concat(*parts, axis=axis), y_scale, y_zero, inputs[0])
    return result


@onnx_op("com.microsoft.QLinearWhere")
def qlinear_where(
    g: OnnxBuilder, condition: Value, x: Value, x_scale: Value, x_zero: Value, y: Value, y_scale: Value, y_zero: Value,
    z_scale: Value, z_zero: Value,
) -> Value:  # fmt: skip
    z = g.Where(condition, real(g, x, x_scale, x_zero), real(g, y, y_scale, y_zero))
    result: Value = integers(g, z, z_scale, z_zero, x)
    return result


@onnx_op("com.microsoft.NhwcMaxPool")
def nhwc_max_pool(
    g: OnnxBuilder, x: Value, *, kernel_shape: tuple[int, ...], auto_pad: str | None = None, ceil_mode: int = 0,
    dilations: tuple[int, ...] | None = None, pads: tuple[int, ...] | None = None,
    strides: tuple[int, ...] | None = None,
) -> Value:  # fmt: skip
    attributes = {
        "kernel_shape": kernel_shape, "auto_pad": auto_pad, "ceil_mode": ceil_mode, "dilations": dilations,
        "pads": pads, "strides": strides,
    }  # fmt: skip
    result: Value = _on_images(g, lambda image: g.MaxPool(image, **attributes), x, channels_last=1)
    return result


# ---------------------------------------------------- pairs of another domain


@onnx_op("com.microsoft.QuantizeLinear")
def quantize_linear(g: OnnxBuilder, x: Value, scale: Value, zero: Optional = None, *, axis: int | None = None) -> Value:
    """ONNX's own since opset 21, which has 16 and 4 bits too."""
    scale, zero = _scalar(g, scale), _scalar(g, zero) if zero is not None else None
    result: Value = g.QuantizeLinear(x, scale, zero, axis=axis if scale.shape != () else None)
    return result


@onnx_op("com.microsoft.DequantizeLinear")
def dequantize_linear(
    g: OnnxBuilder, x: Value, scale: Value, zero: Optional = None, *, axis: int | None = None
) -> Value:
    result: Value = real(g, x, scale, zero, axis)
    return result


# ------------------------------------------------------------------ recurrence


@onnx_op("com.microsoft.DynamicQuantizeLSTM")
def dynamic_quantize_lstm(
    g: OnnxBuilder, x: Value, w: Value, r: Value, b: Optional, sequence_lens: Optional, initial_h: Optional,
    initial_c: Optional, p: Optional, w_scale: Value, w_zero: Value, r_scale: Value, r_zero: Value, *,
    activation_alpha: tuple[float, ...] | None = None, activation_beta: tuple[float, ...] | None = None,
    activations: tuple[str, ...] | None = None, clip: float | None = None, direction: str = "forward",
    hidden_size: int | None = None, input_forget: int = 0,
) -> Any:  # fmt: skip
    """LSTM with weights that are integers, transposed [directions, inputs, 4 hidden].

    What it reads and its state stay floats here, while ONNX Runtime quantises them as they come: ONNX can't say so of
    a state. So results differ by that noise.
    """
    weights = [_of_directions(g, w, w_scale, w_zero), _of_directions(g, r, r_scale, r_zero)]
    attributes: dict[str, Any] = {
        "activation_alpha": activation_alpha, "activation_beta": activation_beta, "activations": activations,
        "clip": clip, "direction": direction, "hidden_size": hidden_size, "input_forget": input_forget,
    }  # fmt: skip
    inputs = [x, *weights, b, sequence_lens, initial_h, initial_c, p]
    return g.op("LSTM", inputs, outputs=g.outputs, **attributes)


def _of_directions(g: OnnxBuilder, q: Value, scale: Value, zero: Value) -> Any:
    """[directions, 4 hidden, inputs], dequantised; scales are [directions] or [directions, 4 hidden]."""
    if not (q.is_constant and scale.is_constant and zero.is_constant):
        g.refuse(f"{g.operator} with weights that are computed")
    parts = [
        g.DequantizeLinear(
            g.constant(q.array[i].T[None], name=q.name), *_grid(scale.array[i], zero.array[i]),
            axis=1 if scale.array[i].size > 1 else None,
        )
        for i in range(q.sizes[0])
    ]  # fmt: skip
    return g.Concat(*parts, axis=0) if len(parts) > 1 else parts[0]


def _grid(scale: np.ndarray, zero: np.ndarray) -> list[np.ndarray]:
    """Without axes if they are of one element; zeros are left out."""
    shape = () if scale.size == 1 else scale.shape
    return [np.asarray(part).reshape(shape) for part in ((scale, zero) if zero.any() else (scale,))]
