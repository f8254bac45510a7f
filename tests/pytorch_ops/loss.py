"""Rows of netglot/frontends/pytorch/operators/loss.py."""

from __future__ import annotations

import numpy as np

from tests.pytorch_ops.table import Row, T

_rng = np.random.default_rng(0)


def _w(*shape: int) -> np.ndarray:
    return _rng.uniform(0.2, 1.5, shape).astype(np.float32)


def _each(op: str, *args: object, reductions: tuple[int, ...] = (0, 1, 2), **more: object) -> list[Row]:
    """With no reduction, the mean and the sum."""
    return [Row(op, *args, reduction=reduction, row_dynamic=True, **more) for reduction in reductions]


ALL = ("tflite", "coreml", "cpp")
A, B = T(2, 3, 4), T(2, 3, 4)
UNIT = T(2, 3, 4, low=0.01, high=0.99)
CLASSES = T(4, dtype="int64", low=0, high=2)
MAPS = T(2, 3, 5, 4)
MAP_CLASSES = T(2, 5, 4, dtype="int64", low=0, high=2)
SIGNS = T(2, 3, 4)
SIGNS_OF = np.sign(_rng.standard_normal((2, 3, 4))).astype(np.float32)
LOGS = -_w(4, 3)
SOME = np.array([0, -100, 2, 1])
PAIR = np.array([1, -1], np.int64)

ROWS = [
    *_each("mse_loss", A, B, row_targets=ALL),
    Row("mse_loss", A, T(4, dtype="float64"), name="promoted"),
    *_each("l1_loss", A, B, row_targets=ALL),
    *_each("smooth_l1_loss", A, B, beta=0.7, row_targets=ALL),
    Row("smooth_l1_loss", A, B, beta=0.0, name="beta is 0"),
    *_each("huber_loss", A, B, delta=0.7, row_targets=ALL),
    *_each("binary_cross_entropy", UNIT, UNIT, row_targets=ALL),
    Row("binary_cross_entropy", UNIT, UNIT, _w(3, 4), 0, name="weight"),
    Row("binary_cross_entropy", T(3), T(3), None, 0, name="certain",
        row_values=[np.array([0, 1, 1], np.float32), np.array([1, 1, 0], np.float32)]),
    *_each("binary_cross_entropy_with_logits", A, UNIT, row_targets=ALL),
    Row("binary_cross_entropy_with_logits", A, UNIT, _w(3, 1), _w(4), 0, name="weights"),
    Row("binary_cross_entropy_with_logits", T(3), T(3), None, None, 0, name="far",
        row_values=[np.array([90, -90, 60], np.float32), np.array([0, 1, 1], np.float32)]),
    *_each("kl_div", A, UNIT),
    *_each("kl_div", A, B, log_target=True),
    Row("kl_div", T(3), T(3), 0, row_values=[_w(3), np.array([0, 1, 0.5], np.float32)], name="0"),
    Row("poisson_nll_loss", A, UNIT, True, False, 1e-8, 1, row_dynamic=True),
    Row("poisson_nll_loss", T(2, 3, low=0, high=3), T(2, 3, low=0, high=3), False, True, 1e-4, 0, name="full"),
    *_each("nll_loss", T(4, 3), CLASSES),
    *_each("nll_loss", LOGS, T(4, dtype="int64"), _w(3), row_values=[SOME]),
    Row("nll_loss", T(3), T(dtype="int64", low=0, high=2), name="one sample"),
    *_each("nll_loss2d", MAPS, MAP_CLASSES, _w(3), ignore_index=1),
    *_each("nll_loss_nd", MAPS, MAP_CLASSES),
    Row("nll_loss_forward", T(4, 3), CLASSES, _w(3), 1, -100),
    Row("nll_loss_forward", T(4, 3), CLASSES, None, 0, -100, name="none"),
    Row("nll_loss_forward", T(4, 3), CLASSES, _w(3), 2, 1, name="ignored"),
    Row("nll_loss2d_forward", MAPS, MAP_CLASSES, _w(3), 1, -100, row_dynamic=True),
    *_each("cross_entropy_loss", T(4, 3), CLASSES),
    *_each("cross_entropy_loss", MAPS, MAP_CLASSES, _w(3), ignore_index=2),
    *[Row("cross_entropy_loss", MAPS, MAP_CLASSES, _w(3), r, 1, 0.1, name="smooth") for r in (0, 1, 2)],
    *[Row("cross_entropy_loss", T(4, 3), T(4, dtype="int64"), None, r, -100, 0.2, name="smooth, some",
          row_values=[LOGS, SOME]) for r in (0, 1, 2)],
    *[Row("cross_entropy_loss", MAPS, T(2, 3, 5, 4, low=0), _w(3), r, -100, 0.1, name="shares") for r in (0, 1, 2)],
    Row("cross_entropy_loss", T(3), T(3, low=0), name="one sample, shares"),
    Row("cross_entropy_loss", T(3), T(dtype="int64", low=0, high=2), name="one sample"),
    *_each("hinge_embedding_loss", A, SIGNS, margin=0.7, row_values=[_w(2, 3, 4) - 0.5, SIGNS_OF]),
    *_each("cosine_embedding_loss", T(2, 3), T(2, 3), PAIR, margin=-0.5),
    Row("cosine_embedding_loss", T(3), T(3), np.array(1), name="one sample"),
    *_each("margin_ranking_loss", A, B, SIGNS_OF, margin=0.3, row_targets=ALL),
    *_each("triplet_margin_loss", T(4, 3), T(4, 3), T(4, 3), margin=1.5),
    Row("triplet_margin_loss", T(4, 3), T(4, 3), T(4, 3), 1.0, 1.0, 1e-3, True, 0, name="swapped"),
    *_each("soft_margin_loss", A, SIGNS_OF, row_targets=ALL),
    *_each("multi_margin_loss", T(4, 3), CLASSES),
    Row("multi_margin_loss", T(4, 3), CLASSES, 2, 0.5, _w(3), 0, name="squares", row_dynamic=True),
    Row("multi_margin_loss", T(3), T(dtype="int64", low=0, high=2), name="one sample"),
]  # fmt: skip
