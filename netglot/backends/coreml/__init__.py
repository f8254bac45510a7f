"""Core ML: ML Programs (.mlpackage) through coremltools' MIL builder, without the frameworks that coremltools knows."""

from netglot.backends.coreml import (  # noqa: F401  (they register their operators)
    control,
    dense,
    detection,
    elementwise,
    indexing,
    normalization,
    quantization,
    reduction,
    resize,
    selection,
    shape,
    spatial,
)
from netglot.backends.coreml.context import CoreMLBuilder, coreml_op
from netglot.backends.coreml.writer import save

__all__ = ["CoreMLBuilder", "coreml_op", "save"]
