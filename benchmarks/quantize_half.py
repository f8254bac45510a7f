"""A network whose activations pass 65504, the largest number of float16, with --quantize fp16.

    python benchmarks/quantize_half.py [--targets onnx coreml tflite]

The trained network of examples/digits, where one convolution's results are multiplied by 30,000 and a convolution
behind it divides them again. The pictures that calibrate are not those that judge. Shown, for each target: whether
what comes out is finite, how far it is from the float network's results, and which tensors the report says were kept in
float32. Files of ONNX are computed by the onnx package's reference evaluator, whose tensors are float16 where the file
says so (ONNX Runtime computes in float32 on a processor), Core ML's, read back as ONNX, too; TFLite's by LiteRT. Beside
them, what becomes of the same file with every operator in float16 (by onnxruntime.transformers' converter, told to
leave none out). The exit code is 1 if anything that netglot wrote gives inf or NaN, or is further than 1 % of the
largest result away, or if a tensor above 65504 is not named where the target computes in float16.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator
from onnxruntime import InferenceSession
from quantize_bad_layer import DIGITS, outputs, scaled_network
from rich.console import Console
from rich.table import Table

FACTOR = np.float32(3e4)
CLOSE = 0.01  # of the largest result
LARGEST = 65504.0
COMPUTED = ("onnx", "coreml")  # in float16; the others only store weights so
SUFFIXES = {"onnx": ".onnx", "coreml": ".mlpackage", "tflite": ".tflite", "cpp": "_cpp"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", nargs="+", default=["onnx", "coreml", "tflite"])
    options = parser.parse_args()
    with np.load(DIGITS / "digits_test.npz") as file:
        images = file["images"].astype(np.float32)
    seen, judged = images[0::2], images[1::2]
    table = Table("target", "finite", "same class", "largest error", "kept in float32", title="activations above 65504")
    good = True
    with tempfile.TemporaryDirectory() as scratch:
        source, above = large_network(Path(scratch), seen)
        wanted = outputs(source, judged)
        rows = {"all in float16 (onnxruntime)": (all_half(source), {})}
        rows |= {target: converted(source, target, seen) for target in options.targets}
        for title, (path, kept) in rows.items():
            found = computed(path, judged)
            finite, error = bool(np.isfinite(found).all()), float(np.abs(found - wanted).max())
            same = float((found.argmax(1) == wanted.argmax(1)).mean())
            table.add_row(title, "yes" if finite else "no", f"{same:.1%}", f"{error:.1e}", ", ".join(kept))
            good &= title not in options.targets or (
                finite and error < CLOSE and (above <= set(kept) or title not in COMPUTED)
            )
    Console(width=max(110, Console().width)).print(table)
    print(f"above {LARGEST:g} in the float network: {', '.join(sorted(above))}")
    sys.exit(not good)


def large_network(folder: Path, seen: np.ndarray) -> tuple[Path, set[str]]:
    """An ONNX file, and the names of its tensors that float16 can't hold."""
    path, _ = scaled_network(folder, lambda channels: np.full(channels, FACTOR))
    return path, {name for name, most in largest(path, seen).items() if most > LARGEST}


def largest(path: Path, images: np.ndarray) -> dict[str, float]:
    """The largest magnitude in each result of an operator."""
    model = onnx.load(path)
    names = [name for node in model.graph.node for name in node.output]
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0].name
    found = [session.run(names, {entry: image[None]}) for image in images]
    return {name: max(float(np.abs(item[i]).max()) for item in found) for i, name in enumerate(names)}


def all_half(source: Path) -> Path:
    """Every operator in float16, by the converter of onnxruntime.transformers, which cuts off constants at 65504."""
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    path = source.with_name("all-half.onnx")
    model = OnnxModel(convert_float_to_float16(onnx.load(source), keep_io_types=True, op_block_list=[]))
    model.topological_sort()
    model.save_model_to_file(str(path))
    return path


def computed(path: Path, images: np.ndarray) -> np.ndarray:
    """By who keeps to the types of the file."""
    import netglot

    if path.suffix == ".tflite":
        return outputs(path, images)
    if path.suffix == ".mlpackage":
        read, path = path, path.with_suffix(".read.onnx")
        netglot.convert(read, path, verify=False)
    with np.errstate(over="ignore", invalid="ignore"):
        session = ReferenceEvaluator(str(path))
        (name,) = session.input_names
        return np.stack([session.run(None, {name: image[None]})[0].ravel().astype(np.float32) for image in images])


def converted(source: Path, target: str, seen: np.ndarray) -> tuple[Path, dict[str, str]]:
    """The file, and the tensors that were kept in float32, with the reasons."""
    import netglot

    path = source.with_name("half" + SUFFIXES[target])
    (name,) = (value.name for value in netglot.load(source).inputs)
    samples = [{name: image[None]} for image in seen]
    report = netglot.convert(source, path, quantize="fp16", calibrate=samples, verify=False)
    return path, report.quantization.half


if __name__ == "__main__":
    main()
