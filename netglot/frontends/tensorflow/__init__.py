"""TensorFlow: SavedModel, frozen GraphDef, MetaGraph with checkpoint; read without TensorFlow."""

from netglot.frontends.tensorflow import (  # noqa: F401  (they register their operators)
    activation,
    comparison,
    control,
    convolution,
    copies,
    einsum,
    elementwise,
    fused,
    image,
    indexing,
    linalg,
    lists,
    loops,
    movement,
    normalization,
    pooling,
    quantize,
    ragged,
    random,
    ranking,
    recurrent,
    reduction,
    segment,
    sets,
    shape,
    sources,
    sparse,
    spatial,
    spectral,
    strings,
    structure,
    suppression,
    tables,
    variables,
)
from netglot.frontends.tensorflow.builder import Handle, TFBuilder, tf_op
from netglot.frontends.tensorflow.reader import load

__all__ = ["Handle", "TFBuilder", "load", "tf_op"]
