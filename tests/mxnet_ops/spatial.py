"""Rows of sampling at computed places."""

from __future__ import annotations

from tests.mxnet_ops.table import Row
from tests.ops.table import In

X = In((2, 3, 7, 9))


def correlation(name: str, **attributes: object) -> Row:
    return Row("Correlation", attributes, [X, X], name, targets=("tflite", "cpp", "coreml"))


ROWS = [
    Row("GridGenerator", {"transform_type": "affine", "target_shape": (4, 5)}, [In((2, 6))], dynamic=True),
    Row("GridGenerator", {"transform_type": "warp"}, [In((2, 2, 4, 5))], "warp"),
    Row("BilinearSampler", {}, [X, In((2, 2, 4, 5), low=-1.3, high=1.3)], dynamic=True),
    Row(
        "SpatialTransformer",
        {"target_shape": (4, 5), "transform_type": "affine", "sampler_type": "bilinear"},
        [X, In((2, 6))],
    ),
    correlation("plain"),
    correlation("kernel", kernel_size=3, max_displacement=2, pad_size=3),
    correlation("strides", kernel_size=3, max_displacement=2, stride1=2, stride2=2, pad_size=4),
    correlation("differences", kernel_size=1, max_displacement=1, stride1=2, pad_size=1, is_multiply=False),
]
