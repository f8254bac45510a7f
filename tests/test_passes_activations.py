"""Bounds in a row, and activations that exporters write out."""

from __future__ import annotations

from netglot.passes.activations import fuse_activations, merge_clips
from tests.test_passes_text import I4, cases, expect, refusals, rewritten, untouched

B = "const zero: float32[] = 0\nconst six: float32[] = 6\nconst low: float32[1] = [-1]\n"


@cases(
    ("relu6", (f"{B}a: {I4} = Relu(x)\n"
     f"y: {I4} = Min(a, six)"), f"y: {I4} = Clip(x, constant/constant, constant/constant.1)"),
    ("relu6 by max", (f"{B}a: {I4} = Max(zero, x)\n"
     f"y: {I4} = Min(six, a)"), f"y: {I4} = Clip(x, constant/constant, constant/constant.1)"),
    ("twice", f"a: {I4} = Relu(x)\ny: {I4} = Relu(a)", f"y: {I4} = Relu(x)"),
    ("relu of a wider clip", f"{B}a: {I4} = Clip(x, low)\ny: {I4} = Relu(a)", f"y: {I4} = Relu(x)"),
    ("three", f"{B}a: {I4} = Relu(x)\nb: {I4} = Clip(a, _, six)\ny: {I4} = Max(b, low)",
     f"y: {I4} = Clip(x, constant/constant, constant/constant.1)"),
)  # fmt: skip
def test_clips(before: str, after: str) -> None:
    before = before.replace("low: float32[1] = [-1]", "low: float32[] = -1")
    graph = rewritten(merge_clips, before)[1]
    assert [node.op for node in graph.nodes()] == [after.split(" = ")[1].split("(")[0]]
    assert [value.array.tolist() for value in graph.nodes()[0].inputs[1:] if value] in ([], [0, 6])


@refusals(
    ("another reader", f"{B}a: {I4} = Relu(x)\nb: {I4} = Min(a, six)\ny: {I4} = Add(a, b)"),
    ("a bound for each channel", f"const c: float32[2x1x1] = [1, 2]\na: {I4} = Relu(x)\ny: {I4} = Min(a, c)"),
    ("a bound that is computed", f"a: {I4} = Relu(x)\ny: {I4} = Min(a, x)"),
    ("alone", f"{B}y: {I4} = Min(x, six)"),
)  # fmt: skip
def test_no_clips(body: str) -> None:
    untouched(merge_clips, body)


@cases(
    ("Mish", f"a: {I4} = Softplus(x)\nb: {I4} = Tanh(a)\ny: {I4} = Mul(x, b)", f"y: {I4} = Mish(x)"),
    ("Mish, other side", f"a: {I4} = Softplus(x)\nb: {I4} = Tanh(a)\ny: {I4} = Mul(b, x)", f"y: {I4} = Mish(x)"),
    ("HardSwish", (f"a: {I4} = HardSigmoid(x) {{alpha: 0.16666666666666666, beta: 0.5}}\n"
     f"y: {I4} = Mul(x, a)"), f"y: {I4} = HardSwish(x)"),
)  # fmt: skip
def test_activations(before: str, after: str) -> None:
    expect(rewritten(fuse_activations, before)[1], after)


@refusals(
    ("the gate is read", f"a: {I4} = Softplus(x)\nb: {I4} = Tanh(a)\nc: {I4} = Mul(x, b)\ny: {I4} = Add(b, c)"),
    ("of something else", f"a: {I4} = Softplus(x)\nb: {I4} = Tanh(a)\nn: {I4} = Neg(x)\ny: {I4} = Mul(n, b)"),
    ("another slope", f"a: {I4} = HardSigmoid(x)\ny: {I4} = Mul(x, a)"),
    ("Swish", f"a: {I4} = Sigmoid(x)\ny: {I4} = Mul(x, a)"),
    ("a square", f"a: {I4} = Tanh(x)\ny: {I4} = Mul(a, a)"),
)  # fmt: skip
def test_no_activations(body: str) -> None:
    untouched(fuse_activations, body)
