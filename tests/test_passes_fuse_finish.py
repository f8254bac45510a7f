"""What follows a layer goes into it, in every pattern that occurs, and stays where something else needs it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netglot.errors import Origin
from netglot.ir.builder import Builder
from netglot.ir.extension import OPERATORS
from netglot.ir.graph import Graph, Value
from netglot.ir.store import load, save
from netglot.ir.text import to_text
from netglot.ir.types import is_static
from netglot.passes.fuse_finish import fuse_finish
from netglot.passes.pipeline import COMMON, apply, run
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests.graphs import FLOAT, equal, graphs
from tests.test_passes_random import assert_same_results
from tests.test_passes_text import I4, cases, expect, refusals, rewritten, untouched

C = """const w: float32[2x2x3x3] = ...
const b: float32[2] = [0.5, -1]
const channels: float32[2x1x1] = [0.25, 3]
const every: float32[2x3x3] = ...
const one: float32[] = 1
const zero: float32[] = 0
const six: float32[] = 6
"""
CONV = f"c: {I4} = Conv(x, w, b) {{pads: [1, 1, 1, 1]}}\n"
PADS = "{pads: [1, 1, 1, 1]"
M = """const w: float32[3x4] = ...
const t: float32[4x3] = ...
const b: float32[4] = [1, 2, 3, 4]
const s: float32[] = 2
const rows: float32[3x1] = [1, 2, 3]
const one: float32[] = 1
"""
M4 = "float32[1x2x3x4]"
BARE = f"c: {I4} = Conv(x, w) {PADS}}}"


def lines(*rows: str) -> str:
    return "\n".join(rows)


def fused(arguments: str = "x, w, b", more: str = "") -> str:
    return f"y: {I4} = netglot.FusedConv({arguments}) {PADS}{more}}}"


ACTIVATIONS = [
    ("Elu", "{alpha: 0.5}", {"alpha": 0.5}),
    ("Gelu", "", {"approximate": "none"}),
    ("Gelu", '{approximate: "tanh"}', {"approximate": "tanh"}),
    ("HardSigmoid", "{beta: 0.25}", {"alpha": pytest.approx(0.2), "beta": 0.25}),
    ("HardSwish", "", {}),
    ("LeakyRelu", "{alpha: 0.1}", {"alpha": 0.1}),
    ("LeakyRelu", "", {"alpha": pytest.approx(0.01)}),
    ("Mish", "", {}),
    ("Sigmoid", "", {}),
    ("Softplus", "", {}),
    ("Swish", "{alpha: 2.0}", {"alpha": 2.0}),
    ("Tanh", "", {}),
]


@pytest.mark.parametrize(("op", "written", "after"), ACTIVATIONS, ids=[f"{row[0]}{row[1]}" for row in ACTIVATIONS])
def test_activations(op: str, written: str, after: dict[str, object]) -> None:
    """Defaults are written out: they differ from one activation to the next."""
    [node] = rewritten(fuse_finish, f"{C}{CONV}y: {I4} = {op}(c) {written}")[1].nodes()
    assert node.op == "FusedConv"
    assert node.attributes == {"pads": (1, 1, 1, 1), "activation": op, **after}


@cases(
    ("Relu", f"{CONV}y: {I4} = Relu(c)", fused(more=", low: 0.0")),
    ("Clip", f"{CONV}y: {I4} = Clip(c, zero, six)", fused(more=", low: 0.0, high: 6.0")),
    ("Clip above", f"{CONV}y: {I4} = Clip(c, _, six)", fused(more=", high: 6.0")),
    ("Max", f"{CONV}y: {I4} = Max(one, c)", fused(more=", low: 1.0")),
    ("Add", f"{CONV}y: {I4} = Add(x, c)", fused("x, w, b, x")),
    ("Add, Relu", f"{CONV}a: {I4} = Add(c, x)\ny: {I4} = Relu(a)", fused("x, w, b, x", ", low: 0.0")),
    ("all", lines(BARE, f"d: {I4} = Add(channels, c)", f"a: {I4} = Add(d, x)", f"r: {I4} = Relu(a)",
                  f"y: {I4} = Tanh(r)"),
     f'y: {I4} = netglot.FusedConv(x, w, c/bias, x) {PADS}, low: 0.0, activation: "Tanh"}}'),
    ("Sum of two", f"{CONV}y: {I4} = Sum(c, x)", fused("x, w, b, x")),
    ("a scalar for all channels", f"{BARE}\ny: {I4} = Add(c, six)", fused("x, w, c/bias")),
    ("of two layers the later",
     lines(f"{CONV}r: {I4} = Relu(c)", f"d: {I4} = Conv(r, w) {PADS}}}", f"e: {I4} = Conv(x, w) {PADS}}}",
           f"y: {I4} = Add(d, e)"),
     lines(f"e: {I4} = Conv(x, w) {PADS}}}", f"r: {I4} = netglot.FusedConv(x, w, b) {PADS}, low: 0.0}}",
           f"y: {I4} = netglot.FusedConv(r, w, _, e) {PADS}}}")),
    ("Swish written out", f"{CONV}s: {I4} = Sigmoid(c)\ny: {I4} = Mul(s, c)",
     fused(more=', activation: "Swish", alpha: 1.0')),
    ("Swish with a slope", f"{CONV}m: {I4} = Mul(c, six)\ns: {I4} = Sigmoid(m)\ny: {I4} = Mul(c, s)",
     fused(more=', activation: "Swish", alpha: 6.0')),
    ("up to what is read", f"{CONV}r: {I4} = Relu(c)\na: {I4} = Sigmoid(r)\ny: {I4} = Sub(a, r)",
     f"r: {I4} = netglot.FusedConv(x, w, b) {PADS}, low: 0.0}}\na: {I4} = Sigmoid(r)\ny: {I4} = Sub(a, r)"),
    ("not beyond the activation", f"{CONV}t: {I4} = Tanh(c)\ny: {I4} = Relu(t)",
     f't: {I4} = netglot.FusedConv(x, w, b) {PADS}, activation: "Tanh"}}\ny: {I4} = Relu(t)'),
)  # fmt: skip
def test_convolutions(before: str, after: str) -> None:
    expect(rewritten(fuse_finish, C + before)[1], after)


@cases(
    ("a bias", f"m: {M4} = MatMul(x, w)\ny: {M4} = Add(m, b)", f"y: {M4} = netglot.FusedMatMul(x, w, m/bias)"),
    ("Gelu", f"m: {M4} = MatMul(x, w)\na: {M4} = Add(b, m)\ny: {M4} = Gelu(a)",
     f'y: {M4} = netglot.FusedMatMul(x, w, m/bias) {{activation: "Gelu", approximate: "none"}}'),
    ("no bias", f"m: {M4} = MatMul(x, w)\ny: {M4} = Relu(m)", f"y: {M4} = netglot.FusedMatMul(x, w) {{low: 0.0}}"),
    ("a residual",
     lines(f"r: {M4} = MatMul(x, w)", f"m: {M4} = MatMul(x, w)", f"a: {M4} = Add(m, b)", f"n: {M4} = Neg(r)",
           f"y: {M4} = Add(a, n)"),
     lines(f"r: {M4} = MatMul(x, w)", f"n: {M4} = Neg(r)", f"y: {M4} = netglot.FusedMatMul(x, w, m/bias, n)")),
)  # fmt: skip
def test_products(before: str, after: str) -> None:
    expect(rewritten(fuse_finish, M + before, "x: float32[1x2x3x3]")[1], after)


@cases(
    ("as it is", "g: float32[2x4] = Gemm(x, w, b)", ""),
    ("transposed", "g: float32[2x4] = Gemm(x, t, b) {transB: 1}", ""),
    ("one bias for all", "g: float32[2x4] = Gemm(x, w, s)", ""),
    ("half of the bias", "g: float32[2x4] = Gemm(x, w, b) {beta: 0.5}", ""),
    ("no bias", "g: float32[2x4] = Gemm(x, w)", ""),
)
def test_gemm(before: str, after: str) -> None:
    graph = rewritten(fuse_finish, f"{M}{before}\ny: float32[2x4] = Relu(g)", "x: float32[2x3]")[1]
    [node] = graph.nodes()
    assert (node.op, node.domain, node.attributes) == ("FusedMatMul", "netglot", {"low": 0.0})
    weights = node.inputs[1]
    assert weights is not None
    assert weights.sizes == (3, 4)


@refusals(
    ("nothing follows", f"{CONV}y: {I4} = Neg(c)"),
    ("two readers", f"{CONV}r: {I4} = Relu(c)\ny: {I4} = Sub(r, c)"),
    ("an activation of two readers", f"{CONV}r: {I4} = Tanh(c)\ny: {I4} = Sub(r, c)"),
    ("a gate that is read", f"{CONV}s: {I4} = Sigmoid(c)\nm: {I4} = Mul(s, c)\ny: {I4} = Sub(m, s)"),
    ("a gate of another", f"{CONV}s: {I4} = Sigmoid(x)\ny: {I4} = Mul(s, c)"),
    ("x + x", f"{CONV}y: {I4} = Add(c, c)"),
    ("a constant image", f"{CONV}y: {I4} = Add(c, every)"),
    ("a constant for each channel after a bias", f"{CONV}y: {I4} = Add(c, channels)"),
    ("PRelu", f"{CONV}y: {I4} = PRelu(c, channels)"),
    ("weights that are computed", f"v: float32[2x2x3x3] = Relu(u)\nc: {I4} = Conv(x, v) {PADS}}}\ny: {I4} = Relu(c)"),
    ("three parts", f"{CONV}y: {I4} = Sum(c, x, x)"),
    ("a bound that is computed", f"{CONV}m: float32[] = ReduceMax(x) {{keepdims: 0}}\ny: {I4} = Min(c, m)"),
)
def test_not_convolutions(body: str) -> None:
    untouched(fuse_finish, C + body, f"x: {I4}, u: float32[2x2x3x3]")


def test_not_where_the_sum_is_larger() -> None:
    """The residual or the layer is broadcast."""
    untouched(fuse_finish, f"{C}{CONV}y: {I4} = Add(c, r)", f"x: {I4}, r: float32[1x2x1x3]")
    untouched(fuse_finish, f"{C}{CONV}y: float32[5x2x3x3] = Add(c, r)", f"x: {I4}, r: float32[5x2x3x3]")
    untouched(fuse_finish, f"{C}{CONV}const k: float32[4x2x1x1] = 1\ny: float32[4x2x3x3] = Add(c, k)")


def test_not_where_sizes_are_unknown() -> None:
    """Two unknown sizes need not be the same."""
    unknown = "float32[?x2x3x3]"
    body = f"{C}c: {unknown} = Conv(x, w) {PADS}}}\ny: {unknown} = Add(c, r)"
    untouched(fuse_finish, body, f"x: {unknown}, r: {unknown}")


def test_not_into_outputs() -> None:
    untouched(fuse_finish, f"{C}{CONV}y: {I4} = Relu(c)", outputs="c, y")
    graph = rewritten(fuse_finish, f"{C}{CONV}r: {I4} = Relu(c)\ny: {I4} = Tanh(r)", outputs="y, r")[1]
    expect(graph, f"r: {I4} = netglot.FusedConv(x, w, b) {PADS}, low: 0.0}}\ny: {I4} = Tanh(r)")


@refusals(
    ("transposed a", "g: float32[3x4] = Gemm(z, w, b) {transA: 1}\ny: float32[3x4] = Relu(g)"),
    ("scaled", "g: float32[3x4] = Gemm(x, w, b) {alpha: 0.5}\ny: float32[3x4] = Relu(g)"),
    ("a bias for each row", "g: float32[3x4] = Gemm(x, w, rows)\ny: float32[3x4] = Relu(g)"),
    ("a computed bias", "n: float32[3x4] = Gemm(z, w)\ng: float32[3x4] = Gemm(x, w, n)\ny: float32[3x4] = Relu(g)"),
    ("weights on the left", "g: float32[4x3] = MatMul(t, x)\ny: float32[4x3] = Relu(g)"),
    ("two that are computed", "g: float32[3x3] = MatMul(x, z)\ny: float32[3x3] = Relu(g)"),
)
def test_not_products(body: str) -> None:
    untouched(fuse_finish, M + body, "x: float32[3x3], z: float32[3x3]")


def test_double_precision_stays() -> None:
    body = "const w: float64[2x2x1x1] = ...\nc: float64[1x2x3x3] = Conv(x, w)\ny: float64[1x2x3x3] = Relu(c)"
    untouched(fuse_finish, body, "x: float64[1x2x3x3]")


def test_origin_and_names() -> None:
    """The layer's name and place, and the name of what comes out last."""
    g = Builder(Graph("g"))
    x = g.graph.add_input("x", np.dtype(np.float32), (1, 1, 2, 2))
    with g.at(Origin("net.onnx", "conv", 3)):
        c = g.Conv(x, np.ones((1, 1, 1, 1), np.float32))
    with g.at(Origin("net.onnx", "relu", 4)):
        g.graph.outputs = [g.Relu(c)]
    g.graph.nodes()[0].name = "first"
    name = g.graph.outputs[0].name
    assert fuse_finish(g.graph)
    [node] = g.graph.nodes()
    assert (node.name, node.origin.layer, node.output.name) == ("first", "conv", name)
    g.graph.check()


def test_saved_and_loaded(tmp_path: object) -> None:
    """An infinite limit is a limit like others."""
    graph = rewritten(fuse_finish, f"{C}{CONV}y: {I4} = Relu(c)")[1]
    graph.nodes()[0].attributes |= {"high": float("inf"), "low": -float("inf")}
    save(graph, tmp_path)  # type: ignore[arg-type]
    assert equal(load(tmp_path), graph)  # type: ignore[arg-type]


def test_the_reference_agrees() -> None:
    """`run` and `expand` compute the same."""
    rng = np.random.default_rng(0)
    shapes = {"x": (1, 4, 5, 5), "w": (6, 2, 3, 3), "b": (6,), "r": (1, 6, 3, 3)}
    x, w, b, r = (rng.normal(size=shape).astype(np.float32) for shape in shapes.values())
    attributes = {"group": 2, "strides": (2, 2), "pads": (1, 1, 1, 1), "low": -1.0, "high": 2.0}
    for op, names in (("Gelu", {}), ("HardSigmoid", {"alpha": 0.3, "beta": 0.4}), ("", {})):
        g = Builder(Graph("g"))
        inputs = [g.graph.add_input("x", x.dtype, x.shape), w, b, g.graph.add_input("r", r.dtype, r.shape)]
        g.graph.outputs = [g.extension("FusedConv", inputs, **attributes, activation=op, **names)]
        [found] = OnnxRuntime(g.graph).run({"x": x, "r": r}).values()
        wanted = OPERATORS["FusedConv"].run(x, w, b, r, **attributes, activation=op, **names)
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def with_layers(graph: Graph, seed: int) -> Graph:
    """`graph` with layers on some of its values, and behind them what may follow, or may not quite."""
    g, rng = Builder(graph), np.random.default_rng(seed)
    known = [v for v in graph.values() if not v.is_constant and v.dtype == FLOAT and is_static(v.shape)]
    pool = [value for value in known if 1 < value.rank < 5]
    for _ in range(4 if pool else 0):
        x = pool[rng.integers(len(pool))]
        axis = 1 if x.rank == 4 else x.rank - 1
        size = x.sizes[axis]
        w = rng.normal(size=(size, size)).astype(np.float32)
        y = g.Conv(x, w[:, :, None, None], w[0]) if x.rank == 4 else g.MatMul(x, w)
        for _ in range(rng.integers(5)):
            made = _tail(g, rng, y, axis, [value for value in pool if value.shape == y.shape])
            if rng.random() < 0.2:
                pool.append(y)
            y = made
        pool.append(y)
        graph.outputs = list(dict.fromkeys([*graph.outputs, *pool[-rng.integers(1, 3) :]]))
    graph.outputs = [value for value in graph.outputs if value not in graph.inputs]
    return graph


def _tail(g: Builder, rng: np.random.Generator, y: Value, axis: int, others: list[Value]) -> Value:
    channels = rng.normal(size=[y.sizes[i] if i == axis else 1 for i in range(y.rank)]).astype(np.float32)
    others = [*others, y]
    made: list[Any] = [
        lambda: g.Add(y, channels),
        lambda: g.Add(others[rng.integers(len(others))], y),
        lambda: g.Relu(y),
        lambda: g.Clip(y, np.float32(-0.5), np.float32(2)),
        lambda: g.op(str(rng.choice(["Tanh", "HardSwish", "Gelu", "Neg"])), [y]),
        lambda: g.Mul(y, g.Sigmoid(y)),
    ]
    result: Value = made[rng.integers(len(made))]()
    return result


@settings(max_examples=80)
@given(graph=graphs(max_steps=4), seed=st.integers(0, 2**16))
def test_random_graphs(graph: Graph, seed: int) -> None:
    """Alone, and after the common passes."""
    for prepare in ([], COMMON):
        before = run(with_layers(graph.copy(), seed), prepare)
        after = before.copy()
        changed = apply(fuse_finish, after)
        after.check()
        assert_same_results(before, after)
        assert changed or to_text(after) == to_text(before)
        assert not apply(fuse_finish, after)
