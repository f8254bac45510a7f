"""The example program of a C++ model: timing, levels, keys and threads on its command line."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from netglot.backends.cpp import save
from netglot.ir.builder import Builder
from netglot.ir.graph import Graph
from netglot.runtimes.compiled import CompiledCpp
from tests import graphs
from tests.targets import cpp_levels

TIMES = r"min (\d+\.\d{3}) ms, median (\d+\.\d{3}) ms of (\d+) runs\n"
LEVELS = ["baseline", "avx2", "avx512"]


def net() -> Graph:
    """Convolutions of several kinds, on an image; indices that must lie within a table; a truth value."""
    rng = np.random.default_rng(1)

    def weights(*shape: int) -> np.ndarray:
        return rng.uniform(-0.5, 0.5, shape).astype(np.float32)

    g = Builder(Graph("runs"))
    x = g.graph.add_input("image", np.dtype(np.float32), (1, 3, 33, 29))
    index = g.graph.add_input("index", np.dtype(np.int64), (2,))
    x = g.Relu(g.Conv(x, weights(40, 3, 3, 3), weights(40), strides=(2, 2), pads=(1, 1, 1, 1)))
    y = g.Relu(g.Conv(x, weights(40, 1, 3, 3), weights(40), group=40, pads=(1, 1, 1, 1)))
    x = g.Add(x, g.Conv(y, weights(40, 40, 1, 1), weights(40)))
    x = g.MaxPool(g.Conv(x, weights(24, 20, 3, 3), group=2), kernel_shape=(3, 3), strides=(2, 2))
    x = g.Softmax(g.Gemm(g.Flatten(x), weights(24 * 7 * 6, 50), weights(50)), axis=1)
    g.graph.outputs = [g.Gather(x, index, axis=1)]
    return g.graph


def program(folder: Path, threads: int = 1) -> CompiledCpp:
    save(net(), folder / "model", threads=threads)
    return CompiledCpp(folder / "model", ["-O1", "-pthread"], cache=folder)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> CompiledCpp:
    return program(tmp_path_factory.mktemp("one"))


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> CompiledCpp:
    return program(tmp_path_factory.mktemp("four"), threads=4)


def call(model: CompiledCpp, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [str(part) for part in (model._program, *arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def outputs(model: CompiledCpp, folder: Path, *arguments: object) -> np.ndarray:
    """What the program writes for random inputs."""
    given: list[object] = []
    for name, value in graphs.feed(net()).items():
        np.save(folder / f"in_{name}.npy", abs(value) if name == "index" else value)
        given += ["--input", f"{name}={folder / f'in_{name}.npy'}"]
    done = call(model, *given, "--output-dir", folder, *arguments)
    assert done.returncode == 0, done.stderr
    (file,) = model._files.values()
    return np.load(folder / f"{file}.npy")


def test_repeat_prints_minimum_and_median(one: CompiledCpp, tmp_path: Path) -> None:
    """Without inputs, and without writing anything."""
    done = subprocess.run([one._program, "--repeat", "7"], cwd=tmp_path, capture_output=True, text=True, check=True)
    found = re.fullmatch(TIMES, done.stdout)
    assert found is not None, done.stdout
    assert 0 < float(found[1]) <= float(found[2])
    assert found[3] == "7"
    assert list(tmp_path.iterdir()) == []


def test_repeat_computes_the_same(one: CompiledCpp, tmp_path: Path) -> None:
    once = outputs(one, tmp_path)
    assert np.array_equal(outputs(one, tmp_path, "--repeat", 3), once)


@pytest.mark.parametrize("level", LEVELS)
def test_each_level_computes_the_same(one: CompiledCpp, level: str, tmp_path: Path) -> None:
    if LEVELS.index(level) not in cpp_levels():
        done = call(one, "--repeat", 1, "--level", level)
        assert done.returncode == 2
        assert "this processor has not" in done.stderr
        return
    np.testing.assert_allclose(outputs(one, tmp_path, "--level", level), outputs(one, tmp_path), rtol=1e-4)


def test_threads_change_no_bit(one: CompiledCpp, four: CompiledCpp, tmp_path: Path) -> None:
    wanted = outputs(one, tmp_path)
    for threads in (1, 2, 3, 4):
        for _ in range(5):
            assert np.array_equal(outputs(four, tmp_path, "--threads", threads), wanted), threads
    assert np.array_equal(outputs(four, tmp_path), wanted)  # the model's own threads


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--repeat", "x"), "--repeat takes a number above 0, not 'x'"),
        (("--repeat", "0"), "--repeat takes a number above 0, not '0'"),
        (("--repeat", "1e3"), "--repeat takes a number above 0, not '1e3'"),
        (("--repeat",), "--repeat needs a value"),
        (("--repeat", "1", "--threads", "5"), "the model was written for at most 4 threads, not 5"),
        (("--repeat", "1", "--level", "sse9"), "--level takes baseline, avx2 or avx512, not 'sse9'"),
        (("--repeat", "1", "--key", "/nowhere/key"), "can't open /nowhere/key"),
    ],
)
def test_wrong_arguments_are_one_clear_error(four: CompiledCpp, arguments: tuple[str, ...], message: str) -> None:
    done = call(four, *arguments)
    assert done.returncode == 2
    assert done.stderr == f"error: {message}\n"


@pytest.mark.parametrize("content", [b"", b"x" * 31, b"x" * 33, b"0" * 63, b"g" * 64, b"0" * 66])
def test_a_key_of_the_wrong_length_is_refused(one: CompiledCpp, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(content)
    done = call(one, "--repeat", 1, "--key", tmp_path / "key")
    assert done.returncode == 2
    assert "is no key: that is 32 bytes, or 64 hexadecimal digits" in done.stderr
