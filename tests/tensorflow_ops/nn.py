"""Rows of convolution, pooling, normalisation, and what else networks for images are made of."""

from __future__ import annotations

import numpy as np

from tests.ops.table import In, const
from tests.tensorflow_ops.table import Row

X = In((2, 9, 11, 4))
VOLUME = In((1, 5, 6, 7, 3))
ONE, TFLITE = [1, 1, 1, 1], ("tflite",)


def size(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def conv(name: str, filter: tuple[int, ...] = (3, 5, 4, 6), **arguments: object) -> Row:
    dynamic = bool(arguments.pop("dynamic", False))
    given = {"input": X, "filter": const(filter), "strides": ONE, "padding": "VALID", **arguments}
    return Row("Conv2D", given, name, dynamic=dynamic, targets=() if dynamic else TFLITE)


def depthwise(name: str, **arguments: object) -> Row:
    given = {"input": X, "filter": const((3, 5, 4, 2)), "strides": ONE, "padding": "VALID", **arguments}
    return Row("DepthwiseConv2dNative", given, name, targets=TFLITE)


def transposed(name: str, out: tuple[int, ...], k: int, stride: int, padding: str, **more: object) -> Row:
    arguments = {"input_sizes": size(2, *out, 5), "filter": const((k, k, 5, 4)), "out_backprop": In((2, 5, 7, 4)),
                 "strides": [1, stride, stride, 1], "padding": padding, **more}  # fmt: skip
    return Row("Conv2DBackpropInput", arguments, name)


def pool(op: str, name: str, k: int, s: int, padding: str, x: In = X, **more: object) -> Row:
    key = "value" if op.startswith("Avg") else "input"
    arguments = {key: x, "ksize": [1, k, k + 1, 1], "strides": [1, s, s, 1], "padding": padding, **more}
    return Row(op, arguments, name, targets=TFLITE)


def batch_norm(op: str, training: bool, name: str, **more: object) -> Row:
    moments = np.zeros(0, np.float32) if training else const((4,), 0.1, 2, 4)
    given = {"x": X, "scale": const((4,), 0.5, 2, 1), "offset": const((4,), seed=2),
             "mean": np.zeros(0, np.float32) if training else const((4,), seed=3), "variance": moments,
             "is_training": training, **more}  # fmt: skip
    return Row(op, given, name, outputs=(0, 1, 2) if training else (0,))


ROWS = [
    conv("valid"),
    conv("same", padding="SAME"),
    conv("same_strides", padding="SAME", strides=[1, 2, 3, 1]),
    conv("explicit", padding="EXPLICIT", explicit_paddings=[0, 0, 2, 1, 0, 3, 0, 0]),
    conv("dilated", padding="SAME", dilations=[1, 2, 3, 1], filter=(3, 3, 4, 6)),
    conv("groups", filter=(3, 3, 2, 6), padding="SAME"),
    conv("dynamic", padding="SAME", strides=[1, 2, 2, 1], dynamic=True),
    Row("Conv3D", {"input": VOLUME, "filter": const((2, 3, 3, 3, 4)), "strides": [1, 1, 1, 1, 1], "padding": "VALID"}),
    Row(
        "Conv3D",
        {"input": VOLUME, "filter": const((2, 3, 3, 3, 4)), "strides": [1, 2, 1, 2, 1], "padding": "SAME"},
        "same",
    ),
    depthwise("valid"),
    depthwise("same", padding="SAME", strides=[1, 2, 2, 1]),
    depthwise("dilated", padding="SAME", dilations=[1, 2, 2, 1], filter=const((3, 3, 4, 1))),
    transposed("same", (10, 14), 3, 2, "SAME"),
    transposed("same_odd", (9, 13), 3, 2, "SAME"),
    transposed("valid", (11, 15), 3, 2, "VALID"),
    transposed("valid_more", (12, 16), 3, 2, "VALID"),
    transposed("gaps", (15, 21), 2, 3, "SAME"),
    transposed("unit", (5, 7), 4, 1, "SAME"),
    transposed("explicit", (9, 13), 3, 2, "EXPLICIT", explicit_paddings=[0, 0, 1, 1, 1, 1, 0, 0]),
    Row(
        "Conv2DBackpropInput",
        {
            "input_sizes": In((4,), "int32"),
            "filter": const((3, 3, 5, 4)),
            "out_backprop": In((2, 5, 7, 4)),
            "strides": [1, 2, 2, 1],
            "padding": "SAME",
        },
        "computed",
        values={"input_sizes": size(2, 9, 14, 5)},
    ),
    Row(
        "Conv2DBackpropInput",
        {
            "input_sizes": In((4,), "int32"),
            "filter": const((2, 2, 5, 4)),
            "out_backprop": In((2, 5, 7, 4)),
            "strides": [1, 3, 3, 1],
            "padding": "VALID",
        },
        "computed_valid",
        values={"input_sizes": size(2, 15, 22, 5)},
    ),
    Row(
        "Conv3DBackpropInputV2",
        {
            "input_sizes": size(1, 6, 9, 8, 5),
            "filter": const((3, 3, 3, 5, 4)),
            "out_backprop": In((1, 3, 5, 4, 4)),
            "strides": [1, 2, 2, 2, 1],
            "padding": "SAME",
        },
    ),
    Row(
        "DepthwiseConv2dNativeBackpropInput",
        {
            "input_sizes": size(2, 10, 13, 3),
            "filter": const((3, 3, 3, 2)),
            "out_backprop": In((2, 5, 7, 6)),
            "strides": [1, 2, 2, 1],
            "padding": "SAME",
        },
    ),
    Row(
        "Dilation2D", {"input": X, "filter": const((2, 3, 4)), "strides": [1, 2, 1, 1], "rates": ONE, "padding": "SAME"}
    ),
    Row(
        "Dilation2D",
        {"input": X, "filter": const((3, 3, 4)), "strides": ONE, "rates": [1, 2, 2, 1], "padding": "VALID"},
        "rates",
    ),
    # pooling
    *(pool(op, p.lower(), 3, 2, p) for op in ("MaxPool", "AvgPool") for p in ("SAME", "VALID")),
    *(pool(op, "unit", 2, 1, "SAME") for op in ("MaxPool", "AvgPool")),
    pool("MaxPool", "explicit", 3, 2, "EXPLICIT", explicit_paddings=[0, 0, 1, 2, 0, 1, 0, 0]),
    Row("MaxPoolV2", {"input": X, "ksize": size(1, 3, 2, 1), "strides": size(1, 2, 2, 1), "padding": "SAME"}),
    *(
        Row(op, {"input": VOLUME, "ksize": [1, 2, 3, 2, 1], "strides": [1, 2, 2, 1, 1], "padding": p}, p.lower())
        for op in ("MaxPool3D", "AvgPool3D")
        for p in ("SAME", "VALID")
    ),
    *(
        Row(
            "MaxPoolWithArgmax",
            {
                "input": X,
                "ksize": [1, 3, 2, 1],
                "strides": [1, 2, 2, 1],
                "padding": p,
                "include_batch_in_index": batch,
                "Targmax": kind,
            },
            f"{p}-{batch}".lower(),
        )
        for p, batch, kind in (("SAME", True, np.int32), ("VALID", False, np.int64))
    ),
    # normalisation
    *(batch_norm(op, False, "trained") for op in ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")),
    batch_norm("FusedBatchNormV3", True, "batch"),
    batch_norm("FusedBatchNorm", True, "batch"),
    batch_norm("FusedBatchNormV3", False, "epsilon", epsilon=0.01),
    Row("LRN", {"input": In((2, 3, 5, 9)), "depth_radius": 2, "bias": 1.5, "alpha": 0.7, "beta": 0.6}),
    Row("LRN", {"input": In((2, 3, 5, 7))}, "defaults"),
    *(Row(op, {"logits": In((3, 7))}) for op in ("Softmax", "LogSoftmax")),
    Row("SoftmaxCrossEntropyWithLogits", {"features": In((3, 7)), "labels": In((3, 7), low=0, high=1)}),
    Row("SparseSoftmaxCrossEntropyWithLogits", {"features": In((3, 7)), "labels": In((3,), "int32", 0, 6)}),
    # ranking
    Row("TopKV2", {"input": In((3, 11)), "k": np.int32(4)}),
    Row("TopKV2", {"input": In((3, 11), "int32", 0, 4), "k": np.int32(5)}, "ties"),
    Row("TopKV2", {"input": In((11,)), "k": In((), "int32", 3, 3)}, "computed"),
    Row("InTopK", {"predictions": In((6, 9)), "targets": In((6,), "int32", 0, 8), "k": 3}),
    Row("InTopKV2", {"predictions": In((6, 9)), "targets": In((6,), "int64", -1, 10), "k": np.int64(4)}),
    Row(
        "InTopKV2",
        {"predictions": In((2, 3)), "targets": In((2,), "int32", 0, 0), "k": np.int32(2)},
        "infinite",
        values={"predictions": np.array([[1, np.inf, 0], [1, 1, 1]], np.float32)},
    ),
    *(
        Row(
            "CTCGreedyDecoder",
            {
                "inputs": In((9, 3, 4)),
                "sequence_length": In((3,), "int32"),
                "merge_repeated": merge,
                "blank_index": blank,
            },
            f"{merge}{blank}",
            values={"sequence_length": size(9, 4, 7)},
        )
        for merge, blank in ((False, -1), (True, 0))
    ),
    # spatial
    *(
        Row(op, {"input": In(shape), "block_size": 2, "data_format": layout}, layout, targets=TFLITE)
        for op, shape, layout in (("DepthToSpace", (2, 3, 5, 12), "NHWC"), ("SpaceToDepth", (2, 4, 6, 3), "NHWC"))
    ),
    Row(
        "SpaceToBatchND",
        {"input": In((2, 5, 6, 3)), "block_shape": size(2, 3), "paddings": size(1, 0, 2, 1).reshape(2, 2)},
    ),
    Row(
        "SpaceToBatchND", {"input": In((2, 6, 3)), "block_shape": size(2), "paddings": size(0, 0).reshape(1, 2)}, "line"
    ),
    Row("SpaceToBatch", {"input": In((2, 5, 6, 3)), "block_size": 2, "paddings": size(1, 0, 1, 1).reshape(2, 2)}),
    Row(
        "BatchToSpaceND",
        {"input": In((12, 3, 4, 3)), "block_shape": size(2, 3), "crops": size(1, 0, 2, 1).reshape(2, 2)},
    ),
    Row("BatchToSpaceND", {"input": In((6, 4, 3)), "block_shape": size(3), "crops": size(0, 1).reshape(1, 2)}, "line"),
    Row("BatchToSpace", {"input": In((8, 3, 4, 3)), "block_size": 2, "crops": size(0, 1, 1, 0).reshape(2, 2)}),
    *(
        Row(
            "ExtractImagePatches",
            {
                "images": In((2, 9, 11, 3)),
                "ksizes": [1, 2, 3, 1],
                "strides": strides,
                "rates": rates,
                "padding": padding,
            },
            name,
        )
        for name, strides, rates, padding in (
            ("tiles", [1, 2, 3, 1], ONE, "VALID"),
            ("same", [1, 2, 2, 1], ONE, "SAME"),
            ("rates", ONE, [1, 2, 2, 1], "VALID"),
        )
    ),
    *(
        Row(
            "ExtractVolumePatches",
            {"input": VOLUME, "ksizes": [1, 2, 3, 2, 1], "strides": [1, 2, 1, 2, 1], "padding": padding},
            padding,
        )
        for padding in ("SAME", "VALID")
    ),
    # cells
    Row(
        "GRUBlockCell",
        {
            "x": In((2, 3)),
            "h_prev": In((2, 4)),
            "w_ru": const((7, 8)),
            "w_c": const((7, 4)),
            "b_ru": const((8,)),
            "b_c": const((4,)),
        },
    ),
    *(
        Row(
            "LSTMBlockCell",
            {
                "x": In((2, 3)),
                "cs_prev": In((2, 4)),
                "h_prev": In((2, 4)),
                "w": const((7, 16)),
                "wci": const((4,), seed=1),
                "wcf": const((4,), seed=2),
                "wco": const((4,), seed=3),
                "b": const((16,)),
                **more,
            },
            name,
        )
        for name, more in (("plain", {}), ("peephole", {"use_peephole": True, "cell_clip": 0.5, "forget_bias": 0.3}))
    ),
    *(
        Row(
            op,
            {
                "seq_len_max": np.int64(steps),
                "x": In((5, 2, 3)),
                "cs_prev": In((2, 4)),
                "h_prev": In((2, 4)),
                "w": const((7, 16)),
                "wci": const((4,), seed=1),
                "wcf": const((4,), seed=2),
                "wco": const((4,), seed=3),
                "b": const((16,)),
                **more,
            },
            name,
            outputs=(1, 6) if steps == 5 else (6,),
        )
        for op in ("BlockLSTM", "BlockLSTMV2")
        for name, steps, more in (("plain", 5, {}), ("peephole", 3, {"use_peephole": True, "cell_clip": 0.5}))
    ),
]
