"""Quantisation by integers: prepare, observe, choose, insert, correct, and leave in float what must be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from netglot.errors import ConversionError
from netglot.ir.graph import Graph, Value
from netglot.passes.integer_grids import DEQUANTIZE
from netglot.passes.match import nodes
from netglot.quantize import choose
from netglot.quantize.budget import RANKING, Found, Progress, Words, within
from netglot.quantize.correct import correct_biases
from netglot.quantize.data import Few, Samples, of_images, open_samples
from netglot.quantize.equalize import equalize
from netglot.quantize.insert import insert
from netglot.quantize.measure import Agreement, agreement, measure
from netglot.quantize.observe import COUNTING, Observation, limits, observe
from netglot.quantize.request import Request
from netglot.quantize.rows import Result, channels_of, why
from netglot.quantize.run import SampleSet
from netglot.quantize.scheme import Scheme
from netglot.quantize.smooth import channels_to_observe, smooth

IN_FLOAT = Words(
    "operators", "left in float", "Give more --calibrate data or another --method, or take --quantize int16x8 or fp16."
)


@dataclass
class Trial:
    """One way to quantise: the float graph it starts from, the plan, and how that was made.

    quantised, sqnr: the graph with all of the plan in it, and how well that does; made when it is asked for.
    """

    graph: Graph
    plan: choose.Plan
    observations: Mapping[str, Observation]
    method: str
    corrected: bool = False
    quantised: Graph | None = None
    sqnr: float = -np.inf


class Quantizer:
    """`graph` is after the common passes, and left as it is. samples, evaluation: to calibrate on, and to measure.

    original: what the outputs are judged by, where `graph` is not that: where its weights were compressed.
    """

    def __init__(
        self, graph: Graph, chosen: Scheme, request: Request, executor: Executor | None, progress: Progress | None,
        original: Graph | None = None,
    ) -> None:  # fmt: skip
        self.original = original or graph
        self.graph, self.scheme, self.request, self.executor, self.progress = graph, chosen, request, executor, progress
        self.samples = None if request.calibrate is None else self._open(request.calibrate)
        self.evaluation = self.samples if request.evaluate is None else self._open(request.evaluate)
        if not choose.integer_nodes(graph, chosen):
            what = f"no operator of this network can be quantised to {chosen.mode} for {chosen.target}"
            raise ConversionError(what, hint=_why_none(graph, chosen))

    def _open(self, data: Any) -> Samples:
        return open_samples(data, self.graph.inputs, self.request.preprocess if of_images(data) else "")

    def run(self) -> tuple[Result, str]:
        """The quantised graph beside the one that it was made of, and how it was made, in words."""
        best = self._best()
        found = self._within_budget(best)
        return self._result(best, self._quantised(best, frozenset(found.floats)), found), self._said(best)

    def _result(self, best: Trial, graph: Graph, found: Found) -> Result:
        plan = self._plan(best, frozenset(found.floats))
        return Result(self.original, best.graph, graph, plan, best.observations, found)

    def _said(self, best: Trial) -> str:
        parts = [best.method if self.scheme.needs_data else "", "biases corrected" if best.corrected else ""]
        return ", ".join(filter(None, parts))

    def step(self, what: str) -> Callable[[int, int], None] | None:
        return partial(self.progress, what) if self.progress else None

    # ------------------------------------------------------------------- trials

    def _best(self) -> Trial:
        """Of all ways to prepare the graph that whose outputs are nearest to the float ones."""
        if not self.scheme.needs_data:
            trial = Trial(self.graph, choose.plan(self.graph, self.scheme, {}, _unknown), {}, "")
            return trial if self.samples is None else self._corrected(self._scored(trial))
        trials = [self._scored(self._trial(name, graph)) for name, graph in self._prepared()]
        return self._corrected(max(trials, key=lambda trial: trial.sqnr))

    def _prepared(self) -> Iterator[tuple[str, Graph]]:
        """The graph, and copies of it that compute the same with ranges that are easier to round."""
        yield "", self.graph
        for name, change in (("equalised", equalize), ("smoothed", self._smooth)):
            graph = self.graph.copy()
            if change(graph):
                yield name, graph

    def _smooth(self, graph: Graph) -> list[str]:
        channels = channels_to_observe(graph)
        if not channels:
            return []
        seen = observe(graph, list(channels), self._data, channels=channels, executor=self.executor)
        return smooth(graph, seen)

    @property
    def _data(self) -> Samples:
        assert self.samples is not None  # as check() has it
        return self.samples

    def _trial(self, name: str, graph: Graph) -> Trial:
        method, names = self.request.method, choose.tensors(graph, self.scheme)
        observations = observe(
            graph, names, self._data, histograms=method in COUNTING, channels=channels_of(graph, names),
            executor=self.executor, progress=self.step("observing ranges"),
        )  # fmt: skip
        plan = choose.plan(graph, self.scheme, observations, self._limits())
        return Trial(graph, plan, observations, " ".join(filter(None, (method, name))))

    def _limits(self) -> choose.Limits:
        assert self.scheme.activations is not None
        bits = 8 * self.scheme.activations.itemsize
        return partial(limits, method=self.request.method, bits=bits, symmetric=self.scheme.symmetric)

    def _plan(self, trial: Trial, floats: frozenset[str] = frozenset()) -> choose.Plan:
        if not floats:
            return trial.plan
        chosen = self._limits() if trial.observations else _unknown
        return choose.plan(trial.graph, self.scheme, trial.observations, chosen, floats)

    def _quantised(self, trial: Trial, floats: frozenset[str] = frozenset()) -> Graph:
        if floats:
            return self._inserted(trial, floats)
        if trial.quantised is None:
            trial.quantised = self._inserted(trial, floats)
        return trial.quantised

    def _inserted(self, trial: Trial, floats: frozenset[str]) -> Graph:
        graph = trial.graph.copy()
        insert(graph, self._plan(trial, floats))
        if trial.corrected:
            few = Few(self._data)
            correct_biases(trial.graph, graph, few, executor=self.executor)
        return graph

    def _scored(self, trial: Trial) -> Trial:
        trial.sqnr = self._sqnr(self._quantised(trial))
        return trial

    def _corrected(self, trial: Trial) -> Trial:
        """With the mean errors taken from the biases, if that brings the outputs nearer."""
        other = self._scored(replace(trial, corrected=True, quantised=None))
        return other if other.sqnr > trial.sqnr else trial

    def _sqnr(self, graph: Graph) -> float:
        """Of the output that is worst, in dB, on a few samples; of a Softmax with what it is made of, on average.

        The grid of a Softmax's result is coarse whatever came before, and hides what did.
        """
        pairs = [list(_judged(self.graph, value)) for value in self.graph.outputs]
        names = [name for pair in pairs for name in pair]
        found = measure(self.graph, graph, names, Few(self._data), executor=self.executor)
        return min((sum(found[name].sqnr for name in pair) / len(pair) for pair in pairs), default=np.inf)

    def _agreement(self, graph: Graph, samples: SampleSet) -> Agreement:
        return agreement(self.original, graph, samples, executor=self.executor)

    # ------------------------------------------------------------------- budget

    def _within_budget(self, best: Trial) -> Found:
        budget = self.request.max_drop
        if budget is None:
            return Found()
        assert self.evaluation is not None  # as check() has it
        plain, data = _uncorrected(best), self.evaluation
        names, few = self._choices(best), Few(data, RANKING)

        def alone(name: str) -> float:
            graph = self._quantised(plain, frozenset(names) - {name})
            return min(self._agreement(graph, few).sqnr.values(), default=np.inf)

        def drop(floats: frozenset[str]) -> float:
            return self._agreement(self._quantised(best, floats), data).drop

        found = within(names, alone, drop, budget, IN_FLOAT, self.progress)
        if found.floats:
            whole = self._result(best, self._quantised(plain), Found())
            found.why = why(whole, found.floats, Few(data), self.executor)
        return found

    def _choices(self, best: Trial) -> list[str]:
        """The operators that may be left in float: where activations are float, those with weights."""
        nodes = choose.integer_nodes(best.graph, self.scheme)
        everything = self.scheme.needs_data
        return [node.name for node in nodes if everything or choose.layer_axis(node) is not None]


def _why_none(graph: Graph, chosen: Scheme) -> str:
    if any(True for _ in nodes(graph, DEQUANTIZE)):
        return "Its weights are quantised already: convert it without --quantize."
    return f"Only weights of {chosen.smallest:,} numbers or more are, and it has none." if chosen.smallest > 1 else ""


def _uncorrected(trial: Trial) -> Trial:
    """The trial without corrections, which a ranking does not need."""
    return Trial(trial.graph, trial.plan, trial.observations, trial.method)


def _judged(graph: Graph, output: Value) -> Iterator[str]:
    yield output.name
    maker = graph.producer(output)
    if maker is not None and maker.op == "Softmax" and maker.inputs[0] is not None:
        yield maker.inputs[0].name


def _unknown(observation: Observation) -> tuple[float, float]:
    raise AssertionError("nothing was observed")
