"""Calls on tensors and numbers: an operator of the registry, or what TorchScript itself has for numbers and lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from netglot.errors import Problem, UnsupportedError
from netglot.frontends.pytorch.builder import Complex
from netglot.frontends.pytorch.reader import as_before, invoke, is_complex
from netglot.frontends.pytorch.torchscript import views
from netglot.frontends.pytorch.torchscript.calls import dtype_of
from netglot.frontends.pytorch.torchscript.conversions import element_type, kind_of, shaped
from netglot.frontends.pytorch.torchscript.tensors import Memory, Tensor
from netglot.frontends.pytorch.torchscript.values import Device, List, tensors
from netglot.ir.graph import Value
from netglot.ir.types import text
from netglot.registry import Operator, registry

if TYPE_CHECKING:
    from netglot.frontends.pytorch.torchscript.interpreter import Interpreter

# Operators that give a list of tensors, of however many.
_LISTS = {
    "split", "split_with_sizes", "chunk", "unbind", "tensor_split", "hsplit", "vsplit", "dsplit", "unsafe_chunk",
    "unsafe_split", "unsafe_split_with_sizes", "meshgrid", "broadcast_tensors", "nonzero_numpy",
}  # fmt: skip
_LIST_OVERLOADS = {"aten.where.default", *(f"aten.atleast_{i}d.Sequence" for i in (1, 2, 3))}
# What an operator meant before a version of the format (torch/csrc/jit/serialization/versions, operator upgraders).
_SINCE = {"div": 4, "div_": 4, "true_divide": 4, "full": 5, "linspace": 8, "logspace": 8}


def tensor_call(run: Interpreter, space: str, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """An operator that is registered, or its twin that works in place."""
    g = run.g
    g.target, g.metas = f"{space}.{name}", []
    if kwargs.pop("out", None) is not None:
        raise g.unsupported("with out=, which writes into a tensor")
    first = args[0] if args and isinstance(args[0], Tensor) else None
    if space == "aten" and name in views.SAME and first is not None and not _is_training(name, args, kwargs):
        return first
    in_place = name.endswith("_") and not name.endswith("__") and not run.overloads.of(f"{space}.{name}")
    if in_place and name in views.RESHAPING:
        raise g.unsupported("it changes the shape of the tensor itself")
    if run.version < _SINCE.get(name, 0):
        _check_version(run, name, args, kwargs)
    result, call = applied(run, f"{space}.{name[:-1] if in_place else name}", args, kwargs)
    if in_place and first is not None:
        return changed(run, first, result)
    if space == "aten" and first is not None:
        return viewed(run, name, first, result, call)
    return wrapped(run, name, result, call[0])


def applied(run: Interpreter, target: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, Any]:
    """What the registered function gives for these arguments, with the call itself, which can be made again."""
    g = run.g
    if not run.overloads.of(target):
        raise UnsupportedError([unknown(run, target, args)])
    values = [content(run, item) for item in args]
    named = {key: content(run, item) for key, item in kwargs.items()}
    found = run.complex_overloads.chosen(target, values, named) if is_complex([*values, *named.values()]) else None
    found = found or run.overloads.chosen(target, values, named)
    if found is None:
        kinds = ", ".join([kind_of(item) for item in args] + [f"{key}={kind_of(kwargs[key])}" for key in kwargs])
        raise g.unsupported(f"no overload that netglot has takes ({kinds})")
    operator, bound = found
    g.target = operator.op
    results = invoke(g, operator, list(bound.items()))
    several = len(results) != 1 or target.rpartition(".")[2] in _LISTS or operator.op in _LIST_OVERLOADS
    return (results if several else results[0]), (operator, bound)


def content(run: Interpreter, item: Any) -> Any:
    """An argument as the operators' functions take it."""
    if isinstance(item, Tensor):
        return run.tensors.read(run.g, item)
    if isinstance(item, (list, tuple)):
        return [content(run, part) for part in item]
    if isinstance(item, Device):
        return item.name
    return run.g.as_number(item) if isinstance(item, Value) else item


def _values(run: Interpreter, items: Any) -> list[Value]:
    return [value for tensor in tensors(items) if isinstance(value := run.tensors.read(run.g, tensor), Value)]


def wrapped(run: Interpreter, name: str, result: Any, operator: Operator | None = None) -> Any:
    """Results of an operator as values of the program."""
    if isinstance(result, (Value, Complex)):
        return Tensor(Memory(result))
    if isinstance(result, (list, tuple)):
        parts = [wrapped(run, "", part) for part in result]
        is_list = name in _LISTS or (operator is not None and operator.op in _LIST_OVERLOADS)
        return List(parts, run.depth) if is_list else tuple(parts)
    return result


def changed(run: Interpreter, tensor: Tensor, result: Any) -> Any:
    """The tensor, after an operator in place has given `result`."""
    g = run.g
    before = run.tensors.read(g, tensor)
    if isinstance(result, (list, tuple)):
        result = result[0]
    if isinstance(before, Value) and isinstance(result, Value):
        if before.shape is not None and result.shape is not None and result.rank > before.rank:
            raise g.unsupported(f"it makes {text(result.shape)} of {text(before.shape)} in place")
        result = as_before(g, before, result)
    if run.state.shared(tensor.root):
        raise g.unsupported("it changes a weight that lies in the memory of another")
    if tensor.root.place:
        run.state.changed.add(tensor.root.place)
    run.tensors.change(g, tensor, result)
    return tensor


def viewed(run: Interpreter, name: str, base: Tensor, result: Any, call: tuple[Operator, dict[str, Any]]) -> Any:
    """The result of an operator that may share the memory of its first operand."""
    if name in views.PARTS:
        return _parts(run, name, base, result, call)
    if name in views.VIEWS and isinstance(result, (Value, Complex)):
        writer = views.VIEWS[name]
        arguments = call[1]
        write = None if writer is None else (lambda g, old, new: writer(g, old, new, arguments))
        remake = _again(call, None)
        return Tensor(base=base, remake=remake, write=write, seen=result, version=base.root.version, how=name)
    if name in views.PERHAPS:

        def one(item: Any) -> Tensor:
            return Tensor(base=base, seen=item, version=base.root.version, how=name)

        items = result if isinstance(result, (list, tuple)) else None
        if items is None:
            return one(result)
        is_list = name in _LISTS or call[0].op in _LIST_OVERLOADS
        return List((one(item) for item in items), run.depth) if is_list else tuple(map(one, items))
    return wrapped(run, name, result, call[0])


def _again(call: tuple[Operator, dict[str, Any]], part: int | None) -> Any:
    """Makes the view of another content of its base."""
    operator, bound = call
    first = next(iter(bound))

    def remake(g: Any, base: Any) -> Any:
        target, g.target = g.target, operator.op
        found = invoke(g, operator, list({**bound, first: base}.items()))
        g.target = target
        return found[part or 0]

    return remake


def _parts(run: Interpreter, name: str, base: Tensor, result: Any, call: tuple[Operator, dict[str, Any]]) -> List:
    g = run.g
    source = run.tensors.read(g, base)
    axis = g.axis(call[1].get("dim", 0), source.rank)
    sizes = [1 if name == "unbind" else (part.shape or ())[axis] for part in result]
    made = List(depth=run.depth)
    for i, part in enumerate(result):
        before = sizes[:i]
        start = sum(before) if all(isinstance(size, int) for size in before) else None
        write = None if start is None else _writer(name, axis, start)
        made.append(
            Tensor(base=base, remake=_again(call, i), write=write, seen=part, version=base.root.version, how=name)
        )
    return made


def _writer(name: str, axis: int, start: int) -> Any:
    def write(g: Any, base: Value, new: Value) -> Value:
        return views.replaced(g, base, g.Unsqueeze(new, [axis]) if name == "unbind" else new, axis, start)

    return write


def _is_training(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether a dropout does anything."""
    return "dropout" in name and [*args, *kwargs.values()][-1:] == [True]


def _check_version(run: Interpreter, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """An operator that meant something else in old files is read only where the two agree."""
    if "div" in name and any(value.dtype is not None and value.dtype.kind == "f" for value in _values(run, [*args])):
        return
    if name == "full" and kwargs.get("dtype") is not None:
        return
    if name in ("linspace", "logspace") and len(args) > 2 and args[2] is not None:
        return
    raise run.g.unsupported(f"as it was in version {run.version} of the format", "Save it again with a newer torch.")


def unknown(run: Interpreter, target: str, args: Sequence[Any]) -> Problem:
    near = registry.near("pytorch", f"{target}.default")
    shapes = ", ".join(repr_of(run, item) for item in args if isinstance(item, Tensor))
    hint = f"Near: {', '.join(near)}. " if near else ""
    hint += "Map it in a file of your own: --plugin FILE.py"
    return Problem(f"the operator '{target:.120}' is not supported", run.g.origin, shapes, hint)


def repr_of(run: Interpreter, tensor: Tensor) -> str:
    value = run.tensors.read(run.g, tensor)
    return text(value.shape) if isinstance(value, Value) else "?"


def cast(
    run: Interpreter, tensor: Tensor, *arguments: Any, dtype: Any = None, copy: Any = False, **place: Any
) -> Tensor:
    """torch.to in all its forms: to a type, that of another tensor, or another device (which changes nothing)."""
    code = dtype
    for given in arguments:
        if isinstance(given, Tensor):
            code = element_type(run, given)
        elif isinstance(given, int) and not isinstance(given, bool):
            code = given
    flags = [given for given in arguments if isinstance(given, bool)]  # non_blocking, copy
    copies = bool(copy) or (len(flags) > 1 and flags[1])
    value = shaped(run, tensor)
    if code is None or dtype_of(code) == value.dtype:
        moved = any(isinstance(given, Device) for given in (*arguments, *place.values()))
        if copies:
            return Tensor(Memory(value))
        return Tensor(base=tensor, seen=value, version=tensor.root.version, how="to") if moved else tensor
    result, _call = applied(run, "aten.to", [tensor, dtype_of(code)], {})
    return Tensor(Memory(result))
