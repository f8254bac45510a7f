"""An ML Program to the graph, operation by operation (MIL.proto of the coremltools package is the specification)."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from types import UnionType
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from netglot.errors import ConversionError, Origin, Problem, UnsupportedError
from netglot.frontends.coreml.builder import MIL, NONSENSE, CoreMLBuilder
from netglot.frontends.coreml.package import Blobs
from netglot.frontends.coreml.values import CONVERT, constant, tensor_type
from netglot.frontends.options import LoadOptions
from netglot.ir.graph import Graph, Value
from netglot.ir.types import text
from netglot.registry import Operator, SignatureError, registry

if TYPE_CHECKING:
    from netglot.frontends.coreml.interface import Interface

UNKNOWN = object()  # what an unsupported operation gives
_TYPES = ("float32", "float16", "int32", "int64", "bool")  # what our own metadata may name


def read_program(model: Any, blobs: Blobs, options: LoadOptions, interface: Interface) -> Graph:
    """The function that runs by default (others, of a multifunction package, are not read)."""
    name = model.description.defaultFunctionName or "main"
    function = model.mlProgram.functions.get(name)
    block = function.block_specializations.get(function.opset) if function is not None else None
    if block is None:
        raise ConversionError(f"the program has no function '{name}' that can be read", Origin(interface.file))
    return _Program(model, blobs, options, interface).read(function, block)


class _Program:
    """Values by their name in the program while the operations are walked in order."""

    def __init__(self, model: Any, blobs: Blobs, options: LoadOptions, interface: Interface) -> None:
        self.model, self.blobs, self.options, self.interface = model, blobs, options, interface
        self.g = CoreMLBuilder(Graph("coreml"))
        self.scope: dict[str, Any] = {}  # a Value, a constant (array, string, list), or UNKNOWN
        self.named: set[Value] = set()  # what has a name of the program already
        self.tensors: dict[int, Value] = {}  # constants that are tensors already, by the id of their array
        self.problems: list[Problem] = []

    def read(self, function: Any, block: Any) -> Graph:
        for item in function.inputs:
            value = self.scope[item.name] = self.add_input(item)
            self.named |= {value, *self.g.graph.inputs}
        for operation in block.operations:
            self.add(operation)
        if self.problems:
            raise UnsupportedError(self.problems)
        wanted = [feature.name for feature in self.features("output")] or list(block.outputs)
        known = [name for name in wanted if name in block.outputs] or list(block.outputs)
        for name in known:
            self.g.add_output(self.output(name), self.interface.name(name))
        return self.g.graph

    def features(self, kind: str) -> Sequence[Any]:
        description = self.model.description
        found = [item for item in description.functions if item.name == description.defaultFunctionName]
        return list(getattr(found[0] if found else description, kind))

    # --------------------------------------------------------------- interface

    def add_input(self, item: Any) -> Value:
        """An input of the graph, brought to the type that the program declares."""
        where = self.origin(item.name)
        dtype, declared = tensor_type(item.type, where)
        name = self.interface.name(item.name)
        shape = self.options.shape(name, self.default_shape(item.name, declared))
        if shape is None or not all(isinstance(n, int) for n in shape):
            raise ConversionError(f"the shape of the input '{name}' is open: {text(shape)}", where,
                                  hint=f"Give it: --input {name}:1x3x224x224")  # fmt: skip
        kind, sizes = self.true_type(item.name, dtype, shape)
        value = self.g.graph.add_input(name, kind, sizes)
        with self.g.at(where):
            x = value if kind == dtype else self.g.Cast(value, to=_onnx(dtype))
            return x if sizes == shape else self.g.Reshape(x, np.array(shape, np.int64))

    def default_shape(self, name: str, declared: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """`declared`, its open sizes filled from the description's."""
        described = next((f.type.multiArrayType.shape for f in self.features("input") if f.name == name), ())
        if None not in declared or len(described) != len(declared):
            return declared
        return tuple(int(n) if size is None else size for n, size in zip(described, declared, strict=True))

    def true_type(self, name: str, dtype: np.dtype, shape: Any) -> tuple[np.dtype, Any]:
        """What our own metadata says of an input or output, checked; otherwise what the program says."""
        found = self.interface.types.get(name)
        if found is None:
            return dtype, shape
        kind, sizes = found if isinstance(found, list) and len(found) == 2 else (None, None)
        if kind not in _TYPES or not isinstance(sizes, list) or not (sizes == [] or _agree(sizes, shape)):
            raise ConversionError(f"the metadata gives '{name}' the type {found}", self.origin(name))
        return np.dtype(kind), shape if sizes else ()

    def output(self, name: str) -> Value:
        value = self.tensor(self.lookup(name, self.origin(name)))
        with self.g.at(self.origin(name)):
            shape = tuple(size if isinstance(size, int) else None for size in value.shape or ())
            kind, sizes = self.true_type(name, value.dtype or np.dtype("float32"), shape)
            value = value if sizes == shape else self.g.Squeeze(value, [0])
            return value if kind == value.dtype else self.g.Cast(value, to=_onnx(kind))

    # -------------------------------------------------------------- operations

    def add(self, operation: Any) -> None:
        name = _attribute_text(operation, "name") or ", ".join(item.name for item in operation.outputs)
        where = self.origin(name)
        with self.g.at(where):
            if operation.type == "const":
                for item in operation.outputs:
                    self.scope[item.name] = constant(operation.attributes["val"], self.blobs, where)
                return
            operator = registry.find(MIL, operation.type)
            if operator is None:
                self.problems.append(self.unsupported(operation, where))
            arguments = self.arguments(operation, where)
            known = operator is not None and not any(_is_unknown(item) for item in arguments.values())
            results = self.call(operator, arguments) if operator and known else [UNKNOWN] * len(operation.outputs)
            self.assign(operation, results, where)

    def arguments(self, operation: Any, where: Origin) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, argument in operation.inputs.items():
            items = [self.bound(binding, where) for binding in argument.arguments]
            found[name] = items if len(items) != 1 else items[0]
        for name, value in operation.attributes.items():
            if name != "name":
                found.setdefault(name, constant(value, self.blobs, where))
        return found

    def bound(self, binding: Any, where: Origin) -> Any:
        if binding.WhichOneof("binding") == "value":
            return constant(binding.value, self.blobs, where)
        return self.lookup(binding.name, where)

    def lookup(self, name: str, where: Origin) -> Any:
        if name not in self.scope:
            hint = "A cycle, or a cut file."
            raise ConversionError(f"'{name}' is read, and nothing before computes it", where, hint)
        return self.scope[name]

    def call(self, operator: Operator, arguments: dict[str, Any]) -> list[Any]:
        given = {name: self.convert(operator, name, item) for name, item in arguments.items()}
        try:
            result = operator(self.g, (), given)
        except SignatureError as error:
            raise UnsupportedError(f"MIL's {error}", self.g.origin) from None
        except NONSENSE as error:
            raise ConversionError(f"the parameters of {operator.op} make no sense: {error}", self.g.origin) from None
        return list(result) if isinstance(result, tuple | list) else [result]

    def convert(self, operator: Operator, name: str, item: Any) -> Any:
        """An argument as the parameter's annotation wants it."""
        parameter = operator.attributes.get(name)
        kinds = _kinds(parameter)
        if Any in kinds:
            return item
        if list[Value] in kinds:
            return [self.tensor(part) for part in (item if isinstance(item, list) else [item])]
        if Value in kinds and (isinstance(item, Value) or len(kinds) == 1):
            return self.tensor(item)
        if isinstance(item, Value):
            raise UnsupportedError(f"{operator.op}: '{name}' must be constant, and is computed", self.g.origin)
        try:
            return CONVERT[kinds[0]](item)
        except (ValueError, TypeError) as error:
            raise ConversionError(f"{operator.op}: '{name}': {error}", self.g.origin) from None

    def tensor(self, item: Any) -> Value:
        """A Value for `item`; a constant becomes one where a tensor is asked for, the same for the same constant."""
        if isinstance(item, Value):
            return item
        if not isinstance(item, np.ndarray):
            raise ConversionError(f"a tensor is wanted where the program has {item!r}", self.g.origin)
        if id(item) not in self.tensors:
            self.tensors[id(item)] = self.g.constant(item)
        return self.tensors[id(item)]

    def assign(self, operation: Any, results: list[Any], where: Origin) -> None:
        if len(results) < len(operation.outputs):
            raise ConversionError(f"{operation.type} has {len(results)} results, the program names more", where)
        for item, result in zip(operation.outputs, results, strict=False):
            self.scope[item.name] = self.declared(item, result, where) if isinstance(result, Value) else result

    def declared(self, item: Any, value: Value, where: Origin) -> Value:
        """`value` as the program declares it: in its element type, under its name; its shape must agree."""
        dtype, shape = tensor_type(item.type, where)
        if value.dtype != dtype:
            value = self.g.Cast(value, to=_onnx(dtype))
        found = value.shape or ()
        if len(found) != len(shape) or any(b is not None and a != b for a, b in zip(found, shape, strict=True)):
            raise ConversionError(f"'{item.name}' is declared {text(shape)} and computed {text(value.shape)}", where)
        if value.is_constant or value in self.named:
            return value
        self.named.add(value)
        return self.g.rename(value, item.name)

    def origin(self, name: str) -> Origin:
        return Origin(self.interface.file, name)

    def unsupported(self, operation: Any, where: Origin) -> Problem:
        near = registry.near(MIL, operation.type)
        shapes = ", ".join(text(tensor_type(item.type, where)[1]) for item in operation.outputs
                           if item.type.WhichOneof("type") == "tensorType")  # fmt: skip
        hint = f"Near: {', '.join(near)}." if near else ""
        return Problem(f"the MIL operation '{operation.type}' is not supported", where, f"-> {shapes}", hint)


def _kinds(parameter: inspect.Parameter | None) -> tuple[Any, ...]:
    """The alternatives of a parameter's annotation; an unknown parameter takes anything, and the driver refuses it."""
    if parameter is None:
        return (Any,)
    parts = tuple(part for part in get_args(parameter.annotation) if part is not type(None))
    is_union = isinstance(parameter.annotation, UnionType)
    return parts if is_union else (parameter.annotation,)


def _agree(sizes: Sequence[Any], shape: Sequence[Any]) -> bool:
    """Whether two shapes are equal as far as both are known."""
    both = list(zip(sizes, shape, strict=False))
    return len(sizes) == len(shape) and all(a == b for a, b in both if a is not None and b is not None)


def _is_unknown(item: Any) -> bool:
    return item is UNKNOWN or (isinstance(item, list) and any(part is UNKNOWN for part in item))


def _attribute_text(operation: Any, name: str) -> str:
    value = operation.attributes.get(name)
    return "".join(value.immediateValue.tensor.strings.values) if value is not None else ""


def _onnx(dtype: np.dtype) -> int:
    from netglot.ir.types import to_onnx

    return to_onnx(dtype)
