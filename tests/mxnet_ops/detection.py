"""Rows of detection: boxes that overlap, with scores that all differ unless the row is about those that do not."""

from __future__ import annotations

import numpy as np

from tests.mxnet_ops.table import Row
from tests.ops.table import In

ALL = ("tflite", "cpp", "coreml")
RNG = np.random.default_rng(4)
IMAGES, CLASSES, COUNT = 2, 4, 13


def boxes(*shape: int, scale: float = 1.0) -> np.ndarray:
    """Corners of boxes, of which many overlap."""
    centres, halves = RNG.uniform(0.25, 0.75, (*shape, 2)), RNG.uniform(0.1, 0.35, (*shape, 2))
    return (np.concatenate([centres - halves, centres + halves], axis=-1) * scale).astype(np.float32)


def centred(corners: np.ndarray) -> np.ndarray:
    near, far = corners[..., :2], corners[..., 2:]
    return np.concatenate([(near + far) / 2, far - near], axis=-1)


PROBABILITIES = RNG.dirichlet(np.full(CLASSES, 0.4), (IMAGES, COUNT)).transpose(0, 2, 1).astype(np.float32)
OFFSETS = RNG.normal(0, 1, (IMAGES, COUNT * 4)).astype(np.float32)
ANCHORS = boxes(1, COUNT)


def detection(
    name: str, probabilities: np.ndarray = PROBABILITIES, targets: tuple[str, ...] = (), **attributes: object
) -> Row:
    inputs = [In(probabilities.shape), In(OFFSETS.shape), ANCHORS]
    values = {"data0": probabilities, "data1": OFFSETS}
    return Row("_contrib_MultiBoxDetection", attributes, inputs, name, values=values, targets=targets)


def prior(name: str, **attributes: object) -> Row:
    return Row("_contrib_MultiBoxPrior", attributes, [In((2, 3, 5, 7))], name)


SCORES = RNG.permutation(2 * COUNT).reshape(2, COUNT, 1) / 30
LABELS = RNG.integers(-1, 3, (2, COUNT, 1))
CORNERS = boxes(2, COUNT)
TABLE = np.concatenate([LABELS, SCORES, CORNERS], axis=2).astype(np.float32)
CENTRED = np.concatenate([LABELS, SCORES, centred(CORNERS)], axis=2).astype(np.float32)


def nms(
    name: str, table: np.ndarray = TABLE, targets: tuple[str, ...] = (), op: str = "box_nms", **attributes: object
) -> Row:
    given = {"overlap_thresh": 0.4, **attributes}
    return Row(f"_contrib_{op}", given, [In(table.shape)], name, values={"data0": table}, targets=targets)


ROWS = [
    prior("plain"),
    Row("_npx_multibox_prior", {"sizes": (0.3, 0.6)}, [In((2, 3, 5, 7))], np_shape=True),
    Row(
        "_npx_multibox_detection", {"nms_threshold": 0.3}, [In(PROBABILITIES.shape), In(OFFSETS.shape), ANCHORS],
        values={"data0": PROBABILITIES, "data1": OFFSETS}, np_shape=True,
    ),
    prior("all", sizes=(0.3, 0.6), ratios=(2.0, 1.0, 0.5), clip=True),
    prior("steps", sizes=(0.3,), ratios=(1.0, 3.0), steps=(0.2, 0.1), offsets=(0.3, 0.6)),
    detection("plain", targets=ALL),
    detection("strict", nms_threshold=0.2, threshold=0.4),
    detection("forced", nms_threshold=0.3, force_suppress=True, targets=ALL),
    detection("top", nms_topk=5, nms_threshold=0.3),
    detection("not clipped", clip=False, variances=(0.2, 0.3, 0.1, 0.4), background_id=2),
    detection("no suppression", nms_threshold=0.0, threshold=0.5),
    detection("nothing", threshold=2.0),
    detection("equal scores", np.round(PROBABILITIES, 1), nms_threshold=0.3),
    nms("plain", targets=ALL),
    nms("scores", valid_thresh=0.4, topk=4),
    nms("classes", id_index=0, targets=("tflite", "cpp", "coreml")),
    nms("classes, top", id_index=0, topk=5, background_id=1),
    nms("forced", id_index=0, force_suppress=True, valid_thresh=0.1),
    nms("centred", CENTRED, in_format="center", out_format="center"),
    nms("to corners", CENTRED, in_format="center", id_index=0),
    nms("to centres", out_format="center"),
    nms("one image", TABLE[0]),
    nms("more axes", np.stack([TABLE, TABLE[::-1]])),
    nms("other columns", TABLE[..., [2, 3, 4, 5, 1, 0]], coord_start=0, score_index=4, id_index=5),
    nms("none", topk=0),
    nms("alias", op="box_non_maximum_suppression"),
    *(
        Row(
            "_contrib_box_iou", {"format": format}, [In((3, 4)), In((2, 5, 4))], format,
            values={"data0": given(boxes(3)), "data1": given(boxes(2, 5))}, targets=ALL,
        )
        for format, given in (("corner", np.asarray), ("center", centred))
    ),
    *(
        Row(
            "_contrib_box_decode", {"std0": 0.1, "std1": 0.2, "std2": 0.3, "std3": 0.4, "clip": clip, "format": format},
            [In((2, COUNT, 4)), ANCHORS], f"{format} {clip}", dynamic=True, targets=ALL,
        )
        for format in ("corner", "center") for clip in (-1.0, 0.3)
    ),
    Row(
        "_contrib_box_encode", {}, [In((2, 5)), In((2, 5)), In((2, 5, 4)), In((2, 3, 4)), In((4,)), In((4,), low=0.1)],
        outputs=(0, 1),
        values={
            "data0": np.array([[1, 0, -1, 1, 1], [0, 1, 1, 1, -1]], np.float32),
            "data1": np.array([[0, 2, 1, 1, 0], [2, 2, 0, 1, 0]], np.float32),
            "data2": boxes(2, 5), "data3": boxes(2, 3),
        },
    ),
]  # fmt: skip
