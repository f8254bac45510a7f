"""Real networks as C++: every compiler, every level of instructions, other processors, and the sanitizers.

The compilers and the emulator are what `make toolchains` installs; a test whose tool is missing skips.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import netglot
from netglot.backends.cpp import save
from netglot.ir.graph import Graph
from netglot.passes import pipeline
from netglot.runtimes.compiled import CompiledCpp
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests import graphs, oracles
from tests.targets import cpp_levels
from tests.test_targets import assert_close

STRICT = ["-Wall", "-Wextra", "-Werror"]
SANITIZED = ["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
LEVELS = ["baseline", "avx2", "avx512"]
AARCH64 = "aarch64-linux-gnu-g++"
CORTEX_M = oracles.ROOT / "examples" / "cpp" / "cortex_m"

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Source:
    """A network of the shared folder. `slow`: compiling or emulating it takes long."""

    path: str
    weights: str | None = None
    inputs: tuple[tuple[str, tuple[int, ...]], ...] = ()
    slow: bool = False

    @property
    def name(self) -> str:
        return self.path.replace("/", "-").partition(".")[0]

    def load(self) -> Graph:
        weights = oracles.model(self.weights) if self.weights else None
        graph = netglot.load(oracles.model(self.path), weights, inputs=dict(self.inputs) or None, batch=self._batch)
        pipeline.run(graph, pipeline.COMMON)
        return graph

    @property
    def _batch(self) -> int | None:
        return None if self.inputs else 1


def caffe(name: str, weights: str = "", slow: bool = False) -> Source:
    return Source(f"caffe/{name}.prototxt", f"caffe/{weights or f'{name}.caffemodel'}", slow=slow)


SOURCES = [
    caffe("cifar10_quick", "cifar10_quick.caffemodel.h5"), caffe("lenet_v1layers_2014"), caffe("mtcnn_det1"),
    caffe("mtcnn_det2"), caffe("squeezenet_v1.0", slow=True), caffe("ultraface_rfb320", slow=True),
    Source("coreml/mnist.mlmodel"), Source("coreml/tiny_drawing_embedding.mlmodel"),
    Source("keras/resnet8_cifar10.h5"), Source("keras/vww_mobilenet_96.h5"),
    Source("mxnet/mtcnn_det1-symbol.json", inputs=(("data", (1, 3, 12, 12)),)),
    Source("mxnet/mtcnn_det2-symbol.json", inputs=(("data", (1, 3, 24, 24)),)),
    Source("onnx/mnist_cntk.onnx"), Source("onnx/squeezenet_fp16_opset7.onnx", slow=True),
    Source("onnx/ultraface_rfb320.onnx", slow=True),
    Source("tf/kws_ds_cnn_s_frozen.pb", inputs=(("Mfcc", (1, 49, 10)),)), Source("tf/kws_saved_model"),
]  # fmt: skip
SMALL = [source for source in SOURCES if not source.slow]

every = pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
small = pytest.mark.parametrize("source", SMALL, ids=lambda source: source.name)


@dataclass(frozen=True)
class Expected:
    inputs: Arrays
    outputs: Arrays
    tolerance: float


@cache
def expected(source: Source) -> Expected:
    """What ONNX Runtime computes."""
    graph = source.load()
    is_half = any(value.dtype == np.float16 for value in graph.values())
    feed = graphs.feed(graph)
    return Expected(feed, OnnxRuntime(graph).run(feed), 1e-2 if is_half else 1e-5)


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example program is the same for all networks: it is compiled once for each compiler and its flags."""
    return tmp_path_factory.mktemp("cache")


def need(*tools: str) -> None:
    for tool in tools:
        if shutil.which(tool) is None:
            pytest.skip(f"there is no {tool} here (make toolchains)")


def built(source: Source, folder: Path, flags: Sequence[str], cache: Path, exact: bool = True) -> CompiledCpp:
    """The example program of `source`, compiled with `flags` by $CXX."""
    save(source.load(), folder / "model", exact=exact)
    return CompiledCpp(folder / "model", flags, cache=cache)


def check(
    source: Source, model: CompiledCpp, *arguments: str, emulator: Sequence[str] = (), tolerance: float = 0
) -> None:
    """That the program computes what ONNX Runtime does, and has nothing to complain of."""
    wanted, folder = expected(source), model._program.parent
    command = [*emulator, str(model._program), *arguments, "--output-dir", str(folder)]
    for name, file in model._inputs.items():
        np.save(folder / f"in_{file}.npy", np.asarray(wanted.inputs[name], order="C"))
        command += ["--input", f"{file}={folder / f'in_{file}.npy'}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")  # a sanitizer says there what it found
    for name, value in wanted.outputs.items():
        assert_close(np.load(folder / f"{model._files[name]}.npy"), value, max(tolerance, wanted.tolerance))


def levels_here() -> list[str]:
    return [LEVELS[level] for level in cpp_levels()]


@every
def test_gcc_compiles_it_without_warnings(
    source: Source, tmp_path: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With sums rearranged (Winograd), which costs a digit, on each level that this processor has."""
    need("g++")
    monkeypatch.setenv("CXX", "g++")
    model = built(source, tmp_path, ["-O2", *STRICT], shared_cache, exact=False)
    for level in levels_here():
        check(source, model, "--level", level, tolerance=1e-4)


@every
def test_clang_compiles_it_without_warnings(
    source: Source, tmp_path: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exact, on each level that this processor has."""
    need("clang++")
    monkeypatch.setenv("CXX", "clang++")
    model = built(source, tmp_path, ["-O2", *STRICT], shared_cache)
    for level in levels_here():
        check(source, model, "--level", level)


@every
def test_sanitizers_find_nothing(
    source: Source, tmp_path: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AddressSanitizer (no byte past the end of anything) and UBSan, on the highest level, with Winograd."""
    need("g++")
    monkeypatch.setenv("CXX", "g++")
    only = f"-DNETGLOT_ONLY={cpp_levels()[-1]}"
    check(source, built(source, tmp_path, [*SANITIZED, only], shared_cache, exact=False), tolerance=1e-4)


@small
@pytest.mark.parametrize("level", LEVELS[:-1])
def test_sanitizers_find_nothing_on_lower_levels(
    source: Source, level: str, tmp_path: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need("clang++")
    number = LEVELS.index(level)
    if number not in cpp_levels()[:-1]:
        pytest.skip(f"{level} is not a lower level of this processor")
    monkeypatch.setenv("CXX", "clang++")
    check(source, built(source, tmp_path, [*SANITIZED, f"-DNETGLOT_ONLY={number}"], shared_cache))


@small
def test_aarch64_computes_the_same(
    source: Source, tmp_path: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cross-compiled, under an emulator."""
    need(AARCH64, "qemu-aarch64")
    monkeypatch.setenv("CXX", AARCH64)
    model = built(source, tmp_path, ["-O2", "-static", *STRICT], shared_cache)
    check(source, model, emulator=["qemu-aarch64"])
