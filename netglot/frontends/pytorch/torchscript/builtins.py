"""What TorchScript itself computes: numbers, lists, dicts, texts, shapes.

Semantics: torch/csrc/jit/runtime/register_prim_ops.cpp.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from netglot.frontends.pytorch.builder import Complex
from netglot.frontends.pytorch.pickles import Instance
from netglot.frontends.pytorch.torchscript import conversions as on
from netglot.frontends.pytorch.torchscript import operations
from netglot.frontends.pytorch.torchscript.calls import dtype_of
from netglot.frontends.pytorch.torchscript.tensors import Memory, Tensor
from netglot.frontends.pytorch.torchscript.values import (
    LONGEST,
    UNINITIALISED,
    UNKNOWN,
    Device,
    Dict,
    List,
    RaisedError,
)  # fmt: skip
from netglot.ir.graph import Value

if TYPE_CHECKING:
    from netglot.frontends.pytorch.torchscript.interpreter import Frame, Interpreter

Builtin = Callable[..., Any]
Form = Callable[["Interpreter", ast.Call, "Frame"], Any]


def find(name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> Builtin | None:
    """The function of TorchScript's own for these arguments; None where it is a matter of tensors."""
    if name in _ANY:
        return _ANY[name]
    of_tensors = any(isinstance(arg, Tensor) for arg in [*args, *kwargs.values()])
    if name in _TENSOR and of_tensors:
        return _TENSOR[name]
    if not args:
        return None
    for kind, functions in ((list, _LIST), (dict, _DICT), (str, _TEXT)):
        if isinstance(args[0], kind) and name in functions:
            return functions[name]
    if isinstance(args[0], Device) and name == "type":
        return lambda run, device: device.name.partition(":")[0]
    if of_tensors:
        return None
    return _NUMBER.get(name) if all(isinstance(arg, (int, float, Value)) for arg in args) else _SAME.get(name)


# -------------------------------------------------------------------------- numbers


def _number(op: str, known: Callable[..., Any], floating: bool = False) -> Builtin:
    """A function of numbers: known ones by Python, others by the ONNX operator."""

    def compute(run: Interpreter, *args: Any) -> Any:
        if not any(isinstance(arg, Value) for arg in args):
            try:
                return known(*args)
            except (ValueError, ArithmeticError, TypeError) as error:
                raise run.error(f"{op} of {args}: {error}") from None
        return _computed(run, op, args, floating)

    return compute


def _computed(run: Interpreter, op: str, args: Sequence[Any], floating: bool) -> Value:
    g = run.g
    is_float = floating or any(isinstance(arg, float) or (isinstance(arg, Value) and arg.dtype == np.float64)
                               for arg in args)  # fmt: skip
    if op == "?":
        raise run.g.unsupported("of a number that the network computes")
    dtype = np.dtype(np.float64 if is_float else np.int64)
    values = [g.number(arg, dtype) for arg in args]
    if op == "NotEqual":
        return g.Not(g.Equal(*values))
    if op in ("FloorDiv", "Mod"):
        return _floored(run, op, *values)
    return g.op(op, values)


def _floored(run: Interpreter, op: str, a: Value, b: Value) -> Value:
    """Division as Python's, which rounds down."""
    g = run.g
    if a.dtype == np.float64:
        quotient = g.Floor(g.Div(a, b))
        return quotient if op == "FloorDiv" else g.Sub(a, g.Mul(quotient, b))
    if b.is_constant and int(b.array) == 1:
        return a if op == "FloorDiv" else g.constant(np.array(0))
    rest = g.Mod(a, b)
    return rest if op == "Mod" else g.Div(g.Sub(a, rest), b)


def _power(a: Any, b: Any) -> Any:
    if isinstance(a, int) and isinstance(b, int) and abs(a) > 1 and b > 64:
        raise ValueError("the result does not fit 64 bits")
    return a**b


def _shifted(a: int, b: int) -> int:
    if b > 64:
        raise ValueError("the result does not fit 64 bits")
    return a << b


def _logic(op: str, known: Callable[[Any, Any], Any]) -> Builtin:
    """and, or, xor: of truth values, or of the bits of integers."""

    def compute(run: Interpreter, a: Any, b: Any) -> Any:
        if not isinstance(a, Value) and not isinstance(b, Value):
            return known(a, b)
        is_bool = all(isinstance(x, bool) or (isinstance(x, Value) and x.dtype == np.bool_) for x in (a, b))
        if is_bool:
            return run.g.op(op, [run.g.number(x, np.bool_) for x in (a, b)])
        return run.g.op(f"Bitwise{op}", [run.g.number(x, np.int64) for x in (a, b)])

    return compute


def _not(run: Interpreter, a: Any) -> Any:
    return run.g.Not(run.g.cast(a, np.bool_)) if isinstance(a, Value) else not a


def _same(run: Interpreter, a: Any) -> Any:
    return a


def _round(run: Interpreter, op: str, a: Any) -> Any:
    """floor and ceil give integers."""
    if not isinstance(a, Value):
        if not math.isfinite(a):
            raise run.error(f"{op} of {a}")
        return math.floor(a) if op == "Floor" else math.ceil(a)
    return a if a.dtype == np.int64 else run.g.cast(run.g.op(op, [a]), np.int64)


def _extreme(op: str, known: Callable[..., Any]) -> Builtin:
    def compute(run: Interpreter, *args: Any) -> Any:
        items = args[0] if len(args) == 1 and isinstance(args[0], list) else args
        if (len(args) == 2 and isinstance(args[0], list)) or not items:
            raise run.g.unsupported("min and max of two lists, or of an empty one")
        result = items[0]
        for item in items[1:]:
            result = _number(op, known)(run, result, item)
        return result

    return compute


# ---------------------------------------------------------------------------- equality


def _equal(run: Interpreter, a: Any, b: Any) -> Any:
    """Lists are equal where all their elements are."""
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        if len(a) != len(b):
            return False
        result: Any = True
        for one, other in zip(a, b, strict=True):
            result = _logic("And", operator.and_)(run, result, _equal(run, one, other))
            if result is False:
                return False
        return result
    if isinstance(a, Tensor) or isinstance(b, Tensor):
        raise run.g.unsupported("lists of tensors are compared")
    return _same_value(run, a, b)


def _same_value(run: Interpreter, a: Any, b: Any) -> Any:
    if not isinstance(a, Value) and not isinstance(b, Value):
        return a == b
    if a is None or b is None:
        return False
    if isinstance(a, Value) and isinstance(b, Value) and a is b:
        return True
    return _computed(run, "Equal", [a, b], False)


def _unequal(run: Interpreter, a: Any, b: Any) -> Any:
    return _not(run, _equal(run, a, b))


def _is(run: Interpreter, a: Any, b: Any) -> bool:
    return a is b or (a is None and b is None)


# ------------------------------------------------------------------------------- lists


def _mutable(run: Interpreter, items: Any) -> Any:
    if not isinstance(items, (List, Dict)):
        raise run.error("what is changed is no list")
    if items.depth < run.depth:
        what = "a list is changed under a condition, or in a loop, whose length the network computes"
        raise run.g.unsupported(what, "Give all sizes of the inputs (--input x:1x3x224x224): loops are unrolled then.")
    return items


def _bounded(run: Interpreter, items: Any) -> Any:
    if len(items) > LONGEST:
        raise run.error(f"a list of more than {LONGEST} elements")
    return items


def _append(run: Interpreter, items: Any, item: Any) -> Any:
    _mutable(run, items).append(item)
    return _bounded(run, items)


def _extend(run: Interpreter, items: Any, more: Any) -> Any:
    _bounded(run, more)
    _mutable(run, items).extend(list(more))
    return _bounded(run, items)


def _insert(run: Interpreter, items: Any, index: int, item: Any) -> None:
    _mutable(run, items).insert(_index(run, index), item)


def _pop(run: Interpreter, items: Any, index: int = -1) -> Any:
    found = on.item(run, items, index)
    del _mutable(run, items)[index]
    return found


def _set_item(run: Interpreter, items: Any, index: Any, item: Any) -> Any:
    if isinstance(items, dict):
        _mutable(run, items)[_key(run, index)] = item
    else:
        on.item(run, items, index)
        _mutable(run, items)[index] = item
    return items


def _delete(run: Interpreter, items: Any, index: Any) -> None:
    on.item(run, items, index)
    del _mutable(run, items)[index]


def _clear(run: Interpreter, items: Any) -> None:
    _mutable(run, items).clear()


def _reverse(run: Interpreter, items: Any) -> None:
    _mutable(run, items).reverse()


def _index(run: Interpreter, index: Any) -> int:
    if not isinstance(index, int):
        raise run.g.unsupported("which element of a list is meant is computed by the network")
    return index


def _list_slice(run: Interpreter, items: Any, start: Any = None, end: Any = None, step: Any = 1) -> Any:
    places = [None if index is None else _index(run, index) for index in (start, end, step)]
    if places[2] == 0:
        raise run.error("a slice with a step of 0")
    found = items[slice(*places)]
    return found if isinstance(found, (str, tuple)) else List(found, run.depth)


def _joined(run: Interpreter, a: Any, b: Any) -> Any:
    if not isinstance(b, (list, str)) or isinstance(a, str) != isinstance(b, str):
        raise run.error(f"{on.kind_of(a)} and {on.kind_of(b)} are added")
    _bounded(run, range(len(a) + len(b)))
    return f"{a}{b}" if isinstance(a, str) else List([*a, *b], run.depth)


def _repeated(run: Interpreter, items: Any, count: Any) -> Any:
    if isinstance(items, (int, Value)):
        items, count = count, items
    times = _index(run, count)
    _bounded(run, range(len(items) * max(times, 0)))
    return items * times if isinstance(items, str) else List(list(items) * times, run.depth)


def _contains(run: Interpreter, items: Any, item: Any) -> Any:
    if isinstance(items, (dict, str)):
        return item in items
    result: Any = False
    for other in items:
        result = _logic("Or", operator.or_)(run, result, _equal(run, other, item))
    return result


def _length(run: Interpreter, items: Any) -> Any:
    if isinstance(items, Tensor):
        return run.g.size(on.shaped(run, items), 0)
    if not isinstance(items, (list, tuple, dict, str)):
        raise run.error(f"{on.kind_of(items)} has no length")
    return len(items)


def _copied(run: Interpreter, items: Any) -> Any:
    return Dict(items, run.depth) if isinstance(items, dict) else List(items, run.depth)


def _sum(run: Interpreter, items: Any) -> Any:
    total: Any = 0
    for item in items:
        total = _NUMBER["add"](run, total, item)
    return total


def _any(run: Interpreter, items: Any) -> Any:
    result: Any = False
    for item in items:
        result = _logic("Or", operator.or_)(run, result, on.to_bool(run, item))
    return result


def _all(run: Interpreter, items: Any) -> Any:
    result: Any = True
    for item in items:
        result = _logic("And", operator.and_)(run, result, on.to_bool(run, item))
    return result


def _place_of(run: Interpreter, items: Any, item: Any) -> int:
    for i, other in enumerate(items):
        same = _equal(run, other, item)
        if isinstance(same, Value):
            raise run.g.unsupported("which element of a list is meant is computed by the network")
        if same:
            return i
    raise run.error("what is looked for is not in the list")


# -------------------------------------------------------------------------------- dicts


def _key(run: Interpreter, key: Any) -> Any:
    if not isinstance(key, (str, int, float)):
        raise run.g.unsupported("a dict whose keys are no texts or known numbers")
    return key


def _get(run: Interpreter, items: Any, key: Any, default: Any = None) -> Any:
    return items.get(_key(run, key), default)


def _set_default(run: Interpreter, items: Any, key: Any, default: Any) -> Any:
    return items[key] if key in items else _mutable(run, items).setdefault(_key(run, key), default)


def _update(run: Interpreter, items: Any, more: Any) -> None:
    _mutable(run, items).update(more)


# -------------------------------------------------------------------------------- texts


def _format(run: Interpreter, text: Any, *args: Any) -> str:
    """Messages: what is not known when the model is converted is a question mark."""
    parts = str(text).split("{}")
    shown = [str(arg)[:1000] if isinstance(arg, (int, float, str)) else "?" for arg in args]
    return "".join(part + (shown[i] if i < len(shown) else "") for i, part in enumerate(parts))[:LONGEST]


def _raise(run: Interpreter, message: Any = "", *_: Any) -> None:
    raise RaisedError(str(message)[:500])


def _nothing(run: Interpreter, *_: Any, **__: Any) -> None:
    return None


# ------------------------------------------------------------------------------- tensors


def _size(run: Interpreter, tensor: Tensor, dim: Any = None) -> Any:
    return on.sizes(run, tensor) if dim is None else run.g.size(on.shaped(run, tensor), _index(run, dim))


def _rank(run: Interpreter, tensor: Tensor) -> int:
    return int(on.shaped(run, tensor).rank)


def _count(run: Interpreter, tensor: Tensor) -> Any:
    total: Any = 1
    for size in on.sizes(run, tensor):
        total = _NUMBER["mul"](run, total, size)
    return total


def _device(run: Interpreter, *_: Any) -> Device:
    return Device("cpu")


def _is_floating(run: Interpreter, tensor: Tensor) -> bool:
    value = run.tensors.read(run.g, tensor)
    return not isinstance(value, Complex) and dtype_of(on.element_type(run, tensor)).kind not in "iub"


def _is_complex(run: Interpreter, tensor: Tensor) -> bool:
    return isinstance(run.tensors.read(run.g, tensor), Complex)


def _list_of(run: Interpreter, item: Any) -> Any:
    if isinstance(item, (list, tuple, str)):
        return List(item, run.depth)
    raise run.g.unsupported("a tensor is made into a list")


def _made(run: Interpreter, data: Any, dtype: Any = None, **_: Any) -> Tensor:
    """torch.tensor, and numbers as tensors of their own."""
    if isinstance(data, Tensor):
        return operations.cast(run, data, dtype, True, True)
    wanted = None if dtype is None else dtype_of(dtype)
    value = _array(run, data, wanted or _default(data))
    return Tensor(Memory(value))


def _default(data: Any) -> np.dtype:
    leaves = list(_leaves(data))
    kinds = [leaf.dtype for leaf in leaves if isinstance(leaf, Value)]
    if not leaves or any(isinstance(leaf, float) for leaf in leaves) or np.float64 in kinds:
        return np.dtype(np.float32)
    is_bool = all(isinstance(leaf, bool) or (isinstance(leaf, Value) and leaf.dtype == np.bool_) for leaf in leaves)
    return np.dtype(np.bool_ if is_bool else np.int64)


def _leaves(data: Any) -> list[Any]:
    return [leaf for item in data for leaf in _leaves(item)] if isinstance(data, (list, tuple)) else [data]


def _array(run: Interpreter, data: Any, dtype: np.dtype) -> Value:
    if not any(isinstance(leaf, Value) for leaf in _leaves(data)):
        return run.g.constant(np.array(data, dtype))
    if isinstance(data, Value):
        return run.g.cast(data, dtype)
    rows = [run.g.Unsqueeze(_array(run, row, dtype), [0]) for row in data]
    return run.g.Concat(*rows, axis=0)


def _to_tensor(run: Interpreter, number: Any) -> Tensor:
    """A number as a tensor: of double precision for what is not whole, as torch has it."""
    is_float = isinstance(number, float) or (isinstance(number, Value) and number.dtype == np.float64)
    dtype = np.dtype(np.float64) if is_float else _default(number)
    return Tensor(Memory(_array(run, number, dtype)))


def _same_tensor(run: Interpreter, tensor: Any, *_: Any) -> Any:
    return tensor


def _all_close(run: Interpreter, *_: Any, **__: Any) -> Any:
    raise run.g.unsupported("whether two tensors are equal is asked")


_ANY: dict[str, Builtin] = {
    "append": _append, "extend": _extend, "len": _length, "list": _list_of, "_set_item": _set_item,
    "__is__": _is, "__isnot__": lambda run, a, b: not _is(run, a, b), "format": _format,
    "RaiseException": _raise, "print": _nothing, "warn": _nothing, "Print": _nothing,
    "tensor": _made, "as_tensor": _made, "NumToTensor": _to_tensor, "scalar_tensor": _made,
    "_unwrap_optional": _same_tensor, "unchecked_unwrap_optional": _same_tensor,
    "device": lambda run, *args: _device_of(*args),
    "is_grad_enabled": lambda run: False, "_set_grad_enabled": _nothing, "set_grad_enabled": _nothing,
    "is_scripting": lambda run: True, "is_tracing": lambda run: False, "is_autocast_enabled": lambda run, *_: False,
    "_get_tracing_state": lambda run: False, "has_torch_function": lambda run, *_: False,
    "__range_length": lambda run, a, b, step: _range_length(run, a, b, step),
    "__derive_index": lambda run, i, start, step: _NUMBER["add"](run, start, _NUMBER["mul"](run, i, step)),
    "_assert": _nothing, "_assert_async": _nothing, "_assert_scalar": _nothing, "_assert_tensor_metadata": _nothing,
    "profile_ivalue": _same_tensor, "grad": _nothing, "wait": _same_tensor, "manual_seed": _nothing,
}  # fmt: skip


def _device_of(name: Any, *_: Any) -> Device:
    return Device(name[:100] if isinstance(name, str) else "cpu")


def _range_length(run: Interpreter, start: Any, end: Any, step: Any) -> Any:
    if isinstance(step, Value) or step == 0:
        raise run.g.unsupported("a range whose step is computed by the network, or 0")
    if isinstance(start, Value) or isinstance(end, Value):
        span = _NUMBER["sub"](run, end, start)
        span = _NUMBER["add"](run, span, step - 1 if step > 0 else step + 1)
        return _extreme("Max", max)(run, _NUMBER["floordiv"](run, span, step), 0)
    return len(range(start, end, step))


_TENSOR: dict[str, Builtin] = {
    "size": _size, "dim": _rank, "ndimension": _rank, "numel": _count, "dtype": on.element_type, "device": _device,
    "shape": _size, "is_floating_point": _is_floating, "is_complex": _is_complex, "item": on.to_number,
    "Int": on.to_int, "Float": on.to_float, "Bool": on.to_bool, "IntImplicit": on.to_int, "FloatImplicit": on.to_float,
    "ScalarImplicit": on.to_number, "data": lambda run, tensor: tensor, "to": operations.cast,
    "layout": lambda run, tensor: 0, "is_cuda": lambda run, tensor: False, "is_cpu": lambda run, tensor: True,
    "is_sparse": lambda run, tensor: False, "is_quantized": lambda run, tensor: False,
    "is_mps": lambda run, tensor: False, "is_meta": lambda run, tensor: False, "is_mkldnn": lambda run, tensor: False,
    "is_nested": lambda run, tensor: False, "is_xla": lambda run, tensor: False, "is_leaf": lambda run, tensor: False,
    "requires_grad": lambda run, tensor: False, "equal": _all_close, "allclose": _all_close,
    "_local_scalar_dense": on.to_number, "tolist": _list_of, "AutogradZero": _nothing, "stride": _all_close,
}  # fmt: skip
_LIST: dict[str, Builtin] = {
    "insert": _insert, "pop": _pop, "Delete": _delete, "clear": _clear, "reverse": _reverse, "copy": _copied,
    "slice": _list_slice, "add": _joined, "add_": _extend, "mul": _repeated, "__contains__": _contains,
    "eq": _equal, "ne": _unequal, "sum": _sum, "index": _place_of, "min": _extreme("Min", min),
    "max": _extreme("Max", max), "__getitem__": on.item, "any": _any, "all": _all,
}  # fmt: skip
_DICT: dict[str, Builtin] = {
    "keys": lambda run, items: List(items, run.depth), "values": lambda run, items: List(items.values(), run.depth),
    "items": lambda run, items: List(items.items(), run.depth), "__contains__": _contains, "get": _get,
    "setdefault": _set_default, "update": _update, "copy": _copied, "Delete": _delete, "clear": _clear, "pop": _pop,
    "__getitem__": on.item,
}  # fmt: skip
_TEXT: dict[str, Builtin] = {
    "add": _joined, "mul": _repeated, "eq": _same_value, "ne": _unequal, "__contains__": _contains,
    "slice": _list_slice, "__getitem__": on.item, "upper": lambda run, a: a.upper(), "lower": lambda run, a: a.lower(),
    "startswith": lambda run, a, b, *_: a.startswith(b), "endswith": lambda run, a, b, *_: a.endswith(b),
    "ord": lambda run, a: ord(a[:1] or "\0"),
}  # fmt: skip
_SAME: dict[str, Builtin] = {
    "eq": _equal,
    "ne": _unequal,
    "__getitem__": on.item,
    "__not__": _not,
    "slice": _list_slice,
}
_NUMBER: dict[str, Builtin] = {
    "add": _number("Add", operator.add), "sub": _number("Sub", operator.sub), "mul": _number("Mul", operator.mul),
    "div": _number("Div", operator.truediv, floating=True), "floordiv": _number("FloorDiv", operator.floordiv),
    "remainder": _number("Mod", operator.mod), "neg": _number("Neg", operator.neg), "pow": _number("Pow", _power),
    "sqrt": _number("Sqrt", math.sqrt, floating=True), "exp": _number("Exp", math.exp, floating=True),
    "log": _number("Log", math.log, floating=True), "abs": _number("Abs", abs), "sin": _number("Sin", math.sin, True),
    "cos": _number("Cos", math.cos, floating=True), "tanh": _number("Tanh", math.tanh, floating=True),
    "log2": _number("?", math.log2), "log10": _number("?", math.log10), "fmod": _number("?", math.fmod),
    "round": _number("?", lambda a: float(round(a))), "isnan": _number("IsNaN", math.isnan, floating=True),
    "isinf": _number("IsInf", math.isinf, floating=True), "gcd": _number("?", math.gcd),
    "eq": _same_value, "ne": _unequal, "lt": _number("Less", operator.lt), "le": _number("LessOrEqual", operator.le),
    "gt": _number("Greater", operator.gt), "ge": _number("GreaterOrEqual", operator.ge),
    "__and__": _logic("And", operator.and_), "__or__": _logic("Or", operator.or_), "__not__": _not,
    "__xor__": _logic("Xor", operator.xor), "floor": lambda run, a: _round(run, "Floor", a),
    "ceil": lambda run, a: _round(run, "Ceil", a), "min": _extreme("Min", min), "max": _extreme("Max", max),
    "Int": on.to_int, "Float": on.to_float, "Bool": on.to_bool, "__lshift__": _number("?", _shifted),
    "__rshift__": _number("?", operator.rshift), "trunc": on.to_int,
    "IntImplicit": _same, "FloatImplicit": _same, "ScalarImplicit": _same,
}  # fmt: skip


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
    "str": _convert(lambda run, value: _format(run, "{}", value)), "annotate": _annotate, "unchecked_cast": _cast,
    "uninitialized": _uninitialized, "getattr": _getattr, "isinstance": _is_instance,
}  # fmt: skip
