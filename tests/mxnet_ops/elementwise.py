"""Rows of arithmetic on each element."""

from __future__ import annotations

import numpy as np

from tests.mxnet_ops.table import Row
from tests.ops.table import In

ALL = ("tflite", "cpp", "coreml")
X = In((2, 3, 5))
Y = In((2, 3, 5), low=0.3)
COLUMN = In((1, 3, 1), low=0.3)
WHOLE = In((3, 7), "int32", -9, 9)
POSITIVE = In((3, 7), "int32", 1, 9)

# As the operator itself is called, and what each of these names is short for.
SAME_SHAPE = [
    "elemwise_add", "_plus", "_Plus", "_add", "_grad_add", "_sparse_elemwise_add", "elemwise_sub", "_sub", "_minus",
    "_Minus", "_sparse_elemwise_sub", "elemwise_mul", "_mul", "_Mul", "_sparse_elemwise_mul", "elemwise_div", "_div",
    "_Div", "_sparse_elemwise_div", "_scatter_elemwise_div", "_mod", "_Mod", "_power", "_Power", "_maximum",
    "_Maximum", "_npi_maximum", "_minimum", "_Minimum", "_npi_minimum", "_hypot", "_Hypot",
]  # fmt: skip
BROADCAST = [
    *(f"broadcast_{name}" for name in ("add", "plus", "sub", "minus", "mul", "div", "mod", "power", "maximum",
                                       "minimum", "hypot")),
    *(f"_sparse_broadcast_{name}" for name in ("add", "plus", "sub", "minus", "mul", "div")),
]  # fmt: skip
COMPARISONS = [
    "equal", "not_equal", "greater", "greater_equal", "lesser", "lesser_equal", "logical_and", "logical_or",
    "logical_xor",
]  # fmt: skip
CAMEL = ["Equal", "Not_Equal", "Greater", "Greater_Equal", "Lesser", "Lesser_Equal", "Logical_And", "Logical_Or",
         "Logical_Xor"]  # fmt: skip
OF_NUMBER = [
    "_plus_scalar", "_PlusScalar", "_scatter_plus_scalar", "_minus_scalar", "_MinusScalar", "_scatter_minus_scalar",
    "_rminus_scalar", "_RMinusScalar", "_mul_scalar", "_MulScalar", "_div_scalar", "_DivScalar", "_rdiv_scalar",
    "_RDivScalar", "_mod_scalar", "_ModScalar", "_rmod_scalar", "_RModScalar", "_power_scalar", "_PowerScalar",
    "_rpower_scalar", "_RPowerScalar", "_maximum_scalar", "_MaximumScalar", "_npi_maximum_scalar", "_minimum_scalar",
    "_MinimumScalar", "_npi_minimum_scalar", "_hypot_scalar", "_HypotScalar", "_npi_hypot_scalar",
]  # fmt: skip
ANY_SIGN = [
    "abs", "sign", "round", "rint", "fix", "floor", "ceil", "trunc", "cbrt", "square", "exp", "expm1", "sin", "cos",
    "tan", "arctan", "sinh", "cosh", "tanh", "arcsinh", "degrees", "radians", "negative", "relu", "sigmoid",
]  # fmt: skip
LARGE = ["log", "log10", "log2", "log1p", "sqrt", "rsqrt", "arccosh"]
SMALL = ["arcsin", "arccos", "arctanh"]
NO_NUMPY = {"round", "relu", "sigmoid", "rsqrt"}

HALVES = np.array([[-2.5, -1.5, -0.5, 0.5, 1.5], [2.5, 0.49999997, -0.49999997, 8388609.0, 3.7]], np.float32)
SIGNED_ZEROS = np.array([[0.0, 1.5, -0.0], [2.0, 0.0, -3.0]], np.float32)


def unary(name: str, item: In) -> list[Row]:
    names = [name, *([f"_npi_{name}"] if name not in NO_NUMPY else []), f"_sparse_{name}"]
    return [Row(op, {}, [item], np_shape=op.startswith("_np"), dynamic=True) for op in names]


ROWS = [
    *(Row(op, {}, [X, Y], dynamic=True) for op in SAME_SHAPE if "ower" not in op),
    *(Row(op, {}, [Y, X], dynamic=True) for op in SAME_SHAPE if "ower" in op),
    *(Row(op, {}, [Y, COLUMN], targets=ALL) for op in BROADCAST),
    *(Row(op, {}, [In((3, 1, 4)), In((2, 1), low=-2)], "both") for op in ("broadcast_mod", "broadcast_maximum")),
    *(Row(f"broadcast_{op}", {}, [WHOLE, POSITIVE], "whole") for op in ("add", "sub", "mul", "div", "mod", "maximum")),
    Row("broadcast_mod", {}, [X, In((2, 3, 5), low=-2, high=-0.1)], "negative"),
    Row("broadcast_mod", {}, [In((2, 3)), In((2, 3))], "by zero", values={"data1": SIGNED_ZEROS}),
    Row("broadcast_mod", {}, [WHOLE, In((3, 7), "int32", -2, 3)], "whole by zero"),
    *(Row(f"broadcast_{op}", {}, [In((2, 3, 5), "int32"), In((3, 1), "int32")], "whole") for op in COMPARISONS),
    *(Row(f"broadcast_{op}", {}, [X, In((2, 3, 5))], targets=ALL) for op in COMPARISONS),
    *(Row(f"_{op}", {}, [In((2, 3, 5), "int64"), In((2, 3, 5), "int64")]) for op in [*COMPARISONS, *CAMEL]),
    *(
        Row(op, {"num_args": 3}, [X, X, X], dynamic=True)
        for op in ("add_n", "ElementWiseSum", "_sparse_add_n", "_sparse_ElementWiseSum")
    ),
    *(Row(op, {"scalar": 1.7, "is_int": False}, [Y], dynamic=True) for op in OF_NUMBER),
    *(Row(op, {"scalar": 1.7, "is_int": False}, [Y], "targets", targets=ALL) for op in OF_NUMBER if op[1].islower()),
    *(
        Row(op, {"scalar": 3.0}, [WHOLE], "whole")
        for op in OF_NUMBER if op[1].islower() and "hypot" not in op and op[1] != "r"
    ),
    Row("_plus_scalar", {"scalar": 3.7}, [WHOLE], "cut off"),
    Row("_plus_scalar", {"scalar": 3.7, "is_int": False}, [WHOLE], "promoted"),
    Row("_mod_scalar", {"scalar": -1.7}, [X], "negative"),
    Row("_mod_scalar", {"scalar": 0}, [X], "zero"),
    Row("_rmod_scalar", {"scalar": 5}, [WHOLE], "whole"),
    *(Row(f"_{op}_scalar", {"scalar": 1.0}, [In((3, 7), "int32")], "whole") for op in COMPARISONS),
    *(Row(f"_{op}_scalar", {"scalar": 0.3}, [X], dynamic=True) for op in COMPARISONS),
    *(Row(f"_{op.replace('_', '')}Scalar", {"scalar": 0.3}, [X]) for op in CAMEL),
    *(row for name in ANY_SIGN for row in unary(name, X)),
    *(row for name in LARGE for row in unary(name, In((2, 3, 5), low=1.1))),
    *(row for name in SMALL for row in unary(name, In((2, 3, 5), low=-0.9, high=0.9))),
    *(Row(name, {}, [Y], "targets", targets=ALL) for name in ("round", "rint", "fix", "cbrt", "log2", "expm1")),
    *(Row(name, {}, [In((2, 5))], "halves", values={"data0": HALVES}) for name in ("round", "rint", "fix", "floor")),
    *(Row(name, {}, [WHOLE], "whole") for name in ("abs", "sign", "round", "floor", "square", "negative", "relu")),
    Row("_npi_absolute", {}, [X], np_shape=True),
    *(Row(op, {}, [X]) for op in ("_contrib_round_ste", "_sparse__contrib_round_ste", "_contrib_sign_ste",
                                  "_sparse__contrib_sign_ste", "_npx_relu", "_npx_sigmoid")),
    *(Row(op, {}, [Y]) for op in ("reciprocal", "_npi_reciprocal", "rcbrt")),
    *(Row(op, {}, [X]) for op in ("softsign", "erf", "_npx_erf")),
    Row("logical_not", {}, [In((2, 3))], values={"data0": SIGNED_ZEROS}),
    Row("hard_sigmoid", {"alpha": 0.3, "beta": 0.4}, [X], targets=ALL),
    *(Row(op, {"scalar": 1.4}, [X], dynamic=True, targets=ALL) for op in ("smooth_l1", "_npx_smooth_l1")),
    *(Row(op, {"a_min": -0.7, "a_max": 1.2}, [X]) for op in ("clip", "_npi_clip", "_sparse_clip")),
    Row("clip", {"a_min": -2.5, "a_max": 2.5}, [WHOLE], "whole"),
    *(
        Row(op, {}, [X])
        for op in ("identity", "_copy", "_np_copy", "BlockGrad", "stop_gradient", "_sparse_stop_gradient", "make_loss",
                   "_sparse_make_loss", "MakeLoss")
    ),
    Row("_contrib_gradientmultiplier", {"scalar": 3}, [X]),
    *(Row(op, {"stype": "default"}, [X]) for op in ("cast_storage", "_sparse_cast_storage")),
    Row("_identity_with_attr_like_rhs", {}, [X, X]),
    Row("_contrib_quadratic", {"a": 0.5, "b": -2, "c": 3}, [X]),
    Row("_contrib_div_sqrt_dim", {}, [X], dynamic=True),
    *(Row(op, {"dtype": "int32"}, [X]) for op in ("Cast", "cast", "_npi_cast", "_npx_cast")),
    *(Row("Cast", {"dtype": dtype}, [In((3, 7), low=-90, high=90)], dtype)
      for dtype in ("uint8", "int8", "int64", "float16", "float64", "bool")),
    *(Row("Cast", {"dtype": "float32"}, [In((3, 7), dtype, 0, 2)], f"from {dtype}")
      for dtype in ("uint8", "int8", "int32", "int64", "float64")),
    Row("amp_cast", {"dtype": "float16"}, [X]),
    Row("amp_cast", {"dtype": "float16"}, [WHOLE], "whole"),
    Row("amp_multicast", {"num_outputs": 2}, [X, Y], outputs=(0, 1)),  # MXNet's own can't add up other types here
]  # fmt: skip
