"""Rows of netglot/frontends/pytorch/operators/elementwise.py and functions.py."""

from __future__ import annotations

import ml_dtypes
import numpy as np

from tests.pytorch_ops.table import Row, T

ALL = ("tflite", "coreml", "cpp")
INF, NAN = np.inf, np.nan
EDGES = np.array([0.0, -0.0, 1.0, -1.0, 0.5, -2.5, INF, -INF, NAN, 1e30, -1e-30], np.float32)
_ORDINARY = EDGES[:9]  # without those whose quotient overflows
FINITE = [np.repeat(_ORDINARY, 9), np.tile(_ORDINARY, 9)]
PAIRS = [np.repeat(EDGES, len(EDGES)), np.tile(EDGES, len(EDGES))]
INTS = np.array([-7, -3, -1, 0, 1, 2, 5, 100], np.int64)
DIVISORS = np.array([-5, -2, -1, 1, 2, 3, 7], np.int64)
DIVISIONS = [np.repeat(INTS, len(DIVISORS)), np.tile(DIVISORS, len(INTS))]
HALF = "float16"
BF16 = ml_dtypes.bfloat16

# Where each function of one tensor is defined, and at which edges it is tried.
_REALS = (-2.0, 2.0)
_DOMAINS: dict[str, tuple[float, float]] = {
    "sqrt": (0, 4), "rsqrt": (0.1, 4), "reciprocal": (0.2, 3), "exp": _REALS, "log": (0.1, 5), "sin": (-9, 9),
    "cos": (-9, 9), "tan": (-1.2, 1.2), "asin": (-1, 1), "arcsin": (-1, 1), "acos": (-1, 1), "arccos": (-1, 1),
    "atan": _REALS, "arctan": _REALS, "sinh": _REALS, "cosh": _REALS, "tanh": _REALS, "asinh": _REALS,
    "arcsinh": _REALS, "acosh": (1, 5), "arccosh": (1, 5), "atanh": (-0.9, 0.9), "arctanh": (-0.9, 0.9),
    "erf": _REALS, "special_erf": _REALS, "sigmoid": _REALS, "special_expit": _REALS, "exp2": _REALS,
    "special_exp2": _REALS, "expm1": _REALS, "special_expm1": _REALS, "log1p": (-0.9, 5), "special_log1p": (-0.9, 5),
    "log2": (0.1, 9), "log10": (0.1, 9), "sinc": (-5, 5), "special_sinc": (-5, 5), "erfc": (-3, 3),
    "special_erfc": (-3, 3), "erfinv": (-0.99, 0.99), "special_erfinv": (-0.99, 0.99), "deg2rad": (-400, 400),
    "rad2deg": (-9, 9), "logit": (0.01, 0.99), "special_logit": (0.01, 0.99), "special_entr": (-1, 3),
    "special_ndtr": (-4, 4), "abs": _REALS, "absolute": _REALS, "neg": _REALS, "negative": _REALS, "sign": _REALS,
    "sgn": _REALS, "square": _REALS, "floor": (-5, 5), "ceil": (-5, 5), "round": (-5, 5), "trunc": (-5, 5),
    "fix": (-5, 5), "frac": (-5, 5), "signbit": _REALS, "angle": _REALS, "positive": _REALS, "nan_to_num": _REALS,
}  # fmt: skip
_OF_INTEGERS = (
    "sqrt", "exp", "sin", "atan", "erf", "sigmoid", "exp2", "expm1", "log2", "sinc", "erfc", "deg2rad", "abs", "neg",
    "sign", "square", "floor", "ceil", "round", "trunc", "signbit", "angle", "positive", "nan_to_num", "special_ndtr",
)  # fmt: skip
_OF_HALVES = (
    "sqrt", "rsqrt", "exp", "tan", "erf", "log1p", "expm1", "erfc", "abs", "neg", "sign", "square", "trunc", "frac",
    "sigmoid",
)  # fmt: skip
_ON_TARGETS = (
    "sqrt", "rsqrt", "reciprocal", "exp", "log", "sin", "cos", "tanh", "erf", "sigmoid", "abs", "neg", "sign", "square",
    "floor", "ceil", "round", "trunc",
)  # fmt: skip
_AT_EDGES = (
    "sqrt", "rsqrt", "reciprocal", "exp", "log", "log2", "log10", "expm1", "log1p", "atan", "erf", "erfc",
    "sigmoid", "abs", "neg", "square", "floor", "ceil", "round", "trunc", "angle", "nan_to_num", "sinc",
    "special_entr", "tanh", "sign", "sgn",
)  # fmt: skip
# 1e-2 .. 1e-6 alone, so that digits that are lost near zero are seen.
_SMALL = np.array([1e-3, -1e-4, 1e-5, 1e-6], np.float32)

_GAMMA = ("lgamma", "special_gammaln", "digamma", "special_digamma", "special_psi")

_UNARY = [
    *(Row(name, T(2, 3, 5, low=low, high=high), row_dynamic=True, row_targets=ALL if name in _ON_TARGETS else ())
      for name, (low, high) in _DOMAINS.items()),
    *(Row(name, T(3, 4, dtype="int32", low=0, high=5), name="int") for name in _OF_INTEGERS),
    *(Row(name, T(3, 4, dtype="uint8", low=0, high=5), name="uint8")
      for name in ("neg", "abs", "square", "sign", "exp")),
    *(Row(name, T(3, 4, dtype=HALF, low=0.1, high=1), name="half", row_rtol=1e-3) for name in _OF_HALVES),
    *(Row(name, T(4), name="bfloat16", row_values=[np.array([0.5, 0.25, 1, 0.125], BF16)], row_rtol=1e-2)
      for name in _OF_HALVES),
    *(Row(name, T(3, 4, dtype="float64", low=0.1, high=0.9), name="double") for name in _DOMAINS),
    *(Row(name, T(len(EDGES)), name="edges", row_values=[EDGES]) for name in _AT_EDGES),
    *(Row(name, T(4), name="near 0", row_values=[_SMALL]) for name in ("expm1", "log1p", "erfinv", "sinh")),
    *(Row(name, T(), name="scalar") for name in ("neg", "sigmoid", "trunc", "expm1")),
    *(Row(name, T(0, 3), name="empty") for name in ("neg", "sigmoid", "trunc", "expm1")),
]  # fmt: skip

ROWS = [
    *_UNARY,
    Row("sign", T(2, 3, dtype="bool"), name="bool"),
    Row("square", T(2, 3, dtype="bool"), name="bool"),
    Row("signbit", T(2, 3, dtype="bool"), name="bool"),
    Row("signbit", T(8), name="zeros", row_values=[EDGES[:8]]),
    Row("round", T(6), name="half to even", row_values=[np.array([0.5, 1.5, 2.5, -0.5, -1.5, -2.5], np.float32)]),
    Row("round.decimals", T(2, 3, 5), decimals=2),
    Row("round.decimals", T(2, 3, 5, low=-900, high=900), decimals=-2, name="hundreds"),
    Row("round.decimals", T(2, 3), decimals=0, name="plain"),
    Row("special_round", T(2, 3, 5), decimals=1),
    Row("erfc", T(4), name="tail", row_values=[np.array([4, 5, 6, 7], np.float32)]),
    Row("erfc", T(4), name="far tail", row_values=[np.array([8, 8.5, 9, 10], np.float32)], row_rtol=3e-5),
    Row("erfinv", T(5), name="ends", row_values=[np.array([1, -1, 0.9999, -0.99999, 0.999999], np.float32)]),
    Row("erfinv", T(4), name="outside", row_values=[np.array([2, -3, 0, 0.5], np.float32)]),
    Row("special_ndtr", T(4), name="tail", row_values=[np.array([-3, -4, -5, 8], np.float32)]),
    *(Row(op, T(3, 7, low=-9, high=20), row_dynamic=True) for op in _GAMMA),
    *(Row(op, T(6), name="edges", row_values=[np.float32([0, -3, 1, 2, 1e6, np.nan])]) for op in _GAMMA),
    *(Row(op, T(3, dtype="int64", low=1, high=9), name="int") for op in _GAMMA),
    Row("lgamma", T(2), name="infinite", row_values=[np.float32([np.inf, -np.inf])]),
    Row("lgamma", T(4), name="near 1 and 2", row_values=[np.float32([1.0001, 0.9999, 2.0001, 1.9999])], row_rtol=1e-4),
    Row("digamma", T(2), name="zeros", row_values=[np.float32([0, -0.0])]),
    Row("logit", T(2, 3, low=-0.5, high=1.5), 1e-3, name="eps", row_dynamic=True),
    Row("special_logit", T(2, 3, low=-0.5, high=1.5), eps=0.1, name="eps"),
    Row("nan_to_num", T(len(EDGES)), 1.5, 7.0, -8.0, name="numbers", row_values=[EDGES]),
    Row("nan_to_num", T(3, dtype=HALF), name="half", row_values=[np.array([NAN, INF, -INF], np.float16)]),
    # ------------------------------------------------------------- arithmetic
    Row("add.Tensor", T(2, 3, 5), T(3, 1), row_dynamic=True, row_targets=ALL),
    Row("add.Tensor", T(2, 3), T(2, 3, dtype="int64"), alpha=2, name="promoted"),
    Row("add.Tensor", T(2, 3, dtype="int32"), 2.5, name="number"),
    Row("add.Tensor", T(2, 3, dtype="bool"), np.array(True), name="bool"),
    Row("add.Tensor", T(2, 3), T(2, 3), alpha=0.5, name="alpha"),
    Row("add.Tensor", T(2, 3, dtype="uint8"), T(2, 3, dtype="int8"), name="uint8 and int8"),
    Row("add.Tensor", T(2, 3, dtype="int32"), T(dtype="int64"), name="0-dim"),
    Row("add.Tensor", T(2, 3, dtype="int32"), T(dtype="float64"), name="0-dim float"),
    Row("add.Tensor", T(2, 3, dtype=HALF), T(2, 3), name="half and single"),
    Row("add.Tensor", T(2, dtype=HALF), T(2), name="halves",
        row_values=[np.array([1, 2], np.float16), np.array([0.5, 3], BF16)]),
    Row("add.Tensor", T(2, 3, dtype="uint8", low=200, high=255), T(3, dtype="uint8", low=200, high=255), name="wraps"),
    Row("add.Tensor", T(2, 3, dtype="int16"), T(3, dtype="int16"), name="int16"),
    Row("add.Scalar", T(2, 3), 2),
    Row("add.Scalar", T(2, 3), 2.5, 3, name="alpha"),
    Row("add.Scalar", T(2, 3, dtype="bool"), 2, name="bool"),
    Row("add.Scalar", T(2, 3, dtype=HALF), 0.1, name="half"),
    Row("sub.Tensor", T(2, 3, 5), T(5), alpha=3, row_dynamic=True, row_targets=ALL),
    Row("sub.Tensor", T(2, 3, dtype="uint8", low=0, high=9), T(3, dtype="uint8", low=0, high=9), name="wraps"),
    Row("sub.Scalar", T(2, 3, dtype="int32"), 2),
    Row("subtract.Tensor", T(2, 3), T(3)),
    Row("subtract.Scalar", T(2, 3), 1.5),
    Row("rsub.Tensor", T(2, 3), T(3), alpha=2),
    Row("rsub.Scalar", T(2, 3), 1, row_dynamic=True),
    Row("rsub.Scalar", T(2, 3, dtype="int64"), 1.5, 2, name="promoted"),
    Row("mul.Tensor", T(2, 3, 5), T(3, 1), row_dynamic=True, row_targets=ALL),
    Row("mul.Tensor", T(2, 3, dtype="bool"), T(2, 3, dtype="bool"), name="bool"),
    Row("mul.Tensor", T(2, 3, dtype="bool"), T(2, 3), name="mask"),
    Row("mul.Tensor", T(2, 3, dtype=HALF), T(3, dtype=HALF), name="half"),
    Row("mul.Scalar", T(2, 3, dtype=HALF), 0.1, name="half"),
    Row("mul.Scalar", T(2, 3, dtype="int64"), 0.5),
    Row("multiply.Tensor", T(2, 3), T(3)),
    Row("multiply.Scalar", T(2, 3), 3),
    Row("div.Tensor", T(2, 3, 5), T(5, low=1), row_dynamic=True, row_targets=ALL),
    Row("div.Tensor", T(2, 3, dtype="int64"), T(3, dtype="int32", low=1, high=5), name="int"),
    Row("div.Tensor", T(2, 3, dtype="bool"), T(3, low=1), name="bool"),
    Row("div.Scalar", T(2, 3, dtype="int64"), 3),
    Row("divide.Tensor", T(2, 3), T(3, low=1)),
    Row("divide.Scalar", T(2, 3), 3),
    Row("true_divide.Tensor", T(2, 3), T(3, low=1)),
    Row("true_divide.Scalar", T(2, 3, dtype="int32"), 4),
    *(Row(f"{op}.Tensor_mode", T(56, dtype="int64"), T(7, dtype="int64"), rounding_mode=mode, name=f"{mode} int",
          row_values=DIVISIONS) for op in ("div", "divide") for mode in ("floor", "trunc", None)),
    *(Row(f"{op}.Tensor_mode", T(2, 3, 5, low=-20, high=20), T(5, low=1), rounding_mode=mode, name=f"{mode}",
          row_dynamic=True) for op in ("div", "divide") for mode in ("floor", "trunc", None)),
    *(Row(f"{op}.Scalar_mode", T(2, 3, 5, low=-20, high=20), -1.5, rounding_mode=mode, name=f"{mode}")
      for op in ("div", "divide") for mode in ("floor", "trunc", None)),
    Row("div.Tensor_mode", T(121), T(121), rounding_mode="floor", name="edges", row_values=PAIRS),
    Row("div.Tensor_mode", T(121), T(121), rounding_mode="trunc", name="trunc edges", row_values=PAIRS),
    Row("div.Scalar_mode", T(3), 0.1, rounding_mode="floor", name="tenths", row_values=[np.float32([1, 0.3, 2])]),
    Row("floor_divide", T(56, dtype="int32"), T(56, dtype="int64"), row_values=DIVISIONS),
    Row("floor_divide", T(2, 3, low=-9, high=9), T(3, low=1), name="float", row_dynamic=True),
    Row("floor_divide", T(3, dtype="uint8"), T(3, dtype="uint8", low=1, high=5), name="uint8"),
    Row("floor_divide.Scalar", T(2, 3, dtype="int64", low=-9, high=9), 4),
    Row("remainder.Tensor", T(56, dtype="int64"), T(56, dtype="int64"), name="int", row_values=DIVISIONS),
    Row("remainder.Tensor", T(2, 3, 5, low=-9, high=9), T(5, low=1), row_dynamic=True),
    Row("remainder.Tensor", T(81), T(81), name="edges", row_values=FINITE),
    Row("remainder.Scalar", T(2, 3, low=-9, high=9), -2.5),
    Row("remainder.Scalar", T(2, 3, dtype="int32", low=-9, high=9), 4, name="int"),
    Row("remainder.Scalar_Tensor", 7, T(2, 3, dtype="int64", low=1, high=5)),
    Row("fmod.Tensor", T(56, dtype="int64"), T(56, dtype="int64"), name="int", row_values=DIVISIONS),
    Row("fmod.Tensor", T(2, 3, 5, low=-9, high=9), T(5, low=1), row_dynamic=True),
    Row("fmod.Tensor", T(81), T(81), name="edges", row_values=FINITE),
    Row("fmod.Scalar", T(2, 3, low=-9, high=9), -2.5),
    Row("fmod.Scalar", T(2, 3, dtype="int32", low=-9, high=9), 4, name="int"),
    # ----------------------------------------------------------------- powers
    Row("pow.Tensor_Tensor", T(2, 3, 5, low=0.1), T(5), row_dynamic=True, row_targets=ALL),
    Row("pow.Tensor_Tensor", T(4, dtype="int64"), T(4, dtype="int64"), name="int",
        row_values=[np.array([2, 3, -2, 1]), np.array([5, 0, 3, 60])]),
    Row("pow.Tensor_Tensor", T(6, dtype="int64"), T(6, dtype="int64"), name="beyond 2^53",
        row_values=[np.array([3, -7, 15, 2, -1, 0]), np.array([39, 21, 16, 63, 101, 99])]),
    Row("pow.Tensor_Tensor", T(5, dtype="uint8"), T(5, dtype="int8"), name="modulo the type", row_values=[
        np.array([3, 200, 255, 17, 0], np.uint8), np.array([60, 3, 63, 9, 0], np.int8)]),
    Row("pow.Tensor_Tensor", T(6, dtype="int32"), T(6, dtype="int32"), name="negative",
        row_values=[np.int32([2, 1, -1, -1, 3, -7]), np.int32([-1, -5, -3, -4, 2, -2])]),
    *(Row("pow.Tensor_Scalar", T(2, 3, low=0.2), number, name=str(number), row_dynamic=True)
      for number in (2, 3, 0.5, -0.5, -1, 1, 0, 2.7, -2)),
    *(Row("pow.Tensor_Scalar", T(2, 3, dtype="int32", low=-9, high=9), number, name=f"int {number}")
      for number in (0, 1, 2, 3, 7, 2.0)),
    Row("pow.Tensor_Scalar", T(2, 3, dtype="uint8", low=0, high=99), 3, name="uint8"),
    Row("pow.Tensor_Scalar", T(2, 3, dtype=HALF, low=0.2), 2.7, name="half", row_rtol=1e-3),
    Row("pow.Tensor_Scalar", T(11), 0.5, name="root of edges", row_values=[EDGES]),
    Row("pow.Scalar", 2.5, T(2, 3)),
    Row("pow.Scalar", 2, T(2, 3, dtype="int64", low=0, high=9), name="int"),
    Row("float_power.Tensor_Tensor", T(2, 3, low=0.1), T(3)),
    Row("float_power.Tensor_Scalar", T(2, 3, dtype="int64"), 3),
    Row("float_power.Scalar", 2, T(2, 3)),
    # --------------------------------------------------------------- extremes
    *(Row(op, T(2, 3, 5), T(3, 1), row_dynamic=True, row_targets=ALL) for op in ("maximum", "minimum")),
    *(Row(op, T(2, 3, 5), T(3, 1), row_dynamic=True) for op in ("fmax", "fmin")),
    *(Row(op, T(121), T(121), name="edges", row_values=PAIRS) for op in ("maximum", "minimum", "fmax", "fmin")),
    *(Row(op, T(2, 3, dtype=dtype), T(3, dtype=dtype), name=dtype)
      for op in ("maximum", "minimum", "fmax", "fmin") for dtype in ("int16", "int64", "uint8", "bool", HALF)),
    Row("maximum", T(2, 3, dtype="int64"), T(3), name="promoted"),
    *(Row(op, T(2, 3, 5), -0.5, 1, row_dynamic=True, row_targets=ALL) for op in ("clamp", "clip")),
    *(Row(op, T(2, 3, 5), max=1, name="max") for op in ("clamp", "clip")),
    *(Row(f"{op}.Tensor", T(2, 3, 5), T(3, 1, low=-1, high=0), T(5, low=0, high=1), row_dynamic=True)
      for op in ("clamp", "clip")),
    Row("clamp.Tensor", T(2, 3, 5), None, T(), name="0-dim"),
    Row("clamp", T(2, 3, 5), 1, -1, name="reversed"),
    Row("clamp", T(11), -1, 1, name="edges", row_values=[EDGES]),
    Row("clamp", T(2, 3, dtype="int64"), -0.5, 1, name="promoted"),
    Row("clamp", T(2, 3, dtype="int16"), -1, 1, name="int16"),
    Row("clamp.Tensor", T(2, 3, dtype="int64"), T(3), name="promoted"),
    Row("clamp_min", T(2, 3), 0.5, row_dynamic=True, row_targets=ALL),
    Row("clamp_min.Tensor", T(2, 3), T(3)),
    Row("clamp_max", T(2, 3), 0.5, row_dynamic=True),
    Row("clamp_max.Tensor", T(2, 3), T(3)),
    # --------------------------------------------------------------- geometry
    *(Row(op, T(2, 3, 5), T(3, 1), row_dynamic=True) for op in ("atan2", "arctan2", "hypot", "copysign.Tensor")),
    *(Row(op, T(121), T(121), name="edges", row_values=PAIRS) for op in ("atan2", "hypot")),
    Row("atan2", T(2, 3, dtype="int64"), T(3, dtype="int64"), name="int"),
    Row("atan2", T(2, 3, dtype="float64"), T(3, dtype="float64"), name="double"),
    Row("copysign.Tensor", T(64), T(64), name="edges", row_values=[np.repeat(EDGES[:8], 8), np.tile(EDGES[:8], 8)]),
    Row("copysign.Scalar", T(2, 3), -0.0),
    Row("copysign.Scalar", T(2, 3, dtype="int64"), 2, name="int"),
    Row("heaviside", T(2, 3), T(3)),
    Row("heaviside", T(11), T(), name="edges", row_values=[EDGES, np.float32(0.25)]),
    Row("heaviside", T(2, 3, dtype="int64", low=-1, high=2), T(3, dtype="int64"), name="int"),
    # ------------------------------------------------------------- logarithms
    *(Row(op, T(2, 3, 5, low=-9, high=9), T(3, 1), row_dynamic=True) for op in ("logaddexp", "logaddexp2")),
    *(Row(op, T(121), T(121), name="edges", row_values=PAIRS) for op in ("logaddexp", "logaddexp2")),
    Row("ldexp.Tensor", T(2, 3), T(3, dtype="int32")),
    Row("ldexp.Tensor", T(2, 3), T(3), name="float"),
    *(Row(op, T(2, 3), T(3, low=0.1, high=5), row_dynamic=True)
      for op in ("xlogy.Tensor", "special_xlogy", "special_xlog1py")),
    *(Row(op, T(121), T(121), name="edges", row_values=PAIRS) for op in ("xlogy.Tensor", "special_xlog1py")),
    Row("xlogy.Scalar_Other", T(2, 3, dtype="int64"), 3),
    Row("xlogy.Scalar_Self", 2.5, T(2, 3, low=0.1)),
    *(Row(f"{op}.other_scalar", T(2, 3), 3) for op in ("special_xlogy", "special_xlog1py")),
    *(Row(f"{op}.self_scalar", 2, T(2, 3, low=0.1)) for op in ("special_xlogy", "special_xlog1py")),
    # --------------------------------------------------------------- closeness
    Row("isclose", T(121), T(121), name="edges", row_values=PAIRS),
    Row("isclose", T(121), T(121), equal_nan=True, name="nan", row_values=PAIRS),
    Row("isclose", T(9, 9), T(9), 0.1, 0.2, name="tolerances", row_dynamic=True),
    Row("isclose", T(9, 9), T(9), 0.0, 0.0, name="exact"),
    Row("isclose", T(9, 9, dtype="int64", low=0, high=9), T(9, dtype="int64", low=0, high=9), 0.3, 0.5, name="int"),
    # ---------------------------------------------------------- three operands
    Row("addcmul", T(2, 3, 5), T(3, 1), T(5), row_dynamic=True),
    Row("addcmul", T(2, 3, dtype="int64"), T(3, dtype="int64"), T(3, dtype="int64"), value=2, name="int"),
    Row("addcmul", T(2, 3, dtype=HALF), T(3, dtype=HALF), T(3, dtype=HALF), value=0.3, name="half", row_rtol=1e-3),
    Row("addcdiv", T(2, 3, 5), T(3, 1), T(5, low=1), value=-0.5, row_dynamic=True),
    Row("addcdiv", T(2, 3), T(2, 1), T(3, low=1), name="plain"),
    *(Row("lerp.Scalar", T(2, 3), T(2, 3), weight, name=str(weight), row_dynamic=True) for weight in (0.3, 0.7, 1, -2)),
    Row("lerp.Tensor", T(2, 3, 5), T(3, 1), T(5, low=-1, high=2), row_dynamic=True),
    Row("where.self", T(2, 3, 1, dtype="bool"), T(3, 5), T(2, 1, 5), row_dynamic=True, row_targets=ALL),
    Row("where.self", T(2, 3, dtype="bool"), T(3, dtype="int64"), T(3), name="promoted"),
    *(Row("where.self", T(2, 3, dtype="bool"), T(3, dtype=dtype), T(3, dtype=dtype), name=dtype)
      for dtype in ("int16", "bool", "uint8", "float64", HALF)),
    Row("where.ScalarOther", T(2, 3, dtype="bool"), T(3), 2),
    Row("where.ScalarOther", T(2, 3, dtype="bool"), T(3, dtype="int64"), 2.5, name="promoted"),
    Row("where.ScalarSelf", T(2, 3, dtype="bool"), -1.5, T(3)),
    Row("where.Scalar", T(2, 3, dtype="bool"), 1, 2.5),
    Row("where.Scalar", T(2, 3, dtype="bool"), 1, 2, name="int"),
    Row("masked_fill.Scalar", T(2, 3), T(3, dtype="bool"), -INF, row_dynamic=True, row_targets=ALL),
    Row("masked_fill.Scalar", T(2, 3, dtype="int64"), T(3, dtype="bool"), 7, name="int"),
    Row("masked_fill.Scalar", T(2, 3, dtype="bool"), T(3, dtype="bool"), True, name="bool"),
    Row("masked_fill.Tensor", T(2, 3), T(3, dtype="bool"), T(), row_dynamic=True),
]  # fmt: skip
