"""Which operators LiteRT computes on integers, and what it asks of their grids.

The semantics are those of the LiteRT 8-bit quantisation specification (ai.google.dev/edge/litert, "quantization spec")
and, for 16 bits, of the kernels' own checks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from netglot.backends.tflite.context import Op, TFLiteBuilder
from netglot.backends.tflite.grids import BYTES, INT4, INT8, INT16, INT32, INT64, SHIFT, UINT8, Grid, one_grid
from netglot.backends.tflite.moves import integers_like
from netglot.backends.tflite.stored import Stored, Weights, shifted, symmetric, weights

_OP = tfl.BuiltinOperator
_ACTIVATION = tfl.ActivationFunctionType
LAYERS: Mapping[int, int] = {  # the axis of the weights that counts the output's channels
    _OP.CONV_2D: 0, _OP.DEPTHWISE_CONV_2D: 3, _OP.FULLY_CONNECTED: 0, _OP.TRANSPOSE_CONV: 0,
}  # fmt: skip
COARSER = 2.0  # times the result's step: rounded to that first and to the result then, it is one step away at most


class Kernels:
    """The operators on integers, in order, and which tensor holds the integers that one of floats stands for."""

    def __init__(self, m: TFLiteBuilder, wanted: np.dtype) -> None:
        self.m, self.wanted = m, wanted  # which of the types with 8 bits is computed with
        self.ops: list[Op] = []
        self.integers: dict[int, int] = {}
        self._converted: dict[tuple[int, np.dtype, Grid], int] = {}

    def compute(self, op: Op, y: int, *, fixed: bool) -> bool:
        """Adds `op` computing the integers y; false where there is no kernel. fixed: whether y must keep its grid."""
        kernel = KERNELS.get(op.code)
        target = self._target(op, y)
        if kernel is None or self.m.dtype(target) not in kernel.types:
            return False
        if not kernel.rule(self, op, target, fixed or target != y):
            return False
        if target != y:
            self.quantise(target, y)
        return True

    def _target(self, op: Op, y: int) -> int:
        """Where the kernel writes: y, or first integers of 16 bits, or the other 8 bits."""
        m, dtype, grid = self.m, self.m.dtype(y), self.m.tensors[y].grid
        assert grid is not None
        if dtype in BYTES and any(m.dtype(self.integers[x]) == INT16 for x in op.inputs if x in self.integers):
            kind = np.iinfo(dtype)
            reach = max(kind.max - grid.zero, grid.zero - kind.min) * grid.scale
            return integers_like(m, y, INT16, one_grid(reach / np.iinfo(INT16).max))
        kernel = KERNELS.get(op.code)
        wanted = self.wanted if kernel is None or self.wanted in kernel.types else INT8
        if dtype in BYTES and dtype != wanted:
            return integers_like(m, y, wanted, grid.shifted(SHIFT if wanted == UINT8 else -SHIFT))
        return y

    def add(self, op: Op, inputs: list[int], y: int, options: Any = None) -> bool:
        self.ops.append(Op(op.code, inputs, [y], op.options if options is None else options))
        return True

    def quantise(self, x: int, y: int) -> None:
        """From one grid to another.

        XNNPACK's QUANTIZE from 8 bits to 8 bits knows the ratio of the steps to 1 in 512 only, which is a quarter of a
        step for the largest numbers; its MUL, by one, rounds just as it should. A ratio of one is exact.
        """
        m = self.m
        before, after = m.tensors[x], m.tensors[y]
        assert before.grid is not None
        assert after.grid is not None
        one = _uniform(np.ones((), np.float32), after.dtype)
        if before.dtype != after.dtype or after.dtype not in BYTES or before.grid.scale == after.grid.scale or not one:
            self.ops.append(Op(_OP.QUANTIZE, [x], [y], tfl.QuantizeOptionsT()))
        else:
            self.ops.append(Op(_OP.MUL, [x, m.quantized(one.data, one.grid, "one")], [y], tfl.MulOptionsT()))

    # ----------------------------------------------------------------- operands

    def operands(self, op: Op, dtype: np.dtype) -> list[int] | None:
        """All inputs of `op` as integers."""
        found = [self.operand(x, dtype) for x in op.inputs]
        known = [q for q in found if q is not None]
        return known if len(known) == len(found) else None

    def operand(self, x: int, dtype: np.dtype) -> int | None:
        """The integers of type `dtype` that x stands for, exactly; None if there are none."""
        if x not in self.integers:
            return self._constant(x, dtype)
        q = self.integers[x]
        kind, grid = self.m.dtype(q), self.m.tensors[q].grid
        assert grid is not None
        if kind == dtype:
            return q
        if kind == INT16:
            return None
        exact = one_grid(grid.scale) if dtype == INT16 else grid.shifted(SHIFT if dtype == UINT8 else -SHIFT)
        return self.converted(q, dtype, exact)

    def converted(self, q: int, dtype: np.dtype, grid: Grid) -> int:
        key = q, dtype, grid
        if key not in self._converted:
            self._converted[key] = integers_like(self.m, q, dtype, grid)
            self.quantise(q, self._converted[key])
        return self._converted[key]

    def _constant(self, x: int, dtype: np.dtype) -> int | None:
        """A constant that is stored as integers, or that is one number everywhere."""
        data = self.m.data(x) if x >= 0 else None
        found = _exact(weights(data, 0), dtype) or _uniform(data, dtype)
        return self.m.quantized(found.data, found.grid, self.m.tensors[x].name) if found else None


def _exact(w: Weights | None, dtype: np.dtype) -> Weights | None:
    """The same numbers as integers of another type, of one grid."""
    if w is None or len(w.grid.scales) > 1 or w.data.dtype not in (INT4, *BYTES, INT16):
        return None
    if dtype == INT16:
        steps = w.data.astype(INT32) - w.grid.zero
        fits = not steps.size or int(np.abs(steps).max()) <= np.iinfo(INT16).max
        return Weights(steps.astype(INT16), one_grid(w.grid.scale)) if fits else None
    wide = Weights(w.data.astype(INT8), w.grid) if w.data.dtype == INT4 else w
    wide = shifted(wide, dtype)
    return wide if wide.data.dtype == dtype else None


def _uniform(data: np.ndarray | None, dtype: np.dtype) -> Weights | None:
    """One number is the largest integer of a grid of its own."""
    if data is None or data.dtype != np.float32 or not data.size or not np.all(data == data.flat[0]):
        return None
    number, kind = float(data.flat[0]), np.iinfo(dtype)
    if not np.isfinite(number) or 0 < abs(number) < 1e-30:
        return None
    zero = (kind.max if number < 0 else 0) if dtype == UINT8 else 0
    level = (kind.min if number < 0 else kind.max) if dtype == UINT8 else (-kind.max if number < 0 else kind.max)
    scale = abs(number) / kind.max if number else 1.0
    return Weights(np.full(data.shape, level if number else zero, dtype), one_grid(scale, zero))


# ----------------------------------------------------------------------- rules

Rule = Callable[[Kernels, Op, int, bool], bool]


class Kernel(NamedTuple):
    types: tuple[np.dtype, ...]
    rule: Rule


def any_grids(k: Kernels, op: Op, y: int, fixed: bool) -> bool:
    """Each tensor has a grid of its own."""
    inputs = k.operands(op, k.m.dtype(y))
    return inputs is not None and k.add(op, inputs, y)


def first_of_any(k: Kernels, op: Op, y: int, fixed: bool) -> bool:
    """The first input and the output have grids of their own; the others are not numbers (the axes of MEAN)."""
    x = k.operand(op.inputs[0], k.m.dtype(y))
    return x is not None and k.add(op, [x, *op.inputs[1:]], y)


def sums(k: Kernels, op: Op, y: int, fixed: bool) -> bool:
    """As any_grids; integers of 16 bits need not have powers of two as scales."""
    inputs = k.operands(op, k.m.dtype(y))
    if inputs is None:
        return False
    op.options.potScaleInt16 = False
    return k.add(op, inputs, y)


def one_for_both(k: Kernels, op: Op, y: int, fixed: bool) -> bool:
    """Input and output have the same grid: where they have not, the result is quantised once more."""
    x = k.operand(op.inputs[0], k.m.dtype(y))
    grid = k.m.tensors[x].grid if x is not None else None
    return x is not None and grid is not None and _at(k, op, [x, *op.inputs[1:]], y, grid)


def average(k: Kernels, op: Op, y: int, fixed: bool) -> bool:
    """AVERAGE_POOL_2D wants one grid for both. MEAN, which a window over the whole image is, takes any, and rounds to
    even between two integers as ONNX does."""
    m, x = k.m, k.operand(op.inputs[0], k.m.dtype(y))
    if x is None:
        return False
    plain = op.options.fusedActivationFunction == _ACTIVATION.NONE
    if plain and m.shape(y)[1:3] == (1, 1) and _window(op) == m.shape(x)[1:3]:
        k.ops.append(Op(_OP.MEAN, [x, m.ints([1, 2])], [y], tfl.ReducerOptionsT(keepDims=True)))
        return True
    return one_for_both(k, op, y, fixed)


def _window(op: Op) -> tuple[int, int]:
    return op.options.filterHeight, op.options.filterWidth


def given_grid(byte: tuple[float, int], word: float | None = None) -> Rule:
    """The output has a grid that the kernel knows: scale and zero point of int8, and the scale of int16."""

    def rule(k: Kernels, op: Op, y: int, fixed: bool) -> bool:
        m, dtype = k.m, k.m.dtype(y)
        x = k.operand(op.inputs[0], dtype)
        if x is None or (dtype == INT16 and word is None):
            return False
        grid = one_grid(word) if dtype == INT16 and word else one_grid(*byte).shifted(SHIFT if dtype == UINT8 else 0)
        if not fixed and _is_near(grid, m.tensors[y].grid):
            m.tensors[y].grid = grid
        return _at(k, op, [x], y, grid)

    return rule


def _is_near(a: Grid, b: Grid | None) -> bool:
    """Whether the steps of two grids differ by less than one in 100, so that one can stand for the other."""
    return b is not None and a.zero == b.zero and abs(a.scale / b.scale - 1) < 0.01


def _at(k: Kernels, op: Op, inputs: list[int], y: int, grid: Grid) -> bool:
    """The result on `grid`, and from there on that of y, unless that would be much finer."""
    own = k.m.tensors[y].grid
    if own is None or (grid != own and grid.scale > COARSER * own.scale):
        return False
    if grid == own:
        return k.add(op, inputs, y)
    t = integers_like(k.m, y, k.m.dtype(y), grid)
    k.add(op, inputs, t)
    k.quantise(t, y)
    return True


# ---------------------------------------------------------------------- layers


def layer(k: Kernels, op: Op, y: int, fixed: bool) -> bool:
    """Weights around zero with one scale for each channel of the output (uint8: one grid for all), and a bias whose
    steps are the product of those of the input and the weights."""
    m, dtype = k.m, k.m.dtype(y)
    x, b = _places(op)
    q = k.operand(op.inputs[x], dtype)
    w = _weights(op, weights(m.data(op.inputs[1]), LAYERS[op.code]), dtype)
    if q is None or w is None or m.data(op.inputs[x]) is not None:
        return False
    inputs = list(op.inputs)
    inputs[x], inputs[1] = q, m.quantized(w.data, w.grid, m.tensors[op.inputs[1]].name)
    if len(inputs) > b and inputs[b] >= 0:
        bias = _bias(k, inputs[b], m.tensors[q].grid, w.grid, dtype)
        if bias is None:
            return False
        inputs[b] = bias
    return k.add(op, inputs, y)


def _places(op: Op) -> tuple[int, int]:
    """Of the input and the bias."""
    return (2, 3) if op.code == _OP.TRANSPOSE_CONV else (0, 2)


def _weights(op: Op, w: Weights | None, dtype: np.dtype) -> Weights | None:
    if w is None or w.data.dtype not in (INT4, *BYTES):
        return None
    if dtype == UINT8:
        return _exact(w, UINT8)
    w = symmetric(w)
    if w is not None and w.data.dtype == INT4 and (dtype == INT16 or op.code == _OP.TRANSPOSE_CONV):
        return Weights(w.data.astype(INT8), w.grid)
    return w


_WIDEST = 2**46  # sums that LiteRT scales down to 16 bits have 48 bits


def _bias(k: Kernels, b: int, x: Grid | None, w: Grid, dtype: np.dtype) -> int | None:
    """As int32, or int64 beside int16; None where that does not hold it."""
    data, kind = k.m.data(b), INT64 if dtype == INT16 else INT32
    if data is None or x is None or not np.all(np.isfinite(data)):
        return None
    steps = np.array(w.scales, np.float64) * x.scale
    known = data.integers if isinstance(data, Stored) and np.allclose(data.scale, steps, rtol=1e-5, atol=0) else None
    exact = known is not None and known.dtype == INT32 and isinstance(data, Stored) and not data.zero.any()
    levels = known if exact and known is not None else np.rint(data.astype(np.float64) / steps)
    if np.abs(levels.astype(np.float64)).max(initial=0) > (_WIDEST if kind == INT64 else np.iinfo(INT32).max):
        return None
    return k.m.quantized(levels.astype(kind), Grid(tuple(steps.tolist()), (0,) * len(steps)), k.m.tensors[b].name)


def hybrid(m: TFLiteBuilder, op: Op) -> bool:
    """A layer of floats with weights marked as dynamic gets them as integers: its kernel quantises the input itself.

    Only where XNNPACK has such a kernel. LiteRT's own for depthwise and transposed convolutions are slower than those
    of floats, which read what DEQUANTIZE makes of the weights and lose nothing of the input.
    """
    if op.code not in (_OP.CONV_2D, _OP.FULLY_CONNECTED) or m.dtype(op.inputs[0]) != np.float32:
        return False
    data = m.data(op.inputs[1])
    w = symmetric(weights(data, 0)) if isinstance(data, Stored) and data.dynamic else None
    if w is None:
        return False
    if op.code == _OP.CONV_2D and w.data.shape[3] != m.shape(op.inputs[0])[3] and len(w.grid.scales) == 1:
        count = w.data.shape[0]  # in groups it wants a scale for each channel
        w = Weights(w.data, Grid(w.grid.scales * count, w.grid.zeros * count))
    op.inputs[1] = m.quantized(w.data, w.grid, m.tensors[op.inputs[1]].name)
    if op.code == _OP.FULLY_CONNECTED:
        op.options.asymmetricQuantizeInputs = True
    return True


_ALL, _INT8, _NO_INT16 = (INT8, UINT8, INT16), (INT8,), (INT8, UINT8)

# What LiteRT computes on integers, of which types, and under which conditions.
KERNELS: Mapping[int, Kernel] = {
    _OP.ADD: Kernel(_ALL, sums),
    _OP.SUB: Kernel(_ALL, sums),
    _OP.MUL: Kernel(_ALL, any_grids),
    _OP.BATCH_MATMUL: Kernel((INT8, INT16), any_grids),
    _OP.SQUARED_DIFFERENCE: Kernel(_INT8, any_grids),
    _OP.PRELU: Kernel(_NO_INT16, any_grids),
    _OP.CONV_2D: Kernel(_ALL, layer),
    _OP.DEPTHWISE_CONV_2D: Kernel(_ALL, layer),
    _OP.FULLY_CONNECTED: Kernel(_ALL, layer),
    _OP.TRANSPOSE_CONV: Kernel(_ALL, layer),
    _OP.MEAN: Kernel(_ALL, first_of_any),
    _OP.AVERAGE_POOL_2D: Kernel(_ALL, average),
    _OP.RESIZE_BILINEAR: Kernel(_ALL, one_for_both),
    _OP.LEAKY_RELU: Kernel(_ALL, any_grids),
    _OP.HARD_SWISH: Kernel(_NO_INT16, any_grids),
    _OP.ELU: Kernel(_INT8, any_grids),
    _OP.GELU: Kernel(_NO_INT16, any_grids),
    _OP.SOFTMAX: Kernel(_ALL, given_grid((1 / 256, -128), 1 / 32768)),
    _OP.LOG_SOFTMAX: Kernel(_NO_INT16, given_grid((16 / 256, 127))),
    _OP.LOGISTIC: Kernel(_ALL, given_grid((1 / 256, -128), 1 / 32768)),
    _OP.TANH: Kernel(_ALL, given_grid((1 / 128, 0), 1 / 32768)),
    _OP.L2_NORMALIZATION: Kernel(_NO_INT16, given_grid((1 / 128, 0))),
}
