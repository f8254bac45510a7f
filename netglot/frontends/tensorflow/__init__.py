"""TensorFlow: SavedModel, frozen GraphDef, MetaGraph with checkpoint; read without TensorFlow."""

from netglot.frontends.tensorflow import (  # noqa: F401  (they register their operators)
    control,
    copies,
    indexing,
    lists,
    loops,
    movement,
    ragged,
    segment,
    sets,
    shape,
    sources,
    sparse,
    strings,
    structure,
    tables,
    variables,
)
from netglot.frontends.tensorflow.builder import Handle, TFBuilder, tf_op
from netglot.frontends.tensorflow.reader import load

__all__ = ["Handle", "TFBuilder", "load", "tf_op"]
