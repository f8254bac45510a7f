"""Core ML: .mlpackage (ML Programs) and .mlmodel (neural networks)."""

from netglot.frontends.coreml import (  # noqa: F401  (they register their operators)
    mil_elementwise,
    mil_reduction,
    mil_resize,
    mil_shape,
    mil_spatial,
    mil_weights,
    nn_dense,
    nn_elementwise,
    nn_shape,
    nn_spatial,
)
from netglot.frontends.coreml.builder import CoreMLBuilder, mil_op, nn_layer
from netglot.frontends.coreml.reader import load

__all__ = ["CoreMLBuilder", "load", "mil_op", "nn_layer"]
