"""Whole PyTorch networks to every target, against torch itself."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from netglot.convert import convert
from tests.torch_models import NETWORKS

TARGETS = (".onnx", ".tflite", ".mlpackage")


@cache
def exported(name: str) -> Any:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module, args = NETWORKS[name]()
    return torch.export.export(module, args)


@pytest.mark.parametrize("suffix", TARGETS)
@pytest.mark.parametrize("name", NETWORKS)
def test_network(name: str, suffix: str, tmp_path: Path) -> None:
    report = convert(exported(name), tmp_path / f"net{suffix}", samples=2)
    assert report.ok, str(report)
    assert report.expected_by.startswith("PyTorch")
    assert report.rtol == 1e-5


@pytest.mark.parametrize("name", NETWORKS)
def test_what_comes_out_depends_on_what_goes_in(name: str) -> None:
    """By a hundred times what is allowed: a network that gives the same for every input proves nothing."""
    import torch
    from torch.utils._pytree import tree_leaves

    program = exported(name)
    args = program.example_inputs[0]
    torch.manual_seed(1)
    other = tuple(torch.randint_like(x, 0, 9) if not x.is_floating_point() else torch.randn_like(x) for x in args)
    one, two = (tree_leaves(program.module()(*each)) for each in (args, other))
    pairs = [(a, b) for a, b in zip(one, two, strict=True) if a.is_floating_point()]
    assert any(a.shape != b.shape or bool((a - b).abs().max() > 1e-3 * a.abs().max()) for a, b in pairs)
