"""Networks whose batch is open are quantised for ONNX, which keeps it so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnxruntime import InferenceSession

import netglot
from netglot.backends.onnx import save
from netglot.ir.builder import Builder

FLOAT = np.dtype(np.float32)


def open_batch(path: Path) -> Path:
    rng = np.random.default_rng(0)
    g = Builder()
    x = g.graph.add_input("x", FLOAT, ("batch", 3, 8, 8))
    y = g.Relu(g.Conv(x, rng.standard_normal((4, 3, 3, 3), np.float32), np.zeros(4, np.float32)))
    g.graph.outputs = [g.Flatten(g.GlobalAveragePool(y))]
    save(g.graph, path)
    return path


def test_an_open_batch_is_quantised_and_stays_open(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    source, target = open_batch(tmp_path / "source.onnx"), tmp_path / "int8.onnx"
    samples = [{"x": rng.uniform(-1, 1, (1, 3, 8, 8)).astype(np.float32)} for _ in range(8)]
    netglot.convert(source, target, quantize="int8", calibrate=samples, verify=False)
    model = onnx.load(target)
    assert {onnx.TensorProto.INT8, onnx.TensorProto.INT32} <= {item.data_type for item in model.graph.initializer}
    batch = np.concatenate([sample["x"] for sample in samples])
    wanted, found = (
        InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"x": batch})[0]
        for path in (source, target)
    )
    assert found.shape == (8, 4)
    assert 0 < np.abs(found - wanted).max() < 0.02 * np.abs(wanted).max()
