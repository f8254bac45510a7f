"""Runs the nodes of a model with symbols for numbers, each after what it reads.

Functions are inlined as they are called. What an edge carries is a Value or, where it is no tensor, a Handle (a
variable, a list of tensors, a table), which only the operators that know it can take. So resources are resolved and
functions inlined by running the graph once (docs/decisions/0006-tensorflow-is-run-with-symbols.md).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from netglot.errors import ConversionError, Origin, Problem, UnsupportedError
from netglot.frontends.tensorflow.builder import Edge, Handle, TFBuilder
from netglot.frontends.tensorflow.files import TFModel
from netglot.frontends.tensorflow.frames import functional
from netglot.frontends.tensorflow.messages import FunctionDef, FunctionName, NodeDef, Opaque, Placeholder
from netglot.frontends.tensorflow.outputs import flat_index
from netglot.ir.graph import Graph, Value
from netglot.ir.types import Dim, text
from netglot.registry import Operator, SignatureError, registry

# Nodes with functions inlined, which may grow exponentially: some, and so many for each that the file has
MAX_NODES, MAX_COPIES = 50_000, 20
MAX_CALLS = 64  # functions inside of functions

# Attributes that change nothing in what is computed here: counts that the inputs say, hints for a machine.
IGNORED = {
    "N", "num", "config", "config_proto", "container", "data_type", "debug_name", "executor_type",
    "experimental_debug_info", "is_stateless", "output_shapes", "parallel_iterations", "shared_name", "swap_memory",
    "use_cudnn_on_gpu", "use_locking", "validate_indices", "validate_shape", "allowed_devices", "grad_a", "grad_b",
    "grad_x", "grad_y", "element_shape",
}  # fmt: skip


class Lost:
    """An output of something that is not supported: whatever reads it is skipped, and not reported."""


LOST = Lost()
_NO_LAYER = re.compile(r"(Stateful)?PartitionedCall(_\d+)?")  # how TensorFlow calls a call itself
_REFERENCE = re.compile(r"(?P<node>[^:]+)(?::(?P<argument>[A-Za-z_]\w*))?(?::(?P<index>\d{1,6}))?")


@dataclass
class Frame:
    """One body of nodes that is being run: the main graph, or a function for one call."""

    g: TFBuilder
    nodes: Mapping[str, NodeDef]
    prefix: str = ""
    arguments: dict[str, Edge | Lost] = field(default_factory=dict)
    results: dict[str, tuple[Edge | Lost | None, ...]] = field(default_factory=dict)

    def full(self, name: str) -> str:
        """The name of a node with what it lies in; Keras and traced functions write that into the name itself."""
        return name if name.startswith(self.prefix) else self.prefix + name


class Runner:
    """Runs the nodes that it is asked for. `main` is the main graph; `frames` are the calls that are open.

    `problems` collects what is not supported; `named` are the values that have a name of their own. `after_call` is
    called with each function's frame when its results are there.
    """

    def __init__(self, model: TFModel) -> None:
        self.model, self.file = model, str(model.path)
        nodes, functions = functional(model.graph, self.file)
        self.functions: Mapping[str, FunctionDef] = functions
        self.main = Frame(TFBuilder(Graph(model.path.stem), self), self.by_name(nodes))
        self.frames = [self.main]
        self.problems: list[Problem] = []
        self.named: set[Value] = set()
        self.after_call: list[Callable[[Frame], None]] = []
        self.count = 0
        in_file = len(nodes) + sum(len(function.nodes) for function in functions.values())
        self.limit = MAX_NODES + MAX_COPIES * in_file

    def by_name(self, nodes: Sequence[NodeDef]) -> dict[str, NodeDef]:
        found: dict[str, NodeDef] = {}
        for node in nodes:
            if found.setdefault(node.name, node) is not node:
                raise ConversionError(f"two nodes are called '{node.name:.80}'", Origin(self.file, "", node.line))
        return found

    def get(self, frame: Frame, reference: str) -> Edge | Lost:
        """The tensor (or handle) that `reference` names in `frame`, computed with all it needs. Does not recurse."""
        if reference in frame.arguments:
            return frame.arguments[reference]
        name = node_of(reference)
        self.require(frame, name)
        results = frame.results[name]
        index = self.index(frame, reference)
        if results and results[0] is LOST:
            return LOST
        found = results[index] if index < len(results) else None
        if found is None:
            raise ConversionError(f"there is no output {index} of the node '{name}'", self.origin(frame, name))
        return found

    def aside(self, name: str) -> Frame:
        """The main graph to be run for something else than the outputs; what is added goes nowhere."""
        return Frame(TFBuilder(Graph(name), self), self.main.nodes)

    def index(self, frame: Frame, reference: str) -> int:
        match = _REFERENCE.fullmatch(reference)
        if match is None:
            raise ConversionError(f"'{reference:.80}' names no tensor", Origin(self.file))
        number = int(match["index"] or 0)
        if not match["argument"]:
            return number
        node = frame.nodes[match["node"]]
        said = self.functions.get(node.op) or self.model.operations.get(node.op)
        return flat_index(node, match["argument"], number, said.outputs if said else None)

    def require(self, frame: Frame, name: str) -> None:
        """Runs the node `name` after all that it reads."""
        stack, open_nodes = [name], set[str]()
        while stack:
            top = stack[-1]
            missing = [] if top in frame.results else self.missing(frame, top)
            if missing:
                if top in open_nodes:
                    raise ConversionError(f"the graph has a cycle through '{top}'", self.origin(frame, top))
                open_nodes.add(top)
                stack += missing
                continue
            stack.pop()
            open_nodes.discard(top)
            if top not in frame.results:
                frame.results[top] = self.run(frame, frame.nodes[top])

    def missing(self, frame: Frame, name: str) -> list[str]:
        """The nodes that must run before `name`."""
        node = frame.nodes.get(name)
        if node is None:
            raise ConversionError(f"there is no node '{name}', which another one reads", Origin(self.file))
        reads = [canonical(item) for item in node.inputs if item[:1] != "^"]
        needed = [node_of(item) for item in reads if item not in frame.arguments]
        return [item for item in dict.fromkeys(needed) if item not in frame.results]

    def origin(self, frame: Frame, name: str) -> Origin:
        line = frame.nodes[name].line if name in frame.nodes else 0
        return Origin(self.file, frame.full(name), line)

    def run(self, frame: Frame, node: NodeDef) -> tuple[Edge | Lost | None, ...]:
        self.count += 1
        if self.count > self.limit:
            raise ConversionError(f"more than {self.limit:,} nodes, functions inlined", Origin(self.file))
        inputs = [self.get(frame, canonical(item)) for item in node.inputs if item[:1] != "^"]
        if any(item is LOST for item in inputs):
            return (LOST,)
        origin = self.origin(frame, node.name)
        self.frames.append(frame)
        try:
            with frame.g.at(origin):
                results = self.call_operator(frame.g, node, [item for item in inputs if not isinstance(item, Lost)])
        except UnsupportedError as error:
            self.problems += [problem for problem in error.problems if problem not in self.problems]
            return (LOST,)
        except SignatureError as error:
            raise ConversionError(str(error), origin) from None
        except (ValueError, TypeError, LookupError, AttributeError, MemoryError, ArithmeticError) as error:
            raise ConversionError(f"{node.op} is malformed: {error}", origin) from error
        finally:
            self.frames.pop()
        self.name_results(frame, node, results)
        return results

    def call_operator(self, g: TFBuilder, node: NodeDef, inputs: list[Edge]) -> tuple[Edge | Lost | None, ...]:
        if node.op in self.functions:
            return self.call(FunctionName(node.op, node.attributes), inputs)
        operator = registry.find("tensorflow", node.op)
        if operator is None:
            raise UnsupportedError(_unknown(node, inputs, g.origin))
        _require_tensors(operator, node, inputs)
        before, g.op_name = g.op_name, node.op
        try:
            result = operator(g, inputs, self.attributes(operator, node))
        finally:
            g.op_name = before
        return result if isinstance(result, tuple) else (result,)

    def attributes(self, operator: Operator, node: NodeDef) -> dict[str, Any]:
        """The attributes that the function takes; one that it does not must be of no consequence."""
        bound = self.frames[-1].g.bound
        given: dict[str, Any] = {}
        for name in node.attributes:
            if name in operator.attributes:
                value = node.attributes[name]
                given[name] = bound[value.name] if isinstance(value, Placeholder) and value.name in bound else value
            elif name[:1] != "_" and name not in IGNORED and not _is_type(node.attributes[name]):
                raise SignatureError(f"{node.op} has no attribute {name}")
        return given

    def name_results(self, frame: Frame, node: NodeDef, results: Sequence[Edge | Lost | None]) -> None:
        """Values are named after TensorFlow's tensors, so that messages and --output can say them."""
        for index, value in enumerate(results):
            if isinstance(value, Value) and value not in self.named and value.name in frame.g.graph:
                wanted = frame.full(node.name) + (f":{index}" if index else "")
                if frame.g.graph[value.name] is value:
                    frame.g.graph.rename(value, frame.g.graph.unique_name(wanted))
                    self.named.add(value)

    def size(self, g: TFBuilder, dim: Dim) -> Value:
        """A size as a tensor of one element; one that has a name is taken from the input that has it."""
        if isinstance(dim, int):
            return g.constant([dim], np.int64)
        for value in self.main.g.graph.inputs:
            if dim is not None and dim in (value.shape or ()):
                axis = (value.shape or ()).index(dim)
                size: Value = g.Shape(value, start=axis, end=axis + 1)
                return size
        raise g.unsupported("a size is needed that is not known before the network runs")

    # ----------------------------------------------------------------- functions

    def call(self, function: FunctionName, inputs: Sequence[Edge], g: TFBuilder | None = None) -> tuple[Edge, ...]:
        """What the function returns for `inputs`; its nodes are added to `g` (by default where the caller's go).

        UnsupportedError if something in it is not supported (its problems are noted already).
        """
        caller = self.frames[-1]
        if not isinstance(function, FunctionName):
            raise ConversionError("no function is named", caller.g.origin)
        definition = self.functions.get(function.name)
        if definition is None:
            raise ConversionError(f"there is no function '{function.name}'", caller.g.origin)
        if len(self.frames) > MAX_CALLS:
            raise ConversionError(f"functions are called more than {MAX_CALLS} deep", caller.g.origin)
        if len(inputs) != len(definition.inputs):
            what = f"the function '{function.name}' takes {len(definition.inputs)} inputs and got {len(inputs)}"
            raise ConversionError(what, caller.g.origin)
        frame = self.frame_of(definition, inputs, g or caller.g)
        unsaid = [argument.name for argument in definition.outputs if argument.name not in definition.returns]
        if unsaid:
            what = f"the function '{function.name}' does not say what its output '{unsaid[0]}' is"
            raise ConversionError(what, caller.g.origin)
        frame.g.bound, bound = dict(function.attributes), frame.g.bound
        try:
            found = [self.get(frame, canonical(definition.returns[argument.name])) for argument in definition.outputs]
            for follow in self.after_call:
                follow(frame)
        finally:
            frame.g.bound = bound
        if any(item is LOST for item in found):
            raise UnsupportedError([])
        return tuple(item for item in found if not isinstance(item, Lost))

    def frame_of(self, definition: FunctionDef, inputs: Sequence[Edge], g: TFBuilder) -> Frame:
        caller = self.frames[-1]
        layer = caller.g.origin.layer
        prefix = "" if _NO_LAYER.fullmatch(layer) else f"{layer}/"
        frame = Frame(g, self.by_name(definition.nodes), prefix)
        frame.arguments = {argument.name: item for argument, item in zip(definition.inputs, inputs, strict=True)}
        if g is not caller.g:
            g.origin = caller.g.origin
        return frame


def canonical(reference: str) -> str:
    """`name` for `name:0`, as function arguments and inputs are kept."""
    return reference[:-2] if reference.endswith(":0") and reference.count(":") == 1 else reference


def node_of(reference: str) -> str:
    return reference.partition(":")[0]


def _is_type(value: Any) -> bool:
    return isinstance(value, (np.dtype, Opaque)) or (isinstance(value, tuple) and all(map(_is_type, value)))


def _require_tensors(operator: Operator, node: NodeDef, inputs: Sequence[Edge]) -> None:
    """A handle may only come to an operator that says so in its signature."""
    if not any(isinstance(item, Handle) for item in inputs) or operator.options.get("handles"):
        return
    kinds = ", ".join(sorted({item.kind for item in inputs if isinstance(item, Handle)}))
    raise UnsupportedError(f"{node.op} of a {kinds} is not supported")


def _unknown(node: NodeDef, inputs: Sequence[Edge], origin: Origin) -> Problem:
    near = registry.near("tensorflow", node.op)
    hint = f"Near: {', '.join(near)}. " if near else ""
    hint += "Map it (--plugin FILE.py), or begin behind it: --input TENSOR:SHAPE"
    shapes = ", ".join(text(item.shape) if isinstance(item, Value) else item.kind for item in inputs)
    return Problem(f"the operator '{node.op}' is not supported", origin, shapes, hint)
