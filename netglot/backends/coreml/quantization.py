"""Quantised activations (quantize, dequantize: iOS 17), and weights that Core ML decompresses itself (constexpr_*).

Weights are written for the oldest iOS that has their form: iOS 16 for int8 and uint8 with a scale for all or for each
channel, palettes and sparse weights; iOS 18 for int4, uint4 and scales of blocks, and then for everything, since each
version of MIL has one form of an operation.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from netglot.backends.coreml.context import TARGETS, CoreMLBuilder, Tensor, Var, constant, coreml_op
from netglot.backends.coreml.weights import block_of
from netglot.backends.lowering import NotMappedError

_BITS = {"iOS16": (1, 2, 4, 6, 8), "iOS18": (1, 2, 3, 4, 6, 8)}  # of an index into a palette


def _is_newest(m: CoreMLBuilder) -> bool:
    """Whether the program has iOS 18's forms of the constexpr operations."""
    return TARGETS.index(m.target) >= TARGETS.index("iOS18")


# ------------------------------------------------------------------ activations


@coreml_op("QuantizeLinear")
def quantize_linear(
    m: CoreMLBuilder, x: Var, scale: Tensor, zero: Tensor | None = None, *, axis: int, block_size: int,
    output_dtype: int, precision: int, saturate: int,
) -> Var:  # fmt: skip
    kind = m.output.dtype
    assert kind is not None
    return m.quantize(input=x, output_dtype=kind.name, **_grid(m, scale, zero, axis, kind))


@coreml_op("DequantizeLinear")
def dequantize_linear(
    m: CoreMLBuilder, x: Tensor, scale: Tensor, zero: Tensor | None = None, *, axis: int, block_size: int,
    output_dtype: int,
) -> Var:  # fmt: skip
    factor, shift = constant(scale, "the scale"), None if zero is None else constant(zero, "the zero point")
    if isinstance(x, np.ndarray):
        return _affine(m, x, factor, shift, axis % x.ndim, block_size)
    return m.dequantize(input=x, **_grid(m, scale, zero, axis, np.dtype(str(x.dtype.__type_info__()))))


def _grid(m: CoreMLBuilder, scale: Tensor, zero: Tensor | None, axis: int, kind: np.dtype) -> dict[str, Any]:
    """Scale and zero point as MIL has them: scalars, or vectors with an axis; no zero point where it is 0."""
    if kind.name not in ("int8", "uint8"):
        raise NotMappedError(f"Core ML quantises activations to 8 bits, not to {kind} (int8 is possible)")
    m.require("iOS17")
    factor = constant(scale, "the scale")
    shift = None if zero is None or not constant(zero, "the zero point").any() else constant(zero, "the zero point")
    if factor.size == 1:
        return {"scale": _scalar(factor), "zero_point": None if shift is None else _scalar(shift)}
    return {"scale": m.stored(factor), "zero_point": None if shift is None else m.stored(shift), "axis": axis}


def _scalar(array: np.ndarray) -> Any:
    return array.reshape(())[()]


# --------------------------------------------------------------------- weights


def _affine(
    m: CoreMLBuilder, data: np.ndarray, scale: np.ndarray, zero: np.ndarray | None, axis: int, block: int
) -> Var:
    m.require("iOS16" if data.dtype.name in ("int8", "uint8") and not block else "iOS18")
    if not _is_newest(m):
        shift = np.zeros(scale.shape, data.dtype) if zero is None else zero
        return m.constexpr_affine_dequantize(
            quantized_data=m.stored(data), axis=np.int32(axis), scale=_all_or_each(m, scale),
            zero_point=_all_or_each(m, shift),
        )  # fmt: skip
    given = [scale] if zero is None or not zero.astype(np.int8).any() else [scale, zero]
    shared = _shared([_blocks(parameter, data, axis, block) for parameter in given])
    blocks = dict(zip(("scale", "offset"), map(m.stored, shared), strict=False))
    return m.constexpr_blockwise_shift_scale(data=m.stored(data), **blocks)


def _all_or_each(m: CoreMLBuilder, parameter: np.ndarray) -> Any:
    return _scalar(parameter) if parameter.size == 1 else m.stored(parameter)


def _blocks(parameter: np.ndarray, data: np.ndarray, axis: int, block: int) -> np.ndarray:
    """One element for each block, by the axes of `data`. Where the last block is partial, blocks become smaller."""
    if not block:
        return parameter.reshape([-1 if i == axis and parameter.size > 1 else 1 for i in range(data.ndim)])
    smaller = block_of(data.shape[axis], block)
    places = np.arange(0, data.shape[axis], smaller) // block
    return np.asarray(np.take(parameter, places, axis))


def _shared(parameters: list[np.ndarray]) -> list[np.ndarray]:
    """One element for all of an axis along which all are equal: ONNX repeats them, Core ML needs not."""
    for axis in range(parameters[0].ndim):
        firsts = [np.take(parameter, [0], axis) for parameter in parameters]
        if all((parameter == first).all() for parameter, first in zip(parameters, firsts, strict=True)):
            parameters = firsts
    return parameters


@coreml_op("netglot.Palette")
def palette(m: CoreMLBuilder, indices: Tensor, codebook: Tensor) -> Var:
    """The codebook is filled up with zeros to a power of two that Core ML has."""
    m.require("iOS16")
    places, entries = constant(indices, "the indices"), constant(codebook, "the codebook")
    form = "iOS18" if _is_newest(m) else "iOS16"
    bits = next(n for n in _BITS[form] if entries.size <= 1 << n)
    table = np.pad(entries, (0, (1 << bits) - entries.size))
    if form == "iOS16":
        sizes = m.stored(np.array(places.shape, np.uint32))
        return m.constexpr_lut_to_dense(indices=m.stored(packed(places, bits)), lut=m.stored(table), shape=sizes)
    lut = table.reshape(*(1,) * places.ndim, -1, 1)
    return m.constexpr_lut_to_dense(indices=m.stored(places, f"uint{bits}"), lut=m.stored(lut))


def packed(indices: np.ndarray, bits: int) -> np.ndarray:
    """uint8 [ceil(n bits / 8)]: index after index, each from its least significant bit on."""
    whole = np.pad(indices.reshape(-1), (0, -indices.size % 8)).reshape(-1, 8)  # eight of them take `bits` bytes
    words = np.zeros(len(whole), "<u8")
    for i in range(8):
        words |= whole[:, i].astype("<u8") << np.uint64(bits * i)
    return words.view(np.uint8).reshape(-1, 8)[:, :bits].reshape(-1)[: -(-indices.size * bits // 8)]


@coreml_op("netglot.Sparse")
def sparse(m: CoreMLBuilder, mask: Tensor, values: Tensor, *, shape: tuple[int, ...]) -> Var:
    """Core ML has no empty constants: where all is zero, the first of them is stored."""
    m.require("iOS16")
    bits, stored = constant(mask, "the mask"), constant(values, "the values")
    if not stored.size:
        bits, stored = bits.copy(), np.zeros(1, stored.dtype)
        bits[0] = 1
    if not _is_newest(m):
        sizes = m.stored(np.array(shape, np.uint32))
        return m.constexpr_sparse_to_dense(nonzero_data=m.stored(stored), mask=m.stored(bits), shape=sizes)
    unpacked = np.unpackbits(bits, count=int(np.prod(shape)), bitorder="little").reshape(shape)
    return m.constexpr_sparse_to_dense(nonzero_data=m.stored(stored), mask=m.stored(unpacked, "uint1"))
