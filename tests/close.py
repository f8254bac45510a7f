"""What a framework computed and what a target did, element by element."""

from __future__ import annotations

import numpy as np


def assert_equal(actual: np.ndarray, wanted: np.ndarray, rtol: float) -> None:
    """Same type and shape; integers, NaN and infinity alike; other numbers within `rtol` of the largest value."""
    assert actual.dtype == wanted.dtype
    assert actual.shape == wanted.shape
    if wanted.dtype.kind in "biuSO":
        np.testing.assert_array_equal(actual, wanted)
        return
    if wanted.dtype.kind != "c":  # NumPy does not compute with bfloat16
        actual, wanted = actual.astype(np.float64), wanted.astype(np.float64)
    np.testing.assert_array_equal(np.isnan(actual), np.isnan(wanted))
    finite = np.isfinite(wanted)
    np.testing.assert_array_equal(actual[~finite & ~np.isnan(wanted)], wanted[~finite & ~np.isnan(wanted)])
    scale = max(1e-30, float(np.abs(wanted[finite]).max(initial=0)))
    error = float(np.abs(actual[finite] - wanted[finite]).max(initial=0))
    assert error <= rtol * scale, f"differs by {error / scale:.2e} of the largest value"
