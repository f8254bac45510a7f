"""What is Core ML's own about the Core ML backend: names, types, targets, the package, the import of coremltools."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netglot.backends.coreml import save
from netglot.coreml_import import proto
from netglot.errors import ConversionError, UnsupportedError
from netglot.frontends.coreml import load
from netglot.ir.builder import Builder
from netglot.ir.graph import Graph
from netglot.runtimes.coreml import CoreMLRuntime
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests.targets import evaluate_coreml


def read_spec(package: Path) -> Any:
    model = proto("Model_pb2").Model()
    model.ParseFromString((package / "Data/com.apple.CoreML/model.mlmodel").read_bytes())
    return model


def one_input(dtype: str = "float32", shape: tuple[int, ...] = (2, 3), name: str = "x") -> Builder:
    g = Builder(Graph("net"))
    g.graph.add_input(name, np.dtype(dtype), shape)
    return g


def written(g: Builder, *outputs: Any, folder: Path, **options: Any) -> Path:
    g.graph.outputs = list(outputs)
    save(g.graph, folder / "net.mlpackage", **options)
    return folder / "net.mlpackage"


def round_trip(g: Builder, *outputs: Any, folder: Path) -> None:
    """Written and read back, the graph has the same interface and computes the same; so says the evaluator too."""
    rng = np.random.default_rng(0)
    inputs = {v.name: rng.integers(0, 2, v.sizes).astype(v.dtype or "float32") for v in g.graph.inputs}
    path = written(g, *outputs, folder=folder)
    source, back = OnnxRuntime(g.graph), OnnxRuntime(load(path))
    assert (back.inputs, back.outputs) == (source.inputs, source.outputs)
    expected, actual, evaluated = source.run(inputs), back.run(inputs), evaluate_coreml(path, inputs)
    for name, wanted in expected.items():
        np.testing.assert_array_equal(actual[name], wanted)
        np.testing.assert_array_equal(evaluated[name], wanted)
        assert evaluated[name].dtype == wanted.dtype


# --------------------------------------------------------- names and interface


def test_names_that_are_no_identifiers_come_back(tmp_path: Path) -> None:
    g = one_input(name="image/in:0")
    y = g.Relu(g.graph.inputs[0])
    g.graph.rename(y, "1 ünd 2")
    z = g.Neg(y)
    g.graph.rename(z, "image_in_0")  # what the input's name becomes
    round_trip(g, y, z, folder=tmp_path)
    spec = read_spec(tmp_path / "net.mlpackage")
    names = [item.name for item in (*spec.description.input, *spec.description.output)]
    assert len(set(names)) == 3
    assert all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_@]*", name) for name in names)


@pytest.mark.parametrize("dtype", ["float32", "float16", "int32", "int64", "bool"])
@pytest.mark.parametrize("shape", [(), (2, 3)])
def test_types_and_scalars_come_back(dtype: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    g = one_input(dtype, shape)
    x = g.graph.inputs[0]
    y = g.Not(g.Not(x)) if dtype == "bool" else g.Mul(x, x)
    g.graph.rename(y, "y")
    round_trip(g, y, folder=tmp_path)


def test_an_output_may_be_a_constant_or_come_twice(tmp_path: Path) -> None:
    g = one_input()
    y, twice = g.Relu(g.graph.inputs[0]), g.constant(np.ones((2, 3), np.float32), name="ones")
    z = g.Identity(y)
    g.graph.rename(z, "z")
    round_trip(g, y, z, twice, folder=tmp_path)


def test_an_input_that_nothing_reads_stays(tmp_path: Path) -> None:
    g = one_input()
    unused = g.graph.add_input("unused", np.dtype(np.float32), (4,))
    round_trip(g, g.Relu(g.graph.inputs[0]), folder=tmp_path)
    assert unused.name in [item.name for item in read_spec(tmp_path / "net.mlpackage").description.input]


def test_inner_values_keep_their_names(tmp_path: Path) -> None:
    g = one_input()
    inner = g.Relu(g.graph.inputs[0])
    g.graph.rename(inner, "inner")
    assert "inner" in load(written(g, g.Neg(inner), folder=tmp_path))


# ------------------------------------------------------------------- refusals


def test_refusals_are_listed_all_at_once(tmp_path: Path) -> None:
    g = one_input(shape=(1, 3, 8, 8))
    x = g.graph.inputs[0]
    a, where = g.MaxPool(x, kernel_shape=(2, 2), storage_order=1, outputs=2)
    b = g.LRN(x, size=4)
    after = g.Relu(a)  # nothing is known of what it reads
    with pytest.raises(UnsupportedError) as refused:
        written(g, after, where, b, folder=tmp_path)
    assert [word in str(refused.value) for word in ("columns first", "LRN")] == [True, True]
    assert not (tmp_path / "net.mlpackage").exists()


@pytest.mark.parametrize(
    ("dtype", "shape", "reason"),
    [("float64", (2,), "float64"), ("float32", (1,) * 6, "6 axes"), ("float32", ("n", 3), "--input")],
)
def test_what_core_ml_has_not_is_refused(dtype: str, shape: Any, reason: str, tmp_path: Path) -> None:
    g = one_input(dtype, shape)
    with pytest.raises(UnsupportedError, match=reason):
        written(g, g.Neg(g.graph.inputs[0]), folder=tmp_path)


def test_a_constant_beyond_32_bits_is_refused(tmp_path: Path) -> None:
    g = one_input("int64")
    with pytest.raises(UnsupportedError, match="32 bits"):
        written(g, g.Add(g.graph.inputs[0], np.array([2**40])), folder=tmp_path)


def test_an_unknown_quantisation_is_refused(tmp_path: Path) -> None:
    g = one_input()
    with pytest.raises(ConversionError, match="int8"):
        written(g, g.Relu(g.graph.inputs[0]), folder=tmp_path, quantize="int8")


@pytest.mark.skipif(sys.platform == "darwin", reason="Core ML runs here")
def test_the_runtime_says_where_it_runs(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="macOS only"):
        CoreMLRuntime(tmp_path / "net.mlpackage")


# -------------------------------------------------------------------- the file


def convolution() -> tuple[Builder, Any]:
    """Two convolutions that share their weights."""
    g = one_input(shape=(1, 8, 6, 7))
    weight = g.constant(np.random.default_rng(0).normal(size=(8, 8, 3, 3)).astype(np.float32), name="w")
    x = g.Conv(g.graph.inputs[0], weight, pads=(1, 1, 1, 1))
    return g, g.Softmax(g.Conv(g.Relu(x), weight), axis=1)


def test_shared_weights_are_stored_once(tmp_path: Path) -> None:
    g, y = convolution()
    weights = written(g, y, folder=tmp_path) / "Data/com.apple.CoreML/weights/weight.bin"
    assert 8 * 8 * 9 * 4 < weights.stat().st_size < 8 * 8 * 9 * 5


def test_equal_graphs_give_equal_files(tmp_path: Path) -> None:
    contents = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        g, y = convolution()
        path = written(g, y, folder=tmp_path / name)
        contents.append({str(f.relative_to(path)): f.read_bytes() for f in path.rglob("*") if f.is_file()})
    assert contents[0] == contents[1]
    assert len(contents[0]) == 3


def test_the_oldest_target_that_has_everything(tmp_path: Path) -> None:
    g, y = convolution()
    assert read_spec(written(g, y, folder=tmp_path)).specificationVersion == 6  # iOS 15
    half = one_input("float16")
    (tmp_path / "half").mkdir()
    path = written(half, half.Relu(half.graph.inputs[0]), folder=tmp_path / "half")
    assert read_spec(path).specificationVersion == 7  # iOS 16: the first with float16 inputs


def test_fp16_has_half_the_weights_and_the_same_interface(tmp_path: Path) -> None:
    g, y = convolution()
    x = {"x": np.random.default_rng(1).normal(size=(1, 8, 6, 7)).astype(np.float32)}
    path = written(g, y, folder=tmp_path, quantize="fp16")
    graph = load(path)
    kinds = {str(v.dtype) for v in graph.constants() if v.array.size > 10}
    assert kinds == {"float16"}
    assert (graph.inputs[0].dtype, graph.outputs[0].dtype) == (np.float32, np.float32)
    assert (path / "Data/com.apple.CoreML/weights/weight.bin").stat().st_size < 8 * 8 * 9 * 3
    wanted, actual = OnnxRuntime(g.graph).run(x)[y.name], OnnxRuntime(graph).run(x)[y.name]
    assert 0 < np.abs(actual - wanted).max() < 5e-3
    np.testing.assert_allclose(evaluate_coreml(path, x)[y.name], actual, atol=5e-3)


# ------------------------------------------------------------------ the import

_IMPORT = """
import sys
{before}
import numpy as np
from pathlib import Path
from netglot.backends.coreml import save
from netglot.ir.builder import Builder
from netglot.ir.graph import Graph
g = Builder(Graph())
g.graph.outputs = [g.Relu(g.graph.add_input("x", np.dtype("float32"), (2, 3)))]
save(g.graph, Path(sys.argv[1]))
loaded = [name for name in ("torch", "tensorflow", "sklearn", "xgboost", "scipy") if name in sys.modules]
assert loaded == {loaded}, loaded
import torch
{after}
print(torch.ones(2).sum().item())
"""


@pytest.mark.parametrize(
    ("before", "loaded", "after"), [("", "[]", ""), ("import torch as old", '["torch"]', "assert torch is old")]
)
def test_coremltools_brings_nothing_along_and_says_nothing(
    before: str, loaded: str, after: str, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    script = _IMPORT.format(before=before, loaded=loaded, after=after)
    command = [sys.executable, "-c", script, str(tmp_path / "net.mlpackage")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "2.0\n", "")
