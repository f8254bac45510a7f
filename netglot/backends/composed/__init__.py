"""Operators that a target lacks, composed of those that it has; what several targets lack is composed once, here."""

from netglot.backends.composed import (  # noqa: F401  (they register their operators)
    dynamic,
    einsum,
    elementwise,
    fourier,
    indexing,
    integers,
    pooling,
    quantization,
    resize,
    sampling,
)
from netglot.backends.composed.driver import compose, composition

__all__ = ["compose", "composition"]
