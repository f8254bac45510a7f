"""Keras' core layers: dense, embedding, masking, reshaping, and those that only act while training."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from string import ascii_letters
from typing import Any

import numpy as np

from netglot.errors import ConversionError
from netglot.frontends.keras.builder import KerasBuilder, keras_layer
from netglot.frontends.keras.convolution import refuse_lora
from netglot.ir.graph import Value
from netglot.ir.types import Dim, channels_last, text, to_onnx

MAX_REPEATS = 1 << 20


# ----------------------------------------------------------------------- dense


@keras_layer("Dense")
def dense(
    g: KerasBuilder, x: Value, *, units: int, activation: Any = None, use_bias: bool = True,
    lora_rank: int | None = None, lora_alpha: float | None = None, quantization_config: Any = None,
) -> Value:  # fmt: skip
    """x W + b over the last axis."""
    refuse_quantized(g, quantization_config)
    assert x.shape is not None
    inputs = x.shape[-1]
    w = g.weight(inputs if isinstance(inputs, int) else None, units, name="kernel")
    b = g.weight(units, name="bias") if use_bias else None
    refuse_lora(g, lora_rank)
    if x.rank == 2:
        return g.activate(g.Gemm(x, w, b), activation)
    y = g.MatMul(x, w)
    return g.activate(y if b is None else g.Add(y, b), activation)


def refuse_quantized(g: KerasBuilder, quantization_config: Any) -> None:
    if quantization_config is not None:
        raise g.unsupported("a layer that Keras quantised", "Convert the model as it was before quantize().")


@keras_layer("EinsumDense", mask="drop")
def einsum_dense(
    g: KerasBuilder, x: Value, *, equation: str, output_shape: int | Sequence[Dim], activation: Any = None,
    bias_axes: str | None = None, lora_rank: int | None = None, lora_alpha: float | None = None,
    quantization_config: Any = None, gptq_unpacked_column_size: int | None = None,
) -> Value:  # fmt: skip
    """einsum of x and a kernel. The variables' shapes come from the equation (core/einsum_dense.py)."""
    refuse_quantized(g, quantization_config)
    given, kernel, result, elided = _parsed(g, equation, x)
    partial = [output_shape] if isinstance(output_shape, int) else list(output_shape)
    known = _letter_sizes(x, given, partial, result, elided)
    w = g.weight(*(_size(known.get(a)) for a in kernel), name="kernel")
    known |= dict(zip(kernel, w.sizes, strict=True))
    y = contract(g, x, w, given, kernel, result)
    if bias_axes:
        first = min(result.index(a) for a in bias_axes)
        y = g.Add(y, g.weight(*(_size(known.get(a)) if a in bias_axes else 1 for a in result[first:]), name="bias"))
    refuse_lora(g, lora_rank)
    return g.activate(y, activation)


def _letter_sizes(x: Value, given: str, partial: Sequence[Dim], result: str, elided: str) -> dict[str, Dim]:
    """Sizes by letter. `partial` is the output's shape without the batch and without what "..." stands for."""
    at_left = bool(elided) and result.startswith(elided)
    rest = result[len(elided) :] if at_left else result[1 : len(result) - len(elided)]
    found: dict[str, Dim] = dict(zip(rest, partial, strict=False))
    return found | {a: n for a, n in zip(given, x.shape or (), strict=True) if isinstance(n, int)}


def _size(dim: Dim) -> int | None:
    return dim if isinstance(dim, int) else None


def _parsed(g: KerasBuilder, equation: str, x: Value) -> tuple[str, str, str, str]:
    """The letters of the input, the kernel and the output, "..." written out; and what it stands for."""
    left, arrow, result = equation.replace(" ", "").partition("->")
    given, comma, kernel = left.partition(",")
    spare = [letter for letter in ascii_letters if letter not in equation]
    elided = "".join(spare[: x.rank - len(given.replace("...", ""))]) if "..." in given else ""
    given, result = given.replace("...", elided), result.replace("...", elided)
    letters = given + kernel + result
    if (
        not arrow
        or not comma
        or not letters.isalpha()
        or len(given) != x.rank
        or not set(result) <= set(given + kernel)
    ):
        raise ConversionError(f"the equation '{equation}' does not fit an input of {text(x.shape)}", g.origin)
    return given, kernel, result, elided


def contract(g: KerasBuilder, x: Value, w: Value, given: str, kernel: str, result: str) -> Value:
    """einsum of x and the constant w, as one matrix product where it is one (Einsum itself otherwise).

    Letters of both that the result lacks are summed over; w becomes a matrix from these to those of its own.
    """
    summed = [a for a in kernel if a in given and a not in result]
    own = [a for a in result if a in kernel and a not in given]
    free = [a for a in result if a in given and a not in kernel]
    letters = (given, kernel, result)
    if any(len(set(part)) != len(part) for part in letters) or not summed or (
        set(given) != {*summed, *free} or set(kernel) != {*summed, *own} or set(result) != {*free, *own}
    ):  # fmt: skip
        return g.Einsum(x, w, equation=f"{given},{kernel}->{result}")
    matrix = w.array.transpose([kernel.index(a) for a in summed + own])
    rows, columns = (prod(matrix.shape[part]) for part in (slice(len(summed)), slice(len(summed), None)))
    y = _ordered(g, x, given, free + summed)
    y = _joined(g, y, len(free), rows) if len(summed) > 1 else y
    y = g.MatMul(y, g.constant(matrix.reshape(rows, columns), name=w.name))
    sizes = matrix.shape[len(summed) :]
    y = _parted(g, y, sizes) if len(own) != 1 else y
    return _ordered(g, y, "".join(free + own), list(result))


def _ordered(g: KerasBuilder, x: Value, letters: str, wanted: list[str]) -> Value:
    order = [letters.index(a) for a in wanted]
    return x if order == list(range(len(order))) else g.Transpose(x, perm=order)


def _joined(g: KerasBuilder, x: Value, kept: int, size: int) -> Value:
    """The axes from `kept` on as one of `size`."""
    assert x.shape is not None
    return g.reshaped(x, (*x.shape[:kept], size), dynamic=g.Concat(g.Shape(x, start=0, end=kept), [size], axis=0))


def _parted(g: KerasBuilder, x: Value, sizes: Sequence[int]) -> Value:
    """The last axis as axes of `sizes`."""
    assert x.shape is not None
    shape = g.Concat(g.Shape(x, start=0, end=x.rank - 1), np.array(sizes, np.int64), axis=0)
    return g.reshaped(x, (*x.shape[:-1], *sizes), dynamic=shape)


# ------------------------------------------------------------------- embedding


@keras_layer("Embedding", mask="own")
def embedding(
    g: KerasBuilder, x: Value, *, input_dim: int, output_dim: int, mask_zero: bool = False,
    input_length: int | None = None, lora_rank: int | None = None, lora_alpha: float | None = None,
    quantization_config: Any = None,
) -> Value:  # fmt: skip
    """Rows of a table. With `mask_zero` the index 0 is padding. (`input_length` only said the input's shape.)"""
    refuse_quantized(g, quantization_config)
    table = g.weight(input_dim, output_dim, name="embeddings")
    refuse_lora(g, lora_rank)
    return _looked_up(g, table, x, mask_zero)


def _looked_up(g: KerasBuilder, table: Value, x: Value, mask_zero: bool) -> Value:
    known = x.dtype in (np.dtype(np.int32), np.dtype(np.int64))
    y: Value = g.Gather(table, x if known else g.Cast(x, to=to_onnx(np.dtype(np.int32))))
    if mask_zero:
        g.set_mask(y, g.Not(g.Equal(x, g.constant(0, x.dtype))))
    return y


@keras_layer("ReversibleEmbedding", mask="own")
def reversible_embedding(
    g: KerasBuilder, x: Value, *, input_dim: int, output_dim: int, tie_weights: bool = True, mask_zero: bool = False,
    reverse: bool = False, reverse_dtype: Any = None, logit_soft_cap: float | None = None,
    lora_rank: int | None = None, lora_alpha: float | None = None, quantization_config: Any = None,
) -> Value:  # fmt: skip
    """With `reverse` the way back: logits of each row of the table, or of a second one."""
    refuse_quantized(g, quantization_config)
    table = g.weight(input_dim, output_dim, name="embeddings")
    back = None if tie_weights else g.weight(output_dim, input_dim, name="reverse_embeddings")
    refuse_lora(g, lora_rank)
    if not reverse:
        return _looked_up(g, table, x, mask_zero)
    if reverse_dtype not in (None, str(x.dtype)):
        raise g.unsupported(f"reverse_dtype={reverse_dtype!r}")
    logits: Value = g.MatMul(x, back or g.constant(table.array.T, name=table.name))
    return g.Mul(g.Tanh(g.Div(logits, logit_soft_cap)), logit_soft_cap) if logit_soft_cap is not None else logits


@keras_layer("Masking", mask="own")
def masking(g: KerasBuilder, x: Value, *, mask_value: float = 0.0) -> Value:
    """Steps whose features all are `mask_value` are zero, and padding from here on."""
    differs = g.Cast(g.Not(g.Equal(x, g.constant(mask_value, x.dtype))), to=to_onnx(np.dtype(np.float32)))
    real = g.Greater(g.ReduceMax(differs, [x.rank - 1]), 0.5)
    y: Value = g.Where(real, x, g.constant(0, x.dtype))
    g.set_mask(y, g.Squeeze(real, [x.rank - 1]))
    return y


# -------------------------------------------------------------------- identity


@keras_layer("Identity")
def identity(g: KerasBuilder, x: Value) -> Value:
    return x


@keras_layer(
    "Dropout", "AlphaDropout", "GaussianDropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D",
    "GaussianNoise", "ActivityRegularization", "StochasticDepth",
)  # fmt: skip
def training_only(
    g: KerasBuilder, x: Value, *, rate: float = 0.0, noise_shape: Any = None, stddev: float = 0.0, l1: float = 0.0,
    l2: float = 0.0, data_format: str | None = None, drop_path_rate: float = 0.0,
) -> Value:  # fmt: skip
    """At inference nothing remains. (StochasticDepth is a layer of keras.applications' ConvNeXt.)"""
    return x


@keras_layer("LayerScale", mask="drop")
def layer_scale(g: KerasBuilder, x: Value, *, projection_dim: int, init_values: float = 0.0) -> Value:
    """A learned factor for each channel, of keras.applications' ConvNeXt."""
    return g.Mul(x, g.weight(projection_dim, name="gamma"))


# ------------------------------------------------------------------- reshaping


@keras_layer("Reshape", mask="drop")
def reshape(g: KerasBuilder, x: Value, *, target_shape: Sequence[int]) -> Value:
    """All axes but the batch in a new shape, in which one -1 takes what is left."""
    target = list(target_shape)
    if not all(isinstance(n, int) and (n > 0 or n == -1) for n in target) or target.count(-1) > 1:
        raise ConversionError(f"Reshape to {target}", g.origin)
    assert x.shape is not None
    sizes = [n for n in x.shape[1:] if isinstance(n, int)]
    if -1 in target and len(sizes) == x.rank - 1:
        rest, total = -prod(target), prod(sizes)
        target[target.index(-1)] = total // rest
    if len(sizes) == x.rank - 1 and prod(target) != prod(sizes):
        raise ConversionError(f"{text(x.shape)} can't be reshaped to {list(target_shape)}", g.origin)
    return g.Reshape(x, [0, *target])


@keras_layer("Flatten", mask="drop")
def flatten(g: KerasBuilder, x: Value, *, data_format: str | None = None) -> Value:
    """One row for each element of the batch, in channels-last order whatever the data format is."""
    if x.rank == 1:
        return g.Unsqueeze(x, [1])
    if (data_format or g.data_format) == "channels_first" and x.rank > 2:
        x = g.Transpose(x, perm=channels_last(x.rank))
    return x if x.rank == 2 else g.Flatten(x, axis=1)


@keras_layer("Permute", mask="drop")
def permute(g: KerasBuilder, x: Value, *, dims: Sequence[int]) -> Value:
    if sorted(dims) != list(range(1, x.rank)):
        raise ConversionError(f"Permute by {list(dims)} of an input of {text(x.shape)}", g.origin)
    return g.Transpose(x, perm=[0, *dims])


@keras_layer("RepeatVector", mask="drop")
def repeat_vector(g: KerasBuilder, x: Value, *, n: int) -> Value:
    if not 0 < n <= MAX_REPEATS:
        raise ConversionError(f"RepeatVector {n} times", g.origin)
    return g.Tile(g.Unsqueeze(x, [1]), [1, n, 1])
