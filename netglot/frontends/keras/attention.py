"""Keras' attention layers (keras/src/layers/attention/*.py): MatMul, Softmax and what stands around them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from netglot.frontends.keras.activations import MASKED
from netglot.frontends.keras.builder import KerasBuilder, keras_layer
from netglot.frontends.keras.timesteps import known_sizes
from netglot.ir.graph import Value
from netglot.ir.types import inverse

BOOL = 9  # TensorProto.BOOL


@keras_layer("MultiHeadAttention", mask="own")
def multi_head_attention(
    g: KerasBuilder, query: Value, value: Value, key: Value | None = None, *, num_heads: int, key_dim: int,
    value_dim: int | None = None, dropout: float = 0.0, use_bias: bool = True,
    output_shape: int | Sequence[int] | None = None, attention_axes: int | Sequence[int] | None = None,
    sliding_window: int | None = None, flash_attention: bool | None = None, use_gate: bool = False,
    query_mask: Value | None = None, value_mask: Value | None = None, key_mask: Value | None = None,
    attention_mask: Value | None = None, return_attention_scores: bool = False, use_causal_mask: bool = False,
    query_shape: Any = None, key_shape: Any = None, value_shape: Any = None,
) -> Any:  # fmt: skip
    """Heads attend along `attention_axes` (of the inputs; all but the first and last by default)."""
    values, key_input = value_dim or key_dim, value if key is None else key
    masks = Masks(
        g.mask_of(query), g.mask_of(value) if value_mask is None else value_mask,
        (None if key is None else g.mask_of(key)) if key_mask is None else key_mask,
        attention_mask, use_causal_mask, sliding_window,
    )  # fmt: skip
    q = project(g, query, "query_dense", (num_heads, key_dim), use_bias)
    k = project(g, key_input, "key_dense", (num_heads, key_dim), use_bias)
    gate = g.Sigmoid(project(g, query, "gate_dense", (num_heads, values), use_bias)) if use_gate else None
    v = project(g, value, "value_dense", (num_heads, values), use_bias)
    axes = Axes.of(attention_axes, q.rank)
    plain = q.rank == 4 and not dropout and not return_attention_scores and g.era >= 3
    mask = masks.merged(g, query, value)
    out, scores = axes.attend(g, q, k, v, mask, 1 / math.sqrt(key_dim), zeros=not plain and g.era >= 3)
    out = out if gate is None else g.Mul(out, gate)
    sizes = (output_shape,) if isinstance(output_shape, int) else tuple(output_shape or (known_sizes(g, query, -1)))
    y = project(g, out, "output_dense", sizes, use_bias, bound=2)
    g.set_mask(y, masks.query)
    return [y, scores] if return_attention_scores else y


@keras_layer("GroupQueryAttention", "GroupedQueryAttention", mask="own")
def grouped_query_attention(
    g: KerasBuilder, query: Value, value: Value, key: Value | None = None, *, head_dim: int, num_query_heads: int,
    num_key_value_heads: int, dropout: float = 0.0, use_bias: bool = True, sliding_window: int | None = None,
    flash_attention: bool | None = None, use_gate: bool = False, query_mask: Value | None = None,
    value_mask: Value | None = None, key_mask: Value | None = None, attention_mask: Value | None = None,
    return_attention_scores: bool = False, use_causal_mask: bool = False,
) -> Any:  # fmt: skip
    """Several heads of the query share one of the keys and values."""
    key_input, groups = value if key is None else key, num_key_value_heads
    masks = Masks(
        g.mask_of(query) if query_mask is None else query_mask,
        g.mask_of(value) if value_mask is None else value_mask,
        (None if key is None else g.mask_of(key)) if key_mask is None else key_mask,
        attention_mask, use_causal_mask, sliding_window,
    )  # fmt: skip
    q = project(g, query, "query_dense", (num_query_heads, head_dim), use_bias)
    k = project(g, key_input, "key_dense", (groups, head_dim), use_bias)
    gate = g.Sigmoid(project(g, query, "gate_dense", (num_query_heads, head_dim), use_bias)) if use_gate else None
    v = project(g, value, "value_dense", (groups, head_dim), use_bias)
    k, v = (repeated(g, x, num_query_heads // groups) for x in (k, v))
    zeros = bool(dropout or return_attention_scores)
    mask = masks.merged(g, query, value)
    out, scores = Axes.of(None, 4).attend(g, q, k, v, mask, 1 / math.sqrt(head_dim), zeros=zeros)
    out = out if gate is None else g.Mul(out, gate)
    y = project(g, out, "output_dense", known_sizes(g, query, -1), use_bias, bound=2)
    g.set_mask(y, g.mask_of(query))
    return [y, scores] if return_attention_scores else y


def repeated(g: KerasBuilder, x: Value, times: int) -> Value:
    """x [B, S, heads, D] with each head `times` times in a row."""
    heads = known_sizes(g, x, 2)[0]
    y: Value = x if times == 1 else g.Gather(x, np.repeat(np.arange(heads), times), axis=2)
    return y


def project(
    g: KerasBuilder, x: Value, part: str, sizes: Sequence[int], use_bias: bool, *, bound: int = 1
) -> Value:  # fmt: skip
    """The EinsumDense in the attribute `part`: the last `bound` axes of x become `sizes`."""
    assert x.shape is not None
    inner = known_sizes(g, x, -bound)
    with g.part(stored(g, part)):
        kernel = g.weight(*inner, *sizes, name="kernel").array.reshape(prod(inner), prod(sizes))
        bias = g.weight(*sizes, name="bias").array.reshape(-1) if use_bias else None
    flat = x if bound == 1 else resized(g, x, bound, [prod(inner)])
    y: Value = g.MatMul(flat, g.constant(kernel))
    y = y if bias is None else g.Add(y, g.constant(bias))
    return y if len(sizes) == 1 else resized(g, y, 1, sizes)


def stored(g: KerasBuilder, part: str) -> str:
    """The part's name in the file: Keras finds some attributes by a property, the others have an underscore."""
    hidden = f"_{part}"
    return hidden if g.weights is not None and g.weights.part(hidden).left() else part


def resized(g: KerasBuilder, x: Value, axes: int, sizes: Sequence[int]) -> Value:
    """x with its last `axes` axes as `sizes`."""
    assert x.shape is not None
    shape = g.Concat(g.Shape(x, end=-axes), list(sizes), axis=0)
    return g.reshaped(x, (*x.shape[:-axes], *sizes), dynamic=shape)


# ------------------------------------------------------------------------ masks


@dataclass(frozen=True)
class Masks:
    """What says which positions a query may attend to: masks [B, T] and [B, S], one [B, T, S], and two by position."""

    query: Value | None
    value: Value | None
    key: Value | None
    attention: Value | None
    causal: bool
    window: int | None

    def merged(self, g: KerasBuilder, query: Value, value: Value) -> Value | None:
        """All of them in one, broadcast to [B, T, S]; None if nothing is masked."""
        found = [g.Unsqueeze(boolean(g, self.query), [-1])] if self.query is not None else []
        found += [g.Unsqueeze(boolean(g, one), [-2]) for one in (self.value, self.key) if one is not None]
        if self.causal or self.window is not None:
            rows, columns = positions(g, query, 1, 1), positions(g, value, 1, 0)
            found += [g.Unsqueeze(g.GreaterOrEqual(rows, columns), [0])] if self.causal else []
            near = g.Abs(g.Sub(rows, columns)) if self.window is not None else None
            found += [g.Unsqueeze(g.Less(near, self.window), [0])] if near is not None else []
        found += [boolean(g, self.attention)] if self.attention is not None else []
        return both(g, found)


def both(g: KerasBuilder, masks: Sequence[Value]) -> Value | None:
    """What all of `masks` allow; None if there are none."""
    merged: Value | None = None
    for mask in masks:
        merged = mask if merged is None else g.And(merged, mask)
    return merged


def boolean(g: KerasBuilder, mask: Value) -> Value:
    return mask if mask.dtype == np.bool_ else g.Cast(mask, to=BOOL)


def positions(g: KerasBuilder, x: Value, axis: int, column: int) -> Value:
    """0, 1, 2... along `axis` of x, as [size, 1] (column 1) or [1, size]."""
    size = g.Squeeze(g.Shape(x, start=axis, end=axis + 1), [0])
    numbers: Value = g.Unsqueeze(g.Range(g.constant(0, np.int64), size, g.constant(1, np.int64)), [column])
    return numbers


def masked_softmax(g: KerasBuilder, logits: Value, mask: Value | None, *, zeros: bool) -> Value:
    """Softmax over the last axis where `mask` holds.

    Where nothing is allowed all weights are equal in Keras' fused attention, and `zeros` in its softmax layer. tf.keras
    adds -1e9 to what is masked instead of replacing it.
    """
    if mask is None:
        return g.Softmax(logits, axis=-1)
    lowest = MASKED.get(str(logits.dtype), -1e9)
    if g.era < 3:
        return g.Softmax(g.Add(logits, g.Where(mask, g.constant(0.0, logits.dtype), lowest)), axis=-1)
    weights: Value = g.Softmax(g.Where(mask, logits, lowest), axis=-1)
    return g.Where(mask, weights, 0.0) if zeros else weights


# ------------------------------------------------------------------------- axes


@dataclass(frozen=True)
class Axes:
    """Of projected tensors [B, ..., heads, features]: the axes to attend along, and the others but the last."""

    attended: tuple[int, ...]
    batch: tuple[int, ...]

    @classmethod
    def of(cls, axes: int | Sequence[int] | None, rank: int) -> Axes:
        given = (axes,) if isinstance(axes, int) else tuple(axes) if axes else tuple(range(1, rank - 2))
        attended = tuple(axis if axis >= 0 else rank - 1 + axis for axis in given)
        return cls(attended, tuple(axis for axis in range(rank - 1) if axis not in attended))

    def attend(
        self, g: KerasBuilder, q: Value, k: Value, v: Value, mask: Value | None, scale: float, *, zeros: bool
    ) -> tuple[Value, Value]:
        """(the weighted values in the layout of q, the weights [batch axes, T..., S...])."""
        perm = (*self.batch, *self.attended, q.rank - 1)
        queries, keys, values = (g.Transpose(x, perm=perm) for x in (q, k, v))
        ends = (*self.batch, q.rank - 1, *self.attended)
        logits = g.MatMul(self._flat(g, g.Mul(queries, scale)), self._flat_keys(g, k, ends))
        weights = masked_softmax(g, logits, self._mask(g, mask, queries, keys), zeros=zeros)
        out = self._unflat(g, g.MatMul(weights, self._flat(g, values)), queries)
        return g.Transpose(out, perm=inverse(perm)), self._scores(g, weights, queries, keys)

    def _flat(self, g: KerasBuilder, x: Value) -> Value:
        """The attended axes in one."""
        if len(self.attended) == 1:
            return x
        return resized(g, x, len(self.attended) + 1, [prod(self._sizes(g, x)), known_sizes(g, x, -1)[0]])

    def _flat_keys(self, g: KerasBuilder, k: Value, perm: Sequence[int]) -> Value:
        """Keys as [batch axes, features, S]."""
        keys: Value = g.Transpose(k, perm=perm)
        count = len(self.attended)
        return keys if count == 1 else resized(g, keys, count, [prod(known_sizes(g, keys, keys.rank - count))])

    def _sizes(self, g: KerasBuilder, x: Value) -> tuple[int, ...]:
        """Sizes of the attended axes of a tensor [batch axes, attended axes, features]."""
        return known_sizes(g, x, len(self.batch))[: len(self.attended)]

    def _unflat(self, g: KerasBuilder, y: Value, queries: Value) -> Value:
        if len(self.attended) == 1:
            return y
        return resized(g, y, 2, [*self._sizes(g, queries), known_sizes(g, y, -1)[0]])

    def _mask(self, g: KerasBuilder, mask: Value | None, queries: Value, keys: Value) -> Value | None:
        """A mask [B, T..., S...] to go with logits: axes between come before T."""
        if mask is None:
            return None
        count = 2 * len(self.attended)
        missing = len(self.batch) + count - mask.rank
        if missing < 0 or mask.rank < count:
            raise g.unsupported(f"a mask of {mask.rank} axes")
        mask = g.Unsqueeze(mask, [mask.rank - count + i for i in range(missing)]) if missing else mask
        if len(self.attended) == 1:
            return mask
        sizes = [*self._sizes(g, queries), *self._sizes(g, keys)]
        full = g.Expand(mask, [*([1] * len(self.batch)), *sizes])
        return resized(g, full, count, [prod(self._sizes(g, queries)), prod(self._sizes(g, keys))])

    def _scores(self, g: KerasBuilder, weights: Value, queries: Value, keys: Value) -> Value:
        if len(self.attended) == 1:
            return weights
        return resized(g, weights, 2, [*self._sizes(g, queries), *self._sizes(g, keys)])


# -------------------------------------------------- Attention, AdditiveAttention


@keras_layer("Attention", mask="own")
def attention(
    g: KerasBuilder, query: Value, value: Value, key: Value | None = None, *, use_scale: bool = False,
    score_mode: str = "dot", causal: bool = False, mask: Any = None, return_attention_scores: bool = False,
    use_causal_mask: bool = False,
) -> Any:  # fmt: skip
    """Luong's attention: scores are products of queries and keys, or sums of tanh of their sums ("concat")."""
    keys = value if key is None else key
    scale = g.weight(name="scale") if use_scale else None
    if score_mode == "dot":
        scores = g.MatMul(query, swap_last(g, keys))
        scores = scores if scale is None else g.Mul(scores, scale)
    elif score_mode == "concat":
        sums = pairs(g, query, keys)
        sums = sums if scale is None else g.Mul(sums, scale)
        scores = g.Mul(g.ReduceSum(g.Tanh(sums), [-1], keepdims=0), g.weight(name="concat_score_weight"))
    else:
        raise g.unsupported(f"score_mode {score_mode!r}")
    return weighted(g, scores, query, value, mask, causal or use_causal_mask, return_attention_scores)


@keras_layer("AdditiveAttention", mask="own")
def additive_attention(
    g: KerasBuilder, query: Value, value: Value, key: Value | None = None, *, use_scale: bool = True,
    causal: bool = False, mask: Any = None, return_attention_scores: bool = False, use_causal_mask: bool = False,
    score_mode: str = "dot",
) -> Any:  # fmt: skip
    """Bahdanau's attention. (`score_mode` is in its configuration and says nothing.)"""
    sums = g.Tanh(pairs(g, query, value if key is None else key))
    sums = g.Mul(sums, g.weight(known_sizes(g, query, -1)[0], name="scale")) if use_scale else sums
    scores = g.ReduceSum(sums, [-1], keepdims=0)
    return weighted(g, scores, query, value, mask, causal or use_causal_mask, return_attention_scores)


def pairs(g: KerasBuilder, query: Value, key: Value) -> Value:
    """Sums of every query and every key: [B, T, S, features]."""
    sums: Value = g.Add(g.Unsqueeze(query, [-2]), g.Unsqueeze(key, [-3]))
    return sums


def swap_last(g: KerasBuilder, x: Value) -> Value:
    y: Value = g.Transpose(x, perm=(*range(x.rank - 2), x.rank - 1, x.rank - 2))
    return y


def weighted(
    g: KerasBuilder, scores: Value, query: Value, value: Value, mask: Any, causal: bool, with_scores: bool
) -> Any:
    """Values weighted by the softmax of `scores` [B, T, S]; what is masked has 1e9 less."""
    given = list(mask) if mask is not None else [g.mask_of(query), g.mask_of(value)]
    of_query, of_value = (None if one is None else boolean(g, one) for one in given[:2])
    allowed = [g.Unsqueeze(of_value, [-2])] if of_value is not None else []
    if causal:
        allowed.append(
            g.GreaterOrEqual(positions(g, scores, scores.rank - 2, 1), positions(g, scores, scores.rank - 1, 0))
        )
    keep = both(g, allowed)
    if keep is not None:
        less = 65504.0 if scores.dtype == np.float16 else 1e9
        scores = g.Add(scores, g.Where(keep, g.constant(0.0, scores.dtype), -less))
    weights = g.Softmax(scores, axis=-1)
    y = g.MatMul(weights, value)
    if of_query is not None:
        y = g.Where(g.Unsqueeze(of_query, [-1]), y, 0.0)
        g.set_mask(y, of_query)
    return [y, weights] if with_scores else y
