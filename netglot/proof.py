"""Whether what was written computes the same as what was read, and if not, where it departs."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from netglot.ir.graph import Graph
from netglot.ir.types import Shape, is_static
from netglot.source import Model, open_source
from netglot.target import Target, Written, write

if TYPE_CHECKING:
    from netglot.runtimes.base import Runtime, Tensor
    from netglot.verify import Report

SAMPLES = 4  # one of each kind of netglot.verify.inputs.KINDS


def prove(report: Report, source: Model, graph: Graph, target: Target, samples: int) -> None:
    from netglot.verify import differences, random_inputs

    expected, actual = open_source(source, graph), target.open()
    report.expected_by, report.computed_by = expected.name, actual.name
    inputs = random_inputs(_as_fixed(expected, actual), samples, sizes=expected.sizes)
    report.outputs, report.samples = differences(expected, actual, inputs, tame=True)
    if not report.ok:
        report.first_departure = _bisect(graph, target, report.rtol)


def prove_shrunk(report: Report, written: Written, target: Target, samples: int) -> None:
    """The target computes what the quantised graph does, on the data that it was calibrated with where there is some.

    How far that graph is from the source is not judged here: it was measured, and is in the report.
    """
    from netglot.quantize.shrink import fitted, measured_in_float
    from netglot.runtimes.onnxruntime import OnnxRuntime
    from netglot.verify import differences, random_inputs

    assert written.shrunk is not None
    graph = measured_in_float(written.graph) if target.format.name == "tflite" else written.graph
    expected, actual = OnnxRuntime(graph), target.open()
    report.expected_by = f"{expected.name} (the quantised graph)"
    report.computed_by = actual.name
    data = fitted(written.shrunk, written.graph, samples)
    inputs = random_inputs(expected.inputs, samples) if data is None else data
    report.outputs, report.samples = differences(expected, actual, inputs, tame=data is None)
    if not report.ok:
        report.first_departure = _bisect(written.graph, replace(target, shrink=None), report.rtol)


def _as_fixed(expected: Runtime, actual: Runtime) -> list[Tensor]:
    """The inputs of `expected` with the sizes that the target has fixed (the batch, say)."""
    fixed = {tensor.name: tensor.shape for tensor in actual.inputs}
    return [replace(tensor, shape=_narrowed(tensor.shape, fixed.get(tensor.name, ()))) for tensor in expected.inputs]


def _narrowed(shape: Shape, fixed: Shape) -> Shape:
    if is_static(shape) or len(shape) != len(fixed):
        return shape
    return tuple(
        other if not isinstance(dim, int) and isinstance(other, int) and other > 0 else dim
        for dim, other in zip(shape, fixed, strict=True)
    )


def tolerance(graph: Graph, target: Target) -> float:
    """The default: that of half precision where the source or the target computes in it, or of rearranged sums."""
    from netglot.verify import RTOL

    if target.shrink is not None and target.shrink.quantize not in (None, "fp16"):
        return RTOL["integers"]
    if target.format.name == "tflite" and _on_integers(graph):
        return RTOL["steps"]
    if target.is_half or any(value.dtype == np.float16 for value in graph.values()):
        return RTOL["float16"]
    rearranges = target.format.name == "cpp" and not target.options.get("exact")
    return RTOL["rearranged" if rearranges else "float32"]


def _on_integers(graph: Graph) -> bool:
    """Whether the source is quantised already: what lies between its steps LiteRT computes on integers."""
    return any(node.op in _INTEGER_OPS and not node.domain for node in graph.nodes())


_INTEGER_OPS = frozenset({
    "ConvInteger", "DynamicQuantizeLinear", "MatMulInteger", "QLinearConv", "QLinearMatMul", "QuantizeLinear",
})  # fmt: skip


def _bisect(graph: Graph, target: Target, rtol: float) -> str:
    """Where the target departs: converts the graph cut at one tensor after another."""
    from netglot.verify import first_departure

    nodes = [node for node in graph.nodes() if node.output.dtype is not None and node.output.dtype.kind == "f"]
    found = first_departure([node.output.name for node in nodes], lambda name: _departs(graph, name, target, rtol))
    node = graph.producer(graph[found]) if found else None
    return f"'{found}' of {node.op} ({node.origin})" if node else ""


def _departs(graph: Graph, name: str, target: Target, rtol: float) -> bool:
    from netglot.runtimes.onnxruntime import OnnxRuntime
    from netglot.verify import differences, random_inputs

    part = graph.copy()
    part.cut(outputs=[part[name]])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"part{target.format.suffixes[0]}"
        plain = {name: item for name, item in target.options.items() if name in ("threads", "exact")}
        written = replace(target, path=path, options=plain)
        write(part.copy(), written)
        expected, actual = OnnxRuntime(part), written.open()
        found, _ = differences(expected, actual, random_inputs(expected.inputs, SAMPLES), tame=True)
    return not all(output.ok(rtol) for output in found)
