"""C++: a folder that any C++17 compiler turns into the network, without dependencies and without allocation."""

from netglot.backends.cpp import (  # noqa: F401  (they register their operators)
    control,
    convolution,
    dense,
    detection,
    elementwise,
    indexing,
    lines,
    pooling,
    quantized,
    recurrent,
    reduction,
    resize,
    shape,
    spatial,
)
from netglot.backends.cpp.context import CppBuilder, cpp_op
from netglot.backends.cpp.writer import save

__all__ = ["CppBuilder", "cpp_op", "save"]
