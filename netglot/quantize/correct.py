"""Bias correction: what rounding adds to each output channel of a layer on average is taken from its bias.

Nagel, van Baalen, Blankevoort, Welling, "Data-Free Quantization Through Weight Equalization and Bias Correction", 2019,
section 4.2, on calibration data (appendix D), with one change. Theirs compares a layer with the float network's, whose
input differs too; so layers must be corrected one after the other, a pass over the data for each. Here each layer is
compared with itself in float on the same input, before that was rounded: the errors of the layers do not mix, and one
pass corrects all. Measured on a MobileNet and a ResNet, that is as good (and correcting all layers at once against the
float network makes both useless: what came from one layer is taken away in all that follow).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Node, Value
from netglot.passes.affine import affine_of
from netglot.passes.integer_grids import BYTES, DEQUANTIZE, QUANTIZE
from netglot.passes.match import nodes, only_reader, producer
from netglot.quantize.channels import LINEAR
from netglot.quantize.run import Arrays, Progress, SampleSet, reduce_samples

STEPS = np.iinfo(np.int32)


@dataclass(frozen=True)
class Correction:
    """Of one layer: the root mean square over its channels of their mean errors, in units of its output.

    after: what its bias, which is an integer, could not take up.
    """

    layer: str
    before: float
    after: float


def correct_biases(
    reference: Graph,
    quantised: Graph,
    samples: SampleSet,
    *,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> list[Correction]:
    """Corrects the biases of all layers of `quantised` with quantised weights, in place.

    reference: the float graph it was made of; its layers are found by the names of their outputs. A bias in integers
    stays on its grid (scale of the input times scale of the weights); a Conv, ConvTranspose or Gemm without bias gets
    one; a MatMul has the constant that is added to it, and is left alone without. ConversionError where a graph does
    not run.
    """
    layers = list(_layers(reference, quantised))
    trial = quantised.copy()
    pairs = [(_exact(trial, layer), layer.node.output.name, layer.axis) for layer in layers]
    errors = _mean_errors(trial, pairs, samples, executor, progress) if layers else []
    corrected = [_correct(quantised, layer, error) for layer, error in zip(layers, errors, strict=True)]
    quantised.drop_unneeded()
    return corrected


@dataclass(frozen=True)
class _Layer:
    """node: in the quantised graph. twin: in the reference. holder: who adds the bias, and as which input."""

    node: Node
    twin: Node
    holder: Node
    index: int

    @property
    def axis(self) -> int:
        return 1 if self.node.op in ("Conv", "ConvTranspose") else self.node.output.rank - 1


def _layers(reference: Graph, quantised: Graph) -> Iterator[_Layer]:
    for node in nodes(quantised, *LINEAR):
        weights, twin = node.inputs[1], _twin(reference, node)
        holder = _holder(quantised, node)
        if weights is not None and not weights.is_constant and twin is not None and holder is not None:
            yield _Layer(node, twin, *holder)


def _twin(reference: Graph, node: Node) -> Node | None:
    """The same layer in float."""
    name = node.output.name.removesuffix("/unquantized")
    twin = producer(reference, reference[name], node.op) if name in reference else None
    known = twin is not None and all(value is not None and value.is_constant for value in twin.inputs[1:])
    return twin if known and node.output.shape is not None else None


def _holder(graph: Graph, node: Node) -> tuple[Node, int] | None:
    """Where the bias of a layer is or can be, if it is constant."""
    if node.op != "MatMul":
        bias = node.input(2)
        fits = node.attributes.get("beta", 1.0) == 1.0 and (bias is None or _steps_of(graph, bias) is not None)
        return (node, 2) if fits else None
    reader = only_reader(graph, node.output)
    affine = affine_of(reader) if reader is not None and reader.op == "Add" else None
    if reader is None or affine is None or affine[1].axis not in (None, node.output.rank - 1):
        return None
    return reader, [value is not None and value.is_constant for value in reader.inputs].index(True)


def _steps_of(graph: Graph, bias: Value) -> tuple[np.ndarray, np.ndarray] | None:
    """The bias in steps, and the size of a step: 0 for floats. None if it is not constant."""
    if bias.data is not None:
        return bias.data.astype(np.float64), np.zeros(())
    node = producer(graph, bias, DEQUANTIZE)
    if node is None or len(node.inputs) > 2 or "block_size" in node.attributes:
        return None
    steps, scale = (None if value is None else value.data for value in node.inputs)
    if steps is None or scale is None or scale.shape not in ((), steps.shape):
        return None
    return steps.astype(np.float64), scale.astype(np.float64)


# ------------------------------------------------------------------- measuring


def _exact(graph: Graph, layer: _Layer) -> str:
    """Adds the layer in float beside the quantised one, reading what that reads before it is rounded; its output."""
    rest = [None if value is None else graph.add_constant(value.array, value.name) for value in layer.twin.inputs[1:]]
    node, y = layer.node, layer.node.output
    x = graph[node.inputs[0].name] if node.inputs[0] is not None else None
    assert x is not None
    result = graph.add_value(f"{y.name}/exact", y.dtype, y.shape)
    graph.add_node(Node(node.op, [_unrounded(graph, x), *rest], [result], layer.twin.attributes))
    return result.name


def _unrounded(graph: Graph, x: Value) -> Value:
    node = producer(graph, x, DEQUANTIZE)
    maker = producer(graph, node.inputs[0], QUANTIZE, "DynamicQuantizeLinear") if node else None
    return maker.inputs[0] if maker is not None and maker.inputs[0] is not None else x


def _mean_errors(
    graph: Graph,
    pairs: Sequence[tuple[str, str, int]],
    samples: SampleSet,
    executor: Executor | None,
    progress: Progress | None,
) -> list[np.ndarray]:
    """[channels] of each pair: how much more the exact result is on average."""
    names = [name for exact, actual, _ in pairs for name in (exact, actual)]
    sums = [np.zeros(())] * len(pairs)
    step = partial(_sums, pairs=pairs)
    for part in reduce_samples([graph], [names], samples, step, executor=executor, progress=progress):
        sums = [a + b for a, b in zip(sums, part, strict=True)]
    return [total / len(samples) for total in sums]


def _sums(chunk: Iterable[tuple[Arrays, ...]], pairs: Sequence[tuple[str, str, int]]) -> list[np.ndarray]:
    sums = [np.zeros(())] * len(pairs)
    for (arrays,) in chunk:
        for i, (exact, actual, axis) in enumerate(pairs):
            others = tuple(k for k in range(arrays[exact].ndim) if k != axis)
            sums[i] = sums[i] + np.subtract(arrays[exact], arrays[actual], dtype=np.float64).mean(axis=others)
    return sums


# ------------------------------------------------------------------ correcting


def _correct(graph: Graph, layer: _Layer, error: np.ndarray) -> Correction:
    g = Builder(graph)
    if not np.isfinite(error).all():
        return Correction(layer.twin.name, _rms(error), _rms(error))
    with g.at(layer.node.origin):
        bias, rest = _moved(g, layer, error)
    before, after = layer.holder.inputs[: layer.index], layer.holder.inputs[layer.index + 1 :]
    graph.set_inputs(layer.holder, [*before, bias, *after])
    return Correction(layer.twin.name, _rms(error), _rms(rest))


def _rms(error: np.ndarray) -> float:
    return float(np.sqrt(np.square(error).mean()))


def _moved(g: Builder, layer: _Layer, error: np.ndarray) -> tuple[Value, np.ndarray]:
    """The bias plus `error`, and what of that is lost to rounding."""
    old = layer.holder.input(layer.index)
    found = _steps_of(g.graph, old) if old is not None else None
    steps, size = found or (np.zeros(error.shape), _step_size(g.graph, layer.node, error.size))
    name = f"{layer.twin.name}/bias" if old is None else old.name.removesuffix("/dequantized")
    if not np.all(size > 0):
        return g.constant((steps + error).astype(layer.node.output.dtype), name=name), np.zeros(error.shape)
    moved = np.clip(np.rint(steps + error / size), STEPS.min, STEPS.max).astype(np.int32)
    inputs = [g.constant(moved, name=f"{name}/quantized"), g.constant(size.astype(np.float32), name=f"{name}/scale")]
    axis: dict[str, Any] = {"axis": 0} if size.ndim else {}
    bias: Value = g.op(DEQUANTIZE, inputs, name=f"{name}/dequantized", **axis)
    return bias, error - (moved - steps) * size


def _step_size(graph: Graph, node: Node, channels: int) -> np.ndarray:
    """That of a new bias: the product of the scales of input and weights if both are bytes, else 0 for floats."""
    x, w = (_scale(graph, value) for value in node.inputs[:2])
    if x is None or w is None or x.ndim or w.shape not in ((), (channels,)):
        return np.zeros(())
    return x * w


def _scale(graph: Graph, value: Value | None) -> np.ndarray | None:
    node = producer(graph, value, DEQUANTIZE)
    scale, q = (node.inputs[1], node.inputs[0]) if node is not None else (None, None)
    if scale is None or scale.data is None or q is None or q.dtype not in BYTES:
        return None
    return scale.data.astype(np.float64)
