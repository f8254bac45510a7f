"""MIL operations on quantised numbers, and those that decompress weights: they stay quantised and compressed.

The forms of iOS 16 take attributes and packed bytes, those of iOS 18 inputs and numbers of few bits. What has no form
in the graph (a palette of more than 256 values in all, say) becomes floats.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from netglot.errors import ConversionError
from netglot.frontends.coreml.builder import CoreMLBuilder, Ints, mil_op
from netglot.frontends.coreml.values import unpacked
from netglot.frontends.coreml.weights import AS_FLOATS
from netglot.ir.evaluate import evaluate
from netglot.ir.extension import OPERATORS
from netglot.ir.extension.compressed import palette_of, sparse_of
from netglot.ir.graph import Value
from netglot.ir.schema import DOMAIN

_INTEGERS = ("int8", "uint8", "int4", "uint4")


@dataclass(frozen=True)
class Nonzeros:
    """What a sparse-to-sparse operation gives beside the mask: the whole tensor, of which the mask sees a part."""

    dense: Value | np.ndarray


# ------------------------------------------------------------------ activations


@mil_op("quantize")
def quantize(
    g: CoreMLBuilder, *, input: Value, scale: np.ndarray, output_dtype: str, zero_point: np.ndarray | None = None,
    axis: int = 0,
) -> Value:  # fmt: skip
    if output_dtype not in ("int8", "uint8"):
        raise ConversionError(f"quantize gives {output_dtype}, which is neither int8 nor uint8", g.origin)
    factor, shift = _grid(scale, zero_point, np.dtype(output_dtype))
    return g.QuantizeLinear(input, factor, shift, axis=axis)


@mil_op("dequantize")
def dequantize(
    g: CoreMLBuilder, *, input: Value, scale: np.ndarray, zero_point: np.ndarray | None = None, axis: int = 0
) -> Value:
    assert input.dtype is not None
    factor, shift = _grid(scale, zero_point, input.dtype)
    return g.DequantizeLinear(input, factor, shift, axis=axis)


def _grid(scale: np.ndarray, zero: np.ndarray | None, kind: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    shift = np.zeros(scale.shape, kind) if zero is None else zero
    return np.broadcast_to(scale, np.broadcast_shapes(scale.shape, shift.shape)), shift


# --------------------------------------------------------------- affine weights


@mil_op("constexpr_affine_dequantize")
def affine_dequantize(
    g: CoreMLBuilder, *, quantized_data: np.ndarray, scale: np.ndarray, zero_point: np.ndarray, axis: int
) -> Value:
    shift = _whole(zero_point, quantized_data.dtype)
    if shift is None:  # it may be a float
        factor, offset = (_along(item, quantized_data, axis) for item in (scale, zero_point))
        return _as_floats(g, factor * (quantized_data.astype(scale.dtype) - offset))
    sizes = np.broadcast_shapes(scale.shape, shift.shape)
    zeros = np.broadcast_to(shift, sizes) if shift.any() else None
    return g.DequantizeLinear(g.constant(quantized_data), np.broadcast_to(scale, sizes), zeros, axis=axis)


def _along(parameter: np.ndarray, data: np.ndarray, axis: int) -> np.ndarray:
    return parameter.reshape([-1 if i == axis % data.ndim else 1 for i in range(data.ndim)] if parameter.ndim else ())


def _whole(zero: np.ndarray, kind: np.dtype) -> np.ndarray | None:
    """The zero point in the type of the data; None where it is none of its numbers."""
    if zero.dtype == kind:
        return zero
    limits = ml_dtypes.iinfo(kind)  # type: ignore[no-untyped-call]
    wide = zero.astype(np.float64)
    fits = ((wide == np.round(wide)) & (wide >= limits.min) & (wide <= limits.max)).all()
    return zero.astype(kind) if fits else None


@mil_op("constexpr_blockwise_shift_scale")
def blockwise_shift_scale(
    g: CoreMLBuilder, *, data: Any, scale: Any, offset: np.ndarray | None = None
) -> Value | np.ndarray:
    """scale (data - offset). Floats are scaled, too, as they come from a palette."""
    stored, factor = data if isinstance(data, np.ndarray) else _dense(g, data), _dense(g, scale)
    blocks = _blocks(stored, factor, offset)
    shift = _whole(offset, stored.dtype) if offset is not None and stored.dtype.name in _INTEGERS else offset
    is_known = stored.dtype.name in _INTEGERS and (offset is None or shift is not None)
    if not is_known or (factor.size > 1 and max(blocks) == 1):
        return _repaletted(g, _scaled(stored, factor, offset, blocks))
    shift = shift if shift is not None and shift.astype(np.float32).any() else None
    return _dequantised(g, stored, factor, shift, blocks)


def _blocks(data: np.ndarray, scale: np.ndarray, offset: np.ndarray | None) -> Ints:
    """How many elements share a scale, by axis."""
    if scale.ndim != data.ndim or (offset is not None and offset.shape != scale.shape) or 0 in scale.shape:
        raise ValueError(f"scales of {scale.shape} for data of {data.shape}")
    if any(n % count for n, count in zip(data.shape, scale.shape, strict=True)):
        raise ValueError(f"scales of {scale.shape} do not divide data of {data.shape}")
    return tuple(n // count for n, count in zip(data.shape, scale.shape, strict=True))


def _dequantised(
    g: CoreMLBuilder, data: np.ndarray, scale: np.ndarray, shift: np.ndarray | None, blocks: Ints
) -> Value:
    """One scale for all, one for each index of an axis, or (ONNX repeats along one axis only) one for each block."""
    axes = [axis for axis, count in enumerate(scale.shape) if count != 1]
    if not axes or (len(axes) == 1 and blocks[axes[0]] == 1):
        flat = (-1,) if axes else ()
        offset = None if shift is None else shift.reshape(flat)
        return g.DequantizeLinear(g.constant(data), scale.reshape(flat), offset, axis=axes[0] if axes else 0)
    whole = [axis for axis, block in enumerate(blocks) if block > 1]
    along = next((axis for axis in whole if axis in axes), whole[0])
    sizes = [scale.shape[i] if i == along else n for i, n in enumerate(data.shape)]
    others = tuple(1 if i == along else block for i, block in enumerate(blocks))
    spread = [None if item is None else np.ascontiguousarray(np.broadcast_to(_repeated(item, others), sizes))
              for item in (scale, shift)]  # fmt: skip
    return g.DequantizeLinear(g.constant(data), *spread, axis=along, block_size=blocks[along])


def _scaled(data: np.ndarray, scale: np.ndarray, offset: np.ndarray | None, blocks: Ints) -> np.ndarray:
    shift = np.zeros((), scale.dtype) if offset is None else _repeated(offset, blocks).astype(scale.dtype)
    return np.asarray(_repeated(scale, blocks) * (data.astype(scale.dtype) - shift))


def _repeated(parameter: np.ndarray, blocks: Ints) -> np.ndarray:
    for axis, size in enumerate(blocks):
        parameter = np.repeat(parameter, size, axis) if parameter.shape[axis] > 1 else parameter
    return parameter


# -------------------------------------------------------------------- palettes


@mil_op("constexpr_lut_to_dense")
def lut_to_dense(
    g: CoreMLBuilder, *, indices: np.ndarray, lut: Any, shape: Ints | None = None, vector_axis: int = 0
) -> Value | np.ndarray:
    """iOS 16: one table, the indices packed into bytes. iOS 18: one for each block, whose entries may be vectors."""
    table, indices = _dense(g, lut), indices.astype(np.uint8, copy=False)
    if shape is not None:
        bits = int(table.size).bit_length() - 1
        if (
            table.ndim != 1
            or table.size != 1 << bits
            or indices.size != -(-int(np.prod(shape, dtype=object)) * bits // 8)
        ):
            raise ValueError(f"{indices.size} bytes of indices and a table of {table.shape} for {shape}")
        return _palette(g, unpacked(indices, bits, shape, np.dtype(np.uint8)), table)
    if table.ndim == indices.ndim + 2 and table.size == table.shape[-2]:
        return _palette(g, indices, table.reshape(-1))
    return _repaletted(g, _looked_up(g, indices, table, vector_axis))


def _palette(g: CoreMLBuilder, indices: np.ndarray, table: np.ndarray) -> Value | np.ndarray:
    """Of integers (which are scaled after) the numbers themselves."""
    if table.dtype.kind != "f":
        return np.asarray(table[indices])
    return g.extension("Palette", [indices, table])


def _repaletted(g: CoreMLBuilder, dense: np.ndarray) -> Value | np.ndarray:
    """What several tables gave with one, if it has few enough values."""
    if dense.dtype.kind != "f":
        return dense
    found = palette_of(dense)
    return _as_floats(g, dense) if found is None else g.extension("Palette", list(found))


def _looked_up(g: CoreMLBuilder, indices: np.ndarray, table: np.ndarray, vector_axis: int) -> np.ndarray:
    """table [tables along each axis of the indices, entries, numbers in an entry], entries laid along `vector_axis`."""
    counts, (entries, length) = table.shape[:-2], table.shape[-2:]
    if table.ndim != indices.ndim + 2 or any(n % count for n, count in zip(indices.shape, counts, strict=True)):
        raise ValueError(f"tables of {table.shape} for indices of {indices.shape}")
    axis = vector_axis % indices.ndim
    shape = g.affordable(*(n * length if i == axis else n for i, n in enumerate(indices.shape)))
    numbers = np.arange(int(np.prod(counts))).reshape(counts)
    blocks = tuple(n // count for n, count in zip(indices.shape, counts, strict=True))
    vectors = table.reshape(-1, entries, length)[_repeated(numbers, blocks), indices]
    return np.moveaxis(vectors, -1, axis + 1).reshape(shape)


# ---------------------------------------------------------------------- sparse


@mil_op("constexpr_sparse_to_dense")
def sparse_to_dense(
    g: CoreMLBuilder, *, nonzero_data: Any, mask: np.ndarray, shape: Ints | None = None
) -> Value | np.ndarray:
    """iOS 16: a mask of bits in bytes, which is the graph's own; iOS 18: of 1-bit numbers."""
    if isinstance(nonzero_data, Nonzeros):
        return nonzero_data.dense
    if shape is None:
        shape, mask = mask.shape, np.packbits(mask, bitorder="little")
    if nonzero_data.dtype.kind == "f":
        return g.extension("Sparse", [mask, nonzero_data], shape=shape)
    return np.asarray(OPERATORS["Sparse"].run(mask, nonzero_data, shape=shape))


@mil_op("constexpr_lut_to_sparse")
def lut_to_sparse(
    g: CoreMLBuilder, *, indices_mask: np.ndarray, indices_nonzero_data: np.ndarray, lut: Any, vector_axis: int = 0
) -> tuple[np.ndarray, Nonzeros]:
    """A palette that holds 0, too."""
    table = _dense(g, lut)
    length = table.shape[-1]
    indices = _filled(indices_mask, indices_nonzero_data.astype(np.uint8))
    values = _looked_up(g, indices, table, vector_axis)
    mask = np.repeat(indices_mask, length, vector_axis % indices_mask.ndim) if length > 1 else indices_mask
    return mask, Nonzeros(_repaletted(g, np.where(mask != 0, values, np.zeros((), values.dtype))))


@mil_op("constexpr_sparse_blockwise_shift_scale")
def sparse_blockwise_shift_scale(
    g: CoreMLBuilder, *, data_mask: np.ndarray, nonzero_data: np.ndarray, scale: Any, offset: np.ndarray | None = None
) -> tuple[np.ndarray, Nonzeros]:
    """Where the mask has nothing, the data are the zero point."""
    factor = _dense(g, scale)
    data = _filled(data_mask, nonzero_data)
    if offset is not None:
        blocks = _blocks(data, factor, offset)
        shift = np.broadcast_to(_repeated(offset, blocks), data.shape)
        data = np.where(data_mask != 0, data, shift.astype(data.dtype))
    return data_mask, Nonzeros(blockwise_shift_scale(g, data=data, scale=factor, offset=offset))


def _filled(mask: np.ndarray, values: np.ndarray) -> np.ndarray:
    """`values` where the mask is set, zeros elsewhere."""
    if values.shape != (np.count_nonzero(mask),):
        raise ValueError(f"a mask with {np.count_nonzero(mask)} bits set for {values.shape} numbers")
    dense = np.zeros(mask.shape, values.dtype)
    dense[mask != 0] = values
    return dense


# --------------------------------------------------------------- transposition


def turned(g: CoreMLBuilder, weight: Value) -> Value:
    """A matrix transposed; where it is stored in fewer bytes, that is stored so."""
    node = g.graph.producer(weight)
    constants = [] if node is None else [value.data for value in node.inputs if value is not None]
    if weight.is_constant:
        return g.constant(weight.array.T)
    if node is None or any(data is None for data in constants):
        return g.Transpose(weight, perm=(1, 0))
    if node.op == "Sparse":
        dense = _dense(g, weight).T
        return g.extension("Sparse", list(sparse_of(dense)), shape=dense.shape)
    arrays = [data for data in constants if data is not None]
    first, *others = [np.ascontiguousarray(array.T) if array.ndim > 1 else array for array in arrays]
    if node.op == "Palette":
        return g.extension("Palette", [first, *others])
    if node.op != "DequantizeLinear":
        return g.Transpose(weight, perm=(1, 0))
    attributes = {**node.attributes, "axis": 1 - int(node.attributes.get("axis", 1)) % 2}
    return g.DequantizeLinear(g.constant(first), *others, **attributes)


# ---------------------------------------------------------------------- floats


@mil_op("constexpr_cast")
def constexpr_cast(g: CoreMLBuilder, *, source_val: np.ndarray, output_dtype: str) -> np.ndarray:
    if output_dtype != "fp32":
        raise ConversionError(f"constexpr_cast to {output_dtype}; there is only fp32", g.origin)
    return source_val.astype(np.float32)


def _as_floats(g: CoreMLBuilder, dense: np.ndarray) -> Value:
    if not any(problem.what == AS_FLOATS for problem in g.graph.warnings):
        g.warn(AS_FLOATS)
    return g.constant(dense)


def _dense(g: CoreMLBuilder, item: Any) -> np.ndarray:
    """The numbers of a constant, or of what an operation of this module made of constants."""
    if isinstance(item, np.ndarray):
        return item
    if not isinstance(item, Value):
        raise ValueError(f"expected numbers, found {item!r}")
    if item.is_constant:
        return item.array
    node = g.graph.producer(item)
    if node is None or not all(value is None or value.is_constant for value in node.inputs):
        raise ValueError(f"'{item.name}' is computed")
    arrays = [value.array for value in node.inputs if value is not None]
    results = [OPERATORS[node.op].run(*arrays, **node.attributes)] if node.domain == DOMAIN else evaluate(node)
    if results is None:
        raise ValueError(f"'{item.name}' can't be computed")
    return np.asarray(results[0])
