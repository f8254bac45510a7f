"""Operators of old opsets: ONNX Runtime on the file as it is, and on what we read from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from netglot.frontends.onnx import load
from netglot.registry import registry
from netglot.runtimes.onnxruntime import OnnxRuntime

X = np.random.default_rng(0).uniform(-2, 2, (2, 4, 6, 8)).astype(np.float32)
FLAT = X[0, 0]
BOXES = np.array([[0, 0, 5, 4], [1, 1, 7, 5]], np.float32)
PER_CHANNEL = [np.array(row, np.float32) for row in ([1, 2, 0.5, 1], [0, 1, 0, -1], [0, 0.1, 0.2, 0], [1, 0.5, 2, 1])]
PER_ELEMENT = [np.abs(X[0]) + 0.5] * 4


@dataclass(frozen=True)
class Old:
    """One node at an old opset. The first `fed` inputs are fed, the others initializers."""

    op: str
    opset: int
    inputs: tuple[np.ndarray, ...]
    attributes: dict[str, Any] = field(default_factory=dict)
    fed: int = 1
    outputs: int = 1

    @property
    def id(self) -> str:
        told = "-".join(f"{key}={value}" for key, value in self.attributes.items())
        return f"{self.op}-{self.opset}-{told}-{self.outputs}"

    def model(self) -> onnx.ModelProto:
        names = [f"x{i}" for i in range(len(self.inputs))]
        outputs = [f"y{i}" for i in range(self.outputs)]
        typed = [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
                 for name, a in zip(names, self.inputs, strict=True)]  # fmt: skip
        graph = helper.make_graph(
            [helper.make_node(self.op, names, outputs, **self.attributes)], "old", typed[: self.fed],
            [onnx.ValueInfoProto(name=name) for name in outputs],
            [numpy_helper.from_array(a, n) for n, a in list(zip(names, self.inputs, strict=True))[self.fed :]],
        )  # fmt: skip
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)


def scales(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


ROWS = [
    Old("Squeeze", 11, (X[:1, :1],), {"axes": [0, -3]}),
    Old("Squeeze", 9, (X[:1, :1],)),
    Old("Unsqueeze", 7, (X,), {"axes": [0, 3]}),
    Old("Split", 11, (X,), {"axis": 1, "split": [1, 3]}, outputs=2),
    Old("Split", 11, (X,), {"axis": 3}, outputs=4),
    Old("Split", 13, (X,), {"axis": 1}, outputs=2),
    Old("Split", 13, (X, np.array([3, 1])), {"axis": 1}, outputs=2),
    Old("Slice", 9, (X,), {"starts": [1, -3], "ends": [9, -1], "axes": [1, 2]}),
    Old("Slice", 7, (X,), {"starts": [0, 1], "ends": [1, 3]}),
    Old("Pad", 10, (X,), {"pads": [0, 0, 1, 2, 0, 1, 0, 1], "value": 1.5}),
    Old("Pad", 7, (X,), {"pads": [0, 0, 1, 2, 0, 0, 0, 1], "mode": "reflect"}),
    Old("TopK", 9, (X,), {"k": 3, "axis": 1}, outputs=2),
    Old("Scatter", 10, (X, np.zeros((1, 2, 3, 4), np.int64), X[:1, :2, :3, :4]), {"axis": 1}),
    Old("DFT", 17, (X[..., None],), {"axis": 2, "onesided": 1}),
    *(Old(op, 12, (X,), {"axes": [1, -1], "keepdims": 0}) for op in (
        "ReduceL1", "ReduceL2", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum",
        "ReduceSumSquare")),
    Old("ReduceLogSum", 11, (np.abs(X),), {"axes": [2]}),
    Old("ReduceMean", 17, (X,)),
    Old("ReduceMean", 7, (X,), {"axes": [2, 3]}),
    Old("Clip", 10, (X,), {"min": -0.5, "max": 1.0}),
    Old("Clip", 7, (X.astype(np.float16),), {"max": 1.0}),
    Old("Clip", 7, (X,)),
    Old("Dropout", 7, (X,), {"ratio": 0.9}),
    Old("Dropout", 10, (X,)),
    *(Old(op, 11, (X,), attributes) for op in ("Softmax", "LogSoftmax", "Hardmax")
      for attributes in ({}, {"axis": 0}, {"axis": -2}, {"axis": 3})),
    Old("Softmax", 7, (X[:, :, :1, :1],), {"axis": 1}),
    Old("BatchNormalization", 7, (X, *PER_CHANNEL), {"epsilon": 0.01, "momentum": 0.5}),
    Old("BatchNormalization", 8, (X, *PER_ELEMENT), {"spatial": 0}),
    Old("BatchNormalization", 9, (X, *PER_CHANNEL)),
    Old("GroupNormalization", 18, (X, scales(1, 2), scales(0, 1)), {"num_groups": 2}),
    Old("Upsample", 8, (X,), {"scales": [1.0, 1.0, 2.0, 3.0]}),
    Old("Upsample", 7, (X,), {"scales": [1.0, 1.0, 2.0, 2.0], "mode": "linear"}),
    Old("Upsample", 9, (X, scales(1, 1, 2.5, 1.5))),
    Old("Resize", 10, (X, scales(1, 1, 2.5, 1.5))),
    Old("Resize", 10, (X, scales(1, 1, 0.6, 0.4))),
    Old("Resize", 10, (X, scales(1, 1, 2, 0.4))),
    Old("Resize", 10, (X, scales(1, 1, 0.6, 2)), {"mode": "linear"}),
    Old("Resize", 10, (X, scales(1, 1, 1, 1))),
    *(Old("Resize", 11, (X, scales(), scales(1, 1, a, b)),
          {"coordinate_transformation_mode": "tf_half_pixel_for_nn", "nearest_mode": "floor"})
      for a, b in ((2, 3), (0.6, 0.4), (1.7, 0.7))),
    Old("Resize", 13, (X, scales(), scales(), np.array([2, 4, 9, 5])), {"mode": "cubic", "cubic_coeff_a": -0.5}),
    Old("RoiAlign", 10, (X, BOXES, np.array([0, 1])), {"output_height": 3, "output_width": 2, "sampling_ratio": 2}),
    Old("GridSample", 16, (X, X[:, :3, :5, :2] / 2), {"mode": "bicubic", "align_corners": 1}),
    Old("GridSample", 16, (X, X[:, :3, :5, :2] / 2)),
    Old("Add", 7, (X, X[0, :, :1, :1])),
    Old("Gemm", 7, (FLAT, FLAT, FLAT[0, :6]), {"transB": 1, "alpha": 0.5}),
    Old("MaxPool", 8, (X,), {"kernel_shape": [3, 3], "strides": [2, 2]}, outputs=2),
    Old("AveragePool", 7, (X,), {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1}),
    Old("AveragePool", 11, (X,), {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}),
    Old("ArgMax", 11, (X,), {"axis": 1}),
    Old("Cast", 9, (X,), {"to": 6}),
    Old("Selu", 7, (X,)),
    Old("ThresholdedRelu", 10, (X,)),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_old_operator(row: Old, tmp_path: Path) -> None:
    path = tmp_path / "old.onnx"
    path.write_bytes(row.model().SerializeToString())
    feed = {f"x{i}": row.inputs[i] for i in range(row.fed)}
    wanted = OnnxRuntime(path).run(feed)
    graph = load(path)
    graph.check()
    found = OnnxRuntime(graph).run(feed)
    assert list(found) == list(wanted)
    for name, array in wanted.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_allclose(found[name], array, rtol=1e-5, atol=1e-5 * np.abs(array).max())


def test_every_upgrade_is_tested() -> None:
    """Constant runs in every model, Scan-8 has a test of its own, other domains have theirs in test_onnx_quantized."""
    standard = {op for op in registry.ops("onnx") if "." not in op}
    assert standard - {row.op for row in ROWS} == {"Constant", "Scan"}


def test_scan_8_has_a_batch_axis(tmp_path: Path) -> None:
    text = """<ir_version: 3, opset_import: ["": 8]>
    scan (float[2, 3] start, float[2, 5, 3] xs) => (float[2, 3] last, float[2, 5, 3] sums) {
        last, sums = Scan <num_scan_inputs = 1,
                           body = step (float[3] sum, float[3] x) => (float[3] next, float[3] out) {
            next = Add (sum, x)
            out = Identity (next)
        }> ("", start, xs)
    }"""
    model = onnx.parser.parse_model(text)
    model.graph.node[0].input[0] = ""
    path = tmp_path / "scan.onnx"
    path.write_bytes(model.SerializeToString())
    xs = X.reshape(-1)[:30].reshape(2, 5, 3)
    found = OnnxRuntime(load(path)).run({"start": xs[:, 0], "xs": xs})
    sums = xs[:, :1] + np.cumsum(xs, axis=1)
    np.testing.assert_allclose(found["sums"], sums, rtol=1e-5)
    np.testing.assert_allclose(found["last"], sums[:, -1], rtol=1e-5)
