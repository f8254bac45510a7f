"""A TensorFlow model's inputs and outputs; the graph is computed from the outputs backwards, so what no output needs is
never looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import networkx as nx
import numpy as np

from netglot.errors import ConversionError, Origin, UnsupportedError
from netglot.frontends.options import LoadOptions, TensorSpec
from netglot.frontends.tensorflow.builder import Edge
from netglot.frontends.tensorflow.files import TFModel, read
from netglot.frontends.tensorflow.messages import NodeDef
from netglot.frontends.tensorflow.run import Lost, Runner, canonical, node_of
from netglot.frontends.tensorflow.tables import Tables
from netglot.frontends.tensorflow.tensors import ElementType
from netglot.frontends.tensorflow.variables import Variables
from netglot.ir.graph import Graph, Value
from netglot.ir.types import Shape

# Operators whose outputs nobody reads in a finished graph, and that are no result.
_NO_RESULT = {
    "NoOp", "Assert", "Const", "Assign", "AssignVariableOp", "AssignAdd", "AssignSub", "SaveV2", "RestoreV2",
    "VarIsInitializedOp", "Placeholder", "PlaceholderWithDefault", "VariableV2", "VarHandleOp", "Print", "PrintV2",
    "ScalarSummary", "HistogramSummary", "MergeSummary", "MergeV2Checkpoints", "Variable", "AssignAddVariableOp",
    "AssignSubVariableOp", "Switch", "InitializeTableV2", "InitializeTableFromTextFileV2", "IsVariableInitialized",
}  # fmt: skip


def load(path: Path, weights: Path | None = None, options: LoadOptions = LoadOptions()) -> Graph:
    """Reads a SavedModel (a folder or its saved_model.pb), a frozen GraphDef (.pb, .pbtxt), or a MetaGraph (.meta with
    its checkpoint) into a Graph.

    Inputs and outputs are those of the signature, by its names; a graph without one has its placeholders and what no
    node reads. options.inputs may name inner tensors, from which the graph is then computed, options.outputs others.
    """
    model = read(path, weights, signature=options.signature, tag=options.tag)
    return Reader(model, options).graph()


class Reader(Runner):
    """A model's inputs and outputs, and what lies between. Operators find it as `g.reader`."""

    def __init__(self, model: TFModel, options: LoadOptions) -> None:
        super().__init__(model)
        self.options = options
        self.variables = Variables(self)
        self.tables = Tables(self, self.variables)
        self.after_call = [self.variables.trace, self.tables.trace]

    def graph(self) -> Graph:
        graph = self.main.g.graph
        for name, reference, dtype, shape in self.wanted_inputs():
            self.add_input(name, reference, dtype, shape)
        wanted = list(self.wanted_outputs())
        found = [(name, self.value(reference)) for name, reference in wanted]
        if self.problems:
            raise UnsupportedError(self.problems)
        self.variables.require_unchanged([reference for _, reference in wanted])
        for name, value in found:
            graph.outputs.append(self.output(name, value))
        graph.inputs = [value for value in graph.inputs if graph.uses(value) or self.was_asked(value)]
        return graph

    def was_asked(self, value: Value) -> bool:
        """Inputs that a signature or the user names stay, though nothing may read them."""
        return self.model.signature is not None or value.name in self.options.inputs

    def wanted_inputs(self) -> Iterator[tuple[str, str, ElementType, Shape | None]]:
        """Name, tensor, type and shape of each input."""
        if self.model.signature is not None:
            for name, info in self.model.signature.inputs.items():
                yield name, canonical(info.name), info.dtype, info.shape
        inner = [name for name in self.options.inputs if not self._is_signature_input(name)]
        for name in inner:
            node = self.find(name)
            yield name, canonical(name), _dtype_of(node), node.attributes.get("shape")
        if self.model.signature is None and not inner:
            read = {node_of(item) for node in self.main.nodes.values() for item in node.inputs}
            for node in self.main.nodes.values():
                dtype, shape = node.attributes.get("dtype"), node.attributes.get("shape")
                is_tensor = isinstance(dtype, np.dtype) and shape is not None
                if node.op == "Placeholder" and (is_tensor or node.name in read):
                    yield node.name, node.name, dtype, shape

    def _is_signature_input(self, name: str) -> bool:
        return self.model.signature is not None and name in self.model.signature.inputs

    def find(self, name: str) -> NodeDef:
        """The node of the tensor that the user names."""
        node = self.main.nodes.get(name.partition(":")[0])
        if node is None:
            import difflib

            near = difflib.get_close_matches(name, self.main.nodes, n=3)
            raise ConversionError(
                f"there is no tensor '{name}'" + (f"; near: {', '.join(near)}" if near else ""), Origin(self.file)
            )
        return node

    def add_input(self, name: str, reference: str, dtype: ElementType, shape: Shape | None) -> None:
        origin = Origin(self.file, name)
        if not isinstance(dtype, np.dtype):
            raise ConversionError(f"the input '{name}' is no tensor", origin)
        spec = self.options.inputs.get(name, TensorSpec())
        wanted = self.options.shape(name, shape)
        self.options.note_batch(self.main.g.graph, name, shape)
        if wanted is None:
            raise ConversionError(f"the input '{name}' has no shape", origin, f"Give it: --input {name}:1x224x224x3")
        symbols = self.symbols(name, wanted)
        value = self.main.g.graph.add_input(name, spec.dtype or dtype, symbols)
        self.named.add(value)
        with self.main.g.at(origin):
            self.main.arguments[reference] = self.main.g.cast(value, dtype)

    def symbols(self, name: str, shape: Shape) -> Shape:
        """`shape` with a name for each size that is not known. The first such first axis is the batch; those of other
        inputs need not be as long (the steps of a sequence, boxes), so each has a name of its own.
        """
        taken = any("batch" in (value.shape or ()) for value in self.main.g.graph.inputs)
        return tuple(
            dim if isinstance(dim, str) or (isinstance(dim, int) and dim >= 0)
            else "batch" if axis == 0 and not taken else f"{name}_{axis}"
            for axis, dim in enumerate(shape)
        )  # fmt: skip

    def wanted_outputs(self) -> list[tuple[str, str]]:
        """Name and tensor of each output."""
        if self.options.outputs:
            of_signature = self.model.signature.outputs if self.model.signature else {}
            return [(name, of_signature[name].name if name in of_signature else name) for name in self.options.outputs]
        if self.model.signature is not None:
            return [(name, info.name) for name, info in self.model.signature.outputs.items()]
        nodes = self.model.graph.nodes  # as they were: what a While or If took in is no result
        read = {node_of(item.lstrip("^")) for node in nodes for item in node.inputs}
        fed = self._fed()
        ends = [node.name for node in nodes if node.name not in read and not self._is_no_result(node)]
        return [(name, name) for name in ends if name in fed]

    def _fed(self) -> set[str]:
        """The nodes that depend on an input. What does not is no result: how a model is saved, for one."""
        flow: nx.DiGraph[str] = nx.DiGraph()
        for node in self.model.graph.nodes:
            flow.add_edges_from((node_of(item), node.name) for item in node.inputs if item[:1] != "^")
        starts = [node_of(reference) for reference in self.main.arguments]
        reached = [nx.descendants(flow, start) for start in starts if start in flow]
        return set(starts).union(*reached)

    def _is_no_result(self, node: NodeDef) -> bool:
        """Whether it has none, or is the mark of a branch (an Identity of a Switch)."""
        source = self.main.nodes.get(node_of(node.inputs[0])) if node.op == "Identity" and node.inputs else None
        return node.op in _NO_RESULT or (source is not None and source.op == "Switch")

    def value(self, reference: str) -> Edge | Lost:
        self.find(reference)
        return self.get(self.main, canonical(reference))

    def output(self, name: str, value: Edge | Lost) -> Value:
        """`value` as an output called `name`."""
        graph = self.main.g.graph
        if not isinstance(value, Value):
            raise ConversionError(f"the output '{name}' is no tensor", Origin(self.file, name))
        if value.name == name and value not in graph.inputs and value not in graph.outputs and not value.is_constant:
            return value
        if value in graph.inputs or value in graph.outputs or value.is_constant or graph.uses(value):
            value = self.main.g.plain("Identity", value)
        assert isinstance(value, Value)
        if name in graph:
            graph.rename(graph[name], graph.unique_name(name))
        graph.rename(value, name)
        return value


def _dtype_of(node: NodeDef) -> np.dtype:
    found = [node.attributes.get(name) for name in ("dtype", "out_type", "output_type", "DstT", "T")]
    return next((item for item in found if isinstance(item, np.dtype)), np.dtype(np.float32))
