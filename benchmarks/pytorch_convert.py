"""A ResNet-18 of PyTorch to ONNX, TFLite and Core ML, whole process, beside the converters of torch, Google and Apple.

    python benchmarks/pytorch_convert.py [--repeats 5] [--peers .venv-peers/bin/python]

All start from the same .pt2; the peers load it as their documentation says (torch.export.load), netglot reads it
itself. Without verification, on a warm disk; the runs take turns, and the first of each does not count. "floor" is a
process that imports torch and loads the program, and does nothing more. `--peers` is a Python that has litert-torch,
onnxscript and coremltools beside torch (see benchmarks/README.md).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from processes import interleaved, show

MAKE = """
import sys, torch
from tests.torch_models import randomised, torchvision
torch.manual_seed(0)
module = randomised(torchvision().models.resnet18(weights=None))
torch.export.save(torch.export.export(module, (torch.randn(1, 3, 224, 224),)), sys.argv[1])
"""
LOAD = """
import sys, torch
torch.set_num_threads(1)
program = torch.export.load(sys.argv[1])
"""
ONNX = LOAD + "torch.onnx.export(program, (), sys.argv[2], dynamo=True, verbose=False)\n"
TFLITE = (
    LOAD
    + """
import litert_torch
litert_torch.convert(program.module(), (torch.zeros(1, 3, 224, 224),)).export(sys.argv[2])
"""
)
COREML = (
    LOAD
    + """
import coremltools
program = program.run_decompositions({})
coremltools.convert(program, minimum_deployment_target=coremltools.target.iOS16).save(sys.argv[2])
"""
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peers", default=sys.executable, help="a Python that has the peers")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = f"{folder}/resnet18.pt2"
        make(source)
        print(f"ResNet-18, {Path(source).stat().st_size / 1e6:.0f} MB")
        for title, code, suffix in (
            ("torch.onnx.export", ONNX, ".onnx"), ("litert-torch", TFLITE, ".tflite"),
            ("coremltools", COREML, ".mlpackage"),
        ):  # fmt: skip
            show(interleaved(commands(title, code, source, suffix, options.peers), options.repeats), title)


def make(target: str) -> None:
    """In a process of its own, so that torch's memory is not ours."""
    import subprocess

    root = Path(__file__).resolve().parent.parent
    subprocess.run([sys.executable, "-W", "ignore", "-c", MAKE, target], cwd=root, check=True)


def commands(title: str, code: str, source: str, suffix: str, peers: str) -> dict[str, list[str]]:
    target = source.removesuffix(".pt2")
    return {
        title: [peers, "-W", "ignore", "-c", code, source, f"{target}-theirs{suffix}"],
        "floor": [peers, "-W", "ignore", "-c", LOAD, source],
        "netglot": [
            sys.executable, "-m", "netglot", "convert", source, "-o", f"{target}{suffix}", "--no-verify", "--force",
        ],
    }  # fmt: skip


if __name__ == "__main__":
    main()
