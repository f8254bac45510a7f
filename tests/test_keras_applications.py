"""A few networks of keras.applications: equal in ONNX and TFLite, and no more operators than TFLiteConverter writes.

benchmarks/keras_applications.py does the same for all of them, which takes half an hour.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netglot.convert import convert, open_model
from tests.oracles import ROOT

keras = pytest.importorskip("keras")
pytest.importorskip("tensorflow")


def benchmark() -> Any:
    """The script's functions."""
    spec = importlib.util.spec_from_file_location("keras_applications", ROOT / "benchmarks" / "keras_applications.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


NETWORKS = {
    "MobileNetV2": {"alpha": 0.35},
    "MobileNetV3Small": {"minimalistic": False},  # hard swish, squeeze and excite
}


@pytest.mark.parametrize("name", NETWORKS)
def test_equal_and_as_lean_as_the_converter(name: str, tmp_path: Path) -> None:
    script = benchmark()
    keras.utils.set_random_seed(0)
    network = getattr(keras.applications, name)(weights=None, input_shape=(32, 32, 3), **NETWORKS[name])
    script.randomise(network, 0.8)  # larger ones would magnify every rounding
    image = np.random.default_rng(0).uniform(-1, 1, (1, 32, 32, 3)).astype(np.float32)
    expected = np.asarray(network(image))
    theirs = script.converter(network)
    network.save(tmp_path / "net.keras")
    network.export(tmp_path / "saved", verbose=False)
    for source in ("net.keras", "saved"):
        for target in ("onnx", "tflite"):
            out = tmp_path / f"{source}.{target}"
            convert(tmp_path / source, out, verify=False)
            runtime = open_model(out)
            (found,) = runtime.run({runtime.inputs[0].name: image}).values()
            assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
        ours = script.operators((tmp_path / f"{source}.tflite").read_bytes())
        assert "TRANSPOSE" not in ours
        assert sum(ours.values()) <= sum(theirs.values()), (ours, theirs)
