"""Rows of netglot/frontends/pytorch/operators/embedding.py."""

from __future__ import annotations

import numpy as np

from tests.pytorch_ops.table import Row, T

_rng = np.random.default_rng(0)


def _w(*shape: int) -> np.ndarray:
    return _rng.standard_normal(shape).astype(np.float32)


ALL = ("tflite", "coreml", "cpp")
TABLE = _w(10, 3)
I = T(9, dtype="int64", low=0, high=9)  # noqa: E741
UNEVEN = np.array([0, 2, 2, 5, 9])  # the second and the last bag are empty
FEED = np.array([1, 4, 4, 9, 4, 0, 4, 4, 2])
ONLY = {"row_outputs": [0]}


def _bag(mode: int, name: str, **more: object) -> Row:
    return Row("embedding_bag", TABLE, I, T(5, dtype="int64"), False, mode, row_values=[FEED, UNEVEN], name=name,
               row_dynamic=True, **ONLY, **more)  # fmt: skip


ROWS = [
    Row("embedding", TABLE, T(2, 5, dtype="int64", low=0, high=9), row_dynamic=True, row_targets=ALL),
    Row("embedding", TABLE, T(2, dtype="int32", low=0, high=9), 3, True, name="options"),
    Row("embedding", TABLE, T(dtype="int64", low=0, high=9), name="a scalar"),
    Row("one_hot", T(dtype="int64", low=0, high=4), 5, name="scalar"),
    Row("one_hot", T(2, 3, dtype="int64", low=0, high=4), 5, row_dynamic=True, row_targets=ALL),
    Row("embedding_bag", TABLE, I, np.array([0, 3, 6]), row_targets=ALL, name="even", **ONLY),
    Row("embedding_bag", TABLE, I, np.array([0, 3, 6]), False, 1, name="even mean", **ONLY),
    Row("embedding_bag", TABLE, I, np.array([0, 3, 6]), False, 2, name="even max", **ONLY),
    Row("embedding_bag", TABLE, I, np.array([0, 2, 2]), False, 2, row_dynamic=True, name="known offsets", **ONLY),
    _bag(0, "sum"),
    _bag(1, "mean"),
    _bag(2, "max"),
    Row("embedding_bag", TABLE, I, T(5, dtype="int64"), False, 0, False, T(9), row_values=[FEED, UNEVEN, _w(9)],
        name="weighted", row_dynamic=True, **ONLY),
    Row("embedding_bag", TABLE, I, T(5, dtype="int64"), False, 1, False, None, True, row_values=[FEED, UNEVEN],
        name="last offset", row_dynamic=True, **ONLY),
    *(Row("embedding_bag.padding_idx", TABLE, I, T(4, dtype="int64"), False, mode, False, None, False, 4,
          row_values=[FEED, np.array([0, 1, 3, 6])], name=f"mode {mode}", row_dynamic=True, **ONLY)
      for mode in range(3)),
    Row("embedding_bag.padding_idx", TABLE, I, np.array([0, 3, 6]), False, 1, False, None, False, -6,
        row_values=[FEED], name="even, from the end", **ONLY),
    Row("embedding_bag.padding_idx", TABLE, I, np.array([0, 3, 6]), False, 2, False, None, False, None,
        name="none", **ONLY),
    Row("_embedding_bag", TABLE, I, T(5, dtype="int64"), False, 1, False, None, True, -1,
        row_values=[FEED, UNEVEN], **ONLY),
    Row("_embedding_bag", TABLE, I, np.array([0, 3, 6]), False, 0, False, T(9), False, 4,
        row_values=[FEED, _w(9)], name="padding", **ONLY),
    Row("_embedding_bag_forward_only", TABLE, I, np.array([0, 3, 6]), row_dynamic=True, **ONLY),
]  # fmt: skip
