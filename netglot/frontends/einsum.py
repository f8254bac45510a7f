"""Einsum for frontends whose frameworks have it: a contraction of two tensors is a matrix product where it can be."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from string import ascii_letters

from netglot.frontends.folding import FoldingBuilder
from netglot.ir.graph import Value
from netglot.ir.types import Dim


def einsum(g: FoldingBuilder, xs: Sequence[Value], equation: str) -> Value:
    """`equation` as numpy.einsum has it. Every target has matrix products; the rest stays ONNX's Einsum."""
    names, result = _spelled_out(xs, equation)
    if len(xs) == 2 and _is_contraction(names, result):
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
