"""What TorchScript itself says of tensors (sizes, types, places), and tensors made of numbers.

Semantics: torch/csrc/jit/runtime/register_prim_ops.cpp.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netglot.frontends.pytorch.builder import Complex
from netglot.frontends.pytorch.torchscript import containers, numbers, operations
from netglot.frontends.pytorch.torchscript import conversions as on
from netglot.frontends.pytorch.torchscript.calls import dtype_of
from netglot.frontends.pytorch.torchscript.tensors import Memory, Tensor
from netglot.frontends.pytorch.torchscript.values import Builtin, Device
from netglot.ir.graph import Value

if TYPE_CHECKING:
    from netglot.frontends.pytorch.torchscript.interpreter import Interpreter


def _size(run: Interpreter, tensor: Tensor, dim: Any = None) -> Any:
    return on.sizes(run, tensor) if dim is None else run.g.size(on.shaped(run, tensor), containers.index_of(run, dim))


def _rank(run: Interpreter, tensor: Tensor) -> int:
    return int(on.shaped(run, tensor).rank)


def _count(run: Interpreter, tensor: Tensor) -> Any:
    total: Any = 1
    for size in on.sizes(run, tensor):
        total = numbers.FUNCTIONS["mul"](run, total, size)
    return total


def _device(run: Interpreter, *_: Any) -> Device:
    return Device("cpu")


def _is_floating(run: Interpreter, tensor: Tensor) -> bool:
    value = run.tensors.read(run.g, tensor)
    return not isinstance(value, Complex) and dtype_of(on.element_type(run, tensor)).kind not in "iub"


def _is_complex(run: Interpreter, tensor: Tensor) -> bool:
    return isinstance(run.tensors.read(run.g, tensor), Complex)


def made(run: Interpreter, data: Any, dtype: Any = None, **_: Any) -> Tensor:
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


def to_tensor(run: Interpreter, number: Any) -> Tensor:
    """A number as a tensor: of double precision for what is not whole, as torch has it."""
    is_float = isinstance(number, float) or (isinstance(number, Value) and number.dtype == np.float64)
    dtype = np.dtype(np.float64) if is_float else _default(number)
    return Tensor(Memory(_array(run, number, dtype)))


def _all_close(run: Interpreter, *_: Any, **__: Any) -> Any:
    raise run.g.unsupported("whether two tensors are equal is asked")


FUNCTIONS: dict[str, Builtin] = {
    "size": _size, "dim": _rank, "ndimension": _rank, "numel": _count, "dtype": on.element_type, "device": _device,
    "shape": _size, "is_floating_point": _is_floating, "is_complex": _is_complex, "item": on.to_number,
    "Int": on.to_int, "Float": on.to_float, "Bool": on.to_bool, "IntImplicit": on.to_int, "FloatImplicit": on.to_float,
    "ScalarImplicit": on.to_number, "data": lambda run, tensor: tensor, "to": operations.cast,
    "layout": lambda run, tensor: 0, "is_cuda": lambda run, tensor: False, "is_cpu": lambda run, tensor: True,
    "is_sparse": lambda run, tensor: False, "is_quantized": lambda run, tensor: False,
    "is_mps": lambda run, tensor: False, "is_meta": lambda run, tensor: False, "is_mkldnn": lambda run, tensor: False,
    "is_nested": lambda run, tensor: False, "is_xla": lambda run, tensor: False, "is_leaf": lambda run, tensor: False,
    "requires_grad": lambda run, tensor: False, "equal": _all_close, "allclose": _all_close,
    "_local_scalar_dense": on.to_number, "tolist": containers.list_of, "stride": _all_close,
    "AutogradZero": lambda run, *_, **__: None,
}  # fmt: skip
