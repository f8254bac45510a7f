"""Weights of a C++ model stored compressed: bytes beside other coders', and what decoding them takes.

    python benchmarks/compressed_weights.py [MODEL [WEIGHTS]] [--authors FILE] [--repeat 20] [--core 1]

By default SqueezeNet as its authors published it after Deep Compression (../shared/models/caffe): weights that are
pruned and take at most 256 values a layer. Ours is the one .bin file of `--compress lossless`. Beside it: what an ideal
coder of single weights needs (the entropy of each layer's weights, with its values and the biases as float32), zlib and
lzma at their strongest over the same constants, and the authors' own container. Every line is without loss, but for the
container, of which only the size is known here. Times are the shortest of `--repeat`, on one core: making a model
(which also proves its weights, SHA-256), decoding alone, and one run.
"""

from __future__ import annotations

import argparse
import lzma
import re
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

import netglot
from netglot.backends.cpp import save
from netglot.ir.graph import Graph
from netglot.passes import pipeline

CAFFE = Path(__file__).resolve().parents[2] / "shared" / "models" / "caffe"
CONSOLE = Console(highlight=False)
SOURCES = ("model.cpp", "layers_0.cpp", "layers_1.cpp", "layers_2.cpp", "weights.cpp")

# Prints the shortest times in milliseconds: of making a model, of decoding (0 where nothing is coded), of a run.
PROGRAM = r"""
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "entropy.h"
#include "model.h"
#include "run.h"

using Model = MODEL::Model;

template <class F>
double shortest(int repeat, F f) {
  double best = 1e30;
  for (int i = 0; i < repeat; ++i) {
    const auto start = std::chrono::steady_clock::now();
    f();
    const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - start;
    if (time.count() < best) best = time.count();
  }
  return best;
}

int main(int, char** argv) {
  const int repeat = std::atoi(argv[1]);
  const double making = shortest(repeat, [] { if (Model().status() != netglot::Status::ok) std::exit(1); });
  double decoding = 0;
  if (Model::stored_bytes != Model::weight_bytes) {
    const auto unpacker = std::make_unique<netglot::Unpacker>();
    std::vector<unsigned char> out(Model::weight_bytes);
    decoding = shortest(repeat, [&] {
      if (!unpacker->unpack(SYMBOL_weights, Model::stored_bytes, out.data(), out.size())) std::exit(1);
    });
  }
  Model model;
  std::vector<std::vector<float>> data;
  std::vector<const void*> inputs;
  std::vector<void*> outputs;
  for (std::size_t i = 0; i < Model::input_count; ++i) data.emplace_back(Model::inputs()[i].bytes / 4 + 1, 1.0f);
  for (std::size_t i = 0; i < Model::output_count; ++i) data.emplace_back(Model::outputs()[i].bytes / 4 + 1);
  for (std::size_t i = 0; i < data.size(); ++i)
    i < Model::input_count ? inputs.push_back(data[i].data()) : outputs.push_back(data[i].data());
  const double running = shortest(repeat, [&] { model.run(inputs.data(), outputs.data()); });
  std::printf("%f %f %f\n", making, decoding, running);
}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", type=Path, default=CAFFE / "squeezenet_v1.0.prototxt")
    parser.add_argument("weights", nargs="?", type=Path)
    parser.add_argument("--authors", type=Path, default=CAFFE / "squeezenet_v1.0_deep_compressed.net")
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument("--core", type=int, default=1)
    given = parser.parse_args()
    is_default = given.model == parser.get_default("model")
    weights = given.weights or (CAFFE / "squeezenet_v1.0.caffemodel" if is_default else None)
    if not given.model.exists():
        sys.exit(f"{given.model} is not here")
    graph = netglot.load(given.model, weights, batch=1)
    pipeline.run(graph, pipeline.COMMON)
    with tempfile.TemporaryDirectory(prefix="netglot-") as name:
        compare(graph, Path(name), given.authors if is_default and given.authors.exists() else None)
        times(Path(name), given.repeat, given.core)


def compare(graph: Graph, work: Path, authors: Path | None) -> None:
    """Writes the three folders, and prints what their weights take."""
    save(graph.copy(), work / "default")
    save(graph.copy(), work / "exact", exact=True)
    save(graph.copy(), work / "lossless", compress="lossless")
    plain, ours = (work / name / "weights.bin" for name in ("exact", "lossless"))
    constants = plain.read_bytes()
    table = Table("stored", "bytes", "of the constants")
    rows = {
        "constants as the kernels read them": len(constants),
        "netglot, --compress lossless": ours.stat().st_size,
        "entropy of single weights, values and biases": round(zero_order(graph)),
        "zlib -9 of the constants": len(zlib.compress(constants, 9)),
        "lzma -9e of the constants": len(lzma.compress(constants, preset=9 | lzma.PRESET_EXTREME)),
    }
    if authors is not None:
        rows["the authors' container"] = authors.stat().st_size
    for what, size in rows.items():
        table.add_row(what, f"{size:,}", f"{size / len(constants):.2%}")
    CONSOLE.print(table)


def zero_order(graph: Graph) -> float:
    """Bytes that an ideal coder of one weight after the other needs, with a table of each layer's values as float32;
    constants of one axis (biases) are float32."""
    return sum(entropy(value.array) for value in graph.values() if value.is_constant and value.dtype == np.float32)


def entropy(array: np.ndarray) -> float:
    values, counts = np.unique(array, return_counts=True)
    if array.ndim < 2:
        return float(array.nbytes)
    return float(-(counts @ np.log2(counts / array.size)) / 8 + values.nbytes)


def times(work: Path, repeat: int, core: int) -> None:
    table = Table("folder", "making a model", "decoding", "decoded per second", "a run")
    for name in ("default", "exact", "lossless"):
        making, decoding, running = measured(work / name, repeat, core)
        size = (work / "exact" / "weights.bin").stat().st_size
        speed = f"{size / decoding / 1e3:.0f} MB" if decoding else ""
        table.add_row(name, f"{making:.2f} ms", f"{decoding:.2f} ms" if decoding else "", speed, f"{running:.2f} ms")
    CONSOLE.print(table)


def measured(folder: Path, repeat: int, core: int) -> tuple[float, ...]:
    """The times that PROGRAM prints."""
    found = re.search(r"^namespace (\w+) {", (folder / "model.h").read_text(), re.MULTILINE)
    assert found is not None
    (folder / "times.cpp").write_text(PROGRAM.replace("MODEL", found[1]).replace("SYMBOL", found[1].lower()))
    files = [str(folder / file) for file in (*SOURCES, "times.cpp")]
    command = ["g++", "-std=c++17", "-O2", "-pthread", f"-I{folder}", *files, "-o", str(folder / "times")]
    subprocess.run(command, check=True)
    program = ["taskset", "-c", str(core), str(folder / "times"), str(repeat)]
    done = subprocess.run(program, check=True, capture_output=True, text=True)
    return tuple(map(float, done.stdout.split()))


if __name__ == "__main__":
    main()
