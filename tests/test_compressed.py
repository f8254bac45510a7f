"""Weights stored as a palette or without their zeros: the reference, its ONNX expansion, and the pass that ends it."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from netglot.errors import ConversionError
from netglot.ir.builder import Builder
from netglot.ir.extension import OPERATORS
from netglot.ir.extension.compressed import palette_of, sparse_of
from netglot.ir.graph import Graph, Value
from netglot.passes.decompress import decompress
from netglot.passes.pipeline import COMMON, run
from netglot.runtimes.onnxruntime import OnnxRuntime

RNG = np.random.default_rng(6)


def weights(*shape: int, share: float = 0.3, values: int = 16) -> np.ndarray:
    """Few values, most of them zero."""
    entries = RNG.normal(size=values).astype(np.float32)
    return np.where(RNG.random(shape) < share, RNG.choice(entries, shape), 0).astype(np.float32)


def stored(g: Builder, w: np.ndarray, op: str) -> Value:
    if op == "Sparse":
        return g.extension(op, sparse_of(w), shape=w.shape)
    parts = palette_of(w)
    assert parts is not None
    return g.extension(op, parts)


def computed(graph: Graph, **inputs: np.ndarray) -> np.ndarray:
    [result] = OnnxRuntime(graph).run(inputs).values()
    return result


@pytest.mark.parametrize("op", ["Palette", "Sparse"])
@pytest.mark.parametrize("shape", [(), (1,), (7,), (8,), (3, 5), (16, 4, 3, 3), (0, 3)], ids=str)
def test_reference_and_expansion(op: str, shape: tuple[int, ...]) -> None:
    """Both give the tensor back, to the bit; a last byte of the mask is cut short."""
    if op == "Palette" and 0 in shape:
        assert palette_of(np.zeros(shape, np.float32)) is None
        return
    w = weights(*shape)
    g = Builder(Graph("g"))
    y = stored(g, w, op)
    g.graph.outputs = [y]
    g.graph.check()
    assert (y.dtype, y.shape) == (w.dtype, w.shape)
    node = g.graph.producer(y)
    assert node is not None
    reference = OPERATORS[op].run(*(value.array for value in node.inputs if value), **node.attributes)
    for found in (reference, computed(g.graph)):
        assert (found.dtype, found.shape, found.tobytes()) == (w.dtype, w.shape, w.tobytes())


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_nothing_and_everything_is_zero(share: float) -> None:
    w = weights(5, 9, share=share)
    g = Builder(Graph("g"))
    g.graph.outputs = [stored(g, w, "Sparse")]
    np.testing.assert_array_equal(computed(g.graph), w)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_every_bit_comes_back(dtype: str) -> None:
    """-0 is not 0, and a NaN is the same NaN."""
    bits = np.array([0, 1, -1, 2, 0x7FC1 << 16, 0xFFC0 << 16, 1 << 31, 1 << 15, 0], np.int64).astype(np.uint32)
    w = np.tile(bits.view(dtype), 3)
    parts = palette_of(w)
    assert parts is not None
    for found in (OPERATORS["Palette"].run(*parts), OPERATORS["Sparse"].run(*sparse_of(w), shape=w.shape)):
        assert found.tobytes() == w.tobytes()


def test_more_values_than_a_codebook_holds() -> None:
    early, late = np.arange(257, dtype=np.float32), np.zeros(40_000, np.float32)
    late[-256:] = np.arange(1, 257)
    for w in (early, late):
        assert palette_of(w) is None
        assert palette_of(w[:-1]) is not None


def test_weights_in_a_network_stay_as_they_are_stored() -> None:
    """The common passes do not fold them; decompress() does, and the network computes the same."""
    g = Builder(Graph("g"))
    x = g.graph.add_input("x", np.dtype(np.float32), (2, 5))
    table, w = weights(5, 6, values=8), weights(6, 4, share=0.2)
    g.graph.outputs = [g.MatMul(g.MatMul(x, stored(g, table, "Palette")), stored(g, w, "Sparse"))]
    sample = RNG.normal(size=(2, 5)).astype(np.float32)
    run(g.graph, COMMON, check=True)
    assert {node.op for node in g.graph.nodes()} == {"MatMul", "Palette", "Sparse"}
    before = computed(g.graph, x=sample)
    assert decompress(g.graph, "Palette")
    assert [node.op for node in g.graph.nodes() if node.op != "MatMul"] == ["Sparse"]
    assert decompress(g.graph)
    assert not decompress(g.graph)
    g.graph.check()
    assert sorted(value.array.tobytes() for value in g.graph.constants()) == sorted([table.tobytes(), w.tobytes()])
    np.testing.assert_array_equal(computed(g.graph, x=sample), before)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int4"])
@pytest.mark.parametrize("per", ["tensor", "channel", "block"])
def test_quantised_constants_become_dense(dtype: str, per: str) -> None:
    """What ONNX Runtime computes of them, to the bit; what is computed keeps its DequantizeLinear."""
    kind = np.dtype(ml_dtypes.int4) if dtype == "int4" else np.dtype(dtype)
    shape = {"tensor": (), "channel": (6,), "block": (2, 6)}[per]
    scale = RNG.uniform(0.01, 0.1, shape).astype(np.float32)
    q = RNG.integers(*((0, 200) if dtype == "uint8" else (-7, 7)), (8, 6)).astype(kind)
    options = {"tensor": {}, "channel": {"axis": 1}, "block": {"axis": 0, "block_size": 4}}[per]
    g = Builder(Graph("g"))
    x = g.graph.add_input("x", np.dtype(np.uint8), (3, 8))
    w = g.DequantizeLinear(q, scale, np.full(shape, 3, kind), **options)
    g.graph.outputs = [g.MatMul(g.DequantizeLinear(x, np.array(0.5, np.float32), np.array(0, np.uint8)), w)]
    eye = np.zeros((3, 8), np.uint8)
    eye[np.arange(3), [0, 3, 7]] = 2
    before = computed(g.graph, x=eye)
    assert not decompress(g.graph)
    assert decompress(g.graph, "DequantizeLinear")
    g.graph.check()
    assert [node.op for node in g.graph.nodes()] == ["DequantizeLinear", "MatMul"]
    np.testing.assert_array_equal(computed(g.graph, x=eye), before)


def test_an_output_keeps_its_name() -> None:
    g = Builder(Graph("g"))
    w = weights(4, 4)
    y = stored(g, w, "Sparse")
    g.graph.rename(y, "y")
    g.graph.outputs = [y]
    assert decompress(g.graph)
    g.graph.check()
    assert [value.name for value in g.graph.outputs] == ["y"]
    np.testing.assert_array_equal(computed(g.graph), w)


def test_bodies_are_decompressed_too() -> None:
    g, inner = Builder(Graph("g")), Builder(Graph("then"))
    w = weights(4, 4)
    inner.graph.outputs = [inner.Neg(stored(inner, w, "Sparse"))]
    other = Builder(Graph("else"))
    other.graph.outputs = [other.Neg(w)]
    condition = g.graph.add_input("c", np.dtype(bool), ())
    g.graph.outputs = [g.If(condition, then_branch=inner.graph, else_branch=other.graph)]
    assert decompress(g.graph)
    g.graph.check()
    assert [node.op for node in inner.graph.nodes()] == ["Neg"]
    np.testing.assert_array_equal(computed(g.graph, c=np.array(True)), -w)


def sparse(mask: list[int], values: int, *shape: int) -> Value:
    given = np.array(mask, np.uint8), np.zeros(values, np.float32)
    return Builder(Graph("g")).extension("Sparse", given, shape=shape)


def palette(indices: np.ndarray, entries: int) -> Value:
    return Builder(Graph("g")).extension("Palette", (indices, np.zeros(entries, np.float32)))


def test_parts_that_do_not_agree() -> None:
    """A file may claim anything: sizes are compared before memory is asked for."""
    byte = np.array([0, 3], np.uint8)
    with pytest.raises(ConversionError, match="index 3, and its codebook only 3"):
        palette(byte, 3)
    with pytest.raises(ConversionError, match="codebook of 1 to 256 values"):
        palette(byte, 257)
    with pytest.raises(ConversionError, match="indices of uint8"):
        palette(byte.astype(np.int8), 4)
    with pytest.raises(ConversionError, match=r"takes a mask uint8\[125000000000\]"):
        sparse([1], 1, 10**6, 10**6)
    with pytest.raises(ConversionError, match="takes a mask"):
        sparse([1], 1, -8, -1)
    with pytest.raises(ConversionError, match="2 bits set"):
        sparse([5], 3, 8)
    with pytest.raises(ConversionError, match="1 bits set"):
        sparse([128], 1, 7)
    g = Builder(Graph("g"))
    x = g.graph.add_input("x", np.dtype(np.uint8), (4,))
    with pytest.raises(ConversionError, match="constants only"):
        g.extension("Palette", [x, np.zeros(4, np.float32)])
