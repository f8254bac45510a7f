"""How far a changed graph departs from its reference, at every tensor and in what it decides.

Sums are taken chunk by chunk in float64 and added in the order of the samples, so that the executor does not matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial, reduce
from math import inf, isfinite, log10, prod, sqrt
from operator import add

import ml_dtypes
import numpy as np

from netglot.errors import ConversionError
from netglot.ir.graph import Graph, Value
from netglot.passes.integer_grids import DEQUANTIZE
from netglot.passes.match import number, producer
from netglot.quantize.run import Arrays, Progress, SampleSet, reduce_samples

Limits = tuple[float, float]


@dataclass(frozen=True)
class Noise:
    """What a tensor lost. Sums over all elements of all samples.

    signal: of the reference's squares. noise: of the squared differences, infinite where one side alone is NaN or
    infinite. count: elements. saturated: how many of the reference's lie more than half a step outside of what the
    changed tensor can hold, 0 where its grid is not known. low, high: the reference's smallest and largest element.
    """

    signal: float = 0.0
    noise: float = 0.0
    count: int = 0
    saturated: int = 0
    low: float = inf
    high: float = -inf

    @property
    def sqnr(self) -> float:
        """Signal to noise in dB; inf where nothing was lost, -inf where nothing is left."""
        if self.noise == 0:
            return inf
        return 10 * log10(self.signal / self.noise) if 0 < self.signal < inf and self.noise < inf else -inf

    @property
    def relative(self) -> float:
        """The root of the mean squared error, relative to that of the signal."""
        return sqrt(self.noise / self.signal) if self.signal else (inf if self.noise else 0.0)

    def __add__(self, other: Noise) -> Noise:
        return Noise(
            self.signal + other.signal,
            self.noise + other.noise,
            self.count + other.count,
            self.saturated + other.saturated,
            min(self.low, other.low),
            max(self.high, other.high),
        )


def noise_of(wanted: np.ndarray, found: np.ndarray, limits: Limits | None = None) -> Noise:
    """`found` against `wanted`, of equal shapes; `limits` as of `holds`."""
    a, difference = wanted.astype(np.float64).ravel(), found.astype(np.float64).ravel()
    with np.errstate(invalid="ignore", over="ignore"):
        np.subtract(a, difference, out=difference)
        signal, noise = _squares(a), _squares(difference)
    if not (isfinite(signal) and isfinite(noise)):
        return _noise_of_some(a, found.astype(np.float64).ravel(), limits)
    low, high = float(a.min(initial=inf)), float(a.max(initial=-inf))
    return Noise(signal, noise, a.size, _outside(a, low, high, limits), low, high)


def _squares(x: np.ndarray) -> float:
    """Their sum, in one pass, and without BLAS, which adds in another order with more threads."""
    return float(np.einsum("i,i->", x, x))


def _outside(x: np.ndarray, low: float, high: float, limits: Limits | None) -> int:
    """How many of `x`, which lie between low and high, the limits cut off."""
    if limits is None or (limits[0] <= low and high <= limits[1]):
        return 0
    return int(np.count_nonzero((x < limits[0]) | (x > limits[1])))


def _noise_of_some(a: np.ndarray, b: np.ndarray, limits: Limits | None) -> Noise:
    """Where not all are finite: equal ones lose nothing, others all."""
    with np.errstate(invalid="ignore", over="ignore"):
        difference = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, a - b)
        difference[np.isnan(difference)] = inf
        finite = a[np.isfinite(a)]
        low, high = float(finite.min(initial=inf)), float(finite.max(initial=-inf))
        return Noise(_squares(finite), _squares(difference), a.size, _outside(a, -inf, inf, limits), low, high)


def measure(
    reference: Graph,
    changed: Graph,
    tensors: Sequence[str],
    samples: SampleSet,
    *,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> dict[str, Noise]:
    """The noise at each of `tensors`, which have the same names in both graphs.

    What stands for an input is what the changed graph dequantises it to. ConversionError where a tensor is not there or
    a graph does not run.
    """
    twins = {name: _twin(changed, name) for name in tensors}
    pairs = [(name, twin, holds(changed, changed[twin])) for name, twin in twins.items() if twin in changed]
    step = partial(_noises, pairs=pairs)
    wanted = [list(twins), list(twins.values())]
    results = reduce_samples([reference, changed], wanted, samples, step, executor=executor, progress=progress)
    return dict(zip(twins, _total(results, len(pairs)), strict=True))


def _twin(changed: Graph, name: str) -> str:
    dequantised = f"{name}/dequantized"
    is_input = any(value.name == name for value in changed.inputs)
    return dequantised if is_input and dequantised in changed else name


def holds(graph: Graph, value: Value) -> Limits | None:
    """Beyond which numbers `value` is cut off by its grid: half a step beyond its ends; None if it has no one grid."""
    node = producer(graph, value, DEQUANTIZE)
    q = node.inputs[0] if node else None
    scale = number(node.inputs[1]) if node else None
    if node is None or q is None or q.is_constant or q.dtype is None or q.dtype.kind not in "iuV" or scale is None:
        return None
    zero = 0.0 if node.input(2) is None else number(node.input(2))
    kind = ml_dtypes.iinfo(q.dtype)  # type: ignore[no-untyped-call]
    return None if zero is None else ((int(kind.min) - 0.5 - zero) * scale, (int(kind.max) + 0.5 - zero) * scale)


def _noises(chunk: Iterable[tuple[Arrays, ...]], pairs: Sequence[tuple[str, str, Limits | None]]) -> list[Noise]:
    """Of each pair, over the samples of a chunk."""
    rows = ([noise_of(a[name], b[twin], limits) for name, twin, limits in pairs] for a, b in chunk)
    return _total(rows, len(pairs))


def _total(rows: Iterable[Sequence[Noise]], count: int) -> list[Noise]:
    return reduce(lambda sums, row: list(map(add, sums, row)), rows, [Noise()] * count)


# ------------------------------------------------------------------ agreement


@dataclass(frozen=True)
class OutputAgreement:
    """Of one output. Shares are 0 to 1.

    top1: of rows whose largest element is at the same place, None where the output does not classify. accuracy: of the
    reference and of the changed graph, where labels are known.
    """

    name: str
    sqnr: float
    drop: float
    top1: float | None = None
    accuracy: tuple[float, float] | None = None


@dataclass(frozen=True)
class Agreement:
    """Of all outputs, over `samples` samples."""

    outputs: tuple[OutputAgreement, ...]
    samples: int

    @property
    def drop(self) -> float:
        """What --max-drop bounds: the worst of all outputs.

        Of one that classifies, the accuracy that went where labels are known (less than 0 where it rose), else the
        share of rows that changed their class. Of any other, the error relative to the signal (Noise.relative).
        """
        return max((output.drop for output in self.outputs), default=0.0)

    @property
    def top1(self) -> float | None:
        """The least share of equal classes, None where no output classifies."""
        return min((output.top1 for output in self.outputs if output.top1 is not None), default=None)

    @property
    def sqnr(self) -> dict[str, float]:
        """Of each output, in dB."""
        return {output.name: output.sqnr for output in self.outputs}

    @property
    def accuracy(self) -> tuple[float, float] | None:
        """Of the output that lost most."""
        known = [output for output in self.outputs if output.accuracy is not None]
        return max(known, key=lambda output: output.drop).accuracy if known else None


def agreement(
    reference: Graph,
    changed: Graph,
    samples: SampleSet,
    *,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Agreement:
    """How far the outputs agree, which both graphs have in the same order.

    An output classifies if it is [N, C], [N, C, 1, 1] or [N, 1, 1, C], C > 1; where some such outputs come from a
    Softmax, only those do (the others are boxes, or embeddings). The class is the first of the largest elements, as of
    ArgMax: a network whose outputs have all become equal must not pass for one that agrees. Labels are those of
    `samples.labels`, if it has them: one for each row of each output that classifies.
    """
    names = [[value.name for value in graph.outputs] for graph in (reference, changed)]
    limits = [holds(changed, value) for value in changed.outputs]
    step = partial(_outputs, names=list(zip(*names, limits, strict=True)))
    parts = list(reduce_samples([reference, changed], names, samples, step, executor=executor, progress=progress))
    noises = _total((part.noises for part in parts), len(names[0]))
    columns = [_joined(column) for column in zip(*(part.classes for part in parts), strict=True)]
    labels = getattr(samples, "labels", None)
    outputs = (
        _agreement_of(*row, labels)
        for row in zip(reference.outputs, noises, _classifying(reference, columns), strict=True)
    )
    return Agreement(tuple(outputs), len(samples) * getattr(samples, "batch", 1))


def _classifying(graph: Graph, columns: Sequence[np.ndarray | None]) -> list[np.ndarray | None]:
    """The classes of the outputs that classify, None for the others."""
    pairs = list(zip(graph.outputs, columns, strict=True))
    likely = [column is not None and _is_probability(graph, value) for value, column in pairs]
    return [column if one or not any(likely) else None for one, column in zip(likely, columns, strict=True)]


@dataclass(frozen=True)
class _Part:
    """Of a chunk, for each output: its noise, and [2, rows] the classes of both graphs, None where it has none."""

    noises: list[Noise]
    classes: list[np.ndarray | None]


def _outputs(chunk: Iterable[tuple[Arrays, ...]], names: Sequence[tuple[str, str, Limits | None]]) -> _Part:
    noises: list[list[Noise]] = []
    classes: list[list[np.ndarray | None]] = []
    for a, b in chunk:
        noises.append([noise_of(a[name], b[other], limits) for name, other, limits in names])
        classes.append([_classes(a[name], b[other]) for name, other, _ in names])
    return _Part(_total(noises, len(names)), [_joined(column) for column in zip(*classes, strict=True)])


def _joined(parts: Sequence[np.ndarray | None]) -> np.ndarray | None:
    known = [part for part in parts if part is not None]
    return np.concatenate(known, axis=1) if known and len(known) == len(parts) else None


def _classes(wanted: np.ndarray, found: np.ndarray) -> np.ndarray | None:
    """[2, rows]: the largest element's place in each row of both, -1 in one with a NaN."""
    if wanted.ndim not in (2, 4) or wanted.dtype.kind not in "fiuV" or wanted.shape != found.shape:
        return None
    rows = [array.reshape(array.shape[0], -1).astype(np.float64) for array in (wanted, found)]
    columns = rows[0].shape[1]
    if columns < 2 or columns not in (wanted.shape[1], wanted.shape[-1]):
        return None
    return np.stack([np.where(np.isnan(one).any(axis=1), -1, one.argmax(axis=1)) for one in rows])


_PASSING = ("Cast", "DequantizeLinear", "Flatten", "Identity", "QuantizeLinear", "Reshape", "Squeeze", "Transpose")


def _is_probability(graph: Graph, value: Value | None) -> bool:
    """Whether it comes from a Softmax."""
    while (node := producer(graph, value, *_PASSING)) is not None:
        value = node.inputs[0]
    return producer(graph, value, "Softmax", "LogSoftmax") is not None


def _agreement_of(
    output: Value, noise: Noise, classes: np.ndarray | None, labels: np.ndarray | None
) -> OutputAgreement:  # fmt: skip
    name = output.name
    if classes is None or not classes.size:
        return OutputAgreement(name, noise.sqnr, noise.relative)
    top1 = float(np.mean(classes[0] == classes[1]))
    if labels is None:
        return OutputAgreement(name, noise.sqnr, 1 - top1, top1)
    _require_labels(output, labels, classes.shape[1])
    before, after = (float(np.mean(row == labels.ravel())) for row in classes)
    return OutputAgreement(name, noise.sqnr, before - after, top1, (before, after))


def _require_labels(output: Value, labels: np.ndarray, rows: int) -> None:
    if labels.size != rows:
        what = f"there are {labels.size} labels, but '{output.name}' gives {rows} classes"
        raise ConversionError(what, hint="There must be one label for each row of each sample.")
    dims = (output.shape or (None, None))[1:]
    count = prod(dim for dim in dims if isinstance(dim, int)) if all(isinstance(dim, int) for dim in dims) else inf
    if labels.size and labels.max() >= count:
        what = f"there is a label {labels.max()}, but '{output.name}' tells {count} classes apart"
        raise ConversionError(what, hint=f"Labels are numbers from 0 to {count - 1}.")
