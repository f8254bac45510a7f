"""Rows of images made larger or smaller."""

from __future__ import annotations

from tests.mxnet_ops.table import P, Row
from tests.ops.table import In

ALL = ("tflite", "cpp", "coreml")
X = In((2, 3, 5, 8))


def resize(name: str, shape: In = X, **attributes: object) -> Row:
    return Row("_contrib_BilinearResize2D", attributes, [shape], name, targets=ALL)


ROWS = [
    Row("UpSampling", {"scale": 3, "sample_type": "nearest", "num_args": 1}, [X], dynamic=True, targets=ALL),
    *(
        Row(
            "UpSampling",
            {"scale": 2, "sample_type": "nearest", "num_args": 2, "multi_input_mode": mode},
            [In((2, 3, 6, 8)), In((2, 3, 3, 4))],
            mode,
            targets=ALL,
        )
        for mode in ("concat", "sum")
    ),
    *(
        Row(
            "UpSampling",
            {"scale": scale, "sample_type": "bilinear", "num_filter": 3, "num_args": 1},
            [X, P((3, 1, size, size))],
            f"bilinear {scale}",
            dynamic=True,
            targets=ALL,
        )
        for scale, size in ((2, 4), (3, 5))
    ),
    *(resize(f"size {align}", height=9, width=13, align_corners=align) for align in (True, False)),
    *(resize(f"smaller {align}", height=3, width=5, align_corners=align) for align in (True, False)),
    *(resize(f"one pixel {align}", height=1, width=1, align_corners=align) for align in (True, False)),
    resize("same", height=5, width=8),
    resize("scale", scale_height=1.7, scale_width=2.3),
    *(
        resize(f"{mode} {height}x{width}", In((2, 3, height, width)), mode=mode)
        for mode in ("to_even_down", "to_even_up", "to_odd_down", "to_odd_up")
        for height, width in ((5, 8), (6, 9))
    ),
    *(
        resize(f"odd_scale {scale}", In((2, 3, 5, 8)), mode="odd_scale", scale_height=scale, scale_width=scale)
        for scale in (2.0, 0.5)
    ),
    Row("_contrib_BilinearResize2D", {"mode": "like"}, [X, In((2, 4, 7, 11))], "like"),
]
