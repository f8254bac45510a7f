"""What TorchScript itself does with lists, dicts and texts.

Semantics: torch/csrc/jit/runtime/register_prim_ops.cpp.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from netglot.frontends.pytorch.torchscript import conversions as on
from netglot.frontends.pytorch.torchscript import numbers
from netglot.frontends.pytorch.torchscript.tensors import Tensor
from netglot.frontends.pytorch.torchscript.values import LONGEST, Builtin, Dict, List
from netglot.ir.graph import Value

if TYPE_CHECKING:
    from netglot.frontends.pytorch.torchscript.interpreter import Interpreter


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


def append(run: Interpreter, items: Any, item: Any) -> Any:
    """The list itself, longer by `item`; as `extend`, ConversionError for one without end."""
    _mutable(run, items).append(item)
    return _bounded(run, items)


def extend(run: Interpreter, items: Any, more: Any) -> Any:
    _bounded(run, more)
    _mutable(run, items).extend(list(more))
    return _bounded(run, items)


def _insert(run: Interpreter, items: Any, index: int, item: Any) -> None:
    _mutable(run, items).insert(index_of(run, index), item)


def _pop(run: Interpreter, items: Any, index: int = -1) -> Any:
    found = on.item(run, items, index)
    del _mutable(run, items)[index]
    return found


def set_item(run: Interpreter, items: Any, index: Any, item: Any) -> Any:
    """`items[index] = item`, of a list or dict."""
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


def index_of(run: Interpreter, index: Any) -> int:
    """`index`, which must be known; UnsupportedError where it is not."""
    if not isinstance(index, int):
        raise run.g.unsupported("which element of a list is meant is computed by the network")
    return index


def sliced(run: Interpreter, items: Any, start: Any = None, end: Any = None, step: Any = 1) -> Any:
    """`items[start:end:step]`, of a list, tuple or text."""
    places = [None if index is None else index_of(run, index) for index in (start, end, step)]
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
    times = index_of(run, count)
    _bounded(run, range(len(items) * max(times, 0)))
    return items * times if isinstance(items, str) else List(list(items) * times, run.depth)


def _contains(run: Interpreter, items: Any, item: Any) -> Any:
    if isinstance(items, (dict, str)):
        return item in items
    result: Any = False
    for other in items:
        result = numbers.logic("Or", operator.or_)(run, result, numbers.equal(run, other, item))
    return result


def length(run: Interpreter, items: Any) -> Any:
    """How many elements there are; of a tensor, the size of its first axis."""
    if isinstance(items, Tensor):
        return run.g.size(on.shaped(run, items), 0)
    if not isinstance(items, (list, tuple, dict, str)):
        raise run.error(f"{on.kind_of(items)} has no length")
    return len(items)


def list_of(run: Interpreter, item: Any) -> Any:
    """A new list of the elements."""
    if isinstance(item, (list, tuple, str)):
        return List(item, run.depth)
    raise run.g.unsupported("a tensor is made into a list")


def _copied(run: Interpreter, items: Any) -> Any:
    return Dict(items, run.depth) if isinstance(items, dict) else List(items, run.depth)


def _sum(run: Interpreter, items: Any) -> Any:
    total: Any = 0
    for item in items:
        total = numbers.FUNCTIONS["add"](run, total, item)
    return total


def _any(run: Interpreter, items: Any) -> Any:
    result: Any = False
    for item in items:
        result = numbers.logic("Or", operator.or_)(run, result, on.to_bool(run, item))
    return result


def _all(run: Interpreter, items: Any) -> Any:
    result: Any = True
    for item in items:
        result = numbers.logic("And", operator.and_)(run, result, on.to_bool(run, item))
    return result


def _place_of(run: Interpreter, items: Any, item: Any) -> int:
    for i, other in enumerate(items):
        same = numbers.equal(run, other, item)
        if isinstance(same, Value):
            raise run.g.unsupported("which element of a list is meant is computed by the network")
        if same:
            return i
    raise run.error("what is looked for is not in the list")


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


def formatted(run: Interpreter, text: Any, *args: Any) -> str:
    """Messages: what is not known when the model is converted is a question mark."""
    parts = str(text).split("{}")
    shown = [str(arg)[:1000] if isinstance(arg, (int, float, str)) else "?" for arg in args]
    return "".join(part + (shown[i] if i < len(shown) else "") for i, part in enumerate(parts))[:LONGEST]


OF_LISTS: dict[str, Builtin] = {
    "insert": _insert, "pop": _pop, "Delete": _delete, "clear": _clear, "reverse": _reverse, "copy": _copied,
    "slice": sliced, "add": _joined, "add_": extend, "mul": _repeated, "__contains__": _contains,
    "eq": numbers.equal, "ne": numbers.unequal, "sum": _sum, "index": _place_of, "min": numbers.extreme("Min", min),
    "max": numbers.extreme("Max", max), "__getitem__": on.item, "any": _any, "all": _all,
}  # fmt: skip
OF_DICTS: dict[str, Builtin] = {
    "keys": lambda run, items: List(items, run.depth), "values": lambda run, items: List(items.values(), run.depth),
    "items": lambda run, items: List(items.items(), run.depth), "__contains__": _contains, "get": _get,
    "setdefault": _set_default, "update": _update, "copy": _copied, "Delete": _delete, "clear": _clear, "pop": _pop,
    "__getitem__": on.item,
}  # fmt: skip
OF_TEXTS: dict[str, Builtin] = {
    "add": _joined, "mul": _repeated, "eq": numbers.same_value, "ne": numbers.unequal, "__contains__": _contains,
    "slice": sliced, "__getitem__": on.item, "upper": lambda run, a: a.upper(), "lower": lambda run, a: a.lower(),
    "startswith": lambda run, a, b, *_: a.startswith(b), "endswith": lambda run, a, b, *_: a.endswith(b),
    "ord": lambda run, a: ord(a[:1] or "\0"),
}  # fmt: skip
