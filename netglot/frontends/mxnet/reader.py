"""An MXNet model: symbol.json and its parameters to the graph, with MXNet's names for what goes in and out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from netglot.errors import ConversionError, Origin, Problem, UnsupportedError
from netglot.frontends.mxnet import params as weight_files
from netglot.frontends.mxnet import symbol as descriptions
from netglot.frontends.mxnet.attributes import convert
from netglot.frontends.mxnet.builder import LEARNED, WRONG_FILE, MXNetBuilder
from netglot.frontends.mxnet.run import Runner, output_name, unread
from netglot.frontends.mxnet.symbol import Layer, Symbol
from netglot.frontends.options import LoadOptions, TensorSpec
from netglot.ir.graph import Graph, Value
from netglot.ir.types import Shape
from netglot.registry import registry

# What follows them may have another type than what comes in.
_CHANGE_TYPE = {"Cast", "cast", "amp_cast", "amp_multicast", "Embedding", "one_hot", "quantize", "_contrib_quantize_v2"}
_DEFAULT = np.dtype(np.float32)


def load(path: Path, weights: Path | None = None, options: LoadOptions = LoadOptions()) -> Graph:
    """Reads `path` (symbol.json) and `weights` (.params, or .npz) into a Graph.

    Inputs are the variables that are no parameters, in MXNet's order (list_arguments); outputs are called as
    list_outputs calls them, everything between as get_internals does. Raises ConversionError, or UnsupportedError with
    every operator that is not supported.
    """
    symbol = _up_to(descriptions.read(path), options.outputs)
    if options.mean is not None:
        raise ConversionError(
            "a mean image is for Caffe models; an MXNet model has its own operators", Origin(str(path))
        )
    return _Reader(symbol, weights, options, path).graph()


class _Reader(Runner):
    """The variables of a symbol: which are inputs, and their shapes and types."""

    def __init__(self, symbol: Symbol, weights: Path | None, options: LoadOptions, path: Path) -> None:
        super().__init__(Graph(path.name.removesuffix(".json").removesuffix("-symbol")), {})
        self.params = weight_files.read(weights) if weights else {}
        self.symbol, self.options, self.weights = symbol, options, weights
        self.g = MXNetBuilder(self.main, self, placeholders=options.placeholders)
        self.g.version, self.g.np_shape = symbol.version, symbol.np_shape
        self.g.no_weights = WRONG_FILE if weights else "The network needs its weights: give the .params file too."
        self.uses = _uses(symbol)
        self.types = self.element_types()

    def graph(self) -> Graph:
        given = self.variables()
        self.warn_of_unread(given)
        values = self.run(self.symbol, given, self.g)
        if self.problems:
            raise UnsupportedError(list(dict.fromkeys(self.problems)))
        graph = self.main
        for (index, output), value in zip(self.symbol.heads, values, strict=True):
            assert value is not None
            graph.outputs.append(self.output(self.symbol.layers[index], output, value))
        if not self.options.outputs:  # else the driver drops what they do not need
            graph.drop_unneeded()
        return graph

    def output(self, layer: Layer, index: int, value: Value) -> Value:
        """The value as an output of the network, by MXNet's name."""
        graph = self.main
        if not value.is_constant and value not in graph.inputs and value not in graph.outputs:
            return value
        with self.g.at(layer.origin):
            value = self.g.plain("Identity", value)
        name = layer.name if layer.is_variable else output_name(registry.find("mxnet", layer.op), layer, index, 1)
        graph.rename(value, graph.unique_name(name))
        return value

    def warn_of_unread(self, given: dict[int, Value]) -> None:
        read = {self.symbol.layers[index].name for index in given}
        if self.params and read.isdisjoint(self.params) and any(map(self.is_learned, self.uses)):
            what = f"none of its {len(self.params)} parameters is in the network"
            raise ConversionError(what, Origin(str(self.weights)), WRONG_FILE)

    # ----------------------------------------------------------------- variables

    def variables(self) -> dict[int, Value]:
        """The value of each variable that is read: an input of the graph, or a parameter."""
        found: dict[int, Value] = {}
        problems: list[Problem] = []
        for index, layer in enumerate(self.symbol.layers):
            if layer.is_variable and index in self.uses:
                try:
                    found[index] = self.variable(index, layer)
                except ConversionError as error:
                    problems += error.problems
        if problems:
            raise ConversionError(problems)
        return found

    def variable(self, index: int, layer: Layer) -> Value:
        is_given = layer.name in self.options.inputs
        if layer.name in self.params or (self.is_learned(index) and not is_given):
            return self.parameter(layer.name, self.g)
        return self.add_input(index, layer)

    def is_learned(self, index: int) -> bool:
        """Whether an operator reads the variable where MXNet has something that is trained."""
        return any(name in LEARNED for name in self.uses.get(index, ()))

    def add_input(self, index: int, layer: Layer) -> Value:
        shape = _noted_shape(layer)
        wanted = self.options.shape(layer.name, shape)
        if wanted is None or None in wanted[1:]:
            hint = f"Give it: --input {layer.name}:1x3x224x224"
            raise ConversionError(f"the input '{layer.name}' has no shape", layer.origin, hint)
        self.options.note_batch(self.main, layer.name, shape)
        wanted = tuple("batch" if dim is None else dim for dim in wanted)
        dtype = self.options.inputs.get(layer.name, TensorSpec()).dtype or self.types.get(index, _DEFAULT)
        value = self.main.add_input(layer.name, dtype, wanted)
        self.named.add(value)
        return value

    def element_types(self) -> dict[int, np.dtype]:
        """The type of each variable, as it is noted or as MXNet infers it: that of the weights that it meets."""
        types: dict[int, np.dtype] = {}
        for index in range(len(self.symbol.layers) - 1, -1, -1):
            layer = self.symbol.layers[index]
            if layer.is_variable:
                types |= {index: noted} if (noted := _noted_type(layer)) is not None else {}
                continue
            dtype = self.weight_type(layer) or types.get(index)
            if dtype is not None and layer.op not in _CHANGE_TYPE:
                types.update((source, dtype) for source, _ in layer.inputs[:1] if source not in types)
        return types

    def weight_type(self, layer: Layer) -> np.dtype | None:
        """The type of the operator's weights (what normalises keeps its own in single precision)."""
        names = [self.symbol.layers[source].name for source, _ in layer.inputs[1:]]
        found = [self.params[name].dtype for name in names if name in self.params and "Norm" not in layer.op]
        return next((dtype for dtype in found if dtype.kind == "f"), None)


def _up_to(symbol: Symbol, outputs: Sequence[str]) -> Symbol:
    """`symbol` as far as the nodes go whose outputs are named: what comes after them need not be supported."""
    ends = [_maker(symbol, name) for name in outputs]
    found = [(index, 0) for index in dict.fromkeys(ends) if index is not None]
    return replace(symbol, heads=found) if found and None not in ends else symbol


def _maker(symbol: Symbol, output: str) -> int | None:
    """The node that makes `output`, which begins with the node's name; None if there is none."""
    indices = {f"{layer.name}_": index for index, layer in enumerate(symbol.layers) if not layer.is_variable}
    return next((indices[part] for end in range(len(output), 0, -1) if (part := output[:end]) in indices), None)


def _uses(symbol: Symbol) -> dict[int, list[str]]:
    """For each node that something but the training reads, what the readers call it ("" for an output)."""
    uses: dict[int, list[str]] = {}
    needed = symbol.needed()
    for index in sorted(needed):
        layer = symbol.layers[index]
        operator = registry.find("mxnet", layer.op)
        names = [p.name for p in operator.positional] if operator else []
        skipped = unread(operator, layer)
        for position, (source, _) in enumerate(layer.inputs):
            if position not in skipped:
                uses.setdefault(source, []).append(names[position] if position < len(names) else "")
    for index, _ in symbol.heads:
        uses.setdefault(index, []).append("")
    return uses


def _noted_shape(layer: Layer) -> Shape | None:
    """`__shape__`, where 0 and -1 are sizes that are not known."""
    text = layer.hidden.get("__shape__")
    try:
        sizes = convert(tuple[int, ...], text) if text else ()
    except ValueError as error:
        raise ConversionError(f"__shape__: {error}", layer.origin) from None
    return tuple(size if size > 0 else None for size in sizes) or None


def _noted_type(layer: Layer) -> np.dtype | None:
    """`__dtype__`, a number; -1 is not known."""
    text = layer.hidden.get("__dtype__", "-1")
    try:
        return None if text == "-1" else weight_files.dtype_of(int(text))
    except ValueError as error:
        raise ConversionError(f"__dtype__: {error}", layer.origin) from None
