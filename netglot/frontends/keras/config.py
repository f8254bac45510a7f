"""What a Keras model says of itself, of every era, in one form: layers, their calls, inputs and outputs.

Nothing that a description names is imported or run: it is only data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np

from netglot.errors import ConversionError, Origin, UnsupportedError
from netglot.frontends.keras.keras1 import upgraded

MODELS = {"Functional", "Model", "Sequential"}
_MAX_ELEMENTS = 1 << 24  # of a tensor written out in JSON


@dataclass(frozen=True)
class Ref:
    """The tensor `tensor` of call number `node` of a layer."""

    layer: str
    node: int
    tensor: int


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer (or operation of keras.ops). `model` is what is in it where it is a model itself.

    `module` is None where the description is of an era that named none; `build` are its build_config's shapes.
    """

    name: str
    class_name: str
    config: Mapping[str, Any]
    module: str | None = None
    registered: str | None = None
    has_module: bool = False
    model: Model | None = None
    build: Any = None

    @property
    def is_custom(self) -> bool:
        """Whether its class is not one of Keras' own, whatever it is called."""
        if ">" in self.class_name or ">" in (self.registered or ""):
            return True
        return self.has_module and not _is_keras(self.module)

    @property
    def is_operation(self) -> bool:
        """An operation of keras.ops: it is no layer, and has no variables."""
        return (self.module or "").startswith(("keras.src.ops.", "keras.ops"))


@dataclass(frozen=True)
class Call:
    """Call number `node` of a layer; `args` and `kwargs` hold Refs where tensors go."""

    layer: Layer
    node: int
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def refs(self) -> Iterator[Ref]:
        return find_refs([self.args, self.kwargs])


@dataclass(frozen=True, eq=False)
class Model:
    """A graph of layer calls, in the order of the file. `inputs` and `outputs` are flat, in Keras' order.

    `shape` is the shape of the only input of a Sequential that does not say it itself (None: unknown).
    """

    name: str
    layers: tuple[Layer, ...]
    calls: tuple[Call, ...]
    inputs: tuple[Ref, ...]
    outputs: tuple[Ref, ...]
    is_sequential: bool = False
    structure: Any = None


# What a configuration says that only training, saving or the speed of Keras needs.
_TRAINING = {
    "name", "trainable", "dtype", "batch_input_shape", "batch_shape", "input_shape", "input_dtype", "input_dim",
    "input_length", "sparse", "ragged", "optional", "seed", "noise_shape", "momentum", "renorm_momentum",
    "renorm_clipping", "virtual_batch_size", "fused", "synchronized", "implementation", "unroll", "unit_forget_bias",
    "dropout", "recurrent_dropout", "rate", "stddev", "force_generator", "autocast", "lora_rank", "lora_alpha",
    "kernel_quantizer", "bias_quantizer", "build_input_shape", "jit_compile", "consume_less",
}  # fmt: skip
_TRAINING_ENDS = ("_initializer", "_regularizer", "_constraint", "_quantizer")


def is_for_training(key: str) -> bool:
    """Whether a key of a layer's configuration changes nothing at inference, wherever it stands."""
    return key in _TRAINING or key.endswith(_TRAINING_ENDS)


def settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration without what only training needs."""
    return {key: value for key, value in config.items() if not is_for_training(key)}


def _is_keras(module: str | None) -> bool:
    roots = ("keras", "tf_keras", "tensorflow.keras", "tensorflow.python.keras")
    return any(module == root or (module or "").startswith(root + ".") for root in roots)


def find_refs(item: Any) -> Iterator[Ref]:
    """The tensors in a nested structure, in Keras' order: dictionaries by sorted key."""
    if isinstance(item, Ref):
        yield item
    elif isinstance(item, Mapping):
        for key in sorted(item, key=str):
            yield from find_refs(item[key])
    elif isinstance(item, (list, tuple)):
        for part in item:
            yield from find_refs(part)


# -------------------------------------------------------------------- reading


def read_layer(item: Any, origin: Origin, place: int | None = None) -> Layer:
    """A serialised layer or model ({"class_name", "config", ...}).

    A Sequential inside a Sequential of Keras 1 has no name; it gets one from its `place`.
    """
    item = upgraded(_require(item, dict, "a layer", origin), origin)
    class_name = _require(item.get("class_name"), str, "the class_name of a layer", origin)
    config = item.get("config")
    if class_name == "Sequential" and isinstance(config, list):  # Keras 1 and 2.0 to 2.2.2
        config = {"layers": config}
    config = _require(config, dict, f"the config of a {class_name}", origin)
    nameless = class_name.lower() if place is None else f"{class_name.lower()}_{place}"
    name = item.get("name") or config.get("name") or nameless
    name = _require(name, str, f"the name of a {class_name}", origin)
    layer = Layer(
        name, class_name, config, _text(item.get("module")), _text(item.get("registered_name")),
        "module" in item, build=item.get("build_config"),
    )  # fmt: skip
    if class_name not in MODELS or layer.is_custom:
        return layer
    inner = Origin(origin.file, f"{origin.layer}/{name}" if origin.layer else name)
    read = _sequential if class_name == "Sequential" else _functional
    return Layer(name, class_name, config, layer.module, layer.registered, layer.has_module,
                 read(name, config, inner, layer.build), layer.build)  # fmt: skip


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _require(value: Any, kind: type, what: str, origin: Origin) -> Any:
    if not isinstance(value, kind):
        raise ConversionError(f"{what} is missing or malformed", origin)
    return value


# ----------------------------------------------------------------- Sequential


def _sequential(name: str, config: Mapping[str, Any], origin: Origin, build: Any) -> Model:
    """Its layers as a chain of calls, behind an input that it may have to be given."""
    items = _require(config.get("layers"), list, "the list of layers", origin)
    layers = [read_layer(item, origin, i) for i, item in enumerate(items)]
    if not layers or layers[0].class_name != "InputLayer":
        layers.insert(0, _input_of(layers, config, build, name))
    _require_unique(layers, origin)
    calls = [Call(layers[0], 0, ())]
    calls += [Call(layer, 0, (Ref(before.name, 0, 0),)) for before, layer in pairwise(layers)]
    last = Ref(layers[-1].name, 0, 0)
    return Model(name, tuple(layers), tuple(calls), (Ref(layers[0].name, 0, 0),), (last,), is_sequential=True)


def _input_of(layers: list[Layer], config: Mapping[str, Any], build: Any, name: str) -> Layer:
    """The InputLayer that a Sequential without one begins with."""
    first = _first_config(layers)
    shape = first.get("batch_input_shape") or first.get("batch_shape") or config.get("build_input_shape")
    if shape is None and isinstance(build, Mapping):
        shape = build.get("input_shape")
    if shape is None and layers and layers[0].class_name == "Embedding":
        shape = [None, first.get("input_length")]
    dtype = first.get("dtype") if "batch_input_shape" in first or "batch_shape" in first else None
    kind = "int32" if layers and layers[0].class_name == "Embedding" and not isinstance(dtype, str) else dtype
    return Layer(f"{name}_input", "InputLayer", {"batch_shape": shape, "dtype": kind or "float32"})


def _first_config(layers: list[Layer]) -> Mapping[str, Any]:
    """The description of whatever reads the input first, inside of a nested model too."""
    if not layers:
        return {}
    model = layers[0].model
    return layers[0].config if model is None else _first_config(list(model.layers))


# ----------------------------------------------------------------- Functional


def _functional(name: str, config: Mapping[str, Any], origin: Origin, build: Any) -> Model:
    if "layers" not in config:
        what = "a subclassed model: its file holds no description of what it computes"
        raise UnsupportedError(what, origin, "Save a functional model that calls it, or export a SavedModel.")
    items = _require(config["layers"], list, "the list of layers", origin)
    layers = [read_layer(item, origin) for item in items]
    is_modern = any(_is_modern(node) for item in items for node in item.get("inbound_nodes") or [])
    layers = [_operation(layer) for layer in layers] if is_modern else layers
    _require_unique(layers, origin)
    by_name = {layer.name: layer for layer in layers}
    calls: list[Call] = []
    for layer, item in zip(layers, items, strict=True):
        calls += _calls(layer, item.get("inbound_nodes") or [], by_name, origin)
    inputs = _tensors(config.get("input_layers"), origin)
    outputs = _tensors(config.get("output_layers"), origin)
    if is_modern:
        functional = {layer.name for layer in layers if layer.model is not None and not layer.model.is_sequential}
        inputs, outputs = shift(inputs, functional), shift(outputs, functional)  # Keras 3 counts one more only here
    else:
        nested = {layer.name for layer in layers if layer.model is not None}
        calls, inputs, outputs = _renumbered(calls, inputs, outputs, nested)
    return Model(name, tuple(layers), tuple(calls), tuple(find_refs(inputs)), tuple(find_refs(outputs)),
                 structure=inputs)  # fmt: skip


def _operation(layer: Layer) -> Layer:
    """An .h5 of Keras 3 names no modules: operations are told by not saying whether they are trainable."""
    is_layer = layer.model is not None or "trainable" in layer.config or layer.class_name in _SILENT
    if layer.has_module or is_layer:
        return layer
    return replace(layer, module="keras.ops")


# Layers whose descriptions do not say whether they are trainable either.
_SILENT = {
    "InputLayer", "Discretization", "HashedCrossing", "Pipeline", "SpatialDropout1D", "SpatialDropout2D",
    "SpatialDropout3D", "TFSMLayer",
}  # fmt: skip


def _is_modern(node: Any) -> bool:
    return isinstance(node, dict) and "args" in node


def _require_unique(layers: list[Layer], origin: Origin) -> None:
    seen: set[str] = set()
    for layer in layers:
        if layer.name in seen:
            raise ConversionError(f"two layers are called '{layer.name}'", origin)
        seen.add(layer.name)


def _tensors(item: Any, origin: Origin) -> Any:
    """input_layers or output_layers: nested lists and dictionaries of [layer, node, tensor]."""
    if _is_ref(item):
        return Ref(*item[:3])
    if isinstance(item, list):
        return [_tensors(part, origin) for part in item]
    if isinstance(item, dict):
        return {key: _tensors(part, origin) for key, part in item.items()}
    raise ConversionError("the inputs or outputs of the model are missing or malformed", origin)


def _is_ref(item: Any) -> bool:
    return (
        isinstance(item, list) and len(item) in (3, 4) and isinstance(item[0], str)
        and all(isinstance(i, int) and not isinstance(i, bool) for i in item[1:3])
        and (len(item) == 3 or isinstance(item[3], dict))
    )  # fmt: skip


def _calls(layer: Layer, nodes: Any, layers: Mapping[str, Layer], origin: Origin) -> list[Call]:
    nodes = _require(nodes, list, f"the inbound_nodes of '{layer.name}'", origin)
    if not nodes and layer.class_name == "InputLayer":
        return [Call(layer, 0, ())]
    return [_call(layer, i, node, layers, origin) for i, node in enumerate(nodes)]


def _call(layer: Layer, index: int, node: Any, layers: Mapping[str, Layer], origin: Origin) -> Call:
    where = Origin(origin.file, f"{origin.layer}/{layer.name}" if origin.layer else layer.name)
    if _is_modern(node):
        args = value_of(node["args"], where)
        kwargs = value_of(node.get("kwargs") or {}, where)
        return Call(layer, index, tuple(_require(args, list, "the arguments of a call", where)), kwargs)
    kwargs = {}
    first = _legacy_argument(node, kwargs, layers, where)
    return Call(layer, index, (first,), kwargs)


def _legacy_argument(node: Any, kwargs: dict[str, Any], layers: Mapping[str, Layer], origin: Origin) -> Any:
    """The first argument of a call of Keras 1 and 2: tensors as [layer, node, tensor, other arguments]."""
    if isinstance(node, list) and node and node[0] == "_CONSTANT_VALUE" and len(node) in (3, 4):
        kwargs.update(_legacy_kwargs(node[3:], layers, origin))
        return value_of(node[2], origin)
    if _is_ref(node):
        kwargs.update(_legacy_kwargs(node[3:], layers, origin))
        return Ref(*node[:3])
    if isinstance(node, list):
        parts = [_legacy_argument(part, kwargs, layers, origin) for part in node]
        return parts[0] if len(parts) == 1 else parts
    if isinstance(node, dict):
        return {key: _legacy_argument(part, kwargs, layers, origin) for key, part in node.items()}
    raise ConversionError("a call of the layer is malformed", origin)


def _legacy_kwargs(rest: list[Any], layers: Mapping[str, Layer], origin: Origin) -> dict[str, Any]:
    return {key: _legacy_value(item, layers, origin) for key, item in (rest[0] if rest else {}).items()}


def _legacy_value(item: Any, layers: Mapping[str, Layer], origin: Origin) -> Any:
    """A keyword argument: a tensor is [layer, node, tensor] of a layer that there is."""
    if isinstance(item, list) and len(item) == 3 and item[0] == "_CONSTANT_VALUE":
        return value_of(item[2], origin)
    if isinstance(item, list) and len(item) == 3 and _is_ref(item) and item[0] in layers:
        return Ref(*item)
    if isinstance(item, list):
        return [_legacy_value(part, layers, origin) for part in item]
    if isinstance(item, dict) and set(item) == {"start", "stop", "step"}:
        return slice(*(_legacy_value(item[key], layers, origin) for key in ("start", "stop", "step")))
    if isinstance(item, dict) and "class_name" not in item:
        return {key: _legacy_value(part, layers, origin) for key, part in item.items()}
    return value_of(item, origin)


def value_of(item: Any, origin: Origin) -> Any:
    """A serialised value as Python's: tensors of the graph become Refs; layers and functions stay as they are."""
    if isinstance(item, list):
        return [value_of(part, origin) for part in item]
    if not isinstance(item, dict):
        return item
    kind, config = item.get("class_name"), item.get("config")
    if kind not in _VALUES:
        return item if kind else {key: value_of(part, origin) for key, part in item.items()}
    try:
        return _VALUES[kind](config if config is not None else item, origin)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ConversionError(f"a {kind} is malformed: {error}", origin) from None


def _tensor(config: Any, origin: Origin) -> np.ndarray:
    data = np.asarray(config["value"])
    if data.size > _MAX_ELEMENTS or data.dtype.kind not in "fiub":
        raise ValueError("it is no array of numbers")
    return data.astype(str(config["dtype"]))


def _keras_tensor(config: Any, origin: Origin) -> Ref:
    layer, node, tensor = config["keras_history"]
    return Ref(str(layer), int(node), int(tensor))


_VALUES: dict[Any, Any] = {
    "__keras_tensor__": _keras_tensor,
    "__tensor__": _tensor,
    "__numpy__": _tensor,
    "__slice__": lambda c, o: slice(*(value_of(c[key], o) for key in ("start", "stop", "step"))),
    "__ellipsis__": lambda c, o: Ellipsis,
    "__tuple__": lambda c, o: tuple(value_of(part, o) for part in c["items"]),
    "__bytes__": lambda c, o: str(c["value"]).encode(),
    "TensorShape": lambda c, o: c["items"],
    "__lambda__": lambda c, o: {"class_name": "__lambda__"},
}


# ------------------------------------------------------------------ numbering


def _renumbered(calls: list[Call], inputs: Any, outputs: Any, nested: set[str]) -> tuple[list[Call], Any, Any]:
    """Everything with the calls of every layer counted from 0 (Keras 1 and 2).

    A model as a layer may have a call of its own, that which made it, before those in the outer model.
    """
    counts = Counter(call.layer.name for call in calls)
    everything = [[call.args for call in calls], [call.kwargs for call in calls], inputs, outputs]
    shifted = {ref.layer for ref in find_refs(everything) if ref.layer in nested and ref.node >= counts[ref.layer]}
    if not shifted:
        return calls, inputs, outputs
    moved = [Call(call.layer, call.node, shift(call.args, shifted), shift(call.kwargs, shifted)) for call in calls]
    return moved, shift(inputs, shifted), shift(outputs, shifted)


def shift(item: Any, layers: set[str]) -> Any:
    """A nested structure in which the calls of `layers` are counted from one less."""
    if isinstance(item, Ref):
        return Ref(item.layer, item.node - 1, item.tensor) if item.layer in layers else item
    if isinstance(item, dict):
        return {key: shift(part, layers) for key, part in item.items()}
    if isinstance(item, (list, tuple)):
        return type(item)(shift(part, layers) for part in item)
    return item
