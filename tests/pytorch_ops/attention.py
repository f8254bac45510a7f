"""Rows of netglot/frontends/pytorch/operators/attention.py."""

from __future__ import annotations

import numpy as np

from tests.pytorch_ops.table import Row, T

_rng = np.random.default_rng(0)


def _w(*shape: int) -> np.ndarray:
    return _rng.standard_normal(shape).astype(np.float32)


ALL = ("tflite", "coreml", "cpp")
Q, K, V = T(2, 3, 5, 4), T(2, 3, 7, 4), T(2, 3, 7, 6)
SDPA = "scaled_dot_product_attention"
SEEN = np.tril(np.ones((5, 7), bool), 2)
CLOSED = np.array([1, 1, 0, 1, 1], bool)[:, None] & SEEN  # the third query sees nothing
ADDED = np.where(CLOSED, _w(5, 7), -np.inf).astype(np.float32)
QKV = [_w(2, 3, 5, 4), _w(2, 3, 7, 4), _w(2, 3, 7, 6)]
WEIGHTS = (_w(24, 8), _w(24), _w(8, 8), _w(8))
NORMS = (_w(8), _w(8), _w(8), _w(8))
FEED = (_w(12, 8), _w(12), _w(8, 12), _w(8))
HIDDEN = np.array([[0, 0, 1, 0, 1], [0, 0, 0, 0, 1]], bool)
BETWEEN = np.triu(np.ones((5, 5), bool), 1)
X = T(2, 5, 8)

ROWS = [
    Row(SDPA, Q, K, V, row_dynamic=True, row_targets=ALL),
    Row(SDPA, T(2, 5, 4), T(2, 7, 4), T(2, 7, 6), name="rank 3", row_dynamic=True),
    Row(SDPA, T(5, 4), T(7, 4), T(7, 6), name="rank 2"),
    Row(SDPA, T(2, 1, 3, 5, 4), T(1, 2, 3, 7, 4), T(1, 2, 3, 7, 6), name="rank 5", row_dynamic=True),
    Row(SDPA, Q, K, V, scale=0.3, name="scale", row_dynamic=True),
    Row(SDPA, Q, K, V, None, 0.0, True, name="causal, more keys", row_dynamic=True, row_targets=ALL),
    Row(SDPA, K, Q, T(2, 3, 5, 6), None, 0.0, True, name="causal, more queries", row_dynamic=True),
    Row(SDPA, Q, K, V, SEEN, name="known bools", row_targets=ALL),
    Row(SDPA, Q, K, V, CLOSED, name="a closed row", row_targets=("tflite", "cpp")),
    Row(SDPA, Q, K, V, T(2, 1, 5, 7, dtype="bool"), name="bools", row_dynamic=True),
    Row(SDPA, Q, K, V, T(5, 7, dtype="bool"), name="bools, a closed row", row_values=[*QKV, CLOSED], row_dynamic=True),
    Row(SDPA, Q, K, V, T(5, 7), name="floats", row_dynamic=True, row_targets=ALL),
    Row(SDPA, Q, K, V, T(5, 7), name="floats, a closed row", row_values=[*QKV, ADDED], row_dynamic=True),
    Row(SDPA, Q, K, V, ADDED, name="known floats, a closed row"),
    Row(SDPA, Q, K, V, T(2, 3, 1, 7, dtype="bool"), name="a mask of keys", row_dynamic=True),
    Row(SDPA, T(2, 6, 5, 4), T(2, 2, 7, 4), T(2, 2, 7, 6), enable_gqa=True, name="grouped"),
    Row(SDPA, T(2, 6, 5, 4), T(2, 2, 7, 4), T(2, 2, 7, 6), is_causal=True, enable_gqa=True, name="grouped, causal"),
    Row(SDPA, *(T(2, 3, 5, 4, dtype="float64"),) * 3, T(5, 5, dtype="float64"), name="float64", row_rtol=1e-12),
    Row(SDPA, *(T(2, 3, 5, 4, dtype="bfloat16"),) * 3, row_rtol=2e-2, name="bfloat16"),
    Row(SDPA, *(T(2, 3, 5, 4, dtype="float16"),) * 3, row_rtol=2e-3, name="float16"),
    Row("_scaled_dot_product_flash_attention_for_cpu", Q, K, T(2, 3, 7, 4), 0.0, True, row_dynamic=True),
    Row("_scaled_dot_product_flash_attention_for_cpu", Q, K, T(2, 3, 7, 4), attn_mask=T(5, 7), scale=0.4,
        row_values=[*QKV[:2], _w(2, 3, 7, 4), ADDED], name="mask"),
    Row("_scaled_dot_product_attention_math", Q, K, V, T(5, 7), scale=0.3, row_dynamic=True),
    Row("_scaled_dot_product_attention_math", Q, K, V, None, 0.0, True, name="causal"),
    Row("_transform_bias_rescale_qkv", T(2, 5, 24), _w(24), 2),
    Row("_transformer_encoder_layer_fwd", X, 8, 2, *WEIGHTS, False, False, 1e-5, *NORMS, *FEED, row_targets=ALL),
    Row("_transformer_encoder_layer_fwd", X, 8, 2, *WEIGHTS, True, True, 1e-3, *NORMS, *FEED, name="gelu, norm first"),
    Row("_transformer_encoder_layer_fwd", X, 8, 2, *WEIGHTS, False, False, 1e-5, *NORMS, *FEED, HIDDEN, 1,
        name="hidden keys"),
    Row("_transformer_encoder_layer_fwd", X, 8, 2, *WEIGHTS, False, False, 1e-5, *NORMS, *FEED, BETWEEN, 0,
        name="hidden pairs"),
    Row("_safe_softmax", T(2, 3, 4), -1, row_dynamic=True),
    Row("_safe_softmax", T(2, 2), 0, row_values=[np.array([[-np.inf, 1], [-np.inf, 2]], np.float32)], name="closed"),
    Row("_masked_softmax", T(2, 3, 5, 5), T(2, 3, 5, 5, dtype="bool"), 3, 2),
    Row("_masked_softmax", T(2, 3, 5, 5), BETWEEN, 3, 0, name="pairs"),
    Row("_masked_softmax", T(2, 3, 5, 5), HIDDEN, 3, 1, name="keys"),
]  # fmt: skip
