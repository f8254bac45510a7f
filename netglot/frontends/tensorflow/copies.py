"""Operators that hand on what they get: copies, and what a debugger put in."""

from __future__ import annotations

from typing import Any

import numpy as np

from netglot.frontends.tensorflow.builder import TFBuilder, tf_op
from netglot.ir.graph import Value


@tf_op("GuaranteeConst", "DeepCopy", "DebugGradientIdentity")
def copy(g: TFBuilder, x: Value) -> Value:
    return x


@tf_op("Copy", "CopyHost")
def debug_copy(g: TFBuilder, x: Value, *, tensor_name: str = "", debug_ops_spec: Any = ()) -> Value:
    return x


@tf_op("DebugIdentity", "DebugIdentityV2", "DebugIdentityV3")
def debug_identity(
    g: TFBuilder, x: Value, *, device_name: str = "", tensor_name: str = "", debug_urls: Any = (),
    gated_grpc: bool = False, io_of_node: str = "", is_input: bool = False, io_index: int = -1,
    tfdbg_context_id: str = "", op_name: str = "", output_slot: int = -1, tensor_debug_mode: int = -1,
    circular_buffer_size: int = 1000, tfdbg_run_id: str = "",
) -> Value:  # fmt: skip
    """What it writes for a debugger is no part of the result."""
    return x


@tf_op("ToBool")
def to_bool(g: TFBuilder, x: Value) -> Value:
    """A scalar is true if it is not 0, another tensor if it has elements."""
    if x.rank == 0:
        return g.cast(x, np.bool_)
    return g.Greater(g.Size(x), np.int64(0))
