"""Matrix products. With constant second factors they are convolutions of pixels, by the kernel of runtime/conv.h."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, prod

import numpy as np

from netglot.backends.cpp.context import CppBuilder, cpp_op, number
from netglot.backends.cpp.convolution import FLOAT, Finish, Layer, write_conv
from netglot.backends.cpp.nest import Ints, Walk, broadcast, merge, nest, numbers, strides
from netglot.backends.cpp.packing import PANEL, Window
from netglot.backends.lowering import NotMappedError
from netglot.ir.graph import Value

_FEW_ROWS = 4  # for fewer it does not pay to pack a second factor that is computed
_MOST_AXES = 3  # of runtime/gemm.h's Matrices, beside those of the product


@cpp_op("Gemm")
def gemm(
    m: CppBuilder, a: Value, b: Value, c: Value | None, y: Value, *, alpha: float, beta: float, transA: int, transB: int
) -> str:
    """What is added is a bias or a residual where it can be; else it is added in place, as the factor is applied."""
    if not _has_packed(a, b, y) or transA:
        product = matmul(m, (y.sizes[0], a.sizes[0 if transA else 1], y.sizes[1]), a, b, y, bool(transA), bool(transB))
        return _scaled(m, product, alpha, beta, c, y)
    w = b.array if transB else b.array.T
    w = w if alpha == 1 else w * FLOAT.type(alpha)
    bias = None if c is None else _of_columns(c, beta, y)
    residual = m.ref(c) if c is not None and bias is None and beta == 1 and c.sizes == y.sizes else None
    product = write_product(m, a, w, bias, Finish(residual), y)
    return _scaled(m, product, 1, beta, c if bias is None and residual is None else None, y)


def _scaled(m: CppBuilder, product: str, alpha: float, beta: float, c: Value | None, y: Value) -> str:
    scaled = "a" if alpha == 1 else f"{number(alpha, y)} * a"
    if c is not None:
        scaled += " + b" if beta == 1 else f" + {number(beta, y)} * b"
    if scaled == "a":
        return product
    return f"{product}\n  {m.elementwise(y, scaled, y, *([c] if c is not None else []))}"


def _of_columns(c: Value, beta: float, y: Value) -> np.ndarray | None:
    """The constant that is added to each column, if `c` is that."""
    if not c.is_constant or any(size != 1 for size in c.sizes[:-1]):
        return None
    return np.broadcast_to(c.array.reshape(-1) * FLOAT.type(beta), y.sizes[-1:])


def _has_packed(a: Value, b: Value, y: Value) -> bool:
    """Whether the product's second factor is a matrix that can be packed now."""
    return a.dtype == FLOAT and b.is_constant and b.rank <= 2 and prod((*a.sizes, *y.sizes)) > 0


def write_product(m: CppBuilder, a: Value, w: np.ndarray, bias: np.ndarray | None, finish: Finish, y: Value) -> str:
    """y[..., M] = a[..., K] w[M, K], each row of a being a pixel."""
    columns, depth = w.shape
    rows = prod(y.sizes) // columns
    window = Window(1, 1, rows, depth, 1, rows, columns)
    return write_conv(m, Layer(window, w.reshape(columns, depth, 1, 1), bias), finish, m.ref(a), y)


def matmul(
    m: CppBuilder, sizes: Ints, a: Value, b: Value, y: Value, trans_a: bool = False, trans_b: bool = False
) -> str:
    """One product of matrices [M, K] and [K, N]; `sizes` is M, K, N."""
    if _can_pack(sizes, a, y):
        rows, depth, columns = sizes
        steps = ((1, rows) if trans_a else (depth, 1)), ((1, depth) if trans_b else (columns, 1))
        return _packed(m, sizes, [[], [], []], steps, a, b, y)
    return f"{_kernel(sizes, trans_a, trans_b)}({m.ref(a)}, {m.ref(b)}, {m.ref(y)});"


def _kernel(sizes: Sequence[int], trans_a: bool, trans_b: bool) -> str:
    return f"netglot::matmul<{numbers(sizes)}, {str(trans_a).lower()}, {str(trans_b).lower()}>"


def _can_pack(sizes: Ints, a: Value, y: Value) -> bool:
    return a.dtype == FLOAT and sizes[0] >= _FEW_ROWS and sizes[1] > 0 and prod(y.sizes) > 0


def _packed(
    m: CppBuilder, sizes: Ints, outer: Sequence[Sequence[int]], steps: tuple[Ints, Ints], a: Value, b: Value, y: Value
) -> str:
    """The call of runtime/gemm.h. `outer`: sizes of the other axes, and the steps of a and b along them."""
    rows, depth, columns = sizes
    filled = [[fill] * (_MOST_AXES - len(each)) + [*each] for fill, each in zip((1, 0, 0), outer, strict=True)]
    matrices = ", ".join([*(f"{{{numbers(each)}}}" for each in filled), numbers((*sizes, *steps[0], *steps[1]))])
    floats = depth * -(-columns // PANEL) * PANEL + (0 if steps[0] == (depth, 1) else rows * depth)
    scratch = m.scratch(FLOAT, floats, per_worker=True)
    limits = f"{{nullptr, nullptr, {number(-inf, y)}, {number(inf, y)}}}"
    return (
        f"netglot::matmul({{{matrices}}},\n      {limits},\n"
        f"      {m.ref(a)}, {m.ref(b)}, {scratch}, {m.ref(y)}, parallel);"
    )


@cpp_op("MatMul")
def mat_mul(m: CppBuilder, a: Value, b: Value, y: Value) -> str:
    """NumPy's matmul: vectors become matrices, leading axes are broadcast. Constant second factors are one matrix."""
    if _has_packed(a, b, y):
        return write_product(m, a, b.array.reshape(b.sizes[0], -1).T, None, Finish(), y)
    shape_a = a.sizes if a.rank > 1 else (1, *a.sizes)
    shape_b = b.sizes if b.rank > 1 else (*b.sizes, 1)
    if len(shape_b) == 2:  # then all rows of a are one matrix
        return matmul(m, (prod(shape_a[:-1]), shape_a[-1], shape_b[1]), a, b, y)
    batch = y.sizes[: y.rank - (a.rank > 1) - (b.rank > 1)]
    sizes = (shape_a[-2], shape_a[-1], shape_b[-1])
    steps = [_steps(shape, batch) for shape in (shape_a, shape_b)]
    own = tuple(step * sizes[0] * sizes[2] for step in strides(batch))
    outer, (_, *merged) = merge(batch, [own, *steps])
    if len(outer) <= _MOST_AXES and _can_pack(sizes, a, y):
        return _packed(m, sizes, [outer, *merged], ((sizes[1], 1), (sizes[2], 1)), a, b, y)
    walks = [_matrices(m, a, "a", steps[0]), _matrices(m, b, "b", steps[1]), m.write(y, own)]
    return nest(batch, walks, f"{_kernel(sizes, False, False)}(&a, &b, &y);")


def _steps(shape: Ints, batch: Ints) -> Ints:
    """Elements from matrix to matrix, along each axis of `batch`."""
    return tuple(step * shape[-2] * shape[-1] for step in broadcast(shape[:-2], batch))


def _matrices(m: CppBuilder, x: Value, name: str, steps: Ints) -> Walk:
    return m.read(x, name, steps=steps, by_address=True)


@cpp_op("netglot.FusedMatMul", in_place=(3,))
def fused_mat_mul(
    m: CppBuilder, a: Value, b: Value, bias: Value | None, residual: Value | None, y: Value, *, activation: str = "",
    alpha: float = 1.0, beta: float = 0.0, approximate: str = "none", low: float = -inf, high: float = inf,
) -> str:  # fmt: skip
    if not _has_packed(a, b, y) or not (bias is None or bias.is_constant):
        raise NotMappedError("a fused product of what is not float32 with constant weights")
    given = None if residual is None else m.ref(residual)
    finish = Finish(given, low, high, activation, alpha, beta, approximate)
    return write_product(m, a, b.array.T, None if bias is None else bias.array, finish, y)
