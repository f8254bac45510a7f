"""Trained MXNet networks of others: equal to the real MXNet, and to their Caffe twins."""

from __future__ import annotations

import numpy as np
import pytest

from netglot.convert import load
from netglot.frontends.mxnet import params
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests import mxnet_oracle
from tests.oracles import model

NETWORKS = {"mtcnn_det1": (2, 3, 37, 29), "mtcnn_det2": (3, 3, 24, 24)}


@pytest.mark.parametrize("name", NETWORKS)
def test_equals_mxnet(name: str) -> None:
    path = model(f"mxnet/{name}-symbol.json")
    x = np.random.default_rng(0).uniform(-1, 1, NETWORKS[name]).astype(np.float32)
    arrays = {**params.read(model(f"mxnet/{name}-0001.params")), "data": x}
    expected = mxnet_oracle.run(path.read_text(), arrays)
    graph = load(path, inputs={"data": x.shape})
    assert [value.name for value in graph.outputs] == [output for output, _ in expected]
    found = OnnxRuntime(graph).run({"data": x})
    for output, wanted in expected:
        assert_close(found[output], wanted)


@pytest.mark.parametrize("name", NETWORKS)
def test_equals_its_caffe_twin(name: str) -> None:
    """Which sees height and width exchanged, and the channels in the other order."""
    n, channels, height, width = NETWORKS[name]
    x = np.random.default_rng(1).uniform(-1, 1, NETWORKS[name]).astype(np.float32)
    found = OnnxRuntime(load(model(f"mxnet/{name}-symbol.json"), inputs={"data": x.shape})).run({"data": x})
    twin = load(model(f"caffe/{name}.prototxt"), inputs={"data": (n, channels, width, height)})
    turned = np.ascontiguousarray(x[:, ::-1].transpose(0, 1, 3, 2))
    for ours, theirs in zip(found.values(), OnnxRuntime(twin).run({"data": turned}).values(), strict=True):
        assert_close(ours, theirs.swapaxes(2, 3) if theirs.ndim == 4 else theirs)


def assert_close(actual: np.ndarray, wanted: np.ndarray) -> None:
    assert actual.shape == wanted.shape
    assert np.abs(actual - wanted).max() <= 1e-5 * np.abs(wanted).max()
