"""Whole process of `netglot convert CAFFE --to TARGET --no-verify`, against importing the four libraries that it needs.

    python benchmarks/convert_time.py deploy.prototxt net.caffemodel [--repeats 9]

Importing numpy, networkx, onnx and LiteRT's FlatBuffers schema is the least that any converter of this kind costs; the
ratio to it says more than seconds do on a noisy machine. Run it on a warm disk (the first run of each does not count).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from processes import interleaved, show

LIBRARIES = "import numpy, networkx, onnx, flatbuffers, ai_edge_litert.schema_py_generated"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prototxt", type=Path)
    parser.add_argument("caffemodel", type=Path)
    parser.add_argument("--targets", nargs="+", default=["tflite", "onnx", "cpp", "coreml"])
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    base = "importing the libraries"
    commands = {base: [sys.executable, "-c", LIBRARIES], "netglot --help": [sys.executable, "-m", "netglot", "--help"]}
    with tempfile.TemporaryDirectory() as folder:
        for target in options.targets:
            commands[f"convert to {target}"] = [
                sys.executable, "-m", "netglot", "convert", "--to", target, str(options.prototxt),
                str(options.caffemodel), "-o", f"{folder}/net.{target}", "--no-verify", "--force",
            ]  # fmt: skip
        show(interleaved(commands, options.repeats), base)


if __name__ == "__main__":
    main()
