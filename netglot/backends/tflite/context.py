"""What a TFLite operator function sees: the model being written, and `tflite_op` to register it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from netglot.backends.lowering import NotMappedError
from netglot.backends.tflite.grids import INT4, Grid
from netglot.backends.tflite.stored import Stored
from netglot.ir.graph import Node, Value
from netglot.passes.layout import Ends, Side
from netglot.registry import registry

if TYPE_CHECKING:
    from netglot.registry import Function

TENSOR_TYPES: dict[np.dtype, int] = {
    np.dtype(name): getattr(tfl.TensorType, name.upper())
    for name in ("float32", "float16", "float64", "int8", "int16", "int32", "int64", "uint8", "uint32", "bool")
}
STORED_TYPES = TENSOR_TYPES | {INT4: tfl.TensorType.INT4}  # of constants

Ints = tuple[int, ...]
Operand = int | float | Value  # a tensor's index, a number (of the type of the tensor beside it), a value of the graph


OPEN = -1  # a size that is known only when the model runs, as TFLite's shape signatures have it


def tflite_op(
    *ops: str,
    layout: Ends | Callable[[Node], Ends] = Side.FIRST,
    open_sizes: bool = False,
    override: bool = False,
) -> Callable[[Function], Function]:
    """Registers a function for ONNX operators.

    `layout` says how it wants its images stored (see passes/layout.py), or is a function of the node that says so.
    `open_sizes`: whether it can do with sizes that are known only when the model runs, which are OPEN in its shapes.
    """
    return registry.add("tflite", *ops, override=override, layout=layout, open_sizes=open_sizes)


class Op:
    """One TFLite operator as it will be written. Inputs and outputs are tensor indices, -1 for none."""

    __slots__ = ("code", "inputs", "options", "outputs")

    def __init__(self, code: int, inputs: list[int], outputs: list[int], options: Any) -> None:
        self.code, self.inputs, self.outputs, self.options = code, inputs, outputs, options


class Tensor:
    """One TFLite tensor: physical shape (OPEN where the data decide), data if constant, and what integers stand for."""

    __slots__ = ("data", "dtype", "grid", "name", "shape")

    def __init__(
        self, name: str, shape: Ints, dtype: np.dtype, data: np.ndarray | None, grid: Grid | None = None
    ) -> None:
        self.name, self.shape, self.dtype, self.data, self.grid = name, shape, dtype, data, grid


@dataclass
class Subgraph:
    """A subgraph of the file: what it is called, its content, and which tensors go in and come out."""

    name: str
    content: TFLiteBuilder
    inputs: list[int]
    outputs: list[int]


class TFLiteBuilder:
    """Tensors and operators of one subgraph, in order. `subgraphs` are those of the file, but the first."""

    def __init__(self, subgraphs: list[Subgraph] | None = None) -> None:
        self.subgraphs: list[Subgraph] = [] if subgraphs is None else subgraphs
        self.tensors: list[Tensor] = []
        self.ops: list[Op] = []
        self._index: dict[object, int] = {}
        self._temporaries: set[int] = set()

    # --------------------------------------------------------------- subgraphs

    def nested(self) -> TFLiteBuilder:
        """An empty builder for another subgraph of the same file."""
        return TFLiteBuilder(self.subgraphs)

    def close(self, name: str, inputs: list[int], outputs: list[int]) -> int:
        """Puts what has been built into the file; returns the index of the subgraph."""
        self.subgraphs.append(Subgraph(name, self, inputs, outputs))
        return len(self.subgraphs)

    def define(self, value: Value, x: int) -> None:
        """Says that tensor x is `value`."""
        self._index[(value, value.layout)] = x

    # ---------------------------------------------------------------- geometry

    def shape(self, x: int | Value) -> Ints:
        """The shape as stored, with OPEN for sizes that are known only when the model runs."""
        if isinstance(x, int):
            return self.tensors[x].shape
        assert x.shape is not None
        sizes = tuple(size if isinstance(size, int) else OPEN for size in x.shape)
        return tuple(sizes[axis] for axis in x.layout) if x.layout else sizes

    def axis(self, value: Value, axis: int) -> int:
        """Where the logical `axis` of `value` lies in memory."""
        axis %= value.rank
        return value.layout.index(axis) if value.layout else axis

    def axes(self, value: Value, axes: Sequence[int]) -> list[int]:
        return [self.axis(value, axis) for axis in axes]

    def arranged(self, value: Value, items: Sequence[Any]) -> list[Any]:
        """`items`, one for each logical axis of `value`, in the order of its axes in memory."""
        return [items[axis] for axis in value.layout] if value.layout else list(items)

    # ----------------------------------------------------------------- tensors

    def tensor(self, value: Value) -> int:
        """The index of the tensor that stores `value` as its layout says."""
        data = None if value.data is None else _physical(value.data, value.layout)
        return self._once((value, value.layout), value, data)

    def operand(self, value: Value, like: Value) -> int:
        """`value` as an operand that is broadcast with `like`: a constant is laid out as `like` is."""
        if value.data is None or like.layout is None or value.data.size == 1:
            return self.tensor(value)
        data = value.data.reshape((1,) * (like.rank - value.rank) + value.data.shape)
        return self._once((value, like.layout), value, _physical(data, like.layout))

    def _once(self, key: object, value: Value, data: np.ndarray | None) -> int:
        if key not in self._index:
            shape = self.shape(value) if data is None else data.shape
            self._index[key] = self._add(value.name, shape, value.dtype, data)
        return self._index[key]

    def temporary(self, shape: Sequence[int], dtype: Any = np.float32, name: str = "temporary") -> int:
        index = self._add(name, tuple(map(int, shape)), np.dtype(dtype), None)
        self._temporaries.add(index)
        return index

    def constant(self, data: Any, dtype: Any = None, name: str = "constant") -> int:
        kept = isinstance(data, Stored) and dtype in (None, data.dtype)
        array = data if kept else np.asarray(data, dtype)
        return self._add(name, array.shape, array.dtype, array)

    def quantized(self, data: np.ndarray, grid: Grid, name: str) -> int:
        """A constant of integers that stand for what `grid` says."""
        self.tensors.append(Tensor(name, data.shape, data.dtype, data, grid))
        return len(self.tensors) - 1

    def ints(self, data: Any) -> int:
        """A constant of int32, TFLite's type for axes, shapes and pads; equal ones are one tensor."""
        array = np.asarray(data, np.int32)
        return self._same(array, ("ints", array.shape, array.tobytes()))

    def number(self, value: float, like: int | Value) -> int:
        """A constant scalar of the element type of `like`; equal ones are one tensor."""
        dtype = self.dtype(like)
        return self._same(np.asarray(value, dtype), ("number", float(value), dtype))

    def _same(self, array: np.ndarray, key: object) -> int:
        if key not in self._index:
            self._index[key] = self.constant(array)
        return self._index[key]

    def _add(self, name: str, shape: Ints, dtype: np.dtype | None, data: np.ndarray | None) -> int:
        if dtype not in TENSOR_TYPES:
            raise NotMappedError(f"TFLite has no tensors of {dtype}")
        self.tensors.append(Tensor(name, shape, dtype, data))
        return len(self.tensors) - 1

    def dtype(self, x: int | Value) -> np.dtype:
        return self.tensors[self.ref(x)].dtype

    def data(self, x: int) -> np.ndarray | None:
        return self.tensors[x].data

    def ref(self, item: int | Value) -> int:
        return self.tensor(item) if isinstance(item, Value) else item

    # --------------------------------------------------------------- operators

    def op(
        self, name: str, inputs: Sequence[Operand | None], outputs: Sequence[int | Value], options: Any = None
    ) -> None:
        """Adds the builtin operator `name` (as tflite::BuiltinOperator spells it), by default with default options."""
        code = getattr(tfl.BuiltinOperator, name)
        options = default_options(name) if options is None else options
        self.ops.append(Op(code, self._inputs(inputs), [self.ref(y) for y in outputs], options))

    def emit(
        self, name: str, *inputs: Operand | None,
        options: Any = None, shape: Sequence[int] | None = None, dtype: Any = None,
    ) -> int:  # fmt: skip
        """Adds an operator with a temporary output, by default of the broadcast shape and the type of its inputs."""
        refs = self._inputs(inputs)
        if shape is None:
            shape = broadcast(*(self.tensors[x].shape for x in refs if x >= 0))
        y = self.temporary(shape, dtype or self.tensors[refs[0]].dtype)
        self.op(name, refs, [y], options)
        return y

    def _inputs(self, inputs: Sequence[Operand | None]) -> list[int]:
        """Tensor indices; a float takes the type of the first tensor."""
        like = next((self.ref(x) for x in inputs if x is not None and not isinstance(x, float)), 0)
        return [self._input(x, like) for x in inputs]

    def _input(self, x: Operand | None, like: int) -> int:
        if isinstance(x, float):
            return self.number(x, like)
        return -1 if x is None else self.ref(x)

    def transpose(self, x: int | Value, y: int | Value, perm: Sequence[int]) -> None:
        """y[i] = x[perm]; written as a RESHAPE where only axes of size one move."""
        x, y = self.ref(x), self.ref(y)
        moving = [axis for axis in perm if self.tensors[x].shape[axis] != 1]
        if moving == sorted(moving) and self.tensors[y].shape.count(OPEN) < 2:
            self.reshape(x, y)
        else:
            self.op("TRANSPOSE", [x, self.ints(perm)], [y])

    def transposed(self, x: int | Value, perm: Sequence[int]) -> int:
        """A temporary that is x with its axes in the order `perm`."""
        x = self.ref(x)
        y = self.temporary([self.tensors[x].shape[axis] for axis in perm], self.tensors[x].dtype)
        self.transpose(x, y, perm)
        return y

    def reshape(self, x: int | Value, y: int | Value) -> None:
        """Same elements in the same order, with y's shape."""
        x, y = self.ref(x), self.ref(y)
        shape = self.tensors[y].shape
        if shape.count(OPEN) > 1:
            raise NotMappedError(f"more than one size of {shape} is known only when the model runs")
        self.op("RESHAPE", [x, self.ints(shape)], [y], tfl.ReshapeOptionsT(newShape=list(shape)))

    def reshaped(self, x: int | Value, shape: Sequence[int]) -> int:
        """x with `shape`: a constant keeps its data, anything else a temporary; x itself where the shape is its own."""
        x, shape = self.ref(x), tuple(map(int, shape))
        tensor = self.tensors[x]
        if tensor.shape == shape:
            return x
        if tensor.data is not None:
            return self.constant(tensor.data.reshape(shape), name=tensor.name)
        y = self.temporary(shape, tensor.dtype)
        self.reshape(x, y)
        return y

    def copy(self, x: int, y: Value) -> None:
        """y = x, reshaped (peephole.py takes away what does nothing)."""
        if OPEN not in (*self.shape(x), *self.shape(y)) and prod(self.shape(x)) != prod(self.shape(y)):
            raise ValueError(f"{self.shape(x)} can't become {self.shape(y)}")
        self.reshape(x, y)

    def finish(self, x: int, y: Value) -> None:
        """Makes x, the result of the operator just added, the value y."""
        if self.ops and self.ops[-1].outputs == [x] and x in self._temporaries and self.shape(x) == self.shape(y):
            self.ops[-1].outputs = [self.tensor(y)]
        else:
            self.copy(x, y)

    def move(self, x: int, layout: Ints | None, y: Value) -> None:
        """y = x, which holds the same value stored as `layout`."""
        stored, wanted = layout or tuple(range(y.rank)), y.layout or tuple(range(y.rank))
        if stored == wanted:
            self.finish(x, y)
        else:
            self.transpose(x, y, [stored.index(axis) for axis in wanted])

    def cast(self, x: int | Value, dtype: Any) -> int:
        """x as `dtype`; x itself where it is that already."""
        x, dtype = self.ref(x), np.dtype(dtype)
        data, known = self.tensors[x].data, self.tensors[x].dtype
        if known == dtype:
            return x
        if data is not None:
            return self.constant(data.astype(dtype), name=self.tensors[x].name)
        return self.emit("CAST", x, dtype=dtype, options=cast_options(known, dtype))


def broadcast(*shapes: Ints) -> Ints:
    """The shape that tensors of `shapes` are broadcast to; an OPEN size may be 1, and gives way to a known one."""
    rank = max(map(len, shapes))
    columns = zip(*((1,) * (rank - len(shape)) + tuple(shape) for shape in shapes), strict=True)
    return tuple(_together(sizes) for sizes in columns)


def _together(sizes: Ints) -> int:
    known = {size for size in sizes if size not in (1, OPEN)}
    if len(known) > 1:
        raise ValueError(f"sizes {sorted(known)} can't be broadcast together")
    return known.pop() if known else min(sizes)


def cast_options(before: np.dtype, after: np.dtype) -> Any:
    return tfl.CastOptionsT(inDataType=TENSOR_TYPES[before], outDataType=TENSOR_TYPES[after])


_SPELT = {"PADV2": "PadV2", "BATCH_MATMUL": "BatchMatMul", "TOPK_V2": "TopKV2", "L2_NORMALIZATION": "L2Norm"}


def default_options(name: str) -> Any:
    """The options table of a builtin operator with its defaults, or None if it has none."""
    camel = _SPELT.get(name, name.title().replace("_", ""))
    table = getattr(tfl, f"{camel}OptionsT", None)
    return table() if table else None


def _physical(data: np.ndarray, layout: Ints | None) -> np.ndarray:
    return data.transpose(layout) if layout else data


def physical_permutation(x: Value, y: Value, perm: Sequence[int]) -> list[int]:
    """The axes that memory must be permuted by so that logically y = transpose(x, perm)."""
    stored_x = x.layout or tuple(range(x.rank))
    stored_y = y.layout or tuple(range(y.rank))
    return [stored_x.index(perm[axis]) for axis in stored_y]


__all__ = [
    "OPEN", "Ends", "Ints", "Op", "Operand", "Side", "Subgraph", "TFLiteBuilder", "Tensor", "physical_permutation",
    "tflite_op",
]  # fmt: skip
