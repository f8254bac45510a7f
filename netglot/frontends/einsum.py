"""Einsum for frontends whose frameworks have it: a contraction of two tensors is a matrix product where it can be."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from string import ascii_letters

from netglot.frontends.folding import FoldingBuilder
from netglot.ir.graph import Value
from netglot.ir.types import Dim


def einsum(g: FoldingBuilder, xs: Sequence[Value], equation: str) -> Value:
    """`equation` as numpy.einsum has it: a product of matrices or elements, or a sum, where it can be.

    Every target has those; the rest stays ONNX's Einsum.
    """
    names, result = _spelled_out(xs, equation)
    if [len(x.shape or ()) for x in xs] == [len(term) for term in names]:
        xs, names = _without_ones(g, xs, names)
    if len(xs) == 1 and len(set(names[0])) == len(names[0]):
        return _rearranged(g, xs[0], names[0], result)
    if len(xs) == 2 and _is_contraction(names, result):
        if set("".join(names)) == set(result):
            return g.Mul(*(_spread(g, x, term, result) for x, term in zip(xs, names, strict=True)))
        swap = -1 if result and result[-1] not in names[1] else 1  # so that the product needs no transposition
        product = _contraction(g, xs[::swap], names[::swap], result)
        if product is not None:
            return product
    y: Value = g.Einsum(*xs, equation=f"{','.join(names)}->{result}")
    return y


def _spelled_out(xs: Sequence[Value], equation: str) -> tuple[list[str], str]:
    """The terms and the result, with letters for what an ellipsis stands for: ONNX wants it to be equally long."""
    terms, arrow, result = equation.replace(" ", "").partition("->")
    names = terms.split(",")
    result = result if arrow else _implicit(terms)
    if "..." not in equation or len(names) != len(xs):
        return names, result
    unused = "".join(c for c in ascii_letters if c not in equation)
    lengths = [x.rank - len(name) + 3 if "..." in name else 0 for x, name in zip(xs, names, strict=True)]
    longest = unused[: max(lengths)]
    spelled = [name.replace("...", longest[len(longest) - n :]) for name, n in zip(names, lengths, strict=True)]
    return spelled, result.replace("...", longest)


def _implicit(terms: str) -> str:
    """What numpy.einsum takes for the result: the ellipsis, then the letters that come once, sorted."""
    once = sorted(c for c in set(terms) - set(",.") if terms.count(c) == 1)
    return "..." * ("..." in terms) + "".join(once)


def _without_ones(g: FoldingBuilder, xs: Sequence[Value], names: Sequence[str]) -> tuple[list[Value], list[str]]:
    """The tensors without axes of size 1 that are broadcast against another's: ONNX infers no shape for those."""
    wide = {
        c for x, term in zip(xs, names, strict=True) for c, dim in zip(term, x.shape or (), strict=True) if dim != 1
    }
    tensors, terms = [], []
    for x, term in zip(xs, names, strict=True):
        axes = [i for i, dim in enumerate(x.shape or ()) if dim == 1 and term[i] in wide]
        tensors.append(g.Squeeze(x, axes) if axes else x)
        terms.append("".join(c for i, c in enumerate(term) if i not in axes))
    return tensors, terms


def _rearranged(g: FoldingBuilder, x: Value, term: str, result: str) -> Value:
    """One tensor: the axes that the result does not have are summed, the others put in its order."""
    summed = [i for i, c in enumerate(term) if c not in result]
    x = g.ReduceSum(x, summed, keepdims=0) if summed else x
    left = [c for c in term if c in result]
    y: Value = x if "".join(left) == result else g.Transpose(x, perm=[left.index(c) for c in result])
    return y


def _spread(g: FoldingBuilder, x: Value, term: str, result: str) -> Value:
    """`x` with its axes in the order of the result, and one of size 1 for each that it lacks."""
    missing = [i for i, c in enumerate(result) if c not in term]
    x = _rearranged(g, x, term, "".join(c for c in result if c in term))
    y: Value = g.Unsqueeze(x, missing) if missing else x
    return y


def _is_contraction(names: Sequence[str], result: str) -> bool:
    """No letter twice in a term, and none that is summed in one term alone."""
    if any(len(set(term)) != len(term) for term in (*names, result)):
        return False
    return all(letter in result or (letter in names[0] and letter in names[1]) for letter in names[0] + names[1])


def _contraction(g: FoldingBuilder, xs: Sequence[Value], names: Sequence[str], result: str) -> Value | None:
    """The product of matrices [batch..., left, summed] and [batch..., summed, right].

    None where sizes are not known that a Reshape would have to know.
    """
    dims = _sizes(xs, names)
    batch = [c for c in names[0] if c in names[1] and c in result]
    summed = [c for c in names[0] if c in names[1] and c not in result]
    left = [c for c in names[0] if c not in names[1]]
    right = [c for c in names[1] if c not in names[0]]
    if not summed or dims is None:
        return None
    orders = (batch, left, summed), (batch, summed, right)
    if None in dims.values():
        return None
    if not batch and left:
        orders = (left[:-1], left[-1:], summed), orders[1]  # a stack of matrices times one matrix
    if not all(_can_merge(group, dims) for order in orders for group in order[1:]):
        return None
    a, b = (_as_matrices(g, x, term, order, dims) for x, term, order in zip(xs, names, orders, strict=True))
    made = [*batch, *left, *right]
    y = g.MatMul(a, b)
    if len(orders[0][1]) != 1 or len(right) != 1:
        y = _reshaped(g, y, [dims[c] for c in made])
    return y if "".join(made) == result else g.Transpose(y, perm=[made.index(c) for c in result])


def _sizes(xs: Sequence[Value], names: Sequence[str]) -> dict[str, Dim] | None:
    """The size of each letter; None if two disagree (a size of 1 may be broadcast)."""
    dims: dict[str, Dim] = {}
    for x, term in zip(xs, names, strict=True):
        for letter, dim in zip(term, x.shape or (), strict=True):
            known = dims.setdefault(letter, dim)
            if known != dim and (1 in (known, dim) or type(known) is type(dim)):
                return None
            dims[letter] = known if isinstance(known, int) else dim
    return dims


def _can_merge(group: Sequence[str], dims: dict[str, Dim]) -> bool:
    return len(group) == 1 or all(isinstance(dims[c], int) for c in group)


def _as_matrices(
    g: FoldingBuilder, x: Value, term: str, order: Sequence[Sequence[str]], dims: dict[str, Dim]
) -> Value:  # fmt: skip
    """`x` with its axes in three groups: batch, rows, columns."""
    letters = [c for group in order for c in group]
    if "".join(letters) != term:
        x = g.Transpose(x, perm=[term.index(c) for c in letters])
    if len(order[1]) == len(order[2]) == 1:
        return x
    return _reshaped(g, x, [*(dims[c] for c in order[0]), *(_merged(group, dims) for group in order[1:])])


def _merged(group: Sequence[str], dims: dict[str, Dim]) -> Dim:
    return dims[group[0]] if len(group) == 1 else prod(int(dims[c] or 0) for c in group)


def _reshaped(g: FoldingBuilder, x: Value, sizes: Sequence[Dim]) -> Value:
    return g.reshaped(x, list(sizes))
