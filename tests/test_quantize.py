"""Quantisation from end to end: what is chosen, what stands in the graph then, and what each target makes of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import netglot
from netglot import formats
from netglot.errors import ConversionError
from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Node
from netglot.passes import pipeline
from netglot.quantize import choose, weights
from netglot.quantize.budget import search
from netglot.quantize.insert import insert
from netglot.quantize.interface import integer_ends
from netglot.quantize.request import Request
from netglot.quantize.scheme import COMPUTES, MODES, scheme
from netglot.quantize.shrink import measured_in_float, shrink
from netglot.runtimes.onnxruntime import OnnxRuntime
from netglot.shrinking import request_of
from tests.oracles import SHARED

ALL_COMPRESS = ("lossless", "prune", "palettize")
INT8, UINT8, INT4 = np.dtype(np.int8), np.dtype(np.uint8), scheme("int4", "onnx").weights


def data(count: int = 16, seed: int = 1) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    return [{"x": rng.standard_normal((1, 3, 8, 8)).astype(np.float32)} for _ in range(count)]


def branches(seed: int = 0) -> Graph:
    """A residual block, branches that are concatenated, a pool, a product and a Softmax."""
    rng = np.random.default_rng(seed)

    def w(*shape: int) -> np.ndarray:
        return (rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)

    g = Builder()
    x = g.graph.add_input("x", np.dtype(np.float32), (1, 3, 8, 8))
    first = g.Relu(g.Conv(x, w(40, 3, 3, 3), w(40), pads=[1, 1, 1, 1]))
    second = g.Conv(first, w(40, 40, 1, 1), w(40))
    added = g.Relu(g.Add(first, second))
    joined = g.Concat(g.MaxPool(added, kernel_shape=[2, 2], strides=[2, 2]),
                      g.Conv(added, w(8, 40, 2, 2), strides=[2, 2]), axis=1)  # fmt: skip
    flat = g.Flatten(g.GlobalAveragePool(joined))
    y = g.Softmax(g.Gemm(flat, w(48, 24), w(24)), name="y")
    g.graph.outputs = [y]
    return pipeline.run(g.graph, pipeline.COMMON)


# ----------------------------------------------------------------------- weights


def test_weights_are_those_of_torch() -> None:
    """Per channel, symmetric: as torch rounds with the same scales."""
    torch = pytest.importorskip("torch")
    w = np.random.default_rng(0).standard_normal((6, 5, 3, 3)).astype(np.float32)
    found = weights.symmetric(w, INT8, 0)
    scales = torch.from_numpy(np.abs(w).max(axis=(1, 2, 3)) / 127)
    wanted = torch.quantize_per_channel(torch.from_numpy(w), scales, torch.zeros(6), 0, torch.qint8)
    np.testing.assert_array_equal(found.data, wanted.int_repr().numpy())
    np.testing.assert_allclose(found.scale, scales.numpy(), rtol=1e-7)


def test_few_bits_clip_outliers() -> None:
    w = np.random.default_rng(0).standard_normal((4, 256)).astype(np.float32)
    w[:, 0] = 6
    found, whole = weights.symmetric(w, INT4, 0), np.abs(w).max(axis=1) / 7

    def error(scale: np.ndarray) -> float:
        q = np.clip(np.rint(w / scale[:, None]), -7, 7)
        return float(np.square(q * scale[:, None] - w).sum())

    assert error(found.scale) < 0.8 * error(whole)


@pytest.mark.parametrize("size", [32, 64, 40, 7])
@pytest.mark.parametrize("axis", [0, 1])
def test_blocks(size: int, axis: int) -> None:
    shape = (size, 3) if axis == 0 else (3, size)
    w = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    found = weights.blockwise(w, INT4, axis, 32)
    assert found.scale.shape[axis] == -(-size // 32)
    full = np.repeat(found.scale, 32, axis=axis).take(range(size), axis=axis)
    assert np.abs(found.data.astype(np.float32)).max() <= 7
    clipped = np.abs(w) > 7 * full
    assert (np.abs(found.data * full - w)[~clipped] <= full[~clipped] / 2 + 1e-6).all()


def test_asymmetric_holds_zero() -> None:
    w = np.array([0.5, 1.0, 3.0], np.float32)
    found = weights.asymmetric(w, UINT8)
    assert found.zero == 0
    np.testing.assert_allclose(found.data * found.scale, w, atol=found.scale / 2)


def test_empty_channels_have_a_scale() -> None:
    found = weights.symmetric(np.zeros((2, 3), np.float32), INT8, 0)
    assert (found.scale == 1).all()
    assert not found.data.any()


@pytest.mark.parametrize(
    ("low", "high", "dtype", "symmetric", "wanted"),
    [
        (0.0, 2.55, "uint8", False, (0.01, 0)),
        (0.0, 2.55, "int8", False, (0.01, -128)),
        (-1.28, 1.27, "int8", False, (0.01, 0)),
        (-1.0, 2.0, "int16", True, (2 / 32767, 0)),
        (1.0, 2.55, "uint8", False, (0.01, 0)),  # 0 is always on the grid
        (0.0, 0.0, "uint8", False, (1.0, 128)),
    ],
)
def test_grids(low: float, high: float, dtype: str, symmetric: bool, wanted: tuple[float, int]) -> None:
    found = choose.grid(low, high, np.dtype(dtype), symmetric)
    assert found.scale == pytest.approx(wanted[0], rel=1e-6)
    assert found.zero == wanted[1]


# ------------------------------------------------------------------------ choice


def grids(graph: Graph, target: str = "tflite") -> dict[str, tuple[float, int]]:
    """(scale, zero point) of every QuantizeLinear, by what it quantises."""
    found = (node for node in graph.nodes() if node.op == "QuantizeLinear")
    return {node.inputs[0].name.removesuffix("/unquantized"): _numbers(node) for node in found if node.inputs[0]}


def _numbers(node: Node) -> tuple[float, int]:
    scale, zero = node.inputs[1], node.inputs[2]
    assert scale is not None
    assert zero is not None
    return float(scale.array), int(zero.array)


def quantised(mode: str = "int8", target: str = "tflite", **options: object) -> Graph:
    graph = branches()
    return shrink(graph, target, Request(quantize=mode, calibrate=data(), **options)).graph  # type: ignore[arg-type]


def test_what_moves_shares_a_grid() -> None:
    graph = branches()
    pool, joined = (next(node.output.name for node in graph.nodes() if node.op == op) for op in ("MaxPool", "Concat"))
    found = grids(quantised())
    assert found[pool] == found[joined]
    assert len(set(found.values())) > 4  # others have their own


def test_no_grid_between_a_layer_and_its_relu() -> None:
    graph = branches()
    inner = [node.inputs[0].name for node in graph.nodes() if node.op == "Relu" and node.inputs[0]]
    assert len(inner) == 2
    assert not set(inner) & set(grids(quantised()))


def test_softmax_has_the_grid_of_its_range() -> None:
    assert grids(quantised())["y"] == (1 / 256, -128)
    assert grids(quantised("uint8", "onnx"))["y"] == (1 / 256, 0)


def test_names_stand_for_the_same_tensors() -> None:
    """Every float tensor of the original is there under its name, and near to what it was."""
    graph, changed = branches(), quantised()
    names = [node.output.name for node in graph.nodes()]
    assert all(name in changed for name in names)
    assert [value.name for value in changed.outputs] == ["y"]
    changed.check()


@pytest.mark.parametrize("target", COMPUTES)
def test_what_stays_float(target: str) -> None:
    """Between float operators there are no pairs: they would cost time and precision and gain nothing."""
    g = Builder()
    x = g.graph.add_input("x", np.dtype(np.float32), (1, 3, 8, 8))
    w = np.random.default_rng(0).standard_normal((3, 3, 1, 1)).astype(np.float32)
    wave = g.Add(g.Mul(g.Sin(g.Conv(x, w)), 2.0), 1.0)
    g.graph.outputs = [g.Conv(wave, w)]
    found = choose.integer_nodes(g.graph, scheme("int8", target))
    assert [node.op for node in found] == ["Conv", "Conv"]


def test_small_scales_still_hold_the_bias() -> None:
    """A channel of tiny weights with a large bias: the bias does not saturate in steps of the product of scales."""
    g = Builder()
    x = g.graph.add_input("x", np.dtype(np.float32), (1, 3, 8, 8))
    w = np.full((2, 3, 1, 1), 1e-9, np.float32)
    g.graph.outputs = [g.Conv(x, w, np.array([50.0, 0.0], np.float32), name="y")]
    changed = shrink(g.graph, "tflite", Request(quantize="int8", calibrate=data())).graph
    found = OnnxRuntime(changed).run(data()[0])["y"]
    np.testing.assert_allclose(found[0, 0], 50, rtol=0.01)


# --------------------------------------------------------------------- arithmetic

# dB that each mode reaches on the little network of random weights, all targets alike.
LEAST = {"int8": 25, "uint8": 22, "int16x8": 30, "int8-dynamic": 30, "int4": 12}


@pytest.mark.parametrize("target", COMPUTES)
@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "fp16"])
def test_every_mode_comes_near(mode: str, target: str) -> None:
    try:
        scheme(mode, target)
    except ConversionError:
        pytest.skip("this target has no such mode")
    made = shrink(branches(), target, Request(quantize=mode, calibrate=data(), evaluate=data(seed=2)))
    made.graph.check()
    found = made.report.agreement
    assert found is not None
    assert LEAST[mode] < min(found.sqnr.values()) < 100
    assert made.report.size_after < made.report.size_before
    assert made.report.worst(3)


def test_more_bits_are_nearer() -> None:
    reached = {mode: shrink(branches(), "tflite", Request(quantize=mode, calibrate=data())).report.agreement
               for mode in ("int8", "int16x8")}  # fmt: skip
    assert reached["int8"] is not None
    assert reached["int16x8"] is not None
    assert reached["int16x8"].sqnr["y"] > reached["int8"].sqnr["y"]


@pytest.mark.parametrize("io", ["int8", "uint8"])
@pytest.mark.parametrize("mode", ["int8", "uint8"])
def test_integer_ends(mode: str, io: str) -> None:
    """With inputs and outputs as integers the same numbers come out."""
    given = Request(quantize=mode, calibrate=data(), method="minmax")
    plain = shrink(branches(), "onnx", given).graph
    graph = plain.copy()
    ends = {end.name: end.grid for end in integer_ends(graph, np.dtype(io))}
    graph.check()
    assert [value.dtype for value in (*graph.inputs, *graph.outputs)] == [np.dtype(io)] * 2
    for sample in data(4, seed=3):
        wanted = OnnxRuntime(plain).run(sample)["y"]
        found = OnnxRuntime(graph).run({"x": ends["x"].quantised(sample["x"])})["y"]
        np.testing.assert_allclose(ends["y"].real(found), wanted, atol=1e-6)


def test_no_integer_ends() -> None:
    with pytest.raises(ConversionError, match="no input or output is quantised"):
        integer_ends(branches(), INT8)


# ------------------------------------------------------------------------- budget


def test_the_fewest_operators() -> None:
    """Two of eight do all the damage; the ranking puts another between them."""
    ranked = ["bad", "good", "worse", "a", "b", "c", "d", "e"]
    found = search(ranked, lambda floats: 0.5 * ("bad" not in floats) + 0.3 * ("worse" not in floats), 0.01)
    assert found.met
    assert set(found.floats) == {"bad", "worse"}
    assert found.drops[0] == 0.8
    assert found.drops[-1] == 0


def test_nothing_to_do_for_the_budget() -> None:
    assert search(["a", "b"], lambda floats: 0.001, 0.01).floats == []


def test_a_budget_that_can_not_be_met() -> None:
    found = search(["a", "b", "c"], lambda floats: 0.5 - 0.1 * len(floats), 0.01)
    assert not found.met
    assert found.drops == pytest.approx([0.5, 0.3])  # at least one stays quantised


def badly_scaled() -> Graph:
    """Channels of the first layer differ ten-thousandfold, and the second layer makes them equal again."""
    rng = np.random.default_rng(0)
    factors = np.logspace(0, 4, 16).astype(np.float32)
    g = Builder()
    x = g.graph.add_input("x", np.dtype(np.float32), (1, 3, 8, 8))
    w = rng.standard_normal((16, 3, 3, 3)).astype(np.float32) * factors[:, None, None, None] / 5
    v = rng.standard_normal((16, 16, 3, 3)).astype(np.float32) / factors[:, None, None] / 12
    t = g.Conv(g.Clip(g.Conv(x, w, name="bad"), -1e6, 1e6), v, name="next")
    for i in range(3):
        t = g.Relu(g.Conv(t, rng.standard_normal((16, 16, 1, 1)).astype(np.float32) / 3, name=f"good{i}"))
    flat = g.Flatten(g.GlobalAveragePool(t))
    g.graph.outputs = [g.Gemm(flat, rng.standard_normal((16, 10)).astype(np.float32), name="y")]
    return g.graph


def test_max_drop_names_the_bad_layer() -> None:
    graph, calibrate, held_out = badly_scaled(), data(32), data(64, seed=2)
    plain = shrink(graph, "onnx", Request(quantize="int8", calibrate=calibrate, evaluate=held_out))
    assert plain.report.agreement is not None
    assert plain.report.agreement.drop > 0.05
    kept = shrink(graph, "onnx", Request(quantize="int8", calibrate=calibrate, evaluate=held_out, max_drop=0.01))
    assert kept.report.agreement is not None
    assert kept.report.agreement.drop <= 0.01
    names = [row.layer for row in kept.report.kept]
    assert "bad" in names
    assert len(names) < 4
    assert any("channel" in row.why for row in kept.report.kept)
    assert sum(row.runs_in.startswith("int8") for row in kept.report.layers) >= 4


def test_a_budget_that_can_not_be_met_says_the_best() -> None:
    rng = np.random.default_rng(0)
    g = Builder()
    x = g.graph.add_input("x", np.dtype(np.float32), (1, 3, 8, 8))
    w = (
        rng.standard_normal((16, 3, 3, 3)).astype(np.float32)
        * np.logspace(0, 6, 16).astype(np.float32)[:, None, None, None]
    )
    g.graph.outputs = [g.Conv(x, w, name="y")]
    with pytest.raises(ConversionError, match="can't be met: the best drop is 0"):
        shrink(g.graph, "onnx", Request(quantize="int8", calibrate=data(), max_drop=1e-4))


# ------------------------------------------------------------------------- requests


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"quantize": "int8"}, "must see data"),
        ({"quantize": "int8", "calibrate": [], "method": "guess"}, "no method 'guess'"),
        ({"quantize": "int16x8", "calibrate": []}, "no --quantize int16x8 for cpp"),
        ({"quantize": "int8-dynamic", "io": "int8"}, "--quantize-io needs"),
        ({"quantize": "int8", "calibrate": [], "io": "int4"}, "can't be 'int4'"),
        ({"quantize": "int8", "calibrate": [], "max_drop": 2.0}, "share from 0 to 1"),
        ({"quantize": "fp16", "max_drop": 0.1, "calibrate": []}, "--max-drop needs --quantize"),
        ({"quantize": "int8-dynamic", "max_drop": 0.1}, "--max-drop needs data"),
        ({"quantize": "int8", "calibrate": [], "max_drop": "0.1"}, "share from 0 to 1"),
        ({"quantize": "int8", "calibrate": [], "preprocess": "bgr"}, "--preprocess bgr is for images"),
        ({"quantize": "int8-dynamic", "preprocess": "bgr"}, "--preprocess bgr is for images"),
        ({"quantize": "fp16", "evaluate": []}, "--evaluate says"),
        ({"quantize": "int8", "calibrate": [], "executor": 3}, "a int is no executor"),
        ({"compress": "zip"}, "zip"),
        ({"compress": "palettize:4", "quantize": "int8-dynamic"}, "not both"),
    ],
)
def test_what_can_not_be_asked(given: dict[str, object], wanted: str) -> None:
    with pytest.raises(ConversionError, match=wanted):
        Request(**given).check("cpp", ALL_COMPRESS)  # type: ignore[arg-type]


def test_core_ml_has_no_integer_ends() -> None:
    with pytest.raises(ConversionError, match="no inputs and outputs of 8 bits"):
        Request(quantize="int8", calibrate=[], io="int8").check("coreml", ALL_COMPRESS)


def test_a_method_where_no_ranges_are_chosen() -> None:
    given = {"quantize": "int8-dynamic", "method": "kl"}
    with pytest.raises(ConversionError, match="--method says how int8, uint8 and int16x8"):
        request_of(formats.get("onnx"), given)
    assert request_of(formats.get("onnx"), given | {"quantize": "int8", "calibrate": data()}) is not None


def test_nothing_to_quantise() -> None:
    g = Builder()
    x = g.graph.add_input("x", np.dtype(np.float32), (1, 3, 8, 8))
    g.graph.outputs = [g.Sin(x)]
    with pytest.raises(ConversionError, match="no operator of this network"):
        shrink(g.graph, "tflite", Request(quantize="int8", calibrate=data()))


def test_data_that_is_not_there_is_missing_whatever_else_is_said(tmp_path: Path) -> None:
    given = Request(quantize="int8", calibrate=tmp_path / "photos", preprocess="bgr")
    given.check("tflite", ALL_COMPRESS)
    with pytest.raises(ConversionError, match="photos: there is no such file or folder"):
        shrink(branches(), "tflite", given)


def test_why_there_is_nothing_to_quantise() -> None:
    g = Builder()
    g.graph.outputs = [g.MatMul(g.graph.add_input("x", np.dtype(np.float32), (1, 4)), np.ones((4, 4), np.float32))]
    with pytest.raises(ConversionError, match="1,024 numbers or more"):
        shrink(g.graph, "onnx", Request(quantize="int4"))
    done = shrink(branches(), "onnx", Request(quantize="int8", calibrate=data())).graph
    with pytest.raises(ConversionError, match="quantised already"):
        shrink(done, "onnx", Request(quantize="int8", calibrate=data()))


def test_nan_in_the_data() -> None:
    samples = data()
    samples[3]["x"][0, 0, 0, 0] = np.nan
    with pytest.raises(ConversionError, match="NaN"):
        shrink(branches(), "tflite", Request(quantize="int8", calibrate=samples))


def test_wrong_shape_of_the_data() -> None:
    with pytest.raises(ConversionError, match="shape"):
        shrink(branches(), "tflite", Request(quantize="int8", calibrate=[{"x": np.zeros((1, 3, 9, 8), np.float32)}]))


# ---------------------------------------------------------------------------- files


@pytest.fixture
def samples() -> list[dict[str, np.ndarray]]:
    return data(8)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.tflite", {"quantize": "int8"}),
        ("a.tflite", {"quantize": "uint8"}),
        ("a.tflite", {"quantize": "int16x8"}),
        ("a.tflite", {"quantize": "int8-dynamic"}),
        ("a.tflite", {"quantize": "int4"}),
        ("a.tflite", {"quantize": "int8", "quantize_io": "uint8"}),
        ("a.tflite", {"quantize": "int8", "quantize_io": "int8", "io_layout": "nhwc"}),
        ("a.tflite", {"quantize": "int8", "compress": "prune:0.5"}),
        ("a.onnx", {"quantize": "int8"}),
        ("a.onnx", {"quantize": "int4"}),
        ("a.onnx", {"quantize": "int8-dynamic"}),
        ("a.onnx", {"compress": "palettize:4"}),
        ("a.onnx", {"compress": "prune:0.7"}),
        ("a.mlpackage", {"quantize": "int8"}),
        ("a.mlpackage", {"quantize": "int4"}),
        ("a.mlpackage", {"compress": "prune:0.5+palettize:3"}),
        ("a_cpp", {"quantize": "uint8"}),
        ("a_cpp", {"compress": "prune:0.5+palettize:3"}),
    ],
    ids=lambda item: item if isinstance(item, str) else "-".join(map(str, item.values())),
)
def test_files(name: str, options: dict[str, str], samples: list[dict[str, np.ndarray]], tmp_path: Path) -> None:
    """Written, and equal to the quantised graph: netglot.convert proves it, with the runtime of the target."""
    netglot.save(branches(), tmp_path / "source.onnx")
    given = {"calibrate": samples} if options.get("quantize") in ("int8", "uint8", "int16x8") else {}
    report = netglot.convert(tmp_path / "source.onnx", tmp_path / name, **options, **given)
    assert report.ok, report.outputs
    assert report.samples == 4
    assert report.quantization.mode == options.get("quantize", "")
    assert "quantised graph" in report.expected_by
    assert '"quantization": {' in report.to_json()


# --------------------------------------------------------- quantised beside reference


def test_integer_files_are_equal_on_photos(tmp_path: Path) -> None:
    """A real network as int8 TFLite: the classes of the float network on photos."""
    if not (SHARED / "models").is_dir():
        pytest.skip("needs the shared models")
    pytest.importorskip("PIL")
    models = SHARED / "models"
    report = netglot.convert(
        models / "caffe/squeezenet_v1.0.prototxt", tmp_path / "a.tflite", quantize="int8", calibrate=models / "photos",
        preprocess="bgr,mean=104:117:123", method="minmax",
    )  # fmt: skip
    assert report.ok
    assert report.quantization.agreement.top1 == 1
    assert report.size < 1_400_000  # 1.25 million weights, and a scale and zero point for each channel
    assert min(report.quantization.agreement.sqnr.values()) > 20


def test_insert_needs_no_data_for_weights() -> None:
    """int8-dynamic and int4 are made without any sample."""
    graph = branches()
    plan = choose.plan(graph, scheme("int4", "onnx"), {}, lambda seen: (0.0, 0.0))
    insert(graph, plan)
    assert {node.op for node in graph.nodes()} >= {"DequantizeLinear"}
    assert "QuantizeLinear" not in {node.op for node in graph.nodes()}


def test_grids_measured_at_run_time_are_left_out() -> None:
    """LiteRT measures a grid for each row: its files are compared with what both stand for."""
    graph = branches()
    changed = shrink(graph, "tflite", Request(quantize="int8-dynamic")).graph
    plain = measured_in_float(changed)
    plain.check()
    assert "DynamicQuantizeLinear" in {node.op for node in changed.nodes()}
    assert "DynamicQuantizeLinear" not in {node.op for node in plain.nodes()}
    wanted, rounded, found = (OnnxRuntime(one).run(data()[0])["y"] for one in (graph, changed, plain))
    assert 0 < np.abs(found - rounded).max() < 0.02
    assert np.abs(found - wanted).max() < 0.02


def test_compression_alone_is_measured() -> None:
    made = shrink(branches(), "onnx", Request(compress="prune:0.4", calibrate=data(), evaluate=data(seed=2)))
    found = made.report.agreement
    assert found is not None
    assert 3 < found.sqnr["y"] < 60
    assert made.is_changed
    lossless = shrink(branches(), "onnx", Request(compress="lossless", calibrate=data()))
    assert lossless.report.agreement is not None
    assert lossless.report.agreement.sqnr["y"] == np.inf
    assert not lossless.is_changed
