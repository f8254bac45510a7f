"""Complex tensors, as pairs of real ones: ONNX and its targets have none, but a network may have them inside.

What moves elements moves pairs: those functions are the ones for real tensors, called for one axis more. What computes
is said here. The rotary embedding of Llama, in its complex form, is all of it: view_as_complex, mul, view_as_real.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np

from netglot.frontends.pytorch.builder import Complex, Number, TorchBuilder, aten, complex_aten

# The functions for real tensors must be there before those for complex ones are made of them.
from netglot.frontends.pytorch.operators import indexing as _indexing  # noqa: F401
from netglot.frontends.pytorch.operators import joining as _joining  # noqa: F401
from netglot.frontends.pytorch.operators import shape as _shape  # noqa: F401
from netglot.frontends.pytorch.operators import sizes as _sizes  # noqa: F401
from netglot.frontends.pytorch.operators.linalg import product
from netglot.ir.graph import Value
from netglot.registry import Operator, registry

Item = Complex | Value | Number | complex


def rank_of(x: Item) -> int:
    return x.pairs.rank - 1 if isinstance(x, Complex) else x.rank if isinstance(x, Value) else 0


def parts(g: TorchBuilder, x: Item) -> tuple[Any, Any]:
    """(real, imaginary); None for the imaginary part of what is real."""
    if isinstance(x, Complex):
        return tuple(g.Gather(x.pairs, np.array(i, np.int64), axis=-1) for i in range(2))
    return (x.real, x.imag or None) if isinstance(x, complex) else (x, None)


def joined(g: TorchBuilder, real: Value, imaginary: Value) -> Complex:
    pairs = g.Concat(g.Unsqueeze(real, [-1]), g.Unsqueeze(imaginary, [-1]), axis=-1)
    return Complex(pairs)


def paired(g: TorchBuilder, x: Item) -> Complex:
    """A tensor or number as a complex tensor."""
    if isinstance(x, Complex):
        return x
    if not isinstance(x, Value):
        return Complex(g.constant(np.array([np.real(x), np.imag(x)], np.float32)))
    real = x if x.dtype is not None and x.dtype.kind == "f" else g.cast(x, np.float32)
    return joined(g, real, g.Mul(real, 0.0))


def along(g: TorchBuilder, x: Item) -> Any:
    """A real factor to go with pairs."""
    return g.Unsqueeze(x, [-1]) if isinstance(x, Value) and x.rank else x


def real_form(target: str) -> Operator:
    """What is registered for real tensors."""
    found = registry.find("pytorch", f"aten.{target}" if "." in target else f"aten.{target}.default")
    assert found is not None, f"{target} is not registered"
    return found


# ----------------------------------------------------------- between real and complex


@aten("view_as_real", complex=True)
def view_as_real(g: TorchBuilder, x: Complex) -> Value:
    return x.pairs


@aten("view_as_complex")
def view_as_complex(g: TorchBuilder, x: Value) -> Complex:
    return Complex(x)


@aten("complex")
def complex_(g: TorchBuilder, real: Value, imag: Value) -> Complex:
    shape = g.Shape(g.Add(real, imag))
    return joined(g, *(x if real.shape == imag.shape else g.Expand(x, shape) for x in (real, imag)))


@aten("polar")
def polar(g: TorchBuilder, abs: Value, angle: Value) -> Complex:
    return joined(g, g.Mul(abs, g.Cos(angle)), g.Mul(abs, g.Sin(angle)))


@aten("real", complex=True)
def real(g: TorchBuilder, x: Value | Complex) -> Value:
    found: Value = parts(g, x)[0]
    return found


@aten("imag", complex=True)
def imag(g: TorchBuilder, x: Complex) -> Value:
    found: Value = parts(g, x)[1]
    return found


@aten("conj", "_conj", "conj_physical", "_conj_physical", complex=True)
def conj(g: TorchBuilder, x: Value | Complex) -> Value | Complex:
    return Complex(g.Mul(x.pairs, g.constant([1, -1], x.pairs.dtype))) if isinstance(x, Complex) else x


@aten("resolve_conj", "resolve_neg", complex=True)
def resolved(g: TorchBuilder, x: Value | Complex) -> Value | Complex:
    """Conjugation and negation are never put off here."""
    return x


# ------------------------------------------------------------------- arithmetic


@complex_aten("add.Tensor", "add.Scalar")
def add(g: TorchBuilder, x: Item, other: Item, *, alpha: Number | complex = 1) -> Complex:
    other = mul(g, other, alpha) if alpha != 1 else other
    a, b = g.promoted(paired(g, x).pairs, paired(g, other).pairs)
    return Complex(g.Add(a, b))


@complex_aten("sub.Tensor", "sub.Scalar")
def sub(g: TorchBuilder, x: Item, other: Item, *, alpha: Number | complex = 1) -> Complex:
    other = mul(g, other, alpha) if alpha != 1 else other
    a, b = g.promoted(paired(g, x).pairs, paired(g, other).pairs)
    return Complex(g.Sub(a, b))


@complex_aten("mul.Tensor", "mul.Scalar")
def mul(g: TorchBuilder, x: Item, other: Item) -> Any:
    if not isinstance(x, (Complex, complex)) and not isinstance(other, (Complex, complex)):
        return g.Mul(*g.promoted(x, other))
    for a, b in ((x, other), (other, x)):
        if isinstance(a, Complex) and not isinstance(b, (Complex, complex)):
            return Complex(g.Mul(*g.promoted(a.pairs, along(g, b))))
    (a, b), (c, d) = (parts(g, paired(g, item)) for item in (x, other))
    a, b, c, d = g.promoted(a, b, c, d)
    return joined(g, g.Sub(g.Mul(a, c), g.Mul(b, d)), g.Add(g.Mul(a, d), g.Mul(b, c)))


@complex_aten("div.Tensor", "div.Scalar")
def div(g: TorchBuilder, x: Item, other: Item) -> Complex:
    if isinstance(x, Complex) and not isinstance(other, (Complex, complex)):
        return Complex(g.Div(*g.promoted(x.pairs, along(g, other))))
    divisor = paired(g, other)
    square = g.ReduceSumSquare(divisor.pairs, [-1], keepdims=1)
    product_: Complex = mul(g, paired(g, x), conj(g, divisor))
    return Complex(g.Div(*g.promoted(product_.pairs, square)))


@complex_aten("neg")
def neg(g: TorchBuilder, x: Complex) -> Complex:
    return Complex(g.Neg(x.pairs))


@complex_aten("abs")
def abs_(g: TorchBuilder, x: Complex) -> Value:
    y: Value = g.ReduceL2(x.pairs, [-1], keepdims=0)
    return y


@complex_aten("angle")
def angle(g: TorchBuilder, x: Complex) -> Value:
    a, b = parts(g, x)
    y: Value = real_form("atan2").function(g, b, a)
    return y


@complex_aten("exp")
def exp(g: TorchBuilder, x: Complex) -> Complex:
    a, b = parts(g, x)
    return polar(g, g.Exp(a), b)


@complex_aten("reciprocal")
def reciprocal(g: TorchBuilder, x: Complex) -> Complex:
    return div(g, 1, x)


@complex_aten("pow.Tensor_Scalar")
def power(g: TorchBuilder, x: Complex, *, exponent: Number) -> Complex:
    if not isinstance(exponent, int) or exponent < 1:
        raise g.unsupported(f"of complex numbers to the power of {exponent}")
    y = x
    for _ in range(exponent - 1):
        y = mul(g, y, x)
    return y


@complex_aten("square")
def square(g: TorchBuilder, x: Complex) -> Complex:
    made: Complex = mul(g, x, x)
    return made


@complex_aten("mm", "bmm")
def mm(g: TorchBuilder, x: Item, mat2: Item) -> Complex:
    return matmul(g, x, mat2)


@complex_aten("matmul")
def matmul(g: TorchBuilder, x: Item, other: Item) -> Complex:
    (a, b), (c, d) = (parts(g, paired(g, item)) for item in (x, other))
    a, b, c, d = g.promoted(a, b, c, d)
    return joined(
        g, g.Sub(product(g, a, c), product(g, b, d)), g.Add(product(g, a, d), product(g, b, c))
    )  # fmt: skip


@complex_aten("where.self")
def where(g: TorchBuilder, condition: Value, self: Item, other: Item) -> Complex:
    a, b = g.promoted(paired(g, self).pairs, paired(g, other).pairs)
    return Complex(g.Where(g.Unsqueeze(condition, [-1]), a, b))


@complex_aten("sum", "sum.dim_IntList", "mean", "mean.dim")
def total(
    g: TorchBuilder, x: Complex, *, dim: Sequence[int] | None = None, keepdim: bool = False, dtype: Any = None
) -> Complex:
    op = "ReduceMean" if g.target.startswith("aten.mean") else "ReduceSum"
    return Complex(g.op(op, [x.pairs, g.axes(dim, rank_of(x))], keepdims=int(keepdim)))


@complex_aten("clone", "contiguous", "alias", "detach", "lift_fresh_copy", "_to_copy", "to.dtype")
def same(g: TorchBuilder, x: Complex, *, dtype: np.dtype | None = None, copy: bool = False) -> Complex:
    if dtype is None:
        return x
    if dtype.kind != "c":
        raise g.unsupported("of complex numbers to real ones", "Take .real of it.")
    return Complex(g.cast(x.pairs, np.float64 if dtype == np.complex128 else np.float32))


# ------------------------------------------------------------------ moving elements

# The parameters of functions for real tensors that count axes, with how many more than x the result has.
_AXES = {
    "sym_size.int": ("dim",), "flatten.using_ints": ("start_dim", "end_dim"), "unflatten.int": ("dim",),
    "squeeze.dim": ("dim",), "squeeze.dims": ("dim",), "unsqueeze": ("dim",), "permute": ("dims",),
    "transpose.int": ("dim0", "dim1"), "select.int": ("dim",), "slice.Tensor": ("dim",), "narrow": ("dim",),
    "flip": ("dims",), "index_select": ("dim",), "cat": ("dim",), "stack": ("dim",), "split.Tensor": ("dim",),
    "split_with_sizes": ("dim",), "chunk": ("dim",), "unbind.int": ("dim",), "movedim.int": ("source", "destination"),
}  # fmt: skip
_DEFAULTS = {"dim": 0, "start_dim": 0, "end_dim": -1}
_LONGER = {"unsqueeze", "stack"}  # the result has an axis more: that is what is counted
# Sizes, and what they are for the axis of the pairs.
_SIZES = {
    "view": ("size", 2), "_unsafe_view": ("size", 2), "reshape": ("shape", 2), "expand": ("size", 2),
    "repeat": ("repeats", 1),
}  # fmt: skip


def _unwrapped(item: Any) -> Any:
    if isinstance(item, Complex):
        return item.pairs
    return [_unwrapped(part) for part in item] if isinstance(item, (list, tuple)) else item


def _wrapped(item: Any) -> Any:
    if isinstance(item, (list, tuple)):
        return [_wrapped(part) for part in item]
    return Complex(item) if isinstance(item, Value) and item.shape is not None and item.rank else item


def structural(g: TorchBuilder, target: str, inputs: Sequence[Any], attributes: dict[str, Any]) -> Any:
    """The function for real tensors, called for pairs: axes are counted from the front, sizes have one more."""
    first = inputs[0] if isinstance(inputs[0], Complex) else inputs[0][0]
    rank = rank_of(first) + (target in _LONGER)
    attributes = dict(attributes)
    for name in _AXES.get(target, ()):
        given = attributes.get(name, _DEFAULTS.get(name, 0))
        attributes[name] = g.axis(given, rank) if isinstance(given, int) else [g.axis(item, rank) for item in given]
    if target == "permute":
        attributes["dims"] = [*attributes["dims"], rank]
    if target in _SIZES:
        name, more = _SIZES[target]
        attributes[name] = [*attributes[name], more]
    result = real_form(target).function(g, *_unwrapped(inputs), **attributes)
    return result if target == "sym_size.int" else _wrapped(result)


def _define(target: str) -> None:
    def moved(g: TorchBuilder, x: Any, *more: Any, **attributes: Any) -> Any:
        return structural(g, target, [x, *more], attributes)

    real = real_form(target)
    moved.__signature__ = inspect.signature(real.function, eval_str=True)  # type: ignore[attr-defined]
    complex_aten(target, order=real.options.get("order", ""))(moved)


for _target in dict.fromkeys([*_AXES, *_SIZES]):
    _define(_target)
