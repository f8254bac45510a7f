"""Classes that are not Keras' own, models in memory, and what reading costs."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netglot
from netglot.convert import load_plugin
from netglot.errors import ConversionError, UnsupportedError
from netglot.frontends.keras import keras_layer, load
from netglot.registry import registry
from tests.keras_models import assert_near, check, inputs_of, keras, predicted, run, stir, tf_keras
from tests.oracles import ROOT


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    """What a test registers is forgotten after it."""
    before = set(registry.ops("keras"))
    yield
    for name in set(registry.ops("keras")) - before:
        del registry._operators["keras", name]
    load_plugin.cache_clear()


def gated() -> Any:
    """The layer that docs/plugins.md maps."""
    k = keras()

    class Gated(k.layers.Layer):
        def __init__(self, units: int, temperature: float = 1.0, **more: Any) -> None:
            super().__init__(**more)
            self.units, self.temperature = units, temperature

        def build(self, shape: Any) -> None:
            self.w = self.add_weight(shape=(shape[-1], self.units), name="w")
            self.v = self.add_weight(shape=(shape[-1], self.units), name="v")

        def call(self, x: Any) -> Any:
            return (x @ self.w) * k.ops.sigmoid(x @ self.v / self.temperature)

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "units": self.units, "temperature": self.temperature}

    return Gated


def model_with(layer: Any) -> Any:
    k = keras()
    x = k.Input((5,), name="x")
    return stir(k.Model(x, k.layers.Dense(2, name="out")(layer(x))))


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_the_keras_plugin_of_the_guide_works(tmp_path: Path, suffix: str) -> None:
    model = model_with(gated()(4, temperature=0.7, name="g"))
    model.save(tmp_path / f"m{suffix}")
    with pytest.raises(UnsupportedError, match=r"layer 'g'(.|\n)*Gated(.|\n)*--plugin"):
        load(tmp_path / f"m{suffix}")
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "plugins.md").read_text(), re.DOTALL)
    (tmp_path / "mine.py").write_text(next(block for block in blocks if "keras_layer" in block))
    report = netglot.convert(tmp_path / f"m{suffix}", tmp_path / "m.tflite", plugins=[tmp_path / "mine.py"])
    assert report.ok
    check(model, tmp_path / f"m{suffix}")


def test_a_custom_class_with_a_name_of_keras(tmp_path: Path) -> None:
    """It is never taken for Keras' own; a plugin maps it by the name it is registered under."""
    k = keras()

    @k.saving.register_keras_serializable("mine")
    class Dense(k.layers.Layer):
        def call(self, x: Any) -> Any:
            return 3 * x

    model = model_with(Dense(name="d"))
    model.save(tmp_path / "m.keras")
    with pytest.raises(UnsupportedError, match="'mine>Dense' is not one of Keras"):
        load(tmp_path / "m.keras")

    @keras_layer("mine>Dense")
    def dense(g: Any, x: Any) -> Any:
        return g.Mul(x, 3.0)

    check(model, tmp_path / "m.keras")


def test_an_option_that_the_function_does_not_have(tmp_path: Path) -> None:
    @keras_layer("Gated")
    def without(g: Any, x: Any, *, units: int) -> Any:
        return g.MatMul(x, g.Mul(g.weight(5, units), g.weight(5, units)))

    model_with(gated()(4, temperature=0.7, name="g")).save(tmp_path / "m.keras")
    with pytest.raises(UnsupportedError, match=r"'g': Gated: the option temperature=0.7 is not supported"):
        load(tmp_path / "m.keras")


def test_all_that_is_not_supported_is_said_at_once(tmp_path: Path) -> None:
    k = keras()
    x = k.Input((5, 3), name="x")
    one = k.layers.Lambda(lambda t: t + 1, name="one", output_shape=(5, 3))(x)
    two = gated()(3, name="two")(k.layers.Dense(3)(one))  # is not blamed for what it reads
    three = gated()(4, name="three")(x)
    inner = k.Sequential([k.Input((5, 3)), gated()(2, name="four")], name="inner")(x)
    k.Model(x, [two, three, inner]).save(tmp_path / "m.keras")
    with pytest.raises(UnsupportedError) as caught:
        load(tmp_path / "m.keras")
    assert [problem.origin.layer for problem in caught.value.problems] == ["one", "three", "inner/four"]
    assert {problem.shapes for problem in caught.value.problems} == {"batchx5x3"}


def test_a_subclassed_model_is_refused(tmp_path: Path) -> None:
    k = keras()

    class Own(k.Model):
        def __init__(self, **more: Any) -> None:
            super().__init__(**more)
            self.d = k.layers.Dense(2)

        def call(self, x: Any) -> Any:
            return self.d(x)

    model = Own()
    model(np.zeros((1, 3), np.float32))
    model.save(tmp_path / "m.keras")
    with pytest.raises(UnsupportedError, match="Own"):
        load(tmp_path / "m.keras")


# ---------------------------------------------------------------------- in memory


@pytest.mark.parametrize("make", [keras, tf_keras])
def test_a_model_in_memory(tmp_path: Path, make: Any) -> None:
    k = make()
    x = k.Input((7, 3), name="x")
    model = stir(k.Model(x, k.layers.Dense(2)(k.layers.Flatten()(k.layers.Conv1D(4, 2)(x)))))
    graph = netglot.load(model)
    inputs = inputs_of(graph)
    assert_near(run(graph, inputs), predicted(model, inputs))
    report = netglot.convert(model, tmp_path / "m.tflite")
    assert report.ok
    assert "becomes 1" in report.warnings[0].what
    assert netglot.convert(model, tmp_path / "m.onnx", batch=2).ok


@pytest.mark.parametrize("item", [None, 3, object(), {"a": 1}])
def test_what_is_no_model(item: Any) -> None:
    with pytest.raises(ConversionError, match="neither a file's name nor a model of Keras"):
        netglot.load(item)


def test_every_family_of_layers_is_registered() -> None:
    """A module with layers that __init__ does not name would be missing without a word."""
    folder = ROOT / "netglot" / "frontends" / "keras"
    families = {
        path.stem for path in folder.glob("*.py")
        if re.search(r"^(@|    )?(keras_layer|keras_op|tf_function)\(", path.read_text(), re.MULTILINE)
    } - {"builder"}  # fmt: skip
    named = re.findall(r"^    (\w+),$", (folder / "__init__.py").read_text(), re.MULTILINE)
    assert len(families) > 8
    assert families <= set(named)


# ---------------------------------------------------------------------------- cost


def test_variables_are_views_of_the_file(tmp_path: Path) -> None:
    model = model_with(keras().layers.Dense(3))
    for suffix in (".keras", ".h5"):
        model.save(tmp_path / f"m{suffix}")
        graph = load(tmp_path / f"m{suffix}")
        weights = [value.array for value in graph.constants() if value.array.ndim == 2]
        assert len(weights) == 2
        assert not any(array.flags.owndata or array.flags.writeable for array in weights)


def test_reading_takes_linear_time(tmp_path: Path) -> None:
    k = keras()

    def seconds(count: int) -> float:
        layers = [k.layers.Dense(2) for _ in range(count)]
        path = tmp_path / f"{count}.keras"
        k.Sequential([k.Input((2,)), *layers]).save(path)
        load(path)
        start = time.process_time()
        load(path)
        return time.process_time() - start

    assert seconds(400) < 10 * seconds(100)


COST = """
import re, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorflow", "keras", "tf_keras", "torch"):
            raise ImportError(f"{name} is not to be imported")
sys.meta_path.insert(0, Refuse())
import netglot
netglot.convert(sys.argv[1], sys.argv[2], verify=False)
print(int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of this process alone is read from /proc")
@pytest.mark.parametrize("target", ["m.onnx", "m.tflite"])
def test_memory_stays_near_the_size_of_the_file(tmp_path: Path, target: str) -> None:
    """A network of 100 MB; neither Keras nor TensorFlow is imported."""
    k = keras()
    big = k.Sequential([k.Input((2500,)), *(k.layers.Dense(2500, activation="relu") for _ in range(4))])
    big.save(tmp_path / "m.keras")
    size = (tmp_path / "m.keras").stat().st_size
    assert size > 100e6
    command = [sys.executable, "-c", COST, str(tmp_path / "m.keras"), str(tmp_path / target)]
    peak = int(subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout)
    assert peak < 350e6, f"{peak / 1e6:.0f} MB"
