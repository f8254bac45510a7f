"""Keras files of every era against what Keras computes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netglot.errors import ConversionError, UnsupportedError
from netglot.formats import detect
from netglot.frontends.keras import load
from netglot.frontends.options import LoadOptions, TensorSpec
from tests.keras_models import assert_near, check, inputs_of, keras, predicted, run, stir, tf_keras

SUFFIXES = [".keras", ".h5"]


def saved(model: Any, path: Path) -> Path:
    model.save(path)
    return path


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("m.keras", "keras"), ("m.h5", "keras"), ("m.hdf5", "keras"), ("m.json", "keras"), ("M.H5", "keras"),
        ("m-symbol.json", "mxnet"), ("m.caffemodel.h5", "caffe"), ("m.weights.h5", "keras"),
    ],
)  # fmt: skip
def test_files_are_told_by_their_names(name: str, format: str) -> None:
    assert detect(Path(name)).name == format


# ------------------------------------------------------------------- structures


def branches() -> Any:
    """A layer called twice, nested models called twice, a frozen layer between others, and normalisation in them."""
    k = keras()
    L = k.layers
    a, b = k.Input((5,), name="a"), k.Input((5,), name="b")
    shared = L.Dense(4, activation="tanh", name="shared")
    inner = k.Sequential(
        [L.Dense(4), L.BatchNormalization(), L.Dense(4, trainable=False), L.BatchNormalization(trainable=False)],
        name="inner",
    )
    x, y = inner(shared(a)), inner(shared(b))
    i = k.Input((4,), name="i")
    j = k.Input((4,), name="j")
    deep = k.Model([i, j], [L.Add()([L.Dense(3)(i), inner(j)[:, :3]]), L.Subtract()([i, j])], name="deep")
    p, q = deep([x, y])
    r, s = deep([y, x])
    return stir(k.Model([a, b], [L.Concatenate()([p, r]), s, q, x]))


def branches_of_keras2() -> Any:
    k = tf_keras()
    L = k.layers
    a, b = k.Input((5,), name="a"), k.Input((5,), name="b")
    shared = L.Dense(4, activation="tanh", name="shared")
    inner = k.Sequential(
        [L.Dense(4), L.BatchNormalization(), L.Dense(4, trainable=False), L.BatchNormalization(trainable=False)],
        name="inner",
    )
    x, y = inner(shared(a)), inner(shared(b))
    i, j = k.Input((4,), name="i"), k.Input((4,), name="j")
    deep = k.Model([i, j], [L.Add()([L.Dense(4)(i), L.BatchNormalization()(j)]), L.Subtract()([i, j])], name="deep")
    p, q = deep([x, y])
    r, s = deep([y, x])
    return stir(k.Model([a, b], [L.Concatenate()([p, r]), s, q, x]))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_shared_and_nested_models(tmp_path: Path, suffix: str) -> None:
    model = branches()
    graph = check(model, saved(model, tmp_path / f"m{suffix}"))
    assert [value.name for value in graph.inputs] == ["a", "b"]
    assert [value.name for value in graph.outputs] == [model.layers[-1].name, "deep", "deep.1", "inner"]
    assert all(value.shape[0] == "batch" for value in [*graph.inputs, *graph.outputs])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_shared_and_nested_models_of_keras2(tmp_path: Path, suffix: str) -> None:
    model = branches_of_keras2()
    graph = check(model, saved(model, tmp_path / f"m{suffix}"))
    assert [value.name for value in graph.inputs] == ["a", "b"]


@pytest.mark.parametrize("make", [keras, tf_keras])
@pytest.mark.parametrize("frozen", ["inner", "middle", "thawed"])
def test_frozen_models_in_one_list_of_variables(tmp_path: Path, make: Any, frozen: str) -> None:
    """An .h5 keeps all variables of a nested model in one list: trainable ones first, where they are trainable."""
    k = make()
    L = k.layers
    inner = k.Sequential([k.Input((4,)), L.BatchNormalization(), L.Dense(4), L.BatchNormalization()], name="inner")
    i = k.Input((4,))
    j = L.Dense(4)(L.BatchNormalization()(i))
    middle = k.Model(i, L.Dense(4)(L.BatchNormalization()(inner(j))), name="middle")
    x = k.Input((4,), name="x")
    model = stir(k.Model(x, L.Dense(3)(middle(x))))
    (inner if frozen == "inner" else middle).trainable = False
    if frozen == "thawed":
        inner.layers[-2].trainable = True
    for suffix in SUFFIXES:
        check(model, saved(model, tmp_path / f"m{suffix}"))


def test_a_nested_model_called_by_the_names_of_its_inputs(tmp_path: Path) -> None:
    k = keras()
    a, b = k.Input((4,), name="a"), k.Input((4,), name="b")
    inner = k.Model({"b": b, "a": a}, {"z": k.layers.Dense(2)(a), "c": k.layers.Dense(3)(b)}, name="inner")
    x, y = k.Input((4,), name="x"), k.Input((4,), name="y")
    outs = inner({"a": y, "b": x})
    model = stir(k.Model([x, y], [outs["z"], outs["c"]]))
    for suffix in SUFFIXES:
        check(model, saved(model, tmp_path / f"m{suffix}"))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_dictionaries_of_inputs_and_outputs(tmp_path: Path, suffix: str) -> None:
    """Keras orders them by key, whatever the order they were written in."""
    k = keras()
    z, a = k.Input((3,), name="late"), k.Input((4,), name="early")
    y = k.layers.Dense(2, name="first")(a)
    w = k.layers.Dense(5, name="second")(z)
    model = stir(k.Model({"a": a, "z": z}, {"q": [y, {"k": w}], "b": k.layers.Concatenate(name="both")([y, w])}))
    graph = load(saved(model, tmp_path / f"m{suffix}"))
    assert [value.name for value in graph.inputs] == ["early", "late"]
    assert [value.name for value in graph.outputs] == ["both", "first", "second"]
    inputs = inputs_of(graph)
    expected = model.predict({"a": inputs["early"], "z": inputs["late"]}, verbose=0)
    assert_near(run(graph, inputs), [expected["b"], expected["q"][0], expected["q"][1]["k"]])


@pytest.mark.parametrize("make", [keras, tf_keras])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_sequential(tmp_path: Path, suffix: str, make: Any) -> None:
    k = make()
    layers = [k.layers.Conv1D(3, 2), k.layers.BatchNormalization(), k.layers.Flatten(), k.layers.Dense(2, name="end")]
    model = k.Sequential(layers)
    model.build((None, 7, 4))
    graph = check(stir(model), saved(stir(model), tmp_path / f"m{suffix}"))
    assert [value.name for value in graph.outputs] == ["end"]
    assert graph.inputs[0].shape == ("batch", 7, 4)


def test_sequential_without_a_shape_is_given_one(tmp_path: Path) -> None:
    """Some files of Keras 2 do not say it at all."""
    k = tf_keras()
    model = k.Sequential([k.layers.Dense(3, name="d")], name="s")
    model.build((None, 4))
    path = saved(stir(model), tmp_path / "m.h5")
    import h5py

    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"] = [item for item in config["config"]["layers"] if item["class_name"] == "Dense"]
        for key in ("batch_input_shape", "build_input_shape"):
            config["config"].pop(key, None)
            config["config"]["layers"][0]["config"].pop(key, None)
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(ConversionError, match="--input s_input"):
        load(path)
    check(model, path, options=LoadOptions(inputs={"s_input": TensorSpec((2, 4))}))


def test_an_output_that_is_an_input_or_there_twice(tmp_path: Path) -> None:
    k = keras()
    x = k.Input((3,), name="x")
    y = k.layers.Dense(2, name="y")(x)
    model = stir(k.Model(x, [y, k.layers.Dropout(0.5, name="same")(x), y]))
    graph = check(model, saved(model, tmp_path / "m.keras"))
    assert [value.name for value in graph.outputs] == ["y", "same", "y.1"]


def test_sizes_that_are_open(tmp_path: Path) -> None:
    k = keras()
    x = k.Input((None, 3), name="x")
    model = stir(k.Model(x, k.layers.Conv1D(2, 3, padding="same", name="y")(x)))
    path = saved(model, tmp_path / "m.keras")
    assert check(model, path, unknown=5).inputs[0].shape == ("batch", "x_1", 3)
    assert load(path, options=LoadOptions(batch=4)).inputs[0].shape == (4, "x_1", 3)
    graph = load(path, options=LoadOptions(inputs={"x": TensorSpec((2, 6, 3))}))
    assert graph.outputs[0].shape == (2, 6, 2)
    graph = load(path, options=LoadOptions(default_batch=1))
    assert graph.inputs[0].shape == (1, "x_1", 3)
    assert "batch size" in graph.warnings[0].what


def test_a_given_batch_is_kept(tmp_path: Path) -> None:
    k = keras()
    x = k.Input(batch_shape=(2, 3), name="x")
    model = stir(k.Model(x, k.layers.Dense(2)(x)))
    graph = load(saved(model, tmp_path / "m.keras"), options=LoadOptions(default_batch=1))
    assert graph.inputs[0].shape == (2, 3)
    assert not graph.warnings


def test_wrapped_layers_and_models(tmp_path: Path) -> None:
    """A model inside TimeDistributed, a Bidirectional: variables of parts, in both layouts."""
    k = keras()
    L = k.layers
    x = k.Input((4, 6), name="x")
    inner = k.Sequential([L.Dense(5), L.BatchNormalization(), L.Dense(3)], name="each")
    y = L.TimeDistributed(inner)(x)
    y = L.Bidirectional(L.LSTM(3, return_sequences=True))(y)
    y = L.TimeDistributed(L.BatchNormalization())(y)
    model = stir(k.Model(x, y))
    for suffix in SUFFIXES:
        check(model, saved(model, tmp_path / f"m{suffix}"))


def test_operations_in_a_functional_graph(tmp_path: Path) -> None:
    k = keras()
    x = k.Input((4, 3), name="x")
    y = k.ops.concatenate([x * 2.0 + 1.0, 1.0 - x[:, ::-1]], axis=-1)
    model = stir(k.Model(x, k.layers.Dense(2)(k.ops.transpose(y, (0, 2, 1)))))
    for suffix in SUFFIXES:
        check(model, saved(model, tmp_path / f"m{suffix}"))


def test_functions_in_a_graph_of_keras2(tmp_path: Path) -> None:
    k = tf_keras()
    tf = pytest.importorskip("tensorflow")
    x = k.Input((4, 3), name="x")
    y = tf.concat([x * 2.0 + 1.0, 1.0 - x[:, ::-1]], axis=-1)
    model = stir(k.Model(x, k.layers.Dense(2)(tf.transpose(y, (0, 2, 1)))))
    for suffix in SUFFIXES:
        check(model, saved(model, tmp_path / f"m{suffix}"))


# ---------------------------------------------------------- description + weights


@pytest.mark.parametrize("make", [keras, tf_keras])
@pytest.mark.parametrize("ending", [".weights.h5", ".h5"])
def test_json_with_weights(tmp_path: Path, make: Any, ending: str) -> None:
    k = make()
    if k.__name__ == "keras" and ending == ".h5":
        pytest.skip("Keras 3 writes .weights.h5 only")
    x = k.Input((5, 3), name="x")
    inner = k.Sequential([k.layers.Dense(4), k.layers.BatchNormalization()])
    model = stir(k.Model(x, k.layers.LSTM(2)(inner(x))))
    (tmp_path / "m.json").write_text(model.to_json())
    model.save_weights(tmp_path / f"m{ending}")
    check(model, tmp_path / "m.json", tmp_path / f"m{ending}")


def test_json_without_weights(tmp_path: Path) -> None:
    k = keras()
    x = k.Input((5,), name="x")
    (tmp_path / "m.json").write_text(k.Model(x, k.layers.Dense(2)(x)).to_json())
    with pytest.raises(ConversionError, match="Dense needs a variable of 5x2; the file has none"):
        load(tmp_path / "m.json")


@pytest.mark.parametrize("ending", [".weights.h5", ".h5"])
def test_weights_alone(tmp_path: Path, ending: str) -> None:
    k = tf_keras()
    model = k.Sequential([k.Input((3,)), k.layers.Dense(2)])
    model.save_weights(tmp_path / f"m{ending}")
    with pytest.raises(ConversionError, match=r"no model(.|\n)*model.json"):
        load(tmp_path / f"m{ending}")


def test_weights_of_another_model(tmp_path: Path) -> None:
    k = keras()
    one = k.Sequential([k.Input((3,)), k.layers.Dense(2, name="d")])
    two = k.Sequential([k.Input((3,)), k.layers.Dense(2, name="d"), k.layers.Dense(2, name="e")])
    wide = k.Sequential([k.Input((4,)), k.layers.Dense(2, name="d")])
    (tmp_path / "m.json").write_text(one.to_json())
    for other, what in ((two, "which the model"), (wide, "a variable has 4x2, not 3x2")):
        other.save_weights(tmp_path / "m.weights.h5")
        with pytest.raises(ConversionError, match=what):
            load(tmp_path / "m.json", tmp_path / "m.weights.h5")


def test_more_variables_than_a_layer_uses(tmp_path: Path) -> None:
    k = keras()
    with_bias = k.Sequential([k.Input((3,)), k.layers.Dense(2, name="d")])
    without = k.Sequential([k.Input((3,)), k.layers.Dense(2, name="d", use_bias=False)])
    (tmp_path / "m.json").write_text(without.to_json())
    with_bias.save_weights(tmp_path / "m.weights.h5")
    with pytest.raises(ConversionError, match="more variables"):
        load(tmp_path / "m.json", tmp_path / "m.weights.h5")


def test_a_layer_that_two_models_share(tmp_path: Path) -> None:
    """Keras writes its variables once, and can't read that back itself."""
    k = keras()
    x = k.Input((3,), name="x")
    d = k.layers.Dense(3, name="d")
    model = stir(k.Model(x, [k.Sequential([d, k.layers.Dense(2)])(x), d(x)]))
    check(model, saved(model, tmp_path / "m.keras"))
    check(model, saved(model, tmp_path / "m.h5"))


# -------------------------------------------------------------------- precision


@pytest.mark.parametrize("policy", ["mixed_float16", "float16", "float64"])  # ONNX Runtime convolves no float64
def test_policies(tmp_path: Path, policy: str) -> None:
    k = keras()
    x = k.Input((6, 5, 3), name="x", dtype="float32")
    y = k.layers.Conv2D(4, 3, dtype=policy)(x) if policy != "float64" else k.layers.Dense(4, dtype=policy)(x)
    y = k.layers.BatchNormalization(dtype=policy)(y)
    y = k.layers.Activation("relu", dtype=policy)(y)
    y = k.layers.Dense(3, dtype=policy)(k.layers.Flatten(dtype=policy)(y))
    model = stir(k.Model(x, [y, k.layers.Dense(2, dtype="float32")(y)]))
    path = saved(model, tmp_path / "m.keras")
    graph = check(model, path, rtol=1e-5 if policy == "float64" else 4e-3)
    assert str(graph.outputs[0].dtype) == policy.removeprefix("mixed_")
    assert str(graph.outputs[1].dtype) == "float32"


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "bfloat16"])
def test_bfloat16_is_computed_in_float32(tmp_path: Path, policy: str) -> None:
    k = keras()
    x = k.Input((6,), name="x", dtype="float32")
    y = k.layers.BatchNormalization(dtype=policy)(k.layers.Dense(4, dtype=policy)(x))
    model = stir(k.Model(x, k.layers.Dense(2, dtype="float32")(y)))
    for suffix in SUFFIXES if policy.startswith("mixed") else [".keras"]:
        graph = check(model, saved(model, tmp_path / f"m{suffix}"), rtol=2e-2)
        assert "bfloat16" in graph.warnings[0].what
        assert {str(value.dtype) for value in graph.constants() if value.dtype.kind != "i"} == {"float32"}


def test_quantised_weights_are_refused(tmp_path: Path) -> None:
    k = keras()
    model = k.Sequential([k.Input((4,)), k.layers.Dense(3, name="d")])
    model.quantize("int8")
    with pytest.raises(UnsupportedError, match="quantised by Keras"):
        load(saved(model, tmp_path / "m.keras"))


# ------------------------------------------------------------------------ masks


def test_masks_reach_the_layers_that_use_them(tmp_path: Path) -> None:
    k = keras()
    L = k.layers
    x = k.Input((6,), name="x", dtype="int32")
    embedded = L.Embedding(5, 4, mask_zero=True)(x)
    y = L.LSTM(3, return_sequences=True)(L.Dropout(0.5)(embedded))
    z = L.GlobalAveragePooling1D()(L.Activation("relu")(y))
    model = stir(k.Model(x, [z, L.LSTM(2)(L.Dense(3)(embedded))]))
    for suffix in SUFFIXES:
        check(model, saved(model, tmp_path / f"m{suffix}"))


def test_a_mask_given_by_the_call(tmp_path: Path) -> None:
    k = keras()
    x, m = k.Input((6, 3), name="x"), k.Input((6,), name="m", dtype="bool")
    model = stir(k.Model([x, m], k.layers.GlobalAveragePooling1D()(x, mask=m)))
    graph = load(saved(model, tmp_path / "m.keras"))
    inputs = inputs_of(graph)
    inputs["m"] = np.array([[1, 1, 0, 1, 0, 0], [1, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1]], bool)
    assert_near(run(graph, inputs), predicted(model, inputs))
