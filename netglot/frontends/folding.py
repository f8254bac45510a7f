"""A Builder that computes what is constant while the graph is read, and follows sizes through shape arithmetic.

Frameworks compute shapes with ordinary operators (Shape, slice, pack, Reshape), and many of ONNX's attributes are
ordinary inputs there (axes, paddings). Both need values while reading, not after.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from netglot.errors import UnsupportedError
from netglot.ir import types
from netglot.ir.builder import Argument, Builder
from netglot.ir.evaluate import evaluate, is_foldable
from netglot.ir.graph import Graph, Value
from netglot.ir.types import Dim

FOLD = 1 << 16  # bytes: results up to this size are computed at once; the pass fold_constants does the rest
SHAPE = 1024  # elements: longer tensors are no shapes

_KEEPS = {"Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten"}


class FoldingBuilder(Builder):
    """Nodes of small constants become constants as they are added; `contents` says what is known of a shape."""

    def __init__(self, graph: Graph | None = None) -> None:
        super().__init__(graph)
        self._contents: dict[Value, tuple[Dim, ...]] = {}

    def op(self, op: str, inputs: Sequence[Argument], *, outputs: int = 1, domain: str = "", name: str = "",
           **attributes: Any) -> Any:  # fmt: skip
        """As Builder.op; a result that is known by now is returned as a constant."""
        result = super().op(op, inputs, outputs=outputs, domain=domain, name=name, **attributes)
        if domain:
            return result
        values = result if isinstance(result, tuple) else (result,)
        node = self.graph.producer(values[0])
        assert node is not None
        if op in ("Shape", "Size"):
            self._follow_shape(op, values[0], node.inputs[0])
        elif len(values) == 1:
            self._follow(op, values[0], node.inputs)
        folded = self._fold(node, values)
        return folded if folded is None or isinstance(result, tuple) else folded[0]

    def _fold(self, node: Any, values: tuple[Value, ...]) -> tuple[Value, ...]:
        arrays = self._known(values) or (evaluate(node) if is_foldable(node) and _is_small(node) else None)
        if arrays is None:
            return values
        names = [value.name for value in values]
        self.graph.remove_node(node)
        return tuple(self.graph.add_constant(array, name) for array, name in zip(arrays, names, strict=True))

    def _known(self, values: tuple[Value, ...]) -> list[np.ndarray] | None:
        """The data of a single integer tensor whose contents are all numbers."""
        contents = self._contents.get(values[0]) if len(values) == 1 else None
        if contents is None or not all(isinstance(dim, int) for dim in contents) or values[0].dtype is None:
            return None
        if not types.is_static(values[0].shape):
            return None
        limits = np.iinfo(values[0].dtype)
        if any(not limits.min <= dim <= limits.max for dim in contents if isinstance(dim, int)):
            return None  # the type wraps around; what that comes to is computed
        return [np.array(contents, values[0].dtype).reshape(values[0].sizes)]

    def plain(self, op: str, *inputs: Value, **attributes: Any) -> Any:
        """Adds a node that stays, even where its result is known."""
        return Builder.op(self, op, inputs, **attributes)

    def cast(self, x: Value, dtype: Any) -> Value:
        """`x` as `dtype` (a NumPy dtype); itself where it is that already."""
        return x if x.dtype == np.dtype(dtype) else self.Cast(x, to=types.to_onnx(np.dtype(dtype)))

    # ----------------------------------------------------------------- contents

    def contents(self, value: Value | None) -> tuple[Dim, ...] | None:
        """What is known of the elements of an integer tensor: numbers, the names of sizes, None; or None for nothing.

        A scalar has one element.
        """
        if value is None:
            return None
        if value.is_constant and value.array.dtype.kind in "iu" and value.array.size <= SHAPE:
            return tuple(int(element) for element in value.array.ravel())
        return self._contents.get(value)

    def _follow_shape(self, op: str, y: Value, x: Value | None) -> None:
        node = self.graph.producer(y)
        if x is None or x.shape is None or node is None:
            return
        if op == "Shape":
            self._contents[y] = x.shape[slice(node.attributes.get("start", 0), node.attributes.get("end"))]
        elif types.is_static(x.shape):
            self._contents[y] = (types.element_count(x.shape),)

    def _follow(self, op: str, y: Value, inputs: Sequence[Value | None]) -> None:
        """Carries the contents through the operators that shape arithmetic is made of."""
        known = [self.contents(value) for value in inputs]
        if op in ("Min", "Max") and y.shape == ():
            self._follow_bound(op, y, inputs)
        if not known or known[0] is None or y.dtype is None or y.dtype.kind not in "iu":
            return
        if op not in _KEEPS and not all(value is None or _is_list(value) for value in inputs):
            return  # the elements of a matrix are not told apart by their number alone
        found = _arithmetic(op, known, inputs)
        if found is not None:
            self._contents[y] = found

    def _follow_bound(self, op: str, y: Value, inputs: Sequence[Value | None]) -> None:
        """min(a, max(a, b)) is a: what limits the steps of a loop is written so."""
        for a, other in itertools.permutations(inputs, 2):
            known = self.contents(a)
            node = self.graph.producer(other) if other is not None and other in self.graph.nx else None
            if known is None or None in known or node is None or node.op != {"Min": "Max", "Max": "Min"}[op]:
                continue
            if len(inputs) == 2 and any(self.contents(value) == known for value in node.inputs):
                self._contents[y] = known

    # ------------------------------------------------------------------ arguments

    def static(self, value: Value | None, what: str) -> np.ndarray:
        """The data of an argument that must be known when the model is converted; UnsupportedError otherwise."""
        if value is None or not value.is_constant:
            raise UnsupportedError(f"{what} is computed by the network; it must be a constant here", self.origin)
        return value.array

    def ints(self, value: Value | None, what: str) -> list[int]:
        """As `static`, for a list of integers (a scalar is a list of one)."""
        return [int(item) for item in self.static(value, what).ravel()]

    def reshaped(self, x: Value, sizes: Sequence[Dim | None], *, dynamic: Value | None = None) -> Value:
        """`x` with the shape `sizes`, where at most one can't be said by a number or copied from the same axis of x.

        Where more are unknown, the tensor `dynamic` (int64, rank 1) says them at run time.
        """
        copied = [_same_axis(x, axis, dim) for axis, dim in enumerate(sizes)]
        unknown = [i for i, dim in enumerate(sizes) if not isinstance(dim, int) and not copied[i]]
        if len(unknown) > 1 or (len(unknown) == 1 and any(dim == 0 for dim in sizes)):
            if dynamic is None:
                raise UnsupportedError(f"the shape {types.text(sizes)} is not known", self.origin)
            y: Value = self.Reshape(x, dynamic, allowzero=1)
        elif any(dim == 0 for dim in sizes):
            y = self.Reshape(x, np.array([d if isinstance(d, int) else -1 for d in sizes], np.int64), allowzero=1)
        else:
            wanted = [d if isinstance(d, int) else 0 if copied[i] else -1 for i, d in enumerate(sizes)]
            y = self.Reshape(x, np.array(wanted, np.int64))
        if not y.is_constant and (y.shape is None or not types.is_static(y.shape)):
            y.shape = tuple(
                old if isinstance(old, int) else dim for old, dim in zip(y.shape or sizes, sizes, strict=True)
            )
        return y


def _is_list(value: Value) -> bool:
    return value.shape is not None and len(value.shape) <= 1


def _same_axis(x: Value, axis: int, dim: Dim) -> bool:
    """Whether a named size is that of the same axis of x."""
    return isinstance(dim, str) and x.shape is not None and axis < len(x.shape) and x.shape[axis] == dim


def _is_small(node: Any) -> bool:
    if not all(types.is_static(value.shape) and value.dtype for value in node.outputs):
        return all(value is None or value.array.nbytes <= FOLD for value in node.inputs)
    made = sum(types.element_count(value.shape) * value.dtype.itemsize for value in node.outputs)
    return bool(made <= FOLD) and all(value is None or value.array.nbytes <= 16 * FOLD for value in node.inputs)


def _arithmetic(
    op: str, known: Sequence[tuple[Dim, ...] | None], inputs: Sequence[Value | None]
) -> tuple[Dim, ...] | None:
    first = known[0]
    assert first is not None
    if op in _KEEPS:
        return first
    if op == "Concat":
        return None if None in known else tuple(dim for part in known if part is not None for dim in part)
    if any(value is None or not value.is_constant for value in inputs[1:]):
        return _binary(op, first, known)
    if op == "Gather" and inputs[0] is not None and inputs[0].rank == 1 and inputs[1] is not None:
        at = [int(i) for i in inputs[1].array.ravel()]
        return tuple(first[i] for i in at) if all(-len(first) <= i < len(first) for i in at) else None
    if op == "Slice" and inputs[0] is not None and inputs[0].rank == 1:
        start, end = (int(value.array.item()) for value in inputs[1:3] if value is not None)
        step = int(inputs[4].array.item()) if len(inputs) > 4 and inputs[4] is not None else 1
        return first[slice(max(start, -len(first)), None if end < -len(first) and step < 0 else end, step)]
    return _binary(op, first, known)


def _binary(
    op: str, first: tuple[Dim, ...], known: Sequence[tuple[Dim, ...] | None]
) -> tuple[Dim, ...] | None:  # elementwise on two: what is not a number becomes unknown
    if op not in ("Add", "Sub", "Mul", "Div") or len(known) != 2 or known[1] is None:
        return None
    size = max(len(first), len(known[1]))
    if not first or not known[1] or len(first) not in (1, size) or len(known[1]) not in (1, size):
        return None
    pairs = zip(first * (size // len(first)), known[1] * (size // len(known[1])), strict=True)
    return tuple(_of_two(op, a, b) for a, b in pairs)


def _of_two(op: str, a: Dim, b: Dim) -> Dim:
    if not isinstance(a, int) or not isinstance(b, int):
        return a if (op, b) in (("Mul", 1), ("Div", 1), ("Add", 0), ("Sub", 0)) else None
    if op == "Div":
        return (abs(a) // abs(b)) * (1 if (a < 0) == (b < 0) else -1) if b else None
    return {"Add": a + b, "Sub": a - b, "Mul": a * b}[op]
