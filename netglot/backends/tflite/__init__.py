"""TFLite (LiteRT): FlatBuffers written directly, channels-last, with fused activations."""

from netglot.backends.tflite import (  # noqa: F401  (they register their operators)
    activations,
    bits,
    control,
    convolution,
    dense,
    detection,
    elementwise,
    movement,
    normalization,
    pooling,
    quantization,
    reduction,
    resize,
    scatter,
    selection,
    transposed,
)
from netglot.backends.tflite.context import TFLiteBuilder, tflite_op
from netglot.backends.tflite.writer import save

__all__ = ["TFLiteBuilder", "save", "tflite_op"]
