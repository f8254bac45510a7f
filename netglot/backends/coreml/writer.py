"""Writes a graph as a Core ML ML Program: the MIL program, its weights file, and the package around both."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from netglot.backends import lowering
from netglot.backends.composed import compose
from netglot.backends.coreml.context import (
    MAX_RANK,
    MIL_TYPES,
    TARGETS,
    CoreMLBuilder,
    NewerTargetError,
    Var,
    is_open,
    mil_type,
)
from netglot.backends.coreml.control import MOST_STEPS
from netglot.backends.coreml.half import halve
from netglot.backends.coreml.package import write_package
from netglot.backends.coreml.selection import BY_DATA
from netglot.backends.coreml.weights import DEQUANTIZE, QUANTIZE, prepare_weights
from netglot.backends.lowering import NotMappedError
from netglot.coreml_import import coremltools, quiet
from netglot.errors import ConversionError, Problem, UnsupportedError
from netglot.ir import types
from netglot.ir.graph import Graph, Node, Value
from netglot.ir.schema import schema
from netglot.passes.control import lower_control
from netglot.registry import Operator

NAMES, TYPES = "netglot.names", "netglot.types"  # keys of the metadata, read by the Core ML runtime and frontend


def save(
    graph: Graph, path: Path, quantize: str | None = None, *, keep: Collection[str] = (), inside: Collection[str] = (),
) -> int:  # fmt: skip
    """Writes `graph` as the package `path`, for the oldest iOS that has all it needs; returns the number of operations.

    With quantize "fp16" weights and arithmetic are float16; inputs and outputs stay as they are, and so do the values
    that `keep` names: what computes or reads them does that in float32 (those that `inside` names, too, are only
    computed so). Quantised and compressed weights
    (DequantizeLinear, netglot.Palette and netglot.Sparse of constants) stay so, in Core ML's own forms.

    Core ML takes no names that are not identifiers, no scalars, and only float32, float16 and int32: what an input or
    output is called, and its true type, are in the metadata (netglot.names, netglot.types).
    """
    if quantize not in (None, "fp16"):
        raise ConversionError(f"Core ML can't be written with --quantize {quantize}", hint="fp16 is possible.")
    lower_control(graph, MOST_STEPS, select=True)
    prepare_weights(graph)
    known = set(graph.nodes())
    refused = compose(graph, "coreml")
    kept = {*keep, *_composed(graph, keep, known)}
    _warn_of_open(graph)
    with quiet():
        interface = _Interface(graph)
        program, target, full = _program(graph, interface, refused, (kept, kept.difference(inside)))
        if quantize == "fp16":
            halve(program, full)
        _unique_names(program, interface.names)
        write_package(path, lambda weights: _spec(program, target, weights, interface.metadata()))
    return sum(op.op_type != "const" for op in program.functions["main"].operations)


_Kept = tuple[set[str], set[str]]  # names of what is computed, and of what is read, in float32


def _composed(graph: Graph, keep: Collection[str], known: Collection[Node]) -> set[str]:
    """The values on the way to one of `keep` that composing made of one operator (all but the `known` ones)."""
    reached: set[str] = set()
    for node in reversed(graph.nodes()):
        outputs = {value.name for value in node.outputs}
        if node not in known and not (reached.isdisjoint(outputs) and outputs.isdisjoint(keep)):
            makers = {value: graph.producer(value) for value in node.inputs if value is not None}
            reached.update(value.name for value, maker in makers.items() if maker is not None and maker not in known)
    return reached


def _warn_of_open(graph: Graph) -> None:
    """Core ML has no empty tensors as far as is known, and off a Mac nobody can see what it does."""
    found = [node for node in graph.nodes() if node.op in BY_DATA]
    for node in found:
        what = f"how much {node.op} finds is known only when the model runs; Core ML may fail where that is nothing"
        graph.warnings.append(Problem(what, node.origin))


def _program(
    graph: Graph, interface: _Interface, refused: Mapping[Node, str], keep: _Kept
) -> tuple[Any, str, set[Any]]:
    """The MIL program, the deployment target that it needs, and the operations that compute or read what to `keep`."""
    target = "iOS16" if any(value.dtype == np.float16 for value in (*graph.inputs, *graph.outputs)) else TARGETS[0]
    while True:
        try:
            building = _Program(graph, interface, target, keep)
            return building.build(refused), target, building.full
        except NewerTargetError as newer:
            target = newer.target


class _Program:
    """The Vars of the graph's values while its nodes are walked."""

    def __init__(self, graph: Graph, interface: _Interface, target: str, keep: _Kept) -> None:
        self.graph, self.interface, self.keep = graph, interface, keep
        self.m = CoreMLBuilder(target)
        self.vars: dict[Value, Var] = {}
        self.left: set[Var] = set()  # the outputs so far
        self.full: set[Any] = set()  # the operations that touch what `keep` names

    def build(self, refused: Mapping[Node, str]) -> Any:
        mil = coremltools("converters.mil.mil")
        mil.Builder.name_count.clear()  # it numbers by process; equal graphs should give equal files
        _check_interface(self.graph)
        placeholders = {name: self._placeholder(value) for name, value in self.interface.inputs}
        version = getattr(coremltools().target, self.m.target)
        with mil.Function(placeholders, opset_version=version) as function:
            for name, value in self.interface.inputs:
                with self._kept([], [value]):
                    self.vars[value] = self._entered(value, function.inputs[name])
            lowering.lower(self.graph, "coreml", self._call, refused)
            function.set_outputs([self._left(name, value) for name, value in self.interface.outputs])
        program = mil.Program()
        program.add_function("main", function)
        return program

    # --------------------------------------------------------------- interface

    def _placeholder(self, value: Value) -> Any:
        mil_types = coremltools("converters.mil.mil.types")
        stored = {"fp32": mil_types.fp32, "fp16": mil_types.fp16}.get(MIL_TYPES[_dtype(value)], mil_types.int32)
        return coremltools("converters.mil.mil").Builder.placeholder(shape=value.sizes or (1,), dtype=stored)

    def _entered(self, value: Value, var: Var) -> Var:
        """The input as the graph means it: bool from int32, a scalar from its only element."""
        if not value.sizes:
            var = self.m.squeeze(x=var, axes=[0])
        return self.m.cast(x=var, dtype="bool") if value.dtype == np.bool_ else var

    def _left(self, name: str, value: Value) -> Var:
        """The output as Core ML can give it, under its name."""
        with self._kept([value], []):
            return self._named(name, value)

    def _named(self, name: str, value: Value) -> Var:
        var = self.m.constant(value.array) if value.is_constant else self.vars[value]
        if value.dtype == np.bool_:
            var = self.m.cast(x=var, dtype="int32")
        if not value.shape:
            var = self.m.expand_dims(x=var, axes=[0])
        if var.op is None or var.op.op_type == "const" or var in self.left:
            var = self.m.identity(x=var)
        var.name = name
        self.left.add(var)
        return var

    @contextmanager
    def _kept(self, read: Sequence[Value | None], made: Sequence[Value]) -> Iterator[None]:
        """What is added inside stays float32 if one of the values that it reads or computes must."""
        before = len(self.m.made)
        yield
        names_made, names_read = self.keep
        read_names = {value.name for value in read if value is not None}
        if not names_made.isdisjoint(value.name for value in made) or not names_read.isdisjoint(read_names):
            self.full.update(self.m.made[before:])

    # ------------------------------------------------------------------- nodes

    def _call(self, operator: Operator, node: Node, arguments: Sequence[Any], attributes: Mapping[str, Any]) -> None:
        _check_node(node, lowering.takes_open_sizes(node, "coreml"))
        if any(value not in self.vars for value in node.inputs if value is not None and not value.is_constant):
            return  # what makes it was refused: lowering.lower goes on only to find what else is
        inputs = [
            self._argument(item, as_var=parameter.annotation is Var)
            for item, parameter in zip(_inputs(node, arguments), operator.positional, strict=False)
        ]
        self.m.outputs = node.outputs
        with self._kept(node.inputs, node.outputs):
            result = self._result(operator, inputs, attributes)
            self._assign(node, list(result) if isinstance(result, tuple | list) else [result])

    def _result(self, operator: Operator, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
        try:
            return operator.function(self.m, *inputs, **attributes)
        except (ValueError, TypeError, NotImplementedError, AssertionError) as refusal:  # MIL's builder checks by these
            raise NotMappedError(" ".join(str(refusal).split())) from None

    def _argument(self, item: Any, as_var: bool) -> Any:
        if isinstance(item, list):
            return [self._argument(value, as_var) for value in item]
        if item is None or not item.is_constant:
            return None if item is None else self.vars[item]
        return self.m.constant(item.array) if as_var else item.array

    def _assign(self, node: Node, results: list[Any]) -> None:
        if len(results) < len(node.outputs):
            raise NotMappedError(f"only its first {len(results)} output(s) exist in Core ML")
        for value, var in zip(node.outputs, results, strict=False):
            var = self.m.constant(var) if isinstance(var, np.ndarray) else var
            if not _agree(var.shape, value.shape) or mil_type(var) != _mil_type(node, value):
                found = f"{mil_type(var)}[{types.text(var.shape)}]"
                raise NotMappedError(f"Core ML's operators give {found} where {value} is due")
            if is_open(var) and types.is_static(value.shape):  # MIL infers less than ONNX here
                var = self.m.reshape(x=var, shape=value.sizes)
            if var.op is not None and var.op.op_type != "const":
                var.name = _identifier(value.name)  # the last name counts; _unique_names settles doublets
            self.vars[value] = var


def _agree(found: Sequence[Any], wanted: types.Shape | None) -> bool:
    """Whether two shapes are equal as far as both are known; MIL's unknown sizes are symbols."""
    both = list(zip(found, wanted or (), strict=False))
    known = [(a, b) for a, b in both if isinstance(a, int | np.integer) and isinstance(b, int)]
    return len(found) == len(wanted or ()) and all(a == b for a, b in known)


def _inputs(node: Node, arguments: Sequence[Any]) -> Sequence[Any]:
    """The arguments without the outputs, of which there is one for each that the schema has."""
    found = schema(node.op, node.domain)
    return arguments[: len(found.inputs)] if found else arguments


def _dtype(value: Value) -> np.dtype:
    if value.dtype not in MIL_TYPES:
        raise NotMappedError(f"'{value.name}' is {value.dtype}; Core ML has float32, float16, int32 and bool")
    return value.dtype


def _mil_type(node: Node, value: Value) -> str:
    """MIL's name for the type of an output of `node`; integers of 8 bits are between quantize and dequantize only."""
    if node.op == QUANTIZE and value.dtype is not None:
        return value.dtype.name
    return MIL_TYPES[_dtype(value)]


def _check_node(node: Node, may_be_open: bool) -> None:
    for value in (*node.inputs, *node.outputs):
        if value is not None and not value.is_constant:
            _check_shape(value, may_be_open)
            if not _is_quantised(node, value):
                _dtype(value)


def _is_quantised(node: Node, value: Value) -> bool:
    """Whether `value` is on the integers' side of a quantising `node`, which knows what it can do."""
    return (node.op == QUANTIZE and value is node.output) or (node.op == DEQUANTIZE and value is node.inputs[0])


def _check_value(value: Value, may_be_open: bool) -> None:
    _dtype(value)
    _check_shape(value, may_be_open)


def _check_shape(value: Value, may_be_open: bool) -> None:
    if value.shape is None or not (may_be_open or types.is_static(value.shape)):
        hint = "give the inputs' shapes with --input NAME:1x3x224x224"
        raise NotMappedError(f"the shape of '{value.name}' is not known: {types.text(value.shape)} ({hint})")
    if 0 in value.shape:
        raise NotMappedError(f"'{value.name}' is empty, {types.text(value.shape)}; Core ML has no empty tensors")
    if value.rank > MAX_RANK:
        raise NotMappedError(f"'{value.name}' has {value.rank} axes; Core ML's tensors have at most {MAX_RANK}")


def _check_interface(graph: Graph) -> None:
    for value in (*graph.inputs, *graph.outputs):
        try:
            _check_value(value, may_be_open=graph.producer(value) is not None)
        except NotMappedError as reason:
            raise UnsupportedError(f"can't be written to coreml: {reason}") from None


# ----------------------------------------------------------------------- names


class _Interface:
    """The Core ML names of a graph's inputs and outputs; one that is no identifier, or that is both, gets another."""

    def __init__(self, graph: Graph) -> None:
        taken: set[str] = set()
        self.inputs = [(_free(_identifier(value.name), taken), value) for value in graph.inputs]
        self.outputs = [(_free(_identifier(value.name), taken), value) for value in graph.outputs]
        self.names = taken

    def metadata(self) -> dict[str, str]:
        """JSON of what Core ML's interface can't say: original names, and types and shapes where they differ.

        A size that is known only when the model runs is null.
        """
        both = [*self.inputs, *self.outputs]
        names = {name: value.name for name, value in both if name != value.name}
        shapes = {name: [size if isinstance(size, int) else None for size in value.shape or ()] for name, value in both}
        kinds = {name: value.dtype for name, value in both}
        changed = [name for name, shape in shapes.items()
                   if not shape or None in shape or kinds[name] in (np.int64, np.bool_)]  # fmt: skip
        types_ = {name: [str(kinds[name]), shapes[name]] for name in changed}
        return {key: json.dumps(item) for key, item in ((NAMES, names), (TYPES, types_)) if item}


def _identifier(name: str) -> str:
    text = re.sub(r"[^A-Za-z0-9_@]", "_", name)
    return text if re.match(r"[A-Za-z_]", text) else f"_{text}"


def _free(name: str, taken: set[str]) -> str:
    """`name`, with a number where that is taken; takes it."""
    unique, number = name, 0
    while unique in taken:
        number += 1
        unique = f"{name}_{number}"
    taken.add(unique)
    return unique


def _unique_names(program: Any, interface: set[str]) -> None:
    """Every Var inside gets a name of its own: MIL's builder numbers them without looking at ours."""
    taken = set(interface)
    function = program.functions["main"]
    kept = {*function.inputs.values(), *function.outputs}
    for operation in function.operations:
        for var in operation.outputs:
            if var not in kept:
                var.name = _free(var.name, taken)
        operation.name = operation.outputs[0].name


# ------------------------------------------------------------------------ spec


def _spec(program: Any, target: str, weights: Path, metadata: Mapping[str, str]) -> bytes:
    """The serialized model; its weights are written into the folder `weights`."""
    version = getattr(coremltools().target, target).value
    load = coremltools("converters.mil.backend.mil.load").load
    _apply_backend(program)
    spec = load(program, weights_dir=str(weights), specification_version=version)
    spec.description.metadata.userDefined.update(metadata)
    return bytes(spec.SerializeToString(deterministic=True))


def _apply_backend(program: Any) -> None:
    """Core ML wants every input to be read."""
    coremltools("converters.mil.backend.nn.passes.handle_unused_inputs")
    coremltools("converters.mil.mil.passes.pass_registry").PASS_REGISTRY["nn_backend::handle_unused_inputs"](program)
