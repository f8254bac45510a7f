"""Numbers, truth values and shapes of tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netglot.errors import ConversionError
from netglot.frontends.pytorch.builder import Complex
from netglot.frontends.pytorch.pickles import Instance
from netglot.frontends.pytorch.torchscript.calls import code_of
from netglot.frontends.pytorch.torchscript.tensors import Tensor
from netglot.frontends.pytorch.torchscript.values import UNKNOWN, List
from netglot.ir.graph import Value

if TYPE_CHECKING:
    from netglot.frontends.pytorch.torchscript.interpreter import Interpreter


def kind_of(item: Any) -> str:
    """For messages."""
    if isinstance(item, Instance):
        return f"an object of '{item.kind:.80}'"
    if isinstance(item, Value):
        return "a computed number"
    if isinstance(item, (list, tuple)) and item:
        return f"{type(item).__name__.lower()} of {kind_of(item[0])}"
    return "None" if item is None else type(item).__name__.lower()


def item(run: Interpreter, owner: Any, index: Any) -> Any:
    """`owner[index]`, of a list, tuple, dict or text."""
    if owner is UNKNOWN or index is UNKNOWN:
        return UNKNOWN
    if isinstance(index, Value):
        raise run.g.unsupported("which element of a list is read is computed by the network")
    try:
        if isinstance(owner, (list, tuple, dict, str)) and isinstance(index, (int, str, float)):
            return owner[index]  # type: ignore[index]
    except (IndexError, KeyError, TypeError):
        pass
    raise run.error(f"there is no element {index!r:.80} of {kind_of(owner)}")


def scalar(run: Interpreter, tensor: Tensor) -> Value:
    """The only element of a tensor, as a scalar of the graph."""
    value = run.tensors.read(run.g, tensor)
    if not isinstance(value, Value):
        raise run.g.unsupported("a complex number")
    if value.shape == ():
        return value
    return run.g.Reshape(value, np.empty(0, np.int64))


def to_bool(run: Interpreter, item: Any) -> Any:
    if not isinstance(item, (Tensor, Value)):
        return bool(item)
    value = scalar(run, item) if isinstance(item, Tensor) else item
    return bool(value.array) if value.is_constant else run.g.cast(value, np.bool_)


def to_int(run: Interpreter, item: Any) -> Any:
    """A number as an integer, cut off towards zero."""
    if not isinstance(item, (Tensor, Value)):
        return int(item)
    value = scalar(run, item) if isinstance(item, Tensor) else item
    return int(value.array) if value.is_constant else run.g.as_size(run.g.cast(value, np.int64))


def to_float(run: Interpreter, item: Any) -> Any:
    """A computed one has the precision of Python's."""
    if not isinstance(item, (Tensor, Value)):
        return float(item)
    value = scalar(run, item) if isinstance(item, Tensor) else item
    return float(value.array) if value.is_constant else run.g.cast(value, np.float64)


def to_number(run: Interpreter, tensor: Tensor) -> Any:
    """torch's item(): a number of the tensor's kind."""
    value = scalar(run, tensor)
    kind = value.dtype.kind if value.dtype is not None else "f"
    return to_bool(run, tensor) if kind == "b" else to_int(run, tensor) if kind in "iu" else to_float(run, tensor)


def sizes(run: Interpreter, tensor: Tensor) -> List:
    value = shaped(run, tensor)
    return List((run.g.size(value, axis) for axis in range(value.rank)), run.depth)


def shaped(run: Interpreter, tensor: Tensor) -> Any:
    """The content of a tensor; of a complex one, what has its shape."""
    value = run.tensors.read(run.g, tensor)
    if isinstance(value, Complex):
        raise run.g.unsupported("the shape of a complex tensor")
    if value.shape is None:
        raise run.g.unsupported("a tensor of unknown rank")
    return value


def element_type(run: Interpreter, tensor: Tensor) -> int:
    value = shaped(run, tensor)
    if value.dtype is None:
        raise ConversionError("a tensor of unknown type", run.g.origin)
    return code_of(value.dtype)
