"""Rows of netglot/frontends/pytorch/operators/windows.py."""

from __future__ import annotations

from tests.pytorch_ops.table import Row, T

_ALL = ("tflite", "coreml", "cpp")

ROWS = [
    Row("unfold", T(2, 9, 3), 1, 4, 2, row_dynamic=True, row_targets=_ALL),
    Row("unfold", T(2, 9, 6), -1, 3, 3, row_dynamic=True, name="side by side"),
    Row("unfold", T(2, 9, 3), 1, 4, 4, row_dynamic=True, name="with a rest"),
    Row("unfold", T(2, 9, 3, dtype="int64"), 0, 1, 5, name="one"),
    Row("unfold", T(), 0, 1, 1, name="scalar"),
    Row("unfold_copy", T(2, 9, 3), 1, 4, 2, row_dynamic=True),
    Row("im2col", T(2, 3, 7, 8), [3, 2], [1, 2], [1, 2], [2, 1], row_dynamic=True, row_targets=_ALL),
    Row("im2col", T(3, 7, 8), [3, 2], [1, 1], [0, 0], [3, 2], row_dynamic=True, name="unbatched"),
    Row("col2im", T(2, 18, 40), [7, 8], [3, 2], [1, 2], [1, 2], [2, 1], row_dynamic=True),
    Row("col2im", T(18, 8), [7, 8], [3, 2], [1, 1], [0, 0], [3, 2], name="unbatched"),
    Row("pixel_shuffle", T(2, 18, 4, 5), 3, row_dynamic=True, row_targets=_ALL),
    Row("pixel_shuffle", T(8, 4, 5), 2, row_dynamic=True, name="unbatched"),
    Row("pixel_shuffle", T(2, 3, 8, 4, 5), 2, row_dynamic=True, name="two batches"),
    Row("pixel_unshuffle", T(2, 3, 6, 9), 3, row_dynamic=True, row_targets=_ALL),
    Row("pixel_unshuffle", T(3, 4, 6), 2, row_dynamic=True, name="unbatched"),
    Row("pixel_unshuffle", T(2, 3, 2, 4, 6), 2, row_dynamic=True, name="two batches"),
    Row("channel_shuffle", T(2, 6, 4, 5), 3, row_dynamic=True, row_targets=_ALL),
    Row("channel_shuffle", T(2, 6, 5), 2, row_dynamic=True, name="one axis"),
    Row("native_channel_shuffle", T(2, 6, 4, 5), 2, row_dynamic=True),
]
