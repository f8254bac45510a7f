"""Gelu and HardSwish, in the spellings that occur, and what only looks like them."""

from __future__ import annotations

from netglot.passes.gelu import fuse_gelu
from tests.test_passes_text import I4, cases, expect, refusals, rewritten, untouched

C = """const half: float32[] = 0.5
const one: float32[] = 1
const root: float32[] = 1.4142135
const part: float32[] = 0.70710677
const two: float32[] = 2
const three: float32[] = 3
const cubic: float32[] = 0.044715
const slope: float32[] = 0.7978846
const zero: float32[] = 0
const six: float32[] = 6
const sixth: float32[] = 0.16666667
"""


def chain(*steps: str) -> str:
    """Constants, and nodes in a row: the last one is y."""
    names = [step.split(" = ")[0] for step in steps]
    assert names[-1] == "y"
    return C + "\n".join(f"{step.split(' = ')[0]}: {I4} = {step.split(' = ')[1]}" for step in steps)


ERF = ("a = Mul(x, part)", "t = Erf(a)", "g = Add(one, t)")
TANH = ("q = Mul(x, x)", "c = Mul(q, x)", "d = Mul(cubic, c)", "e = Add(x, d)", "u = Mul(slope, e)", "t = Tanh(u)")


@cases(
    ("x/2 first", chain(*ERF, "h = Mul(x, half)", "y = Mul(h, g)"), f"y: {I4} = Gelu(x)"),
    ("a half last", chain(*ERF, "h = Mul(x, g)", "y = Mul(h, half)"), f"y: {I4} = Gelu(x)"),
    ("half the gate", chain(*ERF, "h = Mul(half, g)", "y = Mul(x, h)"), f"y: {I4} = Gelu(x)"),
    ("by divisions", chain("a = Div(x, root)", "t = Erf(a)", "g = Add(t, one)", "h = Mul(x, g)", "y = Div(h, two)"),
     f"y: {I4} = Gelu(x)"),
    ("TensorFlow's Erfc", chain("n = Neg(x)", "a = Mul(n, part)", "t = Erf(a)", "g = Sub(one, t)", "h = Mul(half, x)",
     "y = Mul(h, g)"), f"y: {I4} = Gelu(x)"),
    ("multiplied out", chain("a = Mul(x, part)", "t = Erf(a)", "h = Mul(half, x)", "p = Mul(h, t)", "y = Add(h, p)"),
     f"y: {I4} = Gelu(x)"),
    ("of another node", chain("r = Relu(x)", "a = Mul(r, part)", "t = Erf(a)", "g = Add(one, t)", "h = Mul(r, half)",
     "y = Mul(h, g)"), f"r: {I4} = Relu(x)\ny: {I4} = Gelu(r)"),
    ("tanh", chain(*TANH, "g = Add(t, one)", "h = Mul(x, half)", "y = Mul(h, g)"),
     f'y: {I4} = Gelu(x) {{approximate: "tanh"}}'),
    ("tanh by Pow", chain("c = Pow(x, three)", *TANH[2:], "g = Add(t, one)", "h = Mul(g, half)", "y = Mul(x, h)"),
     f'y: {I4} = Gelu(x) {{approximate: "tanh"}}'),
    ("tanh, x taken out", chain("q = Mul(x, x)", "d = Mul(cubic, q)", "e = Add(one, d)", "b = Mul(slope, x)",
     "u = Mul(b, e)", "t = Tanh(u)", "g = Add(t, one)", "h = Mul(g, half)", "y = Mul(x, h)"),
     f'y: {I4} = Gelu(x) {{approximate: "tanh"}}'),
    ("HardSwish", chain("a = Add(x, three)", "t = Clip(a, zero, six)", "h = Mul(t, sixth)", "y = Mul(x, h)"),
     f"y: {I4} = HardSwish(x)"),
    ("HardSwish by a division", chain("a = Add(x, three)", "t = Clip(a, zero, six)", "h = Mul(t, x)",
     "y = Div(h, six)"), f"y: {I4} = HardSwish(x)"),
    ("HardSwish of 0...1", chain("a = Mul(x, sixth)", "b = Add(a, half)", "t = Clip(b, zero, one)", "y = Mul(t, x)"),
     f"y: {I4} = HardSwish(x)"),
)  # fmt: skip
def test_fused(before: str, after: str) -> None:
    graph = rewritten(fuse_gelu, before)[1]
    expect(graph, after)


@refusals(
    ("another root", chain("a = Mul(x, half)", *ERF[1:], "h = Mul(x, half)", "y = Mul(h, g)")),
    ("not halved", chain(*ERF, "y = Mul(x, g)")),
    ("1 - Erf(x)", chain(*ERF[:2], "g = Sub(one, t)", "h = Mul(x, half)", "y = Mul(h, g)")),
    ("of two values", chain("n = Relu(x)", *ERF, "h = Mul(n, half)", "y = Mul(h, g)")),
    ("the gate is read", chain(*ERF, "h = Mul(x, half)", "p = Mul(h, g)", "y = Add(p, g)")),
    ("a half is read", chain(*ERF, "h = Mul(x, half)", "p = Mul(h, g)", "y = Add(p, h)")),
    ("another cubic", chain("q = Mul(x, x)", "c = Mul(q, x)", "d = Mul(part, c)", *TANH[3:], "g = Add(t, one)",
     "h = Mul(x, half)", "y = Mul(h, g)")),
    ("Tanh alone", chain("u = Mul(slope, x)", "t = Tanh(u)", "g = Add(t, one)", "h = Mul(x, half)", "y = Mul(h, g)")),
    ("another bound", chain("a = Add(x, three)", "t = Clip(a, zero, three)", "h = Mul(t, sixth)", "y = Mul(x, h)")),
    ("another shift", chain("a = Add(x, two)", "t = Clip(a, zero, six)", "h = Mul(t, sixth)", "y = Mul(x, h)")),
    ("not divided", chain("a = Add(x, three)", "t = Clip(a, zero, six)", "y = Mul(x, t)")),
)  # fmt: skip
def test_not_fused(body: str) -> None:
    untouched(fuse_gelu, body)


def test_not_where_it_is_broadcast() -> None:
    body = "a: float32[1x2x3x3] = Mul(x, part)\nt: float32[1x2x3x3] = Erf(a)\ng: float32[1x2x3x3] = Add(one, t)\n"
    body += "h: float32[4x2x3x3] = Mul(wide, x)\ny: float32[4x2x3x3] = Mul(h, g)"
    untouched(fuse_gelu, f"{C}const wide: float32[4x1x1x1] = 0.5\n{body}")
