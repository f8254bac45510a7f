"""Attention with interleaved projections: [length, batch, heads x (query, key, value) x size]."""

from __future__ import annotations

from math import sqrt

from netglot.errors import ConversionError
from netglot.frontends.mxnet.builder import MXNetBuilder, mxnet_op
from netglot.ir.graph import Value


@mxnet_op("_contrib_interleaved_matmul_selfatt_qk")
def selfatt_qk(g: MXNetBuilder, queries_keys_values: Value, *, heads: int) -> Value:
    """contrib/transformer.cc: the scores [batch x heads, length, length], scaled."""
    queries, keys, _ = _projections(g, queries_keys_values, heads, 3)
    return _scores(g, queries, keys)


@mxnet_op("_contrib_interleaved_matmul_selfatt_valatt")
def selfatt_valatt(g: MXNetBuilder, queries_keys_values: Value, attention: Value, *, heads: int) -> Value:
    return _attended(g, attention, _projections(g, queries_keys_values, heads, 3)[2], heads)


@mxnet_op("_contrib_interleaved_matmul_encdec_qk")
def encdec_qk(g: MXNetBuilder, queries: Value, keys_values: Value, *, heads: int) -> Value:
    """contrib/transformer.cc: the scores [batch x heads, length of queries, length of keys], scaled."""
    (asked,) = _projections(g, queries, heads, 1)
    return _scores(g, asked, _projections(g, keys_values, heads, 2)[0])


@mxnet_op("_contrib_interleaved_matmul_encdec_valatt")
def encdec_valatt(g: MXNetBuilder, keys_values: Value, attention: Value, *, heads: int) -> Value:
    return _attended(g, attention, _projections(g, keys_values, heads, 2)[1], heads)


def _projections(g: MXNetBuilder, x: Value, heads: int, count: int) -> list[Value]:
    """Each projection as [length, batch x heads, size]."""
    width = x.shape[2] if x.shape and len(x.shape) == 3 else None
    if not isinstance(width, int):
        raise g.unsupported("the size of the projections is not known")
    if heads < 1 or width % (heads * count):
        raise ConversionError(f"{width} numbers do not make {count} projections of {heads} heads", g.origin)
    size = width // heads // count
    if count == 1:
        return [g.Reshape(x, [0, -1, size])]
    parts = g.Split(g.Reshape(x, [0, -1, count, size]), [1] * count, axis=2, outputs=count)
    return [g.Squeeze(part, [2]) for part in parts]


def _scores(g: MXNetBuilder, queries: Value, keys: Value) -> Value:
    size = queries.shape[2] if queries.shape else None
    assert isinstance(size, int)
    scaled = g.Mul(g.Transpose(queries, perm=(1, 0, 2)), 1 / sqrt(size))
    return g.MatMul(scaled, g.Transpose(keys, perm=(1, 2, 0)))


def _attended(g: MXNetBuilder, attention: Value, values: Value, heads: int) -> Value:
    """[length, batch, heads x size]."""
    size = values.shape[2] if values.shape else None
    assert isinstance(size, int)
    y = g.MatMul(attention, g.Transpose(values, perm=(1, 0, 2)))
    return g.Reshape(g.Transpose(y, perm=(1, 0, 2)), [0, -1, heads * size])
