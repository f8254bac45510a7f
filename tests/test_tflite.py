"""What is particular to TFLite: the bytes of the file, fused activations, float16 weights, refusals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import ml_dtypes
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl
from ai_edge_litert.interpreter import Interpreter

from netglot.backends.tflite import save
from netglot.backends.tflite.half import SMALLEST
from netglot.errors import ConversionError, UnsupportedError
from netglot.ir.builder import Builder
from netglot.ir.extension import BoxNms
from netglot.ir.graph import Graph, Value
from netglot.passes.io_layout import change_io_layout
from netglot.runtimes.litert import LiteRT
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests.ops.table import IMAGE, Row, all_rows, const
from tests.test_targets import assert_close
from tests.tflite_rows import ROWS

NAMES = {code: name for name, code in vars(tfl.BuiltinOperator).items() if isinstance(code, int)}


def has_weights(row: Row) -> bool:
    """Whether a constant of the row is large enough to be stored as float16."""
    return any(
        isinstance(item, np.ndarray) and item.dtype == np.float32 and item.size >= SMALLEST for item in row.inputs
    )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_mode(row: Row, tmp_path: Path) -> None:
    check_row(row, tmp_path, delegates=True)


@pytest.mark.parametrize("row", [*all_rows(), *ROWS], ids=lambda row: row.id)
def test_without_delegates(row: Row, tmp_path: Path) -> None:
    """LiteRT's own kernels, which devices without XNNPACK have."""
    check_row(row, tmp_path, delegates=False)


@pytest.mark.parametrize("row", [row for row in all_rows() if has_weights(row)], ids=lambda row: row.id)
def test_with_float16_weights(row: Row, tmp_path: Path) -> None:
    check_row(row, tmp_path, delegates=True, rtol=2e-3, quantize="fp16")


def check_row(row: Row, folder: Path, delegates: bool, rtol: float = 0.0, **options: Any) -> None:
    expected = OnnxRuntime(row.graph()).run(row.feed())
    save(row.graph(), folder / "a.tflite", **options)
    actual = LiteRT(folder / "a.tflite", delegates).run(row.feed())
    assert list(actual) == list(expected)
    for name, wanted in expected.items():
        assert actual[name].dtype == wanted.dtype
        assert_close(actual[name], wanted, max(rtol, row.rtol))


FUNCTIONS: dict[str, Callable[[Builder, Value], Value]] = {
    "GroupNormalization": lambda g, x: g.GroupNormalization(x, const((6,)), const((6,)), num_groups=3),
    "MeanVarianceNormalization": lambda g, x: g.MeanVarianceNormalization(x, axes=(0, 2, 3)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_operators_whose_shape_onnx_does_not_infer(name: str, tmp_path: Path) -> None:
    g = Builder()
    x = g.graph.add_input("x", np.dtype(np.float32), IMAGE.shape)
    y = FUNCTIONS[name](g, x)
    y.dtype, y.shape = x.dtype, x.shape  # a file may say so
    g.graph.outputs = [y]
    check(g.graph, tmp_path)


def check(graph: Graph, folder: Path, rtol: float = 1e-5, **options: Any) -> Counter[str]:
    """Saves a copy, compares what it computes with ONNX Runtime, and counts its operators."""
    rng = np.random.default_rng(0)
    feed = {v.name: rng.uniform(-9, 9, v.sizes).astype(v.dtype) for v in graph.inputs}
    save(graph.copy(), folder / "a.tflite", **options)
    expected, actual = OnnxRuntime(graph).run(feed), LiteRT(folder / "a.tflite").run(feed)
    assert list(actual) == list(expected)
    for name, wanted in expected.items():
        assert actual[name].dtype == wanted.dtype
        assert_close(actual[name], wanted, rtol)
    return operators(folder / "a.tflite")


def read(path: Path) -> Any:
    return tfl.ModelT.InitFromObj(tfl.Model.GetRootAs(path.read_bytes(), 0))


def operators(path: Path) -> Counter[str]:
    model = read(path)
    return Counter(NAMES[model.operatorCodes[op.opcodeIndex].builtinCode] for op in model.subgraphs[0].operators)


def image(g: Builder, *sizes: int, dtype: Any = np.float32) -> Value:
    return g.graph.add_input("x", np.dtype(dtype), sizes)


# --------------------------------------------------------------------- boxes


def nms_graph(count: int, **attributes: Any) -> Graph:
    g = Builder(Graph("boxes"))
    boxes = g.graph.add_input("boxes", np.dtype(np.float32), (count, 4))
    scores = g.graph.add_input("scores", np.dtype(np.float32), (count,))
    g.graph.outputs = [g.extension("BoxNms", [boxes, scores], **attributes)]
    return g.graph


def check_nms(boxes: np.ndarray, scores: np.ndarray, folder: Path, **attributes: Any) -> None:
    save(nms_graph(len(boxes), **attributes), folder / "a.tflite")
    actual = LiteRT(folder / "a.tflite").run({"boxes": boxes, "scores": scores})
    assert next(iter(actual.values())).tolist() == BoxNms.run(boxes, scores, **attributes).tolist()


@pytest.mark.parametrize("seed", range(8))
def test_nms_with_equal_scores_and_boxes_without_area(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    corner, size = rng.uniform(0, 1, (30, 2)), rng.uniform(0.1, 0.8, (30, 2))
    boxes = np.concatenate([corner, corner + size], 1).astype(np.float32)
    flat = rng.integers(0, 30, 4)
    boxes[flat, 2] = boxes[flat, 0]
    boxes[seed] = boxes[seed, [2, 1, 0, 3]]  # the other diagonal
    scores = (rng.permutation(30) // 3 / 10).astype(np.float32)
    most, threshold = int(rng.integers(1, 40)), float(rng.uniform(0.1, 0.9))
    check_nms(
        boxes, scores, tmp_path, max_boxes=most, iou_threshold=threshold, score_threshold=float(rng.uniform(-0.1, 0.6))
    )


def test_nms_keeps_what_just_reaches_the_iou_and_drops_what_just_reaches_the_score(tmp_path: Path) -> None:
    boxes = np.array([[0, 0, 1, 1], [0, 0, 1, 2], [5, 5, 6, 6]], np.float32)
    scores = np.array([0.75, 0.625, 0.5], np.float32)
    check_nms(boxes, scores, tmp_path, max_boxes=5, iou_threshold=0.5, score_threshold=0.5)


# ---------------------------------------------------------- fused activations

W, B = const((4, 6, 3, 3)), const((4,))
MAKERS: dict[str, Callable[[Builder, Value], Value]] = {
    "CONV_2D": lambda g, x: g.Conv(x, W, B),
    "DEPTHWISE_CONV_2D": lambda g, x: g.Conv(x, const((6, 1, 3, 3)), group=6),
    "TRANSPOSE_CONV": lambda g, x: g.ConvTranspose(x, const((6, 4, 3, 3)), B),
    "CONV_3D": lambda g, x: g.Conv(g.Unsqueeze(x, [2]), const((4, 6, 1, 2, 2))),
    "FULLY_CONNECTED": lambda g, x: g.MatMul(x, const((9, 4))),
    "ADD": lambda g, x: g.Add(x, x),
    "SUB": lambda g, x: g.Sub(x, const((9,))),
    "MUL": lambda g, x: g.Mul(x, const((9,), 2, 4)),
    "DIV": lambda g, x: g.Div(x, const((9,), 0.1, 1)),
    "MAX_POOL_2D": lambda g, x: g.MaxPool(x, kernel_shape=(2, 2)),
    "AVERAGE_POOL_2D": lambda g, x: g.AveragePool(x, kernel_shape=(2, 2)),
    "CONCATENATION": lambda g, x: g.Concat(x, x, axis=1),
}
NOT_FUSED = {"CONCATENATION"}  # LiteRT's kernel does not look at the field
LIMITS: dict[str, Callable[[Builder, Value], Value]] = {
    "RELU": lambda g, x: g.Relu(x),
    "RELU6": lambda g, x: g.Clip(x, 0.0, 6.0),
    "RELU_N1_TO_1": lambda g, x: g.Clip(x, -1.0, 1.0),
}


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("maker", MAKERS)
def test_activation_is_fused(maker: str, limits: str, tmp_path: Path) -> None:
    g = Builder()
    g.graph.outputs = [LIMITS[limits](g, MAKERS[maker](g, image(g, 2, 6, 7, 9)))]
    found = check(g.graph, tmp_path)
    assert found[maker] == 1
    assert found[limits] == (maker in NOT_FUSED)


def test_activation_of_a_value_that_others_read_is_not_fused(tmp_path: Path) -> None:
    g = Builder()
    y = g.Add(image(g, 2, 3), const((3,)))
    g.graph.outputs = [y, g.Relu(y)]
    assert check(g.graph, tmp_path) == {"ADD": 1, "RELU": 1}


# ------------------------------------------------------------------- the file


def network() -> Graph:
    g = Builder(Graph("net"))
    x = image(g, 1, 3, 12, 12)
    y = g.MaxPool(
        g.Relu(g.Conv(x, const((8, 3, 3, 3)), const((8,)), pads=(1, 1, 1, 1))), kernel_shape=(2, 2), strides=(2, 2)
    )
    g.graph.outputs = [g.Softmax(g.Gemm(g.Flatten(y), const((10, 288)), const((10,)), transB=1))]
    g.graph.rename(g.graph.outputs[0], "prob")
    return g.graph


def test_a_network_is_what_one_would_write_by_hand(tmp_path: Path) -> None:
    assert check(network(), tmp_path) == {
        "TRANSPOSE": 1, "CONV_2D": 1, "MAX_POOL_2D": 1, "RESHAPE": 1, "FULLY_CONNECTED": 1, "SOFTMAX": 1,
    }  # fmt: skip


@pytest.mark.parametrize("op", ["Conv", "MaxPool"])
def test_a_constant_image_is_turned_too(op: str, tmp_path: Path) -> None:
    g = Builder(Graph("net"))
    x, picture = image(g, 1, 4, 3, 3), const((1, 4, 4, 4))
    y = g.Conv(picture, const((4, 4, 2, 2))) if op == "Conv" else g.MaxPool(picture, kernel_shape=(2, 2))
    g.graph.outputs = [g.Add(x, y)]
    check(g.graph, tmp_path)


def test_no_transpose_where_inputs_are_channels_last(tmp_path: Path) -> None:
    graph = network()
    change_io_layout(graph, "nhwc")
    save(graph, tmp_path / "a.tflite")
    assert operators(tmp_path / "a.tflite")["TRANSPOSE"] == 0
    assert LiteRT(tmp_path / "a.tflite").inputs[0].shape == (1, 12, 12, 3)


def test_runs_by_name(tmp_path: Path) -> None:
    graph = network()
    feed = np.random.default_rng(0).random((1, 3, 12, 12), np.float32)
    save(graph.copy(), tmp_path / "a.tflite")
    runner = Interpreter(str(tmp_path / "a.tflite")).get_signature_runner("serving_default")
    assert_close(runner(x=feed)["prob"], OnnxRuntime(graph).run({"x": feed})["prob"], 1e-5)


def test_same_graph_gives_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        save(network(), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_weights_are_aligned_and_nothing_is_twice(tmp_path: Path) -> None:
    save(network(), tmp_path / "a.tflite")
    weights = 4 * (8 * 27 + 8 + 2880 + 10)
    assert (tmp_path / "a.tflite").stat().st_size < weights + 4096
    data = (tmp_path / "a.tflite").read_bytes()
    model = tfl.Model.GetRootAs(data, 0)
    starts = [
        model.Buffers(i)._tab.Vector(o) for i in range(model.BuffersLength()) if (o := model.Buffers(i)._tab.Offset(4))
    ]
    assert starts
    assert all(start % 16 == 0 for start in starts)


def test_the_buffer_is_large_enough_from_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Growing would double it and copy everything."""
    grown = []
    original = flatbuffers.Builder.GrowByteBuffer
    monkeypatch.setattr(flatbuffers.Builder, "GrowByteBuffer", lambda self: grown.append(1) or original(self))
    for row in [*all_rows(), *ROWS]:
        save(row.graph(), tmp_path / "a.tflite")
    assert not grown


def test_two_gigabytes_are_refused_before_they_are_allocated(tmp_path: Path) -> None:
    g = Builder()
    huge = np.broadcast_to(np.float32(0), (600_000, 1000))
    g.graph.outputs = [g.Gemm(image(g, 1, 1000), huge, transB=1)]
    with pytest.raises(ConversionError, match="less than 2"):
        save(g.graph, tmp_path / "a.tflite")
    assert not (tmp_path / "a.tflite").exists()


def resized(g: Builder, x: Value, mode: str) -> Value:
    return g.Resize(x, None, None, [2, 6, 4, 5], mode="linear", coordinate_transformation_mode=mode)


VERSIONS: dict[tuple[str, int], Callable[[Builder, Value], Value]] = {
    ("CONV_2D", 1): lambda g, x: g.Conv(x, const((4, 6, 1, 1))),
    ("CONV_2D", 6): lambda g, x: g.Conv(x, const((4, 3, 1, 1)), group=2),
    ("DEPTHWISE_CONV_2D", 1): lambda g, x: g.Conv(x, const((6, 1, 2, 2)), group=6),
    ("DEPTHWISE_CONV_2D", 2): lambda g, x: g.Conv(x, const((6, 1, 2, 2)), group=6, dilations=(2, 2)),
    ("FULLY_CONNECTED", 1): lambda g, x: g.Gemm(g.ReduceMean(x, [0, 1], keepdims=0), const((9, 4)), B),
    ("FULLY_CONNECTED", 6): lambda g, x: g.MatMul(x, const((9, 4))),
    ("TRANSPOSE_CONV", 3): lambda g, x: g.ConvTranspose(x, const((6, 4, 3, 3)), B),
    ("TRANSPOSE_CONV", 4): lambda g, x: g.Relu(g.ConvTranspose(x, const((6, 4, 3, 3)), B)),
    ("TRANSPOSE", 4): lambda g, x: g.Transpose(g.Unsqueeze(x, [0]), perm=(0, 4, 3, 2, 1)),
    ("TRANSPOSE", 6): lambda g, x: g.Transpose(g.Reshape(x, [1, 2, 2, 3, 7, 9]), perm=(0, 5, 4, 3, 2, 1)),
    ("PAD", 4): lambda g, x: g.Pad(g.Unsqueeze(x, [0]), [0, 0, 0, 0, 1] * 2),
    ("RESIZE_BILINEAR", 1): lambda g, x: resized(g, x, "align_corners"),
    ("RESIZE_BILINEAR", 3): lambda g, x: resized(g, x, "half_pixel"),
    ("BROADCAST_TO", 2): lambda g, x: g.Expand(x, [2, 2, 6, 7, 9]),
    ("GATHER", 3): lambda g, x: g.Gather(g.Greater(x, 0.0), np.array([1, 0]), axis=1),
}  # fmt: skip


@pytest.mark.parametrize(("name", "version"), VERSIONS)
def test_operators_have_the_version_they_need(name: str, version: int, tmp_path: Path) -> None:
    g = Builder()
    g.graph.outputs = [VERSIONS[name, version](g, image(g, 2, 6, 7, 9))]
    check(g.graph, tmp_path)
    codes = read(tmp_path / "a.tflite").operatorCodes
    assert [code.version for code in codes if NAMES[code.builtinCode] == name] == [version]


# --------------------------------------------------------------------- floats


def test_fp16_halves_the_weights_and_keeps_the_interface(tmp_path: Path) -> None:
    save(network(), tmp_path / "full.tflite")
    found = check(network(), tmp_path, rtol=2e-3, quantize="fp16")
    assert found["DEQUANTIZE"] == 2  # not the two biases: constants as small as those may be parameters
    assert (tmp_path / "a.tflite").stat().st_size < 0.65 * (tmp_path / "full.tflite").stat().st_size
    assert LiteRT(tmp_path / "a.tflite").inputs[0].dtype == np.float32


def test_fp16_leaves_weights_that_it_can_not_hold(tmp_path: Path) -> None:
    """Beyond its range, too small for it, or named: the fourth is stored as float16."""
    g = Builder()
    y = g.MatMul(image(g, 2, 8), const((8, 4)) * np.float32(1e6))
    y = g.MatMul(g.MatMul(y, const((4, 8), -1e-6, 1e-6)), g.constant(const((8, 8)), name="named"))
    g.graph.outputs = [g.Add(g.MatMul(y, const((8, 8))), const((8,)))]
    assert check(g.graph.copy(), tmp_path, rtol=2e-3, quantize="fp16")["DEQUANTIZE"] == 2
    save(g.graph, tmp_path / "kept.tflite", quantize="fp16", keep={"named"})
    assert operators(tmp_path / "kept.tflite")["DEQUANTIZE"] == 1


def test_float16_is_computed_as_float32(tmp_path: Path) -> None:
    g = Builder()
    x = image(g, 1, 3, 6, 6, dtype=np.float16)
    y = g.Conv(x, const((4, 3, 3, 3)).astype(np.float16), const((4,)).astype(np.float16))
    g.graph.outputs = [g.Cast(g.Relu(y), to=1), g.Mul(y, y)]
    check(g.graph, tmp_path, rtol=3e-3)


def test_float64_is_computed_as_float32(tmp_path: Path) -> None:
    g = Builder()
    x = image(g, 3, 6, dtype=np.float64)
    g.graph.outputs = [g.Mul(x, const((6,)).astype(np.float64)), g.Cast(x, to=1)]
    check(g.graph, tmp_path)


def test_bfloat16_constants_are_widened(tmp_path: Path) -> None:
    g = Builder()
    x = image(g, 2, 3)
    g.graph.outputs = [g.Add(x, g.Cast(const((3,)).astype(ml_dtypes.bfloat16), to=1))]
    check(g.graph, tmp_path)


# ------------------------------------------------------------------- refusals


def test_what_can_not_be_written_is_all_listed(tmp_path: Path) -> None:
    g = Builder()
    x = image(g, 1, 4, 6, 6)
    a = g.LRN(x, size=4)
    b, where = g.MaxPool(x, kernel_shape=(2, 2), storage_order=1, outputs=2)
    g.graph.outputs = [a, b, where, g.Det(x)]
    with pytest.raises(UnsupportedError) as caught:
        save(g.graph, tmp_path / "a.tflite")
    assert sorted(problem.what.split()[0] for problem in caught.value.problems) == ["LRN", "MaxPool", "tflite"]


def test_unknown_sizes_are_said_not_stumbled_over(tmp_path: Path) -> None:
    g = Builder()
    x = g.graph.add_input("x", np.dtype(np.float32), ("N", 4))
    g.graph.outputs = [g.Relu(x)]
    with pytest.raises(ConversionError, match="Nx4"):
        save(g.graph, tmp_path / "a.tflite")


def test_types_that_tflite_has_not_are_refused(tmp_path: Path) -> None:
    g = Builder()
    g.graph.outputs = [g.Identity(image(g, 2, 3, dtype=np.uint64))]
    with pytest.raises(UnsupportedError, match="no tensors of uint64"):
        save(g.graph, tmp_path / "a.tflite")
