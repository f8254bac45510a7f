"""The one story of `--quantize` and `--compress`: a graph in, a smaller one out, with what that did to it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from netglot.ir.graph import Graph, Value
from netglot.passes.decompress import decompress
from netglot.passes.match import bypass, nodes, producer
from netglot.passes.stored_weights import Forms
from netglot.passes.widen import BRAIN, DOUBLE, HALF, widen
from netglot.quantize.budget import Found
from netglot.quantize.choose import FLOAT
from netglot.quantize.compress import Compression, compress
from netglot.quantize.data import Samples, of_images, open_samples
from netglot.quantize.half import half_plan
from netglot.quantize.interface import End, integer_ends
from netglot.quantize.measure import agreement
from netglot.quantize.observe import Observation, observe
from netglot.quantize.quantizer import Quantizer
from netglot.quantize.report import CompressionRow, QuantizationReport
from netglot.quantize.request import Request
from netglot.quantize.rows import fill_report, kept
from netglot.quantize.run import SampleSet
from netglot.quantize.scheme import scheme
from netglot.quantize.spare import spare
from netglot.runtimes.base import Tensor
from netglot.verify.inputs import KINDS, random_inputs

Progress = Callable[[str, int, int], None]  # what is being done, samples done, of how many
AS_IT_WAS = "weights as they were"  # what a layer runs in whose weights --max-drop left so


@dataclass
class Shrunk:
    """The graph as it is to be written, what was measured, and data to try it on.

    options: for the target's writer. ends: inputs and outputs that are integers. is_changed: whether it computes
    something else than the graph that it was made of.
    """

    graph: Graph
    report: QuantizationReport
    samples: Samples | None = None
    options: dict[str, Any] = field(default_factory=dict)
    ends: list[End] = field(default_factory=list)
    is_changed: bool = True


def shrink(graph: Graph, target: str, request: Request, progress: Progress | None = None) -> Shrunk:
    """`graph` (after the common passes) as `request` asks for it, for `target`; `graph` itself is left as it is.

    Raises ConversionError for data that does not fit, and for a budget that can't be met.
    """
    original, graph = graph, graph.copy()
    with _opened(request.executor) as executor:
        if not request.quantize:
            return _compressed(original, graph, target, request, executor, progress)
        compressed = None if request.compress is None else _compress(graph, target, request)
        if request.on_integers:
            shrunk = _quantised(original, graph, target, request, executor, progress)
        else:
            shrunk = _halved(graph, target, request, executor)
    if compressed is not None:
        _add(shrunk, compressed, target)
    return shrunk


# Which operators for stored weights each target's files have, and what each costs there (seen: up to 200 bytes, and
# 1,150 for ONNX's Sparse, which is twelve operators).
FORMS: Mapping[str, Forms] = {"onnx": {"Palette": 256, "Sparse": 1280}, "coreml": {"Palette": 256, "Sparse": 256}}


def _compress(graph: Graph, target: str, request: Request, keep: Collection[str] = ()) -> Compression:
    """In place. Weights that are quantised afterwards stay dense."""
    forms = {} if request.on_integers else FORMS.get(target, {})
    return compress(graph, str(request.compress), forms=forms, keep=keep)


def _add(shrunk: Shrunk, found: Compression, target: str) -> None:
    rows = [CompressionRow(one.name, one.form or "dense", one.before, one.after, one.zeros, one.values)
            for one in found.tensors]  # fmt: skip
    shrunk.report.compression = rows
    shrunk.is_changed |= found.spec != "lossless"
    if target == "cpp":
        shrunk.options["compress"] = "lossless"


def _quantised(
    original: Graph, graph: Graph, target: str, request: Request, executor: Executor | None, progress: Progress | None
) -> Shrunk:
    original = original.copy()
    for one in (original, graph):
        decompress(one)  # palettes and sparse weights are weights like all others, and get integers
        widen(one, (HALF, BRAIN, DOUBLE))
    quantizer = Quantizer(graph, scheme(str(request.quantize), target), request, executor, progress, original)
    result, how = quantizer.run()
    report = QuantizationReport(str(request.quantize), target, how, _items(quantizer.samples))
    fill_report(report, result, quantizer.evaluation, executor, quantizer.step("measuring"))
    ends = integer_ends(result.quantised, np.dtype(request.io)) if request.io != "float" else []
    return Shrunk(result.quantised, report, quantizer.samples, ends=ends)


def _halved(graph: Graph, target: str, request: Request, executor: Executor | None) -> Shrunk:
    """What float16 can't hold stays float32: ranges are looked at before anything is written."""
    samples = _samples(graph, request, request.calibrate)
    computes = target in ("onnx", "coreml")  # the others only store weights so
    seen = _ranges(graph, samples or _Random(graph), executor) if computes else {}
    plan = half_plan(graph, seen)
    report = QuantizationReport("fp16", target, "" if samples is None else "minmax", _items(samples), half=plan.keep)
    options: dict[str, Any] = {"quantize": "fp16", "keep": frozenset(plan.keep)}
    if computes:
        options["inside"] = plan.inside
    return Shrunk(graph, report, samples, options, is_changed=False)


def _ranges(graph: Graph, data: SampleSet, executor: Executor | None) -> dict[str, Observation]:
    """Of all float tensors that something reads."""
    floats = [value for value in graph.values() if value.dtype == FLOAT and not value.is_constant]
    return observe(graph, [value.name for value in floats if graph.uses(value)], data, executor=executor)


def _samples(graph: Graph, request: Request, data: Any) -> Samples | None:
    if data is None:
        return None
    return open_samples(data, graph.inputs, request.preprocess if of_images(data) else "")


def _items(samples: Samples | None) -> int:
    return 0 if samples is None else samples.items


class _Random:
    """Inputs of each kind that verification tries, where there is no data."""

    def __init__(self, graph: Graph) -> None:
        self._inputs = [Tensor(value.name, value.dtype, value.shape or ()) for value in graph.inputs if value.dtype]
        self._count = len(KINDS)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Mapping[str, np.ndarray]]:
        return random_inputs(self._inputs, self._count)


def _compressed(
    original: Graph, graph: Graph, target: str, request: Request, executor: Executor | None, progress: Progress | None
) -> Shrunk:
    report = QuantizationReport("", target)
    samples = _samples(graph, request, request.calibrate)
    held_out = _samples(graph, request, request.evaluate) or samples
    found = Found()
    if request.max_drop is not None:
        assert held_out is not None  # as check() has it
        found = spare(original, str(request.compress), request.max_drop, held_out, executor, progress)
    shrunk = Shrunk(graph, report, samples, is_changed=False)
    _add(shrunk, _compress(graph, target, request, found.floats), target)
    report.kept = list(kept(found, AS_IT_WAS))
    if held_out is not None:
        report.samples = held_out.items
        report.agreement = agreement(original, graph, held_out, executor=executor)
    return shrunk


def _opened(executor: Executor | str | None) -> AbstractContextManager[Executor | None]:
    from netglot.quantize.executors import open_executor

    return open_executor(executor) if isinstance(executor, str) else nullcontext(executor)


# ---------------------------------------------------------------- verification


def measured_in_float(graph: Graph) -> Graph:
    """A copy without grids that are measured at run time: DequantizeLinear(DynamicQuantizeLinear(x)) -> x.

    LiteRT's kernels measure one for each row, and symmetrically; DynamicQuantizeLinear one for the whole tensor. What
    both stand for is the product with x itself.
    """
    graph = graph.copy()
    for node in nodes(graph, "DequantizeLinear"):
        maker = producer(graph, node.inputs[0], "DynamicQuantizeLinear")
        if maker is not None and maker.inputs[0] is not None:
            bypass(graph, node, maker.inputs[0])
    graph.drop_unneeded()
    return graph


def fitted(shrunk: Shrunk, graph: Graph, count: int) -> Iterator[dict[str, np.ndarray]] | None:
    """The first samples as the inputs of `graph`, the one that was written, take them; None where there are none."""
    if shrunk.samples is None:
        return None
    grids = {end.name: end for end in shrunk.ends}
    return ({value.name: _fitted(sample[value.name], value, grids.get(value.name)) for value in graph.inputs}
            for sample in islice(iter(shrunk.samples), count))  # fmt: skip


def _fitted(array: np.ndarray, value: Value, end: End | None) -> np.ndarray:
    """On the grid of an integer input, and in the layout that --io-layout gave it."""
    if end is not None:
        array = end.grid.quantised(array)
    if array.ndim == 4 and array.shape != value.shape:
        orders = ((0, 2, 3, 1), (0, 3, 1, 2))
        array = next((moved for order in orders if (moved := array.transpose(order)).shape == value.shape), array)
    return np.ascontiguousarray(array, value.dtype)
