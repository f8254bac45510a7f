"""Keras: .keras archives, .h5 of every era, .json with weights, models in memory."""

from netglot.frontends.keras import (  # noqa: F401  (they register their layers)
    activations,
    attention,
    convolution,
    core,
    functions,
    local,
    merge,
    normalization,
    ops,
    ops_nn,
    ops_reduction,
    ops_shape,
    padding,
    pooling,
    preprocessing,
    recurrent,
    wrappers,
)
from netglot.frontends.keras.builder import KerasBuilder, keras_layer, keras_op, tf_function
from netglot.frontends.keras.reader import load

__all__ = ["KerasBuilder", "keras_layer", "keras_op", "load", "tf_function"]
