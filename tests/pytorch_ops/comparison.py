"""Rows of netglot/frontends/pytorch/operators/comparison.py."""

from __future__ import annotations

import ml_dtypes
import numpy as np

from tests.ops.table import In
from tests.pytorch_ops.table import Row, T

EDGES = np.array([0.0, -0.0, 1.0, np.inf, -np.inf, np.nan, 1e30, -1e-30], np.float32)
PAIRS = [np.repeat(EDGES, 8), np.tile(EDGES, 8)]
INTEGERS = ("uint8", "int8", "int16", "int32", "int64")
_COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
_LONG = ("less", "less_equal", "greater", "greater_equal", "not_equal")
_KINDS = ("isnan", "isinf", "isfinite", "isposinf", "isneginf", "isreal")
_LOGIC = ("logical_and", "logical_or", "logical_xor")
_BITS = ("and", "or", "xor")
_SHIFTS = ("left", "right")
_VALUES = np.array([-128, -100, -3, -1, 0, 1, 5, 127])
_BY = np.array([-1, 0, 1, 3, 7, 8, 31, 32, 63, 64])
_SHIFTED = [np.repeat(_VALUES, 10), np.tile(_BY, 8)]


def _i(dtype: str, *shape: int) -> In:
    return T(*shape, dtype=dtype, low=0 if dtype == "uint8" else -3, high=3)


ROWS = [
    *(Row(f"{op}.Tensor", _i("float32", 2, 3, 5), _i("float32", 3, 1), row_dynamic=True) for op in _COMPARISONS),
    *(Row(f"{op}.Tensor", T(64), T(64), name="edges", row_values=PAIRS) for op in _COMPARISONS),
    *(Row(f"{op}.Tensor", _i(dtype, 2, 9), _i(dtype, 9), name=dtype)
      for op in _COMPARISONS for dtype in (*INTEGERS, "bool", "float16", "float64")),
    *(Row(f"{op}.Tensor", T(3), T(3), name="bfloat16", row_values=[
        np.array([1, 2, 3], ml_dtypes.bfloat16), np.array([1, 3, 2], ml_dtypes.bfloat16)]) for op in _COMPARISONS),
    *(Row(f"{op}.Tensor", _i("int64", 2, 3), T(3), name="promoted") for op in _COMPARISONS),
    *(Row(f"{op}.Scalar", _i("int64", 2, 3, 5), 1, row_dynamic=True) for op in _COMPARISONS),
    *(Row(f"{op}.Scalar", _i("int64", 2, 3, 5), 0.5, name="float") for op in _COMPARISONS),
    *(Row(f"{op}.Scalar", T(2, 3, 5), 1, name="of floats", row_targets=("tflite", "coreml")) for op in _COMPARISONS),
    *(Row(f"{op}.Tensor", T(2, 3, 5), T(5)) for op in _LONG),
    *(Row(f"{op}.Scalar", T(2, 3, 5), 0.5) for op in _LONG),
    Row("equal", T(2, 3), T(2, 3)),
    Row("equal", T(3), T(3), name="equal", row_values=[EDGES[:3], EDGES[:3]]),
    Row("equal", T(2, 3), T(2, 4), name="shapes"),
    Row("equal", T(2, 3), T(3), name="ranks"),
    Row("equal", T(0, 3), T(0, 3), name="empty"),
    Row("is_nonzero", T(1, 1)),
    Row("is_nonzero", T(dtype="int64"), name="zero", row_values=[np.array(0)]),
    *(Row(op, T(8), row_values=[EDGES], row_dynamic=True) for op in _KINDS),
    *(Row(op, _i("int64", 2, 3), name="int") for op in _KINDS),
    *(Row(op, T(2, 3, dtype="float64"), name="double") for op in _KINDS),
    *(Row(op, T(4), name="half", row_values=[np.array([1, np.inf, -np.inf, np.nan], np.float16)]) for op in _KINDS),
    *(Row(op, T(4), name="bfloat16", row_values=[np.array([1, np.inf, -np.inf, np.nan], ml_dtypes.bfloat16)])
      for op in _KINDS),
    *(Row(op, T(2, 9, dtype="bool"), T(9, dtype="bool"), row_dynamic=True) for op in _LOGIC),
    *(Row(op, T(64), T(64), name="floats", row_values=PAIRS) for op in _LOGIC),
    *(Row(op, _i("int64", 2, 9), T(9, dtype="bool"), name="int") for op in _LOGIC),
    Row("logical_not", T(2, 9, dtype="bool"), row_dynamic=True),
    Row("logical_not", T(8), name="floats", row_values=[EDGES]),
    *(Row(f"bitwise_{op}.Tensor", _i(dtype, 2, 9), _i(dtype, 9), name=dtype, row_dynamic=True)
      for op in _BITS for dtype in (*INTEGERS, "bool")),
    *(Row(f"bitwise_{op}.Tensor", _i("int64", 2, 9), _i("uint8", 9), name="promoted") for op in _BITS),
    *(Row(f"bitwise_{op}.Scalar", _i("int32", 2, 9), 5) for op in _BITS),
    *(Row(f"bitwise_{op}.Scalar_Tensor", 6, _i("int32", 2, 9)) for op in _BITS),
    *(Row(f"__{op}__.Tensor", _i("int32", 2, 9), _i("int32", 9)) for op in _BITS),
    *(Row(f"__{op}__.Scalar", T(2, 9, dtype="bool"), True) for op in _BITS),
    *(Row("bitwise_not", _i(dtype, 2, 9), name=dtype) for dtype in (*INTEGERS, "bool")),
    *(Row(f"bitwise_{way}_shift.Tensor", T(80, dtype=dtype), T(80, dtype=dtype), name=dtype,
          row_values=[part.astype(dtype) for part in _SHIFTED]) for way in _SHIFTS for dtype in INTEGERS[1:]),
    *(Row(f"bitwise_{way}_shift.Tensor", T(9, dtype="uint8"), T(9, dtype="uint8"), name="uint8",
          row_values=[np.full(9, 205, np.uint8), np.arange(9, dtype=np.uint8)]) for way in _SHIFTS),
    *(Row(f"bitwise_{way}_shift.Tensor_Scalar", _i("int32", 2, 9), 2, row_dynamic=True) for way in _SHIFTS),
    *(Row(f"bitwise_{way}_shift.Scalar_Tensor", 100, T(9, dtype="int32", low=0, high=5)) for way in _SHIFTS),
    *(Row(f"__{way}__.Tensor", _i("int64", 2, 9), T(9, dtype="int64", low=0, high=5)) for way in ("lshift", "rshift")),
    *(Row(f"__{way}__.Scalar", _i("int64", 2, 9), 3) for way in ("lshift", "rshift")),
]  # fmt: skip
