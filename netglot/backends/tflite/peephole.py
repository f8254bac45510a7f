"""Rewrites on the list of TFLite operators, after lowering: what only TFLite has. Each is one walk over the list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from netglot.backends.tflite.context import OPEN, Op, TFLiteBuilder
from netglot.passes.moves import one_move

_BUILTIN, _ACTIVATION = tfl.BuiltinOperator, tfl.ActivationFunctionType
_ACTIVATIONS = {
    _BUILTIN.RELU: _ACTIVATION.RELU, _BUILTIN.RELU6: _ACTIVATION.RELU6, _BUILTIN.RELU_N1_TO_1: _ACTIVATION.RELU_N1_TO_1,
}  # fmt: skip
# CONCATENATION has the field too, and LiteRT's kernel ignores it.
_FUSING = {
    _BUILTIN.CONV_2D, _BUILTIN.DEPTHWISE_CONV_2D, _BUILTIN.CONV_3D, _BUILTIN.TRANSPOSE_CONV, _BUILTIN.FULLY_CONNECTED,
    _BUILTIN.ADD, _BUILTIN.SUB, _BUILTIN.MUL, _BUILTIN.DIV, _BUILTIN.MAX_POOL_2D, _BUILTIN.AVERAGE_POOL_2D,
}  # fmt: skip


def peephole(m: TFLiteBuilder, outputs: Sequence[int]) -> None:
    """Runs every rewrite. `outputs` are the tensors that must survive."""
    without_noops(m, set(outputs))
    pad_once(m, set(outputs))
    merge_moves(m)
    without_noops(m, set(outputs))  # what undid each other
    drop_unread(m, set(outputs))
    reshape_in_reductions(m, set(outputs))
    fuse_biases(m, set(outputs))
    fuse_activations(m, set(outputs))
    merge_moves(m)  # those with only an activation between them
    transpose_once(m, set(outputs))
    merge_moves(m)  # the Reshapes which that has made
    without_noops(m, set(outputs))
    drop_unread(m, set(outputs))
    cancel_reshapes(m, set(outputs))
    fuse_roots(m, set(outputs))
    transpose_in_products(m)
    drop_unread(m, set(outputs))


def pad_once(m: TFLiteBuilder, outputs: set[int]) -> None:
    """PAD(x), PAD(x) -> PAD(x) once, which convolutions of the same image share."""
    seen: dict[tuple[int, ...], Op] = {}
    replaced: dict[int, int] = {}
    kept = []
    for op in m.ops:
        first = seen.setdefault((op.code, *op.inputs), op) if op.code in (_BUILTIN.PAD, _BUILTIN.PADV2) else op
        if first is op or op.outputs[0] in outputs:
            kept.append(op)
        else:
            replaced[op.outputs[0]] = first.outputs[0]
    m.ops = kept
    rename(m, replaced)


def merge_moves(m: TFLiteBuilder) -> None:
    """RESHAPE(RESHAPE(x)) -> RESHAPE(x); TRANSPOSE(TRANSPOSE(x)) -> TRANSPOSE(x), or RESHAPE(x) if it moves nothing."""
    makers: dict[int, Op] = {}
    for op in m.ops:
        before = makers.get(op.inputs[0]) if op.inputs else None
        if before is not None and op.code == before.code == _BUILTIN.RESHAPE:
            op.inputs[0] = before.inputs[0]
        elif before is not None and op.code == before.code == _BUILTIN.TRANSPOSE:
            _merge_transposes(m, op, before)
        makers.update((y, op) for y in op.outputs)


def _merge_transposes(m: TFLiteBuilder, op: Op, before: Op) -> None:
    first, second = m.data(before.inputs[1]), m.data(op.inputs[1])
    assert first is not None
    assert second is not None
    perm = first[second]
    op.inputs = [before.inputs[0], m.ints(perm)]
    if list(perm) == sorted(perm):
        shape = m.shape(op.outputs[0])
        op.code, op.options, op.inputs[1] = _BUILTIN.RESHAPE, tfl.ReshapeOptionsT(newShape=list(shape)), m.ints(shape)


MOST_AXES = 6  # of a TRANSPOSE


def transpose_once(m: TFLiteBuilder, outputs: set[int]) -> None:
    """TRANSPOSE(RESHAPE(TRANSPOSE(x))) -> RESHAPE(TRANSPOSE(RESHAPE(x))), where nothing else reads what is between."""
    uses = Counter(x for op in m.ops for x in op.inputs)
    uses.update(outputs)
    makers: dict[int, Op] = {}
    kept: list[Op] = []
    for op in m.ops:
        made = _once(m, op, makers, uses)
        kept += made
        makers.update((one.outputs[0], one) for one in made)
    m.ops = kept
    drop_unread(m, outputs)


def _once(m: TFLiteBuilder, op: Op, makers: Mapping[int, Op], uses: Counter[int]) -> list[Op]:
    """The operators for a TRANSPOSE whose argument comes from another, by way of a RESHAPE; or what it was."""
    reshape = makers.get(op.inputs[0]) if op.code == _BUILTIN.TRANSPOSE else None
    before = makers.get(reshape.inputs[0]) if reshape is not None and reshape.code == _BUILTIN.RESHAPE else None
    if reshape is None or before is None or before.code != _BUILTIN.TRANSPOSE:
        return [op]
    x, y, between = before.inputs[0], op.outputs[0], reshape.outputs[0]
    perms = [m.data(before.inputs[1]), m.data(op.inputs[1])]
    if perms[0] is None or perms[1] is None or uses[between] > 1 or uses[before.outputs[0]] > 1 or OPEN in m.shape(x):
        return [op]
    move = one_move(m.shape(x), perms[0].tolist(), m.shape(between), perms[1].tolist())
    if move is None or len(move.shape) > MOST_AXES:
        return [op]
    if not move.perm:
        return [_reshape(m, x, y)]
    first = m.temporary(move.shape, m.dtype(x))
    last = m.temporary([move.shape[axis] for axis in move.perm], m.dtype(x))
    transpose = Op(_BUILTIN.TRANSPOSE, [first, m.ints(move.perm)], [last], op.options)
    return [_reshape(m, x, first), transpose, _reshape(m, last, y)]


def _reshape(m: TFLiteBuilder, x: int, y: int) -> Op:
    shape = m.shape(y)
    return Op(_BUILTIN.RESHAPE, [x, m.ints(shape)], [y], tfl.ReshapeOptionsT(newShape=list(shape)))


def without_noops(m: TFLiteBuilder, outputs: set[int]) -> None:
    """RESHAPE(x) -> x where the shape stays. An output takes the place of the tensor that it copies."""
    replaced: dict[int, int] = {}
    made: set[int] = set()
    kept = []
    for op in m.ops:
        op.inputs = [replaced.get(x, x) for x in op.inputs]
        made.update(op.outputs)
        if not _is_noop(m, op):
            kept.append(op)
            continue
        x, y = op.inputs[0], op.outputs[0]
        if y not in outputs:
            replaced[y] = x
        elif x in made and x not in outputs:
            replaced[x] = y
        else:
            kept.append(op)
    m.ops = kept
    rename(m, replaced)


def _is_noop(m: TFLiteBuilder, op: Op) -> bool:
    x, y = op.inputs[0], op.outputs[0]
    return op.code == _BUILTIN.RESHAPE and m.shape(x) == m.shape(y) and m.tensors[x].grid == m.tensors[y].grid


def rename(m: TFLiteBuilder, replaced: dict[int, int]) -> None:
    """Renames tensors everywhere, along chains of replacements (which are short: each step ends at what stays)."""

    def final(x: int) -> int:
        while x in replaced:
            x = replaced[x]
        return x

    for op in m.ops:
        op.inputs, op.outputs = [final(x) for x in op.inputs], [final(y) for y in op.outputs]


def drop_unread(m: TFLiteBuilder, outputs: set[int]) -> None:
    """Drops operators whose results nothing reads."""
    needed, kept = set(outputs), []
    for op in reversed(m.ops):
        if not needed.isdisjoint(op.outputs):
            needed.update(op.inputs)
            kept.append(op)
    m.ops = kept[::-1]


_REDUCTIONS = {
    _BUILTIN.MEAN, _BUILTIN.SUM, _BUILTIN.REDUCE_MAX, _BUILTIN.REDUCE_MIN, _BUILTIN.REDUCE_PROD,
}  # fmt: skip


def reshape_in_reductions(m: TFLiteBuilder, outputs: set[int]) -> None:
    """RESHAPE(MEAN(x)) -> MEAN(x) with the other keep_dims, where nothing else reads MEAN(x)."""
    readers = Counter(x for op in m.ops for x in op.inputs)
    makers: dict[int, Op] = {}
    kept = []
    for op in m.ops:
        maker = makers.get(op.inputs[0]) if op.code == _BUILTIN.RESHAPE else None
        alone = readers[op.inputs[0]] == 1 and op.inputs[0] not in outputs if maker is not None else False
        shapes = _reduced_shapes(m, maker) if maker is not None and alone else []
        if maker is not None and m.shape(op.outputs[0]) in shapes:
            maker.options.keepDims = shapes.index(m.shape(op.outputs[0])) == 1
            maker.outputs = op.outputs
        else:
            kept.append(op)
        makers.update((y, op) for y in op.outputs if op.code in _REDUCTIONS)
    m.ops = kept


def _reduced_shapes(m: TFLiteBuilder, op: Op) -> list[tuple[int, ...]]:
    """The shape of a reduction's result without the axes it reduces, and with them."""
    shape, data = m.shape(op.inputs[0]), m.data(op.inputs[1])
    if data is None:
        return []
    axes = {int(axis) % len(shape) for axis in data.ravel()}
    ones = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    return [tuple(size for axis, size in enumerate(shape) if axis not in axes), ones]


_ELEMENTWISE = {
    _BUILTIN.RELU, _BUILTIN.RELU6, _BUILTIN.LOGISTIC, _BUILTIN.TANH, _BUILTIN.ELU, _BUILTIN.GELU, _BUILTIN.LEAKY_RELU,
    _BUILTIN.HARD_SWISH, _BUILTIN.ABS, _BUILTIN.NEG, _BUILTIN.EXP, _BUILTIN.SQRT, _BUILTIN.RSQRT, _BUILTIN.SQUARE,
}  # fmt: skip
_BINARY = {
    _BUILTIN.ADD, _BUILTIN.SUB, _BUILTIN.MUL, _BUILTIN.DIV, _BUILTIN.MAXIMUM, _BUILTIN.MINIMUM,
}  # fmt: skip


def cancel_reshapes(m: TFLiteBuilder, outputs: set[int]) -> None:
    """RESHAPE(f(RESHAPE(x))) -> f(x), where both keep the last axis and f is elementwise, or of constants for it."""
    readers: dict[int, list[Op]] = {}
    for op in m.ops:
        for x in op.inputs:
            readers.setdefault(x, []).append(op)
    gone: set[int] = set()  # by what they compute
    for op in m.ops:
        is_left = op.code == _BUILTIN.RESHAPE and op.outputs[0] not in gone
        chain = _between_reshapes(m, op, readers, outputs) if is_left else []
        if len(chain) < 3 or not _restores(m, op, chain):
            continue
        first, last = chain[1], chain[-2]
        first.inputs = [op.inputs[0] if x == op.outputs[0] else x for x in first.inputs]
        for one in chain[1:-2]:
            m.tensors[one.outputs[0]].shape = m.shape(op.inputs[0])
        gone |= {op.outputs[0], last.outputs[0]}
        last.outputs, chain[-1].outputs = chain[-1].outputs, last.outputs
    m.ops = [op for op in m.ops if not gone.intersection(op.outputs)]


def _between_reshapes(
    m: TFLiteBuilder, op: Op, readers: Mapping[int, Sequence[Op]], outputs: set[int]
) -> list[Op]:  # fmt: skip
    """`op`, the elementwise operators after it that alone read one another, and the RESHAPE that ends them, if any."""
    chain = [op]
    while len(found := readers.get(chain[-1].outputs[0], [])) == 1 and chain[-1].outputs[0] not in outputs:
        chain.append(found[0])
        if found[0].code == _BUILTIN.RESHAPE:
            return chain
        if not _keeps_channels(m, chain[-2].outputs[0], found[0], len(m.shape(op.inputs[0]))):
            break
    return []


def _keeps_channels(m: TFLiteBuilder, x: int, op: Op, rank: int) -> bool:
    """Whether `op` computes the same of x with other axes, `rank` of them, but the last."""
    if op.code in _ELEMENTWISE:
        return True
    other = [item for item in op.inputs if item != x]
    data = m.data(other[0]) if op.code in _BINARY and len(other) == 1 else None
    if data is None or m.shape(op.outputs[0]) != m.shape(x):
        return False
    return data.ndim <= rank and data.size == max(data.shape[-1:], default=1)


def _restores(m: TFLiteBuilder, op: Op, chain: Sequence[Op]) -> bool:
    shape = m.shape(op.inputs[0])
    return shape == m.shape(chain[-1].outputs[0]) and shape[-1:] == m.shape(op.outputs[0])[-1:]


def transpose_in_products(m: TFLiteBuilder) -> None:
    """BATCH_MATMUL(x, TRANSPOSE(y)) of the last two axes -> BATCH_MATMUL(x, y) with adj_y."""
    makers = {op.outputs[0]: op for op in m.ops if op.code == _BUILTIN.TRANSPOSE}
    for op in m.ops:
        before = makers.get(op.inputs[1]) if op.code == _BUILTIN.BATCH_MATMUL else None
        if before is not None and _swaps_last(m.data(before.inputs[1])):
            op.options.adjY = not op.options.adjY
            op.inputs[1] = before.inputs[0]


def _swaps_last(perm: np.ndarray | None) -> bool:
    if perm is None:
        return False
    rank = perm.size
    return rank > 1 and perm.ravel().tolist() == [*range(rank - 2), rank - 1, rank - 2]


def fuse_roots(m: TFLiteBuilder, outputs: set[int]) -> None:
    """DIV(1, SQRT(x)) -> RSQRT(x), where nothing else reads SQRT(x)."""
    readers = Counter(x for op in m.ops for x in op.inputs)
    makers = {op.outputs[0]: op for op in m.ops if op.code == _BUILTIN.SQRT}
    gone = set()
    for op in m.ops:
        root = makers.get(op.inputs[1]) if op.code == _BUILTIN.DIV else None
        if root is not None and _is_inverse(m, op) and readers[op.inputs[1]] == 1 and op.inputs[1] not in outputs:
            op.code, op.options, op.inputs = _BUILTIN.RSQRT, None, list(root.inputs)
            gone.add(root.outputs[0])
    m.ops = [op for op in m.ops if not gone.intersection(op.outputs)]


def _is_inverse(m: TFLiteBuilder, op: Op) -> bool:
    one, shape = m.data(op.inputs[0]), m.shape(op.outputs[0])
    plain = op.options.fusedActivationFunction == _ACTIVATION.NONE and m.shape(op.inputs[1]) == shape
    return plain and one is not None and one.dtype == np.float32 and bool(np.all(one == 1))


_BIASED = {_BUILTIN.CONV_2D, _BUILTIN.DEPTHWISE_CONV_2D, _BUILTIN.CONV_3D, _BUILTIN.FULLY_CONNECTED}


def fuse_biases(m: TFLiteBuilder, outputs: set[int]) -> None:
    """ADD(CONV_2D(x), constant) -> CONV_2D(x) with another bias: what composed operators begin with."""
    readers = Counter(x for op in m.ops for x in op.inputs)
    makers: dict[int, Op] = {}
    kept = []
    for op in m.ops:
        maker = makers.get(op.inputs[0]) if op.code == _BUILTIN.ADD else None
        alone = maker is not None and readers[op.inputs[0]] == 1 and op.inputs[0] not in outputs
        bias = _sum_of_biases(m, maker, op) if maker is not None and alone else None
        if maker is not None and bias is not None:
            maker.inputs[2], maker.outputs = bias, op.outputs
            op = maker
        else:
            kept.append(op)
        makers.update((y, op) for y in op.outputs if op.code in _BIASED)
    m.ops = kept


def _sum_of_biases(m: TFLiteBuilder, op: Op, add: Op) -> int | None:
    """The bias of `op` and the constant that `add` adds to each channel; None if it is not of that kind."""
    more, columns = m.data(add.inputs[1]), m.shape(op.outputs[0])[-1:]
    bare = op.code == _BUILTIN.FULLY_CONNECTED and op.inputs[2:] in ([], [-1])
    given = np.zeros(columns, np.float32) if bare else m.data(op.inputs[2])
    if given is None or more is None or given.dtype != np.float32 or m.shape(op.outputs[0]) != m.shape(add.outputs[0]):
        return None
    plain = op.options.fusedActivationFunction == add.options.fusedActivationFunction == _ACTIVATION.NONE
    if not plain or more.size not in (1, given.size) or more.size != max(more.shape[-1:], default=1):
        return None
    return m.constant((given.astype(np.float64) + more.ravel()).astype(np.float32), name=m.tensors[add.inputs[1]].name)


def fuse_activations(m: TFLiteBuilder, outputs: set[int]) -> None:
    """RELU(op(x)) -> op(x) with fused_activation_function, where nothing else reads op(x).

    RELU(RESHAPE(op(x))) likewise: operators over one axis compute on images of height one.
    """
    readers = Counter(x for op in m.ops for x in op.inputs)
    makers: dict[int, Op] = {}
    kept = []
    for op in m.ops:
        before = makers.get(op.inputs[0]) if op.code in _ACTIVATIONS else None
        maker = _through_reshape(before, makers)
        between = [y for one in {before, maker} if one is not None for y in one.outputs]
        alone = all(readers[y] == 1 and y not in outputs for y in between)
        if before is not None and maker is not None and alone and _can_fuse(m, maker):
            maker.options.fusedActivationFunction = _ACTIVATIONS[op.code]
            before.outputs = op.outputs
            op = before
        else:
            kept.append(op)
        makers.update((y, op) for y in op.outputs)
    m.ops = kept


def _through_reshape(op: Op | None, makers: Mapping[int, Op]) -> Op | None:
    return makers.get(op.inputs[0]) if op is not None and op.code == _BUILTIN.RESHAPE else op


def _can_fuse(m: TFLiteBuilder, op: Op) -> bool:
    """Integer kernels do not all clamp, and what already has an activation keeps it."""
    if op.code not in _FUSING or m.dtype(op.outputs[0]).kind != "f":
        return False
    return bool(op.options.fusedActivationFunction == _ACTIVATION.NONE)
