"""Variables: which tensor of the checkpoint each one holds, found by tracing how the model itself restores them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from netglot.errors import ConversionError, Origin, UnsupportedError
from netglot.frontends.tensorflow.builder import Handle, TFBuilder, tf_op
from netglot.frontends.tensorflow.messages import FunctionName, NodeDef
from netglot.frontends.tensorflow.run import Frame, Runner
from netglot.ir.graph import Value
from netglot.ir.types import Shape, text

_ASSIGN = {"Assign", "AssignVariableOp"}
_BRANCHES = {"If", "StatelessIf", "Case", "StatelessCase"}  # their first input is no argument of the functions
_CHANGES = re.compile(
    r"Assign.*|Resource(Scatter|Apply|Sparse|Strided|CountUp).*|Scatter(Nd)?(Update|Add|Sub|Mul|Div|Min|Max)"
)
_SLICE = re.compile(r"(?P<shape>\d+( \d+)*) (?P<parts>(-|\d+,\d+)(:(-|\d+,\d+))*)")


class Variables:
    """The model's variables by name. Their data is read when it is asked for, once, as a view of the checkpoint."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.restored: dict[str, Handle] = {}  # by variable
        self.constants: dict[str, Value] = {}
        self.tracing = self.traced = False

    def constant(self, g: TFBuilder, name: str, dtype: Any, shape: Shape | None) -> Value:
        """The trained value of the variable `name`; ConversionError where the checkpoint does not tell it."""
        if name not in self.constants:
            array = self.array(g, name)
            if shape is not None and (
                len(shape) != array.ndim or any(d not in (None, n) for d, n in zip(shape, array.shape, strict=True))
            ):
                what = f"the variable '{name}' is {text(shape)}, the checkpoint holds {text(array.shape)}"
                raise ConversionError(what, g.origin)
            if isinstance(dtype, np.dtype) and array.dtype != dtype:
                raise ConversionError(f"the variable '{name}' is {dtype}, the checkpoint holds {array.dtype}", g.origin)
            main = self.runner.main.g  # of the outermost graph, so that every body can read it
            self.constants[name] = main.constant(array, name=name)
            self.runner.named.add(self.constants[name])
        return self.constants[name]

    def array(self, g: TFBuilder, name: str) -> np.ndarray:
        checkpoint = self.runner.model.checkpoint
        if checkpoint is None:
            hint = "Freeze the graph, or give the checkpoint as the weights."
            raise ConversionError(f"the variable '{name}' has no value: there is no checkpoint", g.origin, hint)
        if not self.traced:
            self.trace_restore()
        handle = self.restored.get(name)
        key = handle.name if handle else self.runner.model.variable_keys().get(name, name)
        if key not in checkpoint:
            raise ConversionError(f"the checkpoint has no value for the variable '{name}'", g.origin)
        array = checkpoint.array(key)
        return _sliced(array, handle.state) if handle and handle.state else array

    # ------------------------------------------------------------------- tracing

    def trace_restore(self) -> None:
        """Runs the part of the model that restores its variables, to see which gets what.

        A model whose restore part is not understood is left to the names of its variables.
        """
        self.traced = True
        runner, restore = self.runner, self.runner.model.restore
        frame = runner.aside("restore")
        for name in self.assignments(restore):
            problems, self.tracing = len(runner.problems), True
            with suppress(ConversionError):
                runner.require(frame, name)
            self.tracing = False
            del runner.problems[problems:]

    def assignments(self, restore: str) -> list[str]:
        """The node `restore`, or the nodes that it groups (by control inputs)."""
        nodes, found, stack = self.runner.main.nodes, dict[str, None](), [restore]
        while stack:
            name = stack.pop()
            if name in found or name not in nodes:
                continue
            found[name] = None
            stack += [item[1:] for item in nodes[name].inputs if item[:1] == "^"]
        return list(found)

    def trace(self, frame: Frame) -> None:
        """Runs the assignments of a function that is called while tracing."""
        if self.tracing:
            for node in frame.nodes.values():
                if node.op in _ASSIGN or node.op in ("PartitionedCall", "StatefulPartitionedCall"):
                    self.runner.require(frame, node.name)

    def assign(self, variable: Handle, value: Any) -> None:
        if isinstance(value, Handle) and value.kind == "restored":
            self.restored[variable.name] = value

    # ------------------------------------------------------------------- changes

    def require_unchanged(self, outputs: Sequence[str]) -> None:
        """UnsupportedError if a variable is read that computing `outputs` changes, before or for the next time.

        What only control inputs lead to runs as well, and so does every node of a function that has an effect.
        """
        for variable, node in self.changes(outputs):
            if variable in self.constants:
                what = f"the network changes the variable '{variable}', which it reads, while it runs"
                raise UnsupportedError(what, Origin(self.runner.file, node))

    def changes(self, outputs: Sequence[str]) -> Iterator[tuple[str, str]]:
        """The variables that are changed, each with the node that does it."""
        bodies, seen = [_Body(_reached(self.runner.main.nodes, outputs), {})], set[tuple[str, tuple[str, ...]]]()
        while bodies:
            body = bodies.pop()
            for node in body.nodes.values():
                inputs = tuple(body.variable(item) for item in node.inputs if item[:1] != "^")
                if _CHANGES.fullmatch(node.op) and inputs and inputs[0]:
                    yield inputs[0], node.name
                given = inputs[1:] if node.op in _BRANCHES else inputs
                for name in _called(node):
                    function = self.runner.functions.get(name)
                    if function is not None and (name, given) not in seen:
                        seen.add((name, given))
                        arguments = dict(zip((item.name for item in function.inputs), given, strict=False))
                        bodies.append(_Body({item.name: item for item in function.nodes}, arguments))


@dataclass
class _Body:
    """Nodes, and which variables their arguments are (by name; empty for none)."""

    nodes: Mapping[str, NodeDef]
    arguments: Mapping[str, str]

    def variable(self, reference: str) -> str:
        """The variable that `reference` is, back through copies; empty if it is none."""
        for _ in range(len(self.nodes) + 1):
            name = reference.partition(":")[0]
            node = self.nodes.get(name)
            if reference.removesuffix(":0") in self.arguments or node is None:
                return self.arguments.get(reference.removesuffix(":0"), "")
            if node.op in ("VarHandleOp", "VariableV2", "Variable"):
                shared = node.attributes.get("shared_name") if node.op == "VarHandleOp" else None
                return shared if isinstance(shared, str) and shared else name
            if node.op not in ("Identity", "Enter", "RefIdentity", "RefEnter", "Switch") or not node.inputs:
                return ""
            reference = node.inputs[0]
        return ""


def _reached(nodes: Mapping[str, NodeDef], outputs: Sequence[str]) -> dict[str, NodeDef]:
    """What `outputs` depend on, by data or by order."""
    found, stack = dict[str, NodeDef](), list(outputs)
    while stack:
        name = stack.pop().lstrip("^").partition(":")[0]
        if name not in found and name in nodes:
            found[name] = nodes[name]
            stack += nodes[name].inputs
    return found


def _called(node: NodeDef) -> Iterator[str]:
    """The functions that a node names, or is."""
    yield node.op
    for value in node.attributes.values():
        parts = value if isinstance(value, tuple) else (value,)
        yield from (part.name for part in parts if isinstance(part, FunctionName))


def _sliced(array: np.ndarray, spec: str) -> np.ndarray:
    """The part of a variable that RestoreV2's `shape_and_slices` names: "10 4 0,5:-" (start,length; - is all)."""
    match = _SLICE.fullmatch(spec)
    if match is None:
        raise ConversionError(f"'{spec:.80}' names no part of a variable")
    parts = [None if part == "-" else tuple(map(int, part.split(","))) for part in match["parts"].split(":")]
    return array[tuple(slice(None) if part is None else slice(part[0], part[0] + part[1]) for part in parts)]


# ----------------------------------------------------------------- the operators


@tf_op("VarHandleOp")
def var_handle(g: TFBuilder, *, shared_name: str = "", dtype: Any = None, shape: Shape | None = None) -> Handle:
    return Handle("variable", shared_name or g.origin.layer, None, dtype, shape)


@tf_op("VariableV2", "Variable")
def variable(g: TFBuilder, *, dtype: Any, shape: Shape | None = None, shared_name: str = "") -> Any:
    """A TF 1 variable: its output is a reference, which every operator may read as a tensor."""
    variables: Variables = g.reader.variables
    if variables.tracing:
        return Handle("variable", g.origin.layer, None, dtype, shape)
    return variables.constant(g, g.origin.layer, dtype, shape)


@tf_op("ReadVariableOp", handles=True)
def read_variable(g: TFBuilder, resource: Handle) -> Value:
    if not isinstance(resource, Handle) or resource.kind != "variable":
        raise ConversionError("what should be a variable is none", g.origin)
    found: Value = g.reader.variables.constant(g, resource.name, resource.dtype, resource.shape)
    return found


@tf_op("ResourceGather", handles=True)
def resource_gather(g: TFBuilder, resource: Handle, indices: Value, *, batch_dims: int = 0) -> Value:
    if batch_dims:
        raise g.unsupported("batch_dims")
    y: Value = g.Gather(read_variable(g, resource), indices, axis=0)
    return y


@tf_op("ResourceGatherNd", handles=True)
def resource_gather_nd(g: TFBuilder, resource: Handle, indices: Value) -> Value:
    y: Value = g.GatherND(read_variable(g, resource), g.cast(indices, np.int64))
    return y


@tf_op("VariableShape", handles=True)
def variable_shape(g: TFBuilder, resource: Handle, *, out_type: Any = np.int32) -> Value:
    return g.cast(g.Shape(read_variable(g, resource)), out_type)


@tf_op("Assign", "AssignVariableOp", handles=True)
def assign(g: TFBuilder, resource: Handle, value: Any) -> Any:
    """Only what restores variables is understood; a network that changes them while it runs is not one function."""
    if not g.reader.variables.tracing or not isinstance(resource, Handle):
        raise g.unsupported("the network changes a variable while it runs")
    g.reader.variables.assign(resource, value)
    return value


@tf_op("RestoreV2")
def restore(g: TFBuilder, prefix: Value, tensor_names: Value, shape_and_slices: Value, *, dtypes: Any = ()) -> Any:
    """One handle for each tensor of the checkpoint, by its key."""
    if not g.reader.variables.tracing:
        raise g.unsupported("the network reads files")
    names = [_text(item) for item in g.static(tensor_names, "the list of variables").ravel()]
    slices = [_text(item) for item in g.static(shape_and_slices, "the list of slices").ravel()]
    return tuple(Handle("restored", name, part) for name, part in zip(names, slices, strict=True))


def _text(item: Any) -> str:
    return item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item)
