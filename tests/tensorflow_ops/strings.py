"""Rows: strings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tests.ops.table import In
from tests.tensorflow_ops.shape import ints
from tests.tensorflow_ops.table import Row

TYPES = {name: np.dtype(name) for name in ("float32", "float64", "int32", "int64")}


def words(*items: object) -> np.ndarray:
    return np.array(items, object)


def of(*shape: int) -> In:
    return In(shape, "object")


def fed(op: str, argument: str, items: Sequence[object], name: str = "", dynamic: bool = False, **rest: object) -> Row:
    """The strings are fed as `argument`."""
    data = words(*items)
    return Row(op, {argument: of(*data.shape), **rest}, name, values={argument: data}, dynamic=dynamic)


ROWS = [
    Row("AsString", {"input": In((2, 3), "int32", -99, 99)}),
    Row("AsString", {"input": In((5,), "int64", -99, 99)}, "int64", dynamic=True),
    Row("AsString", {"input": In((5,), "bool")}, "bool"),
    *(
        fed("StringToNumber", "string_tensor", ("12", "-7", "0"), name, out_type=dtype) for name, dtype in TYPES.items()
    ),
    fed("StringToNumber", "string_tensor", (" 1.5", "-2e3", "inf"), "floats", dynamic=True, out_type=TYPES["float32"]),
    Row("StringJoin", {"inputs": [of(3), of(3)]}, values={"inputs_0": words("a", "", "é"), "inputs_1": words(*"xyz")}),
    Row("StringJoin", {"inputs": [of(2), words("1", "2"), of(2)], "separator": ", "}, "separator", dynamic=True,
        values={"inputs_0": words("a", ""), "inputs_2": words("b", "c")}),
    Row("StringJoin", {"inputs": [of(2)]}, "one", values={"inputs_0": words("a", "b")}),
    Row("ReduceJoin", {"inputs": of(2, 3), "reduction_indices": ints(-1), "separator": "-"},
        values={"inputs": words(*"abcdef").reshape(2, 3)}),
    Row("ReduceJoin", {"inputs": of(2, 3, 2), "reduction_indices": ints(2, 0), "keep_dims": True}, "axes",
        values={"inputs": words(*"abcdefghijkl").reshape(2, 3, 2)}),
    Row("ReduceJoin", {"inputs": of(3), "reduction_indices": np.zeros(0, np.int32)}, "none",
        values={"inputs": words("a", "b", "c")}),
    fed("StringLower", "input", ("Straße ÄÖ", "", "X y 1")),
    fed("StringLower", "input", (("Ab", "C"), ("d", "EF")), "matrix", dynamic=True),
    fed("StringUpper", "input", ("Straße äö", "", "X y 1"), dynamic=True),
    fed("StringUpper", "input", (("Ab", "C"), ("d", "EF")), "matrix"),
    fed("StaticRegexFullMatch", "input", ("aab", "xaab", ""), pattern="a+b"),
    fed("StaticRegexFullMatch", "input", (("12", "3"), ("x", "4\n")), "matrix", dynamic=True, pattern=r"\d*"),
    fed("RegexFullMatch", "input", ("aab", "xaab", ""), pattern=words("a+b").reshape(())),
    fed("StringSplitV2", "input", ("a--b-", "", "-c"), sep=words("-").reshape(())),
    fed("StringSplitV2", "input", ("", ""), "empty", sep=words("-").reshape(())),
    fed("StringSplitV2", "input", (" a  b ", "", "c"), "space", dynamic=True, sep=words("").reshape(())),
    fed("StringSplitV2", "input", ("a<>b<>c", "d", "<>"), "limit", sep=words("<>").reshape(()), maxsplit=1),
    fed("StringSplit", "input", (" a  b ", "", "c", "d e f"), delimiter=words(" ").reshape(())),
    fed("StringSplit", "input", ("a,,b", "c,d"), "comma", dynamic=True, delimiter=words(",").reshape(())),
]  # fmt: skip
