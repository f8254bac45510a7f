"""Products of vectors and matrices: one Gemm or MatMul where that can be said, an einsum for the rest."""

from __future__ import annotations

import math
from collections.abc import Sequence

import ml_dtypes
import numpy as np

from netglot.frontends.einsum import einsum as contraction
from netglot.frontends.pytorch.builder import Number, Size, TorchBuilder, aten
from netglot.frontends.pytorch.movement import broadcast
from netglot.frontends.pytorch.numeric import elementwise
from netglot.ir.graph import Value

# Types that ONNX has no products of, and wider ones with the same results (integers wrap around on the way back).
_WIDE = {
    np.dtype(ml_dtypes.bfloat16): np.dtype(np.float32), np.dtype(np.int8): np.dtype(np.int32),
    np.dtype(np.uint8): np.dtype(np.int32), np.dtype(np.int16): np.dtype(np.int32),
}  # fmt: skip
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def dtype_of(x: Value) -> np.dtype:
    """The type of a tensor, which is always known here."""
    assert x.dtype is not None
    return x.dtype


def wide(g: TorchBuilder, x: Value) -> Value:
    """`x` in a type that ONNX has products of."""
    return g.cast(x, _WIDE.get(dtype_of(x), dtype_of(x)))


def product(g: TorchBuilder, a: Value, b: Value) -> Value:
    """The matrix product, by NumPy's rules for vectors and stacks."""
    return g.cast(g.MatMul(wide(g, a), wide(g, b)), dtype_of(a))


def swapped(g: TorchBuilder, x: Value) -> Value:
    """`x` with its last two axes exchanged."""
    y: Value = g.Transpose(x, perm=[*range(x.rank - 2), x.rank - 1, x.rank - 2])
    return y


def has_gemm(x: Value) -> bool:
    """Whether ONNX Runtime has Gemm of this type: NumPy's own floats."""
    return dtype_of(x).kind == "f"


# ------------------------------------------------------------------- products


@aten("linear")
def linear(g: TorchBuilder, x: Value, weight: Value, bias: Value | None = None) -> Value:
    """x @ weight.T + bias; of a matrix one Gemm, which reads the weight as it is stored."""
    if x.rank == 2 and weight.rank == 2 and has_gemm(x):
        y: Value = g.Gemm(x, weight, bias, transB=1)
        return y
    y = g.MatMul(wide(g, x), wide(g, swapped(g, weight) if weight.rank == 2 else weight))
    return g.cast(y if bias is None else g.Add(y, wide(g, bias)), dtype_of(x))


@aten("matmul", "linalg_matmul")
def matmul(g: TorchBuilder, x: Value, other: Value) -> Value:
    return product(g, x, other)


@aten("mm", "bmm")
def mm(g: TorchBuilder, x: Value, mat2: Value) -> Value:
    return product(g, x, mat2)


@aten("_int_mm")
def int_mm(g: TorchBuilder, x: Value, mat2: Value) -> Value:
    """Products of 8-bit integers, summed in 32 bits."""
    y: Value = g.MatMulInteger(x, mat2)
    return y


@aten("mv")
def mv(g: TorchBuilder, x: Value, vec: Value) -> Value:
    return product(g, x, vec)


@aten("dot")
def dot(g: TorchBuilder, x: Value, tensor: Value) -> Value:
    return product(g, x, tensor)


@aten("vdot")
def vdot(g: TorchBuilder, x: Value, other: Value) -> Value:
    return product(g, x, other)


@aten("inner")
def inner(g: TorchBuilder, x: Value, other: Value) -> Value:
    if x.rank == 0 or other.rank == 0:
        y: Value = g.Mul(*g.promoted(x, other))
        return y
    return tensordot(g, x, other, dims_self=[-1], dims_other=[-1])


@aten("outer", "ger")
def outer(g: TorchBuilder, x: Value, vec2: Value) -> Value:
    a, b = g.promoted(x, vec2)
    return elementwise(g, "Mul", g.Unsqueeze(a, [1]), g.Unsqueeze(b, [0]))


@aten("linalg_vecdot")
def vecdot(g: TorchBuilder, x: Value, y: Value, *, dim: int = -1) -> Value:
    a, b = g.promoted(x, y)
    products = g.Mul(a, b)
    return g.cast(g.ReduceSum(wide(g, products), [g.axis(dim, products.rank)], keepdims=0), dtype_of(a))


# ------------------------------------------------ products that something is added to


@aten("addmm")
def addmm(g: TorchBuilder, x: Value, mat1: Value, mat2: Value, *, beta: Number = 1, alpha: Number = 1) -> Value:
    if not has_gemm(mat1) or x.rank > 2:
        return added(g, x, product(g, mat1, mat2), beta, alpha)
    stored = untransposed(g, mat2)
    factors = {"alpha": float(alpha), "beta": float(beta)}
    bias = x if beta else None  # what is taken no times may be NaN
    if stored is not None:
        y: Value = g.Gemm(mat1, stored, bias, transB=1, **factors)
    else:
        y = g.Gemm(mat1, mat2, bias, **factors)
    return y


def untransposed(g: TorchBuilder, x: Value) -> Value | None:
    """The matrix that `x` is the transpose of, if it is one: a decomposed linear transposes its weight."""
    node = g.graph.producer(x) if x in g.graph.nx else None
    return node.inputs[0] if node is not None and node.op == "Transpose" and x.rank == 2 else None


def added(g: TorchBuilder, x: Value, y: Value, beta: Number, alpha: Number) -> Value:
    """beta x + alpha y; x is not looked at where beta is 0."""
    terms = [wide(g, item if by == 1 else g.Mul(*g.promoted(item, by)))
             for item, by in ((x, beta), (y, alpha)) if item is y or beta]  # fmt: skip
    made = terms[0] if len(terms) == 1 else g.Add(*terms)
    return g.cast(made, dtype_of(y))


@aten("_addmm_activation")
def addmm_activation(
    g: TorchBuilder, x: Value, mat1: Value, mat2: Value, *, beta: Number = 1, alpha: Number = 1, use_gelu: bool = False
) -> Value:
    y = addmm(g, x, mat1, mat2, beta=beta, alpha=alpha)
    made: Value = g.Gelu(y) if use_gelu else g.Relu(y)
    return made


@aten("addmv")
def addmv(g: TorchBuilder, x: Value, mat: Value, vec: Value, *, beta: Number = 1, alpha: Number = 1) -> Value:
    return added(g, x, product(g, mat, vec), beta, alpha)


@aten("addr")
def addr(g: TorchBuilder, x: Value, vec1: Value, vec2: Value, *, beta: Number = 1, alpha: Number = 1) -> Value:
    made = outer(g, vec1, vec2)
    x, made = g.promoted(x, made)
    return added(g, x, made, beta, alpha)


@aten("baddbmm")
def baddbmm(g: TorchBuilder, x: Value, batch1: Value, batch2: Value, *, beta: Number = 1, alpha: Number = 1) -> Value:
    return added(g, x, product(g, batch1, batch2), beta, alpha)


@aten("addbmm")
def addbmm(g: TorchBuilder, x: Value, batch1: Value, batch2: Value, *, beta: Number = 1, alpha: Number = 1) -> Value:
    total = g.ReduceSum(g.MatMul(wide(g, batch1), wide(g, batch2)), [0], keepdims=0)
    return added(g, x, g.cast(total, dtype_of(batch1)), beta, alpha)


# ------------------------------------------------------------------- contractions


@aten("einsum", order="equation tensors")
def einsum(g: TorchBuilder, tensors: Sequence[Value], *, equation: str, path: Sequence[int] | None = None) -> Value:
    """`path` is only the order of the work."""
    dtype = g.result_type(*tensors)
    return g.cast(contraction(g, [wide(g, x) for x in g.promoted(*tensors)], equation), dtype)


@aten("tensordot")
def tensordot(g: TorchBuilder, x: Value, other: Value, *, dims_self: Sequence[int], dims_other: Sequence[int]) -> Value:
    of_x, of_other = list(_LETTERS[: x.rank]), list(_LETTERS[x.rank : x.rank + other.rank])
    for a, b in zip(dims_self, dims_other, strict=True):
        of_other[g.axis(b, other.rank)] = of_x[g.axis(a, x.rank)]
    result = [letter for letter in [*of_x, *of_other] if (letter in of_x) != (letter in of_other)]
    equation = f"{''.join(of_x)},{''.join(of_other)}->{''.join(result)}"
    return einsum(g, [x, other], equation=equation)


@aten("bilinear")
def bilinear(g: TorchBuilder, x: Value, input2: Value, weight: Value, bias: Value | None = None) -> Value:
    """x' weight[k] y for every k: one product with all the weights at once, then a matrix for every y."""
    of_x, of_y = weight.sizes[1:]
    weights = g.Reshape(g.Transpose(weight, perm=[1, 0, 2]), [of_x, -1])
    lead: list[Size] = [g.size(x, axis) for axis in range(x.rank - 1)]
    rows = g.view(g.MatMul(x, weights), [*lead, weight.sizes[0], of_y])
    y = g.Squeeze(g.MatMul(rows, g.Unsqueeze(input2, [-1])), [-1])
    return y if bias is None else g.Add(y, bias)


@aten("_trilinear")
def trilinear(
    g: TorchBuilder, x: Value, i2: Value, i3: Value, *, expand1: Sequence[int], expand2: Sequence[int],
    expand3: Sequence[int], sumdim: Sequence[int], unroll_dim: int = 1,
) -> Value:  # fmt: skip
    """The product of three tensors that lack some of the axes, summed over others: what bilinear comes to."""
    letters = _LETTERS[: x.rank + len(expand1)]
    one, two, three = (
        "".join(letter for axis, letter in enumerate(letters) if axis not in absent)
        for absent in (expand1, expand2, expand3)
    )
    result = "".join(letter for axis, letter in enumerate(letters) if axis not in sumdim)
    between = "".join(letter for letter in letters if letter in one + two and letter in result + three)
    pair = einsum(g, [x, i2], equation=f"{one},{two}->{between}")
    return einsum(g, [pair, i3], equation=f"{between},{three}->{result}")


@aten("kron")
def kron(g: TorchBuilder, x: Value, other: Value) -> Value:
    a, b = g.promoted(x, other)
    rank = max(a.rank, b.rank)
    a, b = (g.Unsqueeze(item, list(range(rank - item.rank))) if item.rank < rank else item for item in (a, b))
    sizes = [times(g, g.size(a, axis), g.size(b, axis)) for axis in range(rank)]
    products = g.Mul(
        g.Unsqueeze(a, list(range(1, 2 * rank, 2))), g.Unsqueeze(b, list(range(0, 2 * rank, 2)))
    ) if rank else g.Mul(a, b)  # fmt: skip
    return g.view(products, sizes)


def times(g: TorchBuilder, a: Size, b: Size) -> Size:
    """The product of two sizes."""
    if isinstance(a, int) and isinstance(b, int):
        return a * b
    return g.as_size(g.Mul(g.number(a, np.int64), g.number(b, np.int64)))


@aten("linalg_cross")
def linalg_cross(g: TorchBuilder, x: Value, other: Value, *, dim: int = -1) -> Value:
    a, b = g.promoted(x, other)
    axis = g.axis(dim, a.rank)
    ahead, behind = np.array([1, 2, 0]), np.array([2, 0, 1])

    def rolled(item: Value, order: np.ndarray) -> Value:
        made: Value = g.Gather(item, order, axis=axis)
        return made

    y: Value = g.Sub(
        g.Mul(rolled(a, ahead), rolled(b, behind)), g.Mul(rolled(a, behind), rolled(b, ahead))
    )  # fmt: skip
    return y


@aten("cross")
def cross(g: TorchBuilder, x: Value, other: Value, *, dim: int | None = None) -> Value:
    """Without `dim` along the first axis that has three elements."""
    if dim is None and 3 not in (x.shape or ()):
        raise g.unsupported("along an axis that is not known")
    return linalg_cross(g, x, other, dim=(x.shape or ()).index(3) if dim is None else dim)


@aten("chain_matmul")
def chain_matmul(g: TorchBuilder, matrices: Sequence[Value]) -> Value:
    return multi_dot(g, matrices)


@aten("linalg_multi_dot")
def multi_dot(g: TorchBuilder, tensors: Sequence[Value]) -> Value:
    y = tensors[0]
    for x in tensors[1:]:
        y = product(g, y, x)
    return y


@aten("linalg_matrix_power", "matrix_power")
def matrix_power(g: TorchBuilder, x: Value, *, n: int) -> Value:
    if n < 0:
        raise g.unsupported("the inverse of a matrix")
    if n == 0:
        return g.cast(g.Expand(diagonal(g, x), g.Shape(x)), dtype_of(x))
    half = matrix_power(g, x, n=n // 2) if n > 1 else x
    if n == 1:
        return x
    square = product(g, half, half)
    return product(g, square, x) if n % 2 else square


def diagonal(g: TorchBuilder, x: Value) -> Value:
    """Where a row and a column of `x` have the same number: bools [rows, columns]."""
    rows, columns = (g.Range(0, g.number(g.size(x, axis), np.int64), 1) for axis in (-2, -1))
    y: Value = g.Equal(g.Unsqueeze(rows, [1]), g.Unsqueeze(columns, [0]))
    return y


@aten("trace")
def trace(g: TorchBuilder, x: Value) -> Value:
    """Not a product with the identity matrix: what is beside the diagonal may be infinite."""
    dtype = np.dtype(np.int64) if dtype_of(x).kind in "iub" else dtype_of(x)
    kept = g.Where(diagonal(g, x), wide(g, g.cast(x, dtype)), np.zeros((), wide(g, g.cast(x, dtype)).dtype))
    return g.cast(g.ReduceSum(kept, [0, 1], keepdims=0), dtype)


@aten("det", "linalg_det")
def det(g: TorchBuilder, x: Value) -> Value:
    y: Value = g.Det(x)
    return y


@aten("_linalg_det")
def det_and_factors(g: TorchBuilder, x: Value) -> tuple[Value | None, ...]:
    """What linalg_det comes to; the triangular factors are for gradients."""
    return g.Det(x), None, None


# ---------------------------------------------------------------------- distances


def norm_of(g: TorchBuilder, x: Value, p: float, axes: Sequence[int], *, keepdims: bool) -> Value:
    """The p-norm along `axes`."""
    keep = int(keepdims)
    if p == 0:
        made = g.ReduceSum(g.Cast(g.Not(g.Equal(x, 0.0)), to=1), list(axes), keepdims=keep)
        return g.cast(made, dtype_of(x))
    simple = {1.0: "ReduceL1", 2.0: "ReduceL2"}
    if p in simple:
        y: Value = g.op(simple[p], [x, list(axes)], keepdims=keep)
        return y
    if math.isinf(p):
        return g.op("ReduceMax" if p > 0 else "ReduceMin", [g.Abs(x), list(axes)], keepdims=keep)
    total = g.ReduceSum(g.Pow(g.Abs(x), p), list(axes), keepdims=keep)
    root: Value = g.Pow(total, 1 / p)
    return root


@aten("cosine_similarity")
def cosine_similarity(g: TorchBuilder, x1: Value, x2: Value, *, dim: int = 1, eps: float = 1e-8) -> Value:
    """Each norm is that of the tensor as it is broadcast, and kept above eps by itself (torch's Distance.cpp)."""
    a, b = broadcast(g, *g.promoted(x1, x2, floating=True))
    axis = g.axis(dim, a.rank)
    a, b = (x if x.rank else g.Unsqueeze(x, [0]) for x in (a, b))
    a, b = (g.Div(x, g.Max(norm_of(g, x, 2, [axis], keepdims=True), eps)) for x in (a, b))
    y: Value = g.ReduceSum(g.Mul(a, b), [axis], keepdims=0)
    return y


@aten("pairwise_distance")
def pairwise_distance(
    g: TorchBuilder, x1: Value, x2: Value, *, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Value:
    a, b = g.promoted(x1, x2, floating=True)
    return norm_of(g, g.Add(g.Sub(a, b), eps), p, [-1], keepdims=keepdim)


@aten("dist")
def dist(g: TorchBuilder, x: Value, other: Value, *, p: Number = 2) -> Value:
    a, b = g.promoted(x, other)
    gap = g.Sub(a, b)
    return norm_of(g, gap, float(p), list(range(gap.rank)), keepdims=False) if gap.rank else g.Abs(gap)


@aten("cdist")
def cdist(g: TorchBuilder, x1: Value, x2: Value, *, p: float = 2.0, compute_mode: int | None = None) -> Value:
    return distances(g, x1, x2, p, compute_mode)


@aten("_cdist_forward")
def cdist_forward(g: TorchBuilder, x1: Value, x2: Value, *, p: float, compute_mode: int | None) -> Value:
    return distances(g, x1, x2, p, compute_mode)


def distances(g: TorchBuilder, a: Value, b: Value, p: float, compute_mode: int | None) -> Value:
    """Between all rows of two stacks; many are computed from a matrix product, as torch does for more than 25."""
    many = any(isinstance(x.shape and x.shape[-2], int) and (x.shape or ())[-2] > 25 for x in (a, b))  # type: ignore[operator]
    if p == 2 and (compute_mode == 1 or (compute_mode in (None, 0) and many)):
        return euclidean(g, a, b)
    return norm_of(g, g.Sub(g.Unsqueeze(a, [-2]), g.Unsqueeze(b, [-3])), p, [-1], keepdims=False)


@aten("_euclidean_dist")
def euclidean_dist(g: TorchBuilder, x1: Value, x2: Value) -> Value:
    return euclidean(g, x1, x2)


def euclidean(g: TorchBuilder, a: Value, b: Value) -> Value:
    """The roots of |a|² - 2ab + |b|², never below 0."""
    of_a, of_b = (g.ReduceSumSquare(x, [-1], keepdims=1) for x in (a, b))
    cross_terms = g.MatMul(g.Mul(a, -2.0), swapped(g, b))
    y: Value = g.Sqrt(g.Max(g.Add(g.Add(cross_terms, of_a), swapped(g, of_b)), 0.0))
    return y


@aten("pdist", "_pdist_forward")
def pdist(g: TorchBuilder, x: Value, *, p: float = 2.0) -> Value:
    """Between every two rows, the first row's first."""
    first, second = np.triu_indices(g.known(g.size(x, 0), "the number of rows"), 1)
    a, b = (g.Gather(x, rows, axis=0) for rows in (first, second))
    return norm_of(g, g.Sub(a, b), p, [-1], keepdims=False)
