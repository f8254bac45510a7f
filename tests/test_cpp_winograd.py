"""Winograd's convolution in C++: its matrices, the kernel against ONNX Runtime, and when it is chosen."""

from __future__ import annotations

import platform
import shutil
import subprocess
from dataclasses import astuple, dataclass, replace
from importlib import resources
from math import inf
from pathlib import Path

import numpy as np
import pytest

from netglot.backends.cpp import save
from netglot.backends.cpp.costs import choose, winograd_bytes
from netglot.backends.cpp.packing import Window, pack_channels
from netglot.backends.cpp.winograd import Output, matrices, pack_winograd, tiles, winograd_floats
from netglot.ir.builder import Builder
from netglot.ir.graph import Graph
from netglot.runtimes.compiled import CompiledCpp
from netglot.runtimes.onnxruntime import OnnxRuntime

RUNTIME = Path(str(resources.files("netglot.backends.cpp"))) / "runtime"
SOURCE = Path(__file__).parent / "cpp" / "winograd.cpp"
STRICT = ["-std=c++17", "-Wall", "-Wextra", "-Werror", f"-I{RUNTIME}"]
SANITIZERS = ["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover"]
FLAGS = {"sse2": 0, "avx2": 1, "avx512dq": 2}
OUTPUTS: tuple[Output, Output] = (2, 4)


def window(n: int, c: int, m: int, batch: int = 1, pads: tuple[int, int, int, int] = (1, 1, 1, 1)) -> Window:
    """3x3 over square images; padding at the top, left, bottom and right."""
    top, left, bottom, right = pads
    return Window(batch, n, n, c, n + top + bottom - 2, n + left + right - 2, m, 3, 3, pad_top=top, pad_left=left)


# ---------------------------------------------------------------------- matrices


@pytest.mark.parametrize("output", OUTPUTS)
def test_the_matrices_convolve(output: Output) -> None:
    """AT ((G g) * (BT d)) is linear in g and d: it has to be right for every pair of unit vectors."""
    a, g, b = matrices(output)
    found = np.einsum("in,nk,nj->ikj", a, g, b)
    expected = np.zeros((output, 3, output + 2))
    for i, k in np.ndindex(output, 3):
        expected[i, k, i + k] = 1
    np.testing.assert_allclose(found, expected, atol=1e-15)


def test_constants_in_the_header_are_exact() -> None:
    """Those of the transforms that are computed in float32."""
    for output in OUTPUTS:
        a, _, b = matrices(output)
        assert (a == a.astype(np.float32)).all()
        assert (b == b.astype(np.float32)).all()


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("m", [1, 16, 17, 33, 64])
def test_packed_weights_are_those_that_were_transformed(output: Output, m: int) -> None:
    w = np.random.default_rng(m).standard_normal((m, 5, 3, 3)).astype(np.float32)
    packed, (_, g, _) = pack_winograd(w, output), matrices(output)
    elements, padded, at = (output + 2) ** 2, -(-m // 16) * 16, 0
    assert packed.dtype == np.float32
    assert packed.size == elements * padded * 5
    for first in range(0, padded, 32):
        width = min(32, padded - first)
        part = packed[at : at + elements * width * 5].reshape(output + 2, output + 2, width // 16, 5, 16)
        at += part.size
        for channel in range(first, first + width):
            u = part[:, :, (channel - first) // 16, :, channel % 16]
            expected = np.einsum("pk,ckl,ql->pqc", g, w[channel], g) if channel < m else np.zeros_like(u)
            np.testing.assert_allclose(u, expected, rtol=1e-6, atol=1e-6)


# ------------------------------------------------------------------------ kernel


@dataclass(frozen=True)
class Case:
    window: Window
    bias: bool = True
    residual: bool = False
    limits: tuple[float, float] = (-inf, inf)
    workers: int = 1
    halved: bool = False  # what follows: an activation


SIZES = [Case(window(n, 16, 16, pads=pads)) for n in range(1, 18) for pads in [(1, 1, 1, 1), (2, 1, 0, 1)]]
CHANNELS = [Case(window(9, c, m)) for c in (1, 3, 15, 16, 17, 40) for m in (1, 3, 15, 16, 17, 40, 65)]
PADS = [Case(window(n, 17, 5, 2, pads)) for n in (3, 6, 11) for pads in [(0, 0, 0, 0), (0, 1, 2, 0), (3, 2, 7, 1)]]
FINISHES = [
    Case(window(n, 24, m, batch), bias, residual, limits, workers, halved=workers == 2)
    for n, m, batch in [(5, 40, 3), (8, 16, 1), (13, 33, 2)]
    for bias, residual, limits in [(False, False, (0, inf)), (True, True, (-inf, inf)), (False, True, (0.0, 6.0))]
    for workers in (1, 2, 5)
]
BLOCKS = [Case(window(33, 8, 40), workers=3), Case(window(23, 264, 40)), Case(window(6, 512, 32), residual=True)]
CASES = [*SIZES, *CHANNELS, *PADS, *FINISHES, *BLOCKS]


@pytest.fixture(scope="module", params=["sse2", "avx2", "avx512dq", "sanitized-sse2", "sanitized-avx2"])
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """tests/cpp/winograd.cpp for one level of processor."""
    sanitized, level = request.param.startswith("sanitized"), request.param.rpartition("-")[2]
    cpu = Path("/proc/cpuinfo")
    if shutil.which("g++") is None:
        pytest.skip("there is no g++ here")
    if platform.machine() != "x86_64" or (cpu.exists() and level not in cpu.read_text().split()):
        pytest.skip(f"this processor has no {level}")
    path = tmp_path_factory.mktemp("winograd") / "program"
    flags = [*STRICT, *(SANITIZERS if sanitized else ["-O2"]), f"-DNETGLOT_LEVEL={FLAGS[level]}"]
    subprocess.run(["g++", *flags, str(SOURCE), "-o", str(path)], check=True)
    return path


@pytest.mark.parametrize("output", OUTPUTS)
def test_any_shape_is_that_of_onnxruntime(program: Path, output: Output) -> None:
    worst = 0.0
    for case in CASES:
        x, w, bias, residual = numbers(case)
        expected = reference(case, x, w, bias, residual)
        actual = compute(program, output, case, x, w, bias, residual)
        error = np.abs(actual - expected).max() / max(np.abs(expected).max(), 1e-3)
        assert error < 1e-4, f"{case}: {error}"
        worst = max(worst, float(error))
    assert worst < 2e-5


def numbers(case: Case) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray | None]:
    """x and the residual channels-last, the weights as ONNX has them, the bias."""
    n, rng = case.window, np.random.default_rng(len(str(case)))
    x = rng.standard_normal((n.batch, n.height, n.width, n.channels)).astype(np.float32)
    w = rng.standard_normal((n.out_channels, n.channels, 3, 3)).astype(np.float32) / 3
    bias = rng.standard_normal(n.out_channels).astype(np.float32) if case.bias else None
    shape = (n.batch, n.out_height, n.out_width, n.out_channels)
    return x, w, bias, rng.standard_normal(shape).astype(np.float32) if case.residual else None


def reference(
    case: Case, x: np.ndarray, w: np.ndarray, bias: np.ndarray | None, residual: np.ndarray | None
) -> np.ndarray:
    g, n = Builder(Graph("conv")), case.window
    bottom = n.out_height - n.height + 2 - n.pad_top
    right = n.out_width - n.width + 2 - n.pad_left
    image = g.graph.add_input("x", np.dtype(np.float32), (n.batch, n.channels, n.height, n.width))
    inputs = [image, w] if bias is None else [image, w, bias]
    g.graph.outputs = [g.op("Conv", inputs, pads=[n.pad_top, n.pad_left, bottom, right])]
    (y,) = OnnxRuntime(g.graph).run({"x": np.moveaxis(x, -1, 1)}).values()
    y = np.moveaxis(y, 1, -1) + (0 if residual is None else residual)
    return np.clip(y, *case.limits) * (0.5 if case.halved else 1)


def compute(
    program: Path, output: Output, case: Case, x: np.ndarray, w: np.ndarray, bias: np.ndarray | None,
    residual: np.ndarray | None,
) -> np.ndarray:  # fmt: skip
    n, u = case.window, pack_winograd(w, output)
    choices = (output, case.workers, winograd_floats(n, output), bias is not None, residual is not None, case.halved)
    parts = [np.array([*astuple(n), *choices], np.int64), np.array(case.limits, np.float32), x]
    parts += [np.array([u.size], np.int64), u]
    parts += [] if bias is None else [pack_channels(bias)]
    parts += [] if residual is None else [residual]
    done = subprocess.run([program], input=b"".join(part.tobytes() for part in parts), capture_output=True, check=False)
    assert done.returncode == 0, f"{case}: {done.stderr.decode()}"
    return np.frombuffer(done.stdout, np.float32).reshape(n.batch, n.out_height, n.out_width, n.out_channels)


@pytest.mark.parametrize("output", OUTPUTS)
def test_rounding_errors_of_many_channels_are_small(program: Path, output: Output) -> None:
    """Against float64: 1e-5 of the largest output is what is allowed of direct sums."""
    case = Case(window(12, 512, 32))
    x, w, bias, _ = numbers(case)
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))).astype(np.float64)
    seen = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
    expected = np.einsum("byxckl,mckl->byxm", seen, w.astype(np.float64), optimize=True) + bias
    error = np.abs(compute(program, output, case, x, w, bias, None) - expected).max()
    assert error < 1e-5 * np.abs(expected).max()


# ------------------------------------------------------------------------ choice


def test_exact_sums_are_never_rearranged() -> None:
    for n in (1, 4, 7, 14, 28, 56, 112):
        for c in (1, 16, 64, 256):
            assert choose(window(n, c, c), exact=True) == "direct"


@pytest.mark.parametrize(
    "change",
    [
        {"kernel_height": 1, "pad_top": 0},
        {"kernel_width": 5},
        {"stride_y": 2},
        {"stride_x": 2},
        {"dilation_y": 2},
        {"dilation_x": 2},
        {"groups": 2},
    ],
)
def test_other_windows_are_direct(change: dict[str, int]) -> None:
    usual = window(56, 64, 64)
    assert choose(usual) == "winograd4"
    assert choose(replace(usual, **change)) == "direct"


@pytest.mark.parametrize(
    ("shape", "chosen"),
    [
        ((56, 64, 64), "winograd4"),  # ResNet-18
        ((28, 128, 128), "winograd4"),
        ((14, 256, 256), "winograd2"),  # as fast as 4x4 once the weights come from memory, and half as large
        ((7, 512, 512), "direct"),  # four tiles don't pay for weights of 38 MB
        ((224, 64, 64), "winograd4"),  # VGG
        ((55, 16, 64), "winograd4"),  # SqueezeNet
        ((13, 64, 256), "winograd2"),
        ((1, 64, 64), "direct"),
        ((28, 1, 16), "direct"),  # a first layer: the transforms cost more than the products
    ],
)
def test_the_choice_is_what_was_measured_to_be_fast(shape: tuple[int, int, int], chosen: str) -> None:
    assert choose(window(*shape)) == chosen


def test_no_layer_of_weights_is_larger_than_the_limit() -> None:
    for c in (256, 512, 1024, 2048):
        chosen = choose(window(56, c, c))
        if chosen != "direct":
            assert winograd_bytes(window(56, c, c), 4 if chosen == "winograd4" else 2) <= 16 << 20
    assert choose(window(56, 2048, 2048)) == "direct"


def test_tiles_cover_all_outputs() -> None:
    assert [tiles(window(n, 1, 1), 4) for n in (1, 4, 5, 8, 9)] == [1, 1, 4, 4, 9]
    assert tiles(window(5, 1, 1, 3), 2) == 27


# ----------------------------------------------------------------------- network


def network() -> tuple[Graph, dict[str, np.ndarray]]:
    """A residual block with an activation that is no limit, large enough for Winograd."""
    g, rng = Builder(Graph("net")), np.random.default_rng(0)
    x = g.graph.add_input("x", np.dtype(np.float32), (1, 16, 29, 29))
    first, second = (rng.standard_normal((64, c, 3, 3)).astype(np.float32) / 24 for c in (16, 64))
    a = g.op("Relu", [g.op("Conv", [x, first, rng.standard_normal(64).astype(np.float32)], pads=[1, 1, 1, 1])])
    b = g.op("LeakyRelu", [g.op("Conv", [a, second], pads=[1, 1, 1, 1])])
    g.graph.outputs = [g.op("Relu", [g.op("Add", [g.op("Conv", [b, second], pads=[1, 1, 1, 1]), a])])]
    return g.graph, {"x": rng.standard_normal((1, 16, 29, 29)).astype(np.float32)}


@pytest.mark.parametrize(("threads", "exact"), [(1, False), (2, False), (1, True)])
def test_a_network_is_that_of_onnxruntime(threads: int, exact: bool, tmp_path: Path) -> None:
    graph, feed = network()
    (expected,) = OnnxRuntime(graph).run(feed).values()
    save(graph, tmp_path / "cpp", threads=threads, exact=exact)
    written = "".join(path.read_text() for path in (tmp_path / "cpp").rglob("layers*"))
    assert written.count("netglot::conv_winograd<4>(") == (0 if exact else 3)
    (actual,) = CompiledCpp(tmp_path / "cpp", ["-O1", "-pthread"], cache=tmp_path).run(feed).values()
    assert np.abs(actual - expected).max() < 1e-5 * np.abs(expected).max()
