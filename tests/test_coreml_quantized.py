"""Quantised and compressed networks in Core ML's own forms: written, read back, and as coremltools writes them.

Nothing runs Core ML off a Mac. Judges are the evaluator of Core ML files, which knows nothing of us, and coremltools'
own decompression.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from netglot.backends.coreml import save
from netglot.coreml_import import coremltools, quiet
from netglot.errors import ConversionError, UnsupportedError
from netglot.frontends.coreml import load
from netglot.ir.builder import Builder
from netglot.ir.extension.compressed import sparse_of
from netglot.ir.graph import Graph, Node, Value
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests.targets import coreml_evaluator, evaluate_coreml
from tests.test_coreml import read_spec
from tests.test_coreml_frontend import loaded, network

RNG = np.random.default_rng(6)
SHAPE = (16, 8, 3, 3)
IOS16, IOS17, IOS18 = 7, 8, 9  # versions of the specification
INT4, UINT4 = np.dtype(ml_dtypes.int4), np.dtype(ml_dtypes.uint4)


def builder(shape: tuple[int, ...] = (2, 8, 6, 7)) -> tuple[Builder, Value]:
    g = Builder(Graph("net"))
    return g, g.graph.add_input("x", np.dtype(np.float32), shape)


def weights_file(package: Path) -> Path:
    return package / "Data/com.apple.CoreML/weights/weight.bin"


def operations(package: Path) -> list[str]:
    [block] = read_spec(package).mlProgram.functions["main"].block_specializations.values()
    return [item.type for item in block.operations if item.type != "const"]


def written(g: Builder, *outputs: Value, folder: Path, **options: Any) -> Path:
    """The package, which must compute what the graph does: by the evaluator, and read back."""
    g.graph.outputs = list(outputs)
    g.graph.check()
    inputs = {v.name: RNG.normal(size=v.sizes).astype(np.float32) for v in g.graph.inputs}
    wanted = OnnxRuntime(g.graph).run(inputs)
    save(g.graph.copy(), folder / "net.mlpackage", **options)
    evaluated = evaluate_coreml(folder / "net.mlpackage", inputs)
    back = OnnxRuntime(load(folder / "net.mlpackage")).run(inputs)
    for name, value in wanted.items():
        tolerance = 2e-2 if options else 1e-5
        np.testing.assert_allclose(evaluated[name], value, atol=tolerance * np.abs(value).max(), rtol=0)
        np.testing.assert_allclose(back[name], value, atol=tolerance * np.abs(value).max(), rtol=0)
    return folder / "net.mlpackage"


def only(graph: Graph, op: str) -> Node:
    [node] = [node for node in graph.nodes() if node.op == op]
    return node


def arrays(node: Node) -> list[np.ndarray]:
    return [value.array for value in node.inputs if value is not None]


# --------------------------------------------------------------- affine weights


def integers(kind: Any, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    info = ml_dtypes.iinfo(np.dtype(kind))
    return RNG.integers(info.min, info.max + 1, shape).astype(kind)


def scales(*shape: int) -> np.ndarray:
    return np.asarray(RNG.uniform(0.5, 1, shape) / 64, np.float32)


def zeros(kind: Any, *shape: int) -> np.ndarray:
    return RNG.integers(1, 7, shape).astype(kind)


AFFINE: dict[str, tuple[int, int, np.ndarray, np.ndarray, np.ndarray | None, dict[str, int]]] = {
    # version, bytes of the weights, data, scale, zero point, attributes
    "int8": (IOS16, 1152, integers("int8"), scales(), None, {}),
    "int8 in a vector of one": (IOS16, 1152, integers("int8"), scales(1), None, {}),
    "int8 by outputs": (IOS16, 1216, integers("int8"), scales(16), None, {"axis": 0}),
    "int8 by inputs": (IOS16, 1152, integers("int8"), scales(8), None, {"axis": 1}),
    "uint8": (IOS16, 1152, integers("uint8"), scales(), np.array(131, np.uint8), {}),
    "uint8 by outputs": (IOS16, 1232, integers("uint8"), scales(16), zeros("uint8", 16), {"axis": 0}),
    "uint8 by the last axis": (IOS16, 1152, integers("uint8"), scales(3), zeros("uint8", 3), {"axis": -1}),
    "int4": (IOS18, 576, integers(INT4), scales(), None, {}),
    "int4 by outputs": (IOS18, 640, integers(INT4), scales(16), None, {"axis": 0}),
    "uint4 by outputs": (IOS18, 648, integers(UINT4), scales(16), zeros(UINT4, 16), {"axis": 0}),
    "int4 in blocks": (IOS18, 576 + 1152, integers(INT4), scales(16, 2, 3, 3), None, {"axis": 1, "block_size": 4}),
    "uint4 in blocks": (IOS18, 576 + 1296, integers(UINT4), scales(16, 2, 3, 3), zeros(UINT4, 16, 2, 3, 3),
                        {"axis": 1, "block_size": 4}),
    "int4 in one block": (IOS18, 576 + 576, integers(INT4), scales(16, 1, 3, 3), None, {"axis": 1, "block_size": 8}),
    "int8 in blocks": (IOS18, 1152 + 1152, integers("int8"), scales(16, 2, 3, 3), None, {"axis": 1, "block_size": 4}),
}  # fmt: skip


@pytest.mark.parametrize("name", AFFINE)
def test_affine_weights(name: str, tmp_path: Path) -> None:
    version, size, data, scale, zero, attributes = AFFINE[name]
    g, x = builder()
    w = g.DequantizeLinear(g.constant(data), scale, zero, **attributes)
    path = written(g, g.Conv(x, w, np.ones(16, np.float32)), folder=tmp_path)
    assert read_spec(path).specificationVersion == version
    assert size < weights_file(path).stat().st_size < size + 700  # heads and alignment of each constant; the bias
    node = only(load(path), "DequantizeLinear")
    assert node.inputs[0].dtype == data.dtype
    assert node.inputs[0].array.tobytes() == data.tobytes()
    assert arrays(node)[1].tobytes() == scale.tobytes()
    assert node.attributes.get("block_size", 0) == attributes.get("block_size", 0)
    assert (len(node.inputs) == 2) if zero is None else (arrays(node)[2].tobytes() == zero.tobytes())


@pytest.mark.parametrize(("size", "block", "written_as"), [(12, 8, 4), (6, 32, 32), (7, 4, 0)])
def test_a_partial_last_block_makes_smaller_blocks(size: int, block: int, written_as: int, tmp_path: Path) -> None:
    """Core ML's blocks are equal; where only single elements would do, floats are smaller."""
    g, x = builder((5, size))
    data, scale = integers(INT4, (size, 16)), scales(-(-size // block), 16)
    w = g.DequantizeLinear(g.constant(data), scale, axis=0, block_size=block)
    path = written(g, g.MatMul(x, w), folder=tmp_path)
    found = [node for node in load(path).nodes() if node.op == "DequantizeLinear"]
    assert len(found) == bool(written_as)
    if found:
        back = arrays(found[0])
        assert back[0].tobytes() == data.tobytes()
        repeated = np.repeat(scale, block, 0)[:size]
        np.testing.assert_array_equal(np.repeat(back[1], size // len(back[1]), 0) if back[1].ndim > 1
                                      else np.broadcast_to(back[1], data.shape), repeated)  # fmt: skip


def test_one_int4_makes_everything_ios_18s(tmp_path: Path) -> None:
    g, x = builder()
    small = g.DequantizeLinear(g.constant(integers(INT4)), scales(16), axis=0)
    large = g.DequantizeLinear(g.constant(integers("int8", (4, 16, 1, 1))), scales(4), axis=0)
    few = g.extension("Palette", [RNG.integers(0, 7, (4, 4, 1, 1)).astype(np.uint8), scales(7)])
    some = sparse_of(np.where(RNG.random((4, 4, 1, 1)) < 0.5, scales(4, 4, 1, 1), np.float32(0)))
    y = g.Conv(g.Conv(g.Conv(x, small), large), few)
    path = written(g, g.Conv(y, g.extension("Sparse", list(some), shape=(4, 4, 1, 1))), folder=tmp_path)
    kinds = [kind for kind in operations(path) if kind.startswith("constexpr")]
    assert kinds == [*["constexpr_blockwise_shift_scale"] * 2, "constexpr_lut_to_dense", "constexpr_sparse_to_dense"]
    back = load(path)
    assert only(back, "Palette").inputs[0].dtype == np.uint8
    assert [a.tobytes() for a in arrays(only(back, "Sparse"))] == [a.tobytes() for a in some]


def test_blocks_along_two_axes(tmp_path: Path) -> None:
    """coremltools can write such; ONNX repeats along one axis, so the scales of the other are repeated."""
    ct, mil = coremltools(), coremltools("converters.mil.mil")
    mb, data, scale = mil.Builder, integers("int8", (8, 6)), scales(4, 3)
    with quiet(), mil.Function({"x": mb.placeholder(shape=(2, 6))}, opset_version=ct.target.iOS18) as function:
        weight = mb.constexpr_blockwise_shift_scale(data=data, scale=scale)
        function.set_outputs([mb.linear(x=function.inputs["x"], weight=weight, name="y")])
    program = mil.Program()
    program.add_function("main", function)
    with quiet():
        ct.convert(program, convert_to="mlprogram", minimum_deployment_target=ct.target.iOS18, skip_model_load=True,
                   compute_precision=ct.precision.FLOAT32).save(str(tmp_path / "net.mlpackage"))  # fmt: skip
    [(op, found)] = layer_weights(load(tmp_path / "net.mlpackage"))
    assert op == "DequantizeLinear"
    np.testing.assert_array_equal(found, data * np.repeat(np.repeat(scale, 2, 0), 2, 1))


# ------------------------------------------------------- operations with weights


def stored(g: Builder, form: str, shape: tuple[int, ...]) -> Value:
    """Weights of `shape` in one of the forms."""
    if form == "int8":
        return g.DequantizeLinear(g.constant(integers("int8", shape)), scales(shape[0]), axis=0)
    if form == "blocks":
        data, scale = integers(INT4, shape), scales(shape[0], shape[1] // 4, *shape[2:])
        return g.DequantizeLinear(g.constant(data), scale, axis=1, block_size=4)
    if form == "palette":
        return g.extension("Palette", [RNG.integers(0, 13, shape).astype(np.uint8), scales(13)])
    dense = np.where(RNG.random(shape) < 0.3, scales(*shape), np.float32(0))
    return g.extension("Sparse", list(sparse_of(dense)), shape=shape)


@pytest.mark.parametrize("form", ["int8", "blocks", "palette", "sparse"])
def test_every_reader_of_weights(form: str, tmp_path: Path) -> None:
    """Weights lie as each operation wants them."""
    g, x = builder((2, 8, 6, 7))
    a = g.ConvTranspose(x, stored(g, form, (8, 4, 3, 3)), strides=(2, 2))
    rows = g.Reshape(g.Add(g.GlobalMaxPool(a), stored(g, form, (1, 4, 1, 1))), [2, -1])
    rows = g.Gemm(g.Slice(rows, [0], [4], [1]), stored(g, form, (4, 16)), scales(16))
    rows = g.Gemm(rows, stored(g, form, (20, 16)), scales(20), transB=1)
    rows = g.MatMul(rows, stored(g, form, (20, 12)))
    rows = g.Add(rows, g.Gather(stored(g, form, (8, 12)), np.array([3, 7])))
    path = written(g, rows, folder=tmp_path)
    kinds = operations(path)
    assert kinds.count("linear") == 2
    assert "transpose" not in kinds
    assert sum(kind.startswith("constexpr") for kind in kinds) == 6


def test_weights_that_core_ml_must_have_dense(tmp_path: Path) -> None:
    """A normalisation's parameters, an output, numbers of 16 and 32 bits, a scalar: folded into floats."""
    g, x = builder((2, 8, 6, 7))
    w = g.DequantizeLinear(g.constant(integers("int16")), scales(16), axis=0)
    bias = g.DequantizeLinear(g.constant(RNG.integers(-999, 999, 16).astype(np.int32)), scales(16), axis=0)
    factor = g.DequantizeLinear(g.constant(integers("int8", (4,))), scales())
    y = g.InstanceNormalization(g.Conv(x, w, bias), g.Concat(factor, factor, factor, factor, axis=0), scales(16))
    y = g.Mul(y, g.DequantizeLinear(g.constant(np.array(100, np.int8)), scales()))
    shown = g.DequantizeLinear(g.constant(integers("int8", (2, 3))), scales())
    path = written(g, y, shown, folder=tmp_path)
    assert read_spec(path).specificationVersion < IOS16
    assert not [kind for kind in operations(path) if kind.startswith("constexpr")]


# --------------------------------------------------------- palettes and sparse


@pytest.mark.parametrize(
    ("entries", "bits"), [(1, 1), (2, 1), (3, 2), (5, 4), (16, 4), (17, 6), (64, 6), (65, 8), (256, 8)]
)
def test_palettes(entries: int, bits: int, tmp_path: Path) -> None:
    """Also where the indices do not fill the last byte (1157 of them)."""
    g, x = builder((2, 13, 6, 7))
    indices = RNG.integers(0, entries, (1, 13, 89, 1)).astype(np.uint8).reshape(89, 13, 1, 1)
    codebook = np.sort(scales(entries))
    path = written(g, g.Conv(x, g.extension("Palette", [indices, codebook])), folder=tmp_path)
    assert read_spec(path).specificationVersion == IOS16
    packed = -(-indices.size * bits // 8)
    assert packed < weights_file(path).stat().st_size < packed + 4 * 2**bits + 400
    back = arrays(only(load(path), "Palette"))
    assert back[0].tobytes() == indices.tobytes()
    assert back[1][:entries].tobytes() == codebook.tobytes()


@pytest.mark.parametrize("kept", [0.0, 0.2, 1.0])
def test_sparse_weights(kept: float, tmp_path: Path) -> None:
    g, x = builder((2, 13, 6, 7))
    dense = np.where(RNG.random((89, 13, 1, 1)) < kept, RNG.normal(size=(89, 13, 1, 1)), 0).astype(np.float32)
    mask, values = sparse_of(dense)
    path = written(g, g.Conv(x, g.extension("Sparse", [mask, values], shape=dense.shape)), folder=tmp_path)
    assert read_spec(path).specificationVersion == IOS16
    size = mask.nbytes + values.nbytes
    assert size < weights_file(path).stat().st_size < size + 400
    node = only(load(path), "Sparse")
    assert node.attributes["shape"] == dense.shape
    if kept:
        assert [a.tobytes() for a in arrays(node)] == [mask.tobytes(), values.tobytes()]


# ------------------------------------------------------------------ activations


def quantised(g: Builder, x: Value, scale: Any, zero: np.ndarray, **attributes: int) -> Value:
    s, z = g.constant(np.asarray(scale, np.float32)), g.constant(zero)
    return g.DequantizeLinear(g.QuantizeLinear(x, s, z, **attributes), s, z, **attributes)


GRIDS: dict[str, tuple[Any, np.ndarray, str]] = {  # scale, zero point, the type it is written in
    "int8": (0.02, np.array(0, np.int8), "int8"),
    "int8 with a zero point": (0.02, np.array(-5, np.int8), "int8"),
    "int8 of what is positive": (0.02, np.array(-128, np.int8), "uint8"),
    "uint8": (0.02, np.array(100, np.uint8), "uint8"),
    "uint8 of both signs": (0.02, np.array(128, np.uint8), "int8"),
    "int8 by channels": (np.arange(1, 9) / 100, np.arange(8, dtype=np.int8), "int8"),
}


@pytest.mark.parametrize("name", GRIDS)
def test_activations(name: str, tmp_path: Path) -> None:
    """As coremltools' linear_quantize_activations and linear_quantize_weights have it: a pair before, int8 weights."""
    scale, zero, kind = GRIDS[name]
    g, x = builder()
    w = g.DequantizeLinear(g.constant(integers("int8")), scales(16), axis=0)
    bias = g.DequantizeLinear(g.constant(np.arange(16, dtype=np.int32)), scales(16), axis=0)
    y = g.Conv(quantised(g, x, scale, zero, axis=1), w, bias)
    path = written(g, y, folder=tmp_path)
    assert read_spec(path).specificationVersion == IOS17
    assert sorted(operations(path)) == ["constexpr_affine_dequantize", "conv", "dequantize", "quantize"]
    back = load(path)
    quantize = only(back, "QuantizeLinear")
    assert quantize.output.dtype == np.dtype(kind)
    [dequantize] = back.consumers(quantize.output)
    assert dequantize.op == "DequantizeLinear"
    [layer] = back.consumers(dequantize.output)
    assert back.producer(layer.inputs[1]).inputs[0].array.tobytes() == w_data(g).tobytes()


def w_data(g: Builder) -> np.ndarray:
    """The only int8 weights of four axes."""
    [data] = [v.array for v in g.graph.constants() if v.dtype == np.int8 and v.rank == 4]
    return data


def test_a_pair_is_as_mil_computes_it(tmp_path: Path) -> None:
    """coremltools' own value inference of quantize and dequantize, on ties and beyond the limits."""
    mb = coremltools("converters.mil.mil").Builder
    data = np.concatenate([np.arange(-300, 300) * 0.25, [1e30, -1e30, 0.0]]).astype(np.float32)
    scale, zero = np.float32(0.5), np.uint8(7)
    mil = coremltools("converters.mil.mil")
    with quiet(), mil.Function({}, opset_version=coremltools().target.iOS17) as function:
        integers_ = mb.quantize(input=data, scale=scale, zero_point=zero, output_dtype="uint8")
        result = mb.dequantize(input=integers_, scale=scale, zero_point=zero)
        function.set_outputs([result])
    wanted = result.op.materialized_val_inference()
    g, x = builder(data.shape)
    y = quantised(g, x, scale, np.array(zero))
    g.graph.outputs = [y]
    save(g.graph, tmp_path / "net.mlpackage")
    found = OnnxRuntime(load(tmp_path / "net.mlpackage")).run({"x": data})
    np.testing.assert_array_equal(found[y.name], wanted)


def test_activations_of_16_bits_are_refused(tmp_path: Path) -> None:
    g, x = builder()
    g.graph.outputs = [g.Relu(quantised(g, x, 0.01, np.array(0, np.int16)))]
    with pytest.raises(UnsupportedError, match="activations to 8 bits, not to int16"):
        save(g.graph, tmp_path / "net.mlpackage")


def test_a_scale_that_is_computed_is_composed_of_floats(tmp_path: Path) -> None:
    g, x = builder()
    scale, zero = g.Add(g.ReduceMax(x, keepdims=0), np.float32(0.1)), g.constant(np.array(3, np.uint8))
    path = written(g, g.DequantizeLinear(g.QuantizeLinear(x, scale, zero), scale, zero), folder=tmp_path)
    assert "round" in operations(path)


def test_dynamic_activations_stay_float_and_say_so_once(tmp_path: Path) -> None:
    g, x = builder((3, 16))
    for _ in range(2):
        w = g.DequantizeLinear(g.constant(integers("int8", (16, 16))), scales(16), axis=1)
        x = g.MatMul(g.DequantizeLinear(*g.DynamicQuantizeLinear(x, outputs=3)), w)
    g.graph.outputs = [x]
    save(g.graph, tmp_path / "net.mlpackage")
    assert sorted(set(operations(tmp_path / "net.mlpackage"))) == ["constexpr_affine_dequantize", "matmul"]
    assert len([p for p in g.graph.warnings if "stay float" in p.what]) == 1
    floats = g.graph.copy()
    inputs = {"x": RNG.normal(size=(3, 16)).astype(np.float32)}
    wanted = OnnxRuntime(floats).run(inputs)
    np.testing.assert_allclose(evaluate_coreml(tmp_path / "net.mlpackage", inputs)[x.name], wanted[x.name], rtol=1e-4)


# --------------------------------------------------------------- half precision


@pytest.mark.parametrize("form", ["int8", "blocks", "palette", "sparse"])
def test_half_precision_leaves_weights_compressed(form: str, tmp_path: Path) -> None:
    """Scales, tables and what is not zero become float16; the integers, indices and masks stay as they are."""
    g, x = builder()
    y = g.Conv(quantised(g, x, 0.05, np.array(0, np.int8)), stored(g, form, SHAPE))
    path = written(g, y, folder=tmp_path, quantize="fp16")
    kinds = operations(path)
    assert sum(kind.startswith("constexpr") for kind in kinds) == 1
    assert kinds.count("cast") == 2  # of the input and of the output
    back = load(path)
    weights = back.producer(only(back, "Conv").inputs[1])
    source = g.graph.producer(only(g.graph, "Conv").inputs[1])
    assert (weights.op, weights.output.dtype) == (source.op, np.float16)
    assert arrays(weights)[0].tobytes() == arrays(source)[0].tobytes()


def test_scales_too_small_for_half_precision_stay_float32(tmp_path: Path) -> None:
    """A weight of 6e-5 is a number of float16; a 127th of it has three bits there, and is 5 % off."""
    g, x = builder()
    w = g.DequantizeLinear(g.constant(integers("int8")), np.full(16, 5e-7, np.float32), axis=0)
    path = written(g, g.Mul(g.Conv(x, w), np.float32(2**12)), folder=tmp_path, quantize="fp16")
    back = load(path)
    assert arrays(only(back, "DequantizeLinear"))[1].dtype == np.float32
    assert only(back, "Conv").output.dtype == np.float16


def test_values_to_keep_are_computed_in_float32(tmp_path: Path) -> None:
    """A sum of squares beyond 65504 between two layers that float16 holds; without `keep` it is infinite there."""
    g, x = builder((1, 8, 4, 4))
    a = g.Conv(x, RNG.normal(size=(8, 8, 1, 1)).astype(np.float32) * 100)
    total = g.ReduceSum(g.Mul(a, a), np.array([1]), keepdims=1)
    g.graph.outputs = [g.Conv(g.Div(a, g.Sqrt(total)), RNG.normal(size=(4, 8, 1, 1)).astype(np.float32))]
    y, inputs = g.graph.outputs[0].name, {"x": RNG.normal(size=(1, 8, 4, 4)).astype(np.float32) * 3}
    wanted = OnnxRuntime(g.graph).run(inputs)[y]
    found = {}
    square = g.graph.producer(g.graph.producer(total).inputs[0]).output.name
    for keep in (frozenset(), frozenset({square, total.name})):
        path = tmp_path / f"{len(keep)}.mlpackage"
        save(g.graph.copy(), path, quantize="fp16", keep=keep)
        found[len(keep)] = evaluate_coreml(path, inputs)[y]
    assert not np.array_equal(found[0], wanted)
    assert np.abs(found[0] - wanted).max() > 0.1  # x / infinity
    np.testing.assert_allclose(found[2], wanted, atol=1e-2 * np.abs(wanted).max())
    assert {v.dtype.name for v in load(tmp_path / "2.mlpackage").values() if v.dtype} >= {"float16", "float32"}


def test_what_is_composed_of_others_is_kept_whole(tmp_path: Path) -> None:
    """A pooling by the norm 3 of numbers near 200 is within float16; the cubes in it are not."""
    g, x = builder((1, 2, 4, 4))
    norm = g.LpPool(x, kernel_shape=(2, 2), p=3)
    g.graph.outputs = [g.Add(norm, np.float32(1))]
    y, inputs = g.graph.outputs[0].name, {"x": RNG.uniform(150, 200, size=(1, 2, 4, 4)).astype(np.float32)}
    wanted = OnnxRuntime(g.graph).run(inputs)[y]
    for keep, is_finite in ((set(), False), ({norm.name}, True)):
        path = tmp_path / f"{len(keep)}.mlpackage"
        save(g.graph.copy(), path, quantize="fp16", keep=keep)
        found = evaluate_coreml(path, inputs)[y]
        assert np.allclose(found, wanted, rtol=1e-2) == is_finite


# ------------------------------------------------------------ coremltools.optimize


def converted(target: str, half: bool) -> Any:
    """A small network by coremltools' own converter, from a program of its own."""
    mil, ct = coremltools("converters.mil.mil"), coremltools()
    mb, rng, opset = mil.Builder, np.random.default_rng(1), getattr(ct.target, target)

    def weights(*shape: int) -> np.ndarray:
        return (rng.normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)

    with mil.Function({"x": mb.placeholder(shape=(1, 4, 9, 10))}, opset_version=opset) as function:
        x = mb.relu(x=mb.conv(x=function.inputs["x"], weight=weights(16, 4, 3, 3), bias=weights(16)))
        x = mb.conv_transpose(x=mb.max_pool(x=x, kernel_sizes=[2, 2], pad_type="valid"), weight=weights(16, 8, 2, 2))
        x = mb.linear(x=mb.reduce_mean(x=x, axes=[2, 3], keep_dims=False), weight=weights(12, 8))
        function.set_outputs([mb.identity(x=x, name="y")])
    program = mil.Program()
    program.add_function("main", function)
    precision = ct.precision.FLOAT16 if half else ct.precision.FLOAT32
    return ct.convert(program, convert_to="mlprogram", minimum_deployment_target=opset, compute_precision=precision,
                      skip_model_load=True)  # fmt: skip


LINEAR, PALETTE, PRUNED = "linear_quantize_weights", "palettize_weights", "prune_weights"
CONFIGS = {LINEAR: "OpLinearQuantizerConfig", PALETTE: "OpPalettizerConfig", PRUNED: "OpMagnitudePrunerConfig"}
SYMMETRIC, UNIFORM = {"mode": "linear_symmetric"}, {"mode": "uniform"}

OPTIMIZED: dict[str, tuple[str, list[tuple[str, dict[str, Any]]], set[str]]] = {
    # target, what is done with the weights one after the other, and the forms they have in the graph ("": floats, as
    # of several tables that have more than 256 entries together)
    "int8": ("iOS16", [(LINEAR, SYMMETRIC)], {"DequantizeLinear"}),
    "uint8": ("iOS16", [(LINEAR, {"mode": "linear", "dtype": "uint8"})], {"DequantizeLinear"}),
    "int8 of iOS 18": ("iOS18", [(LINEAR, SYMMETRIC | {"granularity": "per_tensor"})], {"DequantizeLinear"}),
    "uint4": ("iOS18", [(LINEAR, {"mode": "linear", "dtype": "uint4"})], {"DequantizeLinear"}),
    "int4 in blocks": ("iOS18", [(LINEAR, SYMMETRIC | {"dtype": "int4", "granularity": "per_block", "block_size": 2})],
                       {"DequantizeLinear"}),
    "4 bits": ("iOS16", [(PALETTE, UNIFORM | {"nbits": 4})], {"Palette"}),
    "6 bits": ("iOS16", [(PALETTE, UNIFORM | {"nbits": 6})], {"Palette"}),
    "3 bits": ("iOS18", [(PALETTE, UNIFORM | {"nbits": 3})], {"Palette"}),
    "tables of groups": ("iOS18", [(PALETTE, UNIFORM | {"nbits": 2, "granularity": "per_grouped_channel",
                                                        "group_size": 4})], {"Palette"}),
    "tables with scales": ("iOS18", [(PALETTE, UNIFORM | {"nbits": 3, "enable_per_channel_scale": True})],
                           {"Palette", ""}),
    "sparse": ("iOS16", [(PRUNED, {"target_sparsity": 0.6})], {"Sparse"}),
    "sparse of iOS 18": ("iOS18", [(PRUNED, {"target_sparsity": 0.6})], {"Sparse"}),
    "sparse tables": ("iOS18", [(PRUNED, {"target_sparsity": 0.6}), (PALETTE, UNIFORM | {"nbits": 3})], {"Palette"}),
    "sparse int8": ("iOS18", [(PRUNED, {"target_sparsity": 0.6}), (LINEAR, SYMMETRIC)], {"DequantizeLinear"}),
    "sparse uint8": ("iOS18", [(PRUNED, {"target_sparsity": 0.6}), (LINEAR, {"mode": "linear", "dtype": "uint8"})],
                     {"DequantizeLinear"}),
    "tables of int8": ("iOS18", [(PALETTE, UNIFORM | {"nbits": 4}),
                                 (LINEAR, SYMMETRIC | {"granularity": "per_tensor"})], {"Palette"}),
}  # fmt: skip


def optimized(name: str, half: bool) -> Any:
    target, steps, _ = OPTIMIZED[name]
    optimize = coremltools("optimize.coreml")
    found = converted(target, half)
    for i, (function, options) in enumerate(steps):
        config = getattr(optimize, CONFIGS[function])(weight_threshold=0, **options)
        joint = {"joint_compression": True} if i else {}
        found = getattr(optimize, function)(found, optimize.OptimizationConfig(global_config=config), **joint)
    return found


HALF = ("int8", "int4 in blocks", "4 bits", "sparse", "sparse tables")


@pytest.mark.parametrize(("name", "half"), [*((name, False) for name in OPTIMIZED), *((name, True) for name in HALF)])
def test_what_coremltools_optimizes(name: str, half: bool, tmp_path: Path) -> None:
    """Weights stay compressed and are bit by bit what coremltools decompresses; what is written of them, too."""
    with quiet():
        model = optimized(name, half)
        model.save(str(tmp_path / "stored.mlpackage"))
        coremltools("optimize.coreml").decompress_weights(model).save(str(tmp_path / "dense.mlpackage"))
    graph, dense = load(tmp_path / "stored.mlpackage"), load(tmp_path / "dense.mlpackage")
    graph.check()
    weights, wanted = layer_weights(graph), layer_weights(dense)
    assert {op for op, _ in weights} == OPTIMIZED[name][2]
    assert {op for op, _ in wanted} == {""}
    assert [array.tobytes() for _, array in weights] == [array.tobytes() for _, array in wanted]
    assert bool(graph.warnings) == ("" in OPTIMIZED[name][2])
    inputs = {"x": np.random.default_rng(0).normal(size=(1, 4, 9, 10)).astype(graph.inputs[0].dtype)}
    judged = coreml_evaluator(tmp_path / "dense.mlpackage").predict(inputs)["y"]
    tolerance = (5e-3 if half else 1e-5) * np.abs(judged).max()
    np.testing.assert_allclose(OnnxRuntime(graph).run(inputs)["y"], judged, atol=tolerance)
    save(graph, tmp_path / "again.mlpackage")
    back = layer_weights(load(tmp_path / "again.mlpackage"))
    assert [(op, array.tobytes()) for op, array in back] == [(op, array.tobytes()) for op, array in weights]


def test_what_coremltools_quantizes_the_activations_of(tmp_path: Path) -> None:
    """linear_quantize_activations calibrates on a Mac; here its pass is given the ranges. Ours is built the same."""
    optimize, passes = coremltools("optimize.coreml"), coremltools("converters.mil.mil.passes.pass_registry")
    config = optimize.OptimizationConfig(optimize.OpLinearQuantizerConfig(mode="linear_symmetric", weight_threshold=0))
    with quiet():
        model = converted("iOS17", half=False)
        program = model._mil_program
        insert = passes.PASS_REGISTRY["compression::insert_prefix_quantize_dequantize_pair"]
        insert.config, names = config, [v.name for op in program.functions["main"].operations for v in op.outputs]
        insert.activation_stats = {name: {"rmin": -2.0, "rmax": 3.0} for name in ["x", *names]}
        insert.apply(program)
        model = coremltools().convert(program, convert_to="mlprogram", skip_model_load=True,
                                      minimum_deployment_target=coremltools().target.iOS17,
                                      compute_precision=coremltools().precision.FLOAT32)  # fmt: skip
        optimize.linear_quantize_weights(model, config).save(str(tmp_path / "theirs.mlpackage"))
    graph = load(tmp_path / "theirs.mlpackage")
    inputs = {"x": np.random.default_rng(0).normal(size=(1, 4, 9, 10)).astype(np.float32)}
    judged = coreml_evaluator(tmp_path / "theirs.mlpackage").predict(inputs)["y"]
    np.testing.assert_allclose(OnnxRuntime(graph).run(inputs)["y"], judged, atol=1e-5)
    save(graph.copy(), tmp_path / "ours.mlpackage")
    assert sorted(operations(tmp_path / "ours.mlpackage")) == sorted(operations(tmp_path / "theirs.mlpackage"))
    ours, theirs = (weights_file(tmp_path / f"{name}.mlpackage").stat().st_size for name in ("ours", "theirs"))
    assert ours <= theirs + 64
    np.testing.assert_array_equal(coreml_evaluator(tmp_path / "ours.mlpackage").predict(inputs)["y"], judged)


def layer_weights(graph: Graph) -> list[tuple[str, np.ndarray]]:
    """How the weights of each layer are stored ("": densely), and their numbers, as ONNX Runtime decompresses them."""
    weights = [node.inputs[1] for node in graph.nodes() if node.op in ("Conv", "ConvTranspose", "Gemm", "MatMul")]
    part = graph.copy()
    part.cut(outputs=[part[value.name] for value in weights if not value.is_constant] or None)
    shape, dtype = graph.inputs[0].sizes, graph.inputs[0].dtype
    found = OnnxRuntime(part).run({"x": np.zeros(shape, dtype)})
    return [(source.op if source else "", found[value.name] if source else value.array)
            for value in weights for source in [graph.producer(value)]]  # fmt: skip


# ------------------------------------------------------------ neural networks

NETWORK_FORMS = {  # bits, coremltools' mode -> how the weights of a convolution, a deconvolution and a matrix are read
    (8, "LINEAR_QUANTIZATION"): ["", "", ""],
    (8, "LINEAR_SYMMETRIC"): ["DequantizeLinear"] * 3,
    (5, "LINEAR_QUANTIZATION"): ["", "", ""],
    (3, "LOOKUP_TABLE_LINEAR"): ["Palette"] * 3,
    (4, "LOOKUP_TABLE_LINEAR"): ["Palette"] * 3,
}


@pytest.mark.parametrize(("bits", "mode"), NETWORK_FORMS)
def test_quantized_neural_networks(bits: int, mode: str, tmp_path: Path) -> None:
    """As coremltools' quantize_weights writes them: not symmetric, zero is no integer, and another in each channel."""
    rng = np.random.default_rng(3)

    def params(*shape: int) -> dict[str, Any]:
        return {"floatValue": rng.normal(size=shape).astype(np.float32).reshape(-1).tolist()}

    window = {"kernelSize": [3, 3], "nGroups": 1, "hasBias": True, "valid": {}}
    spec = network(
        {"convolution": {"outputChannels": 6, "kernelChannels": 3, "weights": params(6, 3, 3, 3), "bias": params(6)}
         | window},
        {"activation": {"PReLU": {"alpha": params(6)}}},
        {"convolution": {"outputChannels": 4, "kernelChannels": 6, "weights": params(6, 4, 3, 3), "bias": params(4),
                         "isDeconvolution": True} | window},
        {"pooling": {"type": 1, "globalPooling": True, "valid": {}}},
        {"innerProduct": {"inputChannels": 4, "outputChannels": 5, "weights": params(5, 4), "hasBias": True,
                          "bias": params(5)}},
        shape=(3, 7, 9), outputs=(5,),
    )  # fmt: skip
    spec = coremltools("proto.Model_pb2").Model.FromString(spec.SerializeToString())
    quantize = coremltools("models.neural_network.quantization_utils")._quantize_spec_weights
    quantize(spec, bits, getattr(coremltools("models"), f"_QUANTIZATION_MODE_{mode}"))
    graph = loaded(spec, tmp_path)
    assert [op for op, _ in layer_weights(graph)] == NETWORK_FORMS[bits, mode]
    assert bool(graph.warnings) == (mode == "LINEAR_QUANTIZATION")
    quantize(spec, None, coremltools("models")._QUANTIZATION_MODE_DEQUANTIZE)
    (tmp_path / "dense.mlmodel").write_bytes(spec.SerializeToString())
    inputs = {"x": rng.normal(size=(3, 7, 9)).astype(np.float32)}
    wanted = coreml_evaluator(tmp_path / "dense.mlmodel").predict(inputs)["y"]
    np.testing.assert_allclose(OnnxRuntime(graph).run(inputs)["y"], wanted, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("change", ["bits", "table", "bytes"])
def test_broken_weights_of_a_neural_network(change: str, tmp_path: Path) -> None:
    weights = {"rawValue": bytes(27), "quantization": {"numberOfBits": 4, "lookupTableQuantization": {
        "floatValue": list(range(16))}}}  # fmt: skip
    if change == "bits":
        weights["quantization"]["numberOfBits"] = 2**40
    if change == "table":
        weights["quantization"]["lookupTableQuantization"]["floatValue"] = [1.0]
    if change == "bytes":
        weights["rawValue"] = bytes(26)
    layer = {"outputChannels": 2, "kernelChannels": 3, "kernelSize": [3, 3], "weights": weights, "valid": {}}
    with pytest.raises(ConversionError, match="weights of"):
        loaded(network({"convolution": layer}, shape=(3, 7, 9), outputs=(2, 5, 7)), tmp_path)


# ---------------------------------------------------------------- hostile files


def hostile(g: Builder, w: Value, folder: Path, change: Any) -> Path:
    """A package with weights `w`, the first of whose constexpr operations is changed."""
    g.graph.outputs = [g.Conv(g.graph.inputs[0], w)]
    save(g.graph, folder / "net.mlpackage")
    file = folder / "net.mlpackage/Data/com.apple.CoreML/model.mlmodel"
    spec = read_spec(folder / "net.mlpackage")
    [block] = spec.mlProgram.functions["main"].block_specializations.values()
    change(next(item for item in block.operations if item.type.startswith("constexpr")))
    file.write_bytes(spec.SerializeToString())
    return folder / "net.mlpackage"


def resized(value: Any, axis: int, size: int) -> None:
    value.type.tensorType.dimensions[axis].constant.size = size


@pytest.mark.parametrize("size", [2**40, 5, 0])
def test_sizes_of_a_palette_are_only_claims(size: int, tmp_path: Path) -> None:
    def change(operation: Any) -> None:
        shape = operation.attributes["shape"].immediateValue.tensor
        [field] = [getattr(shape, name) for name in ("ints", "bytes") if shape.HasField(name)]
        if shape.HasField("ints"):
            field.values[0] = min(size, 2**31 - 1)
        else:
            field.values = np.array([min(size, 2**32 - 1), 8, 3, 3], np.uint32).tobytes()

    g, _ = builder()
    with pytest.raises(ConversionError):
        load(hostile(g, stored(g, "palette", SHAPE), tmp_path, change))


@pytest.mark.parametrize("name", ["data", "scale"])
def test_sizes_of_blocks_are_only_claims(name: str, tmp_path: Path) -> None:
    def change(operation: Any) -> None:
        resized(operation.inputs[name].arguments[0].value, 0, 2**28)

    g, _ = builder()
    with pytest.raises(ConversionError, match="bytes"):
        load(hostile(g, stored(g, "blocks", SHAPE), tmp_path, change))


def test_scales_that_do_not_divide_the_data_are_refused(tmp_path: Path) -> None:
    def change(operation: Any) -> None:
        scale = operation.inputs["scale"].arguments[0].value
        resized(scale, 0, 32)
        resized(scale, 1, 1)

    g, _ = builder()
    with pytest.raises(ConversionError, match="do not divide"):
        load(hostile(g, stored(g, "blocks", SHAPE), tmp_path, change))
