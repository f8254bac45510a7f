"""Reading and writing an ONNX model of 100 MB: netglot, against onnx.load and onnx.save.

    python benchmarks/onnx_roundtrip.py [--megabytes 100] [--layers 200] [--repeats 9]

Both run as whole processes on the same file. netglot also builds its graph, infers every type and chooses the opset.
Its peak counts the pages of the mapped file that it wrote from, which the system may take back at any time.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
from pathlib import Path

from processes import interleaved, show

IMPORTS = {
    "onnx": "import onnx",
    "netglot": "from pathlib import Path; from netglot.frontends.onnx import load; "
               "from netglot.backends.onnx import save",
}  # fmt: skip
WORK = {
    "onnx": "onnx.save(onnx.load('{source}'), '{target}')",
    "netglot": "save(load(Path('{source}')), Path('{target}'))",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--layers", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source.onnx"
        arguments = (source, options.megabytes, options.layers)
        make = multiprocessing.get_context("spawn").Process(target=write, args=arguments)
        make.start()  # of its own: a process that is started counts the memory of the one that starts it
        make.join()
        commands = {}
        for name, imports in IMPORTS.items():
            work = WORK[name].format(source=source, target=f"{folder}/{name}.onnx")
            commands[f"importing {name}"] = [sys.executable, "-c", imports]
            commands[f"{name} load and save"] = [sys.executable, "-c", f"{imports}; {work}"]
        show(interleaved(commands, options.repeats), "onnx load and save")


def write(path: Path, megabytes: int, layers: int) -> None:
    """Square layers, whose weights fill so many megabytes."""
    import numpy as np

    from netglot.backends.onnx import save
    from netglot.ir.builder import Builder

    size = int((megabytes * 1e6 / 4 / layers) ** 0.5)
    g = Builder()
    x = g.graph.add_input("x", np.dtype(np.float32), (1, size))
    rng = np.random.default_rng(0)
    for _ in range(layers):
        x = g.Relu(g.Gemm(x, rng.standard_normal((size, size), np.float32), np.zeros(size, np.float32)))
    g.graph.outputs = [x]
    save(g.graph, path)


if __name__ == "__main__":
    main()
