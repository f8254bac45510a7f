"""An exported program to the graph, call by call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from keyword import iskeyword
from pathlib import Path
from typing import Any

import numpy as np

from netglot.errors import ConversionError, Origin, Problem, UnsupportedError
from netglot.frontends.options import LoadOptions, TensorSpec
from netglot.frontends.pytorch import aliases
from netglot.frontends.pytorch.arguments import BodyRef, Ref
from netglot.frontends.pytorch.builder import COMPLEX, Complex, TorchBuilder
from netglot.frontends.pytorch.program import Body, Call, Meta, Program
from netglot.ir.graph import Graph, Value
from netglot.ir.types import Shape, text
from netglot.registry import Operator, SignatureError, registry

# Where a tensor lies, not what it holds.
_PLACE = {"device", "layout", "pin_memory", "non_blocking", "memory_format"}
# What is checked while a program runs: what netglot must know of it, the shapes already say.
ASSERTIONS = {
    "aten._assert_async.default", "aten._assert_async.msg", "aten._assert_scalar.default",
    "aten._assert_tensor_metadata.default", "aten.sym_constrain_range.default",
    "aten.sym_constrain_range_for_size.default", "aten._functional_assert_async.msg", "aten._print.default",
    "aten._functional_assert_scalar.default", "profiler._record_function_exit._RecordFunction",
    "profiler._record_function_enter_new.default",
}  # fmt: skip

# What works in place is an overload by the same name, but for these.
_TWINS = {
    "aten.pow.Tensor": "aten.pow.Tensor_Tensor", "aten.float_power.Tensor": "aten.float_power.Tensor_Tensor",
    "aten.floor_divide.Tensor": "aten.floor_divide.default", "aten.transpose.default": "aten.transpose.int",
    "aten.ldexp.default": "aten.ldexp.Tensor",
}  # fmt: skip


def operator_of(target: str, format: str = "pytorch") -> tuple[Operator | None, bool]:
    """The function for a target, and whether that is its twin that works in place (`aten.add_.Tensor`)."""
    found = registry.find(format, target)
    if found is not None:
        return found, False
    parts = target.split(".")
    if len(parts) > 1 and parts[1].endswith("_") and not parts[1].endswith("__"):
        functional = ".".join([parts[0], parts[1][:-1], *parts[2:]])
        return registry.find(format, _TWINS.get(functional, functional)), True
    return None, False


def is_known(target: str) -> bool:
    return target in ASSERTIONS or operator_of(target)[0] is not None


def to_graph(program: Program, options: LoadOptions = LoadOptions()) -> Graph:
    """The graph of a program all of whose calls are known, or UnsupportedError with those that are not."""
    return Reader(program, options).graph()


class Reader:
    """What every name of the program stands for, while the calls are walked in order."""

    def __init__(self, program: Program, options: LoadOptions) -> None:
        self.program, self.options = program, options
        self.g = TorchBuilder(Graph(Path(program.file).stem or "module"), self)
        self.problems: list[Problem] = []

    def graph(self) -> Graph:
        known = self.inputs()
        self.run(self.g, self.program.body, known)
        if self.problems:
            raise UnsupportedError(self.problems)
        for note in [*self.program.notes, *self.changes()]:
            self.g.graph.warnings.append(Problem(note, Origin(self.program.file)))
        for name, item in self.program.outputs:
            self.add_output(name, self.value(self.g, item, known))
        return self.g.graph

    def changes(self) -> Iterator[str]:
        """What the module changes outside itself, which a converted model does not."""
        inputs = {item.name: item for item in self.program.inputs}
        for name in aliases.changed_inputs(self.program.body):
            item = inputs[name]
            what = f"its own '{item.target}' when it runs" if item.kind == "weight" else f"its input '{name}'"
            yield f"the module changes {what}; the converted model does not"

    # ------------------------------------------------------------------- inputs

    def inputs(self) -> dict[str, Any]:
        known: dict[str, Any] = {}
        for item in self.program.inputs:
            if item.kind == "weight":
                known[item.name] = _Weight(item.target)
            elif item.kind == "user":
                known[item.name] = self.input(item.name)
        return known

    def input(self, name: str) -> Value:
        meta = self.program.body.metas.get(name)
        spec = self.options.inputs.get(name, TensorSpec())
        if meta is None:
            return self.g.as_number(self.g.graph.add_input(name, spec.dtype or np.dtype(np.int64), ()))
        shape = self.fitting(name, meta.shape)
        if spec.dtype is not None and spec.dtype != meta.dtype:
            what = f"the program was exported for '{name}' as {meta.dtype}; --input can't make it {spec.dtype}"
            raise ConversionError(what, Origin(self.program.file))
        if meta.dtype.kind == "c":
            what = f"the input '{name}' is complex, which the targets do not have"
            raise UnsupportedError(what, Origin(self.program.file), "Take pairs, and torch.view_as_complex of them.")
        return self.g.graph.add_input(name, meta.dtype, shape)

    def fitting(self, name: str, shape: Shape) -> Shape:
        """The shape that the user wants; a size that was fixed when the program was exported stays."""
        wanted = self.options.shape(name, shape)
        self.options.note_batch(self.g.graph, name, shape)
        if wanted is None or len(wanted) != len(shape) or any(
            isinstance(old, int) and old != new for old, new in zip(shape, wanted, strict=True)
        ):  # fmt: skip
            what = f"the program was exported for '{name}' of the shape {text(shape)}, not {text(wanted)}"
            hint = "Export it with dynamic_shapes, or with an example of the shape you want."
            raise ConversionError(what, Origin(self.program.file), hint)
        for old, new in zip(shape, wanted, strict=True):
            self.check_range(name, old, new)
        return wanted

    def check_range(self, name: str, symbol: Any, size: Any) -> None:
        low, high = self.program.ranges.get(symbol, (0, None)) if isinstance(symbol, str) else (0, None)
        if isinstance(size, int) and (size < low or (high is not None and size > high)):
            what = f"the program was exported for {low} to {high or '...'} along '{symbol}' of '{name}', not {size}"
            raise ConversionError(what, Origin(self.program.file), f"Say another: --batch N or --input {name}:SHAPE")

    def weight(self, weight: _Weight, g: TorchBuilder) -> Value | Complex:
        """The constant of a weight, added to the whole graph when it is first read."""
        if weight.value is None:
            if weight.target not in self.program.weights:
                raise ConversionError(f"the weight '{weight.target}' is missing", Origin(self.program.file))
            array = self.program.weights[weight.target]
            pairs = array[..., None].view(array.real.dtype) if array.dtype.kind == "c" else array
            value = self.g.graph.add_constant(pairs, weight.target)
            weight.value = value if pairs is array else Complex(value)
        return weight.value

    # ------------------------------------------------------------------- calls

    def run(self, g: TorchBuilder, body: Body, known: dict[str, Any]) -> list[Any]:
        """Adds what `body` computes; returns what its outputs are. `known`: what its inputs stand for, by name."""
        unsafe = aliases.unsafe_mutations(body, is_inner=body is not self.program.body)
        for i, call in enumerate(body.calls):
            if call.target in ASSERTIONS:
                continue
            origin, g.target = call.origin(self.program.file), call.target
            try:
                with g.at(origin):
                    if i in unsafe:
                        raise g.unsupported(
                            f"changes a tensor that is also seen as '{unsafe[i]}'",
                            "torch can rewrite many such programs, where it is installed; or write it without '_'.",
                        )
                    results = self.call(g, body, call, known)
            except UnsupportedError as error:
                self.problems += error.problems
                results = [None] * len(call.outputs)
            known.update(zip(call.outputs, results, strict=False))
        if g is not self.g and self.problems:
            raise UnsupportedError([])
        return [self.value(g, item, known) for item in body.outputs]

    def call(self, g: TorchBuilder, body: Body, call: Call, known: dict[str, Any]) -> Sequence[Any]:
        operator, in_place = operator_of(call.target)
        if operator is None:
            self.problems.append(self.unknown(call, known))
            return [None] * len(call.outputs)
        lost = [name for name in call.reads() if name in known and known[name] is None]
        if lost and not self.problems:
            raise g.unsupported(f"{call.target} reads '{lost[0]}', which is a result for training only")
        if lost:
            return [None] * len(call.outputs)  # it reads what could not be computed
        metas = [body.metas.get(name) for name in call.outputs]
        g.target, g.metas = call.target, metas
        first = next((body.metas.get(name) for name in call.reads()), None)
        g.is_dense = first is not None and first.is_dense
        arguments = [(name, self.value(g, value, known)) for name, value in call.arguments]
        if any(is_complex(value) for _, value in arguments):
            operator = operator_of(call.target, COMPLEX)[0] or operator
        results = invoke(g, operator, arguments)
        if in_place and isinstance(call.arguments[0][1], Ref):
            if aliases.name_of(call) not in aliases.RESHAPING:
                results = [as_before(g, arguments[0][1], results[0]), *results[1:]]
            known[call.arguments[0][1].name] = results[0]
        self.check(call, metas, results)  # a call that ran a body has left others in g
        return results

    def check(self, call: Call, metas: Sequence[Meta | None], results: Sequence[Any]) -> None:
        """What torch recorded of the outputs is what was computed: the net under every mapping."""
        if len(results) < len([name for name in call.outputs if name]):
            raise ConversionError(f"{call.target} gives {len(call.outputs)} tensors", call.origin(self.program.file))
        for meta, value in zip(metas, results, strict=False):
            if meta is None or not isinstance(value, Value):
                continue
            if value.dtype != meta.dtype or not _agree(value.shape, meta.shape):
                what = f"{call.target} came out as {value.dtype}[{text(value.shape)}]"
                raise ConversionError(
                    f"{what}, torch says {meta.dtype}[{text(meta.shape)}]", call.origin(self.program.file),
                    "This is a fault of netglot; please report it.",
                )  # fmt: skip
            self.refine(value, meta.shape)

    def refine(self, value: Value, shape: Shape) -> None:
        """Sizes that only torch knows. Where the user fixed a size, its symbol is not what the program says."""
        if value.is_constant or self.options.batch or self.options.default_batch or self.options.inputs:
            shape = tuple(dim if isinstance(dim, int) else None for dim in shape)
        if not value.is_constant:
            old = value.shape or (None,) * len(shape)
            value.shape = tuple(o if o is not None else dim for o, dim in zip(old, shape, strict=True))

    def unknown(self, call: Call, known: dict[str, Any]) -> Problem:
        near = registry.near("pytorch", call.target)
        values = [known.get(name) for name in call.reads()]
        shapes = ", ".join(text(value.shape) if isinstance(value, Value) else "?" for value in values)
        hint = f"Near: {', '.join(near)}. " if near else ""
        what = f"the operator '{call.target}' is not supported"
        hint += "Map it in a file of your own: --plugin FILE.py"
        return Problem(what, call.origin(self.program.file), shapes, hint)

    # ------------------------------------------------------------------- values

    def value(self, g: TorchBuilder, item: Any, known: dict[str, Any]) -> Any:
        """A decoded argument with tensors in the place of names."""
        if isinstance(item, Ref):
            if item.name not in known:
                raise ConversionError(f"'{item.name}' is read before it is made", g.origin or Origin(self.program.file))
            found = known[item.name]
            return self.weight(found, g) if isinstance(found, _Weight) else found
        if isinstance(item, BodyRef):
            return item.graph
        if isinstance(item, list):
            return [self.value(g, part, known) for part in item]
        return item

    def invoke_body(self, g: TorchBuilder, body: Body, arguments: Iterable[Any]) -> list[Any]:
        """Adds what a body computes to `g`, for these arguments."""
        names = [item.name for item in body.inputs if isinstance(item, Ref)]
        return self.run(g, body, dict(zip(names, arguments, strict=True)))

    # ------------------------------------------------------------------ outputs

    def add_output(self, name: str, value: Any) -> None:
        graph = self.g.graph
        if isinstance(value, Complex):
            what = f"the output '{name}' is complex, which the targets do not have"
            raise UnsupportedError(what, Origin(self.program.file), "Return torch.view_as_real of it.")
        if value is None:
            raise UnsupportedError(f"the output '{name}' is a result for training only", Origin(self.program.file))
        if not isinstance(value, Value):  # a size that is known by now
            value = self.g.constant(np.array(value))
        if value.is_constant or value in graph.inputs or value in graph.outputs:
            value = self.g.plain("Identity", value)
        if value.name != name:
            if name in graph and graph[name] in (*graph.inputs, *graph.outputs):
                name = graph.unique_name(name)
            elif name in graph:
                graph.rename(graph[name], graph.unique_name(f"{name}/inner"))
            graph.rename(value, name)
        graph.outputs.append(value)


class _Weight:
    """A weight that nothing has read yet."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.value: Value | Complex | None = None


def as_before(g: TorchBuilder, before: Any, result: Any) -> Any:
    """In place, a tensor keeps its type and shape."""
    if isinstance(before, Value) and isinstance(result, Value) and before.dtype is not None:
        result = g.cast(result, before.dtype)
        if before.shape != result.shape:
            result = g.Expand(result, g.Shape(before))
    return result


def is_complex(value: Any) -> bool:
    """Whether an argument is a complex tensor, or a list with one."""
    return any(map(is_complex, value)) if isinstance(value, list) else isinstance(value, (Complex, complex))


def invoke(g: TorchBuilder, operator: Operator, arguments: list[tuple[str, Any]]) -> list[Any]:
    inputs, attributes = _bound(operator, arguments)
    if not operator.options.get("complex") and any(is_complex(value) for _, value in arguments):
        raise g.unsupported("of complex numbers", "View them as pairs of real ones (torch.view_as_real).")
    try:
        result = operator(g, inputs, attributes)
    except SignatureError as error:
        raise UnsupportedError(f"{g.target}: {error}", g.origin) from None
    except (ValueError, ArithmeticError, IndexError, MemoryError, AssertionError) as error:
        raise ConversionError(f"{g.target} with these arguments: {error}", g.origin) from None
    return list(result) if isinstance(result, (tuple, list)) else [result]


def _bound(operator: Operator, arguments: list[tuple[str, Any]]) -> tuple[list[Any], dict[str, Any]]:
    """Arguments by the schema's names to inputs in order and attributes.

    What the schema calls its first tensor (`self`, `input`), the function calls as it likes.
    """
    names = [parameter.name for parameter in operator.positional]
    given: dict[str, Any] = {}
    loose: list[Any] = []
    for name, value in arguments:
        if name == "":
            loose.append(value)
        elif name not in _PLACE or name in operator.attributes:
            is_first = not given and names and name not in names and name not in operator.attributes
            given[names[0] if is_first else f"{name}_" if iskeyword(name) else name] = value
    inputs = [given.pop(name, _default(operator, name)) for name in names[len(loose) :]]
    while inputs and inputs[-1] is _MISSING:
        inputs.pop()
    if _MISSING in inputs:
        missing = names[len(loose) + inputs.index(_MISSING)]
        raise UnsupportedError(f"{operator.op} needs {missing}")
    return [*loose, *inputs], given


_MISSING = object()


def _default(operator: Operator, name: str) -> Any:
    parameter = next(p for p in operator.positional if p.name == name)
    return _MISSING if parameter.default is parameter.empty else parameter.default


def _agree(shape: Shape | None, recorded: Shape) -> bool:
    if shape is None:
        return True
    return len(shape) == len(recorded) and all(
        a == b or not isinstance(a, int) or not isinstance(b, int) for a, b in zip(shape, recorded, strict=True)
    )
