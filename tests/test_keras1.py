"""Files of Keras 1.2, made here by its documented format (nothing that runs today writes them), against Keras 3."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from netglot.errors import UnsupportedError
from netglot.frontends.keras import load
from tests.keras_models import assert_near, check, flat, inputs_of, keras, run, stir

Config = dict[str, Any]
Variables = Mapping[str, Sequence[tuple[str, np.ndarray]]]


def layer(kind: str, name: str, **config: Any) -> Config:
    return {"class_name": kind, "config": {"name": name, "trainable": True, **config}}


def sequential(*layers: Config) -> Config:
    return {"class_name": "Sequential", "config": list(layers)}


def functional(inputs: Sequence[str], outputs: Sequence[str], *layers: tuple[Config, Sequence[str]]) -> Config:
    items = [
        {**item, "name": item["config"]["name"], "inbound_nodes": [[[name, 0, 0] for name in read]] if read else []}
        for item, read in layers
    ]
    ends = {"input_layers": [[name, 0, 0] for name in inputs], "output_layers": [[name, 0, 0] for name in outputs]}
    return {"class_name": "Model", "config": {"name": "model_1", "layers": items, **ends}}


def write(path: Path, config: Config, variables: Variables, backend: str = "tensorflow") -> Path:
    """As keras/models.py of 1.2.2: save_model."""
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = b"1.2.2"
        file.attrs["model_config"] = json.dumps(config).encode()
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [name.encode() for name in variables]
        group.attrs["backend"], group.attrs["keras_version"] = backend.encode(), b"1.2.2"
        for name, arrays in variables.items():
            inner = group.create_group(name)
            inner.attrs["weight_names"] = [f"{name}_{own}:0".encode() for own, _ in arrays]
            for own, array in arrays:
                inner[f"{name}_{own}:0"] = array
    return path


def named(model: Any, name: str, *names: str) -> list[tuple[str, np.ndarray]]:
    return list(zip(names, model.get_layer(name).get_weights(), strict=True))


def image_net(data_format: str) -> Any:
    k = keras()
    shape = (3, 9, 8) if data_format == "channels_first" else (9, 8, 3)
    axis = 1 if data_format == "channels_first" else -1
    L = k.layers
    layers = [
        L.ZeroPadding2D((1, 2), data_format=data_format, name="pad"),
        L.Conv2D(4, (3, 2), padding="valid", activation="relu", data_format=data_format, name="conv"),
        L.BatchNormalization(axis=axis, epsilon=1e-3, name="bn"),
        L.MaxPooling2D((2, 2), data_format=data_format, name="pool"),
        L.Conv2D(5, (2, 2), dilation_rate=2, data_format=data_format, use_bias=False, name="atrous"),
        L.Flatten(name="flat"),
        L.Dense(3, activation="softmax", name="out"),
    ]
    return stir(k.Sequential([k.Input(shape, name="in"), *layers]))


def image_config(ordering: str, shape: Sequence[int]) -> Config:
    common = {"dim_ordering": ordering, "border_mode": "valid"}
    regular = {"W_regularizer": None, "b_regularizer": None, "init": "glorot_uniform", "activity_regularizer": None}
    return sequential(
        layer("ZeroPadding2D", "pad", padding=[1, 2], dim_ordering=ordering, batch_input_shape=[None, *shape],
              input_dtype="float32"),
        layer("Convolution2D", "conv", nb_filter=4, nb_row=3, nb_col=2, subsample=[1, 1], activation="relu", bias=True,
              **common, **regular),
        layer("BatchNormalization", "bn", mode=0, axis=1 if ordering == "th" else -1, epsilon=1e-3, momentum=0.99),
        layer("MaxPooling2D", "pool", pool_size=[2, 2], strides=[2, 2], **common),
        layer("AtrousConvolution2D", "atrous", nb_filter=5, nb_row=2, nb_col=2, subsample=[1, 1], activation="linear",
              bias=False, atrous_rate=[2, 2], **common, **regular),
        layer("Dropout", "drop", p=0.5),
        layer("Flatten", "flat"),
        layer("Dense", "out", output_dim=3, activation="softmax", bias=True, input_dim=None, **regular),
    )  # fmt: skip


def image_variables(model: Any, kernel: Any) -> Variables:
    """Kernels as `kernel` turns them."""
    found = {
        "conv": named(model, "conv", "W", "b"), "atrous": named(model, "atrous", "W"),
        "bn": named(model, "bn", "gamma", "beta", "running_mean", "running_std"), "out": named(model, "out", "W", "b"),
    }  # fmt: skip
    for name in ("conv", "atrous"):
        found[name][0] = ("W", kernel(found[name][0][1]))
    return {"pad": [], **found}


def test_convolutions_channels_last(tmp_path: Path) -> None:
    model = image_net("channels_last")
    path = write(tmp_path / "m.h5", image_config("tf", (9, 8, 3)), image_variables(model, lambda w: w))
    check(model, path)


@pytest.mark.parametrize("backend", ["tensorflow", "theano"])
def test_convolutions_channels_first(tmp_path: Path, backend: str) -> None:
    """Theano's kernels are [out, in, rows, columns], and turned round: it computes true convolutions."""
    last = image_net("channels_last")
    turn = (slice(None, None, -1),) * 2 if backend == "theano" else ()
    variables = dict(image_variables(last, lambda w: w[turn].transpose(3, 2, 0, 1)))
    model = image_net("channels_first")
    model.set_weights(last.get_weights())
    graph = load(write(tmp_path / "m.h5", image_config("th", (3, 9, 8)), variables, backend))
    inputs = inputs_of(graph)
    torch = pytest.importorskip("torch")  # Keras on a CPU's TensorFlow has no channels-first convolutions
    x = torch.from_numpy(np.pad(inputs["pad_input" if "pad_input" in inputs else graph.inputs[0].name],
                                ((0, 0), (0, 0), (1, 1), (2, 2))))  # fmt: skip

    def weights(name: str) -> list[Any]:
        return [torch.from_numpy(np.array(w)) for w in model.get_layer(name).get_weights()]

    f = torch.nn.functional
    w, b = weights("conv")
    gamma, beta, mean, variance = weights("bn")
    y = f.relu(f.conv2d(x, w.permute(3, 2, 0, 1), b))
    y = f.max_pool2d(f.batch_norm(y, mean, variance, gamma, beta, eps=1e-3), 2)
    y = f.conv2d(y, weights("atrous")[0].permute(3, 2, 0, 1), dilation=2)
    w, b = weights("out")
    assert_near(run(graph, inputs), [f.softmax(y.flatten(1) @ w + b, dim=1).numpy()])


def test_merge_is_a_class_for_each_mode_now(tmp_path: Path) -> None:
    k = keras()
    L = k.layers
    a, b = k.Input((4,), name="a"), k.Input((4,), name="b")
    d = L.Dense(4, name="d")(a)
    outs = [L.Add()([d, b]), L.Multiply()([d, b]), L.Average()([d, b]), L.Maximum()([d, b]), L.Concatenate()([d, b])]
    model = stir(k.Model([a, b], [*outs, L.Dot(axes=1)([d, b])]))
    modes = ["sum", "mul", "ave", "max", "concat", "dot"]
    merges = [
        (layer("Merge", mode, mode=mode, mode_type="raw", concat_axis=-1, dot_axes=1, output_shape=None, arguments={},
               output_mask=None), ["d", "b"])
        for mode in modes
    ]  # fmt: skip
    inputs = [(layer("InputLayer", name, batch_input_shape=[None, 4], input_dtype="float32"), []) for name in "ab"]
    dense = (layer("Dense", "d", output_dim=4, activation="linear", bias=True, input_dim=4), ["a"])
    config = functional(["a", "b"], modes, *inputs, dense, *merges)
    graph = check(model, write(tmp_path / "m.h5", config, {"d": named(model, "d", "W", "b")}))
    assert [value.name for value in graph.outputs] == modes


@pytest.mark.parametrize("mode", ["cos", "lambda", None])
def test_merges_that_have_no_class(tmp_path: Path, mode: Any) -> None:
    inputs = (layer("InputLayer", "a", batch_input_shape=[None, 4], input_dtype="float32"), [])
    config = functional(["a"], ["m"], inputs, (layer("Merge", "m", mode=mode), ["a", "a"]))
    with pytest.raises(UnsupportedError, match="Merge with mode"):
        load(write(tmp_path / "m.h5", config, {}))


def gates(name: str, arrays: Sequence[np.ndarray], order: Sequence[str]) -> list[tuple[str, np.ndarray]]:
    """A recurrent layer's variables gate by gate, as its Keras 1 default wrote them; `order` is today's."""
    parts = {gate: [np.split(array, len(order), axis=-1)[i] for array in arrays] for i, gate in enumerate(order)}
    written = ["i", "c", "f", "o"] if name == "LSTM" else ["z", "r", "h"]
    return [(f"{kind}_{gate}", array) for gate in written for kind, array in zip("WUb", parts[gate], strict=True)]


@pytest.mark.parametrize(("kind", "order"), [("LSTM", "ifco"), ("GRU", "zrh")])
def test_recurrent_layers(tmp_path: Path, kind: str, order: str) -> None:
    """An own variable for each gate; hard_sigmoid is 0.2 x + 0.5 there, x / 6 + 0.5 in Keras 3."""
    k = keras()

    def hard_sigmoid(x: Any) -> Any:
        return k.ops.clip(0.2 * x + 0.5, 0.0, 1.0)

    more = {"reset_after": False} if kind == "GRU" else {}
    x = k.Input((5, 3), name="x", dtype="float32")
    recurrent = getattr(k.layers, kind)(4, recurrent_activation=hard_sigmoid, name="r", **more)
    model = stir(k.Model(x, recurrent(x)))
    config = sequential(
        layer(kind, "r", output_dim=4, inner_activation="hard_sigmoid", activation="tanh", return_sequences=False,
              go_backwards=False, stateful=False, unroll=False, consume_less="cpu", dropout_W=0.1, dropout_U=0.1,
              init="x", inner_init="orthogonal", forget_bias_init="one", input_dim=3, input_length=5,
              batch_input_shape=[None, 5, 3], input_dtype="float32", W_regularizer=None)
    )  # fmt: skip
    variables = {"r": gates(kind, model.get_layer("r").get_weights(), order)}
    graph = load(write(tmp_path / "m.h5", config, variables))
    inputs = inputs_of(graph)
    assert_near(run(graph, inputs), flat(model.predict(next(iter(inputs.values())), verbose=0)))


@pytest.mark.parametrize("flattened", [False, True])
def test_sequences_and_a_nested_model(tmp_path: Path, flattened: bool) -> None:
    """Conv1D's kernel had a second size of 1; a nested model's variables are in one list, or there as if unnested."""
    k = keras()
    L = k.layers
    inner = k.Sequential([k.Input((10, 6)), L.Conv1D(4, 3, strides=2, name="conv"), L.BatchNormalization(name="bn")])
    x = k.Input((10,), name="x", dtype="int32")
    embedded = L.Embedding(7, 6, name="embed")(x)
    model = stir(k.Model(x, L.Dense(2, name="d")(L.GlobalMaxPooling1D()(inner(embedded)))))
    conv = [(own, array[:, None] if own == "W" else array) for own, array in
            zip("Wb", inner.get_layer("conv").get_weights(), strict=True)]  # fmt: skip
    norm = list(zip(["gamma", "beta", "running_mean", "running_std"], inner.get_layer("bn").get_weights(), strict=True))
    flat_list = [(f"conv_{own}", array) for own, array in conv] + [(f"bn_{own}", array) for own, array in norm]
    nested = sequential(
        layer("Convolution1D", "conv", nb_filter=4, filter_length=3, subsample_length=2, border_mode="valid",
              activation="linear", bias=True, input_dim=6, input_length=10, batch_input_shape=[None, 10, 6]),
        layer("BatchNormalization", "bn", mode=0, axis=-1, epsilon=1e-3),
    )  # fmt: skip
    nested["config"][0]["config"]["input_dtype"] = "float32"
    config = sequential(
        layer("Embedding", "embed", input_dim=7, output_dim=6, input_length=10, mask_zero=False, dropout=0.1, init="x",
              batch_input_shape=[None, 10], input_dtype="int32", W_regularizer=None),
        nested if flattened else {**nested, "name": "inner"},
        layer("GlobalMaxPooling1D", "pool"),
        layer("TimeDistributedDense", "d", output_dim=2, activation="linear", bias=True),
    )  # fmt: skip
    own = {"conv": conv, "bn": norm} if flattened else {"inner": []}
    variables = {"embed": named(model, "embed", "W"), **own, "d": named(model, "d", "W", "b")}
    path = write(tmp_path / "m.h5", config, variables)
    with h5py.File(path, "r+") as file:
        group = file["model_weights/inner"] if not flattened else None
        for name, array in flat_list if group is not None else ():
            group[name] = array
        if group is not None:
            group.attrs["weight_names"] = [name.encode() for name, _ in flat_list]
    check(model, path)


def test_statistics_of_the_batch_are_refused(tmp_path: Path) -> None:
    config = sequential(layer("BatchNormalization", "bn", mode=2, axis=-1, batch_input_shape=[None, 3]))
    with pytest.raises(UnsupportedError, match="statistics of the batch"):
        load(write(tmp_path / "m.h5", config, {}))
