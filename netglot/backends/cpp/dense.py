"""Matrix products."""

from __future__ import annotations

from collections.abc import Sequence

from netglot.backends.cpp.context import CppBuilder, cpp_op, number
from netglot.backends.cpp.nest import Ints, Walk, broadcast, nest, numbers, strides
from netglot.ir.graph import Value


@cpp_op("Gemm")
def gemm(
    m: CppBuilder, a: Value, b: Value, c: Value | None, y: Value, *, alpha: float, beta: float, transA: int, transB: int
) -> str:
    """The product first, then scale and sum in place."""
    depth = a.sizes[0 if transA else 1]
    product = matmul(m, (y.sizes[0], depth, y.sizes[1]), a, b, y, bool(transA), bool(transB))
    scaled = "a" if alpha == 1 else f"{number(alpha, y)} * a"
    if c is not None:
        scaled += " + b" if beta == 1 else f" + {number(beta, y)} * b"
    if scaled == "a":
        return product
    return f"{product}\n  {m.elementwise(y, scaled, y, *([c] if c is not None else []))}"


def matmul(
    m: CppBuilder, sizes: Ints, a: Value, b: Value, y: Value, trans_a: bool = False, trans_b: bool = False
) -> str:
    """One product of matrices [M, K] and [K, N]; `sizes` is M, K, N."""
    return f"{_kernel(sizes, trans_a, trans_b)}({m.ref(a)}, {m.ref(b)}, {m.ref(y)});"


def _kernel(sizes: Sequence[int], trans_a: bool, trans_b: bool) -> str:
    return f"netglot::matmul<{numbers(sizes)}, {str(trans_a).lower()}, {str(trans_b).lower()}>"


@cpp_op("MatMul")
def mat_mul(m: CppBuilder, a: Value, b: Value, y: Value) -> str:
    """NumPy's matmul: vectors become matrices, leading axes are broadcast. Constant second factors are one matrix."""
    shape_a = a.sizes if a.rank > 1 else (1, *a.sizes)
    shape_b = b.sizes if b.rank > 1 else (*b.sizes, 1)
    if len(shape_b) == 2:  # then all rows of a are one matrix
        rows = 1
        for size in shape_a[:-1]:
            rows *= size
        return matmul(m, (rows, shape_a[-1], shape_b[1]), a, b, y)
    batch = y.sizes[: y.rank - (a.rank > 1) - (b.rank > 1)]
    sizes = (shape_a[-2], shape_a[-1], shape_b[-1])
    walks = [
        _matrices(m, a, "a", shape_a, batch),
        _matrices(m, b, "b", shape_b, batch),
        m.write(y, tuple(step * sizes[0] * sizes[2] for step in strides(batch))),
    ]
    return nest(batch, walks, f"{_kernel(sizes, False, False)}(&a, &b, &y);")


def _matrices(m: CppBuilder, x: Value, name: str, shape: Ints, batch: Ints) -> Walk:
    size = shape[-2] * shape[-1]
    steps = tuple(step * size for step in broadcast(shape[:-2], batch))
    return m.read(x, name, steps=steps, by_address=True)
