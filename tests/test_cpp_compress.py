"""Constants of C++ models that are stored coded: the coder against its decoder, and whole models, bit by bit."""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import netglot
from netglot.backends.cpp import save
from netglot.backends.cpp.entropy import BLOCK, encode, normalised
from netglot.backends.cpp.protect import stand_in
from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Value
from netglot.passes import pipeline
from netglot.runtimes.compiled import CompiledCpp
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests import graphs, oracles
from tests.test_cpp import small_net
from tests.test_targets import assert_close

RUNTIME = oracles.ROOT / "netglot/backends/cpp/runtime"
STRICT = ["-std=c++17", "-O2", "-Wall", "-Wextra", "-Werror", f"-I{RUNTIME}"]
SANITIZED = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
PROGRAM = Path(__file__).parent / "cpp" / "entropy.cpp"
BUILDS = {
    "sanitized": ["g++", *STRICT, *SANITIZED],
    "clang++": ["clang++", *STRICT],
    "aarch64": ["aarch64-linux-gnu-g++", *STRICT, "-static"],
}

Tables = Sequence[np.ndarray]
Decode = Callable[..., list[tuple[bool, bytes]]]


def decoder(build: str, folder: Path) -> Decode:
    """Decodes (stream, size of the constants)s: whether each is good, and the constants."""
    command = BUILDS[build]
    emulator = ["qemu-aarch64"] if build == "aarch64" else []
    if not all(shutil.which(program) for program in [command[0], *emulator]):
        pytest.skip(f"{command[0]} or what runs its programs is not here")
    subprocess.run([*command, "-o", str(folder / "decode"), str(PROGRAM)], check=True)

    def decode(*asked: tuple[bytes, int]) -> list[tuple[bool, bytes]]:
        questions = b"".join(struct.pack("<2Q", len(stream), room) + stream for stream, room in asked)
        done = subprocess.run([*emulator, str(folder / "decode")], input=questions, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()[-2000:]
        answers, at = [], 0
        for _, room in asked:
            answers.append((bool(done.stdout[at]), done.stdout[at + 1 : at + 1 + room]))
            at += 1 + room
        return answers

    return decode


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> Decode:
    return decoder("sanitized", tmp_path_factory.mktemp("sanitized"))


@pytest.fixture(scope="module", params=BUILDS)
def decode(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, sanitized: Decode) -> Decode:
    return sanitized if request.param == "sanitized" else decoder(request.param, tmp_path_factory.mktemp("decode"))


def plain(tables: Tables) -> bytes:
    """The constants as they lie in memory: each at a multiple of 64."""
    return b"".join(table.tobytes() + bytes(-table.nbytes % 64) for table in tables)


def coded(tables: Tables) -> bytes:
    return b"".join(encode(tables))


# -------------------------------------------------------------------- the tables


def floats(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.normal(0, 0.05, count).astype(np.float32)


def special(rng: np.random.Generator, count: int) -> np.ndarray:
    """Zeros of both signs, infinities, NaN with a payload, subnormal numbers."""
    values = np.array([0, 1 << 31, 0x7F800000, 0xFF800000, 0x7FC12345, 1, 0x3F800000], np.uint32)
    return rng.choice(values, count).view(np.float32)


def few_values(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.choice(floats(rng, int(rng.integers(1, 257))), count)


def sparse(rng: np.random.Generator, count: int) -> np.ndarray:
    return np.where(rng.random(count) < rng.random(), floats(rng, count), np.float32(0))


def sparse_of_few(rng: np.random.Generator, count: int) -> np.ndarray:
    return np.where(rng.random(count) < rng.random(), few_values(rng, count), np.float32(0))


def padded(rng: np.random.Generator, count: int) -> np.ndarray:
    """Panels of which a few lanes are used."""
    return np.where(np.arange(count) % 16 < rng.integers(1, 16), floats(rng, count), np.float32(0))


def integers(rng: np.random.Generator, count: int) -> np.ndarray:
    return np.clip(rng.normal(0, 20, count), -128, 127).astype(np.int8)


def any_bytes(rng: np.random.Generator, count: int) -> np.ndarray:
    kind = np.dtype(rng.choice(["u1", "<u2", "<i4", "<f8", "<i8"]))
    return np.frombuffer(rng.bytes(count * kind.itemsize), kind)


def skewed(rng: np.random.Generator, count: int) -> np.ndarray:
    """One symbol in most places, and each of the others somewhere, as far as they fit."""
    values = np.where(rng.random(count) < 0.999, 7, rng.integers(0, 256, count))
    values[: min(256, count)] = np.arange(256)[:count]
    return values.astype(rng.choice(["u1", "<u2", "<u4"]))


def scaled(rng: np.random.Generator, count: int) -> np.ndarray:
    """Integers of 4 bits with a scale for every 32 in a column of a panel."""
    codes = rng.integers(-8, 8, (-(-count // 512), 32, 16)).astype(np.float32)
    return (codes * rng.uniform(0.001, 0.1, (len(codes), 1, 16)).astype(np.float32)).reshape(-1)


def scaled_with_negative_zeros(rng: np.random.Generator, count: int) -> np.ndarray:
    return scaled(rng, count) * np.float32(-1)


def halves(rng: np.random.Generator, count: int) -> np.ndarray:
    return floats(rng, count).astype(np.float16).view(np.uint16)


def constant(rng: np.random.Generator, count: int) -> np.ndarray:
    return np.full(count, rng.choice([0, 1, -1, 3.25]), rng.choice(["<f4", "<f8", "<i4", "i1"]))


KINDS = [
    floats, special, few_values, sparse, sparse_of_few, padded, integers, any_bytes, skewed, scaled,
    scaled_with_negative_zeros, halves, constant,
]  # fmt: skip
COUNTS = st.one_of(st.integers(0, 40), st.integers(0, 3000))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(KINDS), COUNTS), max_size=6), st.integers(0, 2**32))
def test_every_table_comes_out_as_it_went_in(decode: Decode, wanted: list[tuple[Callable, int]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    tables = [make(rng, count) for make, count in wanted]
    ((good, found),) = decode((coded(tables), len(plain(tables))))
    assert good
    assert found == plain(tables)


@pytest.mark.parametrize("make", KINDS)
def test_tables_of_more_than_a_block(sanitized: Decode, make: Callable[..., np.ndarray]) -> None:
    rng = np.random.default_rng(1)
    tables = [make(rng, count) for count in (BLOCK, 1, BLOCK + 1, 2 * BLOCK - 3)]
    ((good, found),) = sanitized((coded(tables), len(plain(tables))))
    assert good
    assert found == plain(tables)


def test_frequencies_sum_up_and_leave_no_symbol_out() -> None:
    rng = np.random.default_rng(2)
    for total in (64, 1 << 12, 1 << 14):
        for used in (2, 10, 64):
            counts = np.zeros(256, np.int64)
            counts[rng.choice(256, used, replace=False)] = np.exp(rng.uniform(0, 20, used)).astype(np.int64)
            found = normalised(counts, total)
            assert found.sum() == total
            assert np.array_equal(found > 0, counts > 0)


def test_the_code_is_near_the_entropy() -> None:
    """Skewed bytes, and weights of few values of which most are zero."""
    rng = np.random.default_rng(3)
    for table, codebook in ((integers(rng, 1 << 16), 0), (sparse_of_few(rng, 1 << 16), 1024)):
        counts = np.unique(table, return_counts=True)[1]
        entropy = -(counts @ np.log2(counts / table.size)) / 8
        assert len(coded([table])) <= 1.005 * entropy + 256 + codebook


def test_integers_of_four_bits_with_many_scales_are_coded_as_such() -> None:
    table = scaled(np.random.default_rng(7), 1 << 17)
    scales = table.size // 32
    assert len(coded([table])) < 0.5 * table.size + 4 * scales + 1000
    table[1234] *= np.float32(1.01)  # no such integer any more
    assert len(coded([table])) > 2 * table.size


def test_padding_costs_nearly_nothing() -> None:
    rng = np.random.default_rng(4)
    weights = floats(rng, 4000)
    panels = np.zeros((4000, 16), np.float32)
    panels[:, 3] = weights
    assert len(coded([panels])) < 1.01 * len(coded([weights])) + 100


# ------------------------------------------------------------------------ damage


@pytest.mark.parametrize("make", KINDS)
def test_damaged_streams_do_no_harm(sanitized: Decode, make: Callable[..., np.ndarray]) -> None:
    """The sanitizers watch: bytes are changed, and streams are for constants of another size."""
    rng, dice = np.random.default_rng(5), random.Random(5)
    tables = [make(rng, 700), floats(rng, 5)]
    stream, room = coded(tables), len(plain(tables))
    asked = [(stream, room - 64), (stream, 0), (b"", room), (b"", 0)]
    for _ in range(150):
        damaged = bytearray(stream)
        for _ in range(dice.choice([1, 1, 2, 8])):
            damaged[dice.randrange(dice.choice([8, 64, len(stream)])) % len(stream)] = dice.randrange(256)
        asked.append((bytes(damaged), room))
    answers = sanitized(*asked)
    assert [good for good, _ in answers[:4]] == [False, False, True, True]


def test_a_stream_that_ends_early_is_no_good(sanitized: Decode) -> None:
    rng = np.random.default_rng(6)
    for make in KINDS:
        table = make(rng, 300)
        stream = coded([table])
        answers = sanitized(*((stream[:size], len(plain([table]))) for size in range(1, len(stream))))
        assert not any(good for good, _ in answers), make.__name__


def test_the_decoder_compiles_for_a_microcontroller(tmp_path: Path) -> None:
    if not shutil.which("arm-none-eabi-g++"):
        pytest.skip("there is no arm-none-eabi-g++ here")
    (tmp_path / "main.cpp").write_text(
        '#include "entropy.h"\n'
        "bool decode(netglot::Unpacker& unpacker, const unsigned char* from, unsigned char* to) {\n"
        "  return unpacker.unpack(from, 100, to, 640);\n}\n"
    )
    flags = ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", "-fno-exceptions"]
    command = ["arm-none-eabi-g++", *STRICT, *flags, "-c", str(tmp_path / "main.cpp"), "-o", str(tmp_path / "main.o")]
    subprocess.run(command, check=True)
    symbols = subprocess.run(["arm-none-eabi-nm", tmp_path / "main.o"], check=True, capture_output=True, text=True)
    undefined = {line.split()[-1] for line in symbols.stdout.splitlines() if " U " in line}
    assert undefined <= {"memcpy", "memset", "memmove"}  # no heap


# ------------------------------------------------------------------------ models


def run(
    folder: Path, graph: Graph, key: Path | None = None, names: Path | None = None, only: str = "NETGLOT_ONLY"
) -> list[bytes]:
    model = CompiledCpp(folder, ["-O0", f"-D{only}=0", *STRICT[2:-1]], folder.parent, key, names)
    return [array.tobytes() for array in model.run(graphs.feed(graph)).values()]


def test_a_compressed_model_computes_the_same_bits(tmp_path: Path) -> None:
    """Also encrypted, protected and with threads."""
    (tmp_path / "key").write_bytes(bytes(range(32)))
    graph, key = small_net(), tmp_path / "key"
    save(graph.copy(), tmp_path / "plain", exact=True)
    save(graph.copy(), tmp_path / "packed", compress="lossless")
    save(graph.copy(), tmp_path / "all", compress="lossless", encrypt=key, protect=True, salt="s", threads=2)
    wanted = run(tmp_path / "plain", graph)
    assert run(tmp_path / "packed", graph) == wanted
    only = stand_in("NETGLOT_ONLY", b"s")
    assert run(tmp_path / "all", graph, key, tmp_path / "all.map.json", only) == wanted
    assert (tmp_path / "packed/weights.bin").stat().st_size < 0.9 * (tmp_path / "plain/weights.bin").stat().st_size


def test_a_changed_compressed_weight_is_refused(tmp_path: Path) -> None:
    save(small_net(), tmp_path / "model", compress="lossless")
    stream = bytearray((tmp_path / "model/weights.bin").read_bytes())
    stream[len(stream) // 2] ^= 1
    (tmp_path / "model/weights.bin").write_bytes(stream)
    with pytest.raises(netglot.ConversionError, match="its weights are not those that were written"):
        run(tmp_path / "model", small_net())


def test_squeezenet_is_a_tenth_of_its_size_and_bit_exact(tmp_path: Path, sanitized: Decode) -> None:
    """The figure of the issue: its zero-order entropy with codebooks and biases is 539,141 bytes."""
    source = oracles.model("caffe/squeezenet_v1.0.prototxt"), oracles.model("caffe/squeezenet_v1.0.caffemodel")
    graph = netglot.load(*source)
    pipeline.run(graph, pipeline.COMMON)
    save(graph.copy(), tmp_path / "plain", exact=True)
    save(graph.copy(), tmp_path / "packed", compress="lossless")
    stored, weights = ((tmp_path / name / "weights.bin").read_bytes() for name in ("packed", "plain"))
    assert len(list((tmp_path / "packed").glob("*.bin"))) == 1
    assert len(stored) <= 560_000
    ((good, found),) = sanitized((stored, len(weights)))
    assert good
    assert found == weights


# ------------------------------------------------- weights that are stored as integers


def by_channel(g: Builder, w: np.ndarray, axis: int, most: int, kind: np.dtype) -> Value:
    """w as integers of `kind` with a scale for each channel; most of all: `most`."""
    others = tuple(i for i in range(w.ndim) if i != axis)
    scale = (np.abs(w).max(axis=others) / most).astype(np.float32)
    shape = [-1 if i == axis else 1 for i in range(w.ndim)]
    return g.DequantizeLinear(np.round(w / scale.reshape(shape)).astype(kind), scale, axis=axis)


def by_block(g: Builder, w: np.ndarray, axis: int) -> Value:
    """w as integers of 4 bits with a scale for 32 along `axis`."""
    blocks = np.moveaxis(w, axis, -1).reshape(*np.delete(w.shape, axis), -1, 32)
    scale = (np.abs(blocks).max(axis=-1) / 7).astype(np.float32)
    codes = np.round(blocks / scale[..., None]).reshape(*np.delete(w.shape, axis), -1)
    parts = np.moveaxis(codes, -1, axis).astype(ml_dtypes.int4), np.moveaxis(scale, -1, axis)
    return g.DequantizeLinear(*parts, axis=axis, block_size=32)


def shifted(g: Builder, w: np.ndarray) -> Value:
    """w as uint8 around 128."""
    scale = np.float32(np.abs(w).max() / 127)
    return g.DequantizeLinear((np.round(w / scale) + 128).astype(np.uint8), scale, np.array(128, np.uint8))


def stored_net() -> Graph:
    """Layers of floats whose weights are stored in one way each."""
    rng = np.random.default_rng(8)
    g = Builder(Graph("stored"))

    def weights(*shape: int) -> np.ndarray:
        return rng.normal(0, 0.1, shape).astype(np.float32)

    x = g.graph.add_input("x", np.dtype(np.float32), (1, 32, 6, 5))
    x = g.Relu(g.Conv(x, by_channel(g, weights(64, 32, 3, 3), 0, 127, np.dtype(np.int8)), weights(64)))
    x = g.Relu(g.Conv(x, by_block(g, weights(48, 64, 3, 3), 1), pads=[1, 1, 1, 1]))
    x = g.Conv(x, shifted(g, weights(64, 48, 1, 1)))
    x = g.Conv(x, by_channel(g, weights(32, 64, 1, 1), 0, 7, np.dtype(ml_dtypes.int4)))
    x = g.Reshape(x, [1, -1])
    x = g.MatMul(x, by_channel(g, weights(384, 40), 1, 127, np.dtype(np.int8)))
    indices, codebook = g.constant(rng.integers(0, 16, (40, 64)).astype(np.uint8)), g.constant(np.sort(weights(16)))
    x = g.MatMul(x, g.extension("Palette", [indices, codebook]))
    mask = rng.integers(0, 256, 64 * 8 // 8).astype(np.uint8)
    values = weights(int(np.unpackbits(mask).sum()))
    g.graph.outputs = [g.MatMul(x, g.extension("Sparse", [g.constant(mask), g.constant(values)], shape=(64, 8)))]
    return g.graph


def test_weights_that_are_stored_as_integers_palettes_or_without_zeros(tmp_path: Path) -> None:
    feed = graphs.feed(stored_net())
    (wanted,) = OnnxRuntime(stored_net()).run(feed).values()
    save(stored_net(), tmp_path / "packed", compress="lossless")
    (found,) = CompiledCpp(tmp_path / "packed", ["-O0", "-DNETGLOT_ONLY=0"], tmp_path).run(feed).values()
    assert_close(found, wanted, 1e-5)
    save(stored_net(), tmp_path / "plain", exact=True)
    integers, floats = 64 * 288 + 64 * 48 + 32 * 64 + 384 * 48, 48 * 576 + 40 * 64 + 64 * 16
    assert 0 < (tmp_path / "plain/weights.bin").stat().st_size - integers - 4 * floats < 4000  # biases and scales
    assert (tmp_path / "packed/weights.bin").stat().st_size < integers + 0.7 * 48 * 576 + 3 * (40 * 64 + 64 * 16)


def test_large_weights_of_few_bits_are_computed_before(tmp_path: Path) -> None:
    """More than passes fold by themselves."""
    rng = np.random.default_rng(9)
    g = Builder(Graph("wide"))
    x = g.graph.add_input("x", np.dtype(np.float32), (1, 1024))
    g.graph.outputs = [g.MatMul(x, by_block(g, rng.normal(0, 1, (1024, 512)).astype(np.float32), 0))]
    assert save(g.graph.copy(), tmp_path / "plain") == 1
    assert save(g.graph.copy(), tmp_path / "packed", compress="lossless") == 1
    assert (tmp_path / "plain/weights.bin").stat().st_size == 4 * 1024 * 512
    assert (tmp_path / "packed/weights.bin").stat().st_size < 0.7 * 1024 * 512


def test_what_is_quantised_by_its_own_range(tmp_path: Path) -> None:
    """A range around zero, on one side of it, and none."""
    g = Builder(Graph("dynamic"))
    given = g.graph.add_input("x", np.dtype(np.float32), (2, 12))
    g.graph.outputs = [*g.DynamicQuantizeLinear(given, outputs=3)]
    save(g.graph.copy(), tmp_path / "cpp")
    model, oracle = CompiledCpp(tmp_path / "cpp", ["-O0", "-DNETGLOT_ONLY=0"], tmp_path), OnnxRuntime(g.graph)
    for x in (np.linspace(-1, 3, 24), np.linspace(1, 3, 24), np.zeros(24)):
        feed = {"x": x.reshape(2, 12).astype(np.float32)}
        for got, due in zip(model.run(feed).values(), oracle.run(feed).values(), strict=True):
            np.testing.assert_array_equal(got, due)
