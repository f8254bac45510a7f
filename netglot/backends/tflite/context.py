"""What a TFLite operator function sees: the model being written, and `tflite_op` to register it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from netglot.backends.lowering import NotMappedError
from netglot.ir.graph import Value
from netglot.passes.layout import Side, channels_last
from netglot.registry import registry

if TYPE_CHECKING:
    from netglot.registry import Function

TENSOR_TYPES = {
    np.dtype(name): getattr(tfl.TensorType, name.upper())
    for name in ("float32", "float16", "float64", "int8", "int16", "int32", "int64", "uint8", "uint32", "bool")
}


def tflite_op(*ops: str, layout: Side = Side.FIRST, override: bool = False) -> Callable[[Function], Function]:
    """Registers a function for ONNX operators. `layout` says how it wants its images stored (see passes/layout.py)."""
    return registry.add("tflite", *ops, override=override, layout=layout)


class Op:
    """One TFLite operator as it will be written. Inputs and outputs are tensor indices, -1 for none."""

    __slots__ = ("code", "inputs", "options", "outputs")

    def __init__(self, code: int, inputs: list[int], outputs: list[int], options: Any) -> None:
        self.code, self.inputs, self.outputs, self.options = code, inputs, outputs, options


class Tensor:
    """One TFLite tensor: physical shape, and data if constant."""

    __slots__ = ("data", "dtype", "name", "shape")

    def __init__(self, name: str, shape: tuple[int, ...], dtype: np.dtype, data: np.ndarray | None) -> None:
        self.name, self.shape, self.dtype, self.data = name, shape, dtype, data


class TFLiteBuilder:
    """Tensors and operators of one subgraph, in order."""

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self.ops: list[Op] = []
        self._index: dict[tuple[Value, tuple[int, ...] | None], int] = {}

    # ---------------------------------------------------------------- geometry

    def shape(self, value: Value) -> tuple[int, ...]:
        """The shape as stored."""
        return tuple(value.sizes[axis] for axis in value.layout) if value.layout else value.sizes

    def axis(self, value: Value, axis: int) -> int:
        """Where the logical `axis` of `value` lies in memory."""
        axis %= value.rank
        return value.layout.index(axis) if value.layout else axis

    # ----------------------------------------------------------------- tensors

    def tensor(self, value: Value) -> int:
        """The index of the tensor that stores `value` as its layout says."""
        key = (value, value.layout)
        if key not in self._index:
            data = None if value.data is None else self._physical(value.data, value.layout)
            self._index[key] = self._add(value.name, self.shape(value), value.dtype, data)
        return self._index[key]

    def temporary(self, name: str, shape: Sequence[int], dtype: Any = np.float32) -> int:
        return self._add(name, tuple(shape), np.dtype(dtype), None)

    def constant(self, data: Any, dtype: Any = None, name: str = "constant") -> int:
        array = np.asarray(data, dtype)
        return self._add(name, array.shape, array.dtype, array)

    def ints(self, data: Any) -> int:
        """A constant of int32, TFLite's type for axes, shapes and pads."""
        return self.constant(data, np.int32)

    def operand(self, value: Value, like: Value) -> int:
        """`value` as an operand that is broadcast with `like`: a constant is laid out as `like` is."""
        if value.data is None or like.layout is None or value.data.size == 1:
            return self.tensor(value)
        data = value.data.reshape((1,) * (like.rank - value.rank) + value.data.shape)
        key = (value, like.layout)
        if key not in self._index:
            laid_out = self._physical(data, like.layout)
            self._index[key] = self._add(value.name, laid_out.shape, laid_out.dtype, laid_out)
        return self._index[key]

    def _physical(self, data: np.ndarray, layout: tuple[int, ...] | None) -> np.ndarray:
        return data.transpose(layout) if layout else data

    def _add(self, name: str, shape: tuple[int, ...], dtype: np.dtype | None, data: np.ndarray | None) -> int:
        if dtype not in TENSOR_TYPES:
            raise NotMappedError(f"TFLite has no tensors of {dtype}")
        self.tensors.append(Tensor(name, shape, dtype, data))
        return len(self.tensors) - 1

    # --------------------------------------------------------------- operators

    def op(self, name: str, inputs: Sequence[int | Value | None], outputs: Sequence[int | Value], options: Any = None) -> None:
        """Adds the builtin operator `name` (as tflite::BuiltinOperator spells it)."""
        code = getattr(tfl.BuiltinOperator, name)
        self.ops.append(Op(code, [self._ref(x) for x in inputs], [self._ref(y) for y in outputs], options))

    def _ref(self, item: int | Value | None) -> int:
        if isinstance(item, Value):
            return self.tensor(item)
        return -1 if item is None else item

    def transpose(self, x: int | Value, y: int | Value, perm: Sequence[int]) -> None:
        """y[i] = x[perm]; written as a RESHAPE where only axes of size one move."""
        x, y = self._ref(x), self._ref(y)
        shape = self.tensors[x].shape
        moving = [axis for axis in perm if shape[axis] != 1]
        if moving == sorted(moving):
            self.reshape(x, y)
        else:
            self.op("TRANSPOSE", [x, self.ints(perm)], [y], tfl.TransposeOptionsT())

    def reshape(self, x: int | Value, y: int | Value) -> None:
        """Same elements in the same order, with y's shape."""
        x, y = self._ref(x), self._ref(y)
        shape = self.tensors[y].shape
        self.op("RESHAPE", [x, self.ints(shape)], [y], tfl.ReshapeOptionsT(newShape=list(shape)))


def physical_permutation(x: Value, y: Value, perm: Sequence[int]) -> list[int]:
    """The axes that memory must be permuted by so that logically y = transpose(x, perm)."""
    stored_x = x.layout or tuple(range(x.rank))
    stored_y = y.layout or tuple(range(y.rank))
    return [stored_x.index(perm[axis]) for axis in stored_y]


__all__ = ["Op", "Side", "TFLiteBuilder", "Tensor", "channels_last", "physical_permutation", "tflite_op"]
