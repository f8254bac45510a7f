"""Convolution, pooling, resizing."""

from tests.ops.table import IMAGE, In, Row, const

W = const((4, 6, 3, 3))
POSITIVE = const((3,), 0.5, 2)

ROWS = [
    Row("Conv", (IMAGE, W, const((4,)))),
    Row("Conv", (IMAGE, W), name="no-bias"),
    Row("Conv", (IMAGE, W, const((4,))), {"pads": (1, 1, 1, 1), "strides": (2, 2)}, name="stride"),
    Row("Conv", (IMAGE, W, const((4,))), {"pads": (0, 1, 2, 3), "strides": (2, 1)}, name="uneven-pads"),
    Row("Conv", (IMAGE, W, const((4,))), {"dilations": (2, 3), "pads": (2, 3, 2, 3)}, name="dilated"),
    Row("Conv", (IMAGE, const((4, 3, 3, 3)), const((4,))), {"group": 2}, name="grouped"),
    Row("Conv", (IMAGE, const((6, 1, 3, 3)), const((6,))), {"group": 6, "pads": (1, 1, 1, 1)}, name="depthwise"),
    Row("Conv", (IMAGE, const((12, 1, 3, 3)), const((12,))), {"group": 6}, name="depthwise-multiplier"),
    Row("Conv", (IMAGE, const((4, 6, 3, 2))), {"auto_pad": "SAME_UPPER", "strides": (2, 2)}, name="same-upper"),
    Row("Conv", (IMAGE, const((4, 6, 3, 2))), {"auto_pad": "SAME_LOWER", "strides": (2, 2)}, name="same-lower"),
    Row("Conv", (In((2, 6, 11)), const((4, 6, 3)), const((4,))), {"pads": (1, 1), "strides": (2,)}, name="1d"),
    Row("Conv", (In((2, 3, 5, 6, 7)), const((4, 3, 2, 3, 3)), const((4,))), {"pads": (1, 0, 1, 1, 0, 1)}, name="3d"),
    Row("ConvTranspose", (IMAGE, const((6, 4, 3, 3)), const((4,)))),
    Row("ConvTranspose", (IMAGE, const((6, 4, 4, 4))), {"strides": (2, 2), "pads": (1, 1, 1, 1)}, name="stride"),
    Row(
        "ConvTranspose",
        (IMAGE, const((6, 4, 3, 3))),
        {"strides": (2, 2), "pads": (1, 0, 0, 1), "output_padding": (1, 1)},
        name="output-padding",
    ),
    Row(
        "ConvTranspose",
        (IMAGE, const((6, 1, 4, 4))),
        {"strides": (2, 2), "pads": (1, 1, 1, 1), "group": 6},
        name="depthwise",
    ),
    Row("ConvTranspose", (IMAGE, const((6, 2, 3, 3))), {"group": 2}, name="grouped"),
    Row("ConvTranspose", (IMAGE, const((6, 4, 3, 3))), {"dilations": (2, 2)}, name="dilated"),
    Row("MaxPool", (IMAGE,), {"kernel_shape": (3, 2), "strides": (2, 2)}),
    Row("MaxPool", (IMAGE,), {"kernel_shape": (3, 3), "strides": (2, 2), "pads": (1, 1, 1, 1)}, name="pads"),
    Row("MaxPool", (IMAGE,), {"kernel_shape": (3, 3), "strides": (2, 2), "pads": (0, 0, 1, 1)}, name="end-pads"),
    Row("MaxPool", (IMAGE,), {"kernel_shape": (2, 2), "strides": (2, 2), "ceil_mode": 1}, name="ceil"),
    Row("MaxPool", (IMAGE,), {"kernel_shape": (3, 3), "auto_pad": "SAME_UPPER", "strides": (2, 2)}, name="same-upper"),
    Row("AveragePool", (IMAGE,), {"kernel_shape": (3, 2), "strides": (2, 2)}),
    Row("AveragePool", (IMAGE,), {"kernel_shape": (3, 3), "strides": (2, 2), "pads": (1, 1, 1, 1)}, name="pads"),
    Row(
        "AveragePool",
        (IMAGE,),
        {"kernel_shape": (3, 3), "pads": (1, 1, 1, 1), "count_include_pad": 1},
        name="count-pads",
    ),
    Row("AveragePool", (IMAGE,), {"kernel_shape": (3, 3), "strides": (2, 2), "pads": (0, 0, 1, 1)}, name="end-pads"),
    Row("AveragePool", (IMAGE,), {"kernel_shape": (2, 2), "strides": (2, 2), "ceil_mode": 1}, name="ceil"),
    Row(
        "AveragePool",
        (IMAGE,),
        {"kernel_shape": (2, 3), "strides": (2, 4), "ceil_mode": 1, "count_include_pad": 1},
        name="ceil-counted",
    ),
    Row("GlobalAveragePool", (IMAGE,)),
    Row("GlobalMaxPool", (IMAGE,)),
    Row("LRN", (IMAGE,), {"size": 5, "alpha": 0.5, "beta": 0.75, "bias": 2.0}),
    Row("DepthToSpace", (In((2, 8, 3, 5)),), {"blocksize": 2, "mode": "DCR"}, name="dcr"),
    Row("DepthToSpace", (In((2, 8, 3, 5)),), {"blocksize": 2, "mode": "CRD"}, name="crd"),
    Row("SpaceToDepth", (In((2, 3, 4, 6)),), {"blocksize": 2}),
    Row(
        "BatchNormalization",
        (IMAGE, const((6,), 0.5, 2), const((6,)), const((6,)), const((6,), 0.5, 2)),
        {"epsilon": 1e-3},
    ),
    Row("InstanceNormalization", (IMAGE, const((6,)), const((6,))), {"epsilon": 1e-3}),
    # modes that Caffe's layers produce
    Row("ConvTranspose", (In((2, 3, 5)), const((3, 2, 4)), const((2,))), {"strides": (3,), "pads": (1, 1)}, name="1d"),
    Row("ConvTranspose", (In((2, 2, 2, 3, 2)), const((2, 2, 2, 2, 2)), const((2,))), {"strides": (2, 2, 2)}, name="3d"),
    *(
        Row("BatchNormalization", (In(shape), POSITIVE, const((3,)), const((3,)), POSITIVE), name=f"{len(shape)}d")
        for shape in ((2, 3), (2, 3, 5), (2, 3, 2, 4, 5))
    ),
]
