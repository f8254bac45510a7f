"""Rows of the operators of mxnet.numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tests.mxnet_ops.table import P, Row
from tests.ops.table import In

X = In((2, 3, 5))
Y = In((2, 3, 5), low=0.3)
WHOLE = In((3, 7), "int32", 1, 9)
ODD = np.array([[np.nan, np.inf, -np.inf], [1.5, -0.0, 2.5]], np.float32)


def row(op: str, attributes: dict[str, Any], inputs: Sequence[In], name: str = "", **more: Any) -> Row:
    return Row(op, attributes, inputs, name, np_shape=True, **more)


ROWS = [
    *(row(f"_npi_{op}", {}, [Y, In((3, 1), low=0.3)])
      for op in ("add", "subtract", "multiply", "true_divide", "mod", "power", "hypot")),
    *(row(f"_npi_{op}", {}, [WHOLE, WHOLE], "whole") for op in ("add", "subtract", "multiply", "true_divide", "mod")),
    *(row(f"_npi_{op}", {}, [WHOLE, In((3, 7))], "mixed") for op in ("add", "subtract", "multiply", "true_divide")),
    *(row(f"_npi_{op}", {}, [WHOLE, In((3, 7), "int64")], "widths") for op in ("add", "multiply")),
    *(row(f"_npi_{op}", {}, [In((3, 7), "float64"), In((3, 7))], "reals") for op in ("add", "multiply")),
    *(row(f"_npi_{op}_scalar", {"scalar": 1.7, "is_int": False}, [Y], dynamic=True)
      for op in ("add", "subtract", "rsubtract", "multiply", "true_divide", "rtrue_divide", "mod", "rmod", "power",
                 "rpower")),
    *(row(f"_npi_{op}_scalar", {"scalar": 2.5, "is_int": False}, [WHOLE], "promoted")
      for op in ("add", "rsubtract", "multiply", "true_divide", "rtrue_divide", "mod")),
    *(row(f"_npi_{op}_scalar", {"scalar": 3}, [WHOLE], "whole")
      for op in ("add", "subtract", "multiply", "true_divide", "mod", "power")),
    *(row(f"_npi_{op}", {}, [In((3, 7), "int32"), In((3, 7), "int32")])
      for op in ("equal", "not_equal", "greater", "greater_equal", "less", "less_equal")),
    *(row(f"_npi_{op}_scalar", {"scalar": 0.3, "is_int": False}, [X])
      for op in ("equal", "not_equal", "greater", "greater_equal", "less", "less_equal")),
    *(row(f"_npi_{op}", {}, [In((2, 3))], values={"data0": ODD})
      for op in ("logical_not", "isnan", "isinf", "isposinf", "isneginf", "isfinite", "around")),
    *(row("_npi_around", {"decimals": n}, [In((3, 7), low=-99, high=99)], f"{n}") for n in (1, -1)),
    row("_npi_where", {}, [In((3, 5), "int32", 0, 1), X, In((3, 1))]),
    *(row(op, {"axis": (0, -1)}, [X])
      for op in ("_np_sum", "_np_prod", "_np_product", "_np_max", "_np_amax", "_np_min", "_np_amin", "_npi_mean")),
    *(row(op, {}, [X], "all", dynamic=True)
      for op in ("_np_sum", "_np_prod", "_np_max", "_np_min", "_npi_mean", "_npi_var", "_npi_std")),
    *(row(op, {"axis": 1, "keepdims": True}, [X], "kept") for op in ("_np_sum", "_np_max", "_npi_mean", "_npi_std")),
    *(row(op, {"axis": 1, "dtype": "float64"}, [X], "double") for op in ("_np_sum", "_npi_mean")),
    *(row(op, {"axis": 1}, [WHOLE], "whole") for op in ("_np_sum", "_np_max", "_npi_mean")),
    *(row(op, {"axis": (1, 2), "ddof": 1}, [X]) for op in ("_npi_var", "_npi_std")),
    *(row(op, {"axis": 1}, [In((3, 7), "int32", -1, 2)]) for op in ("_np_all", "_np_any", "_np_sometrue")),
    *(row(op, {}, [In((3, 7), "int32", -1, 2)], "all") for op in ("_np_all", "_np_any")),
    *(row(op, {"axis": 1}, [X]) for op in ("_npi_argmax", "_npi_argmin")),
    *(row(op, {"axis": 1, "keepdims": True}, [X], "kept") for op in ("_npi_argmax", "_npi_argmin")),
    *(row(op, {}, [X], "all") for op in ("_npi_argmax", "_npi_argmin")),
    row("_np_reshape", {"newshape": (3, -1)}, [X], dynamic=False),
    row("_np_squeeze", {}, [In((1, 3, 1))]),
    row("_np_squeeze", {}, [In((1, 1))], "all"),
    row("_np_squeeze", {"axis": (-1,)}, [In((1, 3, 1))], "axis"),
    row("_np_transpose", {}, [X]),
    row("_np_transpose", {"axes": (1, 2, 0)}, [X], "axes"),
    row("_np_moveaxis", {"source": (0, 1), "destination": (-1, 0)}, [In((2, 3, 5, 4))]),
    row("_np_roll", {"shift": 4}, [X]),
    row("_np_roll", {"shift": (1, -2), "axis": (1, 2)}, [X], "axes"),
    row("_npi_flip", {"axis": (0, 2)}, [X]),
    row("_npi_concatenate", {"num_args": 2, "axis": 1}, [X, In((2, 4, 5))]),
    row("_npi_concatenate", {"num_args": 2, "axis": None}, [X, In((2, 4))], "flat"),
    *(row(f"_npi_{op}", {"num_args": 2}, [X, X]) for op in ("hstack", "vstack", "column_stack")),
    *(row(f"_npi_{op}", {"num_args": 2}, [In((5,)), In((5,))], "vectors")
      for op in ("hstack", "vstack", "column_stack")),
    row("_npi_hsplit", {"indices": (0, 1)}, [X], outputs=(0, 1)),
    row("_npi_broadcast_to", {"shape": (4, 2, 3, 5)}, [In((2, 1, 5))]),
    *(row("_npi_tril", {"k": k}, [In((2, 4, 5))], f"{k}") for k in (0, 1, -2)),
    row("_np_diag", {"k": 1}, [In((3, 5))]),
    row("_np_diag", {"k": -1}, [In((4,))], "vector"),
    row("_np_diagonal", {"offset": 1, "axis1": 2, "axis2": 0}, [In((3, 4, 5))]),
    row("_np_trace", {}, [In((3, 4))]),
    row("_np_trace", {"offset": -1, "axis1": 1, "axis2": 2}, [In((3, 4, 5))], "axes"),
    row("_np_dot", {}, [In((3, 4)), In((4, 5))]),
    row("_np_dot", {}, [In((4,)), In((4,))], "vectors"),
    row("_np_dot", {}, [In((2, 3, 4)), In((5, 4, 6))], "tensors"),
    row("_npi_matmul", {}, [In((2, 1, 3, 4)), In((5, 4, 6))]),
    row("_npi_einsum", {"num_args": 2, "subscripts": "bij,bkj->bik"}, [In((2, 3, 4)), In((2, 5, 4))]),
    row("_npi_tensordot", {"a_axes_summed": (1, 2), "b_axes_summed": (2, 0)}, [In((2, 3, 4)), In((4, 5, 3))]),
    row("_npi_nan_to_num", {}, [In((2, 3))], values={"data0": ODD}),
    *(row(op, {"newshape": (-5, -6, 2, -1, -4)}, [In((2, 3, 4, 5))]) for op in ("_npx_reshape", "_npi_reshape")),
    row("_npx_reshape", {"newshape": (-2, -1), "reverse": True}, [In((2, 3, 4))], "reversed"),
    row("_npx_activation", {"act_type": "tanh"}, [X]),
    row("_npx_batch_norm", {"fix_gamma": False}, [X, P((3,)), P((3,)), P((3,)), P((3,), low=0.1)]),
    row("_npx_convolution", {"kernel": (3,), "num_filter": 4}, [X, P((4, 3, 3)), P((4,))]),
    row("_npx_deconvolution", {"kernel": (3,), "num_filter": 4}, [X, P((3, 4, 3))]),
    row("_npx_dropout", {"p": 0.4}, [X]),
    row("_npx_fully_connected", {"num_hidden": 4}, [X, P((4, 15)), P((4,))]),
    row("_npx_layer_norm", {}, [X, P((5,)), P((5,))]),
    row("_npx_leaky_relu", {"slope": 0.3}, [X]),
    row("_npx_log_softmax", {"axis": 1}, [X]),
    row("_npx_softmax", {"axis": 1}, [X]),
    row("_npx_pooling", {"kernel": (2,)}, [X]),
    row("_npx_rnn", {"state_size": 4, "num_layers": 1, "mode": "rnn_tanh"}, [X, P((44,)), In((1, 3, 4))]),
    row("_npi_arctan2", {}, [In((20, 30)), In((20, 30))]),
    *(row(f"_npi_bitwise_{op}", {}, [In((3, 7), "int32", -99, 99), In((3, 7), "int32", -99, 99)])
      for op in ("and", "or", "xor")),
    row("_npi_bitwise_not", {}, [In((3, 7), "int32", -99, 99)]),
    row("_npi_polyval", {}, [In((4,)), X]),
    row("_npi_diff", {"n": 2, "axis": 1}, [X]),
    *(row(op, {"scalar": 1.5}, [In((3, 5), "int32", 0, 1), In((3, 5))])
      for op in ("_npi_where_lscalar", "_npi_where_rscalar")),
    *(row(op, {"num_args": 2}, [In((5,)), In((2, 3, 4))], outputs=(0, 1))
      for op in ("_np_atleast_1d", "_np_atleast_2d")),
    row("_npi_tensordot_int_axes", {"axes": 2}, [In((2, 3, 4)), In((3, 4, 5))]),
]  # fmt: skip
