"""MXNet's control flow and random numbers, which no row of one node can show."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netglot.convert import load
from netglot.errors import ConversionError
from netglot.frontends.options import TensorSpec
from netglot.ir.graph import Graph
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests import mxnet_oracle
from tests.close import assert_equal
from tests.mxnet_ops.random import DRAWN
from tests.mxnet_ops.table import Node, Row, symbol_json
from tests.ops.table import In

Body = tuple[Sequence[Node], Sequence[tuple[int, int]]]


def with_bodies(text: str, node: int, bodies: Sequence[Body]) -> str:
    """The symbol with `bodies` for the node of that number."""
    described = json.loads(text)
    made = [json.loads(symbol_json(*body)) for body in bodies]
    described["nodes"][node]["subgraphs"] = [{key: body[key] for key in body if key != "attrs"} for body in made]
    return json.dumps(described)


def verify(tmp_path: Path, symbol: str, fed: Mapping[str, np.ndarray], saved: Mapping[str, np.ndarray]) -> Graph:
    """Equal to MXNet; returns the graph."""
    expected = mxnet_oracle.run(symbol, {**fed, **saved}, save=tuple(saved), to=tmp_path / "net")
    graph = load(tmp_path / "net-symbol.json", inputs=specs(fed))
    graph.check()
    found = OnnxRuntime(graph).run(dict(fed))
    assert [value.name for value in graph.outputs] == [name for name, _ in expected]
    for name, wanted in expected:
        assert_equal(found[name], wanted, 1e-5)
    return graph


def specs(fed: Mapping[str, np.ndarray]) -> dict[str, TensorSpec]:
    return {name: TensorSpec(array.shape, array.dtype) for name, array in fed.items()}


def uniform(*shape: int) -> np.ndarray:
    return np.random.default_rng(7).uniform(-1, 1, shape).astype(np.float32)


def operators(graph: Graph) -> list[str]:
    return [node.op for node in graph.nodes()]


STEP: Body = (
    ["x", "w", "s", ("elemwise_mul", "scaled", {}, [(0, 0), (1, 0)]),
     ("elemwise_add", "new", {}, [(3, 0), (2, 0)]), ("tanh", "made", {}, [(4, 0)])],
    [(5, 0), (4, 0)],
)  # fmt: skip


def foreach(**changes: Any) -> str:
    attributes = {
        "num_args": 4, "num_outputs": 2, "num_out_data": 1, "in_data_locs": "[0]", "in_state_locs": "[2]",
        "remain_locs": "[1]", **changes,
    }  # fmt: skip
    node = ("_foreach", "loop", attributes, [(0, 0), (1, 0), (2, 0)])
    return with_bodies(symbol_json(["d", "s", "w", node], [(3, 0), (3, 1)]), 3, [STEP])


def test_foreach_is_a_scan(tmp_path: Path) -> None:
    graph = verify(tmp_path, foreach(), {"d": uniform(5, 2, 3), "s": uniform(2, 3)}, {"w": uniform(2, 3)})
    assert "Scan" in operators(graph)


@pytest.mark.parametrize(
    "changes",
    [{"in_state_locs": "[7]"}, {"remain_locs": "[0]"}, {"num_args": 9}, {"in_data_locs": "[0, 1, 2]"}],
    ids=lambda changes: "".join(changes),
)
def test_places_that_do_not_fit_are_one_clear_error(tmp_path: Path, changes: dict[str, Any]) -> None:
    (tmp_path / "net-symbol.json").write_text(foreach(**changes))
    fed = {"d": uniform(5, 2, 3), "s": uniform(2, 3), "w": uniform(2, 3)}
    with pytest.raises(ConversionError, match="_foreach"):
        load(tmp_path / "net-symbol.json", inputs=specs(fed))


def while_loop(limit: int, most: int) -> str:
    """Adds up multiples of w, and notes each, until the counter reaches `limit`."""
    test: Body = (["i", ("_lesser_scalar", "less", {"scalar": limit}, [(0, 0)])], [(1, 0)])
    step: Body = (
        ["i", "w", "s", ("broadcast_mul", "product", {}, [(0, 0), (1, 0)]),
         ("_plus_scalar", "next", {"scalar": 1}, [(0, 0)]), ("elemwise_add", "sum", {}, [(2, 0), (3, 0)])],
        [(3, 0), (4, 0), (5, 0)],
    )  # fmt: skip
    attributes = {
        "num_args": 5, "num_outputs": 3, "num_out_data": 1, "max_iterations": most, "cond_input_locs": "[0]",
        "func_input_locs": "[0, 1, 2]", "func_var_locs": "[0, 2]",
    }  # fmt: skip
    node = ("_while_loop", "loop", attributes, [(0, 0), (1, 0), (2, 0)])
    return with_bodies(symbol_json(["i", "w", "s", node], [(3, 0), (3, 1), (3, 2)]), 3, [test, step])


@pytest.mark.parametrize(("limit", "most"), [(4, 4), (9, 5)])
def test_while_loop_is_a_loop(tmp_path: Path, limit: int, most: int) -> None:
    fed = {"i": np.zeros(1, np.float32), "s": uniform(2, 3)}
    graph = verify(tmp_path, while_loop(limit, most), fed, {"w": uniform(2, 3)})
    assert "Loop" in operators(graph)


def test_rows_that_a_loop_does_not_reach_are_zeros(tmp_path: Path) -> None:
    """MXNet leaves them as they happen to be; so only what is written is compared."""
    fed, saved = {"i": np.zeros(1, np.float32), "s": uniform(2, 3)}, {"w": uniform(2, 3)}
    expected = dict(mxnet_oracle.run(while_loop(3, 6), {**fed, **saved}, save=("w",), to=tmp_path / "net"))
    found = OnnxRuntime(load(tmp_path / "net-symbol.json", inputs=specs(fed))).run(fed)
    rows = next(name for name in expected if expected[name].shape == (6, 2, 3))
    assert_equal(found[rows][:3], expected[rows][:3], 1e-5)
    assert found[rows].shape == (6, 2, 3)
    assert not found[rows][3:].any()


@pytest.mark.parametrize("p", [2.0, 3.5])
def test_cond_is_an_if(tmp_path: Path, p: float) -> None:
    test: Body = (["c", ("_copy", "same", {}, [(0, 0)])], [(1, 0)])
    then: Body = (["x", ("_plus_scalar", "more", {"scalar": 1}, [(0, 0)])], [(1, 0)])
    otherwise: Body = (["y", ("_mul_scalar", "twice", {"scalar": 2}, [(0, 0)])], [(1, 0)])
    attributes = {
        "num_args": 6, "num_outputs": 1, "cond_input_locs": "[0]", "then_input_locs": "[1]", "else_input_locs": "[2]",
    }  # fmt: skip
    nodes: list[Node] = [
        "p", ("_lesser_scalar", "less", {"scalar": 3}, [(0, 0)]), "x", "y",
        ("_cond", "either", attributes, [(1, 0), (2, 0), (3, 0)]),
    ]  # fmt: skip
    symbol = with_bodies(symbol_json(nodes, [(4, 0)]), 4, [test, then, otherwise])
    fed = {"p": np.array([p], np.float32), "x": uniform(2, 3), "y": uniform(2, 3) * 3}
    assert "If" in operators(verify(tmp_path, symbol, fed, {}))


@pytest.mark.parametrize("row", DRAWN, ids=lambda row: row.id)
def test_random_numbers_are_drawn_alike(row: Row, tmp_path: Path) -> None:
    """The shape and the type, and the mean and the deviation of some thousand numbers."""
    arrays = row.arrays()
    ((name, wanted),) = mxnet_oracle.run(row.symbol(), arrays, to=tmp_path / "net")
    graph = load(tmp_path / "net-symbol.json", inputs=specs(arrays))
    assert any("random" in warning.what for warning in graph.warnings)
    found = OnnxRuntime(graph).run(arrays)[name]
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    assert found.std() > 0
    assert abs(found.mean() - wanted.mean()) < 0.2 * wanted.std()
    assert 0.8 < found.std() / wanted.std() < 1.25


def test_multinomial_probabilities_are_its_own_rows(tmp_path: Path) -> None:
    data = np.float32([[1, 0, 0], [0, 0, 1]])
    row = Row("_sample_multinomial", {"shape": (50,)}, [In((2, 3))])
    mxnet_oracle.run(row.symbol(), {"data0": data}, to=tmp_path / "net")
    (found,) = (
        OnnxRuntime(load(tmp_path / "net-symbol.json", inputs=specs({"data0": data}))).run({"data0": data}).values()
    )
    np.testing.assert_array_equal(found, np.int32([[0] * 50, [2] * 50]))
