"""GridSample: the elements around each place are gathered, weighted and added up."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import NamedTuple

import numpy as np

from netglot.backends.composed.driver import Composer, composition
from netglot.backends.composed.indexing import INT64, strides
from netglot.ir.graph import Node, Value

CUBIC_A = -0.75  # of Keys' convolution, as GridSample-20 has it


class Tap(NamedTuple):
    """Along one axis, an element for each place: its index within the image, its weight, and whether it is there."""

    element: Value
    weight: Value | None
    exists: Value | None


def _is_no_image_or_cubic(node: Node) -> bool:
    return node.output.rank != 4 or node.attributes.get("mode", "linear") not in ("linear", "nearest")


@composition("GridSample", instead={"coreml": _is_no_image_or_cubic})
def grid_sample(g: Composer, x: Value, grid: Value, *, align_corners: int, mode: str, padding_mode: str) -> Value:
    """The rows of all images, one row of channels for each element, are what is gathered from."""
    batch, channels, *sizes = x.sizes
    y, rank = g.outputs[0], x.rank - 2
    count = prod(y.sizes[2:])
    taps = []
    for axis, size in enumerate(sizes):
        place = g.Reshape(g.Gather(grid, np.array(rank - 1 - axis), axis=-1), [batch, count])
        taps.append(_taps(g, _pixels(g, place, size, bool(align_corners)), size, mode, padding_mode, align_corners))
    rows = g.Reshape(g.Transpose(x, perm=[0, *range(2, x.rank), 1]), [batch * prod(sizes), channels])
    images = (np.arange(batch) * prod(sizes)).reshape(batch, 1)
    terms = [_term(g, rows, images, chosen, strides(tuple(sizes))) for chosen in product(*taps)]
    total = terms[0]
    for term in terms[1:]:
        total = g.Add(total, term)
    return g.Reshape(g.Transpose(total, perm=[0, 2, 1]), list(y.sizes))


def _pixels(g: Composer, place: Value, size: int, align_corners: bool) -> Value:
    """-1...1 as pixels: from the middle of the first to that of the last, or from edge to edge."""
    scale, shift = ((size - 1) / 2, (size - 1) / 2) if align_corners else (size / 2, (size - 1) / 2)
    return g.Add(g.Mul(place, scale), shift)


def _taps(g: Composer, at: Value, size: int, mode: str, padding: str, align_corners: int) -> list[Tap]:
    if padding != "zeros" and mode != "cubic":
        at = _inside(g, at, size, padding, align_corners)
    if mode == "nearest":
        return [_tap(g, g.Round(at), None, size, padding, align_corners)]
    low = g.Floor(at)
    part = g.Sub(at, low)
    if mode == "cubic":
        weights = _cubic(g, part)
        return [
            _tap(g, g.Add(low, float(i - 1)), weight, size, padding, align_corners) for i, weight in enumerate(weights)
        ]
    rest = g.Sub(g.constant(1, at.dtype), part)
    return [_tap(g, g.Add(low, float(i)), w, size, padding, align_corners) for i, w in enumerate((rest, part))]


def _cubic(g: Composer, t: Value) -> list[Value]:
    """The weights of the four neighbours, the nearest before being `t` away."""
    distances = [g.Add(t, 1.0), t, g.Sub(g.constant(1, t.dtype), t), g.Sub(g.constant(2, t.dtype), t)]
    far, near = [CUBIC_A, -5 * CUBIC_A, 8 * CUBIC_A, -4 * CUBIC_A], [CUBIC_A + 2, -(CUBIC_A + 3), 0.0, 1.0]
    return [_horner(g, d, near if i in (1, 2) else far) for i, d in enumerate(distances)]


def _horner(g: Composer, x: Value, coefficients: list[float]) -> Value:
    result: Value = g.Mul(x, coefficients[0])
    for coefficient in coefficients[1:-1]:
        result = g.Mul(g.Add(result, coefficient), x)
    return g.Add(result, coefficients[-1])


def _tap(g: Composer, at: Value, weight: Value | None, size: int, padding: str, align_corners: int) -> Tap:
    """`at` is whole; it is limited as a float, since not every float is an integer."""
    exists = None
    if padding == "zeros":
        exists = g.And(g.GreaterOrEqual(at, 0.0), g.LessOrEqual(at, float(size - 1)))
        exists = g.Cast(exists, to=1)
    elif padding == "reflection":
        at = _inside(g, at, size, padding, align_corners)
    limits = np.array(0, at.dtype), np.array(size - 1, at.dtype)
    return Tap(g.Cast(g.Clip(at, *limits), to=INT64), weight, exists)


def _inside(g: Composer, at: Value, size: int, padding: str, align_corners: int) -> Value:
    """Limited to the image; by reflection at its first and last pixels, or at its edges, as often as it takes."""
    if padding == "reflection":
        low, span = (0.0, float(size - 1)) if align_corners else (-0.5, float(size))
        if not span:
            return g.Mul(at, 0.0)
        turns = g.Floor(g.Div(g.Sub(at, low), 2 * span))
        past = g.Sub(g.Sub(at, low), g.Mul(turns, 2 * span))
        at = g.Sub(g.constant(low + span, at.dtype), g.Abs(g.Sub(past, span)))
    return g.Clip(at, np.array(0, at.dtype), np.array(size - 1, at.dtype))


def _term(g: Composer, rows: Value, images: np.ndarray, taps: tuple[Tap, ...], steps: tuple[int, ...]) -> Value:
    """[batch, places, channels]: what one neighbour of each place adds."""
    number: Value | np.ndarray = images
    for tap, step in zip(taps, steps, strict=True):
        number = g.Add(number, g.Mul(tap.element, np.int64(step)))
    found: Value = g.Gather(rows, number)
    factors = [factor for tap in taps for factor in (tap.weight, tap.exists) if factor is not None]
    if not factors:
        return found
    weight = factors[0]
    for factor in factors[1:]:
        weight = g.Mul(weight, factor)
    return g.Mul(found, g.Unsqueeze(weight, [2]))
