"""Rows of netglot/frontends/pytorch/operators/sampling.py."""

from __future__ import annotations

import itertools

from tests.ops.table import In
from tests.pytorch_ops.table import Row, T

_PADDINGS = ("zeros", "border", "reflection")


def _grid(*shape: int) -> In:
    return T(*shape, low=-1.6, high=1.6)


def _modes(op: str, x: In, grid: In, interpolations: int) -> list[Row]:
    """Every interpolation with every border, by the corners or not."""
    return [
        Row(op, x, grid, mode, padding, corners, row_dynamic=not mode, name=f"{mode} {_PADDINGS[padding]} {corners:d}")
        for mode, padding, corners in itertools.product(range(interpolations), range(3), (False, True))
    ]


ROWS = [
    *_modes("grid_sampler", T(2, 3, 5, 7), _grid(2, 4, 6, 2), 3),
    Row("grid_sampler", T(1, 2, 4, 5, 6), _grid(1, 3, 2, 4, 3), 0, 1, False, name="three axes"),
    Row("grid_sampler_2d", T(2, 3, 5, 7), _grid(2, 4, 6, 2), 0, 0, False, row_dynamic=True, row_targets=("coreml",)),
    *_modes("grid_sampler_3d", T(1, 2, 4, 5, 6), _grid(1, 3, 2, 4, 3), 2),
    Row("affine_grid_generator", T(2, 2, 3), [2, 3, 5, 7], False, row_dynamic=True, row_targets=("tflite", "cpp")),
    Row("affine_grid_generator", T(2, 2, 3), [2, 3, 5, 7], True, row_dynamic=True, name="corners"),
    Row("affine_grid_generator", T(2, 2, 3), [2, 3, 5, 1], True, name="one corner"),
    Row("affine_grid_generator", T(2, 3, 4), [2, 3, 5, 7, 4], False, row_dynamic=True, name="three axes"),
]
