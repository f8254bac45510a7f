"""What a Core ML operator function sees: the MIL program being built, and `coreml_op` to register it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from netglot.backends.lowering import NotMappedError
from netglot.coreml_import import coremltools
from netglot.ir.graph import Value
from netglot.registry import registry

if TYPE_CHECKING:
    from netglot.registry import Function

Var = Any  # coremltools' Var: a value in the program, with name, shape, rank and dtype
Tensor = Annotated[Any, "a Var or an array"]  # an input that may come as the np.ndarray of a constant

TARGETS = ("iOS15", "iOS16", "iOS17", "iOS18")  # oldest first; each also stands for its macOS
MAX_RANK = 5
SMALL = 10  # coremltools writes constants with fewer elements into the program, not into the weights file

# MIL's name for the type that stores an ONNX type. There is nothing wider than 32 bits in Core ML.
MIL_TYPES: dict[np.dtype, str] = {
    np.dtype(name): mil
    for name, mil in {"float32": "fp32", "float16": "fp16", "int32": "int32", "int64": "int32", "bool": "bool"}.items()
}


class NewerTargetError(Exception):
    """Raised where the program needs a newer deployment target than it is being written for."""

    def __init__(self, target: str) -> None:
        self.target = target


def coreml_op(*ops: str, open_sizes: bool = False, override: bool = False) -> Callable[[Function], Function]:
    """Registers a function for ONNX operators.

    It gets one argument for each input (None where that is left out) and returns the Var of each output. A constant
    comes as its array where the parameter is annotated Tensor, otherwise as a Var. `open_sizes`: whether it can do with
    sizes that are known only when the model runs, for which MIL has symbols.
    """
    return registry.add("coreml", *ops, override=override, open_sizes=open_sizes)


class CoreMLBuilder:
    """MIL's builder: `m.conv(x=x, weight=w)` adds an operation to the program and returns its Var.

    A constant that is used twice is stored once. A Python float takes the element type of `x`. `outputs` are the
    outputs of the node being written.
    """

    def __init__(self, target: str) -> None:
        self.target = target
        self.outputs: tuple[Value, ...] = ()
        self.made: list[Any] = []  # the operations added so far, in order
        self._mil = coremltools("converters.mil.mil").Builder
        self._constants: dict[int, tuple[np.ndarray, Var]] = {}

    def __getattr__(self, op: str) -> Callable[..., Any]:
        if op.startswith("_"):
            raise AttributeError(op)
        return lambda **arguments: self._add(op, arguments)

    def require(self, target: str) -> None:
        """Says that what comes next exists only since `target`."""
        if TARGETS.index(self.target) < TARGETS.index(target):
            raise NewerTargetError(target)

    @property
    def output(self) -> Value:
        """The only (or first) output of the node being written."""
        return self.outputs[0]

    def constant(self, data: np.ndarray) -> Var:
        """The Var of a constant, the same for the same array."""
        if id(data) not in self._constants:  # the array is kept, so that its id stays its own
            self._constants[id(data)] = (data, self._mil.const(val=_stored(data)))
        return self._constants[id(data)][1]

    def stored(self, data: np.ndarray, kind: str = "") -> Var:
        """The Var of a constant of any type that stored weights have, in MIL's type `kind` (or its own)."""
        kind = kind or (data.dtype.name if data.dtype.name in ("int4", "uint4") else "")
        if not kind:
            return self._mil.const(val=np.ascontiguousarray(data))
        marked = _marked(kind)
        return self._mil.const(val=data.astype(marked.type).astype(marked))

    def _add(self, op: str, arguments: dict[str, Any]) -> Any:
        result = getattr(self._mil, op)(**self._arguments(arguments))
        self.made.append((result[0] if isinstance(result, list | tuple) else result).op)
        return result

    def _arguments(self, arguments: dict[str, Any]) -> dict[str, Any]:
        half = mil_type(arguments.get("x")) == "fp16"
        return {name: self._argument(value, half) for name, value in arguments.items() if value is not None}

    def _argument(self, value: Any, half: bool) -> Any:
        if isinstance(value, np.ndarray):
            return self.constant(value) if value.size >= SMALL else _stored(value)
        if isinstance(value, float):
            return np.float16(value) if half else np.float32(value)
        if isinstance(value, tuple | list) and any(isinstance(item, np.ndarray) for item in value):
            return [self._argument(item, half) for item in value]
        return list(value) if isinstance(value, tuple) else value


def _marked(kind: str) -> np.dtype:
    """NumPy's type for one of MIL's integers of fewer than 8 bits: a byte each, with MIL's mark."""
    types = coremltools("converters.mil.mil.types")
    found: np.dtype = types.nptype_from_builtin(types.string_to_builtin(kind))
    return found


def mil_type(x: Tensor) -> str:
    """MIL's name of the element type of `x` ("" for what is no tensor)."""
    if isinstance(x, np.ndarray):
        return MIL_TYPES.get(x.dtype, "")
    return str(x.dtype.__type_info__()) if hasattr(x, "sym_type") else ""


def is_float(x: Tensor) -> bool:
    return mil_type(x) in ("fp32", "fp16")


def is_open(x: Tensor) -> bool:
    """Whether a size of `x` is known only when the model runs."""
    return not all(isinstance(size, int | np.integer) for size in x.shape)


def is_weight(x: Tensor) -> bool:
    """Whether `x` is a constant, dense or one that Core ML decompresses."""
    return isinstance(x, np.ndarray) or (x.op is not None and x.op.op_type.startswith("constexpr_"))


def constant(x: Tensor, what: str) -> np.ndarray:
    """`x` if it is a constant; NotMappedError if it is computed."""
    if not isinstance(x, np.ndarray):
        raise NotMappedError(f"{what} must be constant")
    return x


def ints(x: Tensor, what: str) -> list[int]:
    return [int(item) for item in constant(x, what).reshape(-1)]


def interleaved(pads: Sequence[int]) -> list[int]:
    """ONNX's pads (all begins, then all ends) in MIL's order: begin and end of each axis."""
    rank = len(pads) // 2
    return [pad for i in range(rank) for pad in (pads[i], pads[i + rank])]


def _stored(data: np.ndarray) -> Any:
    """The array as MIL stores it; rank 0 as a NumPy scalar, as MIL's builder wants it."""
    if data.dtype not in MIL_TYPES:
        raise NotMappedError(f"Core ML has no tensors of {data.dtype}")
    if data.dtype == np.int64:
        info = np.iinfo(np.int32)
        if data.size and (data.min() < info.min or data.max() > info.max):
            raise NotMappedError("Core ML's integers have 32 bits, and a constant needs more")
        data = data.astype(np.int32)
    return data if data.ndim else data[()]
