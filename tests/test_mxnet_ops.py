"""Every row of the MXNet table against MXNet itself: the files as MXNet writes them, read and run.

On ONNX Runtime, and on the targets that the row names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from netglot.convert import load
from netglot.frontends.options import TensorSpec
from netglot.ir.graph import Graph
from netglot.registry import registry
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests import mxnet_oracle
from tests.close import assert_equal
from tests.mxnet_ops.random import DRAWN
from tests.mxnet_ops.table import Row, all_rows
from tests.targets import TARGETS


@pytest.mark.parametrize("row", all_rows(), ids=lambda row: row.id)
def test_row(row: Row, tmp_path: Path) -> None:
    arrays = row.arrays()
    saved = tuple(name for name in arrays if name not in row.fed())
    expected = mxnet_oracle.run(row.symbol(), arrays, np_shape=row.np_shape, save=saved, to=tmp_path / "row")
    fed = {name: arrays[name] for name in row.fed()}
    graph = read(tmp_path, fed, row.dynamic)
    graph.check()
    assert [value.name for value in graph.inputs] == list(fed)
    assert [value.name for value in graph.outputs] == [name for name, _ in expected]
    found = OnnxRuntime(graph).run(fed)
    for name, wanted in expected:
        assert_equal(found[name], wanted, row.rtol)
    for target in row.targets:
        found = TARGETS[target](read(tmp_path, fed), fed, tmp_path)
        for name, wanted in expected:
            assert_equal(found[name], wanted, row.rtol)


def read(folder: Path, fed: dict[str, np.ndarray], dynamic: bool = False) -> Graph:
    shapes = {name: ("batch", *array.shape[1:]) if dynamic else array.shape for name, array in fed.items()}
    specs = {name: TensorSpec(shape, fed[name].dtype) for name, shape in shapes.items()}
    return load(folder / "row-symbol.json", inputs=specs)


# What is tested by whole models in other files.
TARGET = {"_contrib_MultiBoxTarget", "_npx_multibox_target"}
TRAINING = {"CTCLoss", "ctc_loss", "_contrib_CTCLoss", "_contrib_ctc_loss", *TARGET}
CONTROL = {"_foreach", "_while_loop", "_cond", *(row.op for row in DRAWN)}  # tests/test_mxnet_control.py
ELSEWHERE = {"CuDNNBatchNorm", "Custom", *TRAINING, *CONTROL}


def test_every_operator_has_a_row() -> None:
    import netglot.frontends.mxnet  # noqa: F401  (registers)

    tested = {row.op for row in all_rows()} | ELSEWHERE
    assert sorted(set(registry.ops("mxnet")) - tested) == []
