"""`make demo`: one really trained Caffe network to four targets, each verified and judged on held-out digits.

Run it with a Python that has netglot installed; it writes to ./out and needs a C++ compiler for the C++ target.
"""

from __future__ import annotations

import multiprocessing
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
OUT = Path.cwd() / "out"
COLUMNS = (
    "target", "size", "nodes", "seconds", "peak memory", "largest relative difference", "expected by", "computed by",
    "accuracy",
)  # fmt: skip
TARGETS = ("digits.onnx", "digits.tflite", "digits.mlpackage", "digits_cpp")


@dataclass
class Row:
    target: str
    size: int
    nodes: int
    seconds: float
    peak_memory: int
    error: float
    expected_by: str
    computed_by: str
    accuracy: float
    ok: bool


def convert(name: str) -> Row:
    """Converts, verifies and tries one target (in a process of its own, so that peak memory is the target's)."""
    import netglot
    from netglot.convert import open_model

    target = OUT / name
    report = netglot.convert(HERE / "deploy.prototxt", target, weights=HERE / "digits.caffemodel", force=True)
    right = accuracy(open_model(target))
    return Row(
        name, report.size, report.nodes, report.seconds, report.peak_memory, report.max_error or 0.0,
        report.expected_by, report.computed_by, right, report.ok,
    )  # fmt: skip


def accuracy(runtime: object) -> float:
    """The share of the held-out digits that `runtime` (a netglot Runtime) names right."""
    with np.load(HERE / "digits_test.npz") as file:
        images, labels = file["images"].astype(np.float32), file["labels"]
    found = [runtime.run({"data": image[None]})["prob"].argmax() for image in images]  # type: ignore[attr-defined]
    return float(np.mean(np.array(found) == labels))


def show(rows: list[Row]) -> None:
    """The table."""
    table = Table(title="Caffe digits network → four targets")
    for column in COLUMNS:
        table.add_column(column)
    for row in rows:
        table.add_row(*cells(row))
    Console(width=max(150, Console().width)).print(table)


def cells(row: Row) -> tuple[str, ...]:
    figures = (f"{row.size / 1e3:.0f} kB", str(row.nodes), f"{row.seconds:.2f}", f"{row.peak_memory / 1e6:.0f} MB")
    return (row.target, *figures, f"{row.error:.1e}", row.expected_by, row.computed_by, f"{row.accuracy:.2%}")


def main() -> None:
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    # a fresh process for each target: what one imports does not count for the next
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        rows = pool.map(convert, TARGETS, chunksize=1)
    show(rows)
    if not all(row.ok for row in rows):
        raise SystemExit("a target is not equal to its source")


if __name__ == "__main__":
    main()
