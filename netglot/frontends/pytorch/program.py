"""An exported program as plain data: inputs, calls in order, outputs.

This is the form of torch.export's own file (`model.json` of a .pt2, see torch/_export/serde/schema.py), which the live
program and TorchScript are brought to as well. Nothing here needs torch.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from netglot.errors import ConversionError, Origin
from netglot.frontends.pytorch import symbols
from netglot.frontends.pytorch.arguments import BodyRef, Ref, decode, names, scalar_type
from netglot.ir.types import Dim

_FRAME = re.compile(r'File "([^"]+)", line (\d+)')
_IN_PLACE = re.compile(r"[^_.]_(\.|$)")
_INSIDE = re.compile(r"(^|/)torch/")  # frames of torch itself


@dataclass(frozen=True, slots=True)
class Meta:
    """What torch says of a tensor: its element type and shape; whether it lies in memory in order, from the start."""

    dtype: np.dtype
    shape: tuple[Dim, ...]
    is_dense: bool = True

    @staticmethod
    def of(meta: Mapping[str, Any]) -> Meta:
        shape = tuple(symbols.size(item) for item in meta["sizes"])
        return Meta(scalar_type(int(meta["dtype"])), shape, _is_dense(meta, shape))


def _is_dense(meta: Mapping[str, Any], shape: tuple[Dim, ...]) -> bool:
    """Whether the strides are those of a tensor of static shape that is contiguous in a memory of its own."""
    if "strides" not in meta or symbols.size(meta.get("storage_offset") or {"as_int": 0}) != 0:
        return False
    step = 1
    for dim, stride in zip(reversed(shape), reversed(meta["strides"]), strict=True):
        if not isinstance(dim, int) or (dim != 1 and symbols.size(stride) != step):
            return False
        step *= dim
    return True


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an operator. `arguments`: by the schema's names ("" where there are none); `outputs`: their names.

    `layer` is the path of the module it stands in (`layer1.0.conv1`), `file` and `line` the user's code.
    """

    target: str
    arguments: tuple[tuple[str, Any], ...]
    outputs: tuple[str, ...]
    file: str = ""
    line: int = 0
    layer: str = ""

    def reads(self) -> list[str]:
        return [name for _, value in self.arguments for name in names(value)]

    def origin(self, model: str) -> Origin:
        return Origin(self.file or model, self.layer or (self.outputs[0] if self.outputs else ""), self.line)


@dataclass(frozen=True, slots=True)
class Body:
    """Calls with the names that go in and come out; what torch says of the tensors in between.

    `shared`: the inputs that lie in one memory, in groups.
    """

    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]
    calls: tuple[Call, ...]
    metas: dict[str, Meta] = field(default_factory=dict)
    shared: tuple[frozenset[str], ...] = ()


@dataclass(frozen=True, slots=True)
class Input:
    """`kind`: user, weight, or constant (a Python number that was fixed when the program was exported)."""

    kind: str
    name: str
    target: str = ""  # of a weight: its name in the state dict


@dataclass
class Program:
    """A whole program. `weights`: arrays by their names in the module; `serialised`: the JSON it was read from."""

    body: Body
    inputs: tuple[Input, ...]
    outputs: tuple[tuple[str, Any], ...]  # the name that the user sees, and what is given out
    weights: Mapping[str, np.ndarray]
    ranges: dict[str, tuple[int, int | None]] = field(default_factory=dict)
    examples: dict[str, int] = field(default_factory=dict)  # what open sizes were when the program was exported
    file: str = ""
    serialised: dict[str, Any] | None = None
    notes: list[str] = field(default_factory=list)

    def targets(self) -> set[str]:
        return {call.target for body in self.bodies() for call in body.calls}

    def bodies(self) -> Iterator[Body]:
        waiting = [self.body]
        while waiting:
            body = waiting.pop()
            yield body
            arguments = (value for call in body.calls for _, value in call.arguments)
            waiting += [value.graph for value in arguments if isinstance(value, BodyRef)]


def read(text: bytes | str, weights: Mapping[str, np.ndarray], file: str) -> Program:
    """The program of a `model.json`; ConversionError where it is none."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConversionError(f"the program in it is no JSON: {error}", Origin(file)) from None
    return of_json(data, weights, file)


def of_json(data: dict[str, Any], weights: Mapping[str, np.ndarray], file: str) -> Program:
    """The program of torch's serialised form, as the dicts and lists that JSON makes of it."""
    try:
        return _Reader(data, file).program(weights)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
        what = f"{type(error).__name__}: {error}" if isinstance(error, (KeyError, RecursionError)) else str(error)
        raise ConversionError(f"this is no exported program that netglot knows: {what}", Origin(file)) from None


class _Reader:
    def __init__(self, data: dict[str, Any], file: str) -> None:
        self.data, self.file = data, file
        self.module = data["graph_module"]
        self.notes: list[str] = []

    def program(self, weights: Mapping[str, np.ndarray]) -> Program:
        body = _body(self.module["graph"])
        inputs = tuple(filter(None, (self.input(spec) for spec in self.module["signature"]["input_specs"])))
        body = replace(body, shared=tuple(_shared(body, inputs, weights)))
        outputs = tuple(self.outputs())
        return Program(
            body, inputs, outputs, weights, self.ranges(), self.examples(), self.file, self.data, self.notes
        )  # fmt: skip

    def examples(self) -> dict[str, int]:
        metas = self.module["graph"]["tensor_values"].values()
        sizes = [size["as_expr"] for meta in metas for size in meta["sizes"] if "as_expr" in size]
        given = {symbols.name_of(str(size["expr_str"])): (size.get("hint") or {}).get("as_int") for size in sizes}
        return {name: int(hint) for name, hint in given.items() if isinstance(name, str) and isinstance(hint, int)}

    def ranges(self) -> dict[str, tuple[int, int | None]]:
        found = {}
        for name, limits in (self.data.get("range_constraints") or {}).items():
            high = limits.get("max_val")
            found[str(name)] = (int(limits.get("min_val") or 0), None if high is None else int(high))
        return found

    def input(self, spec: dict[str, Any]) -> Input | None:
        ((kind, item),) = spec.items()
        if kind == "user_input":
            value = decode(item["arg"])
            return Input("user", value.name) if isinstance(value, Ref) else None
        if kind in _WEIGHTS:
            return Input("weight", str(item["arg"]["name"]), str(item[_WEIGHTS[kind]]))
        if kind == "token":
            return None
        if kind == "constant_input":
            return Input("constant", str(item["name"]))
        raise ValueError(f"an input of the kind '{kind}' (an object of a C++ class, say) can't be converted")

    # ------------------------------------------------------------------ outputs

    def outputs(self) -> Iterator[tuple[str, Any]]:
        """What the user gets, by the keys of the dict that the module returns, otherwise by torch's own names."""
        keys = self.keys()
        user = [item for spec in self.module["signature"]["output_specs"] if (item := self.output(spec)) is not None]
        known = len(keys) == len(user)
        for i, value in enumerate(user):
            if isinstance(value, Ref):
                yield (keys[i] if known and keys[i] else value.name), value
            else:
                self.notes.append(f"output {i} of the module is always {value!r}; it was left out")

    def output(self, spec: dict[str, Any]) -> Any:
        ((kind, item),) = spec.items()
        if kind in ("user_output", "loss_output"):
            arg = item["arg"]
            return Ref(str(arg["name"])) if "name" in arg else _or_text(decode(arg))
        if kind in ("buffer_mutation", "parameter_mutation"):
            name = item.get("buffer_name") or item.get("parameter_name")
            self.notes.append(f"the module changes its own '{name}' when it runs; the converted model does not")
        if kind == "user_input_mutation":
            self.notes.append(f"the module changes its input '{item['user_input_name']}'; the converted model does not")
        return None

    def keys(self) -> list[str]:
        for entry in self.module.get("module_call_graph") or ():
            if entry.get("fqn") == "" and entry.get("signature"):
                return list(_leaves(json.loads(entry["signature"]["out_spec"])[1]))
        return []


_WEIGHTS = {
    "parameter": "parameter_name", "buffer": "buffer_name", "tensor_constant": "tensor_constant_name",
}  # fmt: skip


def _or_text(value: Any) -> Any:
    return "None" if value is None else value


def _shared(body: Body, inputs: Sequence[Input], weights: Mapping[str, np.ndarray]) -> Iterator[frozenset[str]]:
    """The weights that overlap in memory, where a call may change one of them."""
    if not any(_IN_PLACE.search(call.target) for call in body.calls):
        return
    arrays = ((item.name, weights[item.target]) for item in inputs if item.kind == "weight" and item.target in weights)
    spans = sorted((*np.lib.array_utils.byte_bounds(array), name) for name, array in arrays if array.size)
    group, end = list[str](), 0
    for start, stop, name in spans:
        if start >= end:
            yield from _several(group)
            group = []
        group, end = [*group, name], max(end, stop)
    yield from _several(group)


def _several(names: Sequence[str]) -> list[frozenset[str]]:
    return [frozenset(names)] if len(names) > 1 else []


def _leaves(spec: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """The path of keys to every leaf of a pytree; "" where it goes through a tuple or list that has no keys."""
    children = spec["children_spec"]
    if spec["type"] is None:
        yield prefix
        return
    keys = _keys(spec)
    for i, child in enumerate(children):
        if len(keys) == len(children):
            name = f"{prefix}.{keys[i]}" if prefix else keys[i]
        else:
            name = f"{prefix}.{i}" if prefix else ""
        yield from _leaves(child, name)


def _keys(spec: Mapping[str, Any]) -> list[str]:
    context = spec.get("context")
    try:
        found = json.loads(context) if isinstance(context, str) else context
    except ValueError:  # a kind of container that says no keys
        return []
    if isinstance(found, list) and found and isinstance(found[0], list):
        found = found[0]  # a dataclass: its fields, and which of them are None
    return found if isinstance(found, list) and all(isinstance(key, str) for key in found) else []


# ------------------------------------------------------------------------ bodies


def _body(graph: Mapping[str, Any]) -> Body:
    metas = {str(name): Meta.of(meta) for name, meta in graph["tensor_values"].items()}
    calls = tuple(_call(node) for node in graph["nodes"])
    inputs = tuple(decode(item) for item in graph["inputs"])
    return Body(inputs, tuple(decode(item) for item in graph["outputs"]), calls, metas)


def _call(node: Mapping[str, Any]) -> Call:
    arguments = tuple((str(item["name"]), _nested(decode(item["arg"]))) for item in node["inputs"])
    outputs = tuple(name for item in node["outputs"] for name in _names(decode(item)))
    metadata = node.get("metadata") or {}
    file, line = _user_line(str(metadata.get("stack_trace") or ""))
    layer = _layer(str(metadata.get("nn_module_stack") or ""))
    return Call(str(node["target"]).removeprefix("torch.ops."), arguments, outputs, file, line, layer)


def _nested(value: Any) -> Any:
    if isinstance(value, BodyRef):
        return BodyRef(value.name, _body(value.graph))
    return [_nested(item) for item in value] if isinstance(value, list) else value


def _names(value: Any) -> list[str]:
    """Of an output: what is not used has no name."""
    if value is None:
        return [""]
    return [name for item in value for name in _names(item)] if isinstance(value, list) else [value.name]


def _user_line(trace: str) -> tuple[str, int]:
    """The innermost line of a stack trace that is not torch's own."""
    frames = [(file, int(line)) for file, line in _FRAME.findall(trace)]
    own = [frame for frame in frames if not _INSIDE.search(frame[0].replace("\\", "/"))]
    return own[-1] if own else ("", 0)


def _layer(stack: str) -> str:
    """The path of the innermost module: the second of three parts of the last entry."""
    path = [*stack.rsplit(";", 1)[-1].split(","), ""][1]
    if path.startswith("_empty"):  # what torch writes where it knows nothing
        return ""
    return re.sub(r"^(L\[)?'?self'?\]?\.?", "", path) if "self" in path[:8] else path
