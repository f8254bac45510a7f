"""Rows of matrices and contractions."""

from __future__ import annotations

import numpy as np

from tests.ops.table import In, const
from tests.tensorflow_ops.table import Row


def number(value: int) -> np.ndarray:
    return np.array(value, np.int32)


def band(low: int, high: int) -> np.ndarray:
    return np.array([low, high], np.int32)


_BANDS = {"above": number(1), "below": number(-2), "band": band(-1, 2), "upper": band(0, 2)}
_ALIGNMENTS = ["LEFT_LEFT", "RIGHT_LEFT", "LEFT_RIGHT", "RIGHT_RIGHT"]
NONE = number(-1)


def packed(rows: int, columns: int, k: np.ndarray) -> tuple[int, ...]:
    """The shape of the packed diagonals of a batch of 2."""
    low, high = int(k.min()), int(k.max())
    longest = max(min(rows + min(0, d), columns - max(0, d)) for d in range(low, high + 1))
    return (2, longest) if k.ndim == 0 else (2, high - low + 1, longest)


ROWS = [
    *(
        Row(
            "MatMul",
            {
                "a": In((7, 3) if ta else (3, 7)),
                "b": const((5, 7) if tb else (7, 5)),
                "transpose_a": ta,
                "transpose_b": tb,
            },
            f"{ta}-{tb}",
        )
        for ta in (False, True)
        for tb in (False, True)
    ),
    Row("MatMul", {"a": In((3, 7), "int32", -9, 9), "b": In((7, 5), "int32", -9, 9)}, "ints"),
    Row("MatMul", {"a": In((3, 7)), "b": const((7, 5))}, "dense", targets=("tflite",)),
    Row("MatMul", {"a": In((3, 7)), "b": In((7, 5))}, "dynamic", dynamic=True),
    Row("SparseMatMul", {"a": In((3, 7)), "b": In((5, 7)), "transpose_b": True, "a_is_sparse": True}),
    *(Row(op, {"x": In((2, 3, 7)), "y": In((2, 5, 7)), "adj_y": True}) for op in ("BatchMatMul", "BatchMatMulV2")),
    Row("BatchMatMulV2", {"x": In((2, 1, 7, 3)), "y": In((4, 7, 5)), "adj_x": True}, "broadcast"),
    Row("BatchMatMulV3", {"x": In((2, 3, 7)), "y": In((2, 7, 5)), "Tout": np.float32}),
    Row("Cross", {"a": In((4, 5, 3)), "b": In((4, 5, 3))}),
    Row("MatrixDeterminant", {"input": In((3, 4, 4))}),
    *(
        Row(
            "MatrixBandPart",
            {"input": In((2, 5, 7), dtype), "num_lower": number(lower), "num_upper": number(upper)},
            f"{dtype}{lower}{upper}",
        )
        for dtype, lower, upper in (("float32", 1, 2), ("float32", -1, 0), ("float32", 0, -1), ("int32", 2, 1))
    ),
    Row("MatrixDiag", {"diagonal": In((2, 4))}),
    Row("MatrixDiag", {"diagonal": In((3, 2, 4), "int32")}, "ints"),
    Row("MatrixDiagPart", {"input": In((2, 4, 5))}),
    Row("MatrixSetDiag", {"input": In((2, 4, 5)), "diagonal": In((2, 4))}),
    Row(
        "MatrixDiagV2",
        {"diagonal": In((2, 3)), "k": number(1), "num_rows": NONE, "num_cols": NONE, "padding_value": np.float32(7)},
    ),
    *(
        Row(
            "MatrixDiagV3",
            {
                "diagonal": In(packed(4, 5, k)),
                "k": k,
                "num_rows": number(4),
                "num_cols": number(5),
                "padding_value": np.float32(7),
                "align": align,
            },
            f"{name}-{align}",
        )
        for name, k in _BANDS.items()
        for align in _ALIGNMENTS
    ),
    *(
        Row(
            "MatrixDiagV3",
            {
                "diagonal": In((2, 3)),
                "k": number(k),
                "num_rows": number(rows),
                "num_cols": number(columns),
                "padding_value": np.float32(0),
            },
            f"size{k}{rows}{columns}",
        )
        for k, rows, columns in ((1, -1, -1), (-2, -1, -1), (1, -1, 4), (-1, 4, -1), (0, 3, 5))
    ),
    Row("MatrixDiagPartV2", {"input": In((2, 4, 5)), "k": band(-1, 1), "padding_value": np.float32(9)}),
    *(
        Row(
            "MatrixDiagPartV3",
            {"input": In((2, 4, 5)), "k": k, "padding_value": np.float32(9), "align": align},
            f"{name}-{align}",
        )
        for name, k in _BANDS.items()
        for align in _ALIGNMENTS
    ),
    Row("MatrixSetDiagV2", {"input": In((2, 4, 5)), "diagonal": In((2, 3, 4)), "k": band(-1, 1)}),
    *(
        Row(
            "MatrixSetDiagV3",
            {"input": In((2, 4, 5)), "diagonal": In(packed(4, 5, k)), "k": k, "align": align},
            f"{name}-{align}",
        )
        for name, k in _BANDS.items()
        for align in _ALIGNMENTS
    ),
    Row("Diag", {"diagonal": In((2, 3))}),
    Row("DiagPart", {"input": In((2, 3, 2, 3))}),
    *(
        Row("Einsum", {"inputs": [In(a), In(b)], "equation": equation}, equation.replace(",", "_").replace("->", "_"))
        for equation, a, b in (
            ("ab,bc->ac", (3, 5), (5, 7)),
            ("abc,cde->abde", (2, 3, 5), (5, 4, 7)),
            ("aecd,abcd->acbe", (2, 3, 5, 4), (2, 6, 5, 4)),
            ("acbe,aecd->abcd", (2, 3, 5, 4), (2, 4, 3, 7)),
            ("abcd,cde->abe", (2, 3, 5, 4), (5, 4, 7)),
            ("ab,ab->ab", (3, 5), (3, 5)),
            ("ab,ab->a", (3, 5), (3, 5)),
            ("ij,jk->k", (3, 5), (5, 7)),
            ("...ab,...bc->...ac", (2, 3, 5), (5, 7)),
            ("...ab,cb->...ac", (2, 6, 3, 5), (7, 5)),
            ("ab,cd->acbd", (3, 5), (2, 7)),
            ("abc,dc->abd", (2, 3, 5), (7, 5)),
            ("abc,c->ab", (2, 3, 5), (5,)),
        )
    ),
    Row("Einsum", {"inputs": [In((3, 3))], "equation": "ii->i"}, "diagonal"),
    Row("Einsum", {"inputs": [In((2, 3, 5)), In((5, 4, 7))], "equation": "abc,cde->abde"}, "dynamic", dynamic=True),
    Row(
        "Einsum",
        {"inputs": [In((2, 3, 5)), const((5, 4, 7))], "equation": "abc,cde->abde"},
        "dense",
        targets=("tflite",),
    ),
]
