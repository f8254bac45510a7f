"""Int8 networks side by side: ours, TFLiteConverter's, ai-edge-quantizer's and onnxruntime.quantization's.

    python benchmarks/quantize.py [--networks resnet8_cifar10 ...] [--targets tflite onnx] [--seconds 4]
                                  [--peers .venv-peers/bin/python] [--keep FOLDER] [--method mse]

All calibrate on the same images and are judged on others (benchmarks/quantize_models.py says which): the share of
images that keep the class which the float model gives them, the signal-to-quantisation-noise ratio of the output (10
log10 of the sum of squares of the float model's outputs over that of the differences), milliseconds of one image on one
thread, bytes of the file. The time is the median of many runs that take turns in one process, a few of each at a time.
Bounds: agreement and SQNR at least the peer's, time at most 1.05 of it, size at most 1.02 of it, where the peer is the
best of its ways (of most agreement, then SQNR; marked *); what is missed beside the others is shown, too. The exit code
is 1 if a bound is not met. `--peers` is a Python that has ai-edge-quantizer (`make peers`). `--keep`: where the
networks are made, or have been.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from quantize_models import NETWORKS, Network
from quantize_peers import ONNXRUNTIME, images
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
PEERS = {
    "tflite": {"TFLiteConverter": ["TFLiteConverter"], "ai-edge-quantizer": ["ai-edge-quantizer"]},
    "onnx": {"onnxruntime": list(ONNXRUNTIME)},
}
LATENCY, SIZE = 1.05, 1.02  # of a peer's, at most
BURST = 0.02  # seconds that one takes before it is the next one's turn
CONSOLE = Console(width=max(165, Console().width), highlight=False)
Run = Callable[[np.ndarray], np.ndarray]


@dataclass
class Score:
    """What one file does. top1, accuracy: shares; sqnr: dB; ms: of one image; size: bytes."""

    name: str
    top1: float = math.nan
    sqnr: float = math.nan
    accuracy: float = math.nan
    ms: float = math.nan
    size: int = 0

    def shortfalls(self, peer: Score) -> list[str]:
        """The bounds that it misses beside `peer`."""
        missed = {
            "agreement": self.top1 < peer.top1,
            "SQNR": self.sqnr < peer.sqnr,
            "latency": self.ms > LATENCY * peer.ms,
            "size": self.size > SIZE * peer.size,
        }
        return [name for name, miss in missed.items() if miss]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--targets", nargs="+", default=list(PEERS), choices=list(PEERS))
    parser.add_argument("--seconds", type=float, default=4.0, help="how long each file is timed")
    parser.add_argument("--peers", default=sys.executable, help="a Python that has ai-edge-quantizer")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--method", help="of calibration; netglot's default where it is not said")
    parser.add_argument("--json", type=Path, help="the figures, for scripts")
    options = parser.parse_args()
    found: dict[str, list[Score]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in options.networks:
            folder = (options.keep or Path(scratch)) / name
            make(name, folder)
            for target in options.targets:
                found[f"{name} {target}"] = compared(NETWORKS[name], target, folder, options)
    missed = show(found)
    if options.json:
        options.json.write_text(json.dumps({key: [asdict(one) for one in row] for key, row in found.items()}, indent=1))
    raise SystemExit(missed)


def make(name: str, folder: Path) -> None:
    if not (folder / "float.onnx").exists():  # what is written last
        run_python(sys.executable, "quantize_models.py", name, str(folder))


def run_python(python: str, script: str, *arguments: str) -> bool:
    """Whether it ended well; what it said is shown if not."""
    done = subprocess.run([python, "-W", "ignore", HERE / script, *arguments], capture_output=True, text=True)
    if done.returncode:
        print(f"{script} {' '.join(arguments)}: exit code {done.returncode}\n{done.stderr[-1500:]}", file=sys.stderr)
    return done.returncode == 0


def compared(network: Network, target: str, folder: Path, options: argparse.Namespace) -> list[Score]:
    """The float model, ours, and each peer that there is."""
    files = {"float": folder / f"float.{target}", "ours": ours(network, target, folder, options.method)}
    for peer, titles in PEERS[target].items():
        files |= theirs(network, target, folder, peer, titles, options.peers)
    present = {name: path for name, path in files.items() if path is not None}
    scores = [judged(name, path, network, folder) for name, path in present.items()]
    for score, ms in zip(scores, timed(present, network, folder, options.seconds), strict=True):
        score.ms = ms
    return scores


def ours(network: Network, target: str, folder: Path, method: str | None) -> Path | None:
    """None, with the reason printed, where it can't be made."""
    import netglot

    (path := folder / f"ours.{target}").unlink(missing_ok=True)
    source, weights = network.files(folder)
    name = netglot.load(source, weights=weights).inputs[0].name
    layout = "nchw" if network.channels_first else "nhwc"
    samples = [{name: image} for image in images(folder, layout)]
    how = {"method": method} if method else {}
    start = time.perf_counter()
    try:
        netglot.convert(
            source, path, weights=weights, quantize="int8", calibrate=samples, verify=False,
            io_layout="nhwc" if target == "tflite" and network.channels_first else "keep", **how,
        )  # fmt: skip
    except Exception as error:  # the table shows what there is
        print(f"{network.name} to {target}: {type(error).__name__}: {error}", file=sys.stderr)
        return None
    print(f"{network.name} to {target}: ours in {time.perf_counter() - start:.1f} s")
    return path


def theirs(
    network: Network, target: str, folder: Path, peer: str, titles: Iterable[str], python: str
) -> Mapping[str, Path]:
    paths = {title: folder / f"{title}.{target}" for title in titles}
    if not all(path.exists() for path in paths.values()):
        layout = "nchw" if network.channels_first else "nhwc"
        run_python(
            python if peer == "ai-edge-quantizer" else sys.executable, "quantize_peers.py", peer, str(folder), layout
        )
    return {title: path for title, path in paths.items() if path.exists()}


# ---------------------------------------------------------------------- judging


def judged(name: str, path: Path, network: Network, folder: Path) -> Score:
    """On images that nobody calibrated on."""
    with np.load(folder / "evaluation.npz") as file:
        x, expected, labels = file["x"], file["expected"], file.get("labels")
    run = opened(path, network)
    found = np.stack([run(image[None]).ravel() for image in x.astype(np.float32)])
    classes = found.argmax(1)
    noise = float(np.square(found - expected, dtype=np.float64).sum())
    sqnr = 10 * math.log10(float(np.square(expected, dtype=np.float64).sum()) / noise) if noise else math.inf
    accuracy = math.nan if labels is None else float((classes == labels).mean())
    return Score(name, float((classes == expected.argmax(1)).mean()), sqnr, accuracy, size=path.stat().st_size)


def opened(path: Path, network: Network) -> Run:
    """Takes an image as the Keras model does, [1, height, width, 3]."""
    return opened_tflite(path) if path.suffix == ".tflite" else opened_onnx(path, network)


def opened_tflite(path: Path) -> Run:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    (entry,), (exit_,) = interpreter.get_input_details(), interpreter.get_output_details()
    if entry["dtype"] != np.float32 or exit_["dtype"] != np.float32:
        raise SystemExit(f"{path.name}: its inputs and outputs are not float")

    def run(image: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(entry["index"], image)
        interpreter.invoke()
        return interpreter.get_tensor(exit_["index"])

    return run


def opened_onnx(path: Path, network: Network) -> Run:
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors
    session = InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(image: np.ndarray) -> np.ndarray:
        given = np.ascontiguousarray(image.transpose(0, 3, 1, 2)) if network.channels_first else image
        return session.run(None, {name: given})[0]

    return run


def timed(files: Mapping[str, Path], network: Network, folder: Path, seconds: float) -> list[float]:
    """Median milliseconds of each; they take turns, and the first run of each turn does not count."""
    with np.load(folder / "evaluation.npz") as file:
        image = file["x"][:1].astype(np.float32)
    runs = [opened(path, network) for path in files.values()]
    times: list[list[float]] = [[] for _ in runs]
    for _ in range(max(3, int(seconds / BURST))):
        for run, mine in zip(runs, times, strict=True):
            run(image)
            mine += burst(run, image)
    return [1e3 * statistics.median(mine) for mine in times]


def burst(run: Run, image: np.ndarray) -> list[float]:
    times: list[float] = []
    while not times or sum(times) < BURST:
        start = time.perf_counter()
        run(image)
        times.append(time.perf_counter() - start)
    return times


# ---------------------------------------------------------------------- showing


def show(found: Mapping[str, list[Score]]) -> int:
    """One table; returns 1 if a bound is missed."""
    table = Table("network, target", "", title="ours beside each peer", title_justify="left")
    for column in ("same class", "SQNR dB", "accuracy", "ms", "kB", "ms, ratio", "kB, ratio"):
        table.add_column(column, justify="right")
    table.add_column("bounds")
    missed = False
    for key, scores in found.items():
        mine = next((score for score in scores if score.name == "ours"), None)
        best = list(best_ways(scores))
        for i, score in enumerate(scores):
            compared = mine is not None and score.name not in ("ours", "float")
            short = mine.shortfalls(score) if mine and compared else []
            missed |= mine is None or (bool(short) and score in best)
            name = score.name + (" *" if score in best else "")
            table.add_row(key if i == 0 else "", name, *cells(score), *(ratios(mine, score, short) if compared else ()))
        table.add_section()
    CONSOLE.print(table)
    return int(missed)


def best_ways(scores: Iterable[Score]) -> Iterator[Score]:
    """Of each peer, the one way of most agreement, then SQNR."""
    ways = [score for score in scores if score.name not in ("ours", "float")]
    for peer in dict.fromkeys(score.name.split()[0] for score in ways):
        yield max((way for way in ways if way.name.split()[0] == peer), key=lambda way: (way.top1, way.sqnr))


def cells(score: Score) -> list[str]:
    return [
        f"{score.top1:.2%}", "exact" if math.isinf(score.sqnr) else f"{score.sqnr:.2f}",
        "" if math.isnan(score.accuracy) else f"{score.accuracy:.2%}", f"{score.ms:.3f}", f"{score.size / 1e3:.1f}",
    ]  # fmt: skip


def ratios(mine: Score | None, peer: Score, short: list[str]) -> list[str]:
    assert mine is not None
    return [
        f"{mine.ms / peer.ms:.2f}",
        f"{mine.size / peer.size:.3f}",
        "not met: " + ", ".join(short) if short else "met",
    ]


if __name__ == "__main__":
    main()
