"""Time and batch folded into one axis, for what treats every time step alike."""

from __future__ import annotations

from netglot.frontends.keras.builder import KerasBuilder
from netglot.ir.graph import Value
from netglot.ir.types import text


def fold_time(g: KerasBuilder, x: Value) -> Value:
    """[A, B, ...] as [A B, ...]."""
    rest = g.contents(g.Shape(x, start=2)) if x.rank > 2 else ()
    if rest is not None and all(isinstance(size, int) for size in rest):
        return g.Reshape(x, [-1, *rest])
    return g.Reshape(x, g.Concat([-1], g.Shape(x, start=2), axis=0))


def unfold_time(g: KerasBuilder, y: Value, like: Value) -> Value:
    """[A B, ...] as [A, B, ...], where A and B are the first two sizes of `like`."""
    assert like.shape is not None
    assert y.shape is not None
    rest = [g.Shape(y, start=1)] if y.rank > 1 else []
    shape = g.Concat(g.Shape(like, start=0, end=2), *rest, axis=0)
    return g.reshaped(y, (*like.shape[:2], *y.shape[1:]), dynamic=shape)


def known_sizes(g: KerasBuilder, x: Value, start: int) -> tuple[int, ...]:
    """The sizes of x from axis `start` on; UnsupportedError where one is not known."""
    sizes = x.shape[start:] if x.shape is not None else (None,)
    known = tuple(size for size in sizes if isinstance(size, int))
    if len(known) != len(sizes):
        raise g.unsupported(
            f"the sizes must be known, not {text(x.shape)}", "Give the input's shape with --input-shape."
        )
    return known
