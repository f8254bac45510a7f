"""Pruned and palettised networks: how small they become and how right they stay.

    python benchmarks/compress_trained.py [--networks lenet mobilenet] [--prune 0 0.3 ...] [--bits 8 6 ...]
                                          [--budget 0.01 ...]

Two networks are trained on half of scikit-learn's digits (a LeNet and one of MobileNetV2's shape, seconds each) and
compressed as `--compress prune:SHARE+palettize:BITS` does, without training again. Printed: bytes of the weights of the
C++ model with everything coded without loss, how many times smaller that is than the float32 weights, the accuracy on
the other half of the digits, and the share of these that keep the class which the float model gives them. Then what
--max-drop makes of prune:0.6+palettize:4, with the digits that the network was trained on. Then how accuracy
depends on where the pruned weights are taken from: equally from every layer, or by what each can spare
(netglot/quantize/prune.py).
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

from netglot.backends.cpp.writer import save
from netglot.convert import load
from netglot.ir.graph import Graph
from netglot.passes import pipeline
from netglot.passes.stored_weights import weights
from netglot.quantize.compress import compress
from netglot.quantize.prune import without_smallest
from netglot.quantize.request import Request
from netglot.quantize.shrink import shrink
from netglot.runtimes.onnxruntime import OnnxRuntime

EPOCHS, BATCH = 20, 64
WITHIN = "prune:0.6+palettize:4"
PRUNE, BITS = (0, 0.3, 0.5, 0.6, 0.7, 0.8), (0, 8, 6, 4, 3, 2)  # 0 bits: no palette


def lenet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 20, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(20, 50, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(200, 500), nn.ReLU(), nn.Linear(500, 10),
    )  # fmt: skip


class Inverted(nn.Module):
    """MobileNetV2's block: wider, each channel for itself, narrower."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        wide = 4 * channels
        self.is_residual = stride == 1 and channels == out
        self.layers = nn.Sequential(
            *normalised(channels, wide, 1), nn.ReLU6(), *normalised(wide, wide, 3, stride, wide), nn.ReLU6(),
            *normalised(wide, out, 1),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.layers(x)
        return x + y if self.is_residual else y


def normalised(channels: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> Iterator[nn.Module]:
    yield nn.Conv2d(channels, out, kernel, stride, kernel // 2, groups=groups, bias=False)
    yield nn.BatchNorm2d(out)


def mobilenet() -> nn.Module:
    sizes = [(16, 24, 1), (24, 24, 1), (24, 32, 2), (32, 32, 1), (32, 64, 2)]
    return nn.Sequential(
        *normalised(1, 16, 3), nn.ReLU6(), *(Inverted(*size) for size in sizes), *normalised(64, 128, 1), nn.ReLU6(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10),
    )  # fmt: skip


NETWORKS: dict[str, Callable[[], nn.Module]] = {"lenet": lenet, "mobilenet": mobilenet}
CONSOLE = Console(width=max(100, Console().width), highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--prune", nargs="+", type=float, default=PRUNE)
    parser.add_argument("--bits", nargs="+", type=int, default=BITS)
    parser.add_argument("--budget", nargs="+", type=float, default=(0.05, 0.02, 0.01, 0.0))
    options = parser.parse_args()
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    seen, judged, known, expected = train_test_split(images, labels, test_size=0.5, random_state=0, stratify=labels)
    for name in options.networks:
        network = trained(NETWORKS[name](), seen, known)
        graph = graph_of(network, judged.shape)
        CONSOLE.print(sweep(name, graph, judged, expected, options.prune, options.bits))
        CONSOLE.print(within(name, network, (seen, known), (judged, expected), options.budget))
        CONSOLE.print(spread(name, graph, judged, expected, options.prune))


def trained(network: nn.Module, images: np.ndarray, labels: np.ndarray) -> nn.Module:
    x, y = torch.from_numpy(images), torch.from_numpy(labels)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=1e-2)
    steps = EPOCHS * -(-len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps)
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(x[chosen]), y[chosen]).backward()
            optimizer.step()
            schedule.step()
    return network.eval()


def graph_of(network: nn.Module, shape: tuple[int, ...]) -> Graph:
    """As netglot has it before it is written."""
    return pipeline.run(load(network, args=(torch.zeros(shape),)), pipeline.COMMON)


def sweep(
    name: str, graph: Graph, images: np.ndarray, labels: np.ndarray, shares: list[float], bits: list[int]
) -> Table:
    table = Table("--compress", "bytes", "ratio", "accuracy", "agreement", title=name, title_justify="left")
    usual, full = classes(graph, images), 4 * sum(value.array.size for value in graph.constants())
    table.add_row("none", f"{full:,}", "1.0", f"{np.mean(usual == labels):.1%}", "100.0%")
    for spec in [spec_of(share, count) for count in bits for share in shares]:
        changed = graph.copy()
        compress(changed, spec, forms={})
        found = classes(changed, images)
        size = stored(changed)
        right, same = (f"{np.mean(found == other):.1%}" for other in (labels, usual))
        table.add_row(spec, f"{size:,}", f"{full / size:.1f}", right, same)
    return table


def spec_of(share: float, bits: int) -> str:
    parts = [f"prune:{share:g}"] * (share > 0) + [f"palettize:{bits}"] * (bits > 0)
    return "+".join(parts) or "lossless"


def classes(graph: Graph, images: np.ndarray) -> np.ndarray:
    runtime = OnnxRuntime(graph)
    [scores] = runtime.run({runtime.inputs[0].name: images}).values()
    return scores.argmax(axis=1)


def stored(graph: Graph) -> int:
    """Bytes of the weights' file of the C++ model; `graph` is changed."""
    with tempfile.TemporaryDirectory() as folder:
        save(graph, Path(folder) / "cpp", compress="lossless")
        return (Path(folder) / "cpp" / "weights.bin").stat().st_size


def within(
    name: str, network: nn.Module, seen: tuple[np.ndarray, ...], judged: tuple[np.ndarray, ...], budgets: list[float]
) -> Table:
    """The budget is kept on the half that the network was trained on, and judged on the other."""
    title = f"{name}: {WITHIN} --max-drop"
    table = Table("budget", "left as they were", "bytes", "ratio", "accuracy", title=title, title_justify="left")
    graph, whole = graph_of(network, (1, 1, 8, 8)), graph_of(network, judged[0].shape)
    data = {graph.inputs[0].name: seen[0], "labels": seen[1]}
    full = 4 * sum(value.array.size for value in graph.constants())
    for budget in budgets:
        found = shrink(graph, "cpp", Request(compress=WITHIN, max_drop=budget, calibrate=data))
        kept = [item.layer for item in found.report.kept]
        changed = whole.copy()
        compress(changed, WITHIN, forms={}, keep=kept)
        right = f"{np.mean(classes(changed, judged[0]) == judged[1]):.1%}"
        size = stored(changed)
        table.add_row(f"{budget:g}", f"{len(kept)} weights", f"{size:,}", f"{full / size:.1f}", right)
    return table


def spread(name: str, graph: Graph, images: np.ndarray, labels: np.ndarray, shares: list[float]) -> Table:
    table = Table("pruned", "from every layer alike", "by what each can spare", title=f"{name}: accuracy")
    for share in shares:
        alike, spared = graph.copy(), graph.copy()
        for weight in weights(alike):
            weight.value.data = without_smallest(weight.value.array, round(share * weight.value.array.size))
        compress(spared, f"prune:{share:g}", forms={})
        table.add_row(f"{share:.0%}", *(f"{np.mean(classes(one, images) == labels):.1%}" for one in (alike, spared)))
    return table


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
