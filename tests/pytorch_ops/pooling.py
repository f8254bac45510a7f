"""Rows of netglot/frontends/pytorch/operators/pooling.py."""

from __future__ import annotations

import numpy as np

from tests.pytorch_ops.table import Row, T

_ALL = ("tflite", "coreml", "cpp")
_TIES = np.array([[[[1, 1, 0, 2], [1, 0, 2, 2], [-1, -1, -1, -1]], [[3, 3, 3, 3], [3, 3, 3, 3], [0, 0, 0, 0]]]], "f")


def _places(*shape: int, plane: int) -> np.ndarray:
    """Places in a plane, each once."""
    rng = np.random.default_rng(3)
    count = int(np.prod(shape[-2:] if len(shape) < 5 else shape[-3:]))
    planes = int(np.prod(shape)) // count
    return np.stack([rng.permutation(plane)[:count] for _ in range(planes)]).reshape(shape).astype(np.int64)


ROWS = [
    Row("max_pool1d", T(2, 3, 11), [3], [2], [1], row_dynamic=True, row_targets=_ALL),
    Row("max_pool1d", T(2, 3, 11), [3], [2], [1], [2], row_dynamic=True, name="dilated"),
    Row("max_pool1d", T(3, 10), [2], [3], [1], [1], True, row_dynamic=True, name="unbatched ceil"),
    Row("max_pool2d", T(2, 3, 9, 11), [3, 2], [2, 3], [1, 1], row_dynamic=True, row_targets=_ALL),
    Row("max_pool2d", T(3, 9, 11), [2, 3], row_dynamic=True, name="unbatched"),
    Row("max_pool2d", T(2, 3, 9, 11), [2, 3], [2, 4], [1, 1], [2, 3], True, row_dynamic=True, name="ceil dilated"),
    Row("max_pool2d", T(1, 2, 7, 8), [2, 2], [3, 4], [1, 0], [1, 1], True, row_dynamic=True, name="ceil last window"),
    Row("max_pool2d", T(1, 2, 7, 8, dtype="int32", low=-9, high=9), [2, 3], [2, 1], [1, 1], name="int32"),
    Row("max_pool2d", T(1, 2, 7, 8, dtype="uint8", low=0, high=200), [2, 3], [2, 1], [1, 1], name="uint8"),
    Row("max_pool2d", T(1, 2, 7, 8, dtype="float64"), [2, 3], [2, 1], [1, 1], name="float64"),
    Row("max_pool2d", T(1, 2, 7, 8, dtype="bfloat16"), [2, 3], [2, 1], [1, 1], name="bfloat16"),
    Row("max_pool3d", T(1, 2, 6, 7, 8), [2, 3, 1], [1, 2, 3], [1, 1, 0], [2, 1, 1], row_dynamic=True),
    Row("max_pool3d", T(2, 6, 7, 8), [2, 3, 2], [3, 2, 3], [1, 1, 0], [1, 1, 1], True, name="unbatched ceil"),
    Row("max_pool1d_with_indices", T(2, 3, 11), [3], [2], [1], [2], row_dynamic=True),
    Row("max_pool2d_with_indices", T(2, 3, 9, 11), [3, 2], [2, 3], [1, 1], row_dynamic=True),
    Row("max_pool2d_with_indices", T(3, 9, 11), [2, 3], [2, 4], [1, 1], [2, 3], True, row_dynamic=True,
        name="unbatched ceil dilated"),
    Row("max_pool2d_with_indices", T(1, 2, 3, 4), [2, 3], [1, 1], row_values=[_TIES], name="ties"),
    Row("max_pool2d_with_indices", T(1, 2, 6, 7, dtype="bfloat16"), [2, 3], name="bfloat16"),
    Row("max_pool2d_with_indices", T(1, 2, 6, 7, dtype="int32", low=-99, high=99), [2, 3], name="int32"),
    Row("max_pool3d_with_indices", T(2, 2, 6, 7, 8), [2, 3, 1], [1, 2, 3], [1, 1, 0], [2, 1, 1], row_dynamic=True),
    Row("max_unpool2d", T(2, 3, 4, 5), _places(2, 3, 4, 5, plane=9 * 7), [9, 7], row_dynamic=True),
    Row("max_unpool2d", T(3, 4, 5), _places(3, 4, 5, plane=9 * 7), [9, 7], name="unbatched"),
    Row("max_unpool3d", T(2, 3, 2, 3, 2), _places(2, 3, 2, 3, 2, plane=4 * 5 * 6), [4, 5, 6], [2, 2, 2], [0, 0, 0],
        row_dynamic=True),
    Row("avg_pool1d", T(2, 3, 11), [3], [2], [1], row_dynamic=True, row_targets=_ALL),
    Row("avg_pool1d", T(3, 11), [4], [2], [1], True, False, row_dynamic=True, name="unbatched ceil without pads"),
    Row("avg_pool2d", T(2, 3, 9, 11), [3, 2], [2, 3], [1, 1], row_dynamic=True, row_targets=_ALL),
    Row("avg_pool2d", T(2, 3, 9, 11), [3, 2], [2, 3], [1, 1], False, False, row_targets=_ALL, name="without pads"),
    Row("avg_pool2d", T(2, 3, 9, 12), [4, 3], [3, 2], [2, 1], True, True, row_dynamic=True, name="ceil with pads"),
    Row("avg_pool2d", T(3, 9, 12), [4, 3], [3, 2], [2, 1], True, False, name="unbatched ceil without pads"),
    Row("avg_pool2d", T(1, 2, 7, 8), [2, 2], [3, 4], [1, 1], True, name="ceil last window"),
    Row("avg_pool2d", T(2, 3, 9, 11), [3, 2], [2, 3], [1, 1], False, False, 4, row_dynamic=True, name="divisor"),
    Row("avg_pool2d", T(2, 3, 9, 12), [4, 3], [3, 2], [2, 1], True, True, 5, name="ceil divisor"),
    Row("avg_pool2d", T(2, 3, 9, 11), [3, 2], row_dynamic=True, name="default stride"),
    Row("avg_pool2d", T(2, 3, 9, 11, dtype="float64"), [3, 2], [2, 3], [1, 1], name="float64"),
    Row("avg_pool3d", T(1, 2, 6, 7, 8), [2, 3, 2], [1, 2, 3], [1, 1, 0], False, False, row_dynamic=True),
    Row("avg_pool3d", T(2, 6, 7, 8), [2, 3, 2], [3, 2, 3], [1, 1, 0], True, True, name="unbatched ceil"),
    Row("avg_pool3d", T(2, 6, 7, 8), [2, 3, 2], [3, 2, 3], [1, 1, 0], True, True, 7, name="divisor"),
    Row("adaptive_avg_pool1d", T(2, 3, 10), [4], row_dynamic=True, row_targets=_ALL),
    Row("adaptive_avg_pool1d", T(3, 10), [5], row_dynamic=True, name="unbatched even"),
    Row("adaptive_avg_pool2d", T(2, 3, 7, 10), [3, 4], row_dynamic=True, row_targets=_ALL),
    Row("adaptive_avg_pool2d", T(2, 3, 6, 10), [3, 5], row_targets=_ALL, name="even"),
    Row("adaptive_avg_pool2d", T(2, 3, 7, 10), [1, 1], row_dynamic=True, row_targets=_ALL, name="global"),
    Row("adaptive_avg_pool2d", T(2, 3, 7, 10), [1, 4], row_dynamic=True, name="one row"),
    Row("adaptive_avg_pool2d", T(3, 7, 5), [7, 9], row_dynamic=True, name="unbatched larger"),
    Row("adaptive_avg_pool2d", T(2, 3, 7, 10, dtype="float64"), [3, 4], name="float64"),
    Row("adaptive_avg_pool2d", T(2, 3, 7, 10, dtype="float64"), [1, 1], name="float64 global"),
    Row("adaptive_avg_pool3d", T(1, 2, 5, 6, 7), [2, 3, 4], row_dynamic=True),
    Row("adaptive_avg_pool3d", T(2, 5, 6, 7), [2, 1, 4], name="unbatched"),
    Row("_adaptive_avg_pool2d", T(2, 3, 7, 10), [3, 4], row_dynamic=True),
    Row("_adaptive_avg_pool3d", T(1, 2, 5, 6, 7), [2, 3, 4], row_dynamic=True),
    Row("adaptive_max_pool1d", T(2, 3, 10), [4]),
    Row("adaptive_max_pool1d", T(3, 10), [5], name="unbatched even"),
    Row("adaptive_max_pool1d", T(2, 3, 10), [1], row_dynamic=True, name="global"),
    Row("adaptive_max_pool2d", T(2, 3, 7, 10), [3, 4]),
    Row("adaptive_max_pool2d", T(2, 3, 6, 10), [3, 5], name="even"),
    Row("adaptive_max_pool2d", T(3, 7, 5), [1, 1], row_dynamic=True, name="global"),
    Row("adaptive_max_pool2d", T(1, 2, 3, 4), [2, 3], row_values=[_TIES], name="ties"),
    Row("adaptive_max_pool3d", T(1, 2, 5, 6, 7), [2, 3, 4]),
    Row("adaptive_max_pool3d", T(2, 4, 6, 8), [2, 3, 4], name="unbatched even"),
]  # fmt: skip
