"""Networks as C++ on one core beside LiteRT and ONNX Runtime: time, equality, heaviest layers, what a build takes.

    python benchmarks/cpp_speed.py [--networks MobileNetV2 ResNet50 ResNet18 MobileNetV2-int8] [--rounds 3]
                                   [--repeat 30] [--core 1] [--keep FOLDER]

MobileNetV2 and ResNet50 are those of keras.applications, ResNet18 is torchvision's, all with random weights and
224x224 images. Ours is the program in the folder, built with its CMakeLists.txt and nothing else said (plain -O2);
LiteRT computes with XNNPACK what TFLiteConverter wrote, ONNX Runtime with all optimisations, each on one thread. Every
time is the median of `--repeat` runs after one that does not count, in a process of its own, pinned to a core; the
processes take turns, and of their medians the median is shown. int8: QuantizeLinear and DequantizeLinear by
onnxruntime.quantization for ours and ONNX Runtime, TFLiteConverter's own for LiteRT. `--keep`: where the networks are
made, or have been.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import processes
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
PEERS = HERE / "cpp_peers.py"
RUNTIME = HERE.parent / "netglot" / "backends" / "cpp" / "runtime"
NETWORKS = ["MobileNetV2", "ResNet50", "ResNet18", "MobileNetV2-int8"]
LEVELS = ["baseline", "avx2", "avx512"]
CONSOLE = Console(width=max(120, Console().width), highlight=False)


@dataclass
class Network:
    """One network: its files, and our two folders."""

    name: str
    files: Path
    work: Path

    @property
    def kind(self) -> str:
        return "int8" if self.name.endswith("-int8") else "fp32"

    @property
    def source(self) -> Path:
        """What ours is made from."""
        return self.files / "int8.onnx" if self.kind == "int8" else next(self.files.glob("source.*"))

    @property
    def onnx(self) -> Path:
        return self.files / f"{self.kind}.onnx"

    @property
    def tflite(self) -> Path:
        return self.files / f"{self.kind}.tflite"

    def folder(self, exact: bool) -> Path:
        return self.work / f"{self.name}-{'exact' if exact else 'default'}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=NETWORKS, choices=NETWORKS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeat", type=int, default=30)
    parser.add_argument("--core", type=int, default=1)
    parser.add_argument("--layers", type=int, default=8, help="how many of the heaviest layers are shown")
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        peaks = measured_peaks(Path(scratch), options.core)
        print("peak of one core: " + ", ".join(f"{name} {peak:.0f}" for name, peak in peaks.items()) + " GFLOP/s")
        for name in options.networks:
            network = made(name, options.keep or Path(scratch), Path(scratch))
            report(network, options, max(peaks.values()))


def made(name: str, kept: Path, work: Path) -> Network:
    """With its files, which are made unless they are there."""
    base = name.removesuffix("-int8")
    network = Network(name, kept / base, work)
    if not (network.onnx.exists() and network.tflite.exists()):
        subprocess.run([sys.executable, "-W", "ignore", PEERS, "make", base, network.files], check=True)
    return network


def report(network: Network, options: argparse.Namespace, peak: float) -> None:
    CONSOLE.rule(network.name)
    for exact in (False, True):
        convert(network, exact)
        built = build(network.folder(exact))
        error = difference(network, network.folder(exact))
        header = (network.folder(exact) / "model.h").read_text()
        arena, bound = (int(number) for number in re.findall(r"arena_(?:bytes|lower_bound) = (\d+);", header))
        print(
            f"{'exact' if exact else 'default'}: compiled in {built.seconds:.1f} s with {built.peak_mb:.0f} MB; "
            f"arena {arena} bytes, {arena / bound:.3f} of the lower bound; "
            f"largest difference to ONNX Runtime {error:.1e} of the largest value"
        )
    show(interleaved(commands(network, options), options.rounds))
    show_layers(network.folder(exact=False), options, peak)


# ------------------------------------------------------------------------- ours


def convert(network: Network, exact: bool) -> None:
    import netglot
    from netglot.backends.cpp import save
    from netglot.passes import pipeline

    graph = netglot.load(network.source, batch=1)
    pipeline.run(graph, pipeline.COMMON)
    save(graph, network.folder(exact), exact=exact)


def build(folder: Path) -> processes.Run:
    """As the folder's README says; what compiling takes."""
    configure = ["cmake", "-S", folder, "-B", folder / "build"]
    subprocess.run(configure, check=True, capture_output=True)
    return processes.run(["cmake", "--build", str(folder / "build")])


def difference(network: Network, folder: Path) -> float:
    """To ONNX Runtime on the same image, of the output's largest value."""
    from onnxruntime import InferenceSession

    session = InferenceSession(network.onnx, providers=["CPUExecutionProvider"])
    image = np.random.default_rng(0).uniform(-1, 1, (1, 3, 224, 224)).astype(np.float32)
    (wanted,) = session.run(None, {session.get_inputs()[0].name: image})
    (ours,) = run_on(folder, image)
    scale = float(np.abs(wanted).max())
    return float(np.abs(ours.reshape(wanted.shape) - wanted).max()) / scale


def run_on(folder: Path, image: np.ndarray) -> list[np.ndarray]:
    interface = json.loads((folder / "interface.json").read_text())
    (item,) = interface["inputs"]
    stored = image if tuple(item["shape"]) == image.shape else image.transpose(0, 2, 3, 1)
    np.save(folder / "image.npy", np.ascontiguousarray(stored))
    command = [folder / "build" / "run", "--input", f"{item['file']}={folder / 'image.npy'}", "--output-dir", folder]
    subprocess.run(command, check=True)
    return [np.load(folder / f"{item['file']}.npy") for item in interface["outputs"]]


# ------------------------------------------------------------------------- time


def pinned(core: int, *command: Any) -> list[str]:
    taskset = ["taskset", "-c", str(core)] if shutil.which("taskset") else []
    return [*taskset, *map(str, command)]


def commands(network: Network, options: argparse.Namespace) -> dict[str, list[str]]:
    """All print `min ... ms, median ... ms`."""
    core, repeat = options.core, ["--repeat", options.repeat]
    peer = [sys.executable, "-W", "ignore", PEERS, "time"]
    return {
        "ours": pinned(core, network.folder(exact=False) / "build" / "run", *repeat),
        "ours, exact": pinned(core, network.folder(exact=True) / "build" / "run", *repeat),
        "LiteRT": pinned(core, *peer, "litert", network.tflite, *repeat),
        "ONNX Runtime": pinned(core, *peer, "onnxruntime", network.onnx, *repeat),
    }


def interleaved(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Minimum and median milliseconds of each process, A B C A B C."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            smallest, median = re.findall(r"(?:min|median) ([\d.]+) ms", done.stdout)
            times[name].append((float(smallest), float(median)))
    return times


def show(times: Mapping[str, Sequence[tuple[float, float]]]) -> None:
    medians = {name: statistics.median(median for _, median in runs) for name, runs in times.items()}
    smallest = {name: min(low for low, _ in runs) for name, runs in times.items()}
    faster = min(medians["LiteRT"], medians["ONNX Runtime"])
    least = min(smallest["LiteRT"], smallest["ONNX Runtime"])
    table = Table("", "median ms", "min ms", "medians of the processes", "of the faster peer", "by minimum")
    for name, runs in times.items():
        each = ", ".join(f"{median:.2f}" for _, median in runs)
        ratios = f"{medians[name] / faster:.2f}", f"{smallest[name] / least:.2f}"
        table.add_row(name, f"{medians[name]:.2f}", f"{smallest[name]:.2f}", each, *ratios)
    CONSOLE.print(table)


# ----------------------------------------------------------------------- layers


def measured_peaks(work: Path, core: int) -> dict[str, float]:
    """GFLOP/s of one core with its registers full, for each level of instructions that it has."""
    sys.path.insert(0, str(HERE.parent))
    from tests.targets import cpp_levels

    peaks = {}
    for level in cpp_levels():
        program = work / f"peak_{level}"
        command = ["g++", "-std=c++17", "-O2", f"-DNETGLOT_LEVEL={level}", "-I", RUNTIME]
        subprocess.run([*command, HERE / "cpp_peak.cpp", "-o", program], check=True)
        done = subprocess.run(pinned(core, program), check=True, capture_output=True, text=True)
        peaks[LEVELS[level]] = float(done.stdout.split()[1])
    return peaks


def show_layers(folder: Path, options: argparse.Namespace, peak: float) -> None:
    """The layers that take the most time."""
    times = profiled(folder, options)
    table = Table("us", "of all", "GFLOP/s", "of the peak")
    table.add_column("layer", no_wrap=True, max_width=78)
    titles = dict(layer_titles((folder / "layers.h").read_text()))
    for index in sorted(times, key=lambda index: -times[index])[: options.layers]:
        title = titles.get(index, "?")
        rate = operations(title) / times[index]
        table.add_row(
            f"{times[index] / 1e3:.0f}", f"{times[index] / sum(times.values()):.0%}", f"{rate:.0f}",
            f"{rate / peak:.0%}", title,
        )  # fmt: skip
    CONSOLE.print(table)
    rate = sum(operations(titles.get(index, "")) for index in times) / sum(times.values())
    print(f"all layers: {sum(times.values()) / 1e6:.2f} ms, {rate:.0f} GFLOP/s, {rate / peak:.0%} of the peak")


def profiled(folder: Path, options: argparse.Namespace) -> dict[int, int]:
    """Nanoseconds of each layer, the shortest of all runs: by a build that measures them."""
    built = folder / "build-profile"
    flags = f"-include {HERE / 'cpp_profile.h'}"
    for command in (["-S", folder, "-B", built, f"-DCMAKE_CXX_FLAGS={flags}"], ["--build", built]):
        subprocess.run(["cmake", *command], check=True, capture_output=True)
    command = pinned(options.core, built / "run", "--repeat", options.repeat)
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return {int(index): int(time) for index, time in re.findall(r"layer (\d+) (\d+)", done.stderr)}


def layer_titles(text: str) -> Iterator[tuple[int, str]]:
    """The comments above each layer's function."""
    for match in re.finditer(r"((?:^//.*\n)+)[^\n]*\blayer_(\d+)\(", text, re.MULTILINE):
        yield int(match[2]), " | ".join(line[3:].partition(";")[0] for line in match[1].splitlines())


def operations(title: str) -> int:
    """Floating-point operations of the products in a layer: a multiplication and an addition are two."""
    return sum(_products(line) for line in title.split(" | "))


def _products(line: str) -> int:
    """Of one operator, whose comment says `op 'name': shapes of inputs -> shapes of outputs`."""
    match = re.match(r"(\S+) '.*': (.*?) -> (\d[\dx]*)", line)
    if match is None or not re.search(r"Conv|Gemm|MatMul", match[1]):
        return 0
    shapes = [tuple(map(int, shape.split("x"))) for shape in re.findall(r"\d[\dx]*", match[2])]
    output = tuple(map(int, match[3].split("x")))
    depth = shapes[0][-1] if "Conv" not in match[1] else math.prod(next(s for s in shapes[1:] if len(s) > 2)[1:])
    return 2 * math.prod(output) * depth


if __name__ == "__main__":
    main()
