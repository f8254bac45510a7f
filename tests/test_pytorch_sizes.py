"""Arithmetic of sizes that stay open: small programs, exported by torch and computed at several sizes."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netglot
from netglot.runtimes.onnxruntime import OnnxRuntime

SIZES = (4, 5, 8, 11)

# By the operator that the exported program must hold: a function of torch, a tensor (n, 3) and n.
_NUMBERS: dict[str, Callable[..., Any]] = {
    "_operator.add": lambda torch, x, n: x * (n + 2),
    "_operator.sub": lambda torch, x, n: x * (6 - n),
    "_operator.mul": lambda torch, x, n: x * (n * n),
    "_operator.floordiv": lambda torch, x, n: x * ((n - 7) // 2),
    "_operator.mod": lambda torch, x, n: x * ((n - 7) % 3),
    "_operator.truediv": lambda torch, x, n: x * (n / 3),
    "_operator.neg": lambda torch, x, n: x * -n,
    "_operator.pow": lambda torch, x, n: x * n**3,
    "_operator.lshift": lambda torch, x, n: x * (n << 2),
    "_operator.rshift": lambda torch, x, n: x * (n >> 1),
    "_operator.eq": lambda torch, x, n: x * torch.sym_ite(n == 5, n, 2 * n),
    "_operator.ne": lambda torch, x, n: x * torch.sym_ite(n != 5, n, 2 * n),
    "_operator.lt": lambda torch, x, n: x * torch.sym_ite(n < 8, n, 2 * n),
    "_operator.le": lambda torch, x, n: x * torch.sym_ite(n <= 8, n, 2 * n),
    "_operator.gt": lambda torch, x, n: x * torch.sym_ite(n > 5, n, 2 * n),
    "_operator.ge": lambda torch, x, n: x * torch.sym_ite(n >= 5, n, 2 * n),
    "_operator.and_": lambda torch, x, n: x * torch.sym_ite((n > 4) & (n < 8), n, 2 * n),
    "_operator.or_": lambda torch, x, n: x * torch.sym_ite((n < 5) | (n > 8), n, 2 * n),
    "torch.sym_not": lambda torch, x, n: x * torch.sym_ite(torch.sym_not(n > 5), n, 2 * n),
    "torch.sym_ite": lambda torch, x, n: x * torch.sym_ite(n > 5, n / 4, n / 2),
    "torch.sym_max": lambda torch, x, n: x * torch.sym_max(n, 6),
    "torch.sym_min": lambda torch, x, n: x * torch.sym_min(n, 6),
    "torch.sym_float": lambda torch, x, n: x * (torch.sym_float(n) * 0.3),
    "torch._sym_sqrt": lambda torch, x, n: x * torch._sym_sqrt(n),
    "math.trunc": lambda torch, x, n: x * math.trunc(n * 0.7),
}
_SHAPES: dict[str, Callable[..., Any]] = {
    "size of a view": lambda torch, x, n: x.reshape(-1)[: 2 * n - 1].sum().reshape(1) + torch.zeros(n // 2 + 1),
    "zeros": lambda torch, x, n: torch.zeros(n - 1, n * 2),
    "full": lambda torch, x, n: torch.full((n,), 2 * n),
    "full of a float": lambda torch, x, n: torch.full((2, n), n / 4),
    "new_ones": lambda torch, x, n: x.new_ones(n + 1, 2),
    "arange": lambda torch, x, n: torch.arange(n),
    "arange of floats": lambda torch, x, n: torch.arange(n, dtype=torch.float32),
    "arange down": lambda torch, x, n: torch.arange(n, 0, -1),
    "arange from, to, by": lambda torch, x, n: torch.arange(n, 3 * n, 2),
    "arange by a half": lambda torch, x, n: torch.arange(0, n, 0.5),
    "eye": lambda torch, x, n: torch.eye(n, n + 1),
    "scalar_tensor": lambda torch, x, n: torch.scalar_tensor(n, dtype=torch.int64) * torch.ones(2),
    "number beside int32": lambda torch, x, n: x.to(torch.int32) + n,
    "number beside 0-dim int32": lambda torch, x, n: x.to(torch.int32).sum(dtype=torch.int32) + n,
    "float beside int64": lambda torch, x, n: x.to(torch.int64) * (n / 4),
    "float beside half": lambda torch, x, n: x.half() * (n / 4),
    "compared": lambda torch, x, n: x * 5 > n,
    "item": lambda torch, x, n: x * x.abs().sum().to(torch.int64).item(),
    "item of a float": lambda torch, x, n: x * x.sum().item(),
}


def _exported(function: Callable[..., Any], path: Path) -> tuple[Any, list[str]]:
    torch = pytest.importorskip("torch")

    class Module(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return function(torch, x, x.shape[0])

    module = Module()
    sizes = {0: torch.export.Dim("n", min=3, max=50)}
    program = torch.export.export(module, (torch.ones(7, 3),), dynamic_shapes=(sizes,))
    torch.export.save(program, path)
    return module, [_name(node.target) for node in program.graph.nodes if node.op == "call_function"]


def _name(target: Any) -> str:
    return f"{target.__module__}.{target.__name__}".removeprefix("torch._ops.")


def _compare(module: Any, path: Path) -> None:
    import torch

    runtime = OnnxRuntime(netglot.load(path))
    for n in SIZES:
        x = np.random.default_rng(n).uniform(-2, 2, (n, 3)).astype(np.float32)
        wanted = module(torch.from_numpy(x)).numpy()
        (found,) = runtime.run({"x": x} if runtime.inputs else {}).values()
        assert found.dtype == wanted.dtype
        assert found.shape == wanted.shape
        rtol = 2e-3 if wanted.dtype == np.float16 else 1e-5
        np.testing.assert_allclose(found, wanted, rtol=rtol, atol=1e-6)


@pytest.mark.parametrize("target", _NUMBERS)
def test_arithmetic_of_sizes(target: str, tmp_path: Path) -> None:
    module, targets = _exported(_NUMBERS[target], tmp_path / "m.pt2")
    assert target in targets
    _compare(module, tmp_path / "m.pt2")


@pytest.mark.parametrize("name", _SHAPES)
def test_sizes_and_numbers_that_are_open(name: str, tmp_path: Path) -> None:
    module, _ = _exported(_SHAPES[name], tmp_path / "m.pt2")
    _compare(module, tmp_path / "m.pt2")
