"""Space to depth, space to batch, patches. Semantics: TensorFlow's core/ops/array_ops.cc."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from netglot.frontends.tensorflow.builder import TFBuilder, tf_op
from netglot.frontends.tensorflow.convolution import windows
from netglot.frontends.tensorflow.window import spatial
from netglot.ir.graph import Node, Value
from netglot.ir.types import Dim, channels_last, inverse

Ints = tuple[int, ...]


@tf_op("DepthToSpace")
def depth_to_space(g: TFBuilder, x: Value, *, block_size: int, data_format: str = "NHWC") -> Value:
    """ONNX's order DCR."""
    _require_plain(g, data_format)
    return g.from_first(g.DepthToSpace(g.to_first(x, data_format), blocksize=block_size), data_format)


@tf_op("SpaceToDepth")
def space_to_depth(g: TFBuilder, x: Value, *, block_size: int, data_format: str = "NHWC") -> Value:
    _require_plain(g, data_format)
    return g.from_first(g.SpaceToDepth(g.to_first(x, data_format), blocksize=block_size), data_format)


def _require_plain(g: TFBuilder, data_format: str) -> None:
    if data_format not in ("NHWC", "NCHW"):
        raise g.unsupported(f"the data format {data_format}")


# -------------------------------------------------------------- space and batch


@dataclass(frozen=True)
class Split:
    """What SpaceToBatchND did to `source`: its first len(block) axes after the batch, padded, were split."""

    source: Value
    block: Ints
    paddings: tuple[Ints, ...]


@tf_op("SpaceToBatchND")
def space_to_batch_nd(g: TFBuilder, x: Value, block_shape: Value, paddings: Value) -> Value:
    block = tuple(g.ints(block_shape, "the shape of the blocks"))
    pairs = g.static(paddings, "the padding").reshape(-1, 2).tolist()
    return _space_to_batch(g, x, block, tuple(tuple(map(int, pair)) for pair in pairs))


@tf_op("SpaceToBatch")
def space_to_batch(g: TFBuilder, x: Value, paddings: Value, *, block_size: int) -> Value:
    return space_to_batch_nd(g, x, g.constant([block_size] * 2, np.int64), paddings)


def _space_to_batch(g: TFBuilder, x: Value, block: Ints, paddings: tuple[Ints, ...]) -> Value:
    """[N, H * b, W * c, C] to [b * c * N, H, W, C]."""
    count, source = len(block), x
    if len(paddings) != count or x.rank <= count or min(block) < 1:
        raise g.unsupported(f"blocks {block} with paddings {paddings} of a tensor of rank {x.rank}")
    if any(map(any, paddings)):
        rest = [0] * (x.rank - count - 1)
        begin, end = ([0, *(pair[side] for pair in paddings), *rest] for side in (0, 1))
        x = g.Pad(x, [*begin, *end])
    dims = x.shape or ()
    inner = [_divided(g, dim, b) for dim, b in zip(dims[1:], block, strict=False)]
    tail = dims[1 + count :]
    split = [part for pair in zip(inner, block, strict=True) for part in pair]
    x = _shaped(g, x, [dims[0], *split, *tail])
    perm = [*range(2, 2 * count + 1, 2), 0, *range(1, 2 * count, 2), *range(2 * count + 1, x.rank)]
    y = _shaped(g, g.Transpose(x, perm=perm), [None, *inner, *tail])
    g.splits[y] = Split(source, block, paddings)
    return y


def _divided(g: TFBuilder, dim: Dim, by: int) -> Dim:
    """A size in blocks."""
    if not isinstance(dim, int):
        return dim if by == 1 else None
    if dim % by:
        raise g.unsupported(f"an axis of {dim} in blocks of {by}")
    return dim // by


def _shaped(g: TFBuilder, x: Value, sizes: list[Dim]) -> Value:
    """`x` as `sizes`; the batch, if it is not known, is what is left."""
    first = sizes[0] if isinstance(sizes[0], int) else None
    if not all(isinstance(dim, int) for dim in sizes[1:]):
        raise g.unsupported("space to batch of a tensor of unknown size")
    if first is None and x.shape is not None and all(isinstance(dim, int) for dim in x.shape):
        first = prod(x.sizes) // max(1, prod(int(dim or 0) for dim in sizes[1:]))
    y: Value = g.Reshape(x, np.array([-1 if first is None else first, *sizes[1:]], np.int64))
    return y


@tf_op("BatchToSpaceND")
def batch_to_space_nd(g: TFBuilder, x: Value, block_shape: Value, crops: Value) -> Value:
    block = tuple(g.ints(block_shape, "the shape of the blocks"))
    pairs = g.static(crops, "the crops").reshape(-1, 2).tolist()
    return _batch_to_space(g, x, block, tuple(tuple(map(int, pair)) for pair in pairs))


@tf_op("BatchToSpace")
def batch_to_space(g: TFBuilder, x: Value, crops: Value, *, block_size: int) -> Value:
    return batch_to_space_nd(g, x, g.constant([block_size] * 2, np.int64), crops)


def _batch_to_space(g: TFBuilder, x: Value, block: Ints, crops: tuple[Ints, ...]) -> Value:
    """[b * c * N, H, W, C] to [N, H * b, W * c, C], then cropped."""
    count = len(block)
    if len(crops) != count or x.rank <= count or min(block) < 1:
        raise g.unsupported(f"blocks {block} with crops {crops} of a tensor of rank {x.rank}")
    dilated = _dilated(g, x, block, crops)
    if dilated is not None:
        return dilated
    dims = x.shape or ()
    inner, tail = list(dims[1 : count + 1]), list(dims[count + 1 :])
    whole: list[Dim] = [dim * b if isinstance(dim, int) else None for dim, b in zip(inner, block, strict=True)]
    batch = _divided(g, dims[0], prod(block))
    if not all(isinstance(dim, int) for dim in (*inner, *tail)):
        raise g.unsupported("batch to space of a tensor of unknown size")
    split = g.Reshape(x, np.array([*block, -1 if not isinstance(batch, int) else batch, *inner, *tail], np.int64))
    perm = [count, *(axis for i in range(count) for axis in (count + 1 + i, i)), *range(2 * count + 1, split.rank)]
    y = _shaped(g, g.Transpose(split, perm=perm), [batch, *whole, *tail])
    if not any(map(any, crops)):
        return y
    stop = [int(dim or 0) - crop[1] for dim, crop in zip(whole, crops, strict=True)]
    return g.Slice(y, [crop[0] for crop in crops], stop, list(range(1, count + 1)))


def _dilated(g: TFBuilder, x: Value, block: Ints, crops: tuple[Ints, ...]) -> Value | None:
    """One dilated convolution instead of SpaceToBatchND, convolution and BatchToSpaceND.

    One over a single axis stands between ExpandDims and Squeeze, on images of height one. Blocks are exactly the
    elements that a dilated window sees. The crops take back a part of the padding.
    """
    squeeze = g.graph.producer(x)
    if squeeze is not None and squeeze.op == "Squeeze" and squeeze.inputs[0] and _is_height(squeeze, squeeze.inputs[0]):
        image = _dilated(g, squeeze.inputs[0], (1, *block), ((0, 0), *crops))
        return None if image is None else g.Squeeze(image, [1])
    found = _convolution_between(g, x)
    if found is None:
        return None
    conv, split = found
    pads = [(p[0] - c[0], p[1] - c[1]) for p, c in zip(split.paddings, crops, strict=False)]
    if split.block != block or len(block) != x.rank - 2 or min(map(min, pads)) < 0:
        return None
    around = tuple(pad[side] for side in (0, 1) for pad in pads)
    attributes = {**conv.attributes, "dilations": block, "pads": around if any(around) else None}
    image = g.Transpose(split.source, perm=inverse(channels_last(x.rank)))
    y: Value = g.Transpose(g.op("Conv", [image, *conv.inputs[1:]], **attributes), perm=channels_last(x.rank))
    return y


def _convolution_between(g: TFBuilder, x: Value) -> tuple[Node, Split] | None:
    """The unpadded convolution with strides of 1 that made NHWC `x` of the result of a SpaceToBatchND."""
    after = g.graph.producer(x)
    conv = g.graph.producer(after.inputs[0]) if after and after.op == "Transpose" and after.inputs[0] else None
    if after is None or conv is None or conv.op != "Conv" or conv.inputs[0] is None:
        return None
    before = g.graph.producer(conv.inputs[0])
    if before is None or before.op != "Transpose" or tuple(after.attributes["perm"]) != channels_last(x.rank):
        return None
    split = _split(g, before.inputs[0]) if before.inputs[0] else None
    plain = all(set(conv.attributes.get(name) or (1,)) == {1} for name in ("strides", "dilations"))
    padded = any(conv.attributes.get("pads") or ()) or "auto_pad" in conv.attributes
    return (conv, split) if split is not None and plain and not padded else None


def _split(g: TFBuilder, x: Value) -> Split | None:
    """What SpaceToBatchND did to make `x`, or to make what an ExpandDims gave a height of one."""
    node = g.graph.producer(x)
    if node is None or node.op != "Unsqueeze" or not node.inputs[0] or not _is_height(node, x):
        return g.splits.get(x)
    inner = g.splits.get(node.inputs[0])
    if inner is None:
        return None
    return Split(g.Unsqueeze(inner.source, [1]), (1, *inner.block), ((0, 0), *inner.paddings))


def _is_height(node: Node, image: Value) -> bool:
    """Whether `node` adds or drops the height of an NHWC `image`."""
    axes = node.input(1)
    return image.rank == 4 and axes is not None and axes.is_constant and axes.array.ravel().tolist() in ([1], [-3])


# --------------------------------------------------------------------- patches


@tf_op("ExtractImagePatches")
def extract_image_patches(g: TFBuilder, x: Value, *, ksizes: Ints, strides: Ints, rates: Ints, padding: str) -> Value:
    """NHWC to [N, rows, columns, height * width * C] of windows."""
    kernel = spatial(g, "a window", ksizes, "NHWC")
    dims = x.shape or (None,) * 4
    plain = tuple(strides) == tuple(ksizes) and set(rates) == {1} and padding == "VALID"
    if plain and all(isinstance(dim, int) for dim in dims[1:]):
        return _tiles(g, x, kernel)
    steps, gaps = spatial(g, "strides", strides, "NHWC"), spatial(g, "rates", rates, "NHWC")
    return g.Concat(*(tap for _, tap in windows(g, x, kernel, steps, gaps, padding)), axis=3)


def _tiles(g: TFBuilder, x: Value, kernel: Ints) -> Value:
    """Patches that lie side by side."""
    height, width, channels = (int(dim or 0) for dim in (x.shape or ())[1:])
    rows, columns = height // kernel[0], width // kernel[1]
    if (rows * kernel[0], columns * kernel[1]) != (height, width):
        x = g.Slice(x, [0, 0], [rows * kernel[0], columns * kernel[1]], [1, 2])
    parts = g.Reshape(x, np.array([-1, rows, kernel[0], columns, kernel[1] * channels], np.int64))
    patches = g.Transpose(parts, perm=[0, 1, 3, 2, 4])
    return g.Reshape(patches, np.array([-1, rows, columns, kernel[0] * kernel[1] * channels], np.int64))


@tf_op("ExtractVolumePatches")
def extract_volume_patches(g: TFBuilder, x: Value, *, ksizes: Ints, strides: Ints, padding: str) -> Value:
    """NDHWC to [N, planes, rows, columns, depth * height * width * C] of windows."""
    kernel, steps = spatial(g, "a window", ksizes, "NDHWC"), spatial(g, "strides", strides, "NDHWC")
    return g.Concat(*(tap for _, tap in windows(g, x, kernel, steps, (1, 1, 1), padding)), axis=4)
