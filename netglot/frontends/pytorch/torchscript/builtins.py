"""The functions that TorchScript has of its own, by name and arguments, and the forms of the language.

Semantics: torch/csrc/jit/runtime/register_prim_ops.cpp.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from netglot.frontends.pytorch.pickles import Instance
from netglot.frontends.pytorch.torchscript import containers, numbers, tensor_functions
from netglot.frontends.pytorch.torchscript import conversions as on
from netglot.frontends.pytorch.torchscript.tensors import Tensor
from netglot.frontends.pytorch.torchscript.values import UNINITIALISED, UNKNOWN, Builtin, Device, RaisedError
from netglot.ir.graph import Value

if TYPE_CHECKING:
    from netglot.frontends.pytorch.torchscript.interpreter import Frame, Interpreter

Form = Callable[["Interpreter", ast.Call, "Frame"], Any]


def find(name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> Builtin | None:
    """The function of TorchScript's own for these arguments; None where it is a matter of tensors."""
    if name in _ANY:
        return _ANY[name]
    of_tensors = any(isinstance(arg, Tensor) for arg in [*args, *kwargs.values()])
    if name in tensor_functions.FUNCTIONS and of_tensors:
        return tensor_functions.FUNCTIONS[name]
    if not args:
        return None
    for kind, functions in ((list, containers.OF_LISTS), (dict, containers.OF_DICTS), (str, containers.OF_TEXTS)):
        if isinstance(args[0], kind) and name in functions:
            return functions[name]
    if isinstance(args[0], Device) and name == "type":
        return lambda run, device: device.name.partition(":")[0]
    if of_tensors:
        return None
    return numbers.FUNCTIONS.get(name) if all(isinstance(arg, (int, float, Value)) for arg in args) else _SAME.get(name)


def _is(run: Interpreter, a: Any, b: Any) -> bool:
    return a is b or (a is None and b is None)


def _raise(run: Interpreter, message: Any = "", *_: Any) -> None:
    raise RaisedError(str(message)[:500])


def _nothing(run: Interpreter, *_: Any, **__: Any) -> None:
    return None


def _same_tensor(run: Interpreter, tensor: Any, *_: Any) -> Any:
    return tensor


def _device_of(name: Any, *_: Any) -> Device:
    return Device(name[:100] if isinstance(name, str) else "cpu")


def _range_length(run: Interpreter, start: Any, end: Any, step: Any) -> Any:
    if isinstance(step, Value) or step == 0:
        raise run.g.unsupported("a range whose step is computed by the network, or 0")
    if isinstance(start, Value) or isinstance(end, Value):
        span = numbers.FUNCTIONS["sub"](run, end, start)
        span = numbers.FUNCTIONS["add"](run, span, step - 1 if step > 0 else step + 1)
        return numbers.extreme("Max", max)(run, numbers.FUNCTIONS["floordiv"](run, span, step), 0)
    return len(range(start, end, step))


def _derived_index(run: Interpreter, i: Any, start: Any, step: Any) -> Any:
    return numbers.FUNCTIONS["add"](run, start, numbers.FUNCTIONS["mul"](run, i, step))


_ANY: dict[str, Builtin] = {
    "append": containers.append, "extend": containers.extend, "len": containers.length, "list": containers.list_of,
    "_set_item": containers.set_item, "format": containers.formatted,
    "__is__": _is, "__isnot__": lambda run, a, b: not _is(run, a, b),
    "RaiseException": _raise, "print": _nothing, "warn": _nothing, "Print": _nothing,
    "tensor": tensor_functions.made, "as_tensor": tensor_functions.made,
    "scalar_tensor": tensor_functions.made, "NumToTensor": tensor_functions.to_tensor,
    "_unwrap_optional": _same_tensor, "unchecked_unwrap_optional": _same_tensor,
    "device": lambda run, *args: _device_of(*args),
    "is_grad_enabled": lambda run: False, "_set_grad_enabled": _nothing, "set_grad_enabled": _nothing,
    "is_scripting": lambda run: True, "is_tracing": lambda run: False, "is_autocast_enabled": lambda run, *_: False,
    "_get_tracing_state": lambda run: False, "has_torch_function": lambda run, *_: False,
    "__range_length": _range_length, "__derive_index": _derived_index,
    "_assert": _nothing, "_assert_async": _nothing, "_assert_scalar": _nothing, "_assert_tensor_metadata": _nothing,
    "profile_ivalue": _same_tensor, "grad": _nothing, "wait": _same_tensor, "manual_seed": _nothing,
}  # fmt: skip
_SAME: dict[str, Builtin] = {
    "eq": numbers.equal,
    "ne": numbers.unequal,
    "__getitem__": on.item,
    "__not__": numbers.negated,
    "slice": containers.sliced,
}


# -------------------------------------------------------------- forms of the language


def _convert(function: Callable[[Interpreter, Any], Any]) -> Form:
    def convert(run: Interpreter, node: ast.Call, frame: Frame) -> Any:
        (value,) = _arguments(run, node, frame, 1)
        if value is UNKNOWN:
            return value
        try:
            return function(run, value)
        except (ValueError, TypeError, OverflowError) as error:
            raise run.error(f"a number of {on.kind_of(value)}: {error}") from None

    return convert


def _arguments(run: Interpreter, node: ast.Call, frame: Frame, count: int) -> list[Any]:
    if len(node.args) != count or node.keywords:
        raise run.error(f"a call with {len(node.args)} arguments where there are {count}")
    return [run.value(arg, frame) for arg in node.args]


def _annotate(run: Interpreter, node: ast.Call, frame: Frame) -> Any:
    """`annotate(T, x)` says the type of x, which makes numbers of tensors."""
    if len(node.args) != 2:
        raise run.error("an annotation that says no type")
    value = run.value(node.args[1], frame)
    kind = node.args[0].id if isinstance(node.args[0], ast.Name) else ""
    if not isinstance(value, Tensor):
        return value
    make = {"int": on.to_int, "float": on.to_float, "bool": on.to_bool, "number": on.to_number}.get(kind)
    return make(run, value) if make is not None else value


def _cast(run: Interpreter, node: ast.Call, frame: Frame) -> Any:
    if len(node.args) != 2:
        raise run.error("a cast that says no type")
    return run.value(node.args[1], frame)


def _uninitialized(run: Interpreter, node: ast.Call, frame: Frame) -> Any:
    return UNINITIALISED


def _getattr(run: Interpreter, node: ast.Call, frame: Frame) -> Any:
    owner, name = _arguments(run, node, frame, 2)
    if not isinstance(owner, Instance) or not isinstance(name, str):
        raise run.error("getattr of what is no module")
    return run.attribute_of(owner, name)


def _is_instance(run: Interpreter, node: ast.Call, frame: Frame) -> bool:
    if len(node.args) != 2:
        raise run.error("isinstance without a type")
    value = run.value(node.args[0], frame)
    kinds = node.args[1].elts if isinstance(node.args[1], (ast.Tuple, ast.List)) else [node.args[1]]
    return any(_is_of(run, value, kind) for kind in kinds)


def _is_of(run: Interpreter, value: Any, kind: ast.expr) -> bool:
    name = ast.unparse(kind)
    checks: dict[str, Callable[[Any], bool]] = {
        "Tensor": lambda v: isinstance(v, Tensor), "str": lambda v: isinstance(v, str),
        "bool": lambda v: isinstance(v, bool) or (isinstance(v, Value) and v.dtype == np.bool_),
        "int": lambda v: v.dtype == np.int64 if isinstance(v, Value) else type(v) is int,
        "float": lambda v: isinstance(v, float) or (isinstance(v, Value) and v.dtype == np.float64),
        "NoneType": lambda v: v is None,
    }  # fmt: skip
    if name in checks:
        return checks[name](value)
    if isinstance(value, Instance):
        return value.kind == name
    if isinstance(value, (Tensor, str, bool, int, float, Value)) or value is None:
        return False
    raise run.g.unsupported(f"isinstance(..., {name[:80]})")


NAMES = {"int", "float", "bool", "str", "print", "annotate", "unchecked_cast", "uninitialized", "getattr", "isinstance",
         "range", "hash", "complex", "device"}  # fmt: skip
FORMS: dict[str, Form] = {
    "int": _convert(on.to_int), "float": _convert(on.to_float), "bool": _convert(on.to_bool),
    "str": _convert(lambda run, value: containers.formatted(run, "{}", value)), "annotate": _annotate,
    "unchecked_cast": _cast, "uninitialized": _uninitialized, "getattr": _getattr, "isinstance": _is_instance,
}  # fmt: skip
