"""Caffe layers that move elements, and those that make or end blobs."""

from __future__ import annotations

from itertools import pairwise
from math import prod

from netglot.errors import ConversionError
from netglot.frontends.caffe.builder import CaffeBuilder, caffe_layer
from netglot.frontends.caffe.layer import dims
from netglot.frontends.textproto import Message
from netglot.ir.graph import Value

Ints = tuple[int, ...]


@caffe_layer("BatchReindex")
def batch_reindex(g: CaffeBuilder, x: Value, index: Value) -> Value:
    return g.Gather(x, g.Cast(index, to=7), axis=0)


@caffe_layer("Concat")
def concat(g: CaffeBuilder, *xs: Value, axis: int = 1, concat_dim: int | None = None) -> Value:
    return g.Concat(*xs, axis=g.axis(xs[0], axis if concat_dim is None else concat_dim))


@caffe_layer("Crop")
def crop(g: CaffeBuilder, x: Value, like: Value, *, axis: int = 2, offset: Ints = ()) -> Value:
    """The part of x that has the size of `like` in the axes from `axis` on (crop_layer.cpp)."""
    first = g.axis(x, axis)
    axes = list(range(first, x.rank))
    starts = list(offset or (0,)) * (len(axes) if len(offset) < 2 else 1)
    if len(starts) != len(axes) or like.rank != x.rank:
        raise ConversionError(f"{len(starts)} offsets for {len(axes)} axes", g.origin)
    ends = [start + size for start, size in zip(starts, like.sizes[first:], strict=True)]
    if any(end > size for end, size in zip(ends, x.sizes[first:], strict=True)):
        raise ConversionError(f"the crop up to {ends} lies outside of the blob's {x.sizes}", g.origin)
    return g.Slice(x, starts, ends, axes)


@caffe_layer("DummyData")
def dummy_data(
    g: CaffeBuilder, *, shape: tuple[Message, ...] = (), data_filler: tuple[Message, ...] = (), num: Ints = (),
    channels: Ints = (), height: Ints = (), width: Ints = (),
) -> list[Value]:  # fmt: skip
    """Constant blobs (dummy_data_layer.cpp). Those of a random filler are inputs: see layers.py."""
    old = [list(sizes) for sizes in zip(num, channels, height, width, strict=False)]
    shapes = [dims(one, g.origin) for one in [message.all("dim") for message in shape] or old]
    values = [filler.get("value", 0) for filler in data_filler] or [0]
    if len(shapes) not in (1, g.tops) or len(values) not in (1, g.tops):
        raise ConversionError(f"{len(shapes)} shapes and {len(values)} fillers for {g.tops} tops", g.origin)
    return [g.full(shapes[i % len(shapes)], values[i % len(values)]) for i in range(g.tops)]


@caffe_layer("Filter")
def filter_(g: CaffeBuilder, *xs: Value) -> None:
    raise g.unsupported("Filter's output has as many items as its selector chooses, a size known only when it runs")


@caffe_layer("Flatten")
def flatten(g: CaffeBuilder, x: Value, *, axis: int = 1, end_axis: int = -1) -> Value:
    first, last = g.axis(x, axis), g.axis(x, end_axis)
    if first == 1 and last == x.rank - 1:
        return g.Flatten(x, axis=1)
    return g.Reshape(x, [*x.sizes[:first], prod(x.sizes[first : last + 1]), *x.sizes[last + 1 :]])


@caffe_layer("Parameter")
def parameter(g: CaffeBuilder, blob: Value | None = None, *, shape: Message) -> Value:
    return g.Identity(g.weight(blob, *dims(shape.all("dim"), g.origin)))


@caffe_layer("Permute")
def permute(g: CaffeBuilder, x: Value, *, order: Ints = ()) -> Value:
    """A transposition (SSD fork); axes that are not named follow in their own order."""
    perm = [*order, *(axis for axis in range(x.rank) if axis not in order)]
    if sorted(perm) != list(range(x.rank)):
        raise ConversionError(f"order {order} is no order of {x.rank} axes", g.origin)
    return g.Transpose(x, perm=perm)


@caffe_layer("Reshape")
def reshape(g: CaffeBuilder, x: Value, *, shape: Message = Message(), axis: int = 0, num_axes: int = -1) -> Value:
    """Replaces `num_axes` axes from `axis` on by `shape`; 0 copies a size, -1 is what is left (reshape_layer.cpp)."""
    first = axis if axis >= 0 else x.rank + axis + 1
    last = x.rank if num_axes == -1 else first + num_axes
    if not 0 <= first <= last <= x.rank:
        raise ConversionError(f"axes {first} to {last} of a blob with {x.rank} axes", g.origin)
    replaced, dims = x.sizes[first:last], shape.all("dim")
    middle = [replaced[i] if dim == 0 and i < len(replaced) else dim for i, dim in enumerate(dims)]
    return g.Reshape(x, [*x.sizes[:first], *middle, *x.sizes[last:]])


@caffe_layer("ShuffleChannel")
def shuffle_channel(g: CaffeBuilder, x: Value, *, group: int = 1) -> Value:
    """ShuffleNet's: channels as [group, channels / group], transposed."""
    n, c, *image = x.sizes
    if c % group:
        raise ConversionError(f"{c} channels do not divide into {group} groups", g.origin)
    groups = g.Reshape(x, [n, group, c // group, *image])
    return g.Reshape(g.Transpose(groups, perm=[0, 2, 1, *range(3, x.rank + 1)]), x.sizes)


@caffe_layer("Silence")
def silence(g: CaffeBuilder, *xs: Value) -> None:
    """Reads blobs so that they are no outputs."""


@caffe_layer("Slice")
def slice_(
    g: CaffeBuilder, x: Value, *, axis: int = 1, slice_dim: int | None = None, slice_point: Ints = ()
) -> list[Value]:
    """Parts of x at the given points, or equal ones (slice_layer.cpp)."""
    along = g.axis(x, axis if slice_dim is None else slice_dim)
    size = x.sizes[along]
    points = [0, *slice_point, size] if slice_point else [i * size // g.tops for i in range(g.tops + 1)]
    parts = [end - start for start, end in pairwise(points)]
    if len(parts) != g.tops or min(parts) <= 0 or (not slice_point and size % g.tops):
        raise ConversionError(f"{size} values at {list(slice_point)} are no {g.tops} slices", g.origin)
    return list(g.Split(x, parts, axis=along, outputs=g.tops)) if g.tops > 1 else [x]


@caffe_layer("Split")
def split(g: CaffeBuilder, x: Value) -> list[Value]:
    """The same blob under several names."""
    return [x] * g.tops


@caffe_layer("Tile")
def tile(g: CaffeBuilder, x: Value, *, tiles: int, axis: int = 1) -> Value:
    repeats = [1] * x.rank
    repeats[g.axis(x, axis)] = tiles
    return g.Tile(x, repeats)
