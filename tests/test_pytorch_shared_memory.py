"""Weights that a program changes when it runs, and weights that lie in one memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netglot
from netglot.errors import UnsupportedError
from netglot.frontends.pytorch import aliases
from netglot.frontends.pytorch.program import Program
from netglot.frontends.pytorch.sources import of_exported
from netglot.runtimes.onnxruntime import OnnxRuntime
from netglot.runtimes.pytorch import PyTorch

torch = pytest.importorskip("torch")
X = np.arange(6, dtype=np.float32)


class Shared(torch.nn.Module):
    """Two buffers, of which the second is the first or a part of it."""

    def __init__(self, part: Any, *, is_read_before: bool = False) -> None:
        super().__init__()
        memory = torch.arange(6.0)
        self.register_buffer("one", memory)
        self.register_buffer("two", memory[part])
        self.register_buffer("other", torch.ones(3))
        self.is_read_before = is_read_before

    def forward(self, x: Any) -> Any:
        before = self.two * 2
        self.one.add_(x)
        return before + self.other if self.is_read_before else self.two * 2 + self.other


def exported(module: Any, path: Path | None = None) -> Any:
    program = torch.export.export(module, (torch.from_numpy(X),))
    if path is None:
        return program
    torch.export.save(program, path)
    return path


@pytest.mark.parametrize("is_file", [False, True])
def test_a_change_that_another_buffer_shows_is_refused(tmp_path: Path, is_file: bool) -> None:
    source = exported(Shared(slice(1, 4)), tmp_path / "net.pt2" if is_file else None)
    with pytest.raises(UnsupportedError, match="changes a tensor that is also seen as 'b_two'"):
        netglot.load(source)


@pytest.mark.parametrize("is_file", [False, True])
def test_what_was_read_before_the_change_stays(tmp_path: Path, is_file: bool) -> None:
    source = exported(Shared(slice(1, 4), is_read_before=True), tmp_path / "net.pt2" if is_file else None)
    graph = netglot.load(source)
    found = OnnxRuntime(graph).run({"x": X})
    np.testing.assert_array_equal(found[graph.outputs[0].name], X[1:4] * 2 + 1)
    assert {"'one'", "'two'"} <= {word for note in graph.warnings for word in str(note).split()}


def test_one_buffer_by_two_names_is_changed_as_one() -> None:
    graph = netglot.load(exported(SameTwice()))
    np.testing.assert_array_equal(OnnxRuntime(graph).run({"x": X})[graph.outputs[0].name], X * 4)


class SameTwice(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("one", torch.arange(6.0))
        self.register_buffer("two", self.one)

    def forward(self, x: Any) -> Any:
        self.one.add_(x)
        return self.two * 2


def test_weights_apart_share_nothing() -> None:
    program: Program = of_exported(exported(Shared(slice(1, 4))), "net")
    assert program.body.shared == (frozenset({"b_one", "b_two"}),)


class Einsum(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(6, 2))

    def forward(self, x: Any) -> Any:
        y = torch.einsum("i,ij->j", x, self.weight)
        y.mul_(2)
        return y + self.weight[0]


def test_an_einsum_of_several_is_a_new_tensor() -> None:
    program = of_exported(exported(Einsum()), "net")
    assert not aliases.changed_inputs(program.body)
    assert not netglot.load(exported(Einsum())).warnings


class Scaled(torch.nn.Module):
    """As RWKV: it scales its weights when it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.arange(6.0))

    def forward(self, x: Any) -> Any:
        with torch.no_grad():
            self.weight.div_(2)
        return x * self.weight


def test_a_parameter_that_is_changed_is_changed_in_a_copy(tmp_path: Path) -> None:
    module = Scaled()
    program = exported(module)
    path = exported(module, tmp_path / "net.pt2")
    for source in (program, path):
        runtime = PyTorch(source)
        for _ in range(2):
            (found,) = runtime.run({"x": X}).values()
            np.testing.assert_array_equal(found, X * X / 2)
    assert netglot.convert(path, tmp_path / "net.onnx").ok
