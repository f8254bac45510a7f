"""Rows of layers: dense, convolution, pooling, normalisation, activations."""

from __future__ import annotations

from tests.mxnet_ops.table import P, Row
from tests.ops.table import In

ALL = ("tflite", "cpp", "coreml")
X = In((2, 3, 7, 9))
LAST = In((2, 7, 9, 3))
STATISTICS = [P((3,)), P((3,)), P((3,)), P((3,), low=0.1)]
PADDED: dict[str, object] = {"pad": (1, 1), "kernel": (3, 3), "stride": (2, 2)}


def pool(name: str, shape: tuple[int, ...] = (2, 3, 7, 10), **attributes: object) -> Row:
    return Row("Pooling", {"kernel": (3, 2), "stride": (2, 3), **attributes}, [In(shape)], name)


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
    *(pool(f"{kind} {how}", pool_type=kind, pooling_convention=how) for kind in ("max", "avg", "sum")
      for how in ("valid", "full")),
    *(pool(f"{kind} {how} padded", pool_type=kind, pooling_convention=how, **PADDED) for kind in ("max", "avg", "sum")
      for how in ("valid", "full")),
    *(pool(f"{how} not counted", pool_type="avg", pooling_convention=how, **PADDED, count_include_pad=False)
      for how in ("valid", "full")),
    *(Row("Pooling", {"global_pool": True, "kernel": (2, 2), "pool_type": kind}, [X], f"global {kind}", dynamic=True)
      for kind in ("max", "avg", "sum")),
    Row("Pooling", {"kernel": (2,), "pool_type": "avg"}, [In((2, 3, 9))], "1d without strides", targets=("tflite",)),
    Row("Pooling_v1", {"kernel": (3, 3), "stride": (2, 2), "pool_type": "max"}, [X]),
    *(Row("BatchNorm", {"fix_gamma": fixed, "eps": 1e-2}, [X, *STATISTICS], f"fixed {fixed}", dynamic=True, targets=ALL)
      for fixed in (True, False)),
    Row("BatchNorm", {"fix_gamma": False, "axis": -1}, [LAST, *STATISTICS], "last axis"),
    Row("BatchNorm_v1", {"fix_gamma": False}, [X, *STATISTICS]),
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
]  # fmt: skip
