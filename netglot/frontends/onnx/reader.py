"""An ONNX model to the graph, node by node: upgraded to the pinned opset, functions inlined, bodies as graphs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import onnx
from onnx import AttributeProto, defs

from netglot.errors import ConversionError, Origin, Problem, UnsupportedError
from netglot.frontends.onnx import hints
from netglot.frontends.onnx.builder import OnnxBuilder
from netglot.frontends.onnx.file import OnnxFile, read
from netglot.frontends.onnx.scope import LOST, Call, Scope, domain, in_order, is_there, key, require_text
from netglot.frontends.options import LoadOptions, TensorSpec
from netglot.ir.graph import Graph, Value
from netglot.ir.schema import OPSET, attribute
from netglot.ir.types import to_onnx
from netglot.ir.versions import Signature, accepts, carry, signature
from netglot.registry import Operator, SignatureError, registry

OLDEST = 7  # before, broadcasting was an attribute
MAX_NODES = 1_000_000  # with functions inlined: those that call each other grow exponentially
_EQUATION = re.compile(rb"([A-Za-z, ]|\.\.\.)*(->([A-Za-z ]|\.\.\.)*)?")  # onnx's inference hangs on a lone dot
_NO_TENSOR = "sequences and optionals"
_REFUSED = {
    AttributeProto.SPARSE_TENSOR: "sparse tensors", AttributeProto.SPARSE_TENSORS: "sparse tensors",
    AttributeProto.TYPE_PROTO: _NO_TENSOR, AttributeProto.TYPE_PROTOS: _NO_TENSOR,
}  # fmt: skip


def load(path: Path, weights: Path | None = None, options: LoadOptions = LoadOptions()) -> Graph:
    """Reads `path` (.onnx, opset 7 or newer, its external data files beside it) into a Graph.

    Constants are views of the mapped files. `weights` must be None: an ONNX file says itself where they are.
    Raises UnsupportedError with every node that has no form at the pinned opset, ConversionError if the file is bad.
    """
    if weights is not None:
        raise ConversionError("an ONNX model names its weights itself; give one file", Origin(str(weights)))
    return _Reader(read(Path(path)), options).graph()


class _Reader:
    """Walks the nodes of a model, its bodies and functions."""

    def __init__(self, file: OnnxFile, options: LoadOptions) -> None:
        self.file, self.model, self.options, self.path = file, file.model, options, str(file.path)
        self.functions = {key(function): function for function in self.model.functions}
        self.problems: list[Problem] = []
        self.count = 0

    @cached_property
    def hints(self) -> Mapping[str, hints.Type]:
        return hints.inferred(self.model, self.options)

    def graph(self) -> Graph:
        proto = self.model.graph
        require_text([proto.name], Origin(self.path))
        scope = Scope(OnnxBuilder(Graph(proto.name or self.file.path.stem)), self.opsets(self.model.opset_import))
        self.constants(proto, scope)
        for info in proto.input:
            self.add_input(info, scope)
        self.run(proto.node, scope)
        scope.g.graph.outputs = self.outputs(proto, scope)
        if self.problems:
            raise UnsupportedError(self.problems)
        return scope.g.graph

    def opsets(self, imports: Sequence[onnx.OperatorSetIdProto]) -> dict[str, int]:
        versions = {domain(item.domain): item.version for item in imports}
        newest = defs.onnx_opset_version()
        if not OLDEST <= versions.get("", OLDEST) <= newest:
            found = versions[""]
            hint = "Convert it with onnx.version_converter." if found < OLDEST else "It needs a newer onnx package."
            raise ConversionError(f"opset {found} is not one of {OLDEST} to {newest}", Origin(self.path), hint)
        return versions

    # ------------------------------------------------------- inputs and outputs

    def constants(self, proto: onnx.GraphProto, scope: Scope) -> None:
        for sparse in proto.sparse_initializer:
            self.problems.append(Problem("sparse tensors are not supported", Origin(self.path, sparse.values.name)))
            scope.values[sparse.values.name] = LOST
        for tensor in proto.initializer:
            origin = Origin(self.path, tensor.name)
            scope.define(tensor.name, scope.g.constant(self.file.array(tensor, origin), name=tensor.name), origin)

    def add_input(self, info: onnx.ValueInfoProto, scope: Scope) -> None:
        origin = Origin(self.path, info.name)
        dtype, shape = hints.declared(info, origin)
        if dtype is None:
            raise ConversionError(f"the input '{info.name}' has no type", origin)
        if info.name in scope.values and self.keeps_initializer(info.name, scope):
            return
        wanted = self.options.inputs.get(info.name, TensorSpec()).dtype or dtype
        self.options.note_batch(scope.g.graph, info.name, shape)
        value = scope.g.graph.add_input(info.name, wanted, self.options.shape(info.name, shape))
        scope.define(info.name, value, origin)
        if wanted != dtype:
            scope.values[info.name] = scope.g.Cast(value, to=to_onnx(dtype))

    def keeps_initializer(self, name: str, scope: Scope) -> bool:
        """Whether an input is no input, as its initializer is the default; the user may ask for it by name."""
        value = scope.values[name]
        if is_there(value) and not value.is_constant:
            raise ConversionError(f"there are two inputs '{name}'", Origin(self.path, name))
        if name not in self.options.inputs or not is_there(value):
            return True
        scope.g.graph.remove_value(value)
        del scope.values[name]
        return False

    def outputs(self, proto: onnx.GraphProto, scope: Scope) -> list[Value]:
        found: list[Value] = []
        for info in proto.output:
            origin = Origin(self.path, info.name)
            hints.declared(info, origin)
            value = scope.find(info.name, origin)
            if value in found and not scope.outer:
                raise ConversionError(f"the output '{info.name}' is there twice", origin)
            found += [value] if is_there(value) else []
        return found

    # -------------------------------------------------------------------- nodes

    def run(self, nodes: Sequence[onnx.NodeProto], scope: Scope) -> None:
        for node in in_order(nodes, self.path):
            self.count += 1
            if self.count > MAX_NODES:
                raise ConversionError(f"more than {MAX_NODES:,} nodes, functions inlined", Origin(self.path))
            require_text([node.name, node.op_type, node.domain, *(a.name for a in node.attribute)], Origin(self.path))
            origin = Origin(self.path, node.name or next((name for name in node.output if name), node.op_type))
            with scope.g.at(origin):
                self.add_node(node, scope, origin)

    def add_node(self, node: onnx.NodeProto, scope: Scope, origin: Origin) -> None:
        inputs = [scope.find(name, origin) if name else None for name in node.input]
        call = Call(node, key(node), inputs, scope.resolve(node.attribute), scope, origin)
        results = [LOST] * len(node.output) if LOST in inputs else self.try_call(call)
        for name, value in zip(node.output, results, strict=False):
            if name:
                self.fill_in(scope.define(name, value, origin), name, scope)

    def try_call(self, call: Call) -> Sequence[Value | None]:
        try:
            return self.call(call)
        except UnsupportedError as error:
            self.problems += error.problems
            return [LOST] * len(call.node.output)
        except SignatureError as error:
            raise ConversionError(str(error), call.origin) from None
        except (ValueError, TypeError, IndexError, OverflowError) as error:
            raise ConversionError(f"{call.name} is malformed: {error}", call.origin) from None

    def call(self, call: Call) -> Sequence[Value | None]:
        if call.key in self.functions:
            return self.inline(call, self.functions[call.key])
        version = call.scope.opsets.get(call.key[0])
        if version is None:
            raise ConversionError(f"the model has no opset for the domain '{call.key[0] or 'ai.onnx'}'", call.origin)
        operator = registry.find("onnx", call.name, version)
        old = signature(call.key[1], call.key[0], version)
        if old is not None:
            _check_attributes(call, old)
        if operator is not None and (old is None or old.since < operator.options["until"]):
            return self.upgrade(call, operator)
        new = signature(call.key[1], "", OPSET) if not call.key[0] else None
        if old is None or new is None:
            raise UnsupportedError(_unknown(call))
        if not all(formal.holds_tensors for formal in [*new.inputs, *new.outputs]):
            raise UnsupportedError(call.problem(f"{call.name}: {_NO_TENSOR} are not supported"))
        return self.carry(call, old, new)

    def upgrade(self, call: Call, operator: Operator) -> Sequence[Value]:
        g, attributes = call.scope.g, self.attributes(call)
        g.operator, g.outputs = call.key[1], len(call.node.output)
        result = operator(g, call.inputs, attributes)
        results = result if isinstance(result, tuple) else (result,)
        more = [name for name in call.node.output[len(results) :] if name]
        if more:
            raise UnsupportedError(call.problem(f"{call.name}: the output {', '.join(more)} is not supported"))
        return results

    def carry(self, call: Call, old: Signature, new: Signature) -> Sequence[Value]:
        unmade = [None] * len(call.node.output)
        if not accepts(old, call.inputs, unmade):
            found = ", ".join(str(value) if value is not None else "-" for value in call.inputs)
            raise ConversionError(f"{call.name} does not accept its inputs ({found})", call.origin)
        carried = carry(old, new, self.attributes(call), call.inputs, unmade)
        if carried is None:
            what = f"{call.name} of opset {old.since} has no form at opset {OPSET}"
            raise UnsupportedError(call.problem(what))
        result = call.scope.g.op(call.key[1], call.inputs, outputs=len(unmade), **carried)
        return result if isinstance(result, tuple) else (result,)

    def fill_in(self, value: Value | None, name: str, scope: Scope) -> None:
        """Takes the type from inference over the whole model where that of the node alone leaves it open."""
        if is_there(value) and scope.outer is None and scope.named and not hints.is_known(value):
            hints.merge(value, self.hints.get(name, (None, None)))

    # ------------------------------------------- attributes, bodies and functions

    def attributes(self, call: Call) -> dict[str, Any]:
        return {name: self.attribute(call, proto) for name, proto in call.attributes.items()}

    def attribute(self, call: Call, proto: AttributeProto) -> Any:
        if proto.type in _REFUSED:
            raise UnsupportedError(call.problem(f"{call.name}: {_REFUSED[proto.type]} are not supported"))
        if proto.type == AttributeProto.TENSOR:
            return self.file.array(proto.t, call.origin)
        if proto.type == AttributeProto.GRAPH:
            return self.body(call, proto.g)
        return attribute(proto)

    def body(self, call: Call, proto: onnx.GraphProto) -> Graph:
        """The graph of an If, Loop or Scan; it may read what is in scope."""
        outer = call.scope
        scope = Scope(OnnxBuilder(Graph(proto.name)), outer.opsets, outer=outer, bound=outer.bound, calls=outer.calls)
        self.constants(proto, scope)
        fed = hints.body_inputs(call.key[1], proto, call.inputs, call.origin)
        for info, (dtype, shape) in zip(proto.input, fed, strict=True):
            value = scope.g.graph.add_value(info.name, dtype, shape)
            scope.g.graph.inputs.append(value)
            scope.define(info.name, value, call.origin)
        self.run(proto.node, scope)
        scope.g.graph.outputs = self.outputs(proto, scope)
        return scope.g.graph

    def inline(self, call: Call, function: onnx.FunctionProto) -> list[Value | None]:
        if call.key in call.scope.calls:
            raise ConversionError(f"the function '{function.name}' calls itself", call.origin)
        if len(call.inputs) > len(function.input):
            raise ConversionError(f"the function '{function.name}' has {len(function.input)} inputs", call.origin)
        bound = {proto.name: proto for proto in function.attribute_proto} | dict(call.attributes)
        opsets = self.opsets(function.opset_import) or call.scope.opsets
        scope = replace(
            call.scope, opsets=opsets, values=dict.fromkeys(function.input), outer=None, bound=bound, named=False,
            calls=(*call.scope.calls, call.key),
        )  # fmt: skip
        scope.values.update(zip(function.input, call.inputs, strict=False))
        self.run(function.node, scope)
        return [scope.find(name, call.origin) for name in function.output]


def _check_attributes(call: Call, old: Signature) -> None:
    """Names and kinds of the attributes as the schema of the file's opset has them."""
    unknown = [name for name in call.attributes if name not in old.attributes]
    if unknown:
        raise SignatureError(f"{call.name} has no attribute {', '.join(unknown)}")
    wrong = [name for name, proto in call.attributes.items() if proto.type != old.attributes[name]]
    if wrong:
        raise SignatureError(f"{call.name}: the attribute {', '.join(wrong)} is of the wrong kind")
    missing = old.required - call.attributes.keys()
    if missing:
        raise SignatureError(f"{call.name} needs {', '.join(sorted(missing))}")
    if call.key[1] == "Einsum" and not _EQUATION.fullmatch(call.attributes["equation"].s):
        raise SignatureError(f"Einsum: {call.attributes['equation'].s!r} is no equation")


def _unknown(call: Call) -> Problem:
    near = registry.near("onnx", call.name)
    hint = (f"Near: {', '.join(near)}. " if near else "") + "Map it in a file of your own: --plugin FILE.py"
    return call.problem(f"the operator '{call.name}' is not supported", hint)
