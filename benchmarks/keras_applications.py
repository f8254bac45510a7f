"""Every network of keras.applications, from files, to ONNX and TFLite: how equal, and how many operators.

    python benchmarks/keras_applications.py [--models MobileNetV2 ...] [--sources keras h5] [--targets tflite]

The weights are random, with random statistics in every BatchNormalization so that nothing vanishes. For each source and
target: the largest difference to `model.predict`, of the output's largest value; and for TFLite the number of operators
beside what TFLiteConverter writes for the same model. Each network runs in a process of its own. The largest take some
GB and minutes; `--size` bounds the images.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BOUND = 1e-5
SMALLEST = {"InceptionV3": 75, "InceptionResNetV2": 75, "Xception": 71}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+")
    parser.add_argument("--sources", nargs="+", default=["keras", "h5", "saved_model"])
    parser.add_argument("--targets", nargs="+", default=["onnx", "tflite"])
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one, options.sources, options.targets, options.size)))
        return
    print(f"{'network':<20}{'MB':>6}  {'source':<12}" + "".join(f"{t:>9}" for t in options.targets), end="")
    print("   operators (TFLiteConverter)   more of")
    for name in options.models or names():
        for line in rows(name, options):
            print(line, flush=True)


def names() -> list[str]:
    import keras

    classes = vars(keras.applications)
    return sorted(name for name, item in classes.items() if callable(item) and name[0].isupper())


def rows(name: str, options: argparse.Namespace) -> Iterator[str]:
    command = [sys.executable, __file__, "--one", name, "--size", str(options.size)]
    command += ["--sources", *options.sources, "--targets", *options.targets]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        yield f"{name:<20} failed: {done.stderr.strip().splitlines()[-1][:200]}"
        return
    found = json.loads(done.stdout.splitlines()[-1])
    for source, item in found["sources"].items():
        line = f"{name:<20}{found['mb']:6.0f}  {source:<12}"
        for target in options.targets:
            error = item[target]
            line += f"{error:9.1e}" if isinstance(error, float) else f"  {error}"
        counts = Counter(item.get("operators", {}))
        theirs = Counter(found["converter"])
        more = ", ".join(f"{count} {op}" for op, count in sorted((counts - theirs).items()))
        verdict = "" if all(isinstance(item[t], float) and item[t] <= BOUND for t in options.targets) else " NOT EQUAL"
        verdict += " MORE" if counts.total() > theirs.total() > 0 else ""
        yield f"{line}   {counts.total()} ({theirs.total()})   {more}{verdict}"


# ------------------------------------------------------------ in the child process


def measure(name: str, sources: list[str], targets: list[str], size: int) -> dict[str, Any]:
    import keras
    import numpy as np

    keras.utils.set_random_seed(0)
    size = max(size, SMALLEST.get(name, 32))
    network = getattr(keras.applications, name)
    model = network(weights=None, input_shape=(size, size, 3))
    logits = network(weights=None, input_shape=(size, size, 3), classifier_activation=None)
    image = np.random.default_rng(0).uniform(-1, 1, (1, size, size, 3)).astype(np.float32)
    settle(logits, image)
    soften(model, logits, image)
    expected = model.predict(image, verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        paths = {source: save(model, source, Path(folder)) for source in sources}
        found = {source: convert(path, targets, image, expected) for source, path in paths.items()}
        theirs = converter(model) if "tflite" in targets else {}
    megabytes = sum(weight.size * 4 for weight in model.get_weights()) / 1e6
    return {"mb": megabytes, "sources": found, "converter": theirs}


def randomise(model: Any, scale: float = 1.0) -> None:
    """Scales and offsets as a trained network might have them, and the statistics of random images.

    Made-up statistics would not do: the signal dies on its way, and what comes out are the offsets, whatever went in.
    """
    import keras
    import numpy as np

    rng = np.random.default_rng(0)
    layers = model._flatten_layers(include_self=False)
    norms = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in norms:
        if layer.gamma is not None:
            layer.gamma.assign(rng.uniform(0.8, 1.2, layer.gamma.shape))
        if layer.beta is not None:
            layer.beta.assign(rng.normal(0, 0.1, layer.beta.shape))
    observe(model, norms, rng)
    for layer in norms:  # after the statistics, which would make up for it
        if layer.gamma is not None:
            layer.gamma.assign(scale * np.asarray(layer.gamma))


def observe(model: Any, norms: list[Any], rng: Any) -> None:
    """Each normalisation gets the statistics of what it sees of eight random images."""
    import numpy as np

    kept = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0
    model(rng.uniform(-1, 1, (8, *model.input_shape[1:])).astype(np.float32), training=True)
    for layer, momentum in zip(norms, kept, strict=True):
        layer.momentum = momentum
        variance = np.asarray(layer.moving_variance)
        layer.moving_variance.assign(np.maximum(variance, 0.01 * variance.mean()))  # dead channels


def settle(model: Any, image: Any) -> None:
    """Statistics under which rounding stays rounding, and another image gives another result.

    Deep residual networks with scales about one can be chaotic: a change of the image by 1e-6 changes everything, in
    any runtime. Then the scales are made a little smaller.
    """
    import numpy as np

    nudge = 1 + np.random.default_rng(1).uniform(-1e-6, 1e-6, image.shape)
    for scale in (1.0, 0.9, 0.8, 0.7, 0.6, 0.4):
        randomise(model, scale)
        nudged, flipped = (image * nudge).astype(np.float32), np.ascontiguousarray(image[:, ::-1])
        one, other, another = (model.predict(x, verbose=0) for x in (image, nudged, flipped))
        if (
            np.abs(one - other).max() <= 1e-5 * np.abs(one).max()
            and np.abs(one - another).max() > 1e-3 * np.abs(one).max()
        ):
            return
    raise SystemExit("with all of these statistics this network is chaotic, or the same for every image")


def soften(model: Any, logits: Any, image: Any) -> None:
    """Scales the last layer so that the largest logit is 3: a softmax of ones and zeros would show nothing.

    `logits` is the same network without its softmax, whose weights are taken.
    """
    import numpy as np

    model.set_weights(logits.get_weights())
    largest = float(np.abs(logits.predict(image, verbose=0)).max())
    last = [layer for layer in model.layers if getattr(layer, "kernel", None) is not None][-1]
    last.set_weights([weight * 3 / largest for weight in last.get_weights()])


def save(model: Any, source: str, folder: Path) -> Path:
    if source == "saved_model":
        model.export(folder / "saved", verbose=False)
        return folder / "saved"
    path = folder / f"model.{source}"
    model.save(path)
    return path


def convert(path: Path, targets: list[str], image: Any, expected: Any) -> dict[str, Any]:
    import numpy as np

    import netglot
    from netglot.convert import open_model

    found: dict[str, Any] = {}
    for target in targets:
        out = path.parent / f"out.{target}"
        try:
            netglot.convert(path, out, verify=False, force=True)
            runtime = open_model(out)
            (actual,) = runtime.run({runtime.inputs[0].name: image}).values()
            found[target] = float(np.abs(actual - expected).max() / np.abs(expected).max())
            if target == "tflite":
                found["operators"] = operators(out.read_bytes())
        except Exception as error:
            found[target] = f"{type(error).__name__}: {str(error)[:150]}"
    return found


def operators(data: bytes) -> dict[str, int]:
    """How often each operator occurs in a .tflite file."""
    from ai_edge_litert import schema_py_generated as schema

    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data))
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    return dict(Counter(names[codes[op.opcodeIndex]] for graph in model.subgraphs for op in graph.operators))


def converter(model: Any) -> dict[str, int]:
    import tensorflow as tf

    return operators(tf.lite.TFLiteConverter.from_keras_model(model).convert())


if __name__ == "__main__":
    main()
