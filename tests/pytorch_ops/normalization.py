"""Rows of netglot/frontends/pytorch/operators/normalization.py."""

from __future__ import annotations

import numpy as np

from tests.pytorch_ops.table import Row, T

_rng = np.random.default_rng(1)
_ALL = ("tflite", "coreml", "cpp")


def _w(*shape: int) -> np.ndarray:
    return _rng.standard_normal(shape).astype(np.float32)


def _var(*shape: int) -> np.ndarray:
    return np.abs(_w(*shape)) + np.float32(0.5)


ROWS = [
    Row("batch_norm", T(2, 3, 4, 5), _w(3), _w(3), _w(3), _var(3), False, 0.1, 1e-3, False, row_dynamic=True,
        row_targets=_ALL),
    Row("batch_norm", T(2, 3), None, None, _w(3), _var(3), False, 0.1, 1e-3, False, row_dynamic=True, name="plain"),
    Row("batch_norm", T(4, 3, 5), _w(3), None, _w(3), _var(3), False, 0.1, 1e-3, False, name="no bias"),
    Row("batch_norm", T(4, 3, 5, 6), _w(3), _w(3), None, None, True, 0.1, 1e-3, False, row_dynamic=True,
        name="of the batch"),
    Row("_native_batch_norm_legit_no_training", T(2, 3, 4, 5), _w(3), _w(3), _w(3), _var(3), 0.1, 1e-3,
        row_dynamic=True),
    Row("native_batch_norm", T(2, 3, 4, 5), _w(3), _w(3), _w(3), _var(3), False, 0.1, 1e-3, row_dynamic=True),
    Row("native_batch_norm", T(2, 3, 4, 5), _w(3), _w(3), None, None, True, 0.1, 1e-3, name="of the batch"),
    Row("_native_batch_norm_legit", T(2, 3, 4), None, _w(3), _w(3), _var(3), False, 0.1, 1e-3),
    Row("_native_batch_norm_legit.no_stats", T(4, 3, 5, 6), _w(3), _w(3), True, 0.1, 1e-3, row_dynamic=True),
    Row("_native_batch_norm_legit.no_stats", T(1, 6, 5, 7), None, None, True, 0.1, 1e-5, name="plain"),
    Row("_batch_norm_no_update", T(2, 3, 4, 5), _w(3), _w(3), _w(3), _var(3), 0.1, 1e-3),
    Row("instance_norm", T(2, 3, 4, 5), _w(3), _w(3), None, None, True, 0.1, 1e-3, False, row_dynamic=True,
        row_targets=_ALL),
    Row("instance_norm", T(2, 3, 7), None, None, None, None, True, 0.1, 1e-3, False, row_dynamic=True, name="plain"),
    Row("instance_norm", T(2, 3, 4, 5), _w(3), _w(3), _w(3), _var(3), False, 0.1, 1e-3, False, name="running"),
    Row("instance_norm", T(2, 3, 7, dtype="float64"), None, None, None, None, True, 0.1, 1e-3, False, name="float64"),
    Row("layer_norm", T(2, 3, 5), [5], _w(5), _w(5), 1e-3, row_dynamic=True, row_targets=_ALL),
    Row("layer_norm", T(2, 3, 4, 5), [4, 5], _w(4, 5), None, row_dynamic=True, name="two axes"),
    Row("layer_norm", T(2, 3, 5), [5], row_dynamic=True, name="plain"),
    Row("layer_norm", T(2, 3, 5), [3, 5], None, _w(3, 5), name="no weight"),
    Row("layer_norm", T(2, 3, 5, dtype="float64"), [5], name="float64"),
    Row("native_layer_norm", T(2, 3, 5), [5], _w(5), _w(5), 1e-3, row_dynamic=True),
    Row("native_layer_norm", T(2, 3, 4, 5), [4, 5], None, None, 1e-5, row_dynamic=True, name="two axes"),
    Row("group_norm", T(2, 6, 4, 5), 3, _w(6), _w(6), 1e-3, row_dynamic=True, row_targets=_ALL),
    Row("group_norm", T(2, 6, 7), 2, row_dynamic=True, name="plain"),
    Row("group_norm", T(2, 6, 7), 2, _w(6), name="no bias"),
    Row("group_norm", T(2, 6), 2, _w(6), _w(6), name="no space"),
    Row("group_norm", T(2, 6, 7, dtype="float64"), 2, name="float64"),
    Row("native_group_norm", T(2, 6, 4, 5), _w(6), _w(6), 2, 6, 20, 3, 1e-3, row_dynamic=True),
    Row("native_group_norm", T(2, 6, 7), None, None, 2, 6, 7, 2, 1e-5, name="plain"),
    Row("rms_norm", T(2, 3, 5), [5], _w(5), 1e-3, row_dynamic=True, row_targets=_ALL),
    Row("rms_norm", T(2, 3, 5, low=-1e-3, high=1e-3), [3, 5], row_dynamic=True, name="machine epsilon"),
    Row("rms_norm", T(2, 3, 5, dtype="float64", low=-1e-7, high=1e-7), [5], name="float64"),
    Row("_fused_rms_norm", T(2, 3, 5), [5], _w(5), 1e-3, row_dynamic=True),
    Row("_fused_rms_norm", T(2, 3, 5, low=-1e-3, high=1e-3), [3, 5], None, None, name="machine epsilon"),
    Row("_weight_norm", T(4, 3, 5), T(4, 1, 1), row_dynamic=True),
    Row("_weight_norm", _w(4, 3, 5), _w(1, 1, 5), 2, name="constant"),
    Row("_weight_norm", T(4, 3, 5), np.array(1.5, np.float32), -1, name="of the whole"),
    Row("_weight_norm_interface", T(4, 3, 5), T(4, 1, 1), row_dynamic=True),
    Row("_weight_norm_interface", T(4, 3, 5), T(1, 1, 5), 2, name="last axis"),
    Row("renorm", T(4, 3, 5), 2, 0, 2.5, row_dynamic=True),
    Row("renorm", T(4, 3, 5), 1, -1, 9, name="first norm"),
    Row("renorm", T(4, 3, 5), 3.5, 1, 2, name="other norm"),
    Row("renorm", T(4, 3, 5), float("inf"), 1, 1.9, name="largest"),
]  # fmt: skip
