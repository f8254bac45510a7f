"""A Keras model: its description and its variables to the graph, layer by layer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from netglot.errors import ConversionError, Origin, Problem, UnsupportedError
from netglot.frontends.keras import files
from netglot.frontends.keras.arguments import arguments, is_tf_function, tensors
from netglot.frontends.keras.builder import KerasBuilder
from netglot.frontends.keras.config import Call, Layer, Model, Ref, read_layer
from netglot.frontends.keras.lookup import find_operator, unsupported
from netglot.frontends.keras.policy import compute_dtype, element_type, is_widened
from netglot.frontends.keras.weights import ModelWeights, open_weights
from netglot.frontends.options import LoadOptions, TensorSpec
from netglot.ir.graph import Graph, Value
from netglot.ir.types import Shape, to_onnx
from netglot.registry import Operator, SignatureError

Outputs = list[Value] | None  # None: of a layer that is not supported, or that reads from one

_SENSELESS = (ValueError, TypeError, ArithmeticError, IndexError, KeyError, AttributeError, MemoryError)


def load(path: Path, weights: Path | None = None, options: LoadOptions = LoadOptions()) -> Graph:
    """Reads `path` (.keras, .h5, or .json with `weights`) into a Graph.

    Inputs are called as their layers, outputs as the layers that make them; both keep Keras' order (dictionaries: by
    key) and layout. An unknown batch is the symbol "batch". Raises ConversionError, or UnsupportedError with every
    layer that is not supported.
    """
    try:
        return _Reader(files.read(path, weights), options, path).graph()
    except RecursionError:
        raise ConversionError("the model is nested too deeply", Origin(str(path))) from None


class _Reader:
    """Runs the calls of a model, and of the models in it, and collects what is not supported."""

    def __init__(self, source: files.Source, options: LoadOptions, path: Path) -> None:
        self.source, self.options, self.path = source, options, path
        config = source.config
        if not isinstance(config, dict) or "class_name" not in config:
            raise ConversionError("this is no description of a Keras model", Origin(str(path)))
        self.layer = read_layer(config, Origin(str(path)))
        self.g = KerasBuilder(Graph(self.layer.name))
        self.g.call = self.call_serialised
        self.g.era = _era(source)
        if source.weights is None:
            self.g.hint = f"It is only a description. Name its weights too: netglot convert {path.name} WEIGHTS.h5"
        self.problems: list[Problem] = []
        self.named: set[Value] = set()

    def graph(self) -> Graph:
        model, g = self.layer.model, self.g
        if model is None:
            raise UnsupportedError(_no_model(self.layer, Origin(str(self.path))))
        outputs = self.run(model, None, open_weights(self.source, model), "")
        if self.problems:
            raise UnsupportedError(self.problems)
        assert outputs is not None
        g.graph.outputs = [self.output(value, ref) for value, ref in zip(outputs, model.outputs, strict=True)]
        g.graph.drop_unneeded()
        return g.graph

    def output(self, value: Value, ref: Ref) -> Value:
        """The value, named after the layer that makes it."""
        g, name = self.g, ref.layer
        made = g.graph.producer(value) is not None
        if not made or value in self.named:
            with g.at(Origin(str(self.path), name)):
                value = g.Identity(value)
        if value.name != name:
            g.graph.rename(value, g.graph.unique_name(name))
        self.named.add(value)
        return value

    # ------------------------------------------------------------------- models

    def run(self, model: Model, inputs: Sequence[Value] | None, weights: ModelWeights, path: str) -> Outputs:
        """The outputs of a model for `inputs` (None: those of the graph, which are made here)."""
        parts = dict(zip((layer.name for layer in model.layers), weights.layers(model), strict=True))
        results: dict[tuple[str, int], Outputs] = {}
        calls = {(call.layer.name, call.node): call for call in model.calls}
        for i, ref in enumerate(model.inputs):
            call = self.call_of(ref, calls, path)
            value = self.add_input(call.layer, path) if inputs is None else self.passed(inputs[i], call.layer)
            results[ref.layer, ref.node] = [value]
        for call in self.in_order(model, calls, set(results), path):
            where = Origin(str(self.path), f"{path}{call.layer.name}")
            results[call.layer.name, call.node] = self.try_call(call, results, parts[call.layer.name].again(), where)
        return self.read(model.outputs, results, Origin(str(self.path), path.rstrip("/")))

    def call_of(self, ref: Ref, calls: Mapping[tuple[str, int], Call], path: str) -> Call:
        call = calls.get((ref.layer, ref.node))
        if call is None:
            what = f"there is no call {ref.node} of a layer '{ref.layer}', which others read"
            raise ConversionError(what, Origin(str(self.path), path.rstrip("/")))
        return call

    def in_order(
        self, model: Model, calls: Mapping[tuple[str, int], Call], done: set[tuple[str, int]], path: str
    ) -> Iterator[Call]:
        """The calls that are not done, each after those it reads from; in the order of the file where that allows."""
        origin = Origin(str(self.path), path.rstrip("/"))
        readers: dict[tuple[str, int], list[tuple[str, int]]] = {}
        missing: dict[tuple[str, int], int] = {}
        for key, call in calls.items():
            if key in done:
                continue
            if call.layer.class_name == "InputLayer":
                raise ConversionError(f"the input '{call.layer.name}' is not among the model's inputs", origin)
            needs = {(self.call_of(ref, calls, path).layer.name, ref.node) for ref in call.refs} - done
            missing[key] = len(needs)
            for need in needs:
                readers.setdefault(need, []).append(key)
        ready = [key for key, count in missing.items() if not count]
        for key in ready:
            yield calls[key]
            for reader in readers.get(key, ()):
                missing[reader] -= 1
                if not missing[reader]:
                    ready.append(reader)
        if len(ready) < len(missing):
            stuck = next(name for (name, _), count in missing.items() if count)
            raise ConversionError(f"the calls of layers form a cycle (at '{stuck}')", origin)

    def read(self, refs: Sequence[Ref], results: Mapping[tuple[str, int], Outputs], origin: Origin) -> Outputs:
        values = []
        for ref in refs:
            outputs = results.get((ref.layer, ref.node), [])
            if outputs is None:
                return None
            if not 0 <= ref.tensor < len(outputs):
                raise ConversionError(f"'{ref.layer}' has no output {ref.tensor} of a call {ref.node}", origin)
            values.append(outputs[ref.tensor])
        return values

    # ------------------------------------------------------------------- inputs

    def add_input(self, layer: Layer, path: str) -> Value:
        shape = layer.config.get("batch_shape") or layer.config.get("batch_input_shape")
        origin = Origin(str(self.path), layer.name)
        declared = _shape(shape, layer.name, origin)
        wanted = self.options.shape(layer.name, declared)
        if wanted is None:
            hint = f"Give it: --input {layer.name}:1x224x224x3"
            raise ConversionError(f"the input '{layer.name}' has no shape in the file", origin, hint)
        self.options.note_batch(self.g.graph, layer.name, declared)
        dtype = self.options.inputs.get(layer.name, TensorSpec()).dtype or element_type(
            layer.config.get("dtype") or layer.config.get("input_dtype") or "float32", origin
        )
        return self.g.graph.add_input(layer.name, dtype, wanted)

    def passed(self, value: Value, layer: Layer) -> Value:
        """A tensor as the input of a nested model, which has a type of its own (Functional._standardize_inputs)."""
        origin = Origin(str(self.path), layer.name)
        return self.cast(value, element_type(layer.config.get("dtype") or "float32", origin))

    def cast(self, value: Value, dtype: np.dtype) -> Value:
        if value.dtype == dtype:
            return value
        result: Value = self.g.Cast(value, to=to_onnx(dtype))
        self.g.set_mask(result, self.g.mask_of(value))
        return result

    # ------------------------------------------------------------------- layers

    def try_call(
        self, call: Call, results: Mapping[tuple[str, int], Outputs], weights: ModelWeights, origin: Origin
    ) -> Outputs:
        if self.read(list(call.refs), results, origin) is None:
            return None
        args = resolved(call.args, results)
        kwargs = resolved(call.kwargs, results)
        try:
            return self.run_layer(call.layer, args, kwargs, weights, origin)
        except UnsupportedError as error:
            self.problems += error.problems
            return None

    def call_serialised(self, item: Any, inputs: Sequence[Value], kwargs: Mapping[str, Any]) -> Any:
        """What KerasBuilder.layer calls: a layer inside of another, with the variables of that part."""
        layer = read_layer(item, self.g.origin)
        origin = Origin(str(self.path), f"{self.g.origin.layer}/{layer.name}")
        weights: Any = self.g.weights
        outputs = self.run_layer(layer, [list(inputs)], kwargs, weights, origin, inner=True)
        if outputs is None:
            raise UnsupportedError([])  # said already
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def run_layer(
        self, layer: Layer, args: Sequence[Any], kwargs: Mapping[str, Any], weights: ModelWeights, origin: Origin,
        inner: bool = False,
    ) -> Outputs:  # fmt: skip
        """The outputs of one call of a layer or a nested model."""
        if kwargs.get("training") and self.g.era < 3:  # Keras 3 puts that of the whole model in its place
            raise UnsupportedError(f"{layer.class_name} is called with training={kwargs['training']}", origin)
        kwargs = {key: item for key, item in kwargs.items() if key != "training"}
        if layer.model is not None:
            return self.run_nested(layer.model, args, weights, origin)
        operator = find_operator(layer)
        if operator is None:
            raise UnsupportedError(unsupported(layer, origin, list(tensors([args, kwargs]))))
        with self.at(layer, weights, origin), self.masked(operator, args, kwargs):
            outputs = self.run_operator(operator, layer, args, kwargs)
        left = 0 if inner else weights.left()
        if left:
            what = f"{layer.class_name} has more variables in the file than it uses ({left} left)"
            raise ConversionError(what, origin, "Does the weights file belong to this model?")
        return outputs

    def run_nested(self, model: Model, args: Sequence[Any], weights: ModelWeights, origin: Origin) -> Outputs:
        first = args[0] if args else None
        if isinstance(first, Mapping) and not isinstance(model.structure, Mapping):  # by the names of its inputs
            first = [first.get(ref.layer) for ref in model.inputs]
        inputs = list(tensors(first))
        if len(inputs) != len(model.inputs):
            what = f"the model '{model.name}' has {len(model.inputs)} inputs and is called with {len(inputs)}"
            raise ConversionError(what, origin)
        return self.run(model, inputs, weights, f"{origin.layer}/")

    @contextmanager
    def at(self, layer: Layer, weights: ModelWeights, origin: Origin) -> Iterator[None]:
        """Inside, the builder is set for the layer."""
        g = self.g
        before = g.type, g.weights, g.compute_dtype
        g.type, g.weights = layer.class_name, weights
        g.compute_dtype = compute_dtype(layer.config.get("dtype"), origin)
        self.warn_if_widened(layer)
        try:
            with g.at(origin):
                yield
        finally:
            g.type, g.weights, g.compute_dtype = before

    def warn_if_widened(self, layer: Layer) -> None:
        note = Problem("layers that compute in bfloat16 do so in float32 here, which is more precise")
        if is_widened(layer.config.get("dtype")) and note not in self.g.graph.warnings:
            self.g.graph.warnings.append(note)

    @contextmanager
    def masked(self, operator: Operator, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[None]:
        """Inside, the first argument has the mask that the call gives it, if the function does not ask for it."""
        masks = list(tensors(kwargs.get("mask"))) if "mask" not in operator.attributes else []
        given = dict(zip(tensors(args[:1]), masks, strict=False))
        before = {value: self.g.masks.get(value) for value in given}
        self.g.masks.update(given)
        try:
            yield
        finally:
            for value, mask in before.items():
                self.g.masks.pop(value)
                self.g.set_mask(value, mask)

    def run_operator(
        self, operator: Operator, layer: Layer, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> list[Value]:
        g, origin = self.g, self.g.origin
        if autocasts(layer):
            args, kwargs = self.autocast(args), self.autocast(kwargs)
        first = list(tensors(args[:1]))
        positional, given = arguments(operator, layer, args, kwargs, origin)
        try:
            result = operator(g, positional, given)
        except SignatureError as error:
            raise ConversionError(str(error), origin) from None
        except _SENSELESS as error:
            raise ConversionError(f"{layer.class_name} with these parameters: {error}", origin) from error
        outputs = list(tensors(result))
        if not outputs:
            raise ConversionError(f"{layer.class_name} gives no tensor", origin)
        return self.with_masks(outputs, first, operator.options.get("mask", "keep"))

    def autocast(self, item: Any) -> Any:
        """Float tensors in the layer's compute dtype (Layer.__call__)."""
        if isinstance(item, Value):
            casts = is_float(item.dtype) and is_float(self.g.compute_dtype)  # Discretization's own type is an integer
            return self.cast(item, self.g.compute_dtype) if casts else item
        if isinstance(item, Mapping):
            return {key: self.autocast(part) for key, part in item.items()}
        return type(item)(self.autocast(part) for part in item) if isinstance(item, (list, tuple)) else item

    def with_masks(self, outputs: list[Value], inputs: list[Value], rule: str) -> list[Value]:
        """The outputs with the masks of the inputs ("keep") or without any ("drop")."""
        g = self.g
        if rule == "keep":
            for y, x in zip(outputs, inputs, strict=False):
                g.set_mask(y, g.mask_of(x))
        if rule != "drop":
            return outputs
        return [g.Identity(y) if g.mask_of(y) is not None else y for y in outputs]


def resolved(item: Any, results: Mapping[tuple[str, int], Outputs]) -> Any:
    """A call's arguments with the tensors that its references stand for."""
    if isinstance(item, Ref):
        outputs = results[item.layer, item.node]
        assert outputs is not None
        return outputs[item.tensor]
    if isinstance(item, Mapping):
        return {key: resolved(part, results) for key, part in item.items()}
    return type(item)(resolved(part, results) for part in item) if isinstance(item, (list, tuple)) else item


def autocasts(layer: Layer) -> bool:
    """Operations and TensorFlow functions take their arguments as they are."""
    return not layer.is_operation and not is_tf_function(layer)


def is_float(dtype: np.dtype | None) -> bool:
    return dtype is not None and (dtype.kind == "f" or dtype.name == "bfloat16")


def _no_model(layer: Layer, origin: Origin) -> Problem:
    """What is said of a file whose outermost object is no model that describes itself."""
    if not layer.is_custom:
        return unsupported(layer, origin, ())
    what = f"'{layer.registered or layer.class_name}' is a subclassed model: no description of what it computes is here"
    return Problem(what, origin, hint="Save a functional model that calls it, or a SavedModel: model.export(FOLDER).")


def _shape(shape: Any, name: str, origin: Origin) -> Shape | None:
    """An input's shape with symbols for what is unknown: "batch", and the input's name with the axis."""
    if shape is None:
        return None
    if not isinstance(shape, (list, tuple)) or any(not _is_size(dim) for dim in shape):
        raise ConversionError(f"the input '{name}' has no shape, but {str(shape)[:80]!r}", origin)
    return tuple(dim if dim is not None else f"{name}_{i}" if i else "batch" for i, dim in enumerate(shape))


def _is_size(dim: Any) -> bool:
    return dim is None or (isinstance(dim, int) and not isinstance(dim, bool) and 0 <= dim < 1 << 31)


def _era(source: files.Source) -> int:
    """The generation of Keras that wrote the file: 1, 2 or 3."""
    found = re.match(r"\d+", source.version)
    return min(max(int(found[0]), 1), 3) if found else 3
