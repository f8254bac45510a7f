"""Rows of netglot/frontends/pytorch/operators/padding.py."""

from __future__ import annotations

from tests.pytorch_ops.table import Row, T

_ALL = ("tflite", "coreml", "cpp")
_X = T(2, 3, 5, 7)

ROWS = [
    Row("pad", _X, [1, 2, 3, 0], row_dynamic=True, row_targets=_ALL),
    Row("pad", _X, [1, -2, -1, 3, 0, 1], "constant", 2.5, row_dynamic=True, name="crop"),
    Row("pad", _X, [-1, -2], row_dynamic=True, name="crop only"),
    Row("pad", _X, [1, 2, 3, 0], "reflect", row_dynamic=True, row_targets=_ALL, name="reflect"),
    Row("pad", _X, [3, -3, -2, 2], "reflect", row_dynamic=True, name="reflect crop"),
    Row("pad", _X, [6, -5, 0, 0], "reflect", row_dynamic=True, name="reflect what is cropped"),
    Row("pad", _X, [1, 2, 3, 6], "replicate", row_dynamic=True, row_targets=("tflite", "cpp"), name="replicate"),
    Row("pad", _X, [3, -3, -2, 2], "replicate", row_dynamic=True, name="replicate crop"),
    Row("pad", _X, [1, 2, 3, 5], "circular", row_dynamic=True, name="circular"),
    Row("pad", _X, [3, -2, -2, 2], "circular", row_dynamic=True, name="circular crop"),
    Row("pad", T(2, 3, dtype="bool"), [1, 2], "constant", 1.0, name="bool"),
    Row("pad", T(2, 3, dtype="int64"), [1, 2, 0, 1], "constant", 7.0, row_dynamic=True, name="int64"),
    Row("pad", T(2, 3, dtype="int16"), [1, 2, 0, 1], name="int16"),
    Row("pad", T(2, 3), [0, 0, 0, 0], name="nothing"),
    Row("constant_pad_nd", _X, [1, 2, 3, 0], row_dynamic=True),
    Row("constant_pad_nd", _X, [1, -2, -1, 3], -1.5, row_dynamic=True, name="crop"),
    Row("constant_pad_nd", T(5, dtype="int32"), [2, -1], 3, name="int32"),
    Row("constant_pad_nd", T(3), [0, 2], float("-inf"), name="infinity"),
    Row("reflection_pad1d", T(2, 3, 7), [3, 2], row_dynamic=True),
    Row("reflection_pad1d", T(3, 7), [6, 0], name="unbatched"),
    Row("reflection_pad2d", _X, [3, 2, 4, 1], row_dynamic=True, row_targets=_ALL),
    Row("reflection_pad2d", _X, [3, -2, -1, 1], row_dynamic=True, name="crop"),
    Row("reflection_pad3d", T(1, 2, 4, 5, 6), [1, 2, 3, 0, 2, 1], row_dynamic=True),
    Row("replication_pad1d", T(2, 3, 7), [8, 2], row_dynamic=True),
    Row("replication_pad2d", _X, [3, 2, 6, 1], row_dynamic=True),
    Row("replication_pad2d", T(3, 5, 7), [3, 2, 6, 1], name="unbatched"),
    Row("replication_pad3d", T(1, 2, 4, 5, 6), [1, 2, 3, 0, 2, 7], row_dynamic=True),
    Row("_pad_circular", T(2, 3, 7), [3, 7], row_dynamic=True),
    Row("_pad_circular", T(1, 2, 4, 5, 6), [1, 2, 3, 0, -2, 1], row_dynamic=True, name="crop"),
    Row("_pad_enum", T(3, 5, 7), [1, 2, 3, 0], 0, row_dynamic=True, name="reflect"),
    Row("_pad_enum", T(3, 5, 7), [1, 2, 3, 6], 1, row_dynamic=True, name="replicate"),
    Row("_pad_enum", T(2, 3, 7), [1, 2], 2, row_dynamic=True, name="circular"),
    Row("_pad_enum", _X, [1, 2], 3, 1.5, row_dynamic=True),
]
