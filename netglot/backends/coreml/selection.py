"""Operators that give as many elements as the data say."""

from __future__ import annotations

import numpy as np

from netglot.backends.coreml.context import CoreMLBuilder, Var, coreml_op, is_open
from netglot.backends.coreml.indexing import numeric
from netglot.backends.coreml.shape import reshaped
from netglot.backends.lowering import NotMappedError

BY_DATA = ("NonMaxSuppression", "NonZero", "Compress")


@coreml_op("NonZero", open_sizes=True)
def non_zero(m: CoreMLBuilder, x: Var) -> Var:
    """MIL gives a row for each element, ONNX wants a column."""
    if x.rank == 0:
        raise NotMappedError("NonZero of a scalar")
    return m.transpose(x=m.non_zero(x=x), perm=[1, 0])


@coreml_op("Compress", open_sizes=True)
def compress(m: CoreMLBuilder, x: Var, condition: Var, *, axis: int | None = None) -> Var:
    """What lies where the condition holds; without an axis, of all elements in their order."""
    indices = m.squeeze(x=m.non_zero(x=condition), axes=[1])
    source = x if axis is not None else reshaped(m, x, [-1 if is_open(x) else int(np.prod(x.shape))])
    return numeric(m, source, lambda x: m.gather(x=x, indices=indices, axis=axis or 0))
