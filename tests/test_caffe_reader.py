"""How a Caffe network is read: what its errors say, what is upgraded, what is dropped, what is reported."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from netglot.errors import BAD_INPUT, UNSUPPORTED, ConversionError, UnsupportedError
from netglot.frontends.caffe import CaffeBuilder, caffe_layer, load
from netglot.frontends.caffe.upgrade import v1_type
from netglot.frontends.options import LoadOptions, TensorSpec
from netglot.ir.graph import Graph, Value
from netglot.registry import registry
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests.caffe import wire
from tests.caffe.cases import CASES, Case, layer, v0, v1

GOLDENS = Path(__file__).parent / "caffe" / "goldens"
INPUT = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 7 } } }\n'
CONV = layer("Convolution", params="convolution_param { num_output: 4 kernel_size: 3 }")
WEIGHT = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)
BIAS = np.array([1, 2, 3, 4], np.float32)


class Folder:
    """Writes a network (and weights: layer -> blobs) and loads it."""

    def __init__(self, path: Path) -> None:
        self.prototxt, self.caffemodel = path / "net.prototxt", path / "net.caffemodel"

    def load(
        self,
        text: str,
        weights: dict[str, Sequence[np.ndarray]] | bytes | None = None,
        options: LoadOptions = LoadOptions(),
    ) -> Graph:
        self.prototxt.write_bytes(text.encode())
        if isinstance(weights, dict):
            weights = wire.caffemodel("net", {name: ("Convolution", list(blobs)) for name, blobs in weights.items()})
        if weights is not None:
            self.caffemodel.write_bytes(weights)
        graph = load(self.prototxt, self.caffemodel if weights is not None else None, options)
        graph.check()
        return graph

    def fails(self, text: str, weights: dict[str, Sequence[np.ndarray]] | bytes | None = None) -> ConversionError:
        """The error of `load`; that of bad input, not of an unsupported operator."""
        with pytest.raises(ConversionError) as caught:
            self.load(text, weights)
        assert caught.value.exit_code == BAD_INPUT
        return caught.value


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def warnings(graph: Graph) -> list[str]:
    return [problem.what for problem in graph.warnings]


# Weights that do not fit.


def test_a_wrong_shape_names_layer_expected_and_found(folder: Folder) -> None:
    error = folder.fails(INPUT + CONV, {"out": [np.ones((4, 3, 5, 5)), BIAS]})
    assert "net.prototxt:2 layer 'out'" in str(error)
    assert "expected 4x3x3x3, found 4x3x5x5" in str(error)
    assert "belongs to this prototxt" in str(error)


def test_legacy_ones_before_a_shape_are_fine(folder: Folder) -> None:
    graph = folder.load(INPUT + CONV, {"out": [WEIGHT, BIAS.reshape(1, 1, 1, 4)]})
    assert graph.outputs[0].shape == (2, 4, 3, 5)


@pytest.mark.parametrize(
    ("blobs", "what"),
    [
        ([WEIGHT], "no weights for Convolution: expected a blob of 4, found none"),
        ([WEIGHT, BIAS, BIAS], "takes at most 3 inputs and got 4"),
    ],
)
def test_too_few_or_many_blobs(folder: Folder, blobs: list[np.ndarray], what: str) -> None:
    assert what in str(folder.fails(INPUT + CONV, {"out": blobs}))


def test_a_blob_that_the_layer_has_no_use_for(folder: Folder) -> None:
    text = CONV.replace("kernel_size: 3", "kernel_size: 3 bias_term: false")
    assert "Convolution has 1 learned blobs here, found 2" in str(folder.fails(INPUT + text, {"out": [WEIGHT, BIAS]}))


def test_no_weights_file(folder: Folder) -> None:
    error = folder.fails(INPUT + CONV)
    assert "no weights for Convolution" in str(error)
    assert "give the .caffemodel too" in str(error)


def test_weights_of_another_network(folder: Folder) -> None:
    error = folder.fails(INPUT + CONV, {"other": [WEIGHT, BIAS]})
    assert "expected a blob of 4x3x3x3, found none" in str(error)
    assert "belongs to this prototxt" in str(error)


def test_layers_that_only_the_weights_have_are_fine(folder: Folder) -> None:
    graph = folder.load(INPUT + CONV, {"loss": [BIAS], "out": [WEIGHT, BIAS]})
    assert [node.op for node in graph.nodes()] == ["Conv"]


def test_placeholders_stand_for_missing_weights(folder: Folder) -> None:
    graph = folder.load(INPUT + CONV, None, LoadOptions(placeholders=True))
    assert graph.outputs[0].shape == (2, 4, 3, 5)


@pytest.mark.parametrize("cut", [1, 2, 9, 30, 100, 400])
def test_truncated_caffemodel(folder: Folder, cut: int) -> None:
    whole = wire.caffemodel("net", {"out": ("Convolution", [WEIGHT, BIAS])})
    assert "net.caffemodel: not a whole .caffemodel" in str(folder.fails(INPUT + CONV, whole[:-cut]))


def test_ten_gigabytes_claimed_by_one_kilobyte(folder: Folder) -> None:
    blob = wire.shape(np.broadcast_to(np.float32(0), (50_000, 50_000))) + wire.key(5, 2) + wire.varint(10**10)
    inner = wire.text(1, "out") + wire.key(7, 2) + wire.varint(10**10 + 20) + blob
    data = wire.key(100, 2) + wire.varint(10**10 + 40) + inner + bytes(1000)
    assert "a field claims 10,000,000,040 bytes where only" in str(folder.fails(INPUT + CONV, data))


def test_a_shape_that_its_numbers_do_not_fill(folder: Folder) -> None:
    blob = wire.shape(np.broadcast_to(np.float32(0), (50_000, 50_000))) + wire.packed(BIAS)
    data = wire.message(100, wire.text(1, "out") + wire.message(7, blob))
    assert "layer 'out' has shape 50000x50000 but 4 numbers" in str(folder.fails(INPUT + CONV, data))


def test_a_text_file_as_weights(folder: Folder) -> None:
    assert "net.caffemodel: not a whole .caffemodel" in str(folder.fails(INPUT + CONV, INPUT.encode()))


# Networks that are wrong.


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (layer("ReLU", "nothing"), "net.prototxt:2 layer 'out': the bottom 'nothing' is not there"),
        (layer("ReLU", "later") + layer("TanH", "data", "later"), "'later' makes it only at line 3: a cycle"),
        (layer("ReLU", "b", "a") + layer("TanH", "a", "b"), "'b' makes it only at line 3: a cycle"),
        (layer("ReLU", "a", "a"), "the bottom 'a' is not there"),
        (layer("ReLU", top="a") + layer("TanH", top="a"), "the blob 'a' is made by another layer already"),
        (layer("ReLU", top="one two"), "ReLU has 1 tops, the prototxt names 2"),
        (layer("ReLU", "data data"), "ReLU takes at most 1 inputs and got 2"),
        (layer("BatchReindex"), "BatchReindex takes the inputs (x, index) and got 1"),
        (layer("InnerProduct", "data data", params="inner_product_param { num_output: 2 }"), "takes fewer bottoms"),
        (layer("Clip", params="clip_param { min: 1 }"), "Clip needs max"),
        (layer("ReLU", params='relu_param { negative_slope: "x" }'), "negative_slope: expected a number, found x"),
        (layer("ReLU", params="relu_param: 3"), "relu_param is a message, found 3"),
        (layer("Pooling", params="pooling_param { pool: MEDIAN }"), "pool: expected one of MAX, AVE, STOCHASTIC"),
        (layer("Pooling", params="pooling_param { kernel_size: 9 }"), "the kernel (9, 9) is larger than the image"),
        (layer("Pooling", params="pooling_param { }"), "kernel_size is (0, 0)"),
        (layer("Convolution", params="convolution_param { num_output: 2 kernel_size: 6 stride: 4 }"),
         "the kernel (6, 6) is larger than the image (5, 7)"),
        (layer("Convolution", params="convolution_param { num_output: 2 kernel_size: 1 axis: 3 }"), "no spatial axes"),
        (layer("Softmax", params="softmax_param { axis: 4 }"), "there is no axis 4 in 2x3x5x7"),
        (layer("Reshape", params="reshape_param { shape { dim: 4 dim: -1 } }"), "Reshape"),
        (layer("Concat", "data other"), "the bottom 'other' is not there"),
        (layer("Slice", top="a b", params="slice_param { axis: 2 }"), "5 values at [] are no 2 slices"),
        (layer("Log", params="log_param { base: -3 }"), "-3.0 is no base of a logarithm"),
        (layer("SPP", params="spp_param { pyramid_height: 1000000 }"), "pyramid_height is 1000000"),
        (layer("Tile", params="tile_param { tiles: 99999999999 }"), "99999999999 is too large"),
        (layer("ReLU", params="include { phase: TEST } exclude { phase: TRAIN }"), "either include or exclude"),
        (layer("ReLU", params='include { min_level: "x" }'), "min_level: expected a whole number"),
        (layer("Input", "", "x", "input_param { shape { dim: 2 dim: 0 } }"), "0 is no size of an axis"),
        (layer("Input", "", "data", "input_param { shape { dim: 2 } }"), "two inputs are called 'data'"),
        (v1("RELU", "data", "out"), "mixes 'layer' and 'layers'"),
        ("layer { bottom { } }", "bottom is a name, found a message"),
        ("}", "expected a field name"),
        ("layer { name }", "expected ':' or '{' after 'name', found }"),
        ("layer { name: \0 }", "net.prototxt:2: a NUL byte"),
        ("x: 1" + "0" * 5000, "a number of 5001 characters"),
        ("a { " * 60, "nest more than 50 deep"),
    ],
)  # fmt: skip
def test_one_clear_error(folder: Folder, text: str, what: str) -> None:
    error = folder.fails(INPUT + text)
    assert len(error.problems) == 1
    assert what in str(error)
    assert "net.prototxt" in str(error)


@pytest.mark.parametrize(
    ("text", "what"),
    [("", "no layers in this file"), ('name: "x"', "no layers in this file"), ("# nothing", "no layers in this file")],
)
def test_no_network(folder: Folder, text: str, what: str) -> None:
    assert what in str(folder.fails(text))


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "binary.prototxt").write_bytes(b"\xff\xfe\x00")
    for name, what in (("missing.prototxt", "No such file"), ("binary.prototxt", "not a text file"), ("", "directory")):
        with pytest.raises(ConversionError, match=what):
            load(tmp_path / name)


# What is not supported.


def test_all_unsupported_layers_are_listed_together(folder: Folder) -> None:
    text = (
        layer("Pooling3D", top="a") + layer("ReLU", "a", "b") + layer("Convolutionn", "b data", "c")
        + layer("Pooling", "data", "d", "pooling_param { pool: STOCHASTIC kernel_size: 2 }") + layer("Python", "d", "e")
    )  # fmt: skip
    with pytest.raises(UnsupportedError) as caught:
        folder.load(INPUT + text)
    assert caught.value.exit_code == UNSUPPORTED
    assert [(problem.origin.layer, problem.origin.line) for problem in caught.value.problems] == [
        ("a", 2), ("c", 4), ("d", 5), ("e", 6)
    ]  # fmt: skip
    message = str(caught.value)
    assert "net.prototxt:2 layer 'a': the layer type 'Pooling3D' is not supported [2x3x5x7]" in message
    assert "[?, 2x3x5x7]" in message
    assert "Near: Convolution" in message
    assert "--plugin" in message
    assert "stochastic pooling is random" in message


def test_a_layer_of_ones_own(folder: Folder) -> None:
    """The same decorator as ours serves a plugin; a second function for a type must say that it means it."""

    @caffe_layer("Twice", override=True)
    def twice(g: CaffeBuilder, x: Value, weight: Value | None = None, *, by: float = 2.0) -> Value:
        return g.Mul(g.Mul(x, by), g.weight(weight, 1))

    weights = {"out": [np.array([0.5])]}
    graph = folder.load(INPUT + layer("Twice", params="twice_param { by: 3 }"), weights)
    x = np.ones((2, 3, 5, 7), np.float32)
    assert np.array_equal(OnnxRuntime(graph).run({"data": x})["out"], 1.5 * x)
    with pytest.raises(ValueError, match="registered twice"):
        caffe_layer("ReLU")(twice)


# What is reported.


def test_unknown_fields_are_reported(folder: Folder) -> None:
    text = layer("ReLU", params='relu_param { fancy: 3 engine: CAFFE } other_param { x: 1 } quantum: "y" phase: TEST')
    graph = folder.load(INPUT + "fork_option: 7\n" + text)
    assert warnings(graph) == [
        "the network has an unknown field fork_option; it was ignored",
        "ReLU does not know the field relu_param.fancy; it was ignored",
        "ReLU does not know the field other_param; it was ignored",
        "ReLU does not know the field quantum; it was ignored",
    ]
    assert [str(problem.origin).split("/")[-1] for problem in graph.warnings[1:]] == ["net.prototxt:3 layer 'out'"] * 3


def test_fields_of_layers_that_go_are_not_reported(folder: Folder) -> None:
    graph = folder.load(INPUT + layer("ReLU") + layer("SoftmaxWithLoss", "out label", "loss", "strange: 1"))
    assert warnings(graph) == []


def test_fillers_stand_in_with_a_warning(folder: Folder) -> None:
    graph = folder.load(INPUT + layer("PReLU"), {"other": [BIAS]})
    assert warnings(graph) == ["no weights for this layer: 3x1x1 numbers are 0.25, as its filler says"]


# Inputs and outputs.


def test_the_users_shape_batch_and_type(folder: Folder) -> None:
    options = LoadOptions(inputs={"data": TensorSpec((1, 3, 4, 4), np.dtype(np.uint8))}, batch=5)
    graph = folder.load(INPUT + layer("ReLU"), None, options)
    assert [(value.name, value.shape, value.dtype) for value in graph.inputs] == [("data", (5, 3, 4, 4), np.uint8)]
    assert [(value.name, value.shape, value.dtype) for value in graph.outputs] == [("out", (5, 3, 4, 4), np.float32)]


@pytest.mark.parametrize("field", ["round_mode: FLOOR", "ceil_mode: false"])
def test_forks_spell_rounding_otherwise(folder: Folder, field: str) -> None:
    pool = layer("Pooling", params=f"pooling_param {{ kernel_size: 2 stride: 2 {field} }}")
    assert folder.load(INPUT + pool).outputs[0].shape == (2, 3, 2, 3)


@pytest.mark.parametrize("shape", [(None, 3, 4, 4), ("batch", 3, 4, 4)])
def test_a_size_that_is_not_known(folder: Folder, shape: tuple[int | str | None, ...]) -> None:
    with pytest.raises(ConversionError, match="'data' has no fixed shape") as caught:
        folder.load(INPUT + layer("ReLU"), None, LoadOptions(inputs={"data": TensorSpec(shape)}))
    assert "--input data:1x3x224x224" in str(caught.value)


def test_an_input_without_a_shape(folder: Folder) -> None:
    assert "the input 'x' has no shape" in str(folder.fails('input: "x"\n' + layer("ReLU", "x")))


@pytest.mark.parametrize("kind", ["Data", "ImageData", "Python", "DataLayerOfAFork"])
def test_a_data_layer_needs_its_shape_from_the_user(folder: Folder, kind: str) -> None:
    text = layer(kind, "", "data label", 'data_param { source: "x" batch_size: 2 }') + layer("ReLU")
    error = folder.fails(text)
    assert "the bottom 'data' is not there" in str(error)
    assert "A data layer brings it; give its shape: --input data:1x3x224x224" in str(error)
    graph = folder.load(text, None, LoadOptions(inputs={"data": TensorSpec((2, 3))}))
    assert [value.name for value in graph.inputs] == ["data"]


def test_data_layers_that_say_their_shape(folder: Folder) -> None:
    memory = layer("MemoryData", "", "a label", "memory_data_param { batch_size: 2 channels: 3 height: 4 width: 5 }")
    dummy = layer("DummyData", "", "b", 'dummy_data_param { shape { dim: 2 dim: 3 } data_filler { type: "gaussian" } }')
    graph = folder.load(memory + dummy + layer("ReLU", "a", "c") + layer("ReLU", "b", "d"))
    assert [(value.name, value.shape) for value in graph.inputs] == [("a", (2, 3, 4, 5)), ("b", (2, 3))]


def test_what_only_labels_feed_goes(folder: Folder) -> None:
    head = 'input: "data" input_shape { dim: 2 dim: 3 } input: "label" input_shape { dim: 2 }\n'
    source = layer("Data", "", "image target", name="source")
    judge = (
        layer("Slice", "target", "t1 t2", "slice_param { slice_point: 1 }") + layer("Silence", "t2", "", name="hush")
        + layer("EuclideanLoss", "out t1", "l1") + layer("Accuracy", "out label", "accuracy")
        + layer("Power", "l1", "scaled")
    )  # fmt: skip
    graph = folder.load(head + source + layer("TanH") + judge)
    assert [value.name for value in graph.inputs] == ["data"]
    assert [value.name for value in graph.outputs] == ["out"]
    assert warnings(graph) == ["the input 'label' is read by training layers only; it was dropped"]


def test_a_label_that_a_kept_layer_reads_too_is_an_input(folder: Folder) -> None:
    text = layer("Data", "", "data label", name="source") + layer("Concat", "data label")
    assert "give its shape: --input" in str(folder.fails(text))
    shapes = {"data": TensorSpec((2, 3)), "label": TensorSpec((2, 1))}
    assert folder.load(text, None, LoadOptions(inputs=shapes)).outputs[0].shape == (2, 4)


def test_names_of_blobs_written_in_place(folder: Folder) -> None:
    text = layer("TanH", top="x") + layer("ReLU", "x", "x", name="relu") + layer("Sigmoid", "x", "x", name="sigmoid")
    graph = folder.load(INPUT + layer("Power", "data", "data", "power_param { scale: 2 }", "double") + text)
    assert [(node.op, node.output.name) for node in graph.nodes()] == [
        ("Mul", "data/double"), ("Tanh", "x/x"), ("Relu", "x/relu"), ("Sigmoid", "x")
    ]  # fmt: skip
    assert [value.name for value in graph.inputs] == ["data"]


def test_the_name_of_the_network(folder: Folder) -> None:
    assert folder.load("name: 'my net'\n" + INPUT + layer("ReLU")).name == "my net"
    assert folder.load(INPUT + layer("ReLU")).name == "net"


def test_a_shared_blob_is_one_constant(folder: Folder) -> None:
    share = ' param { name: "w" } param { name: "b" } convolution_param { num_output: 4 kernel_size: 3 }'
    text = layer("Convolution", top="one", params=share) + layer("Convolution", top="two", params=share)
    graph = folder.load(INPUT + text, {"one": [WEIGHT, BIAS], "two": [WEIGHT, BIAS]})
    first, second = graph.nodes()
    assert first.inputs == second.inputs
    assert len(list(graph.constants())) == 2


def test_a_sum_over_its_first_bottom_is_warned_of(folder: Folder) -> None:
    graph = folder.load(INPUT + layer("TanH", top="x") + layer("Eltwise", "x data", "x", name="sum"))
    assert warnings(graph)[0].startswith("Caffe loses the first bottom of a sum that is written over it")


# Layers that know who made their bottom.


def pooled_and_back(pool: str) -> str:
    return (
        layer("Pooling", top="small mask", params=f"pooling_param {{ {pool} }}", name="pool")
        + layer("Upsample", "small mask", "out", "upsample_param { scale: 2 upsample_h: 5 upsample_w: 7 }")
    )  # fmt: skip


def test_max_pooling_undone(folder: Folder) -> None:
    """Every maximum back in its place, zeros elsewhere; the mask is known to be of windows that do not overlap."""
    graph = folder.load(INPUT + pooled_and_back("kernel_size: 2 stride: 2"))
    x = np.random.default_rng(0).permutation(210).reshape(2, 3, 5, 7).astype(np.float32)
    tall = np.pad(x, ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=-1)
    highest = tall.reshape(2, 3, 3, 2, 4, 2).max(axis=(3, 5)).repeat(2, axis=2).repeat(2, axis=3)[:, :, :5, :7]
    assert np.array_equal(OnnxRuntime(graph).run({"data": x})["out"], np.where(x == highest, x, 0))
    assert warnings(graph) == []


def test_max_pooling_of_overlapping_windows_is_not_undone(folder: Folder) -> None:
    with pytest.raises(UnsupportedError, match="overlapping windows"):
        folder.load(INPUT + pooled_and_back("kernel_size: 3 stride: 2"))


# Old forms.


def test_v0_v1_and_today_are_one_network(folder: Folder) -> None:
    head = 'input: "data" input_dim: 2 input_dim: 3 input_dim: 5 input_dim: 7\n'
    conv = "num_output: 4 kernel_size: 3 pad: 2 stride: 2"
    pool = "pool: AVE kernel_size: 2"
    texts = [
        v0("padding", "data", "p", "pad: 2") + v0("conv", "p", "out", "num_output: 4 kernelsize: 3 stride: 2")
        + v0("pool", "out", "y", "pool: AVE kernelsize: 2"),
        v1("CONVOLUTION", "data", "out", f"convolution_param {{ {conv} }}")
        + v1("POOLING", "out", "y", f"pooling_param {{ {pool} }}"),
        layer("Convolution", params=f"convolution_param {{ {conv} }}")
        + layer("Pooling", "out", "y", f"pooling_param {{ {pool} }}"),
    ]  # fmt: skip
    graphs = [folder.load(head + text, {"out": [WEIGHT, BIAS]}) for text in texts]
    nodes = [[(node.op, node.attributes, node.output.shape) for node in graph.nodes()] for graph in graphs]
    assert nodes[0] == nodes[1] == nodes[2]
    assert not any(graph.warnings for graph in graphs)


def test_padding_goes_before_windows_only(folder: Folder) -> None:
    text = 'input: "data" input_dim: 2 input_dim: 3 input_dim: 5 input_dim: 7\n'
    text += v0("padding", "data", "p", "pad: 2") + v0("relu", "p", "out")
    assert "before a convolution or a pooling only" in str(folder.fails(text))


V1_TYPES = [
    "ABSVAL", "ARGMAX", "BNLL", "CONCAT", "CONVOLUTION", "DECONVOLUTION", "DROPOUT", "ELTWISE", "EXP", "FLATTEN",
    "IM2COL", "INNER_PRODUCT", "LRN", "MVN", "POOLING", "POWER", "RELU", "SIGMOID", "SILENCE", "SLICE", "SOFTMAX",
    "SPLIT", "TANH", "THRESHOLD",
]  # fmt: skip


def test_every_v1_type_of_caffe_proto_has_todays_name() -> None:
    assert [name for name in V1_TYPES if registry.find("caffe", v1_type(name)) is None] == []


# No text is too strange.

STRANGE = ["0", "-1", "1000000000", "1e30", "nan", "{", "}", '"x"', "true", ":", "[", "MAX", "2147483648", "axis"]


@pytest.mark.parametrize("case", CASES[::3], ids=lambda case: case.name)
def test_mutilated_prototxts_are_errors_not_crashes(case: Case, folder: Folder) -> None:
    """Words of the golden networks made strange or swapped: a graph, or a ConversionError."""
    words = re.findall(r"\w+|[^\w\s]", (GOLDENS / f"{case.name}.prototxt").read_text())
    rng = np.random.default_rng(case.seed)
    weights = GOLDENS / f"{case.name}.caffemodel"
    blobs = weights.read_bytes() if weights.exists() else None
    for _ in range(12):
        changed = list(words)
        for place in rng.integers(len(words), size=rng.integers(1, 4)):
            changed[place] = str(rng.choice([*STRANGE, *words]))
        with contextlib.suppress(ConversionError):
            folder.load(" ".join(changed), blobs)


SHARED_MEMORY = """
input: "x" input_shape { dim: 1 dim: 2 dim: 3 dim: 4 }
layer { name: "split" type: "Split" bottom: "x" top: "a" top: "b" }
layer { name: "relu" type: "ReLU" bottom: "a" top: "TOP" }
layer { name: "abs" type: "AbsVal" bottom: "b" top: "c" }"""


@pytest.mark.parametrize(("top", "warned"), [("a", True), ("other", False)])
def test_memory_that_caffe_shares_is_warned_of(top: str, warned: bool, tmp_path: Path) -> None:
    """In Caffe the tops of a Split are one piece of memory: an in-place ReLU on `a` changes `b` as well."""
    path = tmp_path / "net.prototxt"
    path.write_text(SHARED_MEMORY.replace("TOP", top))
    found = [str(warning) for warning in load(path).warnings]
    assert any("Caffe would change b" in warning and "layer 'relu'" in warning for warning in found) is warned
