"""Strings, as far as ONNX has operators for exactly the same."""

from __future__ import annotations

from typing import Any

import numpy as np

from netglot.frontends.tensorflow.builder import TFBuilder, tf_op
from netglot.frontends.tensorflow.movement import split_evenly
from netglot.frontends.tensorflow.shape import with_sizes
from netglot.ir.graph import Value

STRING = np.dtype(object)


def text(g: TFBuilder, item: str) -> Value:
    return g.constant(np.array(item, object))


@tf_op("AsString")
def as_string(
    g: TFBuilder, x: Value, *, precision: int = -1, scientific: bool = False, shortest: bool = False, width: int = -1,
    fill: str = "",
) -> Value:  # fmt: skip
    """Of integers and booleans: floats are written with other digits than ONNX's."""
    if x.dtype == np.bool_ and width < 0:
        return g.Where(x, text(g, "true"), text(g, "false"))
    if x.dtype is None or x.dtype.kind not in "iu" or width >= 0:
        raise g.unsupported(f"{x.dtype} as text" + (f" of {width} letters" if width >= 0 else ""))
    return g.cast(x, STRING)


@tf_op("StringToNumber")
def string_to_number(g: TFBuilder, x: Value, *, out_type: Any = np.float32) -> Value:
    return g.cast(x, out_type)


@tf_op("StringJoin")
def string_join(g: TFBuilder, *xs: Value, separator: str = "") -> Value:
    return _joined(g, xs, separator)


def _joined(g: TFBuilder, parts: tuple[Value, ...], separator: str) -> Value:
    y, *rest = parts
    for item in rest:
        y = g.StringConcat(g.StringConcat(y, text(g, separator)) if separator else y, item)
    return y


@tf_op("ReduceJoin")
def reduce_join(g: TFBuilder, x: Value, axes: Value, *, keep_dims: bool = False, separator: str = "") -> Value:
    """Several axes: the first named one counts fastest (reduce_join_op.cc; its documentation says the last)."""
    wanted = [g.axis(x, axis) for axis in g.ints(axes, "the axes")]
    if not wanted:  # no axes: the tensor as it is
        return x
    sizes = [(x.shape or ())[axis] for axis in wanted]
    counts = [size for size in sizes if isinstance(size, int)]
    if len(counts) < len(sizes) or 0 in counts:
        raise g.unsupported("a join of as many strings as are known only when it runs, or of none")
    kept = [axis for axis in range(x.rank) if axis not in wanted]
    moved = g.Transpose(x, perm=[*kept, *reversed(wanted)])
    for _ in wanted[1:]:
        moved = _last_two_as_one(g, moved)
    y = _joined(g, split_evenly(g, moved, int(np.prod(counts)), len(kept)), separator)
    y = g.Squeeze(y, [len(kept)])
    return g.Unsqueeze(y, sorted(wanted)) if keep_dims else y


def _last_two_as_one(g: TFBuilder, x: Value) -> Value:
    *kept, one, two = x.shape or ()
    return g.reshaped(x, [*kept, int(one or 0) * int(two or 0)])


# ------------------------------------------------------------------ letters


@tf_op("StringLower")
def string_lower(g: TFBuilder, x: Value, *, encoding: str = "") -> Value:
    return _normalized(g, x, "LOWER", encoding)


@tf_op("StringUpper")
def string_upper(g: TFBuilder, x: Value, *, encoding: str = "") -> Value:
    return _normalized(g, x, "UPPER", encoding)


def _normalized(g: TFBuilder, x: Value, action: str, encoding: str) -> Value:
    """Without an encoding only ASCII letters change, as in the locale C. StringNormalizer takes vectors."""
    if encoding:
        raise g.unsupported(f"letters of {encoding}: what is upper and lower case depends on the runtime's locale")
    y = g.StringNormalizer(g.Reshape(x, [-1]), case_change_action=action, locale="C")
    return with_sizes(g.Reshape(y, g.Shape(x), allowzero=1), x.shape or ())


@tf_op("StaticRegexFullMatch")
def static_regex_full_match(g: TFBuilder, x: Value, *, pattern: str) -> Value:
    """The syntax is RE2's in both."""
    return g.RegexFullMatch(x, pattern=pattern)


@tf_op("RegexFullMatch")
def regex_full_match(g: TFBuilder, x: Value, pattern: Value) -> Value:
    return g.RegexFullMatch(x, pattern=str(g.static(pattern, "the pattern").item()))


# ------------------------------------------------------------------ splitting


@tf_op("StringSplitV2")
def string_split_v2(g: TFBuilder, x: Value, sep: Value, *, maxsplit: int = -1) -> tuple[Value, ...]:
    """A separator also ends empty pieces, so that nothing is one empty piece; white space (no separator) does not."""
    separator = str(g.static(sep, "the separator").item())
    if maxsplit == 0 or (maxsplit > 0 and not separator):
        raise g.unsupported(f"maxsplit {maxsplit} of white space or of nothing")
    limit = maxsplit if maxsplit > 0 else None
    pieces, counts = g.StringSplit(x, outputs=2, delimiter=separator, maxsplit=limit)
    counts = g.Max(counts, [1]) if separator else counts
    column = g.Expand(text(g, ""), g.Concat(g.Shape(x), np.array([1]), axis=0))
    padded = g.Concat(pieces, column, axis=1)
    places = g.Range(np.int64(0), g.Squeeze(g.Shape(padded, start=1, end=2), [0]), np.int64(1))
    is_piece = g.Less(g.Unsqueeze(places, [0]), g.Unsqueeze(counts, [1]))
    return _sparse(g, x, padded, is_piece, places)


@tf_op("StringSplit")
def string_split(g: TFBuilder, x: Value, delimiter: Value, *, skip_empty: bool = True) -> tuple[Value, ...]:
    """One letter separates; several would each, and none would cut between all letters."""
    separator = str(g.static(delimiter, "the delimiter").item())
    if len(separator) != 1 or not skip_empty:
        raise g.unsupported("more or less than one delimiting letter, or empty pieces")
    pieces, _ = g.StringSplit(x, outputs=2, delimiter=separator)
    is_piece = g.Not(g.Equal(pieces, text(g, "")))
    places = g.Sub(g.CumSum(g.Cast(is_piece, to=6), np.int64(1)), np.int32(1))
    return _sparse(g, x, pieces, is_piece, g.cast(places, np.int64))


def _sparse(g: TFBuilder, x: Value, pieces: Value, is_piece: Value, places: Value) -> tuple[Value, ...]:
    """The pieces with their row and place in it, and the shape that holds them all."""
    flat = g.Reshape(is_piece, [-1])
    row = g.Unsqueeze(g.Range(np.int64(0), g.Size(x), np.int64(1)), [1])
    rows = g.Compress(g.Reshape(g.Expand(row, g.Shape(pieces)), [-1]), flat, axis=0)
    columns = g.Compress(g.Reshape(g.Expand(places, g.Shape(pieces)), [-1]), flat, axis=0)
    width = g.ReduceMax(g.ReduceSum(g.Cast(is_piece, to=7), [1], keepdims=0), keepdims=1)
    values = g.Compress(g.Reshape(pieces, [-1]), flat, axis=0)
    indices = g.Concat(g.Unsqueeze(rows, [1]), g.Unsqueeze(columns, [1]), axis=1)
    return indices, values, g.Concat(g.Shape(x), width, axis=0)
