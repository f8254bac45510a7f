"""Operators that targets are given composed of others (netglot/backends/composed)."""

import numpy as np

from tests.ops.table import IMAGE, In, Row, const, ints

SMALL = In((2, 3, 6, 7))
GRID = In((2, 3, 5, 2), low=-1.3, high=1.3)
PLACES = In((2, 4, 3), "int64", -5, 4)

ROWS = [
    Row("Asinh", (IMAGE,)),
    Row("Asinh", (In((50,), low=-1e-5, high=1e-5),), name="near-zero"),
    Row("Asinh", (In((50,), low=-1e30, high=1e30),), name="large"),
    Row("Acosh", (In((50,), low=1, high=9),)),
    Row("Acosh", (In((50,), low=1, high=1.001),), name="near-one"),
    Row("Acosh", (In((50,), low=1, high=1e30),), name="large"),
    Row("Atanh", (In((50,), low=-0.99, high=0.99),)),
    Row("Atanh", (In((50,), low=-1e-5, high=1e-5),), name="near-zero"),
    Row("Sinh", (In((50,), low=-1e-3, high=1e-3),), name="near-zero"),
    Row("Erf", (In((99,), low=-9, high=9),), name="far"),
    Row("IsInf", (In((5,)),)),
    Row("Mod", (In((3, 5), "int32", -9, 9), In((3, 5), "int32", 2, 4)), {"fmod": 1}, name="fmod-int32"),
    Row("Mod", (In((3, 5), "int64", -9, 9), In((3, 5), "int64", -4, -2)), {"fmod": 1}, name="fmod-int64"),
    Row("CumProd", (IMAGE, np.array(1))),
    Row("CumProd", (IMAGE, np.array(3)), {"exclusive": 1, "reverse": 1}, name="reverse"),
    Row("Trilu", (IMAGE, np.array(1)), {"upper": 0}),
    Row("Trilu", (In((5, 4), "int32"),), name="int32"),
    Row("Hardmax", (IMAGE,), {"axis": 1}),
    Row("GatherElements", (In((3, 4, 5)), In((3, 2, 5), "int64", -4, 3)), {"axis": 1}),
    Row("GatherElements", (In((3, 4, 5)), In((2, 4, 3), "int64", -3, 2)), {"axis": 0}, name="fewer"),
    *(
        Row("ScatterElements", (In((4, 5, 3)), PLACES, In((2, 4, 3))), {"axis": 1, "reduction": how}, name=how)
        for how in ("none", "add", "mul", "max", "min")
    ),
    *(
        Row("ScatterND", (In((4, 5, 3)), In((2, 3, 2), "int64", -4, 3), In((2, 3, 3))), {"reduction": how}, name=how)
        for how in ("none", "add", "mul", "max", "min")
    ),
    Row("ScatterND", (In((4, 5, 3)), ints(3, 0, -3).reshape(3, 1), In((3, 5, 3))), name="constant"),
    Row("GatherND", (In((4, 5, 3)), In((2, 2), "int64", -4, 3)), name="from-the-end"),
    Row("GatherND", (In((4, 5, 3)), In((4, 6, 2), "int64", -3, 2)), {"batch_dims": 1}, name="batch"),
    Row("ReverseSequence", (In((4, 5, 3)), In((5,), "int64", 1, 4))),
    Row("MaxUnpool", (SMALL, np.random.default_rng(0).permutation(2 * 3 * 12 * 14)[:252].reshape(2, 3, 6, 7)),
        {"kernel_shape": (2, 2), "strides": (2, 2)}),
    *(
        Row("GridSample", (SMALL, GRID), {"mode": mode, "padding_mode": padding, "align_corners": corners},
            name=f"{mode}-{padding}-{corners}")
        for mode, padding, corners in (
            ("linear", "zeros", 0), ("linear", "border", 1), ("linear", "reflection", 0), ("linear", "reflection", 1),
            ("nearest", "zeros", 0), ("nearest", "reflection", 0), ("cubic", "zeros", 1), ("cubic", "border", 0),
            ("cubic", "reflection", 0),
        )
    ),
    Row("GridSample", (In((2, 2, 3, 4, 5)), In((2, 2, 3, 2, 3), low=-1.2, high=1.2)), {"mode": "linear"}, name="3d"),
    Row("DFT", (In((2, 7, 3, 1)), None, np.array(1)), {"onesided": 1}),
    Row("DFT", (In((2, 7, 3, 2)), None, np.array(1)), name="complex"),
    Row("DFT", (In((2, 7, 3, 2)), np.array(9), np.array(1)), {"inverse": 1}, name="inverse"),
    Row("DFT", (In((2, 7, 3, 1)), np.array(5), np.array(-2)), {"onesided": 1}, name="cut"),
    Row("STFT", (In((2, 33, 1)), np.array(4), const((8,)), np.array(8)), {"onesided": 1}),
    Row("MaxPool", (IMAGE,), {"kernel_shape": (3, 2), "strides": (2, 1), "pads": (1, 1, 0, 1), "dilations": (2, 1)},
        outputs=2, name="where"),
    Row("MaxPool", (IMAGE,), {"kernel_shape": (2, 3), "dilations": (2, 2)}, name="dilated"),
    Row("AveragePool", (IMAGE,), {"kernel_shape": (2, 3), "dilations": (2, 2), "pads": (1, 1, 1, 1)}, name="dilated"),
    Row("LpPool", (IMAGE,), {"kernel_shape": (3, 3), "strides": (2, 2), "pads": (1, 1, 1, 1), "p": 2}),
    Row("LpPool", (IMAGE,), {"kernel_shape": (3, 2), "p": 3}, name="p3"),
    Row("GlobalLpPool", (IMAGE,), {"p": 2}),
    Row("Col2Im", (In((2, 3 * 6, 8)), ints(6, 5), ints(2, 3)),
        {"pads": (0, 0, 0, 1), "dilations": (2, 1), "strides": (1, 2)}),
    Row("Resize", (IMAGE, None, None, ints(2, 6, 5, 4)), {"mode": "linear", "antialias": 1}, name="antialias"),
    Row("Resize", (IMAGE, None, None, ints(2, 6, 5, 20)), {"mode": "cubic", "antialias": 1}, name="antialias-cubic"),
    Row("Resize", (IMAGE, None, None, ints(2, 6, 5, 13)), {"mode": "cubic"}, name="cubic"),
    Row("Resize", (IMAGE, None, np.array([1, 1, 1.7, 2.3], np.float32)), {"mode": "linear"}, name="linear-scales"),
    Row("Resize", (In((2, 3, 5, 6, 7)), None, None, ints(2, 3, 7, 9, 4)), {"mode": "linear"}, name="3d"),
    Row("Einsum", (In((4, 4)),), {"equation": "ii->i"}, name="diagonal"),
    Row("Einsum", (In((2, 3, 3)),), {"equation": "bii->b"}, name="trace"),
    Row("Einsum", (In((2, 3)), In((4, 3, 5)), In((2, 5))), {"equation": "bn,anm,bm->ba"}, name="three"),
    Row("Einsum", (In((2, 3, 4)), In((5, 4, 3))), {"equation": "bnm,cmn->cb"}, name="two"),
    Row("Einsum", (In((2, 1, 3, 4)), In((1, 5, 4, 6))), {"equation": "...ij,...jk->...ik"}, name="ellipsis"),
    Row("Einsum", (In((2, 3)), In((4,))), {"equation": "ab,c->cab"}, name="outer"),
    Row("Pow", (In((9,), "int32", -5, 5), np.array(3, np.int32)), name="int32"),
    Row("Pad", (IMAGE, ints(1, 0, 3, 2, 0, 1, 0, 3)), {"mode": "wrap"}, name="wrap"),
    Row("Pad", (IMAGE, ints(1, 0, 3, 2, 0, 1, 0, 3)), {"mode": "edge"}, name="edge-many"),
]  # fmt: skip
