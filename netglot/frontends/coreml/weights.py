"""Weights of a neural network layer (WeightParams of NeuralNetwork.proto)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from netglot.errors import ConversionError, Origin
from netglot.frontends.coreml.builder import CoreMLBuilder, Ints
from netglot.ir.graph import Value
from netglot.ir.types import text

AS_FLOATS = "weights are stored in a form that the graph has not; they are floats now"


@dataclass(frozen=True)
class Quantised:
    """Numbers of 1 to 8 bits, packed from the most significant bit on, that stand for table[n], or scale n + bias.

    scale and bias: one for all, or one for each output channel. How many numbers there are, their shape says.
    """

    data: np.ndarray  # bytes; int8 where these are the numbers
    bits: int
    scale: np.ndarray
    bias: np.ndarray
    table: np.ndarray
    origin: Origin

    def numbers(self, shape: Ints) -> np.ndarray:
        count = int(np.prod(shape, dtype=object))
        if self.data.size != -(-count * self.bits // 8):
            what = f"expected {self.bits}-bit weights of {text(shape)}, found {self.data.size} bytes"
            raise ConversionError(what, self.origin)
        if self.bits == 8:
            return self.data.reshape(shape)
        found = np.unpackbits(self.data, count=count * self.bits).reshape(count, self.bits)
        return np.packbits(found, axis=1).reshape(shape) >> np.uint8(8 - self.bits)

    def dense(self, shape: Ints, axis: int) -> np.ndarray:
        numbers = self.numbers(shape)
        if self.table.size:
            return np.asarray(self.table[numbers])
        scale, bias = (_along(item, shape, axis) for item in (self.scale, self.bias))
        return np.asarray(numbers.astype(np.float32) * scale + bias)

    def value(self, g: CoreMLBuilder, shape: Ints, axis: int) -> Value:
        """As DequantizeLinear where a zero point can say the bias, as a Palette where one table does for all."""
        zero = self.zero()
        if self.table.size:
            return g.extension("Palette", [self.numbers(shape), self.table])
        if zero is not None:
            each = self.scale.size > 1
            scale, point = (item.reshape((-1,) if each else ()) for item in (self.scale, zero))
            return g.DequantizeLinear(g.constant(self.numbers(shape)), scale, point if zero.any() else None, axis=axis)
        if self.scale.size == self.bias.size == 1:
            table = np.arange(1 << self.bits, dtype=np.float32) * self.scale.reshape(()) + self.bias.reshape(())
            return g.extension("Palette", [self.numbers(shape), table])
        if not any(problem.what == AS_FLOATS for problem in g.graph.warnings):
            g.warn(AS_FLOATS)
        return g.constant(self.dense(shape, axis))

    def zero(self) -> np.ndarray | None:
        """The zero point, if it is a number of the data's type that gives the bias to its last bits."""
        if self.table.size or not self.scale.all():
            return None
        limits = np.iinfo(self.data.dtype)
        point = np.round(-self.bias / self.scale)
        if not np.allclose(-point * self.scale, self.bias, rtol=1e-6, atol=0):
            return None
        is_number = ((point >= limits.min) & (point <= limits.max)).all()
        return np.broadcast_to(point, self.scale.shape).astype(self.data.dtype) if is_number else None


Weights = np.ndarray | Quantised


def _along(parameter: np.ndarray, shape: Ints, axis: int) -> np.ndarray:
    if parameter.size == 1:
        return parameter.reshape(())
    return parameter.reshape([-1 if i == axis else 1 for i in range(len(shape))])


def numbers(params: Any, origin: Origin) -> Weights:
    """All elements, flat, as float32 (half precision is widened, since the layer computes in float32), or quantised."""
    if params.floatValue:
        return np.array(params.floatValue, np.float32)
    if params.float16Value:
        if len(params.float16Value) % 2:
            raise ConversionError("half-precision weights of an odd number of bytes", origin)
        return np.frombuffer(params.float16Value, np.float16).astype(np.float32)
    if params.rawValue or params.int8RawValue:
        return _quantised(params, origin)
    return np.zeros(0, np.float32)


def _quantised(params: Any, origin: Origin) -> Quantised:
    how, bits = params.quantization, int(params.quantization.numberOfBits)
    data = np.frombuffer(params.rawValue, np.uint8)
    if params.int8RawValue:
        data, bits = np.frombuffer(params.int8RawValue, np.int8), 8
    table = np.array(how.lookupTableQuantization.floatValue, np.float32)
    scale = np.array(how.linearQuantization.scale, np.float32)
    bias = np.array(how.linearQuantization.bias or [0], np.float32)
    is_table = how.WhichOneof("QuantizationType") == "lookupTableQuantization"
    agree = table.size == 1 << min(bits, 8) if is_table else scale.size and bias.size in (1, scale.size)
    if not 1 <= bits <= 8 or not agree:
        what = f"weights of {bits} bits with {table.size} entries, {scale.size} scales and {bias.size} biases"
        raise ConversionError(what, origin, "The file is broken or hostile.")
    return Quantised(data, bits, scale, bias, table, origin)


def shaped(data: Weights, shape: Ints, origin: Origin, axis: int = 0) -> np.ndarray:
    """`data` with `shape`, as floats; ConversionError where the file has another number of elements."""
    if isinstance(data, Quantised):
        return data.dense(shape, axis)
    if data.size != int(np.prod(shape, dtype=object)):
        raise ConversionError(f"expected weights of {text(shape)}, found {data.size} elements", origin)
    return data.reshape(shape)


def stored(g: CoreMLBuilder, data: Weights, shape: Ints, axis: int = 0) -> Value:
    """A constant of `shape`, or what decompresses it; a scale for each channel goes along `axis`."""
    return data.value(g, shape, axis) if isinstance(data, Quantised) else g.constant(shaped(data, shape, g.origin))
