"""PRelu, indices that count from the end, images of height one, biases of heads: as TensorFlow's graphs write them."""

from __future__ import annotations

import pytest

from netglot.passes.dead_code import remove_dead_code
from netglot.passes.indices import count_from_the_end
from netglot.passes.one_axis import drop_axis_of_one
from netglot.passes.pipeline import tidy
from netglot.passes.prelu import fuse_prelu
from netglot.passes.split_biases import add_before_splitting
from tests.test_passes_text import I4, graph_of, lines, refusals, rewritten, untouched

# -------------------------------------------------------------------------- PRelu

PARTS = f"const c: float32[2x1x1] = [0.5, -2]\np: {I4} = Relu(x)\nn: {I4} = Neg(x)\nr: {I4} = Relu(n)\n"


@pytest.mark.parametrize(
    ("body", "slope"),
    [
        (f"s: {I4} = Mul(c, r)\ny: {I4} = Add(p, s)", [-0.5, 2]),
        (f"s: {I4} = Mul(r, c)\ny: {I4} = Add(s, p)", [-0.5, 2]),
        (f"s: {I4} = Mul(r, c)\ny: {I4} = Sub(p, s)", [0.5, -2]),
    ],
)
def test_prelu(body: str, slope: list[float]) -> None:
    (node,) = rewritten(fuse_prelu, PARTS + body)[1].nodes()
    assert node.op == "PRelu"
    assert node.inputs[1].array.ravel().tolist() == slope


@refusals(
    ("the other way round", f"{PARTS}s: {I4} = Mul(r, c)\ny: {I4} = Sub(s, p)"),
    ("a computed slope", f"{PARTS}s: {I4} = Mul(r, x)\ny: {I4} = Add(p, s)"),
    ("of another value", f"{PARTS}a: {I4} = Abs(x)\nq: {I4} = Relu(a)\ns: {I4} = Mul(r, c)\ny: {I4} = Add(q, s)"),
    ("the negative part is read", f"{PARTS}s: {I4} = Mul(r, c)\nt: {I4} = Add(p, s)\ny: {I4} = Add(t, r)"),
    ("not negated", f"{PARTS}q: {I4} = Relu(x)\ns: {I4} = Mul(q, c)\ny: {I4} = Add(p, s)"),
)  # fmt: skip
def test_no_prelu(body: str) -> None:
    untouched(fuse_prelu, body)


# ------------------------------------------------------------------------ indices

INDICES = "i: int32[4]"
TABLE = "const t: float32[7x2] = ...\nconst n: int32[] = 7\nconst k: int32[] = 6\nconst z: int32[] = 0"
WRAP = "l: bool[4] = Less(i, z)\na: int32[4] = Add(i, n)\nw: int32[4] = Where(l, a, i)\ny: float32[4x2] = Gather(t, w)"


def test_indices_count_from_the_end() -> None:
    graph = graph_of(f"{TABLE}\n{WRAP}", INDICES)
    assert count_from_the_end(graph)
    graph.check()
    remove_dead_code(graph)
    assert lines(graph) == "y: float32[4x2] = Gather(t, i)"


@refusals(
    ("another size", f"{TABLE}\n{WRAP.replace('Add(i, n)', 'Add(i, k)')}"),
    ("another bound", f"{TABLE}\n{WRAP.replace('Less(i, z)', 'Less(i, k)')}"),
    ("the other branch", f"{TABLE}\n{WRAP.replace('Where(l, a, i)', 'Where(l, i, a)')}"),
)  # fmt: skip
def test_other_indices_stay(body: str) -> None:
    untouched(count_from_the_end, body, INDICES)


# -------------------------------------------------------------- images of height one

ROW = "x: float32[2x3x9]"
WEIGHTS = "const w: float32[4x3x1x3] = ...\nconst b: float32[4] = ...\nconst s: int64[4] = [2, 3, 1, 9]\n"
WEIGHTS += "const u: float32[4x1x1x2] = ...\nconst v: int64[3] = [2, 4, 4]\nconst e: int64[1] = [2]\n"
IMAGE = "a: float32[2x3x1x9] = Reshape(x, s)\n"


def test_a_row_of_layers() -> None:
    body = f"""{WEIGHTS}{IMAGE}c: float32[2x4x1x5] = Conv(a, w, b) {{strides: [1, 2], pads: [0, 1, 0, 1]}}
d: float32[2x4x1x4] = Conv(c, u) {{group: 4}}
m: float32[2x4x1x4] = MaxPool(d) {{kernel_shape: [1, 3], pads: [0, 1, 0, 1]}}
y: float32[2x4x4] = Reshape(m, v)"""
    after = rewritten(drop_axis_of_one, body, ROW)[1]
    tidy(after)
    assert [node.op for node in after.nodes()] == ["Conv", "Conv", "MaxPool"]
    assert after.nodes()[0].attributes["pads"] == (1, 1)
    assert after.nodes()[0].attributes["strides"] == (2,)


def test_a_width_of_one() -> None:
    body = "const w: float32[4x3x3x1] = ...\nconst e: int64[1] = [3]\na: float32[2x3x9x1] = Unsqueeze(x, e)\n"
    after = rewritten(drop_axis_of_one, f"{body}y: float32[2x4x5x1] = Conv(a, w) {{dilations: [2, 1]}}", ROW)[1]
    assert [node.op for node in after.nodes()] == ["Conv", "Reshape"]


@refusals(
    ("a high window", (f"{WEIGHTS.replace('4x3x1x3', '4x3x3x3')}{IMAGE}y: float32[2x4x1x7] = Conv(a, w, b)"
     " {pads: [1, 0, 1, 0]}")),
    ("padded above", f"{WEIGHTS}{IMAGE}y: float32[2x4x3x7] = Conv(a, w, b) {{pads: [1, 0, 1, 0]}}"),
    ("an image", (f"{WEIGHTS.replace('[2, 3, 1, 9]', '[2, 3, 3, 3]')}a: float32[2x3x3x3] = Reshape(x, s)\n"
     "y: float32[2x4x3x1] = Conv(a, w, b)")),
    ("channels made of the height", (f"{WEIGHTS.replace('[2, 3, 1, 9]', '[1, 3, 1, 18]')}"
     "a: float32[1x3x1x18] = Reshape(x, s)\ny: float32[1x4x1x16] = Conv(a, w, b)")),
)  # fmt: skip
def test_images_stay(body: str) -> None:
    untouched(drop_axis_of_one, body, ROW)


# ----------------------------------------------------------------- biases of heads

X = "x: float32[2x3x5]"
HEADS = """const w: float32[5x8] = ...
const s: int64[4] = [2, 3, 4, 2]
const b: float32[4x2] = ...
const c: float32[2] = ...
const rows: float32[3x1x1] = ...
p: float32[2x3x8] = MatMul(x, w)
r: float32[2x3x4x2] = Reshape(p, s)
"""


@pytest.mark.parametrize("bias", ["b", "c"])
def test_biases_of_heads(bias: str) -> None:
    after = rewritten(add_before_splitting, f"{HEADS}y: float32[2x3x4x2] = Add(r, {bias})", X)[1]
    assert [node.op for node in after.nodes()] == ["MatMul", "Add", "Reshape"]


@refusals(
    ("for each row", f"{HEADS}y: float32[2x3x4x2] = Add(r, rows)"),
    ("the heads are read", f"{HEADS}a: float32[2x3x4x2] = Add(r, b)\ny: float32[2x3x4x2] = Mul(a, r)"),
    ("rows are split", f"{HEADS}y: float32[2x4x3x2] = Add(r, c)".replace("2x3x4x2", "2x4x3x2")
     .replace("[2, 3, 4, 2]", "[2, 4, 3, 2]")),
)  # fmt: skip
def test_biases_stay(body: str) -> None:
    untouched(add_before_splitting, body, X)
