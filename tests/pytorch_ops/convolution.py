"""Rows of netglot/frontends/pytorch/operators/convolution.py."""

from __future__ import annotations

import ml_dtypes
import numpy as np

from tests.pytorch_ops.table import Row, T

_rng = np.random.default_rng(0)
_ALL = ("tflite", "coreml", "cpp")


def _w(*shape: int) -> np.ndarray:
    return _rng.standard_normal(shape).astype(np.float32)


ROWS = [
    Row("conv1d", T(2, 4, 9), _w(6, 4, 3), row_dynamic=True, row_targets=_ALL),
    Row("conv1d", T(4, 9), _w(6, 2, 3), _w(6), [2], [1], [2], 2, row_dynamic=True, name="unbatched"),
    Row("conv1d", T(2, 4, 9), T(6, 4, 3), T(6), [2], row_dynamic=True, name="computed weight"),
    Row("conv1d", T(2, 4, 9, dtype="float16"), _w(6, 4, 3).astype(np.float16), row_rtol=2e-3, name="float16"),
    Row("conv1d", T(2, 4, 9, dtype="bfloat16"), _w(6, 4, 3).astype(ml_dtypes.bfloat16), row_rtol=1e-2, name="bfloat16"),
    Row("conv1d", T(2, 4, 9, dtype="float64"), _w(6, 4, 3).astype(np.float64), name="float64"),
    Row("conv1d.padding", T(2, 3, 10), _w(5, 3, 4), _w(5), [1], "same", row_dynamic=True),
    Row("conv1d.padding", T(2, 3, 10), _w(5, 3, 4), _w(5), [3], "valid", name="valid"),
    Row("conv2d", T(2, 4, 7, 9), _w(6, 2, 3, 5), _w(6), [2, 1], [1, 2], [1, 1], 2, row_dynamic=True, row_targets=_ALL),
    Row("conv2d", T(4, 7, 9), _w(4, 1, 3, 2), None, [1, 2], [2], [2, 3], 4, row_dynamic=True, name="depthwise"),
    Row("conv2d.padding", T(2, 3, 8, 9), _w(5, 3, 4, 3), _w(5), [1], "same", [2, 3], row_targets=_ALL),
    Row("conv2d.padding", T(3, 8, 9), _w(6, 1, 4, 3), None, [2, 1], "valid", [1], 3, name="valid"),
    Row("conv3d", T(1, 2, 5, 6, 7), _w(3, 2, 2, 3, 1), None, [1], [1], row_dynamic=True),
    Row("conv3d", T(2, 5, 6, 7), _w(4, 1, 2, 3, 1), _w(4), [1, 2, 1], [1, 0, 2], [2, 1, 1], 2, name="unbatched"),
    Row("conv3d.padding", T(1, 2, 5, 6, 7), _w(3, 2, 2, 3, 1), None, [1], "same", row_dynamic=True),
    Row("conv_transpose1d", T(2, 4, 5), _w(4, 3, 3), _w(6), [2], [1], [1], 2, [2], row_dynamic=True),
    Row("conv_transpose1d", T(4, 5), _w(4, 3, 3), None, [3], name="unbatched"),
    Row("conv_transpose2d.input", T(2, 4, 5, 6), _w(4, 3, 3, 2), _w(6), [2, 3], [1, 0], [1, 2], 2, [1, 2],
        row_dynamic=True),
    Row("conv_transpose2d.input", T(2, 4, 5, 6), _w(4, 3, 3, 2), _w(3), [2, 1], row_targets=_ALL, name="plain"),
    Row("conv_transpose2d.input", T(4, 5, 6), _w(4, 3, 3, 2), None, [1], [1, 0], name="unbatched"),
    Row("conv_transpose2d.input", T(2, 4, 5, 6), _w(4, 3, 3, 2), _w(3), [1, 3], [1, 0], [2, 2], 1, [3, 1],
        row_dynamic=True, name="output_padding beyond"),
    Row("conv_transpose3d.input", T(1, 2, 3, 4, 5), _w(2, 3, 2, 3, 2), _w(3), [1, 2, 3], [0, 1, 1], [0, 1, 2],
        row_dynamic=True),
    Row("convolution", T(2, 4, 7, 9), _w(6, 2, 3, 5), _w(6), [2, 1], [1, 2], [1, 1], False, [0, 0], 2,
        row_dynamic=True),
    Row("convolution", T(2, 4, 5, 6), _w(4, 3, 3, 2), None, [2, 3], [1, 0], [1, 2], True, [1, 2], 2, name="transposed"),
    Row("convolution", T(2, 4, 9), _w(6, 4, 3), None, [2], [1], [1], False, [0], 1, name="one axis"),
    Row("_convolution", T(2, 4, 7, 9), _w(6, 2, 3, 5), None, [2, 1], [1, 2], [1, 1], False, [0, 0], 2, False, False,
        True, True),
    Row("_convolution", T(2, 4, 7, 9), _w(4, 2, 3, 5), _w(4), [2, 1], [1, 2], [1, 1], True, [1, 0], 2, False, False,
        True, True, name="transposed"),
    Row("_convolution.deprecated", T(2, 4, 7, 9), _w(6, 2, 3, 5), _w(6), [2, 1], [1, 2], [1, 1], False, [0, 0], 2,
        False, False, True),
    Row("_convolution_mode", T(2, 3, 8, 9), _w(5, 3, 4, 3), _w(5), [1, 1], "same", [2, 3], 1, row_dynamic=True),
    Row("_convolution_mode", T(2, 3, 8, 9), _w(5, 3, 4, 3), None, [2, 1], "valid", [1, 1], 1, name="valid"),
    Row("conv_tbc", T(9, 2, 4), _w(3, 4, 5), _w(5), 2, row_dynamic=True),
]  # fmt: skip
