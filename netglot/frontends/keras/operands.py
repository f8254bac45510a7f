"""Arguments of keras.ops and of TensorFlow's functions: tensors, arrays and numbers, and what they become together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from netglot.errors import ConversionError
from netglot.frontends.keras.builder import KerasBuilder
from netglot.ir.graph import Value
from netglot.ir.types import named, to_onnx

FLOATX = np.dtype(np.float32)  # keras.config.floatx() of whoever wrote the file, in all but a handful of them
INT = np.dtype(np.int32)
_WIDE = {"float64": 4, "float32": 3, "float16": 1, "bfloat16": 2}


def is_float(dtype: np.dtype | None) -> bool:
    return dtype is not None and dtype.name in _WIDE


def dtype_named(g: KerasBuilder, name: Any) -> np.dtype:
    """The element type that a configuration names."""
    if isinstance(name, dict):
        name = name.get("config", {}).get("name") if isinstance(name.get("config"), dict) else None
    name = {"float": "float32", "int": "int32"}.get(str(name), str(name))
    try:
        return named(name)
    except TypeError:
        raise ConversionError(f"{g.type}: there is no element type {name!r}", g.origin) from None


def strong(items: Sequence[Any]) -> list[np.dtype]:
    """The element types of the tensors and arrays among the arguments; numbers have none of their own."""
    return [np.dtype(item.dtype) for item in items if isinstance(item, (Value, np.ndarray)) and item.dtype is not None]


def common(items: Sequence[Any], *, floating: bool = False) -> np.dtype:
    """The type that Keras computes in (keras/src/backend/common/dtypes.py); a number adapts to the tensors.

    `floating`: integers become float32.
    """
    found = strong(items)
    numbers = [np.asarray(item).dtype.kind for item in items if not isinstance(item, (Value, np.ndarray))]
    floats = [dtype for dtype in found if is_float(dtype)]
    if floats:
        return _widest(floats)
    if floating or "f" in numbers:
        return FLOATX
    whole = np.result_type(*found) if found else np.dtype(bool)
    return INT if whole.kind == "b" and "i" in numbers else whole if whole.kind in "biu" else FLOATX


def _widest(floats: Sequence[np.dtype]) -> np.dtype:
    names = {dtype.name for dtype in floats}
    if names == {"float16", "bfloat16"}:
        return FLOATX
    return max(floats, key=lambda dtype: _WIDE[dtype.name])


def tensor(g: KerasBuilder, item: Any, dtype: np.dtype | None = None) -> Value:
    """An argument as a tensor of `dtype` (None: as it is; a number as float32 or int32)."""
    if isinstance(item, Value):
        return item if dtype is None else cast(g, item, dtype)
    if not isinstance(item, np.ndarray):
        item = _array(g, item)
    return g.constant(item if dtype is None else item.astype(dtype))


def _array(g: KerasBuilder, item: Any) -> np.ndarray:
    try:
        data = np.asarray(item)
    except ValueError:
        data = np.asarray(None)
    if data.dtype.kind not in "bif":
        raise g.unsupported(f"an argument that is no tensor and no number ({type(item).__name__})")
    wanted: dict[str, np.dtype] = {"b": np.dtype(bool), "i": INT, "f": FLOATX}
    return data.astype(wanted[data.dtype.kind])


def operands(g: KerasBuilder, *items: Any, floating: bool = False) -> list[Value]:
    """All arguments as tensors of one type."""
    dtype = common(items, floating=floating)
    return [tensor(g, item, dtype) for item in items]


def floating(g: KerasBuilder, item: Any) -> Value:
    return operands(g, item, floating=True)[0]


def cast(g: KerasBuilder, x: Value, dtype: np.dtype | type | None) -> Value:
    dtype = x.dtype if dtype is None else np.dtype(dtype)
    assert dtype is not None
    y: Value = x if x.dtype == dtype else g.Cast(x, to=to_onnx(dtype))
    return y


def indices(g: KerasBuilder, item: Any) -> Value:
    """An argument as int64, which ONNX wants of shapes and indices."""
    return tensor(g, np.asarray(item) if isinstance(item, (list, tuple)) and not _nested(item) else item,
                  np.dtype(np.int64))  # fmt: skip


def _nested(item: Sequence[Any]) -> bool:
    return any(isinstance(part, Value) for part in item)


def sizes(g: KerasBuilder, item: Any) -> Value | list[int]:
    """A shape of numbers and scalar tensors: as numbers, or else as one int64 tensor."""
    if isinstance(item, Value):
        return tensor(g, item, np.dtype(np.int64))
    parts = list(item) if isinstance(item, (list, tuple, np.ndarray)) else [item]
    if not _nested(parts):
        return [int(part) for part in parts]
    wide = [tensor(g, part, np.dtype(np.int64)) if isinstance(part, Value) else int(part) for part in parts]
    ranked = [g.Reshape(part, [1]) if isinstance(part, Value) else [part] for part in wide]
    joined = g.Concat(*ranked, axis=0)
    return [int(n) for n in joined.array] if joined.is_constant else joined


def axis_of(g: KerasBuilder, axis: Any, rank: int) -> int:
    """A non-negative axis of a tensor of `rank`."""
    if isinstance(axis, (list, tuple)) and len(axis) == 1:
        axis = axis[0]
    if isinstance(axis, np.ndarray) and axis.size == 1:
        axis = int(axis.item())
    if not isinstance(axis, int) or not -rank <= axis < rank:
        raise ConversionError(f"{g.type}: there is no axis {axis} of {rank}", g.origin)
    return axis % rank


def axes_of(g: KerasBuilder, axis: Any, rank: int) -> list[int]:
    """`axis` as a list: None stands for all."""
    if isinstance(axis, Value):
        axis = g.ints(axis, "the axis")
    if isinstance(axis, np.ndarray):
        axis = axis.ravel().tolist()
    given = range(rank) if axis is None else axis if isinstance(axis, (list, tuple)) else [axis]
    return [axis_of(g, one, rank) for one in given]
