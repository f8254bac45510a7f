"""Layers at the end of a network that is trained: at inference they are an activation, or nothing."""

from __future__ import annotations

from netglot.errors import UnsupportedError
from netglot.frontends.mxnet.builder import MXNetBuilder, mxnet_op
from netglot.ir.graph import Value


@mxnet_op("SoftmaxOutput", "Softmax", labels=("label",))
def softmax_output(
    g: MXNetBuilder, data: Value, label: Value | None = None, *, grad_scale: float = 1.0, ignore_label: float = -1.0,
    multi_output: bool = False, use_ignore: bool = False, preserve_shape: bool = False, normalization: str = "null",
    out_grad: bool = False, smooth_alpha: float = 0.0,
) -> Value:  # fmt: skip
    """softmax_output-inl.h; all but multi_output and preserve_shape is about the gradient."""
    if multi_output or preserve_shape:
        return g.Softmax(data, axis=1 if multi_output else -1)
    return _softmax_of_rows(g, data)


def _softmax_of_rows(g: MXNetBuilder, data: Value) -> Value:
    """Over all axes but the first together."""
    if data.rank <= 2:
        return g.Softmax(data, axis=-1)
    rows = g.Softmax(g.Flatten(data, axis=1), axis=1)
    return g.reshaped(rows, data.shape or (), dynamic=g.Shape(data))


@mxnet_op("LogisticRegressionOutput", "_sparse_LogisticRegressionOutput", labels=("label",))
def logistic_regression_output(
    g: MXNetBuilder, data: Value, label: Value | None = None, *, grad_scale: float = 1.0
) -> Value:
    return g.Sigmoid(data)


@mxnet_op(
    "LinearRegressionOutput", "MAERegressionOutput", "_sparse_LinearRegressionOutput", "_sparse_MAERegressionOutput",
    labels=("label",),
)  # fmt: skip
def regression_output(g: MXNetBuilder, data: Value, label: Value | None = None, *, grad_scale: float = 1.0) -> Value:
    return g.Identity(data)


@mxnet_op("SVMOutput", labels=("label",))
def svm_output(
    g: MXNetBuilder, data: Value, label: Value | None = None, *, margin: float = 1.0,
    regularization_coefficient: float = 1.0, use_linear: bool = False,
) -> Value:  # fmt: skip
    return g.Identity(data)


@mxnet_op("Dropout", outputs=("output", "mask"))
def dropout(
    g: MXNetBuilder, data: Value, *, p: float = 0.5, mode: str = "training", axes: tuple[int, ...] = ()
) -> Value:
    if mode == "always":
        raise g.unsupported("mode=always drops at random at inference too, which no two runs do alike")
    return g.Identity(data)


@mxnet_op("CTCLoss", "ctc_loss", "_contrib_CTCLoss", "_contrib_ctc_loss")
def ctc_loss(
    g: MXNetBuilder, data: Value, label: Value, *lengths: Value, use_data_lengths: bool = False,
    use_label_lengths: bool = False, blank_label: str = "first",
) -> Value:  # fmt: skip
    raise _of_training(g)


@mxnet_op("_contrib_MultiBoxTarget", "_npx_multibox_target")
def multi_box_target(
    g: MXNetBuilder, anchor: Value, label: Value, cls_pred: Value, *, overlap_threshold: float = 0.5,
    ignore_label: float = -1.0, negative_mining_ratio: float = -1.0, negative_mining_thresh: float = 0.5,
    minimum_negative_samples: int = 0, variances: tuple[float, ...] = (0.1, 0.1, 0.2, 0.2),
) -> Value:  # fmt: skip
    raise _of_training(g)


def _of_training(g: MXNetBuilder) -> UnsupportedError:
    return g.unsupported("it is there for the training", "Name the outputs that you want with --output.")


@mxnet_op("Custom")
def custom(g: MXNetBuilder, *data: Value, op_type: str = "") -> Value:
    what = f"'{op_type}' is an operator written in Python, which is not in the file"
    raise g.unsupported(what, "Map it in a file of your own: --plugin FILE.py")
