"""Operators and modes that only the C++ backend has so far, against ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from netglot.errors import UnsupportedError
from netglot.ir.builder import Builder
from netglot.ir.graph import Graph
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests.ops.table import IMAGE, In, Row, const, ints
from tests.targets import run_cpp
from tests.test_targets import assert_close

SMALL = In((3, 5), low=-0.9, high=0.9)
LARGE = In((3, 5), low=1.1, high=3)
WHOLE = In((3, 5), "int32", -9, 9)
BYTES = In((3, 5), "uint8", 0, 9)
NONZERO = np.array([[3, -2, 5, 7, -4]], np.int32)
INDICES = np.array([[0, 4, -1], [2, 2, 1]], np.int64)
UNPOOLED = np.array([[[[1, 3], [4, 14]]]], np.int64)
PAIRS = np.array([[[0, 1], [2, -1]], [[1, 1], [0, 4]]], np.int64)

ELEMENTWISE = [
    *(Row(op, (SMALL,)) for op in ("Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Atanh", "Celu", "Swish")),
    Row("Acosh", (LARGE,)),
    Row("Celu", (SMALL,), {"alpha": 2.0}, name="alpha"),
    Row("Swish", (SMALL,), {"alpha": 1.5}, name="alpha"),
    Row("Shrink", (SMALL,), {"lambd": 0.3, "bias": 0.1}),
    Row("Clip", (WHOLE, np.int32(-3), np.int32(4)), name="int"),
    Row("Clip", (SMALL, const((), 0.5, 0.5), const((), -0.5, -0.5)), name="crossed"),
    *(Row(op, (WHOLE,), name="int") for op in ("Abs", "Neg", "Sign", "BitwiseNot", "Identity")),
    *(Row(op, (BYTES,), name="unsigned") for op in ("Abs", "Sign", "BitwiseNot")),
    *(Row(op, (WHOLE, NONZERO), name="int") for op in ("Add", "Sub", "Mul", "Div", "Mod", "Max", "Min", "Less")),
    *(Row(op, (BYTES, BYTES), name="unsigned") for op in ("Max", "Min", "Greater")),
    *(Row(op, (WHOLE, WHOLE)) for op in ("BitwiseAnd", "BitwiseOr", "BitwiseXor")),
    Row("BitShift", (BYTES, BYTES), {"direction": "LEFT"}),
    Row("BitShift", (BYTES, BYTES), {"direction": "RIGHT"}, name="right"),
    Row("Mod", (WHOLE, NONZERO), {"fmod": 1}, name="fmod-int"),
    Row("Mod", (SMALL, LARGE), {"fmod": 1}, name="fmod"),
    Row("Pow", (LARGE, SMALL), name="two-inputs"),
    Row("Pow", (In((3, 5), "int64", -3, 3), np.int64(3)), name="int"),
    Row("Xor", (In((3, 5), "bool"), In((5,), "bool"))),
    Row("Mean", (SMALL, LARGE, In((5,)))),
    Row("Sum", (SMALL,) * 11, name="eleven"),
    Row("Min", (SMALL, LARGE, In((1,))), name="three"),
    Row("Where", (In((1, 5), "bool"), In((3, 1)), const(()))),
    *(Row("Cast", (In((3, 5), "float32", -300, 300),), {"to": to}, name=f"to-{to}") for to in (7, 9, 11)),
    Row("Cast", (In((3, 5), "int64", -3, 3),), {"to": 9}, name="int-to-bool"),
    Row("Relu", (In((3, 5), "float64"),), name="double"),
    Row("Add", (In((2, 1, 4, 1)), In((3, 1, 5))), name="both-broadcast"),
    Row("Add", (In(()), In(())), name="scalars"),
    Row("Add", (In((2, 0, 3)), In((3,))), name="empty"),
    Row("PRelu", (IMAGE, const((6, 1, 1))), name="again"),
]

PRODUCTS = [
    Row("MatMul", (In((5,)), In((5,))), name="vectors"),
    Row("MatMul", (In((5,)), In((2, 5, 4))), name="vector-matrix"),
    Row("MatMul", (In((2, 3, 5)), In((5,))), name="matrix-vector"),
    Row("MatMul", (In((2, 1, 3, 5)), In((4, 5, 2))), name="broadcast"),
    Row("MatMul", (In((3, 5), "int32", -9, 9), In((5, 4), "int32", -9, 9)), name="int"),
    Row("MatMul", (In((3, 300)), const((300, 270))), name="blocks"),
    Row("Gemm", (In((5, 3)), const((5, 4)), const((3, 1))), {"transA": 1}, name="a-transposed"),
    Row("Gemm", (In((5, 3)), const((4, 5)), const(())), {"transA": 1, "transB": 1, "beta": 0.5}, name="both"),
    Row("Gemm", (In((2, 700)), const((3, 700))), {"transB": 1}, name="long"),
]

LINES = [
    Row("Hardmax", (IMAGE,), {"axis": 1}),
    Row("LogSoftmax", (IMAGE,), {"axis": 2}, name="rows"),
    Row("Softmax", (In((3, 10), low=-200, high=200),), name="far-apart"),
    Row("ArgMax", (In((4, 6), "int32", 0, 2),), {"axis": 1, "select_last_index": 1}, name="last"),
    Row("ArgMax", (In((4, 6), "int32", 0, 2),), {"axis": -1}, name="ties"),
    Row("ArgMin", (IMAGE,), {"axis": 2, "keepdims": 0}, name="inner"),
    Row("TopK", (In((4, 9), "int32", 0, 3), ints(5)), outputs=2, name="ties"),
    Row("TopK", (IMAGE, ints(2)), {"axis": 1, "largest": 0}, outputs=2, name="smallest"),
    Row("TopK", (In((3, 4)), ints(4)), outputs=2, name="all"),
    Row("CumSum", (IMAGE, np.int64(1))),
    Row("CumSum", (IMAGE, np.int64(-1)), {"exclusive": 1, "reverse": 1}, name="exclusive-reverse"),
    Row("LRN", (IMAGE,), {"size": 3, "alpha": 0.5}, name="defaults"),
]

REDUCTIONS = [
    *(Row(op, (LARGE, ints(1))) for op in ("ReduceLogSum", "ReduceLogSumExp")),
    Row("ReduceLogSumExp", (In((2, 3, 4), low=80, high=90), ints(0, 2)), name="large"),
    Row("ReduceMax", (WHOLE, ints(0)), name="int"),
    Row("ReduceMean", (IMAGE, ints(0, 2)), {"keepdims": 0}, name="apart"),
    Row("ReduceSum", (IMAGE, ints()), {"noop_with_empty_axes": 1}, name="noop"),
    Row("ReduceL2", (IMAGE,), {"keepdims": 0}, name="all"),
    Row("GlobalLpPool", (IMAGE,), {"p": 2}),
    Row("LayerNormalization", (IMAGE, const((7, 9)), const((7, 9))), {"axis": 2}),
    Row("LayerNormalization", (IMAGE, const((9,))), {"epsilon": 1e-3}, name="no-bias"),
    Row("GroupNormalization", (IMAGE, const((6,)), const((6,))), {"num_groups": 3}),
    Row("RMSNormalization", (IMAGE, const((9,)))),
    Row("MeanVarianceNormalization", (IMAGE,)),
    Row("MeanVarianceNormalization", (IMAGE,), {"axes": (1, 2, 3)}, name="axes"),
    Row("LpNormalization", (IMAGE,), {"axis": 1, "p": 1}, name="l1"),
    Row("LpNormalization", (IMAGE,), {"axis": 1}),
    Row("InstanceNormalization", (In((2, 6, 11)), const((6,)), const((6,))), name="1d"),
]

PLACES = [
    Row("Gather", (IMAGE, In((2, 2), "int32", -6, 5)), {"axis": 1}, name="computed"),
    Row("GatherElements", (SMALL, INDICES[:, :2]), {"axis": 1}),
    Row("GatherElements", (SMALL, INDICES % 3), {"axis": 0}, name="rows"),
    Row("GatherND", (SMALL, PAIRS)),
    Row("GatherND", (IMAGE, PAIRS % 2), name="partial"),
    Row("GatherND", (IMAGE, np.array([[3], [-1]], np.int64)), {"batch_dims": 1}, name="batch"),
    *(
        Row("ScatterElements", (SMALL, INDICES, const((2, 3))), {"axis": 1, "reduction": how}, name=how)
        for how in ("none", "add", "mul", "max", "min")
    ),
    Row("ScatterND", (SMALL, PAIRS, const((2, 2)))),
    Row("ScatterND", (IMAGE, PAIRS % 2, const((2, 2, 7, 9))), {"reduction": "add"}, name="add"),
    Row("OneHot", (In((2, 3), "int64", -4, 5), np.int64(4), const((2,)))),
    Row("OneHot", (In((2, 3), "int64", 0, 3), np.int64(4), const((2,))), {"axis": 1}, name="axis"),
    Row("Trilu", (In((2, 4, 5)),)),
    Row("Trilu", (In((2, 4, 5)), np.int64(-1)), {"upper": 0}, name="lower"),
    Row("ReverseSequence", (In((4, 3, 2)), ints(1, 4, 2)), {"time_axis": 0, "batch_axis": 1}),
    Row("MaxUnpool", (In((1, 1, 2, 2)), UNPOOLED), {"kernel_shape": (2, 2), "strides": (2, 2)}),
    Row("EyeLike", (In((3, 5)),), {"k": 1}),
    Row("Shape", (IMAGE,), {"start": 1}),
    Row("Size", (IMAGE,)),
]

MOVES = [
    Row("Transpose", (IMAGE,), name="default"),
    Row("Pad", (IMAGE, ints(2, -1, 1, 3), None, ints(-1, 1)), name="axes-and-crop"),
    Row("Pad", (IMAGE, ints(0, 0, 8, 1, 0, 0, 9, 10)), {"mode": "wrap"}, name="wrap"),
    Row("SpaceToDepth", (In((1, 2, 6, 9)),), {"blocksize": 3}, name="three"),
    Row("Split", (IMAGE,), {"axis": -1, "num_outputs": 2}, name="uneven", outputs=2),
    Row("Slice", (IMAGE, ints(5, 8), ints(0, -20), ints(1, 3), ints(-2, -3)), name="two-backwards"),
    Row("Slice", (IMAGE, ints(3), ints(3), ints(2)), name="empty"),
    Row("Concat", (IMAGE,) * 3, {"axis": 2}, name="three"),
    Row("Dropout", (IMAGE,)),
]

WINDOWS = [
    Row("MaxPool", (IMAGE,), {"kernel_shape": (3, 3), "dilations": (2, 2)}, name="dilated"),
    Row("MaxPool", (IMAGE,), {"kernel_shape": (3, 2), "strides": (2, 2), "pads": (1, 0, 1, 1)}, "indices", outputs=2),
    Row("MaxPool", (In((2, 3, 11)),), {"kernel_shape": (3,), "strides": (2,)}, name="1d"),
    Row("AveragePool", (In((2, 3, 5, 6, 7)),), {"kernel_shape": (2, 3, 2), "pads": (1, 1, 1, 0, 1, 0)}, name="3d"),
    Row("AveragePool", (IMAGE,), {"kernel_shape": (3, 3), "strides": (2, 2), "auto_pad": "SAME_LOWER"}, name="lower"),
    Row("AveragePool", (IMAGE,), {"kernel_shape": (3, 3), "strides": (2, 2), "pads": (1, 1, 0, 0), "ceil_mode": 1,
        "count_include_pad": 1}, name="ceil-pads"),
    *(Row("LpPool", (IMAGE,), {"kernel_shape": (3, 2), "p": p, "pads": (1, 0, 1, 1)}, name=f"p{p}") for p in (1, 2, 3)),
    Row("ConvTranspose", (In((2, 4, 7)), const((4, 3, 3))), {"strides": (3,), "dilations": (2,)}, name="1d"),
    Row("ConvTranspose", (In((1, 4, 3, 4, 5)), const((4, 2, 2, 3, 2))), {"strides": (1, 2, 2)}, name="3d"),
    Row("ConvTranspose", (IMAGE, const((6, 4, 3, 3))), {"strides": (2, 2), "output_shape": (15, 17)}, name="shape"),
    *(Row("ConvTranspose", (IMAGE, const((6, 4, 3, 2))), {"strides": (3, 2), "auto_pad": pad}, name=pad)
      for pad in ("SAME_UPPER", "SAME_LOWER")),
    Row("Conv", (In((1, 300, 5, 7)), const((4, 300, 1, 1)), const((4,))), name="pointwise"),
    Row("Conv", (In((1, 200, 5, 7)), const((4, 200, 3, 3))), name="deep"),
    Row("Conv", (In((1, 2, 3, 600)), const((4, 2, 2, 5))), {"pads": (0, 2, 1, 2)}, name="long-rows"),
    Row("Conv", (IMAGE, const((4, 6, 3, 3))), {"pads": (9, 9, 9, 9), "strides": (4, 4)}, name="mostly-padding"),
    Row("Conv", (IMAGE, In((4, 6, 3, 3))), name="computed-weights"),
    Row("Conv", (In((1, 2, 3, 3, 4, 4)), const((2, 2, 2, 1, 2, 2))), name="4d"),
]  # fmt: skip

SIZES = (ints(2, 6, 13, 5), ints(2, 6, 5, 20), ints(2, 6, 1, 9))
COORDINATES = ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric"]


def resize(name: str, sizes: np.ndarray, **attributes: object) -> Row:
    return Row("Resize", (IMAGE, None, None, sizes), attributes, name=name)


RESIZES = [
    *(
        resize(f"{mode}-{how}-{i}", size, mode=mode, coordinate_transformation_mode=how)
        for mode in ("linear", "cubic", "nearest")
        for how in COORDINATES
        for i, size in enumerate(SIZES)
    ),
    *(
        resize(f"nearest-{how}", SIZES[0], nearest_mode=how, coordinate_transformation_mode="half_pixel")
        for how in ("round_prefer_ceil", "floor", "ceil")
    ),
    resize("same", ints(*IMAGE.shape), mode="linear"),
    *(
        resize(policy, ints(13, 5), mode="linear", axes=(2, 3), keep_aspect_ratio_policy=policy)
        for policy in ("not_larger", "not_smaller")
    ),
    Row("Resize", (In((1, 2, 5, 6), "uint8", 0, 255), None, None, ints(1, 2, 7, 4)), {"mode": "linear"}, name="bytes"),
    resize("cubic-outside", SIZES[0], mode="cubic", exclude_outside=1, cubic_coeff_a=-0.5),
    resize("antialias-linear", SIZES[0], mode="linear", antialias=1),
    resize("antialias-cubic", SIZES[0], mode="cubic", antialias=1),
    Row("Resize", (IMAGE, None, np.array([1, 1, 0.6, 1.7], np.float32)), {"mode": "linear"}, name="scales-linear"),
    *(
        Row("Resize", (IMAGE, np.array([0, 0, 0.2, -0.3, 1, 1, 0.7, 1.4], np.float32), None, SIZES[0]),
            {"mode": mode, "coordinate_transformation_mode": "tf_crop_and_resize", "extrapolation_value": 7.0},
            name=f"crop-{mode}")
        for mode in ("linear", "nearest")
    ),
    Row("Resize", (IMAGE, None, None, ints(9, 4)), {"axes": (2, 3), "mode": "cubic"}, name="axes"),
]  # fmt: skip

ROWS = [*ELEMENTWISE, *PRODUCTS, *LINES, *REDUCTIONS, *PLACES, *MOVES, *WINDOWS, *RESIZES]


def with_shapes(graph: Graph) -> Graph:
    """ONNX infers nothing for operators that it defines as functions; those in the table keep their input's type."""
    for y in graph.outputs:
        if y.shape is None:
            y.dtype, y.shape = graph.inputs[0].dtype, graph.inputs[0].shape
    return graph


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_row(row: Row, tmp_path: Path) -> None:
    expected = OnnxRuntime(row.graph()).run(row.feed())
    actual = run_cpp(with_shapes(row.graph()), row.feed(), tmp_path)
    assert list(actual) == list(expected)
    for name, wanted in expected.items():
        assert actual[name].dtype == wanted.dtype
        assert_close(actual[name], wanted, row.rtol)


REFUSED = {
    "computed axes": (lambda g, x: g.ReduceSum(x, g.graph.add_input("axes", np.dtype(np.int64), (1,))), "computed"),
    "computed scales": (
        lambda g, x: g.Resize(x, None, g.graph.add_input("scales", np.dtype(np.float32), (4,))), "computed"
    ),
    "training": (
        lambda g, x: g.op("BatchNormalization", [x, *[np.ones(3, np.float32)] * 4], outputs=3, training_mode=1),
        "only inference",
    ),
    "column-major indices": (
        lambda g, x: g.op("MaxPool", [x], outputs=2, kernel_shape=(2, 2), storage_order=1), "column-major"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_written_says_why(name: str, tmp_path: Path) -> None:
    call, reason = REFUSED[name]
    g = Builder(Graph("net"))
    result = call(g, g.graph.add_input("x", np.dtype(np.float32), (1, 3, 4, 4)))
    g.graph.outputs = list(result) if isinstance(result, tuple) else [result]
    for y in g.graph.outputs:
        y.shape = y.shape if y.shape and None not in y.shape else (1, 3, 4, 4)
    with pytest.raises(UnsupportedError, match=reason):
        run_cpp(g.graph, {}, tmp_path)
