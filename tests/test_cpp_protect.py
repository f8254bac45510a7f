"""Protected C++: what is renamed and what must stay, what a built library still says, and the owner's map."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx.defs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netglot.backends.cpp import save
from netglot.backends.cpp.protect import (
    Names,
    hide,
    map_text,
    merge,
    permute,
    protected,
    read_map,
    tokenize,
    unmap,
)
from netglot.errors import ConversionError, Problem, UnsupportedError
from netglot.ir.builder import Builder
from netglot.ir.graph import Graph
from netglot.runtimes.compiled import CompiledCpp
from tests import graphs, oracles

RUNTIME = oracles.ROOT / "netglot/backends/cpp/runtime"
STRICT = ["-Wall", "-Wextra", "-Werror"]
SALT = b"a salt"
STAND_IN = r"x\d{15}"


def protect_one(text: str, name: str = "a.h") -> str:
    """`text` protected, with whitespace evened out."""
    names = Names(SALT)
    written = protected({name: text}, names)
    return unspaced(*written.values())


def unspaced(text: str) -> str:
    return " ".join(text.split())


# ----------------------------------------------------------------------- tokens


@pytest.mark.parametrize("path", sorted(RUNTIME.iterdir()), ids=lambda path: path.name)
def test_tokens_are_the_whole_text(path: Path) -> None:
    text = path.read_text()
    assert "".join(token.text for token in tokenize(text)) == text


@given(st.text(alphabet="ab1.'\"\\/*\n# uR()<>:=-_eEpPx+"))
def test_tokens_of_anything_are_the_whole_text(text: str) -> None:
    assert "".join(token.text for token in tokenize(text)) == text


@pytest.mark.parametrize(("text", "kinds"), [
    ("0x1.8p-3f+x", [("number", "0x1.8p-3f"), ("sign", "+"), ("word", "x")]),
    ("1'000'000u", [("number", "1'000'000u")]),
    ("1e-05f.x", [("number", "1e-05f.x")]),
    ('"a \\" // b"c', [("string", '"a \\" // b"'), ("word", "c")]),
    ('R"x(a )" b)x"c', [("raw", 'R"x(a )" b)x"'), ("word", "c")]),
    ("'\\''a'\"'", [("char", "'\\''"), ("word", "a"), ("char", "'\"'")]),
    ("// a \\\n b\nc", [("comment", "// a \\\n b"), ("newline", "\n"), ("word", "c")]),
    ("/* // \n */a", [("comment", "/* // \n */"), ("word", "a")]),
    ("a::b->c", [("word", "a"), ("sign", "::"), ("word", "b"), ("sign", "->"), ("word", "c")]),
    ("u8\"a\"L'b'", [("string", 'u8"a"'), ("char", "L'b'")]),
])  # fmt: skip
def test_tokens(text: str, kinds: list[tuple[str, str]]) -> None:
    assert [(token.kind, token.text) for token in tokenize(text)] == kinds


# -------------------------------------------------------------------- renaming


@pytest.mark.parametrize("text", [
    "std::size_t", "std::chrono::steady_clock::now()", "std::numeric_limits<std::vector<int>>::max()", "::std::max",
    "constexpr inline auto* __restrict", "[[maybe_unused]] const int", "__builtin_expect(1, 2)", "_mm512_setzero_ps()",
    "__attribute__((target(\"avx2\"), always_inline)) void", "vaddq_f32(1, 2)", "float32x4_t", "vcvt_f32_f16(1)",
    "vdotq_s32()", "vreinterpretq_u8_u32()", "int8x16x4_t", "#include <sys/auxv.h>", "#pragma once", "uint32_t",
    "#if defined(__GNUC__) && !defined(_WIN32)", "int main()", "'a' + \"text\" + 0x1p3f", "bit_SSE4_1",
    "#pragma GCC diagnostic ignored \"-Wfoo\"",
])  # fmt: skip
def test_what_is_not_ours_stays(text: str) -> None:
    assert protect_one(text) == text


@pytest.mark.parametrize(("text", "wanted"), [
    ("Tensor tensor;", "X X;"),
    ("a.b->c", "X.X->X"),
    ("netglot::avx2::dense<Index>::size", "X::X::X<X>::size"),  # may be a std::array's: see below
    ("netglot::dense<std::less<int>>::most", "X::X<std::less<int>>::X"),
    ("NETGLOT_TARGET void f() {}", "X void X() {}"),
    ("#define NETGLOT_X 1\n#if NETGLOT_X == 2\n#endif", "#define X 1 #if X == 2 #endif"),
    ("[[maybe_unused]] int maybe_unused;", "[[maybe_unused]] int X;"),
    ("__attribute__((vector_size(4 * LANES))) F;", "__attribute__((vector_size(4 * X))) X;"),
    ("#error netglot needs \"this\"", "#error"),
    ("int a; // the comment", "int X;"),
    ("int/* comment */a;", "int X;"),
    ("x = 1; /* Conv */", "X = 1;"),
    ("std::vector<Walk> w; w.push_back(walk);", "std::vector<X> X; X.push_back(X);"),
    ("auto size = v.size(); int other;", "auto size = X.size(); int X;"),
    ("auto size = 1; int other;", "auto X = 1; int X;"),
    ("using std::exp; exp(y);", "using std::exp; exp(X);"),
    ("std::exp(exp)", "std::exp(X)"),
    ("#define P(a) _mm_unpack##a##_x\nP(lo); lo;", "#define X(X) _mm_unpack##X##_x X(lo); lo;"),
    ("#define TEXT(x) #x\nTEXT(name)", "#define X(X) #X X(X)"),
    ("namespace NETGLOT_NAMESPACE { int f() {} }", "namespace X { namespace { int X() {} }}"),
])  # fmt: skip
def test_what_is_ours_is_renamed(text: str, wanted: str) -> None:
    assert re.sub(STAND_IN, "X", protect_one(text)) == wanted


def test_a_macro_that_makes_names_of_ours_is_refused() -> None:
    with pytest.raises(ConversionError, match="layer_"):
        protect_one("#define LAYER(i) layer_##i()")


def test_a_name_is_the_same_in_all_files_and_files_are_renamed() -> None:
    names = Names(SALT)
    texts = {
        "main.h": "struct Thing;", "main.cpp": '#include "main.h"\n#include "weights.h"\nThing f("weights.bin", "x");',
        "README.md": "Thing", "CMakeLists.txt": "# Thing\nproject(Thing CXX)\nadd_library(Thing main.cpp weights.bin)",
    }  # fmt: skip
    written = protected(texts, names, ["weights.bin", "weights.h"])
    thing, main, weights = names["Thing"], names["main"], names["weights"]
    assert written.pop("CMakeLists.txt").startswith(
        f"project({thing} CXX)\nadd_library({thing} {main}.cpp {weights}.bin)"
    )
    assert written == {
        f"{main}.h": f"struct {thing};\n",
        f"{main}.cpp": f'#include "{main}.h"\n#include "{weights}.h"\n{thing} {names["f"]}("{weights}.bin", "x");\n',
    }


@given(st.lists(st.text(), unique=True), st.binary(min_size=1), st.binary(min_size=1))
def test_names_depend_on_the_salt_and_are_never_the_same_for_two(words: list[str], salt: bytes, other: bytes) -> None:
    names, again, others = Names(salt), Names(salt), Names(other)
    found = [names[word] for word in words]
    assert all(re.fullmatch(STAND_IN, name) for name in found)
    assert len(set(found)) == len(found)
    assert found == [again[word] for word in words]
    assert [names[name] for name in found] == found  # what is protected stays
    if salt != other:
        assert set(found).isdisjoint(others[word] for word in words)


def test_names_that_would_be_the_same_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    from netglot.backends.cpp import protect

    monkeypatch.setattr(protect, "stand_in", lambda name, salt, attempt: f"x{attempt:015}")
    names = Names(SALT)
    assert [names["a"], names["b"], names["a"]] == ["x" + "0" * 15, "x" + "0" * 14 + "1", "x" + "0" * 15]


# ----------------------------------------------------------------- the owner's map


def test_a_crash_report_is_read_with_the_map() -> None:
    names = Names(SALT)
    netglot, run, data, model = (names[name] for name in ("netglot", "run", "data", "model"))
    report = f"#0 0x00007f1200000123 in {netglot}::{run}(float*) at {model}.cpp:12 of {data}, x123456789012345"
    wanted = "#0 0x00007f1200000123 in netglot::run(float*) at model.cpp:12 of data, x123456789012345"
    assert unmap(report, sources(names)) == wanted
    assert unmap(report, read_map(map_text(names, {"data": data}))) == wanted


@pytest.mark.skipif(not shutil.which("c++filt"), reason="there is no c++filt here")
def test_mangled_symbols_can_be_read_after_the_map() -> None:
    names = Names(SALT)
    ours, conv = names["netglot"], names["conv"]
    symbol = f"_ZN{len(ours)}{ours}{len(conv)}{conv}ILl12EEEvPKf"
    assert unmap(symbol, sources(names)) == "_ZN7netglot4convILl12EEEvPKf"
    command = ["c++filt", unmap(symbol, sources(names))]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "void netglot::conv<12l>(float const*)"


def test_a_name_that_was_made_of_a_protected_one_is_read() -> None:
    names = Names(SALT)
    weights = names[f"{names['my net']}_weights"]
    assert unmap(weights, sources(names)) == "my net_weights"


@pytest.mark.parametrize("text", [b"\xff\xfe\x00", "", "[]", "{}", '{"names": 1, "tensors": {}}', "\x00"])
def test_what_is_no_map_is_refused(text: str | bytes) -> None:
    with pytest.raises(ConversionError, match="no map"):
        read_map(text)


# ------------------------------------------------------------------- the layers


@st.composite
def dependencies(draw: st.DrawFn) -> list[set[int]]:
    """For each layer, earlier ones that it needs."""
    count = draw(st.integers(0, 30))
    return [draw(st.sets(st.integers(0, i - 1), max_size=4)) if i else set() for i in range(count)]


@given(dependencies(), st.binary(min_size=1))
def test_layers_are_permuted_but_none_comes_before_what_it_needs(needed: list[set[int]], salt: bytes) -> None:
    order = permute(range(len(needed)), needed, salt)
    assert sorted(order) == list(range(len(needed)))
    places = {layer: place for place, layer in enumerate(order)}
    assert all(places[i] < places[layer] for layer, before in enumerate(needed) for i in before)
    assert order == permute(range(len(needed)), needed, salt)


def test_another_salt_gives_another_order() -> None:
    assert len({tuple(permute(range(20), [set()] * 20, bytes([salt]))) for salt in range(20)}) == 20


def test_layers_that_need_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="circle"):
        permute("ab", [{1}, {0}], SALT)


@given(st.integers(0, 60), st.binary(min_size=1))
def test_layers_are_merged_in_groups_of_two_to_five(count: int, salt: bytes) -> None:
    groups = merge(range(count), salt)
    assert [layer for group in groups for layer in group] == list(range(count))
    assert all(2 <= len(group) <= 5 for group in groups) or count == 1
    assert groups == merge(range(count), salt)


def test_another_salt_merges_other_layers() -> None:
    assert len({str(merge(range(100), bytes([salt]))) for salt in range(20)}) == 20


@settings(max_examples=30)
@given(graphs.graphs(), st.binary(min_size=1))
def test_a_hidden_graph_computes_the_same(graph: Graph, salt: bytes) -> None:
    from netglot.runtimes.onnxruntime import OnnxRuntime

    feed, wanted = graphs.feed(graph), OnnxRuntime(graph).run(graphs.feed(graph))
    _, names = hide(graph, salt)
    graph.check()
    found = OnnxRuntime(graph).run({names[name]: value for name, value in feed.items()})
    assert {name: value.tobytes() for name, value in found.items()} == {
        names[name]: value.tobytes() for name, value in wanted.items()
    }
    done: set[object] = set()
    for node in graph.nodes():
        makers = {graph.producer(value) for value in node.inputs if value is not None} - {None}
        assert makers <= done
        done.add(node)


# ------------------------------------------------------------------ whole folders


def secret_net() -> Graph:
    """A network that says much of itself, with branches whose order is free."""
    rng = np.random.default_rng(1)

    def weights(*shape: int) -> np.ndarray:
        return rng.uniform(-0.5, 0.5, shape).astype(np.float32)

    g = Builder(Graph("face_recogniser"))
    x = g.graph.add_input("camera_picture", np.dtype(np.float32), (1, 16, 12, 10))
    x = g.Conv(x, weights(16, 16, 3, 3), weights(16), pads=(1, 1, 1, 1))
    parts = [g.Sigmoid(x), g.Tanh(x), g.Softplus(x), g.HardSwish(x), g.Elu(x)]
    x = g.MaxPool(g.Concat(*parts, axis=1), kernel_shape=(2, 2), strides=(2, 2))
    x = g.LayerNormalization(g.Gemm(g.Flatten(x), weights(2400, 9), weights(9)), weights(9), weights(9), axis=1)
    probabilities = g.Softmax(x, axis=1)
    g.graph.rename(probabilities, "person_probability")
    g.graph.outputs = [probabilities, g.ReduceMean(x)]
    return g.graph


SECRETS = ["face_recogniser", "recogniser", "camera", "picture", "person", "probab", "netglot"]
# What the mathematics, the language and the file format need; none of them tells more than that.
NEEDED = "unsigned|__gxx_personality_v0|sqrtf?|tanhf?|expf?|erff?|log1pf?|floorf?|ceilf?|roundf?|rintf?|nearbyintf?"


def operators() -> list[str]:
    names = {schema.name.lower() for schema in onnx.defs.get_all_schemas_with_history()}
    return sorted(name for name in names if len(name) >= 4)


@dataclass
class Built:
    """A folder, and the library and the program that CMake made of it."""

    folder: Path
    library: Path
    program: Path

    def symbols(self, *flags: str) -> list[str]:
        found = subprocess.run(["nm", *flags, str(self.library)], capture_output=True, text=True, check=True)
        return found.stdout.splitlines()

    def texts(self) -> str:
        strings = subprocess.run(["strings", "-n", "4", str(self.library)], capture_output=True, text=True, check=True)
        return "\n".join([strings.stdout, *self.symbols(), *self.symbols("-C")])


def build(folder: Path, compiler: str = "g++") -> Built:
    if not shutil.which(compiler) or not shutil.which("cmake"):
        pytest.skip(f"there is no {compiler} or no cmake here")
    made = folder.with_name(f"{folder.name}-{compiler}")
    flags = [f"-DCMAKE_CXX_COMPILER={compiler}", "-DCMAKE_BUILD_TYPE=None", f"-DCMAKE_CXX_FLAGS=-O2 {' '.join(STRICT)}"]
    for command in (["-S", str(folder), "-B", str(made), *flags], ["--build", str(made)]):
        done = subprocess.run(["cmake", *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (library,) = made.glob("*.a")
    return Built(folder, library, made / "run")


def run(built: Built, names: dict[str, str], work: Path, *arguments: str) -> dict[str, bytes]:
    """The bytes of the outputs, by the name in the source."""
    work.mkdir()
    (feed,) = graphs.feed(secret_net()).values()
    np.save(work / "in.npy", feed)
    name = names.get("camera_picture", "camera_picture")
    command = [str(built.program), "--input", f"{name}={work / 'in.npy'}", "--output-dir", str(work), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (work / "in.npy").unlink()
    known = sources(names)
    return {known.get(path.stem, path.stem): path.read_bytes() for path in work.glob("*.npy")}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("protected")


@pytest.fixture(scope="module")
def plain(home: Path) -> Built:
    save(secret_net(), home / "plain")
    return build(home / "plain")


@pytest.fixture(scope="module", params=["g++", "clang++"])
def hidden(home: Path, request: pytest.FixtureRequest) -> Built:
    if not (home / "hidden").exists():
        save(secret_net(), home / "hidden", protect=True, salt="one")
    return build(home / "hidden", request.param)


@pytest.fixture(scope="module")
def other(home: Path) -> Built:
    save(secret_net(), home / "other", protect=True, salt="two")
    return build(home / "other")


def names_of(built: Built) -> dict[str, str]:
    return sources(read_map(built.folder.with_name(built.folder.name + ".map.json").read_text()))


def sources(names: dict[str, str]) -> dict[str, str]:
    """The other way round: protected name -> name, or back."""
    return {new: name for name, new in names.items()}


def test_a_protected_model_computes_the_same_bits(plain: Built, hidden: Built, tmp_path: Path) -> None:
    if "clang" in hidden.library.parent.name:
        plain = build(plain.folder, "clang++")
    wanted = run(plain, {}, tmp_path / "plain")
    assert run(hidden, names_of(hidden), tmp_path / "hidden") == wanted
    assert "person_probability" in wanted


def test_a_protected_and_encrypted_model_computes_the_same_bits(plain: Built, home: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(bytes(range(32)))
    (tmp_path / "wrong").write_bytes(bytes(range(1, 33)))
    save(secret_net(), home / "sealed", protect=True, encrypt=tmp_path / "key")
    sealed = build(home / "sealed")
    found = run(sealed, names_of(sealed), tmp_path / "sealed", "--key", str(tmp_path / "key"))
    assert found == run(plain, {}, tmp_path / "plain")
    for arguments in (["--key", str(tmp_path / "wrong")], []):
        refused = subprocess.run(
            [sealed.program, "--repeat", "1", *arguments], capture_output=True, text=True, check=False
        )
        assert refused.returncode != 0
        assert "not with this key" in refused.stderr


def test_a_protected_library_does_not_say_what_it_is(hidden: Built) -> None:
    text = re.sub(rf"\b({NEEDED})\b", "", hidden.texts().lower())
    assert [word for word in [*operators(), *SECRETS] if word in text] == []


def test_its_symbols_tell_no_shapes(hidden: Built) -> None:
    """The shapes of layers are template arguments."""
    assert not [line for line in hidden.symbols("-C") if re.search(r"<.*\d+l[,>]", line)]


def test_a_plain_library_does_say_it(plain: Built) -> None:
    """So the tests above would see it."""
    text = plain.texts().lower()
    assert {"recogniser", "netglot", "softmax"} <= {word for word in [*operators(), *SECRETS] if word in text}


def test_two_salts_share_no_symbol(hidden: Built, other: Built) -> None:
    first, second = (set(built.symbols("--defined-only", "-g", "-j")) for built in (hidden, other))
    symbols = {line for line in first if not line.endswith(":") and line}
    assert len(symbols) > 5
    assert symbols & second == set()


def test_two_salts_permute_and_merge_the_layers(hidden: Built, other: Built) -> None:
    """Seen through the map: another number of functions, or other layers in them."""

    def layers(built: Built) -> str:
        names = names_of(built)
        return unmap((built.folder / f"{names['layers']}.h").read_text(), sources(names))

    assert layers(hidden) != layers(other)
    assert layers(hidden).count(" layer_") < layers(hidden).count("run.buffer")


def test_a_protected_folder_says_nothing_either(hidden: Built) -> None:
    """Every word in it is the language's, the standard library's or a number."""
    for path in hidden.folder.iterdir():
        text = path.read_bytes().decode("latin-1") + path.name
        assert [word for word in SECRETS if word in text.lower()] == []
        if path.suffix in (".h", ".cpp"):
            assert "//" not in re.sub(r'"[^"\n]*"', "", text)
    written = {path.name for path in hidden.folder.iterdir()} - {"CMakeLists.txt", "interface.json"}
    assert all(re.fullmatch(rf"{STAND_IN}\.(h|cpp|bin)", name) for name in written)


def test_the_owner_reads_symbols_with_the_map(hidden: Built) -> None:
    shown = unmap("\n".join(hidden.symbols("-C")), sources(names_of(hidden)))
    assert "::Model::run(" in shown
    assert "netglot::Options const&" in shown


def test_the_map_is_beside_the_folder_and_has_the_salt(hidden: Built) -> None:
    content = json.loads(hidden.folder.with_name("hidden.map.json").read_text())
    assert bytes.fromhex(content["salt"]) == b"one"
    assert {"camera_picture", "person_probability"} <= set(content["tensors"])


def test_the_runtime_knows_a_protected_model_by_the_names_of_its_source(tmp_path: Path) -> None:
    save(secret_net(), tmp_path / "hidden", protect=True)
    flags = ["-O0", "-DNETGLOT_ONLY=0"]
    model = CompiledCpp(tmp_path / "hidden", flags, cache=tmp_path, names=tmp_path / "hidden.map.json")
    found = model.run(graphs.feed(secret_net()))
    save(secret_net(), tmp_path / "plain")
    wanted = CompiledCpp(tmp_path / "plain", flags, cache=tmp_path).run(graphs.feed(secret_net()))
    assert list(found) == list(wanted)
    assert all(np.allclose(found[name], wanted[name], rtol=1e-4, atol=1e-6) for name in wanted)


def test_tensors_that_are_called_like_names_of_the_code_do_not_become_the_same(tmp_path: Path) -> None:
    from netglot.runtimes.onnxruntime import OnnxRuntime

    g = Builder(Graph("Model"))
    x = g.graph.add_input("inputs", np.dtype(np.float32), (2, 3))
    for i, name in enumerate(["run", "parallel", "netglot", "Run", "plan", "layers", "constant", "buffer"]):
        x = g.Tanh(g.Add(x, g.graph.add_constant(np.linspace(-i, 1, 6, dtype=np.float32).reshape(2, 3), name)))
    g.graph.rename(x, "outputs")
    g.graph.outputs = [x]
    feed = graphs.feed(g.graph)
    wanted = OnnxRuntime(g.graph).run(feed)
    save(g.graph, tmp_path / "hidden", protect=True)
    map_file = tmp_path / "hidden.map.json"
    model = CompiledCpp(tmp_path / "hidden", ["-O0", "-DNETGLOT_ONLY=0"], cache=tmp_path, names=map_file)
    assert np.allclose(model.run(feed)["outputs"], wanted["outputs"], rtol=1e-5)
    tensors, ours = (json.loads(map_file.read_text())[part]["run"] for part in ("tensors", "names"))
    assert tensors != ours
    assert unmap(f"{tensors} {ours}", read_map(map_file.read_text())) == "run run"


def test_an_error_speaks_of_the_names_of_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(graph: Graph, *_: object) -> None:
        name = graph.inputs[0].name
        assert re.fullmatch(STAND_IN, name)
        raise UnsupportedError([Problem(f"'{name}' is no picture", hint=f"Not even '{name}'.")])

    monkeypatch.setattr("netglot.backends.cpp.writer.lowering.lower", refuse)
    with pytest.raises(UnsupportedError, match=r"'camera_picture' is no picture\n +Not even 'camera_picture'\."):
        save(secret_net(), tmp_path / "hidden", protect=True)
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------- all that we ship

ARM = ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"]
TARGETS = {
    "sse2": ["g++", "-DNETGLOT_LEVEL=0"],
    "avx2": ["g++", "-DNETGLOT_LEVEL=1"],
    "avx512": ["g++", "-DNETGLOT_LEVEL=2"],
    "clang-avx512": ["clang++", "-DNETGLOT_LEVEL=2"],
    "aarch64": ["aarch64-linux-gnu-g++", "-DNETGLOT_LEVEL=0"],
    "arm": ["arm-none-eabi-g++", "-DNETGLOT_LEVEL=0", *ARM],
}


@pytest.mark.parametrize("target", TARGETS)
def test_every_header_compiles_protected(target: str, tmp_path: Path) -> None:
    """Also those kernels that the networks above do not use."""
    compiler, *flags = TARGETS[target]
    if not shutil.which(compiler):
        pytest.skip(f"there is no {compiler} here")
    names = Names(SALT)
    for name, text in protected(headers(target), names).items():
        (tmp_path / name).write_text(text)
    flags = [flag.replace("NETGLOT_LEVEL", names["NETGLOT_LEVEL"]) for flag in flags]
    source = tmp_path / f"{names['all']}.cpp"
    done = subprocess.run([compiler, *flags, *COMPILE, str(source)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, unmap(done.stderr[-3000:], sources(names))


COMPILE = ["-std=c++17", "-O0", *STRICT, "-fsyntax-only"]


def headers(target: str) -> dict[str, str]:
    """All headers, and a source that includes them."""
    left_out: Sequence[str] = ("threads.h", "npy.h") if target == "arm" else ()
    texts = {path.name: path.read_text() for path in sorted(RUNTIME.glob("*.h"))}
    includes = "".join(f'#include "{name}"\n' for name in texts if name not in left_out)
    return {**texts, "all.cpp": includes}
