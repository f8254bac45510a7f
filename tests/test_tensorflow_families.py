"""Operators of TensorFlow that no single row can show: complex numbers between two of them, patterns of several, random
numbers, quantised types, and operators that TensorFlow itself no longer runs or only its optimiser writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netglot.convert import load
from netglot.errors import UnsupportedError
from netglot.ir.graph import Graph
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests.close import assert_equal


@pytest.fixture(scope="module")
def tf() -> Any:
    return pytest.importorskip("tensorflow")


def uniform(*shape: int, low: float = -1, high: float = 1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(low, high, shape).astype(np.float32)


def traced(
    tf: Any, function: Callable[..., Any], feed: Sequence[np.ndarray]
) -> tuple[Any, list[str], list[np.ndarray]]:
    """The GraphDef of the function, its outputs' names, and what TensorFlow computes."""
    specs = [tf.TensorSpec(x.shape, x.dtype, name=f"x{i}") for i, x in enumerate(feed)]
    concrete = tf.function(function, autograph=False, input_signature=specs).get_concrete_function()
    names = [item.name.removesuffix(":0") for item in concrete.outputs]
    results = [np.asarray(item) for item in tf.nest.flatten(concrete(*map(tf.constant, feed)))]
    return concrete.graph.as_graph_def(), names, results


def read(definition: Any, outputs: Sequence[str], folder: Path) -> Graph:
    (folder / "model.pb").write_bytes(definition.SerializeToString())
    graph = load(folder / "model.pb", outputs=list(outputs))
    graph.check()
    return graph


def compare(
    tf: Any, function: Callable[..., Any], feed: Sequence[np.ndarray], folder: Path, rtol: float = 1e-5
) -> Graph:
    """Reads what the function is and compares what it computes; returns the graph."""
    definition, names, wanted = traced(tf, function, feed)
    graph = read(definition, names, folder)
    found = OnnxRuntime(graph).run({f"x{i}": x for i, x in enumerate(feed)})
    for name, result in zip(names, wanted, strict=True):
        assert_equal(found[name], result, rtol)
    return graph


# --------------------------------------------------------------------- spectral


@pytest.mark.parametrize("length", [6, 9, 12])
@pytest.mark.parametrize("axes", [1, 2])
def test_rfft(tf: Any, tmp_path: Path, length: int, axes: int) -> None:
    raw, lengths = tf.raw_ops, [4, length][2 - axes :]
    transform, back = (raw.RFFT, raw.IRFFT) if axes == 1 else (raw.RFFT2D, raw.IRFFT2D)

    def function(x: Any) -> Any:
        y = transform(input=x, fft_length=lengths)
        return tf.abs(y), raw.Real(input=y), raw.Imag(input=y), back(input=tf.math.conj(y), fft_length=lengths)

    compare(tf, function, [uniform(3, 5, 12)], tmp_path)


@pytest.mark.parametrize("length", [5, 8, 11])
def test_irfft_of_another_length(tf: Any, tmp_path: Path, length: int) -> None:
    def function(a: Any, b: Any) -> Any:
        return tf.raw_ops.IRFFT(input=tf.complex(a, b), fft_length=[length])

    compare(tf, function, [uniform(3, 6), uniform(3, 6, seed=1)], tmp_path)


@pytest.mark.parametrize("name", ["FFT", "IFFT", "FFT2D", "IFFT2D", "FFT3D", "IFFT3D"])
def test_fft(tf: Any, tmp_path: Path, name: str) -> None:
    def function(a: Any, b: Any) -> Any:
        y = getattr(tf.raw_ops, name)(input=tf.raw_ops.Complex(real=a, imag=b))
        return tf.raw_ops.ComplexAbs(x=y), tf.raw_ops.Real(input=tf.raw_ops.Conj(input=y)), tf.math.imag(y)

    compare(tf, function, [uniform(2, 3, 5, 6), uniform(2, 3, 5, 6, seed=1)], tmp_path)


def test_complex_numbers(tf: Any, tmp_path: Path) -> None:
    def function(a: Any, b: Any) -> Any:
        z = tf.complex(a, b)
        return tf.raw_ops.Angle(input=z), tf.cast(z, tf.float32), tf.math.imag(tf.cast(a, tf.complex64))

    compare(tf, function, [uniform(4, 5), uniform(4, 5, seed=1)], tmp_path)


def test_a_complex_output_is_no_tensor(tf: Any, tmp_path: Path) -> None:
    definition, names, _ = traced(tf, lambda x: tf.signal.rfft(x) * 2, [uniform(3, 8)])
    with pytest.raises(UnsupportedError, match="complex"):
        read(definition, names, tmp_path)


# ----------------------------------------------------------- dilated convolution


def dilated(tf: Any, x: Any, filter: Any, rate: int, padding: str, op: str) -> Any:
    """As TensorFlow 1 wrote it."""
    arguments = {"strides": [1, 1, 1, 1], "padding": "VALID"}
    return tf.nn.with_space_to_batch(
        x, [rate, rate + 1], padding, lambda y, *_: getattr(tf.raw_ops, op)(input=y, filter=filter, **arguments),
        filter_shape=filter.shape, spatial_dims=[1, 2],
    )  # fmt: skip


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("op", ["Conv2D", "DepthwiseConv2dNative"])
def test_space_to_batch_around_a_convolution_is_a_dilation(tf: Any, tmp_path: Path, padding: str, op: str) -> None:
    filter = uniform(3, 3, 4, 2, seed=1)
    graph = compare(tf, lambda x: dilated(tf, x, filter, 2, padding, op), [uniform(2, 13, 11, 4)], tmp_path)
    (conv,) = [node for node in graph.nodes() if node.op == "Conv"]
    assert conv.attributes["dilations"] == (2, 3)
    assert not [node for node in graph.nodes() if node.op in ("Reshape", "Pad", "Slice")]


def test_space_to_batch_around_more_stays(tf: Any, tmp_path: Path) -> None:
    filter = uniform(3, 3, 4, 2, seed=1)

    def function(x: Any) -> Any:
        y = tf.space_to_batch(x, [2, 2], [[1, 1], [1, 1]])
        y = tf.nn.relu(tf.raw_ops.Conv2D(input=y, filter=filter, strides=[1, 1, 1, 1], padding="VALID"))
        return tf.batch_to_space(y, [2, 2], [[0, 0], [1, 0]])

    graph = compare(tf, function, [uniform(2, 12, 10, 4)], tmp_path)
    (conv,) = [node for node in graph.nodes() if node.op == "Conv"]
    assert set(conv.attributes["dilations"]) == {1}


# ------------------------------------------------------------------------ NCHW


@pytest.mark.parametrize(
    "op",
    ["Conv2D", "DepthwiseConv2dNative", "MaxPool", "AvgPool", "FusedBatchNormV3", "DepthToSpace", "SpaceToDepth",
     "Conv2DBackpropInput"],
)  # fmt: skip
def test_channels_first(tf: Any, tmp_path: Path, op: str) -> None:
    """TensorFlow has no such kernels on the CPU: the same is computed channels last."""
    x, filter, windows = uniform(2, 4, 6, 8), uniform(3, 3, 4, 4, seed=1), {"padding": "SAME"}
    steps, size = ([1, 1, 2, 3], [1, 2, 3, 1]), ([1, 1, 3, 2], [1, 3, 2, 1])
    even = ([1, 1, 2, 2], [1, 2, 2, 1])

    def arguments(x: Any, last: int) -> dict[str, Any]:
        sizes = [2, 4, 12, 16] if not last else [2, 12, 16, 4]
        return {
            "Conv2D": {"input": x, "filter": filter, "strides": steps[last], **windows},
            "DepthwiseConv2dNative": {"input": x, "filter": filter, "strides": even[last], **windows},
            "Conv2DBackpropInput": {"input_sizes": sizes, "filter": filter, "out_backprop": x, "strides": even[last],
                                    **windows},
            "MaxPool": {"input": x, "ksize": size[last], "strides": steps[last], **windows},
            "AvgPool": {"value": x, "ksize": size[last], "strides": steps[last], **windows},
            "FusedBatchNormV3": {"x": x, "scale": filter[0, 0, 0], "offset": filter[0, 0, 1], "mean": filter[0, 0, 2],
                                 "variance": np.abs(filter[0, 0, 3]), "is_training": False},
            "DepthToSpace": {"input": x, "block_size": 2},
            "SpaceToDepth": {"input": x, "block_size": 2},
        }[op]  # fmt: skip

    def call(x: Any, last: int) -> Any:
        y = getattr(tf.raw_ops, op)(**arguments(x, last), data_format=["NCHW", "NHWC"][last])
        return y[0] if op.startswith("Fused") else y

    wanted = np.transpose(call(np.transpose(x, (0, 2, 3, 1)), 1), (0, 3, 1, 2))
    specs = [tf.TensorSpec(x.shape, x.dtype, name="x0")]
    concrete = tf.function(lambda x: call(x, 0), autograph=False, input_signature=specs).get_concrete_function()
    name = concrete.outputs[0].name.removesuffix(":0")
    found = OnnxRuntime(read(concrete.graph.as_graph_def(), [name], tmp_path)).run({"x0": x})
    assert_equal(found[name], wanted, 1e-5)


# ---------------------------------------- operators that are only found in files


def renamed(tf: Any, function: Callable[..., Any], feed: Sequence[np.ndarray], op: str, change: Callable[[Any], None],
            folder: Path) -> None:  # fmt: skip
    """The function's node of the kind `op` is changed into one that TensorFlow does not run: the results are equal."""
    definition, names, wanted = traced(tf, function, feed)
    (node,) = [node for node in definition.node if node.op == op]
    change(node)
    found = OnnxRuntime(read(definition, names, folder)).run({f"x{i}": x for i, x in enumerate(feed)})
    for name, result in zip(names, wanted, strict=True):
        assert_equal(found[name], result, 1e-5)


@pytest.mark.parametrize("op", ["MatrixDiag", "MatrixDiagPart", "MatrixSetDiag"])
def test_batch_matrix_diagonals(tf: Any, tmp_path: Path, op: str) -> None:
    def function(x: Any, y: Any) -> Any:
        diagonal = {"diagonal": y} if op in ("MatrixDiag", "MatrixSetDiag") else {}
        matrix = {"input": x} if op != "MatrixDiag" else {}
        return getattr(tf.raw_ops, op)(**diagonal, **matrix)

    def change(node: Any) -> None:
        node.op = f"Batch{op}"

    renamed(tf, function, [uniform(2, 4, 5), uniform(2, 4, seed=1)], op, change, tmp_path)


def test_top_k_with_k_as_attribute(tf: Any, tmp_path: Path) -> None:
    def change(node: Any) -> None:
        node.op = "TopK"
        del node.input[1], node.attr["Tk"], node.attr["index_type"]
        node.attr["k"].i = 3

    renamed(tf, lambda x: tf.raw_ops.TopKV2(input=x, k=3), [uniform(4, 9)], "TopKV2", change, tmp_path)


@pytest.mark.parametrize("scaled", [True, False])
def test_batch_norm_with_global_normalization(tf: Any, tmp_path: Path, scaled: bool) -> None:
    scale, offset, mean, variance = (uniform(3, low=0.2, seed=seed) for seed in range(4))

    def function(x: Any) -> Any:
        gamma = tf.constant(scale if scaled else np.ones(3, np.float32))
        return tf.raw_ops.FusedBatchNormV3(
            x=x, scale=gamma, offset=offset, mean=mean, variance=variance, epsilon=0.01, is_training=False
        )[0]

    def change(node: Any) -> None:
        x, gamma, beta, mean, variance = node.input
        node.op = "BatchNormWithGlobalNormalization"
        node.ClearField("input")
        node.input.extend([x, mean, variance, beta, gamma])
        for name in list(node.attr):
            del node.attr[name]
        node.attr["variance_epsilon"].f = 0.01
        node.attr["scale_after_normalization"].b = scaled

    renamed(tf, function, [uniform(2, 5, 7, 3)], "FusedBatchNormV3", change, tmp_path)


def test_conv_backprop_like(tf: Any, tmp_path: Path) -> None:
    filter = uniform(3, 3, 5, 4, seed=1)

    def function(x: Any, like: Any) -> Any:
        y = tf.raw_ops.Conv2DBackpropInput(
            input_sizes=like.shape, filter=filter, out_backprop=x, strides=[1, 2, 2, 1], padding="SAME"
        )
        return y + 0 * like

    def change(node: Any) -> None:
        node.op, node.input[0] = "Conv2DBackpropInputV2", "x1"

    feed = [uniform(2, 5, 7, 4), uniform(2, 10, 13, 5)]
    renamed(tf, function, feed, "Conv2DBackpropInput", change, tmp_path)


_ACTIVATIONS = {"Relu": "relu", "Relu6": "relu6", "Elu": "elu", "LeakyRelu": "leaky_relu", "Tanh": "tanh",
                "Sigmoid": "sigmoid"}  # fmt: skip


@pytest.mark.parametrize("activation", ["", *_ACTIVATIONS])
@pytest.mark.parametrize("op", ["Conv2D", "DepthwiseConv2dNative", "MatMul"])
def test_fused_bias(tf: Any, tmp_path: Path, op: str, activation: str) -> None:
    """What the optimiser makes of a product, BiasAdd and an activation, against these."""
    x = uniform(2, 3) if op == "MatMul" else uniform(2, 6, 7, 3)
    weights, bias = uniform(3, 4) if op == "MatMul" else uniform(3, 3, 3, 4), uniform(12 if op[0] == "D" else 4)

    def function(x: Any) -> Any:
        if op == "MatMul":
            y = tf.raw_ops.MatMul(a=x, b=weights)
        else:
            y = getattr(tf.raw_ops, op)(input=x, filter=weights, strides=[1, 2, 2, 1], padding="SAME")
        y = tf.raw_ops.BiasAdd(value=y, bias=bias)
        return getattr(tf.nn, _ACTIVATIONS[activation])(y) if activation else tf.identity(y)

    fused = [b"BiasAdd", *([activation.encode()] if activation else [])]
    definition, names, wanted = traced(tf, function, [x])
    fuse(definition, op, "BiasAdd", activation, fused)
    found = OnnxRuntime(read(definition, names, tmp_path)).run({"x0": x})
    assert_equal(found[names[0]], wanted[0], 1e-5)


def fuse(definition: Any, op: str, second: str, third: str, fused: Sequence[bytes]) -> None:
    """`op`, what follows it and an activation become one node, under the name of the last."""
    nodes = {node.op: node for node in definition.node}
    first, last = nodes[op], nodes[third or second]
    arguments = list(nodes[second].input)[1:]
    attributes = dict(first.attr)
    last.op = f"_Fused{op}"
    last.ClearField("input")
    last.input.extend([*first.input, *arguments])
    for key in list(last.attr):
        del last.attr[key]
    for key, value in attributes.items():
        last.attr[key].CopyFrom(value)
    last.attr["num_args"].i = len(arguments)
    last.attr["fused_ops"].list.s.extend(fused)
    definition.node.remove(first)
    if third:
        definition.node.remove(nodes[second])


def test_fused_batch_norm(tf: Any, tmp_path: Path) -> None:
    x, weights = uniform(2, 6, 7, 3), uniform(3, 3, 3, 4)
    scale, offset, mean, variance = (uniform(4, low=0.2, seed=seed) for seed in range(4))

    def function(x: Any) -> Any:
        y = tf.raw_ops.Conv2D(input=x, filter=weights, strides=[1, 1, 1, 1], padding="VALID")
        y = tf.raw_ops.FusedBatchNormV3(
            x=y, scale=scale, offset=offset, mean=mean, variance=variance, epsilon=0.02, is_training=False
        )[0]
        return tf.nn.relu(y)

    definition, names, wanted = traced(tf, function, [x])
    fuse(definition, "Conv2D", "FusedBatchNormV3", "Relu", [b"FusedBatchNorm", b"Relu"])
    next(node for node in definition.node if node.op == "_FusedConv2D").attr["epsilon"].f = 0.02
    found = OnnxRuntime(read(definition, names, tmp_path)).run({"x0": x})
    assert_equal(found[names[0]], wanted[0], 1e-5)


# -------------------------------------------------------------- quantised types


@pytest.mark.parametrize("dtype", ["quint8", "qint8", "quint16", "qint16"])
@pytest.mark.parametrize("mode", ["MIN_COMBINED", "SCALED"])
def test_dequantize(tf: Any, tmp_path: Path, dtype: str, mode: str) -> None:
    plain = np.dtype(dtype.replace("q", ""))
    range_ = np.iinfo(plain)
    x = np.random.default_rng(0).integers(range_.min, range_.max, (3, 5), plain, endpoint=True)

    def function(x: Any) -> Any:
        quantised = tf.raw_ops.Bitcast(input=x, type=tf.dtypes.as_dtype(dtype))
        low = 0.0 if dtype[1] == "u" else -1.5
        return tf.raw_ops.Dequantize(input=quantised, min_range=low, max_range=2.25, mode=mode)

    compare(tf, function, [x], tmp_path)


# -------------------------------------------------------------------- randomness


def drawn(tf: Any, function: Callable[..., Any], folder: Path, feed: Sequence[np.ndarray] = ()) -> np.ndarray:
    definition, names, (like,) = traced(tf, function, feed)
    graph = read(definition, names, folder)
    assert any("random" in problem.what for problem in graph.warnings)
    found = OnnxRuntime(graph).run({f"x{i}": x for i, x in enumerate(feed)})[names[0]]
    assert (found.dtype, found.shape) == (like.dtype, like.shape)
    return found


@pytest.mark.parametrize("computed", [False, True])
def test_random_numbers(tf: Any, tmp_path: Path, computed: bool) -> None:
    """By their first two moments: the generator is another one than TensorFlow's."""
    feed = [np.array([50, 60, 20], np.int32)] if computed else []
    shape = (lambda *x: x[0]) if computed else (lambda *_: [50, 60, 20])
    uniform = drawn(tf, lambda *x: tf.raw_ops.RandomUniform(shape=shape(*x), dtype=np.float32), tmp_path, feed)
    assert (uniform >= 0).all()
    assert (uniform < 1).all()
    assert (uniform.mean(), uniform.var()) == pytest.approx((1 / 2, 1 / 12), abs=0.005)
    normal = drawn(tf, lambda *x: tf.raw_ops.RandomStandardNormal(shape=shape(*x), dtype=np.float32), tmp_path, feed)
    assert (normal.mean(), normal.var()) == pytest.approx((0, 1), abs=0.02)
    whole = drawn(tf, lambda *x: tf.raw_ops.RandomUniformInt(shape=shape(*x), minval=-3, maxval=5), tmp_path, feed)
    assert set(np.unique(whole).tolist()) == set(range(-3, 5))


def test_multinomial(tf: Any, tmp_path: Path) -> None:
    logits = np.log(np.array([[0.2, 0.5, 0.3], [0.9, 0.05, 0.05]], np.float32))
    found = drawn(tf, lambda x: tf.raw_ops.Multinomial(logits=x, num_samples=20_000), tmp_path, [logits])
    shares = np.stack([np.bincount(row, minlength=3) / row.size for row in found])
    np.testing.assert_allclose(shares, np.exp(logits), atol=0.02)


def test_random_shuffle(tf: Any, tmp_path: Path) -> None:
    x = np.arange(200, dtype=np.float32).reshape(100, 2)
    found = drawn(tf, lambda x: tf.raw_ops.RandomShuffle(value=x), tmp_path, [x])
    assert not np.array_equal(found, x)
    np.testing.assert_array_equal(found[np.argsort(found[:, 0])], x)


# ------------------------------------------------------------- an unknown batch


def keras_transposed(tf: Any, x: Any) -> Any:
    """The size as Keras computes it: from the batch of the input."""
    return tf.nn.conv2d_transpose(x, uniform(3, 3, 5, 4, seed=1), tf.stack([tf.shape(x)[0], 14, 18, 5]), [1, 2, 2, 1])


_OF_A_BATCH = {
    "transposed": keras_transposed,
    "dilated": lambda tf, x: dilated(tf, x, uniform(3, 3, 4, 2, seed=1), 2, "SAME", "Conv2D"),
    "blocks": lambda tf, x: tf.batch_to_space(tf.space_to_batch(x, [1, 3], [[0, 0], [1, 2]]), [1, 3], [[0, 0], [1, 2]]),
    "tiles": lambda tf, x: tf.image.extract_patches(x, [1, 2, 3, 1], [1, 2, 3, 1], [1, 1, 1, 1], "VALID"),
    "patches": lambda tf, x: tf.image.extract_patches(x, [1, 2, 3, 1], [1, 1, 2, 1], [1, 1, 1, 1], "SAME"),
    "bicubic": lambda tf, x: tf.image.resize(x, (5, 12), "bicubic"),
    "antialiased": lambda tf, x: tf.image.resize(x, (5, 4), "lanczos3", antialias=True),
    "diagonals": lambda tf, x: tf.linalg.diag_part(x, k=(-1, 1)),
    "band": lambda tf, x: tf.linalg.band_part(x, 1, 2),
    "attention": lambda tf, x: tf.einsum("bihd,bjhd->bhij", x, x),
    "projection": lambda tf, x: tf.einsum("bijd,dhk->bijhk", x, uniform(4, 2, 3, seed=1)),
    "moments": lambda tf, x: tf.raw_ops.FusedBatchNormV3(
        x=x, scale=uniform(4), offset=uniform(4), mean=[], variance=[], is_training=True)[0],
    "spectrum": lambda tf, x: tf.abs(tf.signal.rfft(x)),
    "best": lambda tf, x: tf.math.top_k(x, 2)[0],
}  # fmt: skip


@pytest.mark.parametrize("name", _OF_A_BATCH)
def test_unknown_batch(tf: Any, tmp_path: Path, name: str) -> None:
    """All other sizes of the result are known."""
    specs = [tf.TensorSpec((None, 7, 9, 4), np.float32, name="x0")]
    function = tf.function(lambda x: _OF_A_BATCH[name](tf, x), autograph=False, input_signature=specs)
    concrete = function.get_concrete_function()
    output = concrete.outputs[0].name.removesuffix(":0")
    graph = read(concrete.graph.as_graph_def(), [output], tmp_path)
    assert all(isinstance(dim, int) for dim in (graph.outputs[0].shape or (None,) * 2)[1:])
    x = uniform(3, 7, 9, 4)
    assert_equal(OnnxRuntime(graph).run({"x0": x})[output], np.asarray(concrete(tf.constant(x))), 1e-5)


# --------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda tf, x: tf.raw_ops.Cast(x=x, DstT=np.float16, Truncate=True), "truncates"),
        (lambda tf, x: tf.raw_ops.Bitcast(input=x, type=tf.int8), "another size"),
        (lambda tf, x: tf.reduce_sum(x, tf.cast(x[0, 0], tf.int32)), "computed by the network"),
        (lambda tf, x: tf.raw_ops.MaxPool(input=x[:, None, None], ksize=[1, 1, 1, 2], strides=[1, 1, 1, 2],
                                          padding="VALID"), "over batch or channels"),
        (lambda tf, x: tf.raw_ops.QuantizeAndDequantizeV2(input=x, input_min=0.0, input_max=1.0, num_bits=8,
                                                          round_mode="HALF_TO_EVEN", axis=-1, range_given=True) +
         tf.raw_ops.FakeQuantWithMinMaxVars(inputs=x, min=x[0, 0], max=x[0, 1]), "computed by the network"),
        (lambda tf, x: tf.raw_ops.NonMaxSuppressionV5(
            boxes=x, scores=x[:, 0], max_output_size=3, iou_threshold=0.5, score_threshold=0.0, soft_nms_sigma=0.5,
        )[1], "soft suppression"),
    ],
)  # fmt: skip
def test_refused(tf: Any, tmp_path: Path, function: Callable[..., Any], reason: str) -> None:
    specs = [tf.TensorSpec((6, 4), np.float32, name="x0")]
    concrete = tf.function(lambda x: function(tf, x), autograph=False, input_signature=specs).get_concrete_function()
    with pytest.raises(UnsupportedError, match=reason):
        read(concrete.graph.as_graph_def(), [concrete.outputs[0].name.removesuffix(":0")], tmp_path)
