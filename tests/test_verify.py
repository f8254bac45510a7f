"""The verifier is tested by mutation: each way in which a conversion goes silently wrong must be caught."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from netglot.convert import convert, save, verify
from netglot.errors import ConversionError
from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Node
from netglot.runtimes.onnxruntime import OnnxRuntime
from netglot.verify import RTOL, Report, compare, differences, first_departure, random_inputs, read_inputs

RNG = np.random.default_rng(0)


def network(mutate: Callable[[dict[str, np.ndarray]], None] = lambda _: None, epsilon: float = 1e-3) -> Graph:
    """Conv, BatchNormalization, Relu, Gemm with random weights and statistics, changed by `mutate`."""
    rng = np.random.default_rng(1)
    weights = {
        "conv": rng.standard_normal((8, 3, 3, 3)), "scale": rng.uniform(0.5, 2, 8), "bias": rng.standard_normal(8),
        "mean": rng.standard_normal(8), "var": rng.uniform(0.01, 0.1, 8), "fc": rng.standard_normal((5, 8 * 4 * 4)),
    }  # fmt: skip
    weights = {name: array.astype(np.float32) for name, array in weights.items()}
    mutate(weights)
    g = Builder(Graph("net"))
    x = g.graph.add_input("x", np.dtype(np.float32), (1, 3, 6, 6))
    y = g.Conv(x, weights["conv"])
    y = g.BatchNormalization(y, weights["scale"], weights["bias"], weights["mean"], weights["var"], epsilon=epsilon)
    y = g.Gemm(g.Flatten(g.Relu(y)), weights["fc"], transB=1)
    g.graph.outputs = [y]
    g.graph.rename(y, "y")
    return g.graph


def verified(actual: Graph) -> Report:
    expected, other = OnnxRuntime(network()), OnnxRuntime(actual)
    report = Report("a", "b", rtol=RTOL["float32"])
    report.outputs, report.samples = differences(expected, other, random_inputs(expected.inputs, 4))
    return report


def swap_channels(weights: dict[str, np.ndarray]) -> None:
    weights["conv"] = weights["conv"][:, [1, 0, 2]]


def scale_weight(weights: dict[str, np.ndarray]) -> None:
    weights["conv"] = weights["conv"].copy()
    weights["conv"][3, 1, 2, 0] *= 1.01


def permute_features(weights: dict[str, np.ndarray]) -> None:
    weights["fc"] = weights["fc"].reshape(5, 8, 4, 4).transpose(0, 2, 3, 1).reshape(5, -1).copy()


def put_nan(weights: dict[str, np.ndarray]) -> None:
    weights["fc"] = weights["fc"].copy()
    weights["fc"][2, 7] = np.nan


def flip_kernel(weights: dict[str, np.ndarray]) -> None:
    weights["conv"] = np.ascontiguousarray(weights["conv"][:, :, ::-1, ::-1])


def test_equal_networks_are_equal() -> None:
    report = verified(network())
    assert report.ok
    assert report.max_error == 0
    assert report.exit_code == 0


@pytest.mark.parametrize("mutate", [swap_channels, scale_weight, permute_features, put_nan, flip_kernel])
def test_a_mutant_is_caught(mutate: Callable[[dict[str, np.ndarray]], None]) -> None:
    report = verified(network(mutate))
    assert not report.ok
    assert report.exit_code == 1


def test_a_wrong_epsilon_is_caught() -> None:
    assert not verified(network(epsilon=1e-5)).ok


def test_nan_is_reported_in_valid_json() -> None:
    import json

    report = verified(network(put_nan))
    assert json.loads(report.to_json())["max_error"] is None


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ({"b": np.zeros(3, np.float32)}, "missing"),
        ({"a": np.zeros((3, 1), np.float32)}, "shape"),
        ({"a": np.zeros(3, np.float16)}, "type"),
        ({"a": np.zeros(3, np.float32), "c": np.zeros(1, np.float32)}, "no such output"),
    ],
)
def test_interface_differences(found: dict[str, np.ndarray], why: str) -> None:
    result = compare({"a": np.zeros(3, np.float32)}, found)
    assert any(why in difference.why for difference in result)
    assert not all(difference.ok(1.0) for difference in result)


def test_order_of_outputs_counts() -> None:
    a, b = np.zeros(2, np.float32), np.ones(2, np.float32)
    assert not all(d.ok(1.0) for d in compare({"a": a, "b": b}, {"b": b, "a": a}))


def test_sorted_values_are_not_equal() -> None:
    values = RNG.standard_normal(10).astype(np.float32)
    assert not compare({"a": values}, {"a": np.sort(values)})[0].ok(1e-3)


def test_the_tolerance_follows_the_scale() -> None:
    tiny = RNG.standard_normal(10).astype(np.float32) * np.float32(1e-11)
    assert not compare({"a": tiny}, {"a": tiny * np.float32(1.1)})[0].ok(1e-5)
    assert compare({"a": tiny}, {"a": tiny * np.float32(1.000001)})[0].ok(1e-5)


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_must_be_the_same(special: float) -> None:
    wanted = np.array([1, special], np.float32)
    assert compare({"a": wanted}, {"a": wanted.copy()})[0].ok(1e-5)
    assert not compare({"a": wanted}, {"a": np.array([1, 2], np.float32)})[0].ok(1e-5)
    assert not compare({"a": np.array([1, 2], np.float32)}, {"a": wanted})[0].ok(1e-5)


@pytest.mark.parametrize("first", range(9))
def test_bisect_names_the_first_departure(first: int) -> None:
    names = [f"n{i}" for i in range(9)]
    probes: list[str] = []

    def differs(name: str) -> bool:
        probes.append(name)
        return int(name[1:]) >= first

    assert first_departure(names, differs) == f"n{first}"
    assert len(probes) <= 5


def test_bisect_of_equal_models_names_nothing() -> None:
    assert first_departure(["a", "b"], lambda _: False) == ""
    assert first_departure([], lambda _: True) == ""


def test_convert_bisects_a_broken_backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend that gets Elu wrong: the report names the Elu, not the layers after it."""
    import netglot.backends.onnx as backend
    from netglot.backends.onnx import save
    from netglot.convert import convert

    g = Builder(Graph("net"))
    x = g.graph.add_input("x", np.dtype(np.float32), (2, 5))
    y = g.Gemm(
        g.Tanh(g.Elu(g.Sigmoid(g.Sub(x, 3.0)), name="culprit"), name="later"),
        RNG.standard_normal((5, 4)).astype(np.float32),
    )
    g.graph.outputs = [y]
    save(g.graph.copy(), tmp_path / "source.onnx")

    def broken(graph: Graph, path: Path, **options: object) -> int:
        for node in graph.nodes():
            if node.op == "Elu":
                wrong = Node("Neg", node.inputs, [graph.add_value("wrong", node.output.dtype, node.output.shape)])
                graph.add_node(wrong)
                graph.replace_uses(node.output, wrong.output)
        return save(graph, path)

    monkeypatch.setattr(backend, "save", broken)
    report = convert(tmp_path / "source.onnx", tmp_path / "target.onnx")
    assert report.exit_code == 1
    assert "culprit" in report.first_departure


def test_inputs_from_a_file(tmp_path: Path) -> None:
    tensors = OnnxRuntime(network()).inputs
    good = RNG.standard_normal((1, 3, 6, 6)).astype(np.float32)
    np.savez(tmp_path / "good.npz", x=good)
    assert np.array_equal(next(read_inputs(tmp_path / "good.npz", tensors))["x"], good)
    for name, arrays in {"name": {"z": good}, "shape": {"x": good[0]}, "pickle": {"x": np.array([{}])}}.items():
        np.savez(tmp_path / f"{name}.npz", **arrays)
        with pytest.raises(Exception, match=r"no array|has shape|pickle|array"):
            next(read_inputs(tmp_path / f"{name}.npz", tensors))


def test_samples_hold_every_kind() -> None:
    samples = [item["x"] for item in random_inputs(OnnxRuntime(network()).inputs, 4)]
    assert not samples[3].any()
    assert samples[2].max() > 200
    assert all(np.isfinite(sample).all() for sample in samples)


def test_random_numbers_that_are_no_rows_of_a_table_become_rows(tmp_path: Path) -> None:
    """An Embedding of five rows, whose input is declared as floats."""
    g = Builder(Graph("embedding"))
    x = g.graph.add_input("x", np.dtype(np.float32), (2, 3))
    g.graph.outputs = [g.Gather(g.constant(np.arange(10, dtype=np.float32).reshape(5, 2)), g.Cast(x, to=7))]
    save(g.graph, tmp_path / "table.onnx")
    report = convert(tmp_path / "table.onnx", tmp_path / "table.tflite")
    assert report.ok
    np.savez(tmp_path / "bad.npz", x=np.full((2, 3), 7, np.float32))
    with pytest.raises(ConversionError, match="out of data bounds"):
        verify(tmp_path / "table.onnx", tmp_path / "table.tflite", inputs=tmp_path / "bad.npz")
