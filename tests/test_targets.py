"""Every row of the op table through every backend, against ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from netglot.errors import ConversionError
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests.ops.table import Row, all_rows
from tests.targets import TARGETS, has

# (target, row) that the target can't express, with the reason. A row here must really fail: the list can't rot.
REFUSED: dict[tuple[str, str], str] = {
    ("cpp", row.id): "C\\+\\+ code is for fixed shapes"
    for row in all_rows()
    if row.op in ("NonMaxSuppression", "NonZero", "Compress")
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("row", all_rows(), ids=lambda row: row.id)
def test_row(row: Row, target: str, tmp_path: Path) -> None:
    if (target, row.id) in REFUSED:
        with pytest.raises(ConversionError, match=REFUSED[target, row.id]):
            TARGETS[target](row.graph(), row.feed(), tmp_path)
        return
    if not has(target, row.op, row.domain):
        pytest.fail(f"{target} has no {row.op}")
    expected = OnnxRuntime(row.graph()).run(row.feed())
    graph = row.graph()
    graph.check()
    actual = TARGETS[target](graph, row.feed(), tmp_path)
    graph.check()
    assert list(actual) == list(expected)
    for name, wanted in expected.items():
        assert_close(actual[name], wanted, row.rtol)


def assert_close(actual: np.ndarray, wanted: np.ndarray, rtol: float) -> None:
    """Same shape, and every element within rtol of the largest; integers and truth values are equal."""
    assert actual.shape == wanted.shape
    if wanted.dtype.kind in "biu":
        np.testing.assert_array_equal(actual, wanted)
        return
    scale = max(1e-30, float(np.abs(wanted.astype(np.float64)).max(initial=0)))
    error = float(np.abs(actual.astype(np.float64) - wanted.astype(np.float64)).max(initial=0))
    assert error / scale <= rtol, f"differs by {error / scale:.2e} of the largest value"
