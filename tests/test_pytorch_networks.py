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
