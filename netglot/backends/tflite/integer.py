"""DEQUANTIZE, CONV_2D, QUANTIZE -> CONV_2D on integers: what lies between the two computes with integers where LiteRT
has a kernel for it.

Three walks over the list of operators, after peephole.py has fused the floats. First every QUANTIZE goes up through
what only moves, chooses or limits numbers (moves.py), to where they are computed. Then, from the inputs on, every
DEQUANTIZE goes down through the same, and an operator with integers on both sides becomes one of the table in
kernels.py. At last weights that floats still compute with are stored as their integers, with a DEQUANTIZE. What has no
integer kernel keeps its floats, with DEQUANTIZE and QUANTIZE around it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from netglot.backends.tflite import moves
from netglot.backends.tflite.context import Op, TFLiteBuilder
from netglot.backends.tflite.grids import BYTES, INT4, INT8, SHIFT, UINT8, Grid, one_grid
from netglot.backends.tflite.kernels import KERNELS, LAYERS, Kernels, hybrid
from netglot.backends.tflite.peephole import drop_unread, merge_moves, rename, transpose_once, without_noops
from netglot.backends.tflite.stored import Stored, Weights, weights

_OP = tfl.BuiltinOperator


def compute_on_integers(m: TFLiteBuilder, inputs: Sequence[int], outputs: Sequence[int]) -> None:
    """Runs all of it. `inputs` and `outputs` keep their tensors."""
    kept = set(outputs)
    if any(op.code in (_OP.QUANTIZE, _OP.DEQUANTIZE) for op in m.ops):
        wanted = one_kind_of_bytes(m, {*inputs, *outputs})
        quantise_once(m, kept)
        quantise_above(m, kept)
        quantise_once(m, kept)
        _Walk(m, kept, wanted).run()
        drop_unread(m, kept)
        merge_moves(m)  # those that had a pair between them
        transpose_once(m, kept)
        without_noops(m, kept)
        drop_unread(m, kept)
        divide_by_multiplying(m)
    store_weights(m)


# ------------------------------------------------------------------ one type


def one_kind_of_bytes(m: TFLiteBuilder, ends: set[int]) -> np.dtype:
    """int8 and uint8 that are SHIFT apart stand for the same: the file computes with one of them.

    That is int8, which kernels take with weights for each channel, unless there are weights that only uint8 can hold.
    The inputs and outputs of the graph keep theirs.
    """
    wanted = UINT8 if _wants_unsigned(m) else INT8
    for x in _pairs(m) - ends:
        tensor = m.tensors[x]
        if tensor.grid is not None and tensor.dtype in BYTES and tensor.dtype != wanted:
            tensor.dtype, tensor.grid = wanted, tensor.grid.shifted(SHIFT if wanted == UINT8 else -SHIFT)
    return wanted


def _wants_unsigned(m: TFLiteBuilder) -> bool:
    """Whether weights are stored as uint8, and none of them need a scale for each channel."""
    layers = [weights(m.data(op.inputs[1]), LAYERS[op.code]) for op in m.ops if op.code in LAYERS]
    known = [w for w in layers if w is not None]
    return any(w.data.dtype == UINT8 for w in known) and all(len(w.grid.scales) == 1 for w in known)


def _pairs(m: TFLiteBuilder) -> set[int]:
    """Tensors that a QUANTIZE makes and only DEQUANTIZEs read."""
    made = {op.outputs[0] for op in m.ops if op.code == _OP.QUANTIZE}
    return made - {x for op in m.ops if op.code != _OP.DEQUANTIZE for x in op.inputs}


# ------------------------------------------------------------------- upwards


def quantise_once(m: TFLiteBuilder, outputs: set[int]) -> None:
    """QUANTIZE(x), QUANTIZE(x) to the same integers -> QUANTIZE(x) once."""
    seen: dict[tuple[int, np.dtype, Grid | None], int] = {}
    replaced: dict[int, int] = {}
    kept = []
    for op in m.ops:
        y = op.outputs[0]
        key = (op.inputs[0], m.dtype(y), m.tensors[y].grid) if op.code == _OP.QUANTIZE else None
        if key is not None and key in seen and y not in outputs:
            replaced[y] = seen[key]
            continue
        if key is not None:
            seen.setdefault(key, y)
        kept.append(op)
    m.ops = kept
    rename(m, replaced)


def quantise_above(m: TFLiteBuilder, outputs: set[int]) -> None:
    """QUANTIZE(RESHAPE(x)) -> RESHAPE(QUANTIZE(x)), where nothing else reads RESHAPE(x)."""
    readers = Counter(x for op in m.ops for x in op.inputs)
    makers = {y: op for op in m.ops for y in op.outputs}
    replaced: dict[Op, list[Op]] = {}
    gone: set[int] = set()
    waiting = [op for op in m.ops if op.code == _OP.QUANTIZE]
    while waiting:
        quantise = waiting.pop()
        x, y = quantise.inputs[0], quantise.outputs[0]
        op = makers.get(x)
        if op is None or readers[x] > 1 or x in outputs or _is_dequantised(m, op, makers):
            continue
        made = moves.above(m, op, y)
        if made:
            replaced[quantise] = made
            gone.add(x)
            fresh = [one for one in made if one.code == _OP.QUANTIZE]
            readers.subtract(op.inputs)
            readers.update(one.inputs[0] for one in fresh)
            waiting += fresh
    m.ops = [new for op in m.ops if not gone.intersection(op.outputs) for new in _replaced(op, replaced)]


def _replaced(op: Op, replaced: Mapping[Op, list[Op]]) -> list[Op]:
    """The operators in the place of a QUANTIZE, and in the place of theirs."""
    made = replaced.get(op)
    if made is None:
        return [op]
    return [new for one in made for new in _replaced(one, replaced)]


def _is_dequantised(m: TFLiteBuilder, op: Op | None, makers: Mapping[int, Op]) -> bool:
    """Whether what `op` moves are integers already, so that the walk will meet it from above."""
    while op is not None and (op.code in moves.MOVES or moves.factor(m, op) is not None):
        op = makers.get(op.inputs[moves.place(op)])
    return op is not None and op.code == _OP.DEQUANTIZE


# ----------------------------------------------------------------- downwards


class _Walk:
    """From the inputs on: every QUANTIZE and DEQUANTIZE, and what moves numbers between them."""

    def __init__(self, m: TFLiteBuilder, outputs: set[int], wanted: np.dtype) -> None:
        self.m, self.outputs, self.kernels = m, outputs, Kernels(m, wanted)
        self.readers = Counter(x for op in m.ops for x in op.inputs)
        others = {x for op in m.ops if op.code != _OP.MAX_POOL_2D for x in op.inputs}
        self.pooled = {x for op in m.ops if op.code == _OP.MAX_POOL_2D for x in op.inputs} - others - outputs
        others = {x for op in m.ops if op.code not in KERNELS for x in op.inputs}
        self.computed = {x for op in m.ops if op.code in KERNELS for x in op.inputs} - others - outputs
        shown = {op.inputs[0] for op in m.ops if op.code == _OP.DEQUANTIZE and op.outputs[0] in outputs}
        self.fixed = outputs | shown  # whose grids can be seen from outside
        self.makers: dict[int, Op] = {}
        self.same: dict[int, int] = {}  # tensors of integers, and those that are just like them

    def run(self) -> None:
        given, self.m.ops = self.m.ops, self.kernels.ops
        for op in given:
            self._one(op)
            self.makers.update((y, op) for y in op.outputs)
        rename(self.m, self.same)

    def _one(self, op: Op) -> None:
        if op.code == _OP.DEQUANTIZE:
            self._dequantise(self._same(op.inputs[0]), op.outputs[0])
        elif op.code == _OP.QUANTIZE and op.inputs[0] in self.kernels.integers:
            self._requantise(op)
        elif op.code == _OP.QUANTIZE:
            self._quantise(op)
        elif not self._down(op):
            self.kernels.ops.append(op)

    def _same(self, q: int) -> int:
        while q in self.same:
            q = self.same[q]
        return q

    def _dequantise(self, q: int, y: int) -> None:
        self.kernels.ops.append(Op(_OP.DEQUANTIZE, [q], [y], tfl.DequantizeOptionsT()))
        if self.m.tensors[q].grid is not None:
            self.kernels.integers[y] = q

    def _requantise(self, op: Op) -> None:
        """QUANTIZE(DEQUANTIZE(q)) -> q, or QUANTIZE(q) where its grid is another."""
        q, y = self.kernels.integers[op.inputs[0]], op.outputs[0]
        if self.m.tensors[q].grid != self.m.tensors[y].grid or self.m.dtype(q) != self.m.dtype(y):
            self.kernels.quantise(q, y)
        elif y not in self.outputs:
            self.same[y] = q
        else:
            self.m.reshape(q, y)

    def _quantise(self, op: Op) -> None:
        """What computes the floats that `op` quantises becomes an operator on integers, if nothing else reads them."""
        x, y = op.inputs[0], op.outputs[0]
        data, grid = self.m.data(x), self.m.tensors[y].grid
        if data is not None and grid is not None and y not in self.outputs:
            levels = grid.quantised(np.asarray(data), self.m.dtype(y))
            self.same[y] = self.m.quantized(levels, grid, self.m.tensors[x].name)
            return
        maker = self.makers.get(x)
        alone = self.readers[x] == 1 and x not in self.outputs
        if maker is None or not alone or not self.kernels.compute(maker, y, fixed=y in self.fixed):
            self.kernels.ops.append(op)

    def _down(self, op: Op) -> bool:
        """MAX_POOL_2D(DEQUANTIZE(q)) -> DEQUANTIZE(MAX_POOL_2D(q))."""
        if op.code in moves.PLACES and op.inputs[0] in self.kernels.integers:
            op.inputs[0] = self.kernels.integers[op.inputs[0]]
            return False
        made = moves.below(self.m, op, self.kernels.integers, self.pooled) or self._scaled(op)
        if made is None:
            return False
        self.kernels.ops.append(made)
        for q, y in zip(made.outputs, op.outputs, strict=True):
            self._dequantise(q, y)
        return True

    def _scaled(self, op: Op) -> Op | None:
        """MUL(DEQUANTIZE(q), 0.2) on the integers, in front of what computes with them too."""
        by, q = moves.factor(self.m, op), self.kernels.integers.get(op.inputs[0]) if op.inputs else None
        if by is None or q is None or not self.computed.issuperset(op.outputs):
            return None
        grid = self.m.tensors[q].grid
        assert grid is not None
        y = moves.integers_like(self.m, op.outputs[0], self.m.dtype(q), moves.scaled(grid, by))
        return moves.multiplied(self.m, op, q, y)


# ---------------------------------------------------------------- the first step

_ROUND_NUMBERS = np.arange(-512, 513, dtype=np.float32)  # pixels, less a mean that is as round
_NEAR = 2  # how many of its neighbours are tried


def divide_by_multiplying(m: TFLiteBuilder) -> None:
    """Scales of numbers that are quantised here take a neighbour in float32 where that divides as ONNX says.

    LiteRT multiplies by the rounded 1 / scale. That is as good, but where many numbers lie just between two steps, as
    pixels do when the scale is a 255th of a round number, all of them are rounded the other way.
    """
    floats = [op for op in m.ops if op.code == _OP.QUANTIZE and m.dtype(op.inputs[0]) == np.float32]
    old = {m.tensors[op.outputs[0]].grid for op in floats}
    new = {grid: one_grid(_dividing(grid.scale), grid.zero) for grid in old if grid is not None}
    for tensor in m.tensors:
        if tensor.grid in new:
            tensor.grid = new[tensor.grid]


def _dividing(scale: float) -> float:
    """`scale` or the nearest number by whose inverse round numbers are multiplied as they are divided by `scale`."""
    wanted = np.rint(_ROUND_NUMBERS / np.float32(scale))
    steps = sorted(range(-_NEAR, _NEAR + 1), key=abs)
    near = (np.float32(scale).view(np.int32) + np.array(steps, np.int32)).view(np.float32)
    wrong = [np.count_nonzero(np.rint(_ROUND_NUMBERS * (np.float32(1) / one)) != wanted) for one in near]
    return float(near[int(np.argmin(wrong))])


# ------------------------------------------------------------------- weights

SPENT = 256  # bytes that a DEQUANTIZE takes in the file, about; and for each channel
SPENT_EACH = 12


def store_weights(m: TFLiteBuilder) -> None:
    """Floats that remember their integers are stored as them: beside hybrid kernels, or with a DEQUANTIZE."""
    found: dict[int, int] = {}
    made: list[Op] = []
    for op in m.ops:
        if hybrid(m, op):
            continue
        for x in op.inputs:
            if x >= 0 and x not in found:
                found[x] = _stored(m, x, made)
        op.inputs = [found.get(x, x) for x in op.inputs]
    m.ops = made + m.ops


def _stored(m: TFLiteBuilder, x: int, made: list[Op]) -> int:
    """A tensor with the numbers of x; x itself where it remembers nothing that DEQUANTIZE takes, or is small."""
    tensor = m.tensors[x]
    w = _rows(tensor.data) if isinstance(tensor.data, Stored) and tensor.data.size * 3 > SPENT else None
    if w is None or w.data.size * 3 < SPENT + SPENT_EACH * len(w.grid.scales):
        return x
    q = m.quantized(w.data, w.grid, f"{tensor.name}/quantized")
    y = m.temporary(w.data.shape, np.float32, tensor.name)
    made.append(Op(_OP.DEQUANTIZE, [q], [y], tfl.DequantizeOptionsT()))
    if w.data.shape == tensor.shape:
        return y
    last = m.temporary(tensor.shape, np.float32, tensor.name)
    made.append(Op(_OP.RESHAPE, [y, m.ints(tensor.shape)], [last], tfl.ReshapeOptionsT(newShape=list(tensor.shape))))
    return last


def _rows(data: Stored) -> Weights | None:
    """With a scale for each index of some axis; of blocks of the last axis, each is a row."""
    found = [w for axis in range(data.ndim) if (w := weights(data, axis)) is not None]
    if not found and data.ndim and (size := _block(data)):
        found = [w for w in [weights(data.reshape(-1, size), 0)] if w is not None]
    fine = [w for w in found if w.data.dtype in (INT4, *BYTES) and (len(w.grid.scales) == 1 or not any(w.grid.zeros))]
    return fine[0] if fine else None


def _block(data: Stored) -> int:
    """How many numbers in a row share a scale; 0 where rows do not divide into such."""
    row = data.scale.reshape(-1, data.shape[-1])[0]
    changes = np.flatnonzero(row[1:] != row[:-1])
    size = int(changes[0]) + 1 if changes.size else 0
    return size if size > 1 and data.shape[-1] % size == 0 else 0
