"""What the function of an ATen operator sees: the graph builder, sizes that may be open, `aten` to register it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from netglot.errors import UnsupportedError
from netglot.frontends.folding import FoldingBuilder
from netglot.frontends.pytorch.program import Meta
from netglot.frontends.pytorch.promotion import result_type
from netglot.ir.graph import Graph, Value
from netglot.ir.types import Dim
from netglot.registry import registry

if TYPE_CHECKING:
    from netglot.registry import Function

Size = int | Value  # a SymInt: known, or an int64 scalar that the network computes
Number = int | float | bool
Operand = Value | int | float | bool  # what an elementwise operator takes


@dataclass(frozen=True, eq=False)
class Complex:
    """A complex tensor: `pairs` has one axis more, of size 2, for the real and imaginary parts (as view_as_real)."""

    pairs: Value


COMPLEX = "pytorch complex"  # the registry's name for functions that are called where an argument is Complex


def complex_aten(*overloads: str, order: str = "") -> Callable[[Function], Function]:
    """As `aten`, for calls with a Complex among the arguments: it stands beside the function for real tensors."""
    return registry.add(COMPLEX, *(f"aten.{_full(name)}" for name in overloads), complex=True, order=order)


def aten(
    *overloads: str, complex: bool = False, override: bool = False, order: str = ""
) -> Callable[[Function], Function]:  # fmt: skip
    """Registers a function for overloads of ATen operators: "conv2d", "add.Tensor" (no overload means "default").

    Its positional parameters are the tensors (and lists of tensors) of torch's schema by the schema's names, but for
    the first, which torch calls `self`; its keyword-only ones are all others, by their names and with their defaults:
    int, float, bool and str as they are, an int that may be open as a Size, a dtype as np.dtype, a tensor list as a
    list. Arguments that only say where a tensor lies (device, layout, memory_format, pin_memory, non_blocking) are
    not passed on. Returns what the operator returns: one Value (or Size, for a number), or a tuple; `complex` says
    that the function knows what to do with a Complex. An in-place twin (`add_.Tensor`) needs no registration.
    `order`: the schema's first arguments, where they are not the tensors and then the others ("self dim index"):
    TorchScript passes arguments by position. A star at the end says that no more can be.
    """
    targets = (f"aten.{_full(name)}" for name in overloads)
    return torch_op(*targets, complex=complex, override=override, order=order)


def torch_op(
    *targets: str, complex: bool = False, override: bool = False, order: str = ""
) -> Callable[[Function], Function]:  # fmt: skip
    """As `aten`, for any target by its full name: `_operator.add`, `higher_order.cond`, `mylib.myop.default`."""
    return registry.add("pytorch", *targets, complex=complex, override=override, order=order)


def _full(name: str) -> str:
    return name if "." in name else f"{name}.default"


class TorchBuilder(FoldingBuilder):
    """A FoldingBuilder that knows the call it is made for.

    `target` is the operator; `metas` is what torch recorded of its outputs (None for what it recorded nothing of);
    `is_dense` tells whether the first tensor lies in memory in order; `reader` is the driver, which runs bodies
    (`g.reader.call`).
    """

    def __init__(self, graph: Graph | None = None, reader: Any = None) -> None:
        super().__init__(graph)
        self.reader = reader
        self.target = ""
        self.metas: list[Meta | None] = []
        self.is_dense = False
        self._numbers: set[Value] = set()

    def inner(self, name: str) -> TorchBuilder:
        """A builder for a body, which sees what is known out here."""
        inner = TorchBuilder(Graph(name), self.reader)
        inner.origin, inner.target, inner._contents = self.origin, self.target, self._contents
        inner._numbers = self._numbers
        return inner

    def unsupported(self, what: str, hint: str = "") -> UnsupportedError:
        """The error for a mode of an operator that can't be expressed; all of them are reported together."""
        return UnsupportedError(f"{self.target}: {what}", self.origin, hint)

    # ----------------------------------------------------------------- types

    def number(self, x: Operand, dtype: Any) -> Value:
        """`x`, a number or a tensor, as a tensor of `dtype`; a number becomes a scalar constant."""
        return self.cast(x, dtype) if isinstance(x, Value) else self.constant(np.array(x).astype(dtype))

    def promoted(self, *operands: Operand, floating: bool = False) -> list[Value]:
        """The operands as tensors of the one type that torch would compute in (see promotion.result_type)."""
        dtype = self.result_type(*operands, floating=floating)
        return [self.number(operand, dtype) for operand in operands]

    def result_type(self, *operands: Operand | None, floating: bool = False) -> np.dtype:
        """The type that torch would compute in; a number that the network computes counts as a Python number."""
        return result_type(operands, floating=floating, numbers=self._numbers)

    def as_number(self, x: Value) -> Value:
        """`x`, a scalar, which is no tensor for torch but a number (a SymInt, SymFloat or SymBool)."""
        self._numbers.add(x)
        return x

    def is_number(self, x: Operand) -> bool:
        """Whether `x` is a number for torch, known or computed by the network."""
        return not isinstance(x, Value) or x in self._numbers

    # ----------------------------------------------------------------- sizes

    def size(self, x: Value, axis: int) -> Size:
        """The size of an axis: a number, or where it is open an int64 scalar."""
        axis = self.axis(axis, x.rank)
        dim = (x.shape or ())[axis]
        return dim if isinstance(dim, int) else self.as_size(self.Shape(x, start=axis, end=axis + 1))

    def as_size(self, x: Value) -> Size:
        """An integer tensor of one element as a size."""
        known = self.contents(x)
        if known is not None and len(known) == 1 and isinstance(known[0], int):
            return known[0]
        scalar: Value = x if x.shape == () else self.Reshape(x, np.empty(0, np.int64))
        return self.as_number(self.cast(scalar, np.int64))

    def shape(self, sizes: Sequence[Size]) -> Value:
        """`sizes` as an int64 tensor of rank 1."""
        if all(isinstance(size, int) for size in sizes):
            return self.constant(np.array([size for size in sizes if isinstance(size, int)], np.int64))
        parts: list[Any] = [
            np.array([size], np.int64) if isinstance(size, int) else self.Reshape(size, np.array([1], np.int64))
            for size in sizes
        ]
        return self.Concat(*parts, axis=0) if len(parts) > 1 else parts[0]

    def dims(self, sizes: Sequence[Size]) -> tuple[Dim, ...]:
        """What is known of `sizes`: numbers, the names of open sizes, None."""
        return tuple(size if isinstance(size, int) else (self.contents(size) or (None,))[0] for size in sizes)

    def view(self, x: Value, sizes: Sequence[Size]) -> Value:
        """`x` reshaped to `sizes`, of which one may be -1."""
        known = self.dims(sizes)
        dynamic = None if all(isinstance(size, int) for size in sizes) else self.shape(sizes)
        return self.reshaped(x, [None if dim == -1 else dim for dim in known], dynamic=dynamic)

    def known(self, size: Size | None, what: str) -> int:
        """A size that must be known when the model is converted; UnsupportedError otherwise."""
        if not isinstance(size, int):
            raise self.unsupported(f"{what} is computed by the network; it must be a number here")
        return size

    def axis(self, axis: int, rank: int) -> int:
        """`axis` counted from the front; a scalar is taken to have one axis, as torch does."""
        span = max(rank, 1)
        if not -span <= axis < span:
            raise self.unsupported(f"there is no axis {axis} in a tensor of rank {rank}")
        return axis % span

    def axes(self, dims: int | Sequence[int] | None, rank: int) -> list[int]:
        """`dims` counted from the front; None and an empty list mean all of them."""
        if dims is None or (not isinstance(dims, int) and not dims):
            return list(range(rank))
        return [self.axis(dim, rank) for dim in ([dims] if isinstance(dims, int) else dims)] if rank else []
