"""A network with one layer of badly scaled channels, with and without --max-drop.

    python benchmarks/quantize_bad_layer.py [--targets onnx tflite] [--budget 0.01]

The trained network of examples/digits, where the first convolution's channels are multiplied by 1 to 10,000 and a
depthwise convolution behind it divides them again: in float it computes what it did, but one scale for all of its
channels leaves most of them a few steps. A bounded activation between the two, whose bound is never reached, keeps any
equalisation from undoing it. Half of the held-out digits calibrate, the other half judge. Shown: how many keep the
class that the float network gives them, and what was left in float. The exit code is 1 unless --max-drop recovers 99 %
of the float network's classes, on a network that without it does not, and names the layer.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from rich.console import Console
from rich.table import Table

DIGITS = Path(__file__).resolve().parent.parent / "examples" / "digits"
WORST = 1e4  # times the smallest channel
RECOVERED = 0.99  # of the float network's classes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", nargs="+", default=["onnx", "tflite"])
    parser.add_argument("--budget", type=float, default=0.01)
    options = parser.parse_args()
    with np.load(DIGITS / "digits_test.npz") as file:
        images = file["images"].astype(np.float32)
    seen, judged = images[0::2], images[1::2]
    table = Table("target", "", "same class", "left in float", title="one layer of badly scaled channels")
    good = True
    with tempfile.TemporaryDirectory() as scratch:
        source, layer = bad_network(Path(scratch))
        wanted = classes(source, judged)
        for target in options.targets:
            rows = {
                "int8": quantised(source, target, seen),
                f"int8, --max-drop {options.budget:g}": quantised(source, target, seen, max_drop=options.budget),
            }
            shares = [float((classes(path, judged) == wanted).mean()) for path, _ in rows.values()]
            kept = [[item.layer for item in report.kept] for _, report in rows.values()]
            good &= shares[0] < RECOVERED <= shares[1] and layer in kept[1]
            for title, share, names in zip(rows, shares, kept, strict=True):
                table.add_row(target, title, f"{share:.1%}", ", ".join(names))
            report = list(rows.values())[1][1]
            report.print(Console(width=110, highlight=False))
    Console().print(table)
    print(f"the layer is {layer}")
    sys.exit(not good)


def bad_network(folder: Path) -> tuple[Path, str]:
    """An ONNX file, and the name of its bad layer."""

    def factors(channels: int) -> np.ndarray:
        spread = np.geomspace(1, WORST, channels, dtype=np.float32)
        return np.random.default_rng(0).permutation(spread)

    return scaled_network(folder, factors, bound=100 * WORST)


def scaled_network(
    folder: Path, factors_of: Callable[[int], np.ndarray], bound: float | None = None
) -> tuple[Path, str]:
    """The digits' network, an ONNX file, with the channels of its first convolution multiplied, and divided behind the
    activation, which is a Relu that ends at `bound`; and that convolution's name."""
    import netglot

    plain, path = folder / "plain.onnx", folder / "scaled.onnx"
    netglot.convert(DIGITS / "deploy.prototxt", plain, weights=DIGITS / "digits.caffemodel", verify=False)
    model = onnx.load(plain)
    conv = next(node for node in model.graph.node if node.op_type == "Conv")
    relu = next(node for node in model.graph.node if node.input[0] == conv.output[0])
    factors = factors_of(initializer(model, conv.input[1]).shape[0])
    for name in conv.input[1:]:
        array = initializer(model, name)
        replace_initializer(model, name, array * factors.reshape(-1, *[1] * (array.ndim - 1)))
    divide(model, relu, factors, bound)
    onnx.save(model, path)
    require_same(plain, path)
    return path, conv.name


def divide(model: onnx.ModelProto, relu: Any, factors: np.ndarray, bound: float | None) -> None:
    """Ends `relu` at `bound` and puts a depthwise convolution behind it."""
    kernel = np.zeros((factors.size, 1, 3, 3), np.float32)
    kernel[:, 0, 1, 1] = 1 / factors
    constants = {"divide_w": kernel} | ({} if bound is None else {"least": np.float32(0), "most": np.float32(bound)})
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(item), name) for name, item in constants.items())
    kind, limits = ("Relu", []) if bound is None else ("Clip", ["least", "most"])
    activation = helper.make_node(kind, [relu.input[0], *limits], ["activated"], "activation")
    attributes = {"group": factors.size, "pads": [1, 1, 1, 1], "kernel_shape": [3, 3]}
    conv = helper.make_node("Conv", ["activated", "divide_w"], list(relu.output), "divide", **attributes)
    at = list(model.graph.node).index(relu)
    model.graph.node.remove(relu)
    model.graph.node.insert(at, activation)
    model.graph.node.insert(at + 1, conv)


def initializer(model: onnx.ModelProto, name: str) -> np.ndarray:
    return numpy_helper.to_array(next(item for item in model.graph.initializer if item.name == name))


def replace_initializer(model: onnx.ModelProto, name: str, array: np.ndarray) -> None:
    old = next(item for item in model.graph.initializer if item.name == name)
    old.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array), name))


def require_same(plain: Path, changed: Path) -> None:
    """In float, the channels' factors change nothing but roundings."""
    with np.load(DIGITS / "digits_test.npz") as file:
        images = file["images"][:32].astype(np.float32)
    error = max(np.abs(outputs(plain, images) - outputs(changed, images)).ravel())
    if not error < 1e-4:
        raise SystemExit(f"the network with scaled channels differs by {error}")


def quantised(source: Path, target: str, seen: np.ndarray, **how: Any) -> tuple[Path, Any]:
    """The file, and the report of its quantisation."""
    import netglot

    path = source.with_name(f"{'budget' if how else 'plain'}-int8.{target}")
    (name,) = (value.name for value in netglot.load(source).inputs)
    samples = [{name: image[None]} for image in seen]
    report = netglot.convert(source, path, quantize="int8", calibrate=samples, verify=False, **how)
    return path, report.quantization


def classes(path: Path, images: np.ndarray) -> np.ndarray:
    return outputs(path, images).argmax(1)


def outputs(path: Path, images: np.ndarray) -> np.ndarray:
    from netglot.convert import open_model

    runtime = open_model(path)
    (entry,) = runtime.inputs

    def run(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        (found,) = runtime.run(inputs).values()
        return found.ravel()

    return np.stack([run({entry.name: image[None]}) for image in images])


if __name__ == "__main__":
    main()
