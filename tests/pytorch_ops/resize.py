"""Rows of netglot/frontends/pytorch/operators/resize.py."""

from __future__ import annotations

from tests.ops.table import In
from tests.pytorch_ops.table import Row, T

_ALL = ("tflite", "coreml", "cpp")
_X1, _X2, _X3 = T(2, 3, 7), T(2, 3, 5, 7), T(1, 2, 4, 5, 7)


def _nearest(name: str) -> list[Row]:
    return [
        Row(f"{name}1d", _X1, [11], row_dynamic=True),
        Row(f"{name}1d", _X1, [11], 1.5, row_dynamic=True, name="scale"),
        Row(f"{name}1d", _X1, [4], 0.6, row_dynamic=True, name="smaller scale"),
        Row(f"{name}1d", T(1, 1, 49), [100], name="rounding"),
        Row(f"{name}1d.vec", _X1, None, [1.7], row_dynamic=True, row_targets=("tflite",)),
        Row(f"{name}1d.vec", _X1, [3], None, name="sizes"),
        Row(f"{name}2d", _X2, [9, 4], row_dynamic=True),
        Row(f"{name}2d", _X2, [10, 21], 2.0, 3.0, row_dynamic=True, name="scales"),
        Row(f"{name}2d", _X2, [11, 20], 2.0, 3.0, row_dynamic=True, name="sizes beside scales"),
        Row(f"{name}2d", T(2, 3, 5, 7, dtype="uint8", low=0, high=200), [9, 14], name="uint8"),
        Row(f"{name}2d", T(2, 3, 5, 7, dtype="float64"), [9, 4], row_dynamic=True, name="float64"),
        Row(f"{name}2d.vec", _X2, None, [2.0, 3.0], row_dynamic=True, row_targets=_ALL),
        Row(f"{name}2d.vec", _X2, None, [1.3, 0.7], row_dynamic=True, name="odd scales"),
        Row(f"{name}2d.vec", _X2, None, [1.5, 0.75], row_dynamic=True, name="exact scales"),
        Row(f"{name}2d.vec", _X2, [8, 3], None, row_dynamic=True, name="sizes"),
        Row(f"{name}2d.vec", _X2, None, [1.15, 2.1], row_dynamic=True, name="scales of no effect"),
        Row(f"{name}2d.vec", _X2, None, [1.125, 2.125], row_dynamic=True, name="exact scales of no effect"),
        Row(f"{name}3d.vec", _X3, None, [1.15, 2.1, 1.0], row_dynamic=True, name="scales of no effect"),
        Row(f"{name}3d", _X3, [7, 3, 9], row_dynamic=True),
        Row(f"{name}3d", _X3, [6, 7, 9], 1.5, 1.5, 1.3, row_dynamic=True, name="scales"),
        Row(f"{name}3d.vec", _X3, None, [2.0, 1.5, 0.5], row_dynamic=True),
    ]


def _smooth(name: str, x: In, sizes: list[int], targets: tuple[str, ...] = ()) -> list[Row]:
    rank, aa = len(sizes), "_aa" in name
    odd, exact = [1.3, 0.7, 2.1][:rank], [2.0, 1.5, 0.5][:rank]
    other = [int(size * scale) for size, scale in zip(x.shape[2:], odd, strict=True)]
    return [
        Row(name, x, sizes, False, row_dynamic=True),
        Row(name, x, sizes, True, row_dynamic=not aa, name="corners"),
        Row(name, x, [1] * rank, False, row_dynamic=True, name="one"),
        Row(name, x, [1] * rank, True, row_dynamic=not aa, name="one corner"),
        Row(name, x, other, False, *odd, row_dynamic=not aa, name="scales"),
        Row(name, x, [size + 1 for size in other], False, *odd, row_dynamic=not aa, name="sizes beside scales"),
        Row(name, x, other, True, *odd, row_dynamic=not aa, name="corners and scales"),
        Row(f"{name}.vec", x, sizes, False, None, row_dynamic=True, row_targets=targets),
        Row(f"{name}.vec", x, None, False, odd, row_dynamic=not aa, name="odd scales"),
        Row(f"{name}.vec", x, None, False, exact, row_dynamic=True, name="exact scales"),
        Row(f"{name}.vec", x, None, False, [1.125, 1.05, 1.1][:rank], row_dynamic=not aa, name="scales of no effect"),
        Row(f"{name}.vec", x, None, True, exact, row_dynamic=not aa, row_targets=targets, name="corners"),
    ]


ROWS = [
    *_nearest("upsample_nearest"),
    *_nearest("_upsample_nearest_exact"),
    *_smooth("upsample_linear1d", _X1, [4]),
    *_smooth("upsample_bilinear2d", _X2, [9, 4], _ALL),
    *_smooth("upsample_trilinear3d", _X3, [7, 3, 9]),
    *_smooth("upsample_bicubic2d", _X2, [9, 4]),
    *_smooth("_upsample_bilinear2d_aa", T(2, 3, 9, 13), [4, 15]),
    *_smooth("_upsample_bicubic2d_aa", T(2, 3, 9, 13), [4, 15]),
    Row("_upsample_lanczos2d_aa", T(2, 3, 9, 13), [4, 15], False),
    Row("_upsample_lanczos2d_aa", T(2, 3, 9, 13), [4, 15], True, name="corners"),
    Row("_upsample_lanczos2d_aa.vec", T(2, 3, 9, 13), None, False, [1.3, 0.45]),
    Row("_upsample_lanczos2d_aa.vec", T(2, 3, 9, 13), [20, 7], False, None, name="sizes"),
    Row("upsample_bilinear2d", T(2, 3, 5, 7, dtype="bfloat16"), [9, 4], False, row_rtol=1e-2, name="bfloat16"),
    Row("upsample_bilinear2d", T(2, 3, 5, 7, dtype="float16"), [9, 4], False, row_rtol=2e-3, name="float16"),
    Row(
        "upsample_bilinear2d.vec",
        T(2, 3, 5, 7, dtype="float16"),
        None,
        False,
        [1.3, 2.1],
        row_dynamic=True,
        row_rtol=2e-3,
        name="float16",
    ),
    Row("upsample_bilinear2d", T(2, 3, 5, 7, dtype="float64"), [9, 4], False, row_dynamic=True, name="float64"),
    Row("upsample_bicubic2d", T(2, 3, 5, 7, dtype="float64"), [9, 4], True, row_dynamic=True, name="float64"),
]
