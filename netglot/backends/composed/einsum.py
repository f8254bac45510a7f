"""Einsum, two operands at a time as a product of matrices."""

from __future__ import annotations

from math import prod
from string import ascii_letters

import numpy as np

from netglot.backends.composed.driver import Composer, composition
from netglot.backends.composed.indexing import strides
from netglot.backends.lowering import NotMappedError
from netglot.ir.graph import Value


class Term:
    """A tensor and the letters of its axes, each of which occurs once."""

    def __init__(self, value: Value, letters: str) -> None:
        self.value, self.letters = value, letters

    def sizes(self, letters: str) -> list[int]:
        return [self.value.sizes[self.letters.index(letter)] for letter in letters]


@composition("Einsum")
def einsum(g: Composer, inputs: list[Value], *, equation: str) -> Value:
    names, result = _parsed(_named(equation.replace(" ", ""), [value.rank for value in inputs]))
    if len(names) != len(inputs):
        raise NotMappedError(f"{equation} of {len(inputs)} tensors")
    terms = [_without_repeats(g, value, letters) for value, letters in zip(inputs, names, strict=True)]
    total = terms[0]
    for i, term in enumerate(terms[1:], 1):
        later = "".join([result, *(other.letters for other in terms[i + 1 :])])
        total = _product(g, total, term, later)
    total = _summed(g, total, result)
    return g.Transpose(total.value, perm=[total.letters.index(letter) for letter in result]) if result else total.value


def _parsed(equation: str) -> tuple[list[str], str]:
    """The letters of each tensor and of the result; without one, those that occur once, in their order."""
    left, arrow, right = equation.partition("->")
    return left.split(","), right if arrow else "".join(sorted(c for c in set(left) - {","} if left.count(c) == 1))


def _named(equation: str, ranks: list[int]) -> str:
    """The equation with letters for the axes of "...", counted from the last of them."""
    if "..." not in equation:
        return equation
    left, arrow, right = equation.partition("->")
    if not arrow:
        raise NotMappedError("axes without names, and no result")
    spare = "".join(sorted(set(ascii_letters) - set(equation)))
    terms = left.split(",")
    counts = [rank - len(term.replace("...", "")) for term, rank in zip(terms, ranks, strict=True)]
    named = [term.replace("...", spare[-count:] if count else "") for term, count in zip(terms, counts, strict=True)]
    most = max(count for term, count in zip(terms, counts, strict=True) if "..." in term)
    return ",".join(named) + "->" + right.replace("...", spare[-most:] if most else "")


def _without_repeats(g: Composer, x: Value, letters: str) -> Term:
    """Of axes of one letter, the diagonal."""
    unique = "".join(dict.fromkeys(letters))
    if unique == letters:
        return Term(x, letters)
    steps = strides(x.sizes)
    sizes = [x.sizes[letters.index(letter)] for letter in unique]
    grid = np.indices(sizes, np.int64, sparse=True)
    own = [sum(step for step, c in zip(steps, letters, strict=True) if c == letter) for letter in unique]
    places = np.asarray(sum((axis * step for axis, step in zip(grid, own, strict=True)), np.zeros(sizes, np.int64)))
    return Term(g.Gather(g.Reshape(x, [-1]), places), unique)


def _summed(g: Composer, term: Term, needed: str) -> Term:
    """Without the axes that nobody needs."""
    axes = [i for i, letter in enumerate(term.letters) if letter not in needed]
    if not axes:
        return term
    kept = "".join(letter for letter in term.letters if letter in needed)
    return Term(g.ReduceSum(term.value, axes, keepdims=0), kept)


def _without_ones(g: Composer, term: Term, repeated: list[str]) -> Term:
    """Without the axes of size one that are repeated along another's."""
    axes = [i for i, letter in enumerate(term.letters) if letter in repeated and term.value.sizes[i] == 1]
    kept = "".join(letter for i, letter in enumerate(term.letters) if i not in axes)
    return Term(g.Squeeze(term.value, axes), kept) if axes else term


def _product(g: Composer, a: Term, b: Term, later: str) -> Term:
    """Letters that both have are summed over unless they are needed later, and are batches if they are."""
    a, b = _summed(g, a, later + b.letters), _summed(g, b, later + a.letters)
    repeated = [c for c in a.letters if c in b.letters and a.sizes(c) != b.sizes(c)]
    a, b = (_without_ones(g, term, repeated) for term in (a, b))
    shared = [letter for letter in a.letters if letter in b.letters]
    batch = "".join(letter for letter in shared if letter in later)
    inner = "".join(letter for letter in shared if letter not in later)
    rows = "".join(letter for letter in a.letters if letter not in b.letters)
    columns = "".join(letter for letter in b.letters if letter not in a.letters)
    product = g.MatMul(_matrix(g, a, batch, rows, inner), _matrix(g, b, batch, inner, columns))
    sizes = [*a.sizes(batch), *a.sizes(rows), *b.sizes(columns)]
    return Term(g.Reshape(product, np.array(sizes, np.int64)), batch + rows + columns)


def _matrix(g: Composer, term: Term, batch: str, rows: str, columns: str) -> Value:
    """[batch, rows, columns], where each may stand for several axes or for none."""
    order = [term.letters.index(letter) for letter in batch + rows + columns]
    moved = g.Transpose(term.value, perm=order) if order else term.value
    return g.Reshape(moved, [prod(term.sizes(letters)) for letters in (batch, rows, columns)])
