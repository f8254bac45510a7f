"""Rows of tensors that depend on nothing, or on a shape alone."""

from __future__ import annotations

from tests.mxnet_ops.table import Row
from tests.ops.table import In

X = In((2, 3, 5))

ROWS = [
    *(Row(op, {"shape": (3, 5)}, []) for op in ("_zeros", "_npi_zeros", "_ones", "_npi_ones")),
    Row("_zeros_without_dtype", {"shape": (3, 5), "dtype": 0}, []),
    Row("_ones", {"shape": (3,), "dtype": "int32", "ctx": "cpu(0)"}, [], "whole"),
    *(Row(op, {"shape": (3, 5), "value": 2.5, "dtype": "float64"}, []) for op in ("_full", "_npi_full")),
    *(Row(op, {}, [X], dynamic=True) for op in ("zeros_like", "_sparse_zeros_like", "ones_like")),
    Row("_npi_full_like", {"fill_value": 2.7}, [In((2, 3), "int32")], np_shape=True),
    Row("_npi_full_like", {"fill_value": 2.7, "dtype": "float64"}, [X], "double", np_shape=True, dynamic=True),
    *(
        Row(op, {"start": 1, "stop": 7.5, "step": 1.5, **({"repeat": 2} if op == "_arange" else {})}, [])
        for op in ("_arange", "_npi_arange")
    ),
    Row("_arange", {"start": 5, "stop": None, "dtype": "int32"}, [], "to 5"),
    Row("_arange", {"start": 5, "stop": 0, "step": -2}, [], "down"),
    *(Row(op, {"start": 1, "stop": 4, "num": 7}, []) for op in ("_linspace", "_npi_linspace")),
    Row("_linspace", {"start": 1, "stop": 4, "num": 7, "endpoint": False}, [], "open"),
    Row("_npi_logspace", {"start": 0, "stop": 2, "num": 5, "base": 3.0}, []),
    *(Row(op, {"N": 3, "M": 5, "k": 1}, []) for op in ("_eye", "_npi_eye")),
    Row("_eye", {"N": 3, "k": -1, "dtype": "int32"}, [], "square"),
    Row("_npi_identity", {"shape": (3, 3)}, []),
    Row("_npi_indices", {"dimensions": (2, 3, 4)}, []),
    *(Row(op, {"M": 7}, []) for op in ("_npi_hanning", "_npi_hamming", "_npi_blackman")),
    Row("_npi_blackman", {"M": 1}, [], "one"),
    *(
        Row(op, {"start": 2, "step": 0.5, "axis": 1}, [X], dynamic=True)
        for op in ("_contrib_arange_like", "_npx_arange_like")
    ),
    Row("_contrib_arange_like", {"axis": 0, "repeat": 2}, [In((5, 3))], "batch", dynamic=True),
    Row("_contrib_arange_like", {"repeat": 2, "start": 3}, [X], "all", dynamic=True),
]
