"""Networks that the real MXNet exports, with random weights: equal to what it computes, in every target."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netglot.convert import convert, load, open_model
from netglot.errors import UnsupportedError
from netglot.frontends.mxnet import params
from netglot.runtimes.compiled import CompiledCpp
from netglot.runtimes.onnxruntime import OnnxRuntime
from tests import mxnet_oracle
from tests.mxnet_ops.table import symbol_json
from tests.test_mxnet_files import container, v0, v1

FAMILIES = {  # by the side of the image, as small as the network allows
    "mobilenet1.0": 64, "mobilenetv2_1.0": 64, "resnet18_v1": 64, "resnet18_v2": 64, "squeezenet1.0": 224,
    "alexnet": 64, "vgg11_bn": 32, "densenet121": 224, "inceptionv3": 299,
}  # fmt: skip
OWN = ("tagger", "unrolled", "detector")
LARGE = {"resnet18_v1", "resnet18_v2", "alexnet", "vgg11_bn", "densenet121", "inceptionv3"}
TARGETS = ("onnx", "tflite", "mlpackage", "cpp")


@dataclass(frozen=True)
class Exported:
    """What MXNet wrote, its input, and its output for it."""

    symbol: Path
    x: np.ndarray
    y: np.ndarray


Export = Callable[..., Exported]


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Export:
    made: dict[tuple[str, str, str], Exported] = {}

    def exported(name: str, dtype: str = "float32", width: str = "full") -> Exported:
        if (name, dtype, width) not in made:
            made[name, dtype, width] = _export(name, dtype, width, tmp_path_factory.mktemp("zoo"))
        return made[name, dtype, width]

    return exported


def _export(name: str, dtype: str, width: str, folder: Path) -> Exported:
    if not mxnet_oracle.PYTHON.exists():
        pytest.skip("the real MXNet is not here (shared/oracles/mxnet-setup)")
    script = Path(__file__).with_name("mxnet_zoo.py")
    command = [mxnet_oracle.PYTHON, script, name, FAMILIES.get(name, 0), folder, dtype, width]
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
    with np.load(folder / "net.npz") as arrays:
        return Exported(folder / "net-symbol.json", arrays["data"], arrays["out0"])


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", [*FAMILIES, *OWN])
def test_equals_mxnet(name: str, target: str, export: Export, tmp_path: Path) -> None:
    """In C++ the large ones have half of their channels: it is the weights that a compiler spends its time on."""
    net = export(name, width="half" if target == "cpp" and name in LARGE else "full")
    out = tmp_path / f"net.{target}"
    convert(
        net.symbol, out, target_format="cpp" if target == "cpp" else None, inputs={"data": net.x.shape}, verify=False
    )
    assert_close(computed(out, net.x), net.y)


def computed(path: Path, x: np.ndarray) -> np.ndarray:
    """By the target's runtime; a Core ML file is read back."""
    if path.suffix == ".cpp":
        runtime: Any = CompiledCpp(path, ["-O1"], cache=path.parent)
    else:
        runtime = OnnxRuntime(load(path)) if path.suffix == ".mlpackage" else open_model(path)
    (found,) = runtime.run({"data": x}).values()
    return found


def assert_close(actual: np.ndarray, wanted: np.ndarray, rtol: float = 1e-5) -> None:
    assert actual.shape == wanted.shape
    assert actual.dtype == wanted.dtype
    assert np.isfinite(actual).all()
    assert np.abs(actual - wanted).max() <= rtol * np.abs(wanted).max()


@pytest.mark.parametrize("name", FAMILIES)
def test_tflite_transposes_the_image_and_nothing_else(name: str, export: Export, tmp_path: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter

    net = export(name)
    convert(net.symbol, tmp_path / "net.tflite", inputs={"data": net.x.shape}, verify=False)
    ops = Counter(op["op_name"] for op in Interpreter(str(tmp_path / "net.tflite"))._get_ops_details())
    assert ops["TRANSPOSE"] == 1


def test_detections_of_several_classes_are_found(export: Export) -> None:
    """Else the detector would show nothing."""
    labels = export("detector").y[..., 0]
    assert set(np.unique(labels)) >= {-1, 0, 1, 2}


@pytest.mark.parametrize("name", ["resnet18_v1", "mobilenetv2_1.0"])
def test_half_precision(name: str, export: Export) -> None:
    """The weights stay halves; sums of halves in another order differ by some of their steps."""
    net = export(name, "float16")
    assert net.x.dtype == np.float16
    graph = load(net.symbol, inputs={"data": net.x.shape})
    assert {value.dtype for value in graph.inputs} == {np.dtype(np.float16)}
    (found,) = OnnxRuntime(graph).run({"data": net.x}).values()
    assert_close(found, net.y, rtol=1e-2)


# ----------------------------------------------------------------------------- eras


@pytest.mark.parametrize(("era", "layout"), [("attr", v1), ("param", v0)])
def test_older_eras(era: str, layout: Callable[[np.ndarray], bytes], export: Export, tmp_path: Path) -> None:
    """Files as MXNet 0.9 and 0.8 wrote them; the latter has no auxiliary states among its nodes."""
    net = export("mobilenet1.0")
    described = json.loads(net.symbol.read_text())
    arrays = params.read(net.symbol.with_name("net-0000.params"))
    if era == "param":
        described, arrays = without_states(described, arrays)
    for node in described["nodes"]:
        node[era] = {key: text for key, text in node.pop("attrs", {}).items() if not key.startswith("__")}
        node["op"] = "CuDNNBatchNorm" if era == "param" and node["op"] == "BatchNorm" else node["op"]
        node["backward_source_id"] = -1
        if node["op"] == "CuDNNBatchNorm":
            del node[era]["axis"]
    del described["attrs"]
    (tmp_path / "net-symbol.json").write_text(json.dumps(described))
    (tmp_path / "net-0000.params").write_bytes(container([layout(a) for a in arrays.values()], list(arrays)))
    graph = load(tmp_path / "net-symbol.json", inputs={"data": net.x.shape})
    (found,) = OnnxRuntime(graph).run({"data": net.x}).values()
    assert_close(found, net.y)


def without_states(
    described: dict[str, Any], arrays: dict[str, np.ndarray]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The description without its auxiliary states, whose names then follow from those of their operators."""
    nodes, renamed = described["nodes"], dict(arrays)
    for node in nodes:
        if node["op"] == "BatchNorm":
            for state, (source, *_) in zip(("moving_mean", "moving_var"), node["inputs"][3:], strict=True):
                renamed[f"{node['name']}_{state}"] = renamed.pop(nodes[source]["name"])
            node["inputs"] = node["inputs"][:3]
    read = {source for node in nodes for source, *_ in node["inputs"]} | {head[0] for head in described["heads"]}
    kept = [i for i in range(len(nodes)) if i in read]
    number = {old: new for new, old in enumerate(kept)}
    for node in nodes:
        node["inputs"] = [[number[source], output] for source, output, *_ in node["inputs"]]
    found = {
        "nodes": [nodes[i] for i in kept],
        "arg_nodes": [number[i] for i in kept if nodes[i]["op"] == "null"],
        "heads": [[number[source], output] for source, output, *_ in described["heads"]],
        "attrs": {},
    }
    return found, renamed


# ------------------------------------------------------------------- what has no row


def single(op: str, attributes: dict[str, Any], inputs: Sequence[str], folder: Path) -> Path:
    node = (op, "node", attributes, [(i, 0) for i in range(len(inputs))])
    (folder / "net-symbol.json").write_text(symbol_json([*inputs, node], [(len(inputs), 0)]))
    return folder / "net-symbol.json"


@pytest.mark.parametrize(
    ("op", "attributes", "hint"),
    [
        ("Custom", {"op_type": "mine"}, "--plugin"),
        ("CTCLoss", {"blank_label": "last"}, "--output"),
        ("_contrib_MultiBoxTarget", {"negative_mining_ratio": 3}, "--output"),
    ],
)
def test_refusals_say_what_to_do(op: str, attributes: dict[str, Any], hint: str, tmp_path: Path) -> None:
    path = single(op, attributes, ["a", "b", "c"], tmp_path)
    with pytest.raises(UnsupportedError) as caught:
        load(path, inputs=dict.fromkeys("abc", (2, 3)))
    assert hint in str(caught.value)


def test_dropout_that_never_ends_is_refused(tmp_path: Path) -> None:
    path = single("Dropout", {"mode": "always"}, ["a"], tmp_path)
    with pytest.raises(UnsupportedError, match="at random"):
        load(path, inputs={"a": (2, 3)})


@pytest.mark.parametrize("mode", ["lstm", "gru"])
def test_sequences_of_several_lengths(mode: str, tmp_path: Path) -> None:
    """Only cuDNN has lengths: here MXNet computes each sequence alone, as long as it is."""
    rng, gates = np.random.default_rng(0), {"lstm": 4, "gru": 3}[mode]
    steps, features, units, lengths = 6, 3, 4, [4, 6, 1]
    count = gates * units * 2 * (features + units + 2)
    weights = rng.normal(0, 0.5, count).astype(np.float32)
    x = rng.normal(size=(steps, len(lengths), features)).astype(np.float32)
    state = np.zeros((2, len(lengths), units), np.float32)
    states = ["state", "cell"][: 2 if mode == "lstm" else 1]
    attributes = {"mode": mode, "num_layers": 1, "state_size": units, "bidirectional": True}
    path = single("RNN", {**attributes, "use_sequence_length": True}, ["x", "w", *states, "n"], tmp_path)
    arrays = {"w": weights, **dict.fromkeys(states, state)}
    path.with_name("net-0000.params").write_bytes(container([v1(array) for array in arrays.values()], list(arrays)))
    graph = load(path, inputs={"x": x.shape, "n": (len(lengths),)})
    (found,) = OnnxRuntime(graph).run({"x": x, "n": np.array(lengths, np.float32)}).values()
    alone = single("RNN", attributes, ["x", "w", *states], tmp_path).read_text()
    for i, length in enumerate(lengths):
        fed = {"x": x[:length, i : i + 1], "w": weights, **dict.fromkeys(states, state[:, :1])}
        ((_, wanted),) = mxnet_oracle.run(alone, fed)
        assert_close(found[:length, i : i + 1], wanted)
        assert not found[length:, i].any()
