"""Random functional models of Keras 3, made from a seed: both files, and every target, against Keras itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netglot
from netglot.passes import pipeline
from tests.keras_models import assert_near, flat, keras
from tests.targets import TARGETS

SEEDS = range(25)
BATCH = 13  # no number of channels: keras.ops.add takes an operand [N, 1, 1, 1] for a bias where N is one
STEPS = 9  # calls of layers and operations in a model
LARGEST = 3000  # elements of a tensor
ACTIVATIONS = [
    "relu",
    "elu",
    "gelu",
    "silu",
    "softplus",
    "tanh",
    "sigmoid",
    "hard_sigmoid",
    "leaky_relu",
    "softmax",
    None,
]


class UnfitError(Exception):
    """The step has nothing to say to a tensor of this shape."""


class Maker:
    """Adds random calls to a pool of tensors; `rank` and sizes are without the batch."""

    def __init__(self, seed: int) -> None:
        self.k = keras()
        self.layers, self.ops = self.k.layers, self.k.ops
        self.rng = np.random.default_rng(seed)
        self.inputs = [self.k.Input(self.shape(), name=f"x{i}") for i in range(self.number(1, 3))]
        self.pool: list[Any] = list(self.inputs)

    def number(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def one(self, items: Any) -> Any:
        return items[self.number(0, len(items) - 1)]

    def maybe(self) -> bool:
        return self.number(0, 1) == 1

    def shape(self) -> tuple[int, ...]:
        sizes = [self.number(4, 11) for _ in range(self.one([0, 1, 2, 2, 3]))]
        return (*(min(size, 6) if len(sizes) == 3 else size for size in sizes), self.number(1, 6))

    def pick(self, rank: int | None = None) -> Any:
        found = [x for x in self.pool if rank in (None, len(x.shape) - 1)]
        return found[max(self.number(0, len(found) - 1), self.number(0, len(found) - 1))]  # later ones more often

    def named(self, kind: str, x: Any, low: int = 1, high: int = 3) -> Callable[..., Any]:
        """The layer class of a kind for as many spatial axes as x has."""
        axes = len(x.shape) - 2
        if not low <= axes <= high:
            raise UnfitError
        layer: Callable[..., Any] = getattr(self.layers, f"{kind}{axes}D")
        return layer

    def model(self) -> Any:
        read: set[int] = set()
        for _ in range(400):
            if len(self.pool) >= STEPS + len(self.inputs):
                break
            x = self.pick()
            try:
                made = flat_list(self.one(CALLS)(self, x))
            except (UnfitError, ValueError, ZeroDivisionError):  # ValueError: Keras' own word that sizes do not fit
                continue
            fit = [y for y in made if all(y.shape[1:]) and 2 <= len(y.shape) <= 5 and np.prod(y.shape[1:]) < LARGEST]
            self.pool += fit
            read |= {id(x)} if fit else set()
        last = [y for y in self.pool[len(self.inputs) :] if id(y) not in read]
        return self.stirred(self.k.Model(self.inputs, last[-4:]))

    def stirred(self, model: Any) -> Any:
        """Random variables of a size that keeps what passes through near 1."""
        for variable in model.weights:
            shape = tuple(variable.shape)
            if "float" in str(variable.dtype):
                drawn = self.rng.normal(0, 1, shape) / np.sqrt(np.prod(shape[:-1])) if len(shape) > 1 else None
                drawn = self.rng.uniform(0.4, 1.6, shape) if drawn is None else drawn
                variable.assign(drawn.astype(np.float32))
        return model


def flat_list(item: Any) -> list[Any]:
    return list(item) if isinstance(item, (list, tuple)) else [item]


def convolution(m: Maker, x: Any) -> Any:
    groups = m.one([d for d in range(1, x.shape[-1] + 1) if x.shape[-1] % d == 0])
    kernel = tuple(m.number(2, 3) for _ in x.shape[2:])
    more = m.one([{"strides": m.number(1, 2)}, {"dilation_rate": 2, "groups": 1}])
    config = {"groups": groups, "padding": m.one(["same", "valid"]), "activation": m.one(ACTIVATIONS), **more}
    return m.named("Conv", x)(groups * m.number(1, 3), kernel, **config)(x)


def causal(m: Maker, x: Any) -> Any:
    return m.named("Conv", x, 1, 1)(4, 2, padding="causal", dilation_rate=m.number(1, 3))(x)


def depthwise(m: Maker, x: Any) -> Any:
    config = {"depth_multiplier": m.number(1, 2), "padding": m.one(["same", "valid"]), "strides": m.number(1, 2)}
    separable = m.named("SeparableConv", x, 1, 2)
    return m.one([m.named("DepthwiseConv", x, 1, 2)(3, **config), separable(m.number(1, 5), 2, **config)])(x)


def transposed(m: Maker, x: Any) -> Any:
    m.named("Conv", x)
    kernel = tuple(m.number(1, 4) for _ in x.shape[2:])
    layer = getattr(m.layers, f"Conv{len(kernel)}DTranspose")
    return layer(m.number(1, 4), kernel, strides=m.number(1, 3), padding=m.one(["same", "valid"]))(x)


def pooling(m: Maker, x: Any) -> Any:
    layer = m.named(m.one(["MaxPooling", "AveragePooling"]), x)
    whole = m.named(m.one(["GlobalMaxPooling", "GlobalAveragePooling"]), x)
    form = m.one(["channels_last", "channels_first"])
    config = {"pool_size": m.number(2, 3), "strides": m.number(1, 3), "padding": m.one(["same", "valid"])}
    return m.one([layer(**config), layer(**config), whole(keepdims=m.maybe(), data_format=form)])(x)


def padded(m: Maker, x: Any) -> Any:
    sides = [(m.number(0, 2), m.number(0, 2)) for _ in x.shape[2:]]
    sizes = m.number(1, 3) if len(sides) == 1 else [m.number(1, 3) for _ in sides]
    layers = [m.named(kind, x)(sides if len(sides) > 1 else sides[0]) for kind in ("ZeroPadding", "Cropping")]
    layers.append(m.named("UpSampling", x)(sizes))
    if len(sides) == 2:
        layers.append(m.layers.Resizing(m.number(2, 9), m.number(2, 9), interpolation=m.one(["bilinear", "nearest"])))
    return m.one(layers)(x)


def normalised(m: Maker, x: Any) -> Any:
    axis, groups = m.number(1, len(x.shape) - 1), [d for d in range(1, x.shape[-1] + 1) if x.shape[-1] % d == 0]
    layers = m.layers
    return m.one([
        layers.BatchNormalization(axis=axis), layers.LayerNormalization(axis=axis, epsilon=0.01),
        layers.GroupNormalization(m.one(groups), epsilon=0.01), layers.RMSNormalization(epsilon=0.01),
    ])(x)  # fmt: skip


def dense(m: Maker, x: Any) -> Any:
    layers = [m.layers.Dense(m.number(1, 7), activation=m.one(ACTIVATIONS)), m.layers.PReLU(),
              m.layers.EinsumDense("...x,xy->...y", m.number(1, 6), bias_axes="y"), m.layers.Dropout(0.3),
              m.layers.SpatialDropout1D(0.2) if len(x.shape) == 3 else m.layers.Softmax(axis=1)]  # fmt: skip
    return m.one(layers)(x)


def shared(m: Maker, x: Any) -> Any:
    """A layer, or a model, that is called twice."""
    i = m.k.Input(x.shape[1:])
    inner = m.k.Model(i, m.layers.Dense(x.shape[-1])(m.ops.tanh(i)))
    layer = m.one([inner, m.layers.Dense(x.shape[-1]), m.k.Sequential([m.layers.Dense(x.shape[-1])])])
    return layer(layer(x))


def merged(m: Maker, x: Any) -> Any:
    """Of two tensors that broadcast, or a tensor with its own means."""
    y = m.pick(len(x.shape) - 1)
    if any(a != b and 1 not in (a, b) for a, b in zip(x.shape[1:], y.shape[1:], strict=True)):
        y = m.ops.mean(x, axis=m.number(1, len(x.shape) - 1), keepdims=True)
    ops, layers = m.ops, m.layers
    calls = [ops.add, ops.subtract, ops.maximum, lambda a, b: ops.where(a > b, a, b * 2), lambda a, b: a / (abs(b) + 1)]
    calls += [lambda a, b, kind=kind: getattr(layers, kind)()([a, b]) for kind in ("Add", "Average", "Multiply")]
    return m.one(calls)(x, y)


def joined(m: Maker, x: Any) -> Any:
    axis = m.one([1, -1])
    return m.one([lambda: m.layers.Concatenate(axis=axis)([x, m.ops.sin(x)]), lambda: m.ops.stack([x, -x], axis=axis),
                  lambda: m.ops.split(x, [1], axis=axis) if x.shape[axis] > 1 else x * 2])()  # fmt: skip


def moved(m: Maker, x: Any) -> Any:
    rank, size = len(x.shape) - 1, int(np.prod(x.shape[1:]))
    order = [int(i) + 1 for i in m.rng.permutation(rank)]
    part = m.one([d for d in range(1, 12) if size % d == 0])
    return m.one([
        lambda: m.layers.Permute(order)(x), lambda: m.ops.transpose(x, [0, *order]), lambda: m.layers.Flatten()(x),
        lambda: m.layers.Reshape((-1, part))(x), lambda: m.layers.Reshape((part, 1, -1))(x), lambda: x[:, ::-1],
        lambda: x[..., 0:1], lambda: x[:, None], lambda: m.ops.roll(x, 2, axis=rank),
        lambda: m.ops.repeat(x, 2, axis=1),
    ])()  # fmt: skip


def reduced(m: Maker, x: Any) -> Any:
    if len(x.shape) < 3:
        raise UnfitError
    axis = m.number(1, len(x.shape) - 1)
    op = m.one([m.ops.mean, m.ops.sum, m.ops.max, m.ops.logsumexp, m.ops.sort, m.ops.cumsum])
    return op(x, axis=axis)


def products(m: Maker, x: Any) -> Any:
    if len(x.shape) not in (3, 4):
        raise UnfitError
    calls = [lambda: m.ops.einsum("...ij,...kj->...ik", x, x), lambda: m.ops.matmul(x, m.ops.swapaxes(x, -1, -2))]
    if len(x.shape) == 4:
        calls.append(lambda: m.ops.einsum("bhwc,bhwd->bcd", x, x))
    else:
        calls += [lambda: m.layers.MultiHeadAttention(2, 3)(x, x), lambda: m.layers.Dot(axes=1, normalize=True)([x, x])]
    return m.ops.tanh(m.one(calls)())


def recurrent(m: Maker, x: Any) -> Any:
    if len(x.shape) != 3:
        raise UnfitError
    layer = getattr(m.layers, m.one(["LSTM", "GRU", "SimpleRNN"]))(m.number(1, 5), return_sequences=m.maybe())
    return m.one([layer, m.layers.Bidirectional(layer)])(x)


CALLS: list[Callable[[Maker, Any], Any]] = [
    convolution, convolution, causal, depthwise, transposed, pooling, padded, normalised, dense, shared, merged, merged,
    joined, moved, reduced, products, recurrent,
]  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
def test_random_model(tmp_path: Path, seed: int) -> None:
    model = Maker(seed).model()
    rng = np.random.default_rng(seed)
    inputs = [rng.normal(size=(BATCH, *x.shape[1:])).astype(np.float32) for x in model.inputs]
    expected = flat(model(inputs, training=False))
    for suffix, targets in ((".keras", ("tflite", "coreml")), (".h5", ("onnx",))):
        model.save(tmp_path / f"model{suffix}")
        for target in targets:
            graph = netglot.load(tmp_path / f"model{suffix}", batch=None if target == "onnx" else BATCH)
            names = [value.name for value in graph.outputs]
            feed = {value.name: array for value, array in zip(graph.inputs, inputs, strict=True)}
            pipeline.run(graph, pipeline.COMMON, check=True)
            (tmp_path / target).mkdir()
            found = TARGETS[target](graph, feed, tmp_path / target)
            assert_near([found[name] for name in names], expected)


def test_models_use_every_call() -> None:
    """All kinds of calls are in the models of the seeds above."""
    made = " ".join(str(Maker(seed).model().get_config()) for seed in SEEDS)
    kinds = "Conv1D Conv2D Conv3D DepthwiseConv Conv2DTranspose LSTM GRU Einsum Concatenate Reshape Permute Sequential"
    assert [kind for kind in kinds.split() if kind not in made] == []
