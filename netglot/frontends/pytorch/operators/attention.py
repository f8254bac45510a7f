"""Attention as products and a softmax, which every target has and the passes know.

Semantics: torch.nn.functional.scaled_dot_product_attention and ATen's native/transformers. A query that may look at
nothing gets zeros (torch's _safe_softmax), not the NaN that a plain softmax would give.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from netglot.frontends.pytorch.builder import Size, TorchBuilder, aten
from netglot.frontends.pytorch.operators.linalg import dtype_of, linear, swapped, wide
from netglot.ir.graph import Value


@dataclass(frozen=True)
class Attended:
    """What attention gives: weighted values [..., L, E], weights [..., L, S], logits [..., L, S]."""

    output: Value
    weights: Value
    logits: Value


def attend(
    g: TorchBuilder, query: Value, key: Value, value: Value, *, mask: Value | None = None, causal: bool = False,
    scale: float | None = None, dropout_p: float = 0.0, grouped: bool = False,
) -> Attended:  # fmt: skip
    """Attention of queries [..., L, E] to keys [..., S, E] and values [..., S, V]; `mask` broadcasts to [..., L, S]."""
    if dropout_p:
        raise g.unsupported("with dropout", "Export the module after .eval(), with dropout_p=0.0.")
    if causal and mask is not None:
        raise g.unsupported("with a mask and is_causal")
    if grouped:
        key, value = (repeated_heads(g, x, query) for x in (key, value))
    q, k, v = (wide(g, x) for x in (query, key, value))
    logits = g.MatMul(g.Mul(q, scaling(g, q, scale)), swapped(g, k))
    if causal:
        logits, weights = masked_softmax(g, logits, causal_mask(g, query, key), open_rows=True)
    elif mask is not None:
        logits, weights = masked_softmax(g, logits, mask, open_rows=has_open_rows(mask))
    else:
        weights = g.Softmax(logits, axis=-1)
    return Attended(g.cast(g.MatMul(weights, v), dtype_of(query)), weights, logits)


def scaling(g: TorchBuilder, query: Value, scale: float | None) -> Value:
    """What the logits are multiplied by: `scale`, or 1/sqrt(E)."""
    if scale is not None:
        return g.number(float(scale), query.dtype)
    features = g.size(query, -1)
    if isinstance(features, int):
        return g.number(1 / math.sqrt(features), query.dtype)
    y: Value = g.Reciprocal(g.Sqrt(g.cast(features, query.dtype)))
    return y


def masked_softmax(g: TorchBuilder, logits: Value, mask: Value, *, open_rows: bool) -> tuple[Value, Value]:
    """(masked logits, weights). `open_rows`: every row is known to have something that is not masked.

    A bool mask says what may be seen, a float one is added. The mask alone tells which rows have nothing: it is
    smaller than the logits, and often made of weights, so that the passes know the answer.
    """
    if mask.dtype == np.bool_:
        masked = g.Where(mask, logits, g.constant(-np.inf if open_rows else _lowest(logits), logits.dtype))
        weights = g.Softmax(masked, axis=-1)
        return masked, weights if open_rows else g.Where(mask, weights, g.constant(0.0, logits.dtype))
    masked = g.Add(logits, g.cast(mask, logits.dtype))
    weights = g.Softmax(masked, axis=-1)
    if open_rows:
        return masked, weights
    highest = g.ReduceMax(mask, [-1], keepdims=1) if mask.rank else mask
    closed = g.Equal(g.cast(highest, logits.dtype), g.constant(-np.inf, logits.dtype))
    return masked, g.Where(closed, g.constant(0.0, logits.dtype), weights)


def _lowest(x: Value) -> float:
    return float(np.finfo(dtype_of(x)).min)


def has_open_rows(mask: Value) -> bool:
    """Whether the mask is known, and leaves something to see in every row."""
    if not mask.is_constant or mask.array.ndim == 0:
        return False
    seen = mask.array if mask.dtype == np.bool_ else mask.array > -np.inf
    return bool(seen.any(axis=-1).all())


def causal_mask(g: TorchBuilder, query: Value, key: Value) -> Value:
    """Query i sees keys 0 to i, also where there are more of the ones than of the others: bools [L, S]."""
    rows, columns = (g.Range(0, g.number(g.size(x, -2), np.int64), 1) for x in (query, key))
    y: Value = g.GreaterOrEqual(g.Unsqueeze(rows, [1]), g.Unsqueeze(columns, [0]))
    return y


def repeated_heads(g: TorchBuilder, x: Value, query: Value) -> Value:
    """`x` [..., H/n, S, E] with every head n times in a row, as many as the query has."""
    heads, wanted = (g.known(g.size(item, -3), "the number of heads") for item in (x, query))
    if heads == wanted:
        return x
    rank, times = x.rank, wanted // heads
    shape = np.ones(rank + 1, np.int64)
    shape[rank - 2] = times
    wider = g.Expand(g.Unsqueeze(x, [rank - 2]), shape)
    sizes: list[Size] = [g.size(x, axis) for axis in range(rank)]
    return g.view(wider, [*sizes[: rank - 3], wanted, *sizes[rank - 2 :]])


# ----------------------------------------------------------- scaled_dot_product_attention


@aten("scaled_dot_product_attention")
def scaled_dot_product_attention(
    g: TorchBuilder, query: Value, key: Value, value: Value, attn_mask: Value | None = None, *,
    dropout_p: float = 0.0, is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
) -> Value:  # fmt: skip
    return attend(
        g, query, key, value, mask=attn_mask, causal=is_causal, scale=scale, dropout_p=dropout_p, grouped=enable_gqa
    ).output


@aten("_scaled_dot_product_flash_attention_for_cpu", order="query key value dropout_p is_causal")
def flash_attention_for_cpu(
    g: TorchBuilder, query: Value, key: Value, value: Value, attn_mask: Value | None = None, *,
    dropout_p: float = 0.0, is_causal: bool = False, scale: float | None = None,
) -> tuple[Value, Value]:  # fmt: skip
    """The second result is for gradients."""
    mask = attn_mask
    found = attend(g, query, key, value, mask=mask, causal=is_causal, scale=scale, dropout_p=dropout_p)
    return found.output, log_sum(g, found, open_rows=mask is None or has_open_rows(mask))


def log_sum(g: TorchBuilder, found: Attended, *, open_rows: bool) -> Value:
    """The logarithms of what the softmax divided by, in float32; torch gives 0 where a query sees nothing."""
    logits = found.logits
    total = g.cast(g.ReduceLogSumExp(logits, [-1], keepdims=0), np.float32)
    if open_rows:
        return total
    closed = g.LessOrEqual(g.ReduceMax(logits, [-1], keepdims=0), g.constant(_lowest(logits), logits.dtype))
    y: Value = g.Where(closed, 0.0, total)
    return y


@aten("_scaled_dot_product_attention_math", order="query key value attn_mask dropout_p is_causal dropout_mask")
def attention_math(
    g: TorchBuilder, query: Value, key: Value, value: Value, attn_mask: Value | None = None,
    dropout_mask: Value | None = None, *, dropout_p: float = 0.0, is_causal: bool = False,
    scale: float | None = None, enable_gqa: bool = False,
) -> tuple[Value, Value]:  # fmt: skip
    """What torch does where it has no kernel: (values, weights)."""
    if attn_mask is not None and attn_mask.dtype == np.bool_:
        raise g.unsupported("with a mask of bools, which torch adds here as numbers")
    if dropout_mask is not None:
        raise g.unsupported("with a mask of dropout")
    found = attend(
        g, query, key, value, mask=attn_mask, causal=is_causal, scale=scale, dropout_p=dropout_p, grouped=enable_gqa
    )
    return found.output, g.cast(found.weights, dtype_of(query))


@aten("_scaled_dot_product_efficient_attention")
def efficient_attention(
    g: TorchBuilder, query: Value, key: Value, value: Value, attn_bias: Value | None, *, compute_log_sumexp: bool,
    dropout_p: float = 0.0, is_causal: bool = False, scale: float | None = None,
) -> tuple[Value | None, ...]:  # fmt: skip
    """A kernel for GPUs; of its four results only the first is for inference."""
    found = attend(g, query, key, value, mask=attn_bias, causal=is_causal, scale=scale, dropout_p=dropout_p)
    return found.output, None, None, None


@aten("_scaled_dot_product_cudnn_attention")
def cudnn_attention(
    g: TorchBuilder, query: Value, key: Value, value: Value, attn_bias: Value | None, *, compute_log_sumexp: bool,
    dropout_p: float = 0.0, is_causal: bool = False, return_debug_mask: bool = False, scale: float | None = None,
) -> tuple[Value | None, ...]:  # fmt: skip
    found = efficient_attention(
        g, query, key, value, attn_bias, compute_log_sumexp=compute_log_sumexp, dropout_p=dropout_p,
        is_causal=is_causal, scale=scale,
    )  # fmt: skip
    return found[0], *([None] * 8)


@aten("_scaled_dot_product_flash_attention")
def flash_attention(
    g: TorchBuilder, query: Value, key: Value, value: Value, *, dropout_p: float = 0.0, is_causal: bool = False,
    return_debug_mask: bool = False, scale: float | None = None,
) -> tuple[Value | None, ...]:  # fmt: skip
    found = attend(g, query, key, value, causal=is_causal, scale=scale, dropout_p=dropout_p)
    return found.output, *([None] * 8)


# ------------------------------------------------------------------------- layers


@dataclass(frozen=True)
class Heads:
    """The weights of a multi-head attention of a sequence to itself, as ATen's fused kernels have them."""

    features: int
    count: int
    qkv_weight: Value
    qkv_bias: Value
    out_weight: Value
    out_bias: Value

    def apply(self, g: TorchBuilder, x: Value, hidden: Value | None) -> tuple[Value, Value]:
        """(the result [N, L, E], weights [N, H, L, L]). `hidden` (bools) says what may not be seen."""
        parts = g.Split(linear(g, x, self.qkv_weight, self.qkv_bias), [self.features] * 3, axis=-1, outputs=3)
        q, k, v = (self.split(g, part) for part in parts)
        logits = g.MatMul(g.Mul(q, scaling(g, q, None)), swapped(g, k))
        if hidden is not None:
            logits = g.Where(hidden, g.constant(-np.inf, logits.dtype), logits)
        weights = g.Softmax(logits, axis=-1)
        joined = g.Reshape(g.Transpose(g.MatMul(weights, v), perm=[0, 2, 1, 3]), [0, 0, self.features])
        return linear(g, joined, self.out_weight, self.out_bias), weights

    def split(self, g: TorchBuilder, x: Value) -> Value:
        y: Value = g.Transpose(g.Reshape(x, [0, 0, self.count, -1]), perm=[0, 2, 1, 3])
        return y


def mask_of_heads(g: TorchBuilder, mask: Value | None, mask_type: int | None) -> Value | None:
    """A mask of _masked_softmax to go with [N, H, L, L]: 0 of [L, L], 1 of [N, L] (keys), 2 of the whole shape."""
    if mask is None:
        return None
    mask = g.cast(mask, np.bool_)
    kind = mask_type if mask_type is not None else 0 if mask.rank == 2 else 2
    if mask_type is None and mask.rank == 2:
        raise g.unsupported("with a mask of a kind that is not said")
    y: Value = g.Unsqueeze(mask, [1, 2]) if kind == 1 else mask
    return y


@aten(
    "_native_multi_head_attention",
    order="query key value embed_dim num_head qkv_weight qkv_bias proj_weight proj_bias mask need_weights "
    "average_attn_weights mask_type",
)
def native_multi_head_attention(
    g: TorchBuilder, query: Value, key: Value, value: Value, qkv_weight: Value, qkv_bias: Value, proj_weight: Value,
    proj_bias: Value, mask: Value | None = None, *, embed_dim: int, num_head: int, need_weights: bool = True,
    average_attn_weights: bool = True, mask_type: int | None = None,
) -> Any:  # fmt: skip
    """Of a sequence to itself; of another one torch takes the same steps one by one."""
    if query is not key or key is not value:
        raise g.unsupported("of one sequence to another")
    heads = Heads(embed_dim, num_head, qkv_weight, qkv_bias, proj_weight, proj_bias)
    y, weights = heads.apply(g, query, mask_of_heads(g, mask, mask_type))
    if not need_weights:
        return y, None
    return y, g.ReduceMean(weights, [1], keepdims=0) if average_attn_weights else weights


@aten(
    "_transformer_encoder_layer_fwd",
    order="src embed_dim num_heads qkv_weight qkv_bias proj_weight proj_bias use_gelu norm_first eps norm_weight_1 "
    "norm_bias_1 norm_weight_2 norm_bias_2 ffn_weight_1 ffn_bias_1 ffn_weight_2 ffn_bias_2 mask mask_type",
)
def transformer_encoder_layer(
    g: TorchBuilder, x: Value, qkv_weight: Value, qkv_bias: Value, proj_weight: Value, proj_bias: Value,
    norm_weight_1: Value, norm_bias_1: Value, norm_weight_2: Value, norm_bias_2: Value, ffn_weight_1: Value,
    ffn_bias_1: Value, ffn_weight_2: Value, ffn_bias_2: Value, mask: Value | None = None, *, embed_dim: int,
    num_heads: int, use_gelu: bool, norm_first: bool, eps: float, mask_type: int | None = None,
) -> Value:  # fmt: skip
    """A whole layer of nn.TransformerEncoder (native/transformers/transformer.cpp)."""
    heads = Heads(embed_dim, num_heads, qkv_weight, qkv_bias, proj_weight, proj_bias)
    hidden = mask_of_heads(g, mask, mask_type)

    def norm_1(item: Value) -> Value:
        made: Value = g.LayerNormalization(item, norm_weight_1, norm_bias_1, epsilon=eps)
        return made

    def norm_2(item: Value) -> Value:
        made: Value = g.LayerNormalization(item, norm_weight_2, norm_bias_2, epsilon=eps)
        return made

    def feed_forward(item: Value) -> Value:
        inner = linear(g, item, ffn_weight_1, ffn_bias_1)
        return linear(g, g.Gelu(inner) if use_gelu else g.Relu(inner), ffn_weight_2, ffn_bias_2)

    if norm_first:
        x = g.Add(x, heads.apply(g, norm_1(x), hidden)[0])
        y: Value = g.Add(x, feed_forward(norm_2(x)))
        return y
    x = norm_1(g.Add(x, heads.apply(g, x, hidden)[0]))
    return norm_2(g.Add(x, feed_forward(x)))


@aten("_safe_softmax")
def safe_softmax(g: TorchBuilder, x: Value, *, dim: int, dtype: np.dtype | None = None) -> Value:
    """Zeros where everything along the axis is -inf."""
    x = g.cast(x, dtype) if dtype is not None else x
    axis = g.axis(dim, x.rank)
    if x.rank == 0:
        raise g.unsupported("of a scalar")
    closed = g.Equal(g.ReduceMax(wide(g, x), [axis], keepdims=1), g.constant(-np.inf, wide(g, x).dtype))
    made = g.Where(closed, g.constant(0.0, wide(g, x).dtype), g.Softmax(wide(g, x), axis=axis))
    return g.cast(made, dtype_of(x))


@aten("_masked_softmax")
def masked_softmax_of(
    g: TorchBuilder, x: Value, mask: Value, *, dim: int | None = None, mask_type: int | None = None
) -> Value:
    """True is masked; NaN where all are."""
    axis = g.axis(-1 if dim is None else dim, x.rank)
    if mask_type is None or mask_type in (0, 1):
        hidden = mask_of_heads(g, mask, mask_type) if mask_type is not None else mask
    else:
        hidden = mask
    assert hidden is not None
    y: Value = g.Softmax(g.Where(hidden, g.constant(-np.inf, x.dtype), x), axis=axis)
    return y


@aten("_transform_bias_rescale_qkv")
def transform_bias_rescale_qkv(g: TorchBuilder, qkv: Value, qkv_bias: Value, *, num_heads: int) -> tuple[Value, ...]:
    """[N, L, 3E] to three of [N, H, L, E/H], the first divided by sqrt(E/H)."""
    parts = g.Split(g.Add(qkv, qkv_bias), axis=-1, num_outputs=3, outputs=3)
    q, k, v = (g.Transpose(g.Reshape(part, [0, 0, num_heads, -1]), perm=[0, 2, 1, 3]) for part in parts)
    return g.Mul(q, scaling(g, q, None)), k, v
