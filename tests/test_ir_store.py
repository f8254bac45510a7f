"""Saving and loading a graph as a folder."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given

from netglot.errors import ConversionError, Origin
from netglot.ir.builder import Builder
from netglot.ir.graph import Graph
from netglot.ir.store import load, save
from netglot.ir.text import parse
from tests.graphs import differences, graphs


def again(graph: Graph) -> Graph:
    with tempfile.TemporaryDirectory() as folder:
        save(graph, Path(folder))
        return load(Path(folder))


@given(graphs())
def test_round_trip(graph: Graph) -> None:
    assert not list(differences(graph, again(graph)))


DTYPES = ["float16", "float32", "float64", "int8", "uint8", "int16", "int64", "uint64", "bool", "bfloat16",
          "float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu", "int4", "uint4"]  # fmt: skip


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("shape", [(2, 3), (), (0, 4), (1,)])
def test_every_type(name: str, shape: tuple[int, ...]) -> None:
    g = Builder()
    g.constant(np.ones(shape).astype(getattr(ml_dtypes, name, name)), name="a/b \n")
    assert not list(differences(g.graph, again(g.graph)))


@pytest.mark.parametrize("text", [
    'graph g() -> {\n const s: string[2x1] = ["a", "é\\n"]\n const t: string[] = "x"\n}',
    "graph g() -> {\n const a: float32[3x2] = 0.5\n const b: float32[2] = [nan, -inf]\n}",
    'graph g(x: float32["n"x?x3] stored [0, 2, 1], r: float32, t: ?) -> x {\n}',
    "graph g() -> y {\n y: int64[1] = Constant() {value: tensor int64[1] [5]}  # a.prototxt:3 l\n}",
    "graph g(x: float32[2]) -> y {\n y: float32[2] = Elu(x) {alpha: inf} @ n\n}",
    "graph g(x: float32[2]) -> y {\n y: float32[2] = Softmax(x) {axis: -1}\n}",
])  # fmt: skip
def test_odd_graphs(text: str) -> None:
    graph = parse(text)
    assert not list(differences(graph, again(graph)))


def test_warnings_are_kept() -> None:
    g = Builder(Graph("g"))
    with g.at(Origin("f", "l", 3)):
        g.warn("what", "hint")
    assert again(g.graph).warnings == g.graph.warnings


def test_names_of_weights_may_clash() -> None:
    text = """graph g(x: float32[2], c: bool[]) -> y {
        const __metadata__: float32[2] = [1, 2]
        const w: float32[2] = [3, 4]
        z: float32[2] = Add(x, w)
        y: float32[2] = If(c) {
            then_branch: graph t() -> t { const v: float32[2] = [5, 6]
                t: float32[2] = Mul(z, v) },
            else_branch: graph e() -> e { const v: float32[2] = [7, 8]
                e: float32[2] = Mul(z, v) }}
    }"""
    assert not list(differences(parse(text), again(parse(text))))


def test_weights_are_memory_mapped(tmp_path: Path) -> None:
    g = Builder()
    g.constant(np.ones((100, 100), np.float32), name="w")
    save(g.graph, tmp_path)
    base: Any = load(tmp_path)["w"].array
    while base.base is not None and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap)


# --------------------------------------------------------------------- bad input


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    graph = parse("""graph g(x: float32[2]) -> y {
        const w: float32[2] = [1, 2]
        const h: float16[2] = [1, 2]
        y: float32[2] = Add(x, w) {}
    }""")
    save(graph, tmp_path)
    return tmp_path


Edit = Callable[[dict[str, Any]], None]


def _set(*path: Any, to: Any) -> Edit:
    def edit(document: Any) -> None:
        for key in path[:-1]:
            document = document[key]
        document[path[-1]] = to

    return edit


VALUES, NODES = ("graph", "values"), ("graph", "nodes")
BAD: list[tuple[Edit, str]] = [
    (_set("version", to=99), "version 99"),
    (_set("opset", to=7), "opset 7"),
    (_set("format", to="other"), "format 'other'"),
    (_set("graph", to=None), "damaged"),
    (_set("graph", to=[]), "damaged"),
    (_set(*VALUES, 1, "data", to="nope"), "lacks the tensor 'nope' of 'w'"),
    (_set(*VALUES, 1, "data", to=["w"]), "damaged"),
    (_set(*VALUES, 1, "data", to={"strings": ["a", "b"]}), "."),
    (_set(*VALUES, 1, "shape", to=[3]), "has the shape 2 in weights.safetensors, expected 3"),
    (_set(*VALUES, 1, "shape", to=[10**12]), "expected 1000000000000"),
    (_set(*VALUES, 1, "shape", to=[-2]), "damaged"),
    (_set(*VALUES, 1, "shape", to=[True, 2]), "damaged"),
    (_set(*VALUES, 1, "shape", to=None), "no known shape"),
    (_set(*VALUES, 1, "dtype", to="float64"), "expected float64"),
    (_set(*VALUES, 1, "dtype", to="finfo"), "damaged"),
    (_set(*VALUES, 1, "dtype", to="int4"), "expected int4"),
    (_set(*VALUES, 1, "dtype", to="string"), "expected object"),
    (_set(*VALUES, 1, "name", to="x"), "'x' is defined twice"),
    (_set(*VALUES, 1, "layout", to=[1, 0]), "no permutation"),
    (_set(*NODES, 0, "op", to="NoSuch"), "no operator 'NoSuch'"),
    (_set(*NODES, 0, "inputs", to=["x", "z"]), "'z' is used but not defined"),
    (_set(*NODES, 0, "inputs", to=["y", "y"]), "has a cycle"),
    (_set(*NODES, 0, "outputs", to=["w"]), "more than one source"),
    (_set(*NODES, 0, "attributes", "a", to=None), "damaged"),
    (_set(*NODES, 0, "attributes", "a", to={"bytes": 3}), "damaged"),
    (_set(*NODES, 0, "attributes", "a", to={"code": "x"}), "damaged"),
    (_set(*NODES, 0, "origin", to=["f", "l", "3"]), "damaged"),
    (_set("graph", "outputs", to=[["y"]]), "damaged"),
    (_set("graph", "warnings", to=["no"]), "damaged"),
]


@pytest.mark.parametrize(("edit", "what"), BAD)
def test_bad_documents(folder: Path, edit: Edit, what: str) -> None:
    path = folder / "graph.json"
    document = json.loads(path.read_text())
    edit(document)
    path.write_text(json.dumps(document))
    with pytest.raises(ConversionError, match=what) as error:
        load(folder)
    assert "graph.json" in error.value.problems[0].origin.file


@pytest.mark.parametrize("name", ["graph.json", "weights.safetensors"])
@pytest.mark.parametrize("content", [None, b"", b"{", b"\xff" * 9, b"[" * 100_000], ids=lambda item: repr(item)[:9])
def test_bad_files(folder: Path, name: str, content: bytes | None) -> None:
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(ConversionError, match=name):
        load(folder)


def test_truncated_weights(folder: Path) -> None:
    path = folder / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ConversionError, match=r"weights\.safetensors"):
        load(folder)
