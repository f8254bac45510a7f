"""MXNet: symbol.json with .params, from 0.8 to 2.0 (the operators named in docs/)."""

from netglot.frontends.mxnet import (  # noqa: F401  (they register their operators)
    activation,
    attention,
    control,
    convolution,
    creation,
    dense,
    detection,
    elementwise,
    indexing,
    linalg,
    normalization,
    numpy_ops,
    output,
    pooling,
    quantize,
    random,
    recurrent,
    reduction,
    regions,
    resize,
    shape,
    sorting,
    spatial,
)
from netglot.frontends.mxnet.builder import MXNetBuilder, mxnet_op
from netglot.frontends.mxnet.reader import load

__all__ = ["MXNetBuilder", "load", "mxnet_op"]
