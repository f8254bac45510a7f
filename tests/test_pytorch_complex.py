"""Complex numbers inside of a network, by programs that torch itself exports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netglot.errors import UnsupportedError
from netglot.frontends.pytorch import load
from netglot.frontends.pytorch.builder import COMPLEX
from netglot.registry import registry
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests.pytorch_ops.table import all_rows


def test_every_function_for_complex_tensors_has_a_row() -> None:
    tested = {row.target for row in all_rows() if row.name.startswith("complex")}
    assert set(registry.ops(COMPLEX)) <= tested


def _rotary() -> Any:
    """The rotary embedding as Llama's reference implementation writes it."""
    torch = pytest.importorskip("torch")

    class Rotary(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            angles = torch.outer(torch.arange(16.0), 10000.0 ** (-torch.arange(0, 6, 2) / 6))
            self.register_buffer("turns", torch.polar(torch.ones_like(angles), angles))

        def forward(self, q: Any, k: Any) -> Any:
            turns = self.turns[: q.shape[1]].view(1, q.shape[1], 1, -1)
            pairs = (torch.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2)) for x in (q, k))
            return tuple(torch.view_as_real(x * turns).flatten(3).type_as(q) for x in pairs)

    return Rotary().eval()


@pytest.mark.parametrize("kind", ["training", "core", "file"])
@pytest.mark.parametrize("dynamic", [False, True])
def test_rotary_embedding(kind: str, dynamic: bool, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    network, q, k = _rotary(), torch.randn(2, 5, 3, 6), torch.randn(2, 5, 1, 6)
    sizes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("steps", max=16)}
    exported = torch.export.export(network, (q, k), dynamic_shapes=(sizes, sizes) if dynamic else None)
    exported = exported.run_decompositions() if kind == "core" else exported
    if kind == "file":
        torch.export.save(exported, tmp_path / "rotary.pt2")
    graph = load(tmp_path / "rotary.pt2" if kind == "file" else exported)
    if dynamic:
        q, k = torch.randn(3, 7, 3, 6), torch.randn(3, 7, 1, 6)
    found = OnnxRuntime(graph).run({"q": q.numpy(), "k": k.numpy()})
    for value, wanted in zip(graph.outputs, network(q, k), strict=True):
        np.testing.assert_allclose(found[value.name], wanted.numpy(), atol=1e-5)


def _exported(forward: Any, *args: Any) -> Any:
    torch = pytest.importorskip("torch")
    network = type("Network", (torch.nn.Module,), {"forward": lambda self, *xs: forward(*xs)})()
    return torch.export.export(network, args)


def test_spectrogram() -> None:
    torch = pytest.importorskip("torch")
    window, x = torch.hann_window(16), torch.randn(2, 70)

    def power(x: Any) -> Any:
        return torch.stft(x, 16, 4, window=window, return_complex=True).abs() ** 2

    for exported in (_exported(power, x), _exported(power, x).run_decompositions()):
        graph = load(exported)
        (found,) = OnnxRuntime(graph).run({graph.inputs[0].name: x.numpy()}).values()
        wanted = power(x).numpy()
        assert np.abs(found - wanted).max() <= 1e-5 * wanted.max()


def test_a_complex_input_or_output_is_refused() -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(UnsupportedError, match=r"the output .* is complex"):
        load(_exported(lambda x: torch.view_as_complex(x), torch.randn(3, 2)))
    with pytest.raises(UnsupportedError, match=r"the input .* is complex"):
        load(_exported(lambda x: torch.view_as_real(x), torch.randn(3, dtype=torch.complex64)))


def test_an_operator_of_real_numbers_says_so() -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(UnsupportedError, match="of complex numbers"):
        load(_exported(lambda x: torch.view_as_real(torch.tan(torch.view_as_complex(x))), torch.randn(3, 2)))
