"""Operators that compute nothing: constants, placeholders, identities, function calls."""

from __future__ import annotations

from typing import Any

import numpy as np

from netglot.errors import ConversionError
from netglot.frontends.tensorflow.builder import Edge, TFBuilder, tf_op
from netglot.frontends.tensorflow.messages import FunctionName
from netglot.ir.graph import Value
from netglot.ir.types import Shape, text


@tf_op("Const", "HostConst")
def const(g: TFBuilder, *, value: np.ndarray) -> Value:
    return g.constant(value, name=g.origin.layer)


@tf_op("Placeholder", "PlaceholderV2")
def placeholder(g: TFBuilder, *, dtype: Any = None, shape: Shape | None = None) -> Value:
    """One that is an input is never run; so this one was not named as one (or it is the name of the checkpoint)."""
    if g.reader.variables.tracing:
        return g.constant(np.array("", object))
    raise ConversionError(
        f"the outputs depend on the placeholder '{g.origin.layer}', which is no input",
        g.origin,
        f"Name it too: --input {g.origin.layer}:SHAPE",
    )


@tf_op("PlaceholderWithDefault", handles=True)
def placeholder_with_default(g: TFBuilder, x: Edge, *, shape: Shape | None = None) -> Edge:
    return x


@tf_op(
    "Identity", "StopGradient", "PreventGradient", "Snapshot", "CheckNumerics", "CheckNumericsV2", "_EagerConst",
    "RefIdentity", handles=True,
)  # fmt: skip
def identity(g: TFBuilder, x: Edge, *, message: str = "") -> Edge:
    return x


@tf_op("IdentityN", handles=True)
def identity_n(g: TFBuilder, *xs: Edge) -> tuple[Edge, ...]:
    return xs


def _agree(one: Shape, other: Shape) -> bool:
    pairs = zip(one, other, strict=False)
    return len(one) == len(other) and all(a == b for a, b in pairs if isinstance(a, int) and isinstance(b, int))


@tf_op("EnsureShape")
def ensure_shape(g: TFBuilder, x: Value, *, shape: Shape | None) -> Value:
    """Only says what the shape is; ConversionError where it is another."""
    if shape is not None and x.shape is not None and not _agree(x.shape, shape):
        raise ConversionError(f"the shape is {text(x.shape)}, not {text(shape)} as is said here", g.origin)
    if shape is not None and not x.is_constant and (x.shape is None or len(x.shape) == len(shape)):
        known = x.shape or (None,) * len(shape)
        x.shape = tuple(wanted if isinstance(wanted, int) else dim for dim, wanted in zip(known, shape, strict=True))
    return x


@tf_op("NoOp", "Assert", "Print", "PrintV2")
def nothing(
    g: TFBuilder, *xs: Value, message: str = "", first_n: int = 0, summarize: int = 0, output_stream: str = "",
    end: str = "",
) -> Any:  # fmt: skip
    """What is printed or asserted on the way is no part of the result."""
    return xs[0] if g.op_name == "Print" else ()


@tf_op("PartitionedCall", "StatefulPartitionedCall", handles=True)
def call(g: TFBuilder, *inputs: Edge, f: FunctionName) -> tuple[Edge, ...]:
    found: tuple[Edge, ...] = g.reader.call(f, inputs)
    return found


@tf_op("RemoteCall", handles=True)
def remote_call(g: TFBuilder, device: Edge, *inputs: Edge, f: FunctionName) -> tuple[Edge, ...]:
    return call(g, *inputs, f=f)
