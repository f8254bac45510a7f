"""--max-drop for --compress: weights that the outputs can't spare stay; and what a budget is measured by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import netglot
from netglot.errors import ConversionError
from netglot.ir.builder import Builder
from netglot.ir.graph import Graph
from netglot.quantize.compress import compress
from netglot.quantize.request import Request
from netglot.quantize.shrink import AS_IT_WAS, shrink
from netglot.runtimes.onnxruntime import OnnxRuntime

F32 = np.dtype(np.float32)
LOUD, QUIET = "loud", ("quiet", "quieter")


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def network() -> Graph:
    """Three products are added, of which one decides; [1, 5, 16] does not classify, so the drop is a relative error."""
    g = Builder()
    x = g.graph.add_input("x", F32, (1, 5, 16))
    terms = [
        g.Mul(g.MatMul(x, g.constant(normal(16, 16, seed=i), name=name)), np.float32(0.05**i))
        for i, name in enumerate((LOUD, *QUIET))
    ]
    y = g.Add(g.Add(terms[1], terms[0]), terms[2])
    g.graph.rename(y, "y")
    g.graph.outputs = [y]
    return g.graph


DATA = [{"x": normal(1, 5, 16, seed=i)} for i in range(9)]


def relative(graph: Graph) -> float:
    """The error of the outputs by ONNX Runtime, relative to their size."""
    pairs = [(OnnxRuntime(network()).run(sample)["y"], OnnxRuntime(graph).run(sample)["y"]) for sample in DATA]
    wanted, found = (np.stack(side).astype(np.float64) for side in zip(*pairs, strict=True))
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


@pytest.mark.parametrize("spec", ["palettize:1", "prune:0.7", "prune:0.5+palettize:2"])
@pytest.mark.parametrize("target", ["onnx", "coreml", "tflite", "cpp"])
def test_what_decides_stays(spec: str, target: str) -> None:
    shrunk = shrink(network(), target, Request(compress=spec, max_drop=0.1, calibrate=DATA))
    report = shrunk.report
    assert [item.layer for item in report.kept] == [LOUD]
    [item] = report.kept
    assert item.before > 0.1 >= item.after
    assert (item.runs_in, "alone compressed" in item.why) == (AS_IT_WAS, True)
    assert {row.name for row in report.compression} == set(QUIET)
    assert report.agreement is not None
    assert report.agreement.drop == pytest.approx(item.after) == pytest.approx(relative(shrunk.graph), rel=1e-4)
    assert np.array_equal(shrunk.graph[LOUD].array, normal(16, 16))


def test_the_others_become_what_they_would_be_without_a_budget() -> None:
    """Pruning shares out what becomes zero among all weights: one that stays does not burden the others."""
    all_of_it, some = network(), network()
    compress(all_of_it, "prune:0.5", forms={})
    compress(some, "prune:0.5", forms={}, keep=[LOUD])
    for name in QUIET:
        assert np.array_equal(some[name].array, all_of_it[name].array)
    assert np.array_equal(some[LOUD].array, network()[LOUD].array)


def test_a_budget_that_is_met_at_once_keeps_nothing() -> None:
    report = shrink(network(), "onnx", Request(compress="palettize:8", max_drop=0.1, calibrate=DATA)).report
    assert not report.kept
    assert len(report.compression) == 3


def test_what_is_held_out_is_what_counts() -> None:
    """The data that matters makes one of the small terms large."""
    silent = [{"x": sample["x"] * 0} for sample in DATA]
    easy = shrink(network(), "onnx", Request(compress="palettize:1", max_drop=0.1, calibrate=silent)).report
    assert not easy.kept
    both = Request(compress="palettize:1", max_drop=0.1, calibrate=silent, evaluate=DATA)
    assert [item.layer for item in shrink(network(), "onnx", both).report.kept] == [LOUD]


def test_a_budget_that_can_not_be_met() -> None:
    g = Builder()
    g.graph.outputs = [g.MatMul(g.graph.add_input("x", F32, (1, 5, 16)), normal(16, 16))]
    with pytest.raises(ConversionError, match=r"0\.01 can't be met: the best drop is .* 0 of 1 weights .*none"):
        shrink(g.graph, "onnx", Request(compress="palettize:1", max_drop=0.01, calibrate=DATA))


@pytest.mark.parametrize("how", [{"compress": "lossless"}, {"quantize": "fp16", "compress": "prune:0.5"}])
def test_budgets_that_leave_no_choice(how: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="--max-drop needs"):
        netglot.save(network(), tmp_path / "net.onnx", max_drop=0.1, calibrate=DATA, **how)
    assert not list(tmp_path.iterdir())


def test_integers_of_compressed_weights_are_judged_by_the_weights_before() -> None:
    """Alone, 8 bits lose 1 % here and pruning half: both together can't be at 40 dB."""
    plain = shrink(network(), "onnx", Request(quantize="int8", calibrate=DATA)).report
    both = shrink(network(), "onnx", Request(quantize="int8", compress="prune:0.5", calibrate=DATA)).report
    pruned = shrink(network(), "onnx", Request(compress="prune:0.5", calibrate=DATA)).report
    drops = [report.agreement.drop if report.agreement else np.nan for report in (plain, both, pruned)]
    assert drops[0] < 0.05 < 0.1 < drops[2]
    assert drops[1] == pytest.approx(drops[2], rel=0.1)
    with pytest.raises(ConversionError, match="can't be met"):
        shrink(network(), "onnx", Request(quantize="int8", compress="prune:0.5", max_drop=0.05, calibrate=DATA))
