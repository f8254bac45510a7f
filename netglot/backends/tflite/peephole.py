"""Rewrites on the list of TFLite operators, after lowering: what only TFLite has."""

from __future__ import annotations

from collections import Counter

from ai_edge_litert import schema_py_generated as tfl

from netglot.backends.tflite.context import Op, TFLiteBuilder

_BUILTIN, _ACTIVATION = tfl.BuiltinOperator, tfl.ActivationFunctionType
_ACTIVATIONS = {_BUILTIN.RELU: _ACTIVATION.RELU, _BUILTIN.RELU6: _ACTIVATION.RELU6}


def peephole(m: TFLiteBuilder, outputs: set[int]) -> None:
    """Runs every rewrite. `outputs` are the tensors that must survive."""
    without_noops(m, outputs)
    fuse_activations(m, outputs)


def _readers(m: TFLiteBuilder) -> Counter[int]:
    return Counter(x for op in m.ops for x in op.inputs)


def _makers(m: TFLiteBuilder) -> dict[int, Op]:
    return {y: op for op in m.ops for y in op.outputs}


def fuse_activations(m: TFLiteBuilder, outputs: set[int]) -> None:
    """RELU(op(x)) -> op(x) with fused_activation_function, where nothing else reads op(x)."""
    readers, makers = _readers(m), _makers(m)
    for op in [op for op in m.ops if op.code in _ACTIVATIONS]:
        x = op.inputs[0]
        maker = makers.get(x)
        if maker is None or readers[x] != 1 or x in outputs or not hasattr(maker.options, "fusedActivationFunction"):
            continue
        if maker.options.fusedActivationFunction == _ACTIVATION.NONE:
            maker.options.fusedActivationFunction = _ACTIVATIONS[op.code]
            maker.outputs = op.outputs
            makers[op.outputs[0]] = maker
            m.ops.remove(op)


def without_noops(m: TFLiteBuilder, outputs: set[int]) -> None:
    """RESHAPE(RESHAPE(x)) -> RESHAPE(x); RESHAPE(x) -> x where the shape stays."""
    makers = _makers(m)
    for op in [op for op in m.ops if op.code == _BUILTIN.RESHAPE]:
        before = makers.get(op.inputs[0])
        if before is not None and before.code == _BUILTIN.RESHAPE:
            op.inputs[0] = before.inputs[0]
        x, y = op.inputs[0], op.outputs[0]
        if m.tensors[x].shape == m.tensors[y].shape and y not in outputs:
            m.ops.remove(op)
            for other in m.ops:
                other.inputs = [x if i == y else i for i in other.inputs]
    _drop_unread(m, outputs)


def _drop_unread(m: TFLiteBuilder, outputs: set[int]) -> None:
    needed = set(outputs)
    for op in reversed(m.ops):
        if needed.intersection(op.outputs):
            needed.update(op.inputs)
    m.ops = [op for op in m.ops if needed.intersection(op.outputs)]
