"""The text form prints and parses back to an equal graph."""

from __future__ import annotations

import zlib

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netglot.errors import ConversionError, Origin
from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Node
from netglot.ir.text import parse, to_text
from tests.graphs import differences, graphs

LENET = """\
graph lenet(data: float32[1x1x28x28]) -> prob {
  const w: float32[20x1x5x5] = ... 00000000
  conv1: float32[1x20x24x24] = Conv(data, w) {strides: [1, 1]}  # net.prototxt:7 conv1
  const b: float32[2] = [0.1, -2.5e-07]
  clipped: float32[1x20x24x24] stored [0, 2, 3, 1] = Clip(conv1, _, b)
  prob: float32[1x20x24x24] = Softmax(clipped) @ last
}
"""


def test_reads_what_it_says() -> None:
    graph = parse(LENET)
    conv, clip, softmax = graph.nodes()
    assert conv.attributes == {"strides": (1, 1)}
    assert conv.origin == Origin("net.prototxt", "conv1", 7)
    assert clip.inputs == (graph["conv1"], None, graph["b"])
    assert graph["clipped"].layout == (0, 2, 3, 1)
    assert softmax.name == "last"
    assert graph["b"].array.tolist() == [np.float32(0.1), np.float32(-2.5e-07)]
    assert graph.outputs == [graph["prob"]]


def test_prints_what_it_read() -> None:
    fill = np.arange(500, dtype=np.float32).reshape(20, 1, 5, 5)
    text = to_text(parse(LENET, lambda name, dtype, shape: fill))
    assert text == LENET.replace("00000000", f"{zlib.crc32(fill.tobytes()):08x}")


def test_missing_data_is_zeros_and_said() -> None:
    graph = parse(LENET)
    assert graph["w"].shape == graph["w"].array.shape == (20, 1, 5, 5)
    assert not graph["w"].array.any()
    assert [str(warning) for warning in graph.warnings] == ["the data of 'w' is not in the text; zeros stand for it"]


def test_the_hash_tells_weights_apart() -> None:
    texts = {to_text(parse(LENET, lambda *_, seed=seed: np.full((20, 1, 5, 5), seed, np.float32))) for seed in range(3)}
    assert len(texts) == 3


@given(graphs())
def test_round_trip(graph: Graph) -> None:
    text = to_text(graph, limit=10**6)
    again = parse(text)
    again.check()
    assert not list(differences(graph, again))
    assert to_text(again, limit=10**6) == text


NAMES = st.text(max_size=12)
SCALARS = st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | NAMES | st.binary(max_size=5)


ATTRIBUTES = st.dictionaries(NAMES.filter(bool), SCALARS | st.lists(SCALARS, max_size=3).map(tuple), max_size=3)


@given(NAMES, NAMES, ATTRIBUTES)
def test_any_names_and_attributes(a: str, b: str, attributes: dict[str, object]) -> None:
    graph = Graph(a)
    x = graph.add_input(a, np.dtype(np.float16), (None, 'n"x', 3))
    y, z = graph.add_value(b), graph.add_value(b, np.dtype(np.int8), ())
    graph.add_node(Node("Op", [x, None, x], [y, z], attributes, domain="some.domain", name=b, origin=Origin(a, b, 3)))
    graph.outputs = [z, x]
    assert not list(differences(graph, parse(to_text(graph))))


DTYPES = [np.float16, np.float32, np.float64, np.int8, np.uint64, np.int64, np.bool_, ml_dtypes.bfloat16,
          ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2, ml_dtypes.int4, ml_dtypes.uint4]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.binary(min_size=16, max_size=16))
def test_every_bit_of_constants(dtype: type, data: bytes) -> None:
    bits = np.frombuffer(data, np.uint8)
    if dtype in (np.bool_, ml_dtypes.uint4, ml_dtypes.int4):
        array = (bits % 2).astype(dtype).reshape(2, 8)
    else:
        array = bits.view(dtype).reshape(2, -1)
    with np.errstate(invalid="ignore"):
        array = np.where(array != array, np.zeros_like(array), array)  # the bits of a NaN are not kept
    g = Builder()
    g.constant(array, name="c")
    back = parse(to_text(g.graph))["c"].array
    assert back.dtype == array.dtype
    assert back.tobytes() == array.tobytes()


@pytest.mark.parametrize("array", [
    np.array([np.nan, np.inf, -np.inf, -0.0], np.float32), np.zeros((0, 3), np.int64), np.array(["a\n", "é"], object),
    np.float32(2), np.broadcast_to(np.float32(0.5), (100, 100)),
])  # fmt: skip
def test_odd_constants(array: np.ndarray) -> None:
    g = Builder()
    g.constant(array, name="c")
    assert not list(differences(g.graph, parse(to_text(g.graph))))


def test_tensor_attributes_and_domains() -> None:
    text = """\
graph g() -> y {
  y: int64[2] = ai.onnx.ml.Constant() {value: tensor int64[2] [3, -4], alpha: 1.0, empty: []}
}
"""
    assert to_text(parse(text)) == text


NESTED = """\
graph g(x: float32[2], c: bool[]) -> y {
  y: float32[2] = If(c) {then_branch: graph a() -> x {
  }, else_branch: graph b() -> z {
    z: float32[2] = Neg(x)
  }}
}
"""


def test_nested_graphs() -> None:
    graph = parse(NESTED)
    graph.check()
    assert to_text(graph) == NESTED
    then, other = graph.nodes()[0].subgraphs()
    assert then.outputs == [graph["x"]]
    assert other.nodes()[0].inputs == (graph["x"],)


@pytest.mark.parametrize(("text", "line", "what"), [
    ("graph g() -> {\n y: float32[1] = Relu(x)\n}", 2, "'x' is not defined"),
    ("graph g(x: finfo[1]) -> {\n}", 1, "no element type"),
    ("graph g(x: float99[1]) -> {\n}", 1, "no element type 'float99'"),
    ("graph g(x: float32[1]) -> x {\n const x: float32[] = 1\n}", 2, "'x' is defined twice"),
    ("graph g() -> {\n const c: float32[2] = [1, 2, 3]\n}", 2, "does not fit"),
    ("graph g() -> {\n const c: int8[1] = [1.5]\n}", 2, "does not fit"),
    ("graph g() -> {\n const c: int8[1] = [300]\n}", 2, "does not fit"),
    ("graph g() -> {\n const c: float32 = 1\n}", 2, "a known shape"),
    ("graph g() -> {\n const c: float32[2] = \n  [[1], [2, 3]]\n}", 3, "does not fit"),
    ("graph g() -> y {\n}", 2, "'y' is not defined"),
    ("graph g() -> {\n\n y: float32[1] Relu()\n}", 3, "expected ',' or '='"),
    ("graph g() -> {\n y: float32[1] = Relu(\n}", 3, "expected an argument, found '}'"),
    ("graph g() -> {\n y: float32[1] = Relu(y)\n}", 2, "computed from itself"),
    ("graph g() -> {", 1, "expected a name"),
    ("graph g() -> {\n}\nmore", 3, "expected the end"),
    ('graph "\\x" () -> {\n}', 1, "bad string"),
    ("graph g() -> {\n y: ? = Op() {a: 1.2.3}\n}", 2, "not a number"),
])  # fmt: skip
def test_errors_name_the_line(text: str, line: int, what: str) -> None:
    with pytest.raises(ConversionError, match=what) as error:
        parse(text)
    assert error.value.problems[0].origin.line == line


def test_deep_nesting_is_an_error_not_a_crash() -> None:
    with pytest.raises(ConversionError, match="nested too deeply"):
        parse("graph g() -> {\n const c: float32[1] = " + "[" * 100_000)
