"""The C++ backend: whole networks, the folder it writes, the program in it, and models that mean harm."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from netglot.backends.cpp import save
from netglot.backends.cpp.arena import ALIGNMENT, Buffer, lower_bound, plan
from netglot.backends.cpp.names import Names, comment, file_name, identifier, string
from netglot.errors import ConversionError, Origin, UnsupportedError
from netglot.frontends.caffe import load
from netglot.ir.builder import Builder
from netglot.ir.graph import Graph
from netglot.ir.types import is_static
from netglot.passes import pipeline
from netglot.runtimes.compiled import CompiledCpp
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests import graphs, oracles
from tests.ops.recurrent import loop, recurrent
from tests.ops.table import In
from tests.targets import cpp_levels, run_cpp
from tests.test_targets import assert_close

STRICT = ["-Wall", "-Wextra", "-Werror"]
DIGITS = oracles.ROOT / "examples" / "digits"

HOSTILE = [
    "*/ #include </etc/passwd>", "// \\", "a\\\nint main() {}", "??/", "??=define x", '"; abort(); "', 'R"(',
    "int", "int main", "main", "INT64_MIN", "__asm__", "1x", "", " ", "..", "../../x", "a/b", "a_b", "A_B", "a=b",
    "ünïcödé", "名前", "\u202e\u2066", "\x00", "\ud800", "\r\n#error", "#pragma", "%s%n", "$(touch x)", "`x`",
    "${CMAKE_BINARY_DIR}", "x" * 5000, "std", "netglot", "weights", "inputs", "at", "exp", "default", "a__b",
    "_Reserved", "</x>", "[a](b)", "| x | y |",
]  # fmt: skip


def small_net() -> Graph:
    """Convolution, pooling, a branch that joins again, a dense layer."""
    rng = np.random.default_rng(1)

    def weights(*shape: int) -> np.ndarray:
        return rng.uniform(-0.5, 0.5, shape).astype(np.float32)

    g = Builder(Graph("small net"))
    x = g.graph.add_input("image", np.dtype(np.float32), (1, 3, 12, 10))
    x = g.Relu(g.Conv(x, weights(8, 3, 3, 3), weights(8), pads=(1, 1, 1, 1)))
    x = g.Add(x, g.Sigmoid(g.Conv(x, weights(8, 1, 3, 3), group=8, pads=(1, 1, 1, 1))))
    x = g.MaxPool(x, kernel_shape=(2, 2), strides=(2, 2))
    x = g.Softmax(g.Gemm(g.Flatten(x), weights(240, 5), weights(5)), axis=1)
    g.graph.outputs = [x]
    return g.graph


def one_output(graph: Graph, feed: Mapping[str, np.ndarray], folder: Path) -> np.ndarray:
    (y,) = run_cpp(graph, feed, folder).values()
    return y


# --------------------------------------------------------------- whole networks


def test_a_small_network_equals_onnx_runtime(tmp_path: Path) -> None:
    feed = graphs.feed(small_net())
    (wanted,) = OnnxRuntime(small_net()).run(feed).values()
    assert_close(one_output(small_net(), feed, tmp_path), wanted, 1e-5)


def test_the_digits_network_equals_real_caffe(tmp_path: Path) -> None:
    """Built with CMake; Caffe's own answers lie beside the network."""
    graph = load(DIGITS / "deploy.prototxt", DIGITS / "digits.caffemodel")
    with np.load(DIGITS / "digits_test.npz") as file:
        images, wanted = file["images"].astype(np.float32), file["caffe_prob"]
    save(graph, tmp_path / "digits")
    model = CompiledCpp(tmp_path / "digits", cache=tmp_path)
    found = [model.run({"data": image[None]})["prob"][0] for image in images[: len(wanted)]]
    assert_close(np.array(found), wanted, 1e-5)


@pytest.mark.parametrize("name", ["lenet_v1layers_2014", "mtcnn_det2"])
def test_real_networks_equal_onnx_runtime(name: str, tmp_path: Path) -> None:
    graph = load(oracles.model(f"caffe/{name}.prototxt"), oracles.model(f"caffe/{name}.caffemodel"))
    pipeline.run(graph, pipeline.COMMON)
    feed = graphs.feed(graph)
    wanted = OnnxRuntime(graph).run(feed)
    save(graph, tmp_path / "model")
    found = CompiledCpp(tmp_path / "model", cache=tmp_path).run(feed)
    for key, value in wanted.items():
        assert_close(found[key], value, 1e-5)


@settings(max_examples=25)
@given(graphs.graphs())
def test_random_graphs_equal_onnx_runtime(tmp_path_factory: pytest.TempPathFactory, graph: Graph) -> None:
    """What the table of operators can't show: views, memory taken over, values that live long."""
    pipeline.run(graph, pipeline.COMMON)
    assume(all(is_static(value.shape) for value in graph.values()))
    feed = graphs.feed(graph)
    wanted = OnnxRuntime(graph).run(feed)
    folder = tmp_path_factory.mktemp("random")
    save(graph, folder / "cpp")
    found = CompiledCpp(folder / "cpp", [*STRICT, "-O1", "-fsanitize=address,undefined"], cache=folder.parent).run(feed)
    assert list(found) == list(wanted)
    for key, value in wanted.items():
        assert_close(found[key], value, 1e-5)


@pytest.mark.parametrize("level", cpp_levels())
def test_optimised_code_computes_every_layer(level: int, tmp_path: Path) -> None:
    """GCC 12 dropped the call of a layer that only moves what another has computed, at every level but -O0."""

    def net() -> Graph:
        rng = np.random.default_rng(1)
        g = Builder(Graph("net"))
        x = g.graph.add_input("x", np.dtype(np.float32), (1, 3, 12, 10))
        y = g.Conv(x, rng.uniform(-0.5, 0.5, (8, 3, 3, 3)).astype(np.float32), pads=(1, 1, 1, 1))
        g.graph.outputs = [g.Concat(g.Sigmoid(y), g.Tanh(y), g.Softplus(y), g.HardSwish(y), g.Elu(y), axis=1)]
        return g.graph

    feed = graphs.feed(net())
    (wanted,) = OnnxRuntime(net()).run(feed).values()
    save(net(), tmp_path / "cpp")
    model = CompiledCpp(tmp_path / "cpp", ["-O2", *STRICT, f"-DNETGLOT_ONLY={level}"], cache=tmp_path)
    (found,) = model.run(feed).values()
    assert_close(found, wanted, 1e-5)


def test_memory_is_not_taken_over_from_what_is_read_again(tmp_path: Path) -> None:
    """A normalisation reads its scale after it has written its output."""

    def net() -> Graph:
        g = Builder(Graph("net"))
        x = g.graph.add_input("x", np.dtype(np.float32), (3, 5))
        a, scale = g.Exp(x), g.Sigmoid(x)
        g.graph.outputs = [g.Add(g.LayerNormalization(a, scale, axis=0), a)]
        return g.graph

    (wanted,) = OnnxRuntime(net()).run(graphs.feed(net())).values()
    assert_close(one_output(net(), graphs.feed(net()), tmp_path), wanted, 1e-5)


# ------------------------------------------------------------------- the folder


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_the_folder_builds_without_warnings(compiler: str, tmp_path: Path) -> None:
    """As its README says, with CMake, and every warning an error."""
    if not shutil.which(compiler) or not shutil.which("cmake"):
        pytest.skip(f"there is no {compiler} or no cmake here")
    save(small_net(), tmp_path / "model")
    flags = ["-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror", f"-DCMAKE_CXX_COMPILER={compiler}"]
    for command in (["-S", ".", "-B", "build", *flags], ["--build", "build"]):
        subprocess.run(["cmake", *command], cwd=tmp_path / "model", check=True, capture_output=True)
    feed = graphs.feed(small_net())
    np.save(tmp_path / "image.npy", feed["image"])
    found = run_program(tmp_path / "model/build/run", "--input", f"image={tmp_path / 'image.npy'}", folder=tmp_path)
    assert found.returncode == 0, found.stderr
    (wanted,) = OnnxRuntime(small_net()).run(feed).items()
    assert_close(np.load(tmp_path / f"{file_name(wanted[0])}.npy"), wanted[1], 1e-5)


def test_the_output_is_the_same_every_time(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(small_net(), tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == sorted(path.name for path in (tmp_path / "b").iterdir())
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in files)


def test_the_same_code_is_built_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(small_net(), tmp_path / "model")
    first = CompiledCpp(tmp_path / "model", ["-O0"], cache=tmp_path)
    monkeypatch.setattr("netglot.runtimes.compiled._build", lambda *_: pytest.fail("built again"))
    second = CompiledCpp(tmp_path / "model", ["-O0"], cache=tmp_path)
    feed = graphs.feed(small_net())
    assert first.run(feed).keys() == second.run(feed).keys()
    assert re.fullmatch(r"C\+\+ \((g|clang)\+\+ \d+\.\d+\)", second.name)


def test_a_missing_input_is_named(tmp_path: Path) -> None:
    save(small_net(), tmp_path / "model")
    with pytest.raises(ConversionError, match="no value for the input image"):
        CompiledCpp(tmp_path / "model", ["-O0"], cache=tmp_path).run({})


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"interface\.json"):
        CompiledCpp(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"inputs": 1}', '{"inputs": [{"name": "x"}], "outputs": []}'])
def test_a_damaged_interface_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "interface.json").write_text(text)
    with pytest.raises(ConversionError, match=r"interface\.json"):
        CompiledCpp(tmp_path)


def test_no_path_of_this_machine_is_written(tmp_path: Path) -> None:
    g = Builder(Graph("net"))
    with g.at(Origin("/home/somebody/secret/net.prototxt", "layer", 3)):
        g.graph.outputs = [g.Relu(g.graph.add_input("x", np.dtype(np.float32), (2,)))]
    save(g.graph, tmp_path)
    text = (tmp_path / "layers.h").read_text()
    assert "net.prototxt:3 layer 'layer'" in text
    assert not any(b"somebody" in path.read_bytes() for path in tmp_path.iterdir())


def test_scales_of_quantised_ends_are_constants_of_the_header(tmp_path: Path) -> None:
    g = Builder(Graph("net"))
    x = g.graph.add_input("x", np.dtype(np.uint8), (1, 4, 8, 8))
    zero = np.array(7, np.uint8)
    weights = np.random.default_rng(0).uniform(-1, 1, (4, 4, 3, 3)).astype(np.float32)
    y = g.Conv(g.DequantizeLinear(x, np.float32(0.25), zero), weights)
    g.graph.outputs = [g.QuantizeLinear(y, np.float32(0.5), np.array(-3, np.int8))]
    save(g.graph, tmp_path)
    header = (tmp_path / "model.h").read_text()
    assert '{"x", "x", "|u1", 4, input_shape_0, 256, 0.25f, 7}' in header
    assert "output_shape_0, 144, 0.5f, -3}" in header


# -------------------------------------------------------------------- the arena


@given(st.lists(st.tuples(st.integers(1, 5000), st.integers(0, 20), st.integers(0, 6)), max_size=40))
def test_buffers_that_live_at_once_do_not_overlap(drawn: list[tuple[int, int, int]]) -> None:
    buffers = [Buffer(size, first, first + length) for size, first, length in drawn]
    size = plan(buffers)
    assert lower_bound(buffers) <= size <= sum(buffer.size for buffer in buffers)
    for i, a in enumerate(buffers):
        assert a.offset % ALIGNMENT == 0
        for b in buffers[:i]:
            apart = a.last < b.first or b.last < a.first
            assert apart or a.offset + a.size <= b.offset or b.offset + b.size <= a.offset


def test_the_arena_of_a_chain_is_as_small_as_can_be(tmp_path: Path) -> None:
    """Two neighbours alive at once, whatever the length; and elementwise operators need no memory of their own."""
    g = Builder(Graph("chain"))
    x = g.graph.add_input("x", np.dtype(np.float32), (64, 64))
    for _ in range(5):
        x = g.Tanh(g.Relu(g.Transpose(x, perm=(1, 0))))
    g.graph.outputs = [g.Transpose(x, perm=(1, 0))]
    save(g.graph, tmp_path)
    header = (tmp_path / "model.h").read_text()
    assert "arena_bytes = 32768;" in header
    assert "arena_lower_bound = 32768;" in header


# ------------------------------------------------------------------ the program


def run_program(program: Path, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(program), *arguments, "--output-dir", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("program")
    save(small_net(), folder / "model")
    return CompiledCpp(folder / "model", ["-O0"], cache=folder)._program


GOOD = np.zeros((1, 3, 12, 10), np.float32)
BAD_FILES = {
    "shape": (np.zeros((1, 3, 10, 12), np.float32), "has the shape (1, 3, 12, 10), {} holds (1, 3, 10, 12)"),
    "rank": (np.zeros(360, np.float32), "has the shape (1, 3, 12, 10), {} holds (360,)"),
    "dtype": (np.zeros((1, 3, 12, 10)), "has elements of type '<f4', {} holds '<f8'"),
    "big-endian": (GOOD.astype(">f4"), "has elements of type '<f4', {} holds '>f4'"),
    "fortran": (np.asfortranarray(GOOD), "{} is in Fortran order"),
    "truncated": (b"\x93NUMPY\x01\x00\xff\xff{'descr': '<f4'", "{} is cut off"),
    "version": (b"\x93NUMPY\x02\x00\xff\xff\xff\xff{", "{} is cut off"),
    "no header": (b"\x93NUMPY\x01\x00\x04\x00{}  ", "{}: its header has no descr"),
    "empty": (b"", "{} is not a .npy file"),
    "text": (b"P5 10 12 255 not numpy", "{} is not a .npy file"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_wrong_file_is_one_clear_error(name: str, program: Path, tmp_path: Path) -> None:
    content, message = BAD_FILES[name]
    path = tmp_path / "x.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content)
    done = run_program(program, "--input", f"image={path}", folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert message.format(path) in done.stderr


def test_missing_bytes_are_counted(program: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", GOOD)
    (tmp_path / "x.npy").write_bytes((tmp_path / "x.npy").read_bytes()[:-4])
    done = run_program(program, "--input", f"image={tmp_path / 'x.npy'}", folder=tmp_path)
    assert done.returncode == 2
    assert "holds 1436 bytes, expected 1440" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "the input 'image' is missing"),
        (("--input", "picture=x.npy"), "there is no input for 'picture=x.npy'"),
        (("--input", "image=/nowhere/x.npy"), "can't open /nowhere/x.npy"),
        (("--verbose",), "unknown argument '--verbose'"),
    ],
)
def test_wrong_arguments_are_one_clear_error(
    arguments: tuple[str, ...], message: str, program: Path, tmp_path: Path
) -> None:
    done = run_program(program, *arguments, folder=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr


def test_help_names_inputs_and_outputs(program: Path, tmp_path: Path) -> None:
    done = run_program(program, "--help", folder=tmp_path)
    assert done.returncode == 0
    assert "image  <f4 (1, 3, 12, 10)" in done.stdout


def test_outputs_that_nothing_can_be_written_to(program: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", GOOD)
    done = run_program(program, "--input", f"image={tmp_path / 'x.npy'}", folder=tmp_path / "nowhere")
    assert done.returncode == 2
    assert "can't write" in done.stderr


# ----------------------------------------------------------------- exact numbers


def bits(array: np.ndarray) -> np.ndarray:
    return array.view(np.uint32 if array.dtype == np.float32 else np.uint64)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_kind_of_weight_comes_back_to_the_bit(dtype: type, tmp_path: Path) -> None:
    info = np.finfo(dtype)
    edges = [0, -0.0, 1, 1 / 3, info.max, info.min, info.tiny, info.smallest_subnormal, np.inf, -np.inf, np.nan]
    random = np.random.default_rng(0).integers(0, 2**32 if dtype is np.float32 else 2**63, 2000, np.uint64)
    values = random.astype(np.uint32).view(np.float32) if dtype is np.float32 else random.view(np.float64)
    weights = np.concatenate([np.array(edges, dtype), values[~np.isnan(values)]])
    assert np.array_equal(bits(through_cpp(weights, tmp_path)), bits(weights))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "bool"])
def test_whole_numbers_come_back(dtype: str, tmp_path: Path) -> None:
    kind = np.dtype(dtype)
    ends = [False, True] if kind.kind == "b" else [np.iinfo(kind).min, np.iinfo(kind).max, 0, 1]
    weights = np.array(ends, kind)
    found = through_cpp(weights, tmp_path)
    assert found.dtype == kind
    assert np.array_equal(found, weights)


def through_cpp(weights: np.ndarray, folder: Path) -> np.ndarray:
    """What a program whose only output is a constant writes."""
    g = Builder(Graph("constant"))
    g.graph.outputs = [g.constant(weights, name="w")]
    return one_output(g.graph, {}, folder)


# ------------------------------------------------------------------ hostile names


def hostile_net() -> Graph:
    """Every hostile name as an input, an output, a layer, a weight; in the name of the model too."""
    g = Builder(Graph("*/ int main() ??/"))
    inputs = [g.graph.add_input(f"{name}", np.dtype(np.float32), (2,)) for name in HOSTILE]
    sums = []
    for name, x in zip(HOSTILE, inputs, strict=True):
        with g.at(Origin(f"{name}.prototxt", name, 1)):
            weight = g.constant(np.ones(2, np.float32), name=name)
            sums.append(g.op("Add", [g.op("Neg", [x], name=name), weight], name=name))
    g.graph.outputs = sums
    return g.graph


def test_no_name_leaves_its_comment_string_or_identifier(tmp_path: Path) -> None:
    graph = hostile_net()
    folder = tmp_path / "cpp"
    save(graph, folder)
    assert all(path.parent == folder for path in folder.iterdir())
    model = CompiledCpp(folder, [*STRICT, "-Wtrigraphs", "-Wcomment", "-Wbidi-chars=any", "-O0"], cache=tmp_path)
    feed = {value.name: np.full(2, i, np.float32) for i, value in enumerate(graph.inputs)}
    found = model.run(feed)
    assert list(found) == [value.name for value in graph.outputs]
    assert [y[0] for y in found.values()] == [1 - i for i in range(len(found))]


@given(st.text())
def test_text_stays_inside(text: str) -> None:
    assert re.fullmatch(r"[A-Za-z](_?[A-Za-z0-9])*_?", identifier(text, "x"))
    assert re.fullmatch(r"[^\\?*\n\r`]*", comment(text))
    assert comment(text).isascii()
    assert re.fullmatch(r'"([A-Za-z0-9 _.+:/,()-]|\\[0-7]{3})*"', string(text))
    assert re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", file_name(text))


@given(st.lists(st.sampled_from(["a", "a_2", "a 2", "a__2", "A", "int", "x" * 99, ""]), max_size=30))
def test_names_of_one_scope_are_distinct(wanted: list[str]) -> None:
    names = Names("a")
    given_names = [names.add(name, "x") for name in wanted]
    assert len({*given_names, "a"}) == len(wanted) + 1


# ------------------------------------------------------------ what can't be done


def test_an_unknown_shape_is_asked_for(tmp_path: Path) -> None:
    g = Builder(Graph("net"))
    x = g.graph.add_input("x", np.dtype(np.float32), ("batch", 3))
    g.graph.outputs = [g.Relu(x)]
    with pytest.raises(ConversionError, match=r"'x' is batchx3(.|\n)*--input NAME"):
        save(g.graph, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_all_unsupported_operators_are_listed(tmp_path: Path) -> None:
    g = Builder(Graph("net"))
    x = g.graph.add_input("x", np.dtype(np.float32), (2, 3))
    g.graph.outputs = [g.Det(g.MatMul(x, g.Transpose(x))), g.RandomNormalLike(x)]
    with pytest.raises(UnsupportedError) as caught:
        save(g.graph, tmp_path / "model")
    found = " ".join(str(problem) for problem in caught.value.problems)
    assert sorted(re.findall(r"no mapping for the operator (\w+)", found)) == ["Det", "RandomNormalLike"]
    assert not (tmp_path / "model").exists()


def test_a_type_that_cpp_has_not_is_named(tmp_path: Path) -> None:
    g = Builder(Graph("net"))
    x = g.graph.add_input("x", np.dtype(ml_dtypes.bfloat16), (2, 3))
    g.graph.outputs = [g.Cast(x, to=1)]
    with pytest.raises(ConversionError, match=r"'x'.*has no bfloat16"):
        save(g.graph, tmp_path / "model")


def test_a_long_sequence_is_a_loop_of_the_kernel(tmp_path: Path) -> None:
    """Unrolled it would be thousands of statements."""
    row = recurrent("LSTM", "very-long", x=In((500, 2, 4)), initial=True)
    wanted = OnnxRuntime(row.graph()).run(row.feed())
    actual = run_cpp(row.graph(), row.feed(), tmp_path)
    for name in wanted:
        assert_close(actual[name], wanted[name], row.rtol)


def test_a_loop_of_many_steps_is_refused(tmp_path: Path) -> None:
    row = loop("many", np.array(65), None, [In((2,))], lambda g, i, c, s, *_: [g.Identity(c), g.Sin(s)], 1)
    with pytest.raises(UnsupportedError, match="not too large"):
        save(row.graph(), tmp_path / "cpp")
