"""Operators that move, choose or limit numbers: they do the same with the integers that stand for them.

One scale (which is positive) holds for all, so the order of the numbers is that of the integers too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from netglot.backends.tflite.context import Op, TFLiteBuilder
from netglot.backends.tflite.grids import INT8, INT16, UINT8, Grid

_OP = tfl.BuiltinOperator
_ALL, _NO_INT16 = (INT8, UINT8, INT16), (INT8, UINT8)

# For which types LiteRT has a kernel; grids are the same on both sides (LiteRT 8-bit quantisation specification).
MOVES: Mapping[int, tuple[np.dtype, ...]] = {
    _OP.RESHAPE: _ALL,
    _OP.TRANSPOSE: _ALL,
    _OP.SLICE: _ALL,
    _OP.STRIDED_SLICE: _ALL,
    _OP.SPLIT: _ALL,
    _OP.GATHER: _ALL,
    _OP.GATHER_ND: _ALL,
    _OP.PAD: _ALL,
    _OP.PADV2: _ALL,
    _OP.MIRROR_PAD: _ALL,
    _OP.TILE: _NO_INT16,
    _OP.REVERSE_V2: _ALL,
    _OP.BROADCAST_TO: _ALL,
    _OP.RESIZE_NEAREST_NEIGHBOR: _ALL,
    _OP.SPACE_TO_DEPTH: _NO_INT16,
    _OP.DEPTH_TO_SPACE: _NO_INT16,
    _OP.MAX_POOL_2D: _ALL,
    _OP.REDUCE_MAX: _ALL,
    _OP.REDUCE_MIN: _ALL,
}
CHOICES: Mapping[int, tuple[np.dtype, ...]] = {
    _OP.CONCATENATION: _ALL,
    _OP.MAXIMUM: _ALL,
    _OP.MINIMUM: _ALL,
    _OP.SELECT_V2: _ALL,
}
PLACES = (_OP.ARG_MAX, _OP.ARG_MIN)  # where the largest is, they say of integers as well
_LIMITS = {_OP.RELU: (0.0, np.inf), _OP.RELU6: (0.0, 6.0), _OP.RELU_N1_TO_1: (-1.0, 1.0)}


def place(op: Op) -> int:
    """Which input of a move holds what it moves."""
    return 1 if op.code == _OP.SPLIT else 0


def moves(op: Op, dtype: np.dtype) -> bool:
    return dtype in MOVES.get(op.code, ())


def chosen(op: Op) -> list[int]:
    """The inputs that a choice takes its numbers from."""
    return op.inputs[1:] if op.code == _OP.SELECT_V2 else op.inputs


def factor(m: TFLiteBuilder, op: Op) -> float | None:
    """What MUL multiplies its first input by, if that is one positive number: the same integers on a wider grid."""
    data = m.data(op.inputs[1]) if op.code == _OP.MUL else None
    if data is None or op.options.fusedActivationFunction or m.shape(op.inputs[0]) != m.shape(op.outputs[0]):
        return None
    number = float(data.flat[0]) if data.dtype == np.float32 and data.size and np.all(data == data.flat[0]) else 0.0
    return number if _LEAST < number < 1 / _LEAST else None


_LEAST = 1e-6  # by which scales are multiplied here


def scaled(grid: Grid, by: float) -> Grid:
    return Grid(tuple(float(np.float32(scale * by)) for scale in grid.scales), grid.zeros, grid.axis)


def integers_like(m: TFLiteBuilder, x: int, dtype: np.dtype, grid: Grid) -> int:
    """A tensor for the integers of tensor x."""
    q = m.temporary(m.shape(x), dtype, m.tensors[x].name)
    m.tensors[q].grid = grid
    return q


# ------------------------------------------------------------------- upwards


def above(m: TFLiteBuilder, op: Op, y: int) -> list[Op]:
    """QUANTIZE(op(x)) -> op(QUANTIZE(x)), where y is what QUANTIZE gives; none if that can't be."""
    dtype, grid = m.dtype(y), m.tensors[y].grid
    assert grid is not None
    if op.code in _LIMITS and (op.code != _OP.RELU_N1_TO_1 or dtype != INT16):
        return _limited(m, op, y, grid)
    if dtype in CHOICES.get(op.code, ()):
        return _each(m, op, y, grid)
    by = factor(m, op)
    if by is not None:
        before = _quantise(m, op.inputs[0], dtype, scaled(grid, 1 / by))
        return [before, multiplied(m, op, before.outputs[0], y)]
    if not moves(op, dtype) or len(op.outputs) > 1:
        return []
    before = _quantise(m, op.inputs[place(op)], dtype, grid)
    inputs = moved_inputs(m, op, before.outputs[0])
    return [before, Op(op.code, inputs, [y], op.options)] if inputs else []


def multiplied(m: TFLiteBuilder, op: Op, q: int, y: int) -> Op:
    """MUL by one number, which changes what the integers stand for and not the integers."""
    data, kind = np.asarray(m.data(op.inputs[1])), np.iinfo(m.dtype(q))
    scale = Grid((float(np.float32(data.flat[0] / kind.max)),), (0,))
    constant = m.quantized(np.full(data.shape, kind.max, m.dtype(q)), scale, m.tensors[op.inputs[1]].name)
    return Op(op.code, [q, constant], [y], op.options)


def _quantise(m: TFLiteBuilder, x: int, dtype: np.dtype, grid: Grid) -> Op:
    return Op(_OP.QUANTIZE, [x], [integers_like(m, x, dtype, grid)], tfl.QuantizeOptionsT())


def _limited(m: TFLiteBuilder, op: Op, y: int, grid: Grid) -> list[Op]:
    """A limit is left out where the integers end there anyway."""
    kind = np.iinfo(m.dtype(y))
    low, high = (int(level) for level in grid.quantised(np.array(_LIMITS[op.code], np.float32), m.dtype(y)))
    if low <= kind.min and high >= kind.max:
        return [Op(_OP.QUANTIZE, list(op.inputs), [y], tfl.QuantizeOptionsT())]
    before = _quantise(m, op.inputs[0], m.dtype(y), grid)
    return [before, Op(op.code, [before.outputs[0]], [y], None)]


def _each(m: TFLiteBuilder, op: Op, y: int, grid: Grid) -> list[Op]:
    """What is chosen from is quantised; the limit of a MAXIMUM or MINIMUM is left out where the integers end there."""
    left = _within(m, op, y, grid)
    if left is not None:
        return [Op(_OP.QUANTIZE, [left], [y], tfl.QuantizeOptionsT())]
    parts = {x: _quantise(m, x, m.dtype(y), grid) for x in chosen(op)}
    others = op.inputs[: len(op.inputs) - len(chosen(op))]
    inputs = [*others, *(parts[x].outputs[0] for x in chosen(op))]
    return [*parts.values(), Op(op.code, inputs, [y], op.options)]


def _within(m: TFLiteBuilder, op: Op, y: int, grid: Grid) -> int | None:
    """What is left of a MAXIMUM or MINIMUM with a constant that the integers can't pass."""
    if op.code not in (_OP.MAXIMUM, _OP.MINIMUM) or m.shape(op.inputs[0]) != m.shape(y):
        return None
    data, kind = m.data(op.inputs[1]), np.iinfo(m.dtype(y))
    end = kind.min if op.code == _OP.MAXIMUM else kind.max
    fine = data is not None and bool(np.all(grid.quantised(np.asarray(data), m.dtype(y)) == end))
    return op.inputs[0] if fine else None


# ----------------------------------------------------------------- downwards


def below(m: TFLiteBuilder, op: Op, integers: Mapping[int, int], pooled: Collection[int]) -> Op | None:
    """op(DEQUANTIZE(q)) on the integers, with new tensors as outputs; None if it does not move or choose only.

    pooled: tensors that only MAX_POOL_2D reads, so that the smallest integer will do for minus infinity.
    """
    sources = chosen(op) if op.code in CHOICES else op.inputs[place(op) :][:1]
    known = [integers[x] for x in sources if x in integers]
    if not known:
        return None
    dtype, grid = m.dtype(known[0]), m.tensors[known[0]].grid
    inputs = None
    if moves(op, dtype):
        inputs = moved_inputs(m, op, known[0], exact=op.outputs[0] not in pooled)
    elif dtype in CHOICES.get(op.code, ()):
        inputs = _alike(m, op, sources, integers)
    if inputs is None or grid is None:
        return None
    return Op(op.code, inputs, [integers_like(m, y, dtype, grid) for y in op.outputs], op.options)


def _alike(m: TFLiteBuilder, op: Op, sources: list[int], integers: Mapping[int, int]) -> list[int] | None:
    """The integers to choose from, if all stand for the same."""
    found = [integers.get(x) for x in sources]
    if any(q is None for q in found) or len({(m.dtype(q), m.tensors[q].grid) for q in found if q is not None}) > 1:
        return None
    return [*op.inputs[: len(op.inputs) - len(found)], *(q for q in found if q is not None)]


def moved_inputs(m: TFLiteBuilder, op: Op, q: int, *, exact: bool = False) -> list[int] | None:
    """The inputs of `op` for the integers q. What PADV2 fills with has to be one of the numbers, if `exact`."""
    inputs = [q if i == place(op) else x for i, x in enumerate(op.inputs)]
    if op.code != _OP.PADV2:
        return inputs
    fill, grid = m.data(op.inputs[2]), m.tensors[q].grid
    if fill is None or grid is None:
        return None
    level = grid.quantised(np.asarray(fill), m.dtype(q))
    if exact and not np.array_equal(grid.real(level), fill):
        return None
    return [q, op.inputs[1], m.quantized(level, grid, m.tensors[op.inputs[2]].name)]
