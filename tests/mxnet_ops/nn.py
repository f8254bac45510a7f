"""Rows of layers: dense, convolution, pooling, normalisation, activations."""

from __future__ import annotations

import numpy as np

from tests.mxnet_ops.table import P, Row
from tests.ops.table import In

ALL = ("tflite", "cpp", "coreml")
X = In((2, 3, 7, 9))
LAST = In((2, 7, 9, 3))
STATISTICS = [P((3,)), P((3,)), P((3,)), P((3,), low=0.1)]
REGRESSIONS = (
    "LogisticRegressionOutput", "_sparse_LogisticRegressionOutput", "LinearRegressionOutput", "MAERegressionOutput",
    "_sparse_LinearRegressionOutput", "_sparse_MAERegressionOutput",
)  # fmt: skip
PADDED: dict[str, object] = {"pad": (1, 1), "kernel": (3, 3), "stride": (2, 2)}


def pool(name: str, shape: tuple[int, ...] = (2, 3, 7, 10), **attributes: object) -> Row:
    return Row("Pooling", {"kernel": (3, 2), "stride": (2, 3), **attributes}, [In(shape)], name)


def pool_v1(name: str, kind: str, how: str, **attributes: object) -> Row:
    given = {"kernel": (3, 2), "stride": (2, 3), "pool_type": kind, "pooling_convention": how}
    return Row("Pooling_v1", {**given, **attributes}, [In((2, 3, 7, 10))], name)


def deconvolution(
    name: str, *, filters: int = 4, bias: bool = False, size: tuple[int, ...] = (5, 6), targets: tuple[str, ...] = (),
    **attributes: object,
) -> Row:  # fmt: skip
    kernel = attributes.setdefault("kernel", (3, 2))
    groups = attributes.get("num_group", 1)
    weight = P((6, filters // groups, *kernel))
    given = {"num_filter": filters, "no_bias": not bias, **attributes}
    return Row("Deconvolution", given, [In((2, 6, *size)), weight, *([P((filters,))] if bias else [])], name,
               targets=targets)  # fmt: skip


ROWS = [
    Row("FullyConnected", {"num_hidden": 5}, [X, P((5, 189)), P((5,))], targets=ALL),
    Row("FullyConnected", {"num_hidden": 5, "no_bias": True}, [In((4, 7)), P((5, 7))], "no bias", dynamic=True),
    Row("FullyConnected", {"num_hidden": 5, "flatten": False}, [In((4, 3, 7)), P((5, 7)), P((5,))], "last axis"),
    Row("FullyConnected", {"num_hidden": 5}, [X, P((5, 189)), P((5,))], "batch", dynamic=True),
    *(
        Row(op, {"kernel": (3, 2), "num_filter": 4, "stride": (2, 1), "pad": (1, 0)}, [X, P((4, 3, 3, 2)), P((4,))])
        for op in ("Convolution", "Convolution_v1")
    ),
    Row(
        "Convolution",
        {"kernel": (3, 3), "num_filter": 6, "num_group": 3, "dilate": (2, 1), "no_bias": True, "workspace": 99},
        [X, P((6, 1, 3, 3))],
        "groups",
        targets=ALL,
    ),
    Row("Convolution", {"kernel": (3,), "num_filter": 4, "pad": (1,)}, [In((2, 3, 9)), P((4, 3, 3)), P((4,))], "1d"),
    Row(
        "Convolution",
        {"kernel": (2, 3, 2), "num_filter": 4},
        [In((2, 3, 4, 5, 6)), P((4, 3, 2, 3, 2)), P((4,))],
        "3d",
        dynamic=True,
    ),
    deconvolution("plain", targets=ALL),
    deconvolution("biased", bias=True, stride=(2, 3)),
    deconvolution("adjusted", stride=(2, 3), pad=(1, 0), adj=(1, 2), targets=ALL),
    deconvolution("groups", num_group=2, stride=(2, 2), dilate=(1, 2), targets=ALL),
    deconvolution("target", stride=(2, 3), target_shape=(9, 16), pad=(1, 1), targets=ALL),
    deconvolution("target even", stride=(2, 3), target_shape=(10, 15), pad=(1, 1)),
    deconvolution("1d", size=(7,), kernel=(4,), stride=(3,), pad=(2,)),
    deconvolution("3d", size=(3, 4, 5), kernel=(2, 3, 2), stride=(1, 2, 2)),
    *(pool(f"{kind} {how}", pool_type=kind, pooling_convention=how) for kind in ("max", "avg", "sum")
      for how in ("valid", "full")),
    *(pool(f"{kind} {how} padded", pool_type=kind, pooling_convention=how, **PADDED) for kind in ("max", "avg", "sum")
      for how in ("valid", "full")),
    *(pool(f"{how} not counted", pool_type="avg", pooling_convention=how, **PADDED, count_include_pad=False)
      for how in ("valid", "full")),
    *(Row("Pooling", {"global_pool": True, "kernel": (2, 2), "pool_type": kind}, [X], f"global {kind}", dynamic=True)
      for kind in ("max", "avg", "sum")),
    Row("Pooling", {"kernel": (2,), "pool_type": "avg"}, [In((2, 3, 9))], "1d without strides", targets=("tflite",)),
    *(pool(f"lp {p} {how}", pool_type="lp", p_value=p, pooling_convention=how) for p in (1, 2, 3)
      for how in ("valid", "full")),
    *(Row("Pooling", {"global_pool": True, "pool_type": "lp", "p_value": p}, [X], f"global lp {p}") for p in (1, 2)),
    *(Row("Pooling", {"kernel": (2, 3), "pool_type": kind, "layout": "NHWC", "stride": (1, 2)}, [LAST], f"last {kind}",
          targets=ALL) for kind in ("max", "avg")),
    *(Row("Pooling", {"kernel": (3,), "pool_type": kind, "layout": "NWC"}, [In((2, 9, 3))], f"last {kind} 1d")
      for kind in ("max", "avg")),
    *(Row("Pooling", {"kernel": (2, 3, 2), "stride": (2, 1, 2), "pad": (1, 1, 0), "pool_type": kind,
                      "pooling_convention": "full"}, [In((2, 3, 4, 5, 6))], f"3d {kind}") for kind in ("max", "avg")),
    *(pool_v1(f"{kind} {how}", kind, how) for kind in ("max", "avg", "sum") for how in ("valid", "full")),
    *(pool_v1(f"{kind} {how} padded", kind, how, **PADDED) for kind in ("max", "avg", "sum")
      for how in ("valid", "full")),
    *(Row("Pooling_v1", {"global_pool": True, "kernel": (2, 2), "pool_type": kind}, [X], f"global {kind}")
      for kind in ("max", "avg", "sum")),
    Row("_contrib_AdaptiveAvgPooling2D", {}, [X], dynamic=True),
    Row("_contrib_AdaptiveAvgPooling2D", {"output_size": (1, 3)}, [X], "even windows", targets=ALL),
    Row("_contrib_AdaptiveAvgPooling2D", {"output_size": (4, 5)}, [X], "uneven windows", targets=ALL, dynamic=True),
    Row("_contrib_AdaptiveAvgPooling2D", {"output_size": 3}, [X], "square"),
    *(Row("BatchNorm", {"fix_gamma": fixed, "eps": 1e-2}, [X, *STATISTICS], f"fixed {fixed}", dynamic=True, targets=ALL)
      for fixed in (True, False)),
    Row("BatchNorm", {"fix_gamma": False, "axis": -1}, [LAST, *STATISTICS], "last axis"),
    *(Row(op, {"fix_gamma": False, "axis": axis}, [shape, *STATISTICS], f"statistics {axis}", outputs=(0, 1, 2))
      for op, axis, shape in (("BatchNorm", 1, X), ("BatchNorm", 3, LAST), ("_contrib_BatchNormWithReLU", 1, X))),
    Row("BatchNorm_v1", {"fix_gamma": False}, [X, *STATISTICS]),
    Row("_contrib_BatchNormWithReLU", {"eps": 1e-2}, [X, *STATISTICS]),
    Row("_contrib_SyncBatchNorm", {"fix_gamma": False, "key": "bn", "ndev": 2}, [X, *STATISTICS]),
    Row("InstanceNorm", {"eps": 1e-2}, [X, P((3,)), P((3,))], targets=ALL, dynamic=True),
    Row("LayerNorm", {}, [X, P((9,)), P((9,))], targets=ALL, dynamic=True),
    Row("LayerNorm", {"axis": 1, "eps": 1e-2}, [X, P((3,)), P((3,))], "channels"),
    Row("LayerNorm", {"axis": -2, "output_mean_var": True}, [X, P((7,)), P((7,))], "statistics", outputs=(0, 1, 2)),
    Row("GroupNorm", {}, [X, P((1,)), P((1,))]),
    Row("GroupNorm", {"num_groups": 3, "eps": 1e-2, "output_mean_var": True}, [In((2, 6, 5, 4)), P((3,)), P((3,))],
        "groups", outputs=(0, 1, 2), targets=ALL),
    *(Row("L2Normalization", {"mode": mode, "eps": 1e-2}, [X], mode, dynamic=True, targets=ALL)
      for mode in ("instance", "channel", "spatial")),
    Row("LRN", {"nsize": 3}, [X], targets=ALL),
    Row("LRN", {"nsize": 5, "alpha": 0.3, "beta": 0.6, "knorm": 1.5}, [In((2, 7, 4, 5))], "all"),
    Row("Dropout", {"p": 0.3}, [X], dynamic=True),
    *(Row("Activation", {"act_type": kind}, [X], kind, targets=ALL)
      for kind in ("relu", "sigmoid", "tanh", "softrelu", "softsign")),
    *(Row("LeakyReLU", {"act_type": kind, "slope": 0.3}, [X], kind) for kind in ("elu", "gelu", "leaky", "selu")),
    Row("LeakyReLU", {"act_type": "rrelu", "lower_bound": 0.1, "upper_bound": 0.5}, [X], "rrelu"),
    Row("LeakyReLU", {"act_type": "prelu"}, [X, P((3,))], "prelu", targets=ALL),
    Row("LeakyReLU", {"act_type": "prelu"}, [X, P((1,))], "one slope"),
    Row("LeakyReLU", {"act_type": "prelu"}, [In((4, 5)), P((5,))], "prelu of rows"),
    *(Row(op, {}, [In((4, 5)), "label"], dynamic=True) for op in ("SoftmaxOutput", "Softmax")),
    Row("SoftmaxOutput", {"multi_output": True, "grad_scale": 0.5, "use_ignore": True}, [X, "label"], "channels"),
    Row("SoftmaxOutput", {"preserve_shape": True}, [X, "label"], "last axis"),
    Row("SoftmaxOutput", {}, [In((2, 3, 4)), "label"], "flat"),
    *(Row("SoftmaxActivation", {"mode": mode}, [X], mode, dynamic=True) for mode in ("channel", "instance")),
    Row("softmax", {}, [X], targets=ALL),
    Row("softmax", {"axis": 1, "temperature": 2.5}, [X], "temperature"),
    Row("softmax", {"dtype": "float64"}, [In((3, 5))], "double"),
    *(Row("softmax", {"use_length": True, "axis": axis}, [X, In(shape, "int32")], f"lengths {axis}",
          values={"data1": np.arange(np.prod(shape), dtype=np.int32).reshape(shape) % X.shape[axis] + 1})
      for axis, shape in ((-1, (2, 3, 7)), (1, (2, 7, 9)))),
    *(Row(op, {"axis": 1, "temperature": 0.7}, [X], dynamic=True, targets=ALL) for op in ("log_softmax", "softmin")),
    *(Row(op, {"dtype": "float64"}, [In((3, 5))], "double") for op in ("log_softmax", "softmin")),
    *(Row(op, {"grad_scale": 0.5}, [In((4, 5)), "label"], dynamic=True) for op in REGRESSIONS),
    Row("SVMOutput", {"margin": 0.5, "use_linear": True}, [In((4, 5)), "label"]),
    Row("_sparse_FullyConnected", {"num_hidden": 5}, [In((4, 7)), P((5, 7)), P((5,))]),
    Row("im2col", {"kernel": (3, 2), "stride": (2, 1), "dilate": (1, 2), "pad": (1, 0)}, [X], targets=ALL),
    Row("col2im", {"output_size": (7, 9), "kernel": (3, 2), "stride": (2, 2), "pad": (1, 1)}, [In((2, 18, 20))]),
    Row("_contrib_DeformableConvolution", {"kernel": (3, 2), "num_filter": 4, "pad": (1, 0), "no_bias": True},
        [X, In((2, 12, 7, 8), low=-1, high=1), P((4, 3, 3, 2))]),
    Row("_contrib_DeformableConvolution",
        {"kernel": (2, 2), "num_filter": 4, "num_group": 2, "num_deformable_group": 2, "stride": (2, 1)},
        [In((2, 4, 7, 9)), In((2, 16, 3, 8)), P((4, 2, 2, 2)), P((4,))], "groups"),
    Row("_contrib_ModulatedDeformableConvolution", {"kernel": (3, 2), "num_filter": 4, "pad": (1, 0)},
        [X, In((2, 12, 7, 8)), In((2, 6, 7, 8), low=0), P((4, 3, 3, 2)), P((4,))]),
]  # fmt: skip
