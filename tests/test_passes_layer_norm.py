"""LayerNormalization as TensorFlow, Keras and PyTorch write it, and what only looks like it."""

from __future__ import annotations

import pytest

from netglot.passes.dead_code import remove_dead_code
from netglot.passes.layer_norm import centre_first, fuse_layer_norm
from netglot.passes.products import keep_axes_in_products
from tests.test_passes_text import graph_of, lines, refusals, rewritten, untouched

X = "x: float32[2x3x5]"
S, M = "float32[2x3x5]", "float32[2x3x1]"
CONSTANTS = """const axes: int64[1] = [-1]
const eps: float32[] = 0.001
const one: float32[] = 1
const two: float32[] = 2
const gamma: float32[5] = [1, 2, 3, 4, 5]
const wide: float32[1x1x5] = [[[1, 2, 3, 4, 5]]]
const beta: float32[1x5] = [[-1, 0, 1, 2, 3]]
const rows: float32[3x1] = [[1], [2], [3]]
"""
STATISTICS = f"""m: {M} = ReduceMean(x, axes)
d: {S} = Sub(x, m)
q: {S} = Mul(d, d)
v: {M} = ReduceMean(q, axes)
e: {M} = Add(v, eps)
r: {M} = Sqrt(e)
"""
INVERSE = f"{STATISTICS}i: {M} = Reciprocal(r)\n"


def normalised(body: str) -> str:
    after = rewritten(fuse_layer_norm, CONSTANTS + body, X)[1]
    assert all(node.op == "LayerNormalization" for node in after.nodes())
    return lines(after)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(f"{STATISTICS}y: {S} = Div(d, r)", id="by a division"),
        pytest.param(f"{INVERSE}y: {S} = Mul(d, i)", id="by a product"),
        pytest.param(f"{STATISTICS}i: {M} = Div(one, r)\ny: {S} = Mul(i, d)", id="1 / Sqrt"),
        pytest.param(f"{INVERSE}z: {S} = Mul(d, i)\nw: {S} = Mul(z, gamma)\ny: {S} = Add(beta, w)", id="gamma after"),
        pytest.param(f"{INVERSE}s: {S} = Mul(i, wide)\nz: {S} = Mul(d, s)\ny: {S} = Add(z, beta)", id="gamma before"),
        pytest.param(f"{INVERSE}z: {S} = Mul(d, i)\ny: {S} = Add(z, beta)", id="beta alone"),
        pytest.param(f"{STATISTICS.replace('Mul(d, d)', 'Pow(d, two)')}z: {S} = Div(d, r)\ny: {S} = Mul(z, gamma)",
                     id="by Pow"),
        pytest.param(f"{STATISTICS.replace('Add(v, eps)', 'Add(eps, v)')}y: {S} = Div(d, r)", id="eps first"),
    ],
)  # fmt: skip
def test_spellings(body: str) -> None:
    assert "LayerNormalization(x, " in normalised(body)


def test_over_two_axes() -> None:
    one = "float32[2x1x1]"
    body = STATISTICS.replace(M, one).replace("axes", "both") + f"z: {S} = Div(d, r)\ny: {S} = Mul(z, rows)"
    assert "axis: 1" in normalised(f"const both: int64[2] = [2, 1]\n{body}")


def test_what_does_not_fit_stays_behind() -> None:
    """A factor for each row is none of LayerNormalization's."""
    after = rewritten(fuse_layer_norm, f"{CONSTANTS}{INVERSE}z: {S} = Mul(d, i)\ny: {S} = Mul(z, rows)", X)[1]
    assert [node.op for node in after.nodes()] == ["LayerNormalization", "Mul"]


@refusals(
    ("rows scaled before", f"{INVERSE}s: {M} = Mul(i, rows)\ny: {S} = Mul(d, s)"),
    ("the deviation is read", f"{STATISTICS}z: {S} = Div(d, r)\ny: {S} = Add(z, r)"),
    ("the mean is read", f"{STATISTICS}z: {S} = Div(d, r)\ny: {S} = Add(z, m)"),
    ("another axis", f"{STATISTICS}y: {S} = Div(d, r)".replace("axes", "first").replace(M, "float32[1x3x5]")),
    ("not the last", f"{STATISTICS}y: {S} = Div(d, r)".replace("axes", "middle").replace(M, "float32[2x1x5]")),
    ("the sum of the squares", f"{STATISTICS}y: {S} = Div(d, r)".replace(f"v: {M} = ReduceMean(q, axes)",
     f"v: {M} = ReduceSum(q, axes)")),
    ("of something else", f"n: {S} = Neg(x)\n{STATISTICS}y: {S} = Div(n, r)"),
    ("not squared", f"{STATISTICS.replace('Mul(d, d)', 'Mul(d, x)')}y: {S} = Div(d, r)"),
    ("a computed epsilon", f"{STATISTICS.replace('Add(v, eps)', 'Add(v, m)')}y: {S} = Div(d, r)"),
)  # fmt: skip
def test_not_fused(body: str) -> None:
    more = "const first: int64[1] = [0]\nconst middle: int64[1] = [1]\n"
    untouched(fuse_layer_norm, CONSTANTS + more + body, X)


# ------------------------------------------------------------------ centre_first

KERAS = f"{INVERSE}n: {M} = Neg(m)\n"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(f"{KERAS}a: {M} = Mul(n, i)\nb: {S} = Mul(x, i)\ny: {S} = Add(b, a)", id="Neg"),
        pytest.param(f"{INVERSE}a: {M} = Mul(m, i)\nb: {S} = Mul(x, i)\ny: {S} = Sub(b, a)", id="Sub"),
        pytest.param(f"{KERAS}s: {S} = Mul(i, gamma)\na: {S} = Mul(n, s)\nb: {S} = Mul(x, s)\nc: {S} = Add(a, beta)\n"
                     f"y: {S} = Add(b, c)", id="Keras"),
        pytest.param(f"{INVERSE}s: {S} = Mul(i, gamma)\na: {S} = Mul(m, s)\nb: {S} = Mul(x, s)\n"
                     f"c: {S} = Sub(beta, a)\ny: {S} = Add(b, c)", id="TensorFlow"),
    ],
)  # fmt: skip
def test_centred(body: str) -> None:
    after = rewritten(centre_first, CONSTANTS + body, X)[1]
    remove_dead_code(after)
    assert sum(node.op == "Sub" for node in after.nodes()) == 1
    assert fuse_layer_norm(after)
    remove_dead_code(after)
    assert [node.op for node in after.nodes()] == ["LayerNormalization"]


@refusals(
    ("another sign", f"{INVERSE}a: {M} = Mul(m, i)\nb: {S} = Mul(x, i)\ny: {S} = Add(b, a)"),
    ("another factor", f"{INVERSE}a: {M} = Mul(m, r)\nb: {S} = Mul(x, i)\ny: {S} = Sub(b, a)"),
    ("another mean", f"{INVERSE}a: {M} = Mul(v, i)\nb: {S} = Mul(x, i)\ny: {S} = Sub(b, a)"),
    ("the product is read", (f"{INVERSE}a: {M} = Mul(m, i)\nb: {S} = Mul(x, i)\nc: {S} = Sub(b, a)\n"
     f"y: {S} = Mul(c, b)")),
)  # fmt: skip
def test_not_centred(body: str) -> None:
    untouched(centre_first, CONSTANTS + body, X)


# ---------------------------------------------------------- keep_axes_in_products

W = "const w: float32[5x4] = ...\nconst flat: int64[2] = [-1, 5]\nconst back: int64[3] = [2, 3, 4]\n"
PRODUCT = "a: float32[6x5] = Reshape(x, flat)\nb: float32[6x4] = MatMul(a, w)\n"


def test_products_keep_their_axes() -> None:
    after = rewritten(keep_axes_in_products, f"{W}{PRODUCT}y: float32[2x3x4] = Reshape(b, back)", X)[1]
    assert lines(after) == "y: float32[2x3x4] = MatMul(x, w)"


def test_products_of_an_unknown_batch() -> None:
    body = f"{W}{PRODUCT}y: float32[2x3x4] = Reshape(b, back)".replace("[2, 3, 4]", "[-1, 3, 4]")
    graph = graph_of(body.replace("6x", "?x").replace("2x3x4", "?x3x4"), 'x: float32["n"x3x5]')
    assert keep_axes_in_products(graph)
    assert [node.op for node in graph.nodes()] == ["MatMul"]


@refusals(
    ("the matrix is read", (f"{W}{PRODUCT}c: float32[2x3x4] = Reshape(b, back)\nd: float32[4] = ReduceMax(b, zero)"
     " {keepdims: 0}\ny: float32[2x3x4] = Add(c, d)")),
    ("restored otherwise", f"{W}{PRODUCT}y: float32[2x3x4] = Reshape(b, other)".replace("2x3x4", "3x2x4")),
)  # fmt: skip
def test_products_stay(body: str) -> None:
    untouched(keep_axes_in_products, "const zero: int64[1] = [0]\nconst other: int64[3] = [3, 2, 4]\n" + body, X)


def test_columns_are_not_merged() -> None:
    body = "const w: float32[15x4] = ...\nconst flat: int64[2] = [2, 15]\nconst back: int64[3] = [2, 1, 4]\n"
    body += "a: float32[2x15] = Reshape(x, flat)\nb: float32[2x4] = MatMul(a, w)\ny: float32[2x1x4] = Reshape(b, back)"
    untouched(keep_axes_in_products, body, X)
