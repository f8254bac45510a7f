"""Operators that a target lacks, composed of those that it has; what several targets lack is composed once, here."""

from netglot.backends.composed import (  # noqa: F401  (they register their operators)
    elementwise,
    fourier,
    indexing,
    pooling,
    quantization,
    resize,
    sampling,
)
from netglot.backends.composed.driver import compose, composition, is_composed

__all__ = ["compose", "composition", "is_composed"]
