"""Layers with a matrix of weights, and constants."""

from __future__ import annotations

from math import prod

from netglot.frontends.coreml.builder import CoreMLBuilder, Ints, nn_layer
from netglot.frontends.coreml.mil_weights import turned
from netglot.frontends.coreml.weights import Weights, shaped, stored
from netglot.ir.graph import Value


@nn_layer("innerProduct")
def inner_product(
    g: CoreMLBuilder, x: Value, *, inputChannels: int, outputChannels: int, hasBias: bool, weights: Weights,
    bias: Weights, int8DynamicQuantize: bool = False,
) -> Value:  # fmt: skip
    """Over C H W, which become outputChannels x 1 x 1; over the last axis where there are fewer than four."""
    weight = stored(g, weights, (outputChannels, inputChannels))
    shift = g.constant(shaped(bias, (outputChannels,), g.origin)) if hasBias else None
    if x.rank >= 4:
        rows = g.reshape(x, (prod(x.sizes[:-3]), prod(x.sizes[-3:])))
        return g.reshape(g.Gemm(rows, weight, shift, transB=1), (*x.sizes[:-3], outputChannels, 1, 1))
    if x.rank == 2:
        return g.Gemm(x, weight, shift, transB=1)
    product = g.MatMul(x, turned(g, weight))
    return g.Add(product, shift) if shift else product


@nn_layer("batchedMatmul")
def batched_matmul(
    g: CoreMLBuilder, x: Value, y: Value | None = None, *, transposeA: bool, transposeB: bool,
    weightMatrixFirstDimension: int, weightMatrixSecondDimension: int, hasBias: bool, weights: Weights,
    bias: Weights, int8DynamicQuantize: bool = False,
) -> Value:  # fmt: skip
    """Of two inputs, or of one and a matrix that is stored by columns."""
    x = _transposed(g, x) if transposeA else x
    if y is not None:
        return g.MatMul(x, _transposed(g, y) if transposeB else y)
    columns = weightMatrixSecondDimension
    product = g.MatMul(x, turned(g, stored(g, weights, (columns, weightMatrixFirstDimension))))
    return g.Add(product, g.constant(shaped(bias, (columns,), g.origin))) if hasBias else product


def _transposed(g: CoreMLBuilder, x: Value) -> Value:
    return g.Transpose(x, perm=(*range(x.rank - 2), x.rank - 1, x.rank - 2))


@nn_layer("loadConstant")
def load_constant(g: CoreMLBuilder, *, shape: Ints, data: Weights) -> Value:
    """C H W, in a batch of one."""
    return g.constant(shaped(data, (1, *shape), g.origin))


@nn_layer("loadConstantND")
def load_constant_nd(g: CoreMLBuilder, *, shape: Ints, data: Weights) -> Value:
    return g.constant(shaped(data, shape, g.origin))


@nn_layer("scale")
def scale(
    g: CoreMLBuilder, x: Value, *, shapeScale: Ints, scale: Weights, hasBias: bool, shapeBias: Ints, bias: Weights
) -> Value:
    """Factors and what is added are [1], [C], [1, H, W] or [C, H, W]."""
    y = g.Mul(x, _channels(g, scale, shapeScale, x.rank))
    return g.Add(y, _channels(g, bias, shapeBias, x.rank)) if hasBias else y


@nn_layer("bias")
def bias(g: CoreMLBuilder, x: Value, *, shape: Ints, bias: Weights) -> Value:
    return g.Add(x, _channels(g, bias, shape, x.rank))


def _channels(g: CoreMLBuilder, data: Weights, shape: Ints, rank: int) -> Value:
    array = shaped(data, shape, g.origin)
    return g.constant(array.reshape(-1, 1, 1) if array.ndim == 1 and rank >= 3 else array)
