"""Rows of regions."""

from __future__ import annotations

import numpy as np

from tests.mxnet_ops.table import Row
from tests.ops.table import In

RNG = np.random.default_rng(5)
X = In((2, 3, 9, 11))


def regions(scale: float = 1.0) -> np.ndarray:
    near = RNG.uniform(-1, 6, (6, 2))
    rows = [RNG.integers(0, 2, (6, 1)), near * scale, (near + RNG.uniform(0.5, 6, (6, 2))) * scale]
    return np.concatenate(rows, axis=1).astype(np.float32)


ROIS = regions()


def pooled(op: str, name: str, data: In = X, rois: np.ndarray = ROIS, **attributes: object) -> Row:
    given = {"pooled_size": (3, 2), "spatial_scale": 0.8, **attributes}
    return Row(op, given, [data, In(rois.shape)], name, values={"data1": rois})


def proposal(op: str, name: str, batch: int = 1, **attributes: object) -> Row:
    given = {"scales": (2, 4), "ratios": (0.5, 1, 2), "rpn_post_nms_top_n": 9, "rpn_min_size": 9, "feature_stride": 8}
    info = np.array([[40, 56, 1.0], [33, 49, 1.5]], np.float32)[:batch]
    scores = (RNG.permutation(batch * 12 * 35) / 500).reshape(batch, 12, 5, 7).astype(np.float32)
    inputs = [In(scores.shape), In((batch, 24, 5, 7), low=-0.6, high=0.6), In((batch, 3))]
    outputs = (0, 1) if attributes.get("output_score") else (0,)
    return Row(op, {**given, **attributes}, inputs, name, outputs=outputs, values={"data0": scores, "data2": info})


ROWS = [
    pooled("ROIPooling", "plain"),
    pooled("_npx_roi_pooling", "plain"),
    pooled("_contrib_ROIAlign", "plain"),
    pooled("_contrib_ROIAlign", "samples", sample_ratio=2),
    pooled("_contrib_ROIAlign", "aligned", aligned=True, sample_ratio=3),
    pooled("_contrib_ROIAlign", "positions", In((2, 12, 9, 11)), position_sensitive=True),
    pooled("_contrib_ROIAlign", "square", pooled_size=(2, 2)),
    *(
        Row(
            "_contrib_PSROIPooling", {"spatial_scale": 0.8, "output_dim": 2, "pooled_size": 3, "group_size": group},
            [In((2, channels, 9, 11)), In(ROIS.shape)], f"{group}", values={"data1": ROIS},
        )
        for group, channels in ((0, 18), (3, 18), (2, 8))
    ),
    proposal("_contrib_Proposal", "plain"),
    proposal("_contrib_Proposal", "few", rpn_pre_nms_top_n=20, threshold=0.2, output_score=True),
    proposal("_contrib_Proposal", "overlap", iou_loss=True, output_score=True),
    proposal("_contrib_MultiProposal", "plain", batch=2, output_score=True),
    proposal("_contrib_MultiProposal", "repeated", batch=2, rpn_pre_nms_top_n=12, threshold=0.1, rpn_post_nms_top_n=20),
]  # fmt: skip
