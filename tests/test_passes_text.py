"""Each rewrite as text: before, the pass, after; and each case where it must not fire."""

from __future__ import annotations

import textwrap
from collections.abc import Callable

import numpy as np
import pytest

from netglot.ir.graph import Graph
from netglot.ir.text import parse, to_text
from netglot.passes.casts import merge_casts
from netglot.passes.dead_code import remove_dead_code
from netglot.passes.duplicates import merge_duplicates
from netglot.passes.fold_constants import fold_constants
from netglot.passes.identity import remove_identities
from netglot.passes.pipeline import Pass, apply
from netglot.passes.reshapes import merge_reshapes
from netglot.passes.transposes import fold_transposes, merge_transposes
from tests.test_passes_random import assert_same_results

X = "x: float32[1x2x3x3]"


def random(name: str, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(len(name)).uniform(-1, 1, shape).astype(dtype)


def graph_of(body: str, inputs: str = X, outputs: str = "y") -> Graph:
    graph = parse(f"graph g({inputs}) -> {outputs} {{\n{body}\n}}", random)
    graph.check()
    return graph


def lines(graph: Graph) -> str:
    """The nodes, without constants, and without the types of what is not an output."""
    text = [line.strip() for line in to_text(graph, origins=False).splitlines()[1:-1]]
    return "\n".join(line for line in text if not line.startswith("const "))


def rewritten(one: Pass, body: str, inputs: str = X, outputs: str = "y") -> tuple[Graph, Graph]:
    """The graph before and after, both proven valid and equal in what they compute."""
    before = graph_of(body, inputs, outputs)
    after = before.copy()
    assert apply(one, after), "nothing was rewritten"
    after.check()
    assert_same_results(before, after)
    remove_dead_code(after)
    return before, after


def untouched(one: Pass, body: str, inputs: str = X, outputs: str = "y") -> None:
    graph = graph_of(body, inputs, outputs)
    before = to_text(graph)
    assert not apply(one, graph), "it says that it rewrote something"
    assert to_text(graph) == before


Case = tuple[str, str, str]  # what it is about, before, after


def cases(*rows: Case) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return pytest.mark.parametrize(("before", "after"), [row[1:] for row in rows], ids=[row[0] for row in rows])


def refusals(*rows: tuple[str, str]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return pytest.mark.parametrize("body", [row[1] for row in rows], ids=[row[0] for row in rows])


def expect(graph: Graph, after: str) -> None:
    assert lines(graph) == textwrap.dedent(after).strip()


I4 = "float32[1x2x3x3]"

# -------------------------------------------------------------- fold_constants

FOLDS: list[tuple[str, str, str, list[float]]] = [
    ("arithmetic", "const a: float32[2] = [1, 2]\nc: float32[2] = Add(a, a)", "[2]", [2, 4]),
    ("a chain", "const a: float32[] = 3\nb: float32[] = Mul(a, a)\nc: float32[] = Sqrt(b)", "[]", [3]),
    ("Constant", "c: float32[2] = Constant() {value_floats: [1.5, 2.0]}", "[2]", [1.5, 2]),
    ("a small fill", "const n: int64[1] = [3]\nc: float32[3] = ConstantOfShape(n)", "[3]", [0]),
    ("Cast", "const a: int64[2] = [1, 2]\nc: float32[2] = Cast(a) {to: 1}", "[2]", [1, 2]),
    ("Transpose", "const a: float32[2x1] = [1, 2]\nc: float32[1x2] = Transpose(a)", "[1x2]", [1, 2]),
    ("a scalar axis", "const a: float32[] = 5\nconst z: int64[1] = [0]\nc: float32[1] = Unsqueeze(a, z)", "[1]", [5]),
    ("Shape", "s: int64[4] = Shape(x)\nc: float32[4] = Cast(s) {to: 1}", "[4]", [1, 2, 3, 3]),
    (
        "a part of the shape",
        "s: int64[2] = Shape(x) {start: 1, end: -1}\nc: float32[2] = Cast(s) {to: 1}",
        "[2]",
        [2, 3],
    ),
    ("Size", "s: int64[] = Size(x)\nc: float32[] = Cast(s) {to: 1}", "[]", [18]),
]


@pytest.mark.parametrize(("body", "shape", "values"), [row[1:] for row in FOLDS], ids=[row[0] for row in FOLDS])
def test_folds(body: str, shape: str, values: list[float]) -> None:
    _, graph = rewritten(fold_constants, f"{body}\nr: float32 = Identity(c)\ny: float32{shape} = Neg(r)", f"{X}")
    assert [node.op for node in graph.nodes()] == ["Identity", "Neg"]
    assert np.all(graph["c"].array.ravel() == np.float32(values))


def test_folding_makes_shapes_known() -> None:
    """As exporters write it: the batch size taken from the shape of the input."""
    _, graph = rewritten(
        fold_constants,
        """
        const zero: int64[] = 0
        const axes: int64[1] = [0]
        const rest: int64[1] = [-1]
        s: int64[4] = Shape(x)
        n: int64[] = Gather(s, zero)
        n1: int64[1] = Unsqueeze(n, axes)
        shape: int64[2] = Concat(n1, rest) {axis: 0}
        r: float32[?x?] = Reshape(x, shape)
        y: float32[1x18] = Relu(r)""",
    )
    expect(graph, "r: float32[1x18] = Reshape(x, shape)\ny: float32[1x18] = Relu(r)")
    assert graph["shape"].array.tolist() == [1, -1]


@refusals(
    ("not constant", f"const c: float32[] = 1\ny: {I4} = Add(x, c)"),
    ("an output", "const a: float32[1] = [1]\ny: float32[1] = Neg(a)"),
    ("random", "r: float32[2] = RandomNormal() {shape: [2]}\ny: float32[2] = Neg(r)"),
    ("quantised weights", """const q: int8[1] = [1]\nconst s: float32[] = 2
        w: float32[1] = DequantizeLinear(q, s)\ny: float32[1] = Neg(w)"""),
    ("much larger than its inputs", """const n: int64[1] = [1000000]
        f: float32[1000000] = ConstantOfShape(n)\ny: float32[1000000] = Neg(f)"""),
)  # fmt: skip
def test_does_not_fold(body: str) -> None:
    untouched(fold_constants, body)


def test_a_fold_that_would_fill_memory_is_not_begun() -> None:
    untouched(
        fold_constants,
        """const n: int64[2] = [4000000000, 4000000000]
        f: float32[4000000000x4000000000] = ConstantOfShape(n)
        y: float32[4000000000x4000000000] = Neg(f)""",
    )


def test_folds_inside_a_branch_and_for_it() -> None:
    body = """
        const a: float32[2] = [1, 2]
        b: float32[2] = Neg(a)
        y: float32[2] = If(c) {
            then_branch: graph t() -> t { k: float32[2] = Abs(b)
                t: float32[2] = Relu(k) },
            else_branch: graph e() -> e { e: float32[2] = Relu(b) }}"""
    before, after = graph_of(body, "c: bool[]"), graph_of(body, "c: bool[]")
    assert apply(fold_constants, after)
    after.check()
    assert after["b"].array.tolist() == [-1, -2]
    then, other = after.nodes()[0].subgraphs()
    assert [node.op for node in then.nodes()] == [node.op for node in other.nodes()] == ["Relu"]
    assert len(before.nodes()) == 2


# ------------------------------------------------- casts, reshapes, transposes


@cases(
    ("widening", "a: float64[1x2x3x3] = Cast(x) {to: 11}\ny: int32[1x2x3x3] = Cast(a) {to: 6}",
     "y: int32[1x2x3x3] = Cast(x) {to: 6}"),
    ("and back", (f"a: float64[1x2x3x3] = Cast(x) {{to: 11}}\n"
     f"y: {I4} = Cast(a) {{to: 1}}"), f"y: {I4} = Cast(x) {{to: 1}}"),
    ("the middle stays for others",
     (f"a: float64[1x2x3x3] = Cast(x) {{to: 11}}\nz: float64[1x2x3x3] = Neg(a)\nb: {I4} = Cast(a) {{to: 1}}\n"
     f"d: float64[1x2x3x3] = Cast(b) {{to: 11}}\ny: float64[1x2x3x3] = Add(z, d)"),
     ("a: float64[1x2x3x3] = Cast(x) {to: 11}\nd: float64[1x2x3x3] = Cast(x) {to: 11}\nz: float64[1x2x3x3] = Neg(a)\n"
     "y: float64[1x2x3x3] = Add(z, d)")),
)  # fmt: skip
def test_casts(before: str, after: str) -> None:
    expect(rewritten(merge_casts, before)[1], after)


@refusals(
    ("rounds", f"a: float16[1x2x3x3] = Cast(x) {{to: 10}}\ny: {I4} = Cast(a) {{to: 1}}"),
    ("truncates", f"a: int32[1x2x3x3] = Cast(x) {{to: 6}}\ny: {I4} = Cast(a) {{to: 1}}"),
    ("32 bits in 24", (f"a: int32[1x2x3x3] = Cast(x) {{to: 6}}\nb: {I4} = Cast(a) {{to: 1}}\n"
     "y: int64[1x2x3x3] = Cast(b) {to: 7}")),
)  # fmt: skip
def test_casts_that_lose_stay(body: str) -> None:
    untouched(merge_casts, body)


@cases(
    ("two", ("const s: int64[2] = [2, 9]\nconst t: int64[3] = [3, 3, 2]\na: float32[2x9] = Reshape(x, s)\n"
     "y: float32[3x3x2] = Reshape(a, t)"), "y: float32[3x3x2] = Reshape(x, y/shape)"),
    ("flatten and squeeze", "const t: int64[1] = [0]\na: float32[1x18] = Flatten(x)\ny: float32[18] = Squeeze(a, t)",
     "y: float32[18] = Reshape(x, y/shape)"),
    ("a chain", ("const s: int64[1] = [-1]\nconst t: int64[1] = [0]\na: float32[18] = Reshape(x, s)\n"
     f"b: float32[1x18] = Unsqueeze(a, t)\nconst u: int64[4] = [1, 2, 3, 3]\ny: {I4} = Reshape(b, u)"),
     f"y: {I4} = Reshape(x, y/shape)"),
)  # fmt: skip
def test_reshapes(before: str, after: str) -> None:
    expect(rewritten(merge_reshapes, before)[1], after)


@cases(
    ("merge", ("a: float32[1x3x3x2] = Transpose(x) {perm: [0, 2, 3, 1]}\n"
     "y: float32[3x1x3x2] = Transpose(a) {perm: [1, 0, 2, 3]}"),
     "y: float32[3x1x3x2] = Transpose(x) {perm: [2, 0, 3, 1]}"),
    ("cancel", (f"a: float32[1x3x3x2] = Transpose(x) {{perm: [0, 2, 3, 1]}}\n"
     f"y: {I4} = Transpose(a) {{perm: [0, 3, 1, 2]}}"),
     f"y: {I4} = Transpose(x) {{perm: [0, 1, 2, 3]}}"),
    ("without perm", (f"a: float32[3x3x2x1] = Transpose(x)\n"
     f"y: {I4} = Transpose(a)"), f"y: {I4} = Transpose(x) {{perm: [0, 1, 2, 3]}}"),
)  # fmt: skip
def test_transposes(before: str, after: str) -> None:
    expect(rewritten(merge_transposes, before)[1], after)


M = "x: float32[3x4]"


@cases(
    ("second factor", "const w: float32[5x4] = ...\na: float32[4x3] = Transpose(x)\ny: float32[5x3] = Gemm(w, a)",
     "y: float32[5x3] = Gemm(w, x) {transB: 1}"),
    ("second factor, back", "b: float32[4x3] = Transpose(x)\ny: float32[3x3] = Gemm(x, b) {transB: 0, alpha: 0.5}",
     "y: float32[3x3] = Gemm(x, x) {transB: 1, alpha: 0.5}"),
    ("first factor", ("const w: float32[4x5] = ...\na: float32[4x3] = Transpose(x)\n"
     "y: float32[3x5] = Gemm(a, w) {transA: 1}"),
     "y: float32[3x5] = Gemm(x, w) {transA: 0}"),
)  # fmt: skip
def test_transposes_into_flags(before: str, after: str) -> None:
    expect(rewritten(fold_transposes, before, M)[1], after)


@pytest.mark.parametrize("layer", [
    "Gemm(f, w) {transB: 1}", "Gemm(f, w, b) {transB: 1, alpha: 0.5}", "Gemm(f, v)", "MatMul(f, v)",
])  # fmt: skip
@pytest.mark.parametrize("flatten", ["Flatten(t)", "Reshape(t, s)"])
def test_transposes_into_weights(layer: str, flatten: str) -> None:
    before, after = rewritten(
        fold_transposes,
        f"""
        const w: float32[5x18] = ...
        const v: float32[18x5] = ...
        const b: float32[5] = ...
        const s: int64[2] = [1, -1]
        t: float32[1x3x3x2] = Transpose(x) {{perm: [0, 2, 3, 1]}}
        f: float32[1x18] = {flatten}
        y: float32[1x5] = {layer}""",
    )
    assert [node.op for node in after.nodes()] == [node.op for node in before.nodes() if node.op != "Transpose"]
    assert "f" not in after, "the name would stand for other numbers"


@refusals(
    ("another reader", """const w: float32[18x5] = ...\nt: float32[1x3x3x2] = Transpose(x) {perm: [0, 2, 3, 1]}
        f: float32[1x18] = Flatten(t)\na: float32[1x5] = MatMul(f, w)\nb: float32[1x1] = ReduceSum(f)
        y: float32[1x5] = Add(a, b)"""),
    ("the batch moves", """const w: float32[6x5] = ...\nt: float32[3x3x2x1] = Transpose(x)
        f: float32[3x6] = Flatten(t)\ny: float32[3x5] = MatMul(f, w)"""),
    ("weights are not constant", """t: float32[1x3x3x2] = Transpose(x) {perm: [0, 2, 3, 1]}
        f: float32[1x18] = Flatten(t)\ny: float32[1x1] = Gemm(f, f) {transB: 1}"""),
)  # fmt: skip
def test_transposes_that_stay(body: str) -> None:
    untouched(fold_transposes, body)


def test_a_flag_of_the_first_factor_is_not_set() -> None:
    untouched(
        fold_transposes, "const w: float32[3x5] = ...\na: float32[4x3] = Transpose(x)\ny: float32[4x5] = Gemm(a, w)", M
    )


# -------------------------------------------------------------------- identity

NOTHING = [
    "Identity(x)", "Dropout(x)", "Dropout(x, ratio, no)", "Add(x, zero)", "Add(zero, x)", "Sub(x, zero)", "Mul(one, x)",
    "Mul(x, ones)", "Div(x, one)", "Pow(x, one)", "Clip(x)", "Concat(x) {axis: 1}", "Sum(x)", "Max(x)",
    "Reshape(x, shape)",
    "Expand(x, shape)", "Tile(x, units)", "Cast(x) {to: 1}", "Transpose(x) {perm: [0, 1, 2, 3]}", "Pad(x, pads)",
    "Slice(x, start, end, axis)", "MaxPool(x) {kernel_shape: [1, 1]}", "Split(x) {num_outputs: 1}",
    "Where(yes, x, zero)", "Where(no, zero, x)", "Where(never, two, x)",
]  # fmt: skip
SOMETHING = [
    "Neg(x)", "Dropout(x, ratio, yes)", "Add(x, one)", "Sub(zero, x)", "Div(one, x)", "Mul(x, two)", "Clip(x, zero)",
    "Transpose(x) {perm: [0, 1, 3, 2]}", "Slice(x, last, back, axis, step)",
    "MaxPool(x) {kernel_shape: [3, 3], pads: [1, 1, 1, 1]}", "Where(no, x, zero)", "Where(mixed, x, zero)",
]  # fmt: skip
CONSTANTS = """
    const zero: float32[] = 0
    const one: float32[] = 1
    const ones: float32[3] = [1, 1, 1]
    const two: float32[3] = [1, 1, 2]
    const ratio: float32[] = 0.5
    const no: bool[] = 0
    const yes: bool[] = 1
    const never: bool[3x1] = [0, 0, 0]
    const mixed: bool[3] = [1, 0, 1]
    const shape: int64[4] = [1, 2, 3, 3]
    const units: int64[4] = [1, 1, 1, 1]
    const pads: int64[8] = [0, 0, 0, 0, 0, 0, 0, 0]
    const start: int64[1] = [0]
    const end: int64[1] = [99]
    const axis: int64[1] = [3]
    const last: int64[1] = [-1]
    const back: int64[1] = [-99]
    const step: int64[1] = [-1]
"""


@pytest.mark.parametrize("call", NOTHING)
def test_identities(call: str) -> None:
    expect(rewritten(remove_identities, f"{CONSTANTS}a: {I4} = {call}\ny: {I4} = Relu(a)")[1], f"y: {I4} = Relu(x)")


@pytest.mark.parametrize("call", SOMETHING)
def test_no_identities(call: str) -> None:
    untouched(remove_identities, f"{CONSTANTS}a: {I4} = {call}\ny: {I4} = Relu(a)")


@refusals(
    ("between input and output", f"y: {I4} = Identity(x)"),
    ("a constant output", "const c: float32[2] = [1, 2]\ny: float32[2] = Identity(c)"),
    ("broadcasts", ("const c: float32[2x1x1x1x1] = [1, 1]\na: float32[2x1x2x3x3] = Mul(x, c)\n"
     "y: float32[2x1x2x3x3] = Relu(a)")),
    ("a choice that broadcasts", ("const c: bool[2x1x1x1x1] = [1, 1]\na: float32[2x1x2x3x3] = Where(c, x, x)\n"
     "y: float32[2x1x2x3x3] = Relu(a)")),
    ("the mask is read", f"a: {I4}, m: bool[1x2x3x3] = Dropout(x)\nb: {I4} = Cast(m) {{to: 1}}\ny: {I4} = Add(a, b)"),
    ("the branch yields it", f"""const zero: float32[] = 0\nr: float32[] = ReduceMax(x) {{keepdims: 0}}
        c: bool[] = Greater(r, zero)\ny: {I4} = If(c) {{
        then_branch: graph t() -> t {{ t: {I4} = Identity(x) }},
        else_branch: graph e() -> e {{ e: {I4} = Neg(x) }}}}"""),
    ("the layout changes", f"a: {I4} stored [0, 2, 3, 1] = Identity(x)\ny: {I4} = Relu(a)"),
)  # fmt: skip
def test_identities_that_stay(body: str) -> None:
    untouched(remove_identities, body)


def test_one_of_two_outputs_keeps_its_identity() -> None:
    untouched(remove_identities, f"y: {I4} = Relu(x)\nz: {I4} = Identity(y)", outputs="y, z")


def test_an_output_keeps_its_name() -> None:
    expect(rewritten(remove_identities, f"a: {I4} = Relu(x)\ny: {I4} = Identity(a)")[1], f"y: {I4} = Relu(x)")


def test_chains_of_identities_go_at_once() -> None:
    body = f"a: {I4} = Identity(x)\nb: {I4} = Identity(a)\nc: {I4} = Dropout(b)\ny: {I4} = Relu(c)"
    expect(rewritten(remove_identities, body)[1], f"y: {I4} = Relu(x)")


# ------------------------------------------------------------------ duplicates


@cases(
    ("nodes", f"a: {I4} = Relu(x)\nb: {I4} = Relu(x)\ny: {I4} = Add(a, b)", f"a: {I4} = Relu(x)\ny: {I4} = Add(a, a)"),
    ("chains", f"a: {I4} = Relu(x)\nb: {I4} = Relu(x)\nc: {I4} = Neg(a)\nd: {I4} = Neg(b)\ny: {I4} = Add(c, d)",
     f"a: {I4} = Relu(x)\nc: {I4} = Neg(a)\ny: {I4} = Add(c, c)"),
    ("constants", (f"const c: float32[2x1x1] = [1, 2]\nconst d: float32[2x1x1] = [1, 2]\na: {I4} = Add(x, c)\n"
     f"b: {I4} = Mul(x, d)\ny: {I4} = Add(a, b)"), f"a: {I4} = Add(x, c)\nb: {I4} = Mul(x, c)\ny: {I4} = Add(a, b)"),
)  # fmt: skip
def test_duplicates(before: str, after: str) -> None:
    expect(rewritten(merge_duplicates, before)[1], after)


@refusals(
    ("other attributes", f"a: {I4} = Elu(x) {{alpha: 1.0}}\nb: {I4} = Elu(x) {{alpha: 2.0}}\ny: {I4} = Add(a, b)"),
    ("other order", f"a: {I4} = Relu(x)\nb: {I4} = Sub(a, x)\nc: {I4} = Sub(x, a)\ny: {I4} = Add(b, c)"),
    ("random", f"a: {I4} = RandomUniformLike(x)\nb: {I4} = RandomUniformLike(x)\ny: {I4} = Add(a, b)"),
    ("types of constants", ("const c: int32[1] = [1]\nconst d: int64[1] = [1]\na: int64[1] = Cast(c) {to: 7}\n"
     "y: int64[1] = Add(a, d)")),
)  # fmt: skip
def test_no_duplicates(body: str) -> None:
    untouched(merge_duplicates, body)


def test_outputs_are_no_duplicates() -> None:
    untouched(merge_duplicates, f"y: {I4} = Relu(x)\nz: {I4} = Relu(x)", outputs="y, z")
