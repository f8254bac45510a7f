"""The pickles inside a TorchScript archive, read as descriptions: nothing is imported, called or built.

A pickle is a program for a small stack machine. This one runs it with every instruction that could reach code replaced
by a record of what was asked for: a class is its name, an object its class and state, a call its function's name and
arguments. Tensors are said by where they lie in the archive. (Instructions: `pickletools` of Python's library.)
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import ml_dtypes
import numpy as np

from netglot.errors import ConversionError, Origin

LARGEST = 1 << 28  # bytes of a pickle: it holds names and sizes, weights lie beside it


@dataclass(frozen=True, slots=True)
class Named:
    """A class or function, by its name; it is never looked up."""

    name: str


@dataclass(frozen=True, slots=True)
class Storage:
    """A piece of memory: the entry of the archive that holds it, and of how many elements."""

    key: str
    dtype: np.dtype | None
    size: int


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor that is a part of a storage; offset and strides count elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(eq=False, slots=True)
class Instance:
    """An object: the name of its class and its attributes. `state` is what it was given where that is no dict."""

    kind: str
    attributes: dict[str, Any] = field(default_factory=dict)
    state: Any = None


@dataclass(frozen=True, eq=False, slots=True)
class Opaque:
    """What the pickle would have made by a call that is not known here."""

    name: str


_STORAGES: dict[str, np.dtype] = {
    "FloatStorage": np.dtype(np.float32), "DoubleStorage": np.dtype(np.float64), "HalfStorage": np.dtype(np.float16),
    "BFloat16Storage": np.dtype(ml_dtypes.bfloat16), "LongStorage": np.dtype(np.int64),
    "IntStorage": np.dtype(np.int32), "ShortStorage": np.dtype(np.int16), "CharStorage": np.dtype(np.int8),
    "ByteStorage": np.dtype(np.uint8), "BoolStorage": np.dtype(np.bool_),
    "ComplexFloatStorage": np.dtype(np.complex64), "ComplexDoubleStorage": np.dtype(np.complex128),
    "Float8_e4m3fnStorage": np.dtype(ml_dtypes.float8_e4m3fn), "Float8_e5m2Storage": np.dtype(ml_dtypes.float8_e5m2),
}  # fmt: skip


def described(data: bytes, origin: Origin = Origin()) -> Any:
    """What a pickle says, as numbers, texts, lists, tuples, dicts and the records above.

    ConversionError where it is cut short or uses what torch never writes.
    """
    if len(data) > LARGEST:
        raise ConversionError(f"a pickle of {len(data)} bytes", origin)
    try:
        return _Machine().run(data)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ConversionError(f"a pickle in it can't be read: {error or type(error).__name__}", origin) from None


class _Mark:
    pass


class _Machine:
    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self, data: bytes) -> Any:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name == "STOP":
                return self.stack.pop()
            if opcode.name not in _INSTRUCTIONS:
                raise ValueError(f"the instruction {opcode.name}, which torch never writes")
            _INSTRUCTIONS[opcode.name](self, argument)
        raise ValueError("it does not end")

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def marked(self) -> list[Any]:
        """What was pushed since the last mark."""
        found: list[Any] = []
        while not isinstance(item := self.stack.pop(), _Mark):
            found.append(item)
        return found[::-1]

    def remember(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def tuple(self, size: int) -> None:
        parts = tuple(self.stack[len(self.stack) - size :]) if size else ()
        if len(parts) != size:
            raise IndexError("a tuple of more than there is")
        del self.stack[len(self.stack) - size :]
        self.push(parts)

    def append(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, list):
            raise TypeError("what is appended to is no list")
        target.extend(items)

    def set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict) or len(items) % 2:
            raise TypeError("what is filled is no dict")
        if not all(isinstance(key, (str, int, float)) for key in items[::2]):  # to hash nested tuples may take for ever
            raise TypeError("a dict whose keys are no texts or numbers")
        target.update(zip(items[::2], items[1::2], strict=True))

    def call(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if not isinstance(function, Named) or not isinstance(arguments, tuple):
            raise TypeError("a call of what is no function")
        self.push(_called(function.name, arguments))

    def new(self) -> None:
        arguments, kind = self.stack.pop(), self.stack.pop()
        if not isinstance(kind, Named):
            raise TypeError("an object without a class")
        self.push(Instance(kind.name, state=arguments or None))

    def build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if not isinstance(target, Instance):
            return  # the state of what is not known: nothing reads it
        if isinstance(state, dict) and all(isinstance(key, str) for key in state):
            target.attributes.update(state)
        else:
            target.state = state

    def persistent(self) -> None:
        match self.stack.pop():
            case ("storage", Named(name=name), str() as key, _, int() as size):
                self.push(Storage(key, _STORAGES.get(name.removeprefix("torch.")), size))
            case _:
                raise TypeError("a reference to something outside that is no storage")


def _called(name: str, arguments: tuple[Any, ...]) -> Any:
    """What a call of one of torch's own functions describes; of any other, only the name stays."""
    match name, arguments:
        case "torch._utils._rebuild_tensor_v2", (Storage() as storage, int() as offset, tuple() as shape,
                                                 tuple() as strides, *_):  # fmt: skip
            return StoredTensor(storage, offset, tuple(map(int, shape)), tuple(map(int, strides)))
        case "torch._utils._rebuild_parameter", (tensor, *_):
            return tensor
        case "collections.OrderedDict", ():
            return {}
        case "torch.jit._pickle.restore_type_tag", (value, _):
            return value
        case _, (list() as items,) if name.startswith("torch.jit._pickle.build_") and name.endswith("list"):
            return items
        case _:
            return Opaque(name)


_Instruction = Callable[[_Machine, Any], Any]
_INSTRUCTIONS: dict[str, _Instruction] = {
    "PROTO": lambda m, a: None,
    "FRAME": lambda m, a: None,
    "NONE": lambda m, a: m.push(None),
    "NEWTRUE": lambda m, a: m.push(True),
    "NEWFALSE": lambda m, a: m.push(False),
    "MARK": lambda m, a: m.push(_Mark()),
    "POP": lambda m, a: m.stack.pop(),
    "DUP": lambda m, a: m.push(m.stack[-1]),
    "EMPTY_TUPLE": lambda m, a: m.push(()),
    "EMPTY_LIST": lambda m, a: m.push([]),
    "EMPTY_DICT": lambda m, a: m.push({}),
    "TUPLE": lambda m, a: m.push(tuple(m.marked())),
    "TUPLE1": lambda m, a: m.tuple(1),
    "TUPLE2": lambda m, a: m.tuple(2),
    "TUPLE3": lambda m, a: m.tuple(3),
    "LIST": lambda m, a: m.push(m.marked()),
    "APPEND": lambda m, a: m.append([m.stack.pop()]),
    "APPENDS": lambda m, a: m.append(m.marked()),
    "SETITEM": lambda m, a: m.set_items([m.stack.pop(), m.stack.pop()][::-1]),
    "SETITEMS": lambda m, a: m.set_items(m.marked()),
    "GLOBAL": lambda m, a: m.push(Named(a.replace(" ", "."))),
    "BINPERSID": lambda m, a: m.persistent(),
    "REDUCE": lambda m, a: m.call(),
    "NEWOBJ": lambda m, a: m.new(),
    "BUILD": lambda m, a: m.build(),
    "MEMOIZE": lambda m, a: m.remember(len(m.memo)),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), lambda m, a: m.remember(a)),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), lambda m, a: m.push(m.memo[a])),
    **dict.fromkeys(
        ("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE",
         "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES"),
        lambda m, a: m.push(a),
    ),
}  # fmt: skip
