"""Fills the report: what became of every operator and every tensor, and what that did to the outputs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace

import numpy as np

from netglot.ir.graph import Graph, Node, Value
from netglot.passes.integer_grids import Grid
from netglot.quantize.budget import Found
from netglot.quantize.choose import FLOAT, Plan, finished, finishes, integer_nodes, layer_axis
from netglot.quantize.data import Few, Samples
from netglot.quantize.insert import quantised_weights
from netglot.quantize.measure import Noise, agreement, measure
from netglot.quantize.observe import Observation, limits
from netglot.quantize.reasons import reason
from netglot.quantize.report import NAN, Kept, LayerRow, QuantizationReport, TensorRow
from netglot.quantize.run import SampleSet
from netglot.quantize.weights import Quantised

MOST = 99.9  # per cent of a tensor's values, by which outliers are told from the rest

Progress = Callable[[int, int], None]


@dataclass
class Result:
    """A quantised graph beside the float graph that it was made of, the one before any change, and how it was made."""

    original: Graph
    reference: Graph
    quantised: Graph
    plan: Plan
    observations: Mapping[str, Observation]
    found: Found


def fill_report(
    report: QuantizationReport, result: Result, samples: Samples | None, executor: Executor | None = None,
    progress: Progress | None = None,
) -> None:  # fmt: skip
    """Adds rows to `report`: tensors are measured on a few samples, outputs on all. Without any there are but sizes."""
    names = _measured(result)
    noises: dict[str, Noise] = {}
    if samples is not None:
        noises = measure(result.reference, result.quantised, names, Few(samples), executor=executor)
        report.agreement = agreement(result.original, result.quantised, samples, executor=executor, progress=progress)
    report.tensors = list(_tensor_rows(result, noises))
    report.layers = list(_layer_rows(result, noises))
    report.size_before, report.size_after = _bytes(result.reference), _bytes(result.quantised)
    report.kept = list(kept(result.found, str(FLOAT)))


def _measured(result: Result) -> list[str]:
    """Results of operators, in float, that the quantised graph has under the same name."""
    plain = [node.output for node in result.reference.nodes() if not any(node.subgraphs())]
    names = [value.name for value in plain if value.dtype == FLOAT and value.name in result.quantised]
    inputs = [value.name for value in result.reference.inputs if value.name in result.plan.grids]
    return [*inputs, *names]


def _bytes(graph: Graph) -> int:
    return sum(stored(value.array) for value in graph.constants())


def stored(array: np.ndarray) -> int:
    """Bytes of an array in a file: two to a byte of 4 bits."""
    bits = 4 if array.dtype.name in ("int4", "uint4") else 8 * array.itemsize
    return -(-array.size * bits // 8)


# ------------------------------------------------------------------------ layers


def _layer_rows(result: Result, noises: Mapping[str, Noise]) -> Iterator[LayerRow]:
    nodes = [node for node in result.reference.nodes() if node.output.dtype == FLOAT]
    scheme = result.plan.scheme
    on_integers = {node.name for node in integer_nodes(result.reference, scheme, result.found.floats)}
    for node in nodes:
        if finishes(result.reference, node):
            continue  # it is done by the kernel before it
        noise = noises.get(finished(result.reference, node, scheme).name) or noises.get(node.output.name)
        before, after = _weight_bytes(result, node)
        yield LayerRow(
            node.name, node.op, str(node.origin), _runs_in(result, node, on_integers),
            NAN if noise is None else noise.sqnr, NAN if noise is None else noise.saturated / max(noise.count, 1),
            before, after, _why_float(result, node, on_integers),
        )  # fmt: skip


def _runs_in(result: Result, node: Node, on_integers: Collection[str]) -> str:
    activations = str(result.plan.scheme.activations or FLOAT)
    if node.name not in on_integers:
        return activations if node.output.name in result.plan.grids else str(FLOAT)
    weights = str(result.plan.scheme.weights) if layer_axis(node) is not None else activations
    return activations if weights == activations else f"{activations}, {weights} weights"


def _why_float(result: Result, node: Node, on_integers: Collection[str]) -> str:
    if node.name in on_integers or node.output.name in result.plan.grids:
        return ""
    if node.name in result.found.floats:
        return "--max-drop"
    return "no integer kernel" if node.op not in result.plan.scheme.computes else "beside operators in float"


def _weight_bytes(result: Result, node: Node) -> tuple[int, int]:
    constants = [value.array for value in node.inputs if value is not None and value.is_constant]
    before = sum(map(stored, constants))
    if node.name not in result.plan.layers:
        return before, before
    w, quantised = constants[0], _quantised(result, node)
    return before, before - stored(w) + stored(quantised.data) + quantised.scale.nbytes


def _quantised(result: Result, node: Node) -> Quantised:
    grid = result.plan.grids.get(node.inputs[0].name) if node.inputs[0] is not None else None
    return quantised_weights(node, result.plan.scheme, grid)


# ----------------------------------------------------------------------- tensors


def _tensor_rows(result: Result, noises: Mapping[str, Noise]) -> Iterator[TensorRow]:
    for name, noise in noises.items():
        value, grid = result.reference[name], result.plan.grids.get(name)
        maker = result.reference.producer(value)
        observation = result.observations.get(name)
        row = TensorRow(
            name, noise.low, noise.high, sqnr=noise.sqnr, saturation=noise.saturated / max(noise.count, 1),
            layer=maker.name if maker else "", rms=(noise.signal / max(noise.count, 1)) ** 0.5,
            inputs=tuple(_inputs(maker)), weights_sqnr=_weights_sqnr(result, maker),
        )  # fmt: skip
        yield _spread(_on_grid(row, grid), observation)


def _on_grid(row: TensorRow, grid: Grid | None) -> TensorRow:
    return row if grid is None else replace(row, scale=grid.scale, zero_point=grid.zero, dtype=str(grid.dtype))


def _inputs(node: Node | None) -> Iterable[str]:
    return (value.name for value in node.inputs if value is not None and not value.is_constant) if node else ()


def _weights_sqnr(result: Result, node: Node | None) -> float:
    if node is None or node.name not in result.plan.layers:
        return NAN
    w, quantised = node.inputs[1], _quantised(result, node)
    assert w is not None
    real = dequantised(quantised, w.array.shape)
    noise = float(np.square(w.array.astype(np.float64) - real).sum())
    signal = float(np.square(w.array, dtype=np.float64).sum())
    return np.inf if noise == 0 else 10 * float(np.log10(signal / noise)) if signal else NAN


def dequantised(w: Quantised, shape: tuple[int, ...]) -> np.ndarray:
    """What the integers stand for, as DequantizeLinear has it."""
    scale = w.scale
    if w.block:
        scale = np.repeat(scale, w.block, axis=w.axis).take(range(shape[w.axis]), axis=w.axis)
    elif w.axis >= 0:
        scale = scale.reshape([-1 if i == w.axis else 1 for i in range(len(shape))])
    zero = 0 if w.zero is None else np.float32(w.zero)
    return np.asarray((w.data.astype(np.float32) - zero) * scale)


def _spread(row: TensorRow, seen: Observation | None) -> TensorRow:
    """With what was seen of its channels and outliers."""
    if seen is not None and seen.peaks is not None:
        row = replace(row, peaks=tuple(float(peak) for peak in seen.peaks))
    if seen is None or seen.histogram is None:
        return row
    return replace(row, within=max(map(abs, limits(seen, "percentile", percentile=MOST))))


def channels_of(graph: Graph, names: Iterable[str]) -> dict[str, int]:
    """The axis of the channels of tensors that have some: of images the second, of sequences the last."""
    values = [graph[name] for name in names]
    return {value.name: _channel_axis(value) for value in values if value.shape is not None and value.rank > 1}


def _channel_axis(value: Value) -> int:
    return 1 if value.rank != 3 else 2


# ------------------------------------------------------------------------ budget


def kept(found: Found, runs_in: str) -> Iterator[Kept]:
    """In the order in which they were found; what each changed is known where it was tried so."""
    floats, drops = found.floats, found.drops
    steps = drops if len(drops) == len(floats) + 1 else [NAN] * (len(floats) + 1)
    for i, name in enumerate(floats):
        yield Kept(name, found.why.get(name, ""), steps[i], steps[i + 1], runs_in)


def why(result: Result, names: Iterable[str], samples: SampleSet, executor: Executor | None = None) -> dict[str, str]:
    """What loses most of what each operator reads and gives, all being quantised, and the reason of that."""
    noises = measure(result.reference, result.quantised, _measured(result), samples, executor=executor)
    rows = {row.name: row for row in _tensor_rows(result, noises)}
    nodes = {node.name: node for node in result.reference.nodes()}
    return {name: _why(result, nodes[name], rows) for name in names}


def _why(result: Result, node: Node, rows: Mapping[str, TensorRow]) -> str:
    own = [*_inputs(node), finished(result.reference, node, result.plan.scheme).name]
    known = [rows[name] for name in own if name in rows]
    if not known:
        return ""
    worst = min(known, key=lambda row: row.sqnr)
    return f"'{worst.name}': {reason(worst, rows)}"
