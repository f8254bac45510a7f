"""Recurrent modules as torch.export records them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from netglot.errors import UnsupportedError
from netglot.frontends.pytorch import load
from netglot.runtimes.onnxruntime import OnnxRuntime


def _module(name: str, **options: Any) -> Any:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    return getattr(torch.nn, name)(6, 5, batch_first=True, **options).eval()


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_states_of_zeros_are_left_out_for_every_batch(name: str) -> None:
    torch = pytest.importorskip("torch")
    module, x = _module(name, num_layers=2, bidirectional=True, dropout=0.5), torch.randn(2, 4, 6)
    graph = load(torch.export.export(module, (x,), dynamic_shapes=({0: torch.export.Dim("batch")},)))
    layers = [node for node in graph.nodes() if node.op == name]
    assert len(layers) == 2
    assert all(len(node.inputs) == 4 for node in layers)  # x, weights, recurrent weights, biases
    more = torch.randn(3, 4, 6)
    found = OnnxRuntime(graph).run({graph.inputs[0].name: more.numpy()})
    with torch.no_grad():
        wanted = module(more)
    np.testing.assert_allclose(found[graph.outputs[0].name], wanted[0].numpy(), atol=1e-6)


def test_projections_are_refused_with_a_way_out() -> None:
    torch = pytest.importorskip("torch")
    module, x = _module("LSTM", proj_size=3), torch.randn(2, 4, 6)
    exported = torch.export.export(module, (x,))
    with pytest.raises(UnsupportedError, match="proj_size"):
        load(exported)
    graph = load(exported.run_decompositions())
    found = OnnxRuntime(graph).run({graph.inputs[0].name: x.numpy()})
    with torch.no_grad():
        wanted = module(x)[0].numpy()
    np.testing.assert_allclose(found[graph.outputs[0].name], wanted, atol=1e-6)


def test_dropout_between_layers_in_training_is_refused() -> None:
    torch = pytest.importorskip("torch")
    module = _module("GRU", num_layers=2, dropout=0.5).train()
    with pytest.raises(UnsupportedError, match="training mode"):
        load(torch.export.export(module, (torch.randn(2, 4, 6),)))
