"""Weights stored in fewer bytes than a float each. All inputs are constants; the result is the dense tensor.

They say how a weight is stored, as DequantizeLinear does of a quantised one, and are never folded into a constant: the
writer of a target that has no such form asks for that (netglot.passes.decompress).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from netglot.errors import ConversionError
from netglot.ir import types
from netglot.ir.graph import Value
from netglot.ir.schema import Result

if TYPE_CHECKING:
    from netglot.ir.builder import Builder

MOST_ENTRIES = 256  # of a codebook: an index is a byte
_SAMPLE = (
    1 << 14
)  # elements that are looked at first: most tensors take more values than a codebook holds there already

Array = np.ndarray
Ints = tuple[int, ...]


class Palette:
    """codebook[indices]: a tensor that takes few values.

    indices: uint8 of any shape, which is the result's; codebook: float [1...256], with an entry for every index.
    """

    outputs = ("y",)

    @staticmethod
    def run(indices: Array, codebook: Array) -> Array:
        _require_palette(indices, codebook)
        return np.asarray(codebook[indices])

    @staticmethod
    def infer(inputs: Sequence[Value | None], **attributes: Any) -> list[Result]:
        indices, codebook = _constants("Palette", inputs)
        _require_palette(indices, codebook)
        return [(codebook.dtype, indices.shape)]

    @staticmethod
    def expand(g: Builder, indices: Value, codebook: Value) -> Value:
        return g.Gather(codebook, g.Cast(indices, to=types.to_onnx(np.dtype(np.int32))), axis=0)


class Sparse:
    """A tensor of `shape` that is zero wherever a bit of `mask` is: `values` are the others, in row-major order.

    mask: uint8 [ceil(n / 8)] for n elements: element i is bit i % 8, from the least significant on, of byte i // 8, and
    what is left of the last byte is zero; values: float [number of bits that are set].
    """

    outputs = ("y",)

    @staticmethod
    def run(mask: Array, values: Array, *, shape: Ints) -> Array:
        _require_sparse(mask, values, shape)
        dense = np.zeros(prod(shape), values.dtype)
        dense[np.unpackbits(mask, count=dense.size, bitorder="little").view(bool)] = values
        return dense.reshape(shape)

    @staticmethod
    def infer(inputs: Sequence[Value | None], *, shape: Ints) -> list[Result]:
        mask, values = _constants("Sparse", inputs)
        _require_sparse(mask, values, shape)
        return [(values.dtype, tuple(shape))]

    @staticmethod
    def expand(g: Builder, mask: Value, values: Value, *, shape: Ints) -> Value:
        """The k-th bit that is set stands for entry k of the values behind a zero, and all others for that zero."""
        powers = 1 << np.arange(8, dtype=np.int32)
        column = g.Unsqueeze(g.Cast(mask, to=types.to_onnx(powers.dtype)), [1])
        bits = g.Mod(g.Div(column, powers), np.array(2, np.int32))
        bits = g.Slice(g.Reshape(bits, [-1]), [0], [prod(shape)])
        places = g.Mul(bits, g.CumSum(bits, np.array(0)))
        table = g.Concat(np.zeros(1, values.dtype), values, axis=0)
        return g.Reshape(g.Gather(table, places, axis=0), np.array(shape, np.int64))


def palette_of(array: Array) -> tuple[Array, Array] | None:
    """(indices, codebook) of a float tensor that takes at most 256 values, bit by bit; None if it takes more.

    The codebook rises in the order of the bits, so that -0 and every NaN are themselves again.
    """
    bits = np.ascontiguousarray(array).view(f"u{array.itemsize}").reshape(-1)
    if not bits.size or np.unique(bits[:_SAMPLE]).size > MOST_ENTRIES:
        return None
    entries, places = np.unique(bits, return_inverse=True)
    if entries.size > MOST_ENTRIES:
        return None
    return places.astype(np.uint8).reshape(array.shape), entries.view(array.dtype)


def sparse_of(array: Array) -> tuple[Array, Array]:
    """(mask, values) of a float tensor. -0 is not left out, as it would come back as 0."""
    flat = np.ascontiguousarray(array).reshape(-1)
    is_set = flat.view(f"u{array.itemsize}") != 0
    return np.packbits(is_set, bitorder="little"), flat[is_set]


def _constants(op: str, inputs: Sequence[Value | None]) -> tuple[Array, Array]:
    first, second = (None if value is None else value.data for value in inputs)
    if first is None or second is None:
        raise ConversionError(f"{op} takes constants only", hint="It says how weights are stored.")
    return first, second


def _require_palette(indices: Array, codebook: Array) -> None:
    """ConversionError where an index has no entry."""
    if indices.dtype != np.uint8 or codebook.ndim != 1 or not 1 <= codebook.size <= MOST_ENTRIES:
        found = f"{indices.dtype} and a codebook [{types.text(codebook.shape)}]"
        raise ConversionError(
            f"Palette takes indices of uint8 and a codebook of 1 to {MOST_ENTRIES} values, not {found}"
        )
    largest = int(indices.max(initial=0))
    if largest >= codebook.size:
        raise ConversionError(f"a Palette has the index {largest}, and its codebook only {codebook.size} entries")


def _require_sparse(mask: Array, values: Array, shape: Ints) -> None:
    """ConversionError where mask, values and shape do not agree, before anything of the size of `shape` is made."""
    count = prod(shape)
    if mask.dtype != np.uint8 or min(shape, default=1) < 0 or mask.shape != (-(-count // 8),):
        found = f"{mask.dtype}[{types.text(mask.shape)}]"
        raise ConversionError(
            f"Sparse of the shape [{types.text(shape)}] takes a mask uint8[{-(-count // 8)}], not {found}"
        )
    used = int(np.bitwise_count(mask).sum(dtype=np.int64))
    if values.shape != (used,) or (count % 8 and mask[-1] >> count % 8):
        raise ConversionError(f"a Sparse has {used} bits set, and the values [{types.text(values.shape)}]")
