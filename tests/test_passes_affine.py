"""Normalisation and per-channel arithmetic: into the weights where that is exact, and nowhere else."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

import netglot
from netglot.ir.graph import Graph
from netglot.passes import affine
from netglot.passes.affine import lower_batchnorm, merge_affine
from netglot.passes.fuse_affine import fuse_affine
from netglot.passes.pipeline import COMMON, run
from tests.test_passes_random import assert_same_results
from tests.test_passes_text import I4, expect, graph_of, lines, refusals, rewritten, untouched

STATISTICS = """
    const gamma: float32[2] = [0.5, -1.5]
    const beta: float32[2] = [0.25, 3]
    const mean: float32[2] = [-1, 0.125]
    const var: float32[2] = [0.5, 2]
"""
CHANNELS = """
    const s: float32[2x1x1] = [0.5, -3]
    const t: float32[1x2x1x1] = [1, -0.25]
    const k: float32[] = 2
    const one: float32[1] = [1]
"""
LAYERS = """
    const w: float32[2x2x2x2] = ...
    const b: float32[2] = ...
    const one_group: float32[4x1x2x2] = ...
    const deconv: float32[2x2x2x2] = ...
"""


def ops(graph: Graph) -> list[str]:
    return [node.op for node in graph.nodes()]


# ----------------------------------------------------------- BatchNormalization


def test_a_batchnorm_alone() -> None:
    _, graph = rewritten(lower_batchnorm, f"{STATISTICS}y: {I4} = BatchNormalization(x, gamma, beta, mean, var)")
    expect(graph, f"Mul: {I4} = Mul(x, y/Mul)\ny: {I4} = Add(Mul, y/Add)")
    scale = np.array([0.5, -1.5]) / np.sqrt(np.array([0.5, 2]) + np.float32(1e-5))
    np.testing.assert_allclose(graph["y/Mul"].array.ravel(), scale, rtol=1e-7)


def test_a_batchnorm_of_rows() -> None:
    body = f"{STATISTICS}y: float32[3x2] = BatchNormalization(x, gamma, beta, mean, var) {{epsilon: 0.5}}"
    assert ops(rewritten(lower_batchnorm, body, "x: float32[3x2]")[1]) == ["Mul", "Add"]


@refusals(
    ("computed statistics", (f"{STATISTICS}m: float32[2] = Neg(mean)\n"
     f"y: {I4} = BatchNormalization(x, gamma, beta, m, var)")),
    ("a variance that gives no number", f"""{STATISTICS}const bad: float32[2] = [-1, 1]
        y: {I4} = BatchNormalization(x, gamma, beta, mean, bad)"""),
    ("training", (f"{STATISTICS}y: {I4}, m: float32[2], v: float32[2] = "
     "BatchNormalization(x, gamma, beta, mean, var) {training_mode: 1}")),
)  # fmt: skip
def test_batchnorms_that_stay(body: str) -> None:
    untouched(lower_batchnorm, body)


def test_the_comparison_would_see_a_wrong_epsilon(monkeypatch: pytest.MonkeyPatch) -> None:
    before = graph_of(f"{STATISTICS}y: {I4} = BatchNormalization(x, gamma, beta, mean, var) {{epsilon: 0.001}}")
    monkeypatch.setattr(affine, "_epsilon", lambda node: 0.002)
    with pytest.raises(AssertionError):
        assert_same_results(before, run(before.copy(), COMMON))


# --------------------------------------------------------------------- chains


@pytest.mark.parametrize(("chain", "left"), [
    (["Mul(x, s)", "Mul(a, k)"], ["Mul"]),
    (["Add(x, s)", "Add(t, a)"], ["Add"]),
    (["Mul(x, s)", "Add(a, t)", "Mul(b, t)", "Add(c, s)"], ["Mul", "Add"]),
    (["Add(x, t)", "Mul(a, s)"], ["Mul", "Add"]),
    (["Sub(s, x)", "Sub(k, a)"], ["Add"]),
    (["Div(x, k)", "Mul(a, k)"], ["Identity"]),
    (["Sub(x, s)", "Div(a, t)", "Mul(k, b)"], ["Mul", "Add"]),
])  # fmt: skip
def test_chains_merge(chain: list[str], left: list[str]) -> None:
    body = "\n".join(f"{name}: {I4} = {call}" for name, call in zip("abcde", chain, strict=False))
    _, graph = rewritten(merge_affine, f"{CHANNELS}{body}\ny: {I4} = Relu({'abcde'[len(chain) - 1]})")
    assert ops(graph) == [*left, "Relu"]
    assert "abcde"[len(chain) - 1] in graph, "the end of the chain keeps its name"


@refusals(
    ("canonical already", f"{CHANNELS}a: {I4} = Mul(x, s)\ny: {I4} = Add(a, t)"),
    ("alone", f"{CHANNELS}y: {I4} = Sub(k, x)"),
    ("another reader", f"{CHANNELS}a: {I4} = Mul(x, s)\nb: {I4} = Mul(a, k)\ny: {I4} = Add(a, b)"),
    ("different axes", f"const r: float32[3] = [1, 2, 3]\n{CHANNELS}a: {I4} = Mul(x, s)\ny: {I4} = Mul(a, r)"),
    ("divided by", f"{CHANNELS}a: {I4} = Div(k, x)\ny: {I4} = Mul(a, k)"),
    ("divided by zero", f"const z: float32[] = 0\n{CHANNELS}a: {I4} = Mul(x, k)\ny: {I4} = Div(a, z)"),
    ("whole images", f"const i: float32[1x2x3x3] = ...\n{CHANNELS}a: {I4} = Mul(x, i)\ny: {I4} = Mul(a, k)"),
    ("broadcasts", f"const q: float32[5x1x1x1] = 1\n{CHANNELS}a: {I4} = Mul(x, k)\ny: float32[5x2x3x3] = Add(a, q)"),
    ("overflows", f"const h: float32[] = 1e30\na: {I4} = Mul(x, h)\ny: {I4} = Mul(a, h)"),
)  # fmt: skip
def test_chains_that_stay(body: str) -> None:
    untouched(merge_affine, body)


def test_integers_stay() -> None:
    untouched(merge_affine, "const k: int32[] = 3\na: int32[2] = Mul(x, k)\ny: int32[2] = Div(a, k)", "x: int32[2]")


# ------------------------------------------------------------ behind the layers

CONVOLUTIONS = {
    "Conv": ("Conv(x, w)", "float32[1x2x2x2]"),
    "with bias": ("Conv(x, w, b)", "float32[1x2x2x2]"),
    "padded": ("Conv(x, w, b) {pads: [1, 0, 1, 1]}", "float32[1x2x4x3]"),
    "deconvolution": ("ConvTranspose(x, deconv, b)", "float32[1x2x4x4]"),
    "grouped deconvolution": ("ConvTranspose(x, one_out, b) {group: 2}", "float32[1x2x4x4]"),
    "depthwise": ("Conv(x, one_in, b) {group: 2}", "float32[1x2x2x2]"),
}
MORE = """
    const one_in: float32[2x1x2x2] = ...
    const one_out: float32[2x1x2x2] = ...
"""


@pytest.mark.parametrize("layer", CONVOLUTIONS.values(), ids=list(CONVOLUTIONS))
@pytest.mark.parametrize(
    "tail", [["Mul(a, s)"], ["Add(t, a)"], ["Sub(s, a)"], ["Div(a, k)", "Sub(b_, t)", "Mul(c_, s)"]]
)
def test_into_convolutions(layer: tuple[str, str], tail: list[str]) -> None:
    call, shape = layer
    names = ["b_", "c_", "d_"]
    body = "\n".join(f"{name}: {shape} = {one}" for name, one in zip(names, tail, strict=False))
    last = names[len(tail) - 1]
    before, graph = rewritten(
        fuse_affine, f"{LAYERS}{MORE}{CHANNELS}a: {shape} = {call}\n{body}\ny: {shape} = Relu({last})"
    )
    assert ops(graph) == [ops(before)[0], "Relu"]
    assert last in graph
    assert "a" not in graph


def test_into_convolutions_of_several_channels_a_group() -> None:
    for op, weights, group in itertools.product(("Conv", "ConvTranspose"), ("6x2x2x2", "4x3x2x2"), (1, 2)):
        first, second = int(weights[0]), int(weights[2])
        channels, made = (second * group, first) if op == "Conv" else (first, second * group)
        size = 2 if op == "Conv" else 4
        if first % group:
            continue
        body = f"""const w: float32[{weights}] = ...
            const s: float32[{channels}x1x1] = ...
            const t: float32[{made}x1x1] = ...
            a: float32[1x{channels}x3x3] = Mul(x, s)\nb: float32[1x{made}x{size}x{size}] = {op}(a, w) {{group: {group}}}
            c: float32[1x{made}x{size}x{size}] = Mul(b, t)\ny: float32[1x{made}x{size}x{size}] = Add(c, t)"""
        _, graph = rewritten(fuse_affine, body, f"x: float32[1x{channels}x3x3]")
        assert ops(graph) == [op]


@refusals(
    ("the middle is an output", f"{LAYERS}{CHANNELS}z: float32[1x2x2x2] = Conv(x, w)\ny: float32[1x2x2x2] = Mul(z, s)"),
)  # fmt: skip
def test_outputs_are_not_taken_in(body: str) -> None:
    untouched(fuse_affine, body, outputs="y, z")


@refusals(
    ("another reader", (f"{LAYERS}{CHANNELS}a: float32[1x2x2x2] = Conv(x, w)\nb_: float32[1x2x2x2] = Mul(a, s)\n"
     "y: float32[1x2x2x2] = Add(a, b_)")),
    ("twice the argument", f"{LAYERS}a: float32[1x2x2x2] = Conv(x, w)\ny: float32[1x2x2x2] = Mul(a, a)"),
    ("along another axis", (f"const r: float32[2] = [1, 2]\n{LAYERS}a: float32[1x2x2x2] = Conv(x, w)\n"
     "y: float32[1x2x2x2] = Mul(a, r)")),
    ("computed weights", (f"{LAYERS}{CHANNELS}v: float32[2x2x2x2] = Neg(w)\na: float32[1x2x2x2] = Conv(x, v)\n"
     "y: float32[1x2x2x2] = Mul(a, s)")),
    ("overflow", ("const h: float32[] = 1e38\nconst g: float32[2x2x2x2] = 1000\na: float32[1x2x2x2] = Conv(x, g)\n"
     "y: float32[1x2x2x2] = Mul(a, h)")),
)  # fmt: skip
def test_tails_that_stay(body: str) -> None:
    untouched(fuse_affine, body)


def test_shared_weights_stay_for_the_others() -> None:
    before, graph = rewritten(
        fuse_affine,
        f"""{LAYERS}{CHANNELS}
        a: float32[1x2x2x2] = Conv(x, w)
        b_: float32[1x2x2x2] = Mul(a, s)
        c: float32[1x2x2x2] = Conv(x, w)
        y: float32[1x2x2x2] = Max(b_, c)""",
    )
    assert ops(graph) == ["Conv", "Conv", "Max"]
    assert graph["w"].data is before["w"].data
    assert graph.uses(graph["w"]) == 1


def test_only_adding_leaves_the_weights_where_they_are() -> None:
    before, graph = rewritten(
        fuse_affine, f"{LAYERS}{CHANNELS}a: float32[1x2x2x2] = Conv(x, w)\ny: float32[1x2x2x2] = Add(a, t)"
    )
    assert graph["w"].data is before["w"].data


# ------------------------------------------------------- in front of the layers


@pytest.mark.parametrize(("head", "call", "size", "left"), [
    (["Mul(x, s)"], "Conv(#, w, b) {pads: [1, 1, 1, 1]}", 4, ["Conv"]),
    (["Mul(x, s)", "Add(a, t)"], "Conv(#, w)", 2, ["Conv"]),
    (["Sub(s, x)", "Div(a, k)"], 'Conv(#, w, b) {auto_pad: "VALID"}', 2, ["Conv"]),
    (["Mul(x, s)", "Add(a, t)"], "Conv(#, w, b) {pads: [1, 1, 1, 1]}", 4, ["Add", "Conv"]),
    (["Mul(x, s)", "Add(a, t)"], 'Conv(#, w, b) {auto_pad: "SAME_UPPER"}', 3, ["Add", "Conv"]),
    (["Mul(x, s)"], "ConvTranspose(#, deconv)", 4, ["ConvTranspose"]),
    (["Mul(x, s)", "Add(a, t)"], "ConvTranspose(#, deconv)", 4, ["Add", "ConvTranspose"]),
])  # fmt: skip
def test_heads(head: list[str], call: str, size: int, left: list[str]) -> None:
    body = "\n".join(f"{name}: {I4} = {one}" for name, one in zip("ac", head, strict=False))
    call = call.replace("#", "ac"[len(head) - 1])
    _, graph = rewritten(fuse_affine, f"{LAYERS}{CHANNELS}{body}\ny: float32[1x2x{size}x{size}] = {call}")
    assert ops(graph) == left


@refusals(
    ("an addition before padding", (f"{LAYERS}{CHANNELS}a: {I4} = Add(x, t)\n"
     f"y: float32[1x2x4x4] = Conv(a, w) {{pads: [1, 1, 1, 1]}}")),
    ("an addition before a deconvolution", (f"{LAYERS}{CHANNELS}a: {I4} = Add(x, t)\n"
     f"y: float32[1x2x4x4] = ConvTranspose(a, deconv)")),
    ("another reader", (f"{LAYERS}{CHANNELS}a: {I4} = Mul(x, s)\nc: float32[1x2x2x2] = Conv(a, w)\n"
     "m: float32[1x2x2x2] = MaxPool(a) {kernel_shape: [2, 2]}\ny: float32[1x2x2x2] = Add(c, m)")),
    ("a zero cannot be divided by", (f"const z: float32[2x1x1] = [0, 1]\n{LAYERS}{CHANNELS}a: {I4} = Mul(x, z)\n"
     f"c: {I4} = Add(a, t)\ny: float32[1x2x4x4] = Conv(c, w) {{pads: [1, 1, 1, 1]}}")),
    ("along another axis", (f"const r: float32[3] = [1, 2, 3]\n{LAYERS}a: {I4} = Mul(x, r)\n"
     f"y: float32[1x2x2x2] = Conv(a, w)")),
)  # fmt: skip
def test_heads_that_stay(body: str) -> None:
    untouched(fuse_affine, body)


# -------------------------------------------------------------------- matrices

DENSE = """
    const w: float32[4x2] = ...
    const wt: float32[2x4] = ...
    const b: float32[2] = ...
    const full: float32[3x2] = ...
    const column: float32[3x1] = ...
    const k: float32[] = 0.5
    const s: float32[2] = [2, -3]
    const t: float32[1x2] = [1, 5]
    const si: float32[4] = [2, -3, 1, 0.5]
"""
ROWS = "x: float32[3x4]"
GEMMS = ["Gemm(#, w)", "Gemm(#, w, b)", "Gemm(#, wt, b) {transB: 1}", "Gemm(#, w, full) {alpha: 0.5, beta: 2.0}",
         "Gemm(#, w, k) {beta: 3.0}", "Gemm(#, w, column)"]  # fmt: skip


@pytest.mark.parametrize("call", GEMMS)
@pytest.mark.parametrize("tail", ["Mul(a, s)", "Add(a, t)", "Sub(k, a)"])
def test_behind_gemm(call: str, tail: str) -> None:
    _, graph = rewritten(
        fuse_affine, f"{DENSE}a: float32[3x2] = {call.replace('#', 'x')}\ny: float32[3x2] = {tail}", ROWS
    )
    assert ops(graph) == ["Gemm"]


@pytest.mark.parametrize("call", [*GEMMS, "MatMul(#, w)"])
@pytest.mark.parametrize("head", ["Mul(x, si)", "Add(si, x)", "Sub(k, x)"])
def test_before_gemm(call: str, head: str) -> None:
    _, graph = rewritten(
        fuse_affine, f"{DENSE}a: float32[3x4] = {head}\ny: float32[3x2] = {call.replace('#', 'a')}", ROWS
    )
    assert ops(graph) == ["Gemm" if "Gemm" in call or "Mul" not in head else "MatMul"]


def test_behind_matmul() -> None:
    _, graph = rewritten(
        fuse_affine,
        f"{DENSE}a: float32[3x2] = MatMul(x, w)\nc: float32[3x2] = Mul(a, s)\ny: float32[3x2] = Add(c, t)",
        ROWS,
    )
    assert ops(graph) == ["Gemm"]


def test_behind_matmul_of_stacked_rows() -> None:
    body = f"{DENSE}a: float32[5x3x2] = MatMul(x, w)\nc: float32[5x3x2] = Mul(a, s)\ny: float32[5x3x2] = Add(c, s)"
    assert ops(rewritten(fuse_affine, body, "x: float32[5x3x4]")[1]) == ["MatMul", "Add"]


@refusals(
    ("transposed rows", (f"{DENSE}const v: float32[3x2] = ...\na: float32[4x2] = Gemm(x, v) {{transA: 1}}\n"
     f"y: float32[4x2] = Mul(a, s)")),
    ("a computed bias", f"{DENSE}c: float32[2] = Neg(b)\na: float32[3x2] = Gemm(x, w, c)\ny: float32[3x2] = Add(a, s)"),
    ("weights in front", f"{DENSE}a: float32[2x4] = MatMul(v, x)\ny: float32[2x4] = Mul(a, k)\n".replace(
        "const w", "const v: float32[2x3] = ...\nconst w", 1)),
)  # fmt: skip
def test_matrices_that_stay(body: str) -> None:
    untouched(fuse_affine, body, ROWS)


# ------------------------------------------------------------------- whole nets


def test_caffe_triple_becomes_one_convolution() -> None:
    before = graph_of(f"""{LAYERS}{CHANNELS}{STATISTICS}
        c: float32[1x2x2x2] = Conv(x, w)
        n: float32[1x2x2x2] = BatchNormalization(c, gamma, beta, mean, var)
        m: float32[1x2x2x2] = Mul(n, s)
        a: float32[1x2x2x2] = Add(m, t)
        y: float32[1x2x2x2] = Relu(a)""")
    after = run(before.copy(), COMMON, check=True)
    assert ops(after) == ["Conv", "Relu"]
    assert "a: " in lines(after)
    assert_same_results(before, after)


def test_the_trained_digits() -> None:
    """Every BatchNorm and Scale is in a convolution; Power's shift stays one Add, since zeros are padded behind it."""
    folder = Path(__file__).parent.parent / "examples/digits"
    before = netglot.load(folder / "deploy.prototxt", weights=folder / "digits.caffemodel")
    after = run(before.copy(), COMMON, check=True)
    assert_same_results(before, after)
    assert [op for op in ops(after) if op in ("BatchNormalization", "Mul", "Sub", "Div", "Identity")] == []
    assert [node.origin.layer for node in after.nodes() if node.op == "Add"] == ["centre", "sum2"]
