"""A program handed back to torch: to be run as the reference, or to be rewritten by torch's own decompositions.

torch believes its files: it evaluates the text of sizes and of guards as Python, looks operators up by dotted paths
anywhere in the torch package, and unpickles. So only what has been checked here is handed over: known kinds of
targets, arithmetic of sizes, no guards, plain trees of inputs and outputs, and weights that netglot itself has read.
"""

from __future__ import annotations

import copy
import re
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from netglot.errors import ConversionError, Origin
from netglot.frontends.pytorch import symbols
from netglot.frontends.pytorch.program import Program

_TARGET = re.compile(
    r"torch\.ops\.(aten|prims|quantized_decomposed|higher_order|torchvision|profiler|_quantized)"
    r"(\.[A-Za-z_][A-Za-z0-9_]*){1,2}"
    r"|_operator\.(add|sub|mul|floordiv|truediv|mod|neg|pos|pow|eq|ne|lt|le|gt|ge|and_|or_|xor|not_|lshift|rshift|"
    r"getitem|matmul|index|abs|floor|trunc)"
    r"|math\.(ceil|floor|trunc|sqrt|pow)|torch\.sym_[a-z]+|torch\.(_sym_sqrt|sym_not)"
)


def exported(program: Program) -> Any:
    """The program as a torch.export.ExportedProgram; ConversionError where it is not safe or torch refuses it."""
    if program.serialised is None:
        raise ConversionError("this program was not exported by torch.export", Origin(program.file))
    data = _sanitised(program)
    try:
        from torch._export.serde import schema, serialize

        loaded = serialize._dict_to_dataclass(schema.ExportedProgram, data)
        tensors = {name: tensor(array) for name, array in program.weights.items()}
        tensors |= {name: _parameter(tensors[name]) for name in _parameters(data) if name in tensors}
        state = {name: item for name, item in tensors.items() if name in _state(data)}
        constants = {name: item for name, item in tensors.items() if name not in state}
        return serialize.ExportedProgramDeserializer().deserialize(
            loaded, state, constants, None, _unsafe_skip_version_check=True
        )
    except Exception as error:  # torch raises whatever its own checks find
        what = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
        raise ConversionError(f"torch can't load this program: {what}", Origin(program.file)) from None


def tensor(array: np.ndarray) -> Any:
    """A tensor over the array's own memory."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the array is read-only: nothing writes to it
        if array.dtype.isbuiltin == 2:
            bits = {1: np.uint8, 2: np.int16}[array.dtype.itemsize]
            return torch.from_numpy(array.view(bits)).view(getattr(torch, array.dtype.name))
        return torch.from_numpy(array)


def _state(data: Mapping[str, Any]) -> set[str]:
    """What torch keeps in the state dict: parameters, and buffers unless they are said not to persist."""
    specs = data["graph_module"]["signature"]["input_specs"]
    buffers = {spec["buffer"]["buffer_name"] for spec in specs if spec.get("buffer", {}).get("persistent")}
    return {*_parameters(data), *buffers}


def _parameters(data: Mapping[str, Any]) -> list[str]:
    specs = data["graph_module"]["signature"]["input_specs"]
    return [spec["parameter"]["parameter_name"] for spec in specs if "parameter" in spec]


def _parameter(tensor: Any) -> Any:
    import torch

    return torch.nn.Parameter(tensor, requires_grad=False)


def _sanitised(program: Program) -> dict[str, Any]:
    """A copy of the JSON with nothing in it that torch would execute."""
    assert program.serialised is not None
    module = copy.deepcopy(program.serialised["graph_module"])
    _check(module["graph"], program.file)
    users = [spec for spec in module["signature"]["input_specs"] if set(spec) & {"user_input", "constant_input"}]
    results = [spec for spec in module["signature"]["output_specs"] if "user_output" in spec]
    names = [_name(spec) for spec in users]
    module["module_call_graph"] = [{"fqn": "", "signature": _plain_call(names, len(results))}]
    return {
        "graph_module": {key: module[key] for key in ("graph", "signature", "module_call_graph")},
        "opset_version": {}, "range_constraints": _checked_ranges(program), "verifiers": ["TRAINING"],
        "schema_version": {"major": 0, "minor": 0}, "torch_version": "", "guards_code": [],
    }  # fmt: skip


def _name(spec: Mapping[str, Any]) -> str:
    """What torch calls an input: it gives no other name to that of the program it makes of this one."""
    ((kind, item),) = spec.items()
    if kind == "constant_input":
        return str(item["name"])
    ((_, argument),) = item["arg"].items()
    return str(argument.get("name") or argument.get("as_name")) if isinstance(argument, Mapping) else "constant"


def _plain_call(names: list[str], outputs: int) -> dict[str, Any]:
    arguments = _tree("tuple", [_tree("tuple", [_LEAF] * len(names)), _tree("dict", [])])
    return {
        "inputs": [], "outputs": [], "in_spec": _spec(arguments), "out_spec": _spec(_tree("tuple", [_LEAF] * outputs)),
        "forward_arg_names": names,
    }  # fmt: skip


_LEAF = '{"type": null, "context": null, "children_spec": []}'


def _tree(kind: str, children: list[str]) -> str:
    context = '"[]"' if kind == "dict" else '"null"'
    return f'{{"type": "builtins.{kind}", "context": {context}, "children_spec": [{", ".join(children)}]}}'


def _spec(tree: str) -> str:
    return f"[1, {tree}]"


def _checked_ranges(program: Program) -> dict[str, Any]:
    return {name: {"min_val": low, "max_val": high} for name, (low, high) in program.ranges.items()}


def _check(graph: dict[str, Any], file: str) -> None:
    """Raises unless every target is an operator; drops metadata but the stack trace and the module's path."""
    for node in graph["nodes"]:
        if not _TARGET.fullmatch(str(node["target"])):
            raise ConversionError(f"'{node['target']:.80}' is no operator of torch", Origin(file))
        metadata = node.get("metadata") or {}
        node["metadata"] = {key: metadata[key] for key in ("stack_trace", "nn_module_stack") if key in metadata}
        for item in node["inputs"]:
            if "as_graph" in item["arg"]:
                _check(item["arg"]["as_graph"]["graph"], file)
            if "as_operator" in item["arg"] or "as_custom_obj" in item["arg"]:
                raise ConversionError("a program with an operator or object as an argument", Origin(file))
    try:
        _check_sizes(graph)
    except ValueError as error:
        raise ConversionError(str(error), Origin(file)) from None


def _check_sizes(item: Any) -> None:
    waiting = [item]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Mapping):
            if "expr_str" in part:
                symbols.checked(str(part["expr_str"]))
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
