"""What a Caffe layer function sees: the graph builder, and `caffe_layer` to register it."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from netglot.errors import ConversionError, UnsupportedError
from netglot.frontends.textproto import Message
from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Value
from netglot.ir.types import text
from netglot.registry import registry

if TYPE_CHECKING:
    from netglot.registry import Function

WRONG_FILE = "Is this the weights file that belongs to this prototxt?"


def caffe_layer(
    *types: str, param: str = "", each_bottom: bool = False, override: bool = False
) -> Callable[[Function], Function]:
    """Registers a function for Caffe layer types.

    Its positional parameters are the bottoms (required) and then the learned blobs (None where the file has none: see
    CaffeBuilder.weight); its keyword-only ones are the fields of the layer's parameter message `param` (by default the
    type's name in snake case + `_param`), converted to the annotated types. With `each_bottom` it is called once for
    each bottom, with the same blobs.
    """
    return registry.add("caffe", *types, override=override, param=param, each_bottom=each_bottom)


class CaffeBuilder(Builder):
    """A Builder that knows the layer it is called for, and checks its blobs.

    `type`, `bottoms` and `tops` are the layer's type and how many blobs the prototxt names on each side; `in_place`
    says that the first of both is the same. `used` are the learned blobs asked for so far, `permissive` those that may
    be shared in another shape, and `windows` holds, for each blob of places made by a max pooling, the pooling's
    (kernel, stride, pad).
    """

    def __init__(self, graph: Graph, *, placeholders: bool = False, has_weights: bool = True) -> None:
        super().__init__(graph)
        self.placeholders, self.has_weights = placeholders, has_weights
        self.type, self.bottoms, self.tops, self.in_place = "", 0, 0, False
        self.used: set[Value] = set()
        self.permissive: set[Value] = set()
        self.windows: dict[Value, tuple[tuple[int, ...], ...]] = {}

    def weight(self, blob: Value | None, *shape: int) -> Value:
        """The learned blob with `shape`, as a constant of the graph. Raises what `numbers` raises."""
        array = self.numbers(blob, *shape)
        if blob is None or (blob.sizes != shape and self.graph.uses(blob)):
            return self.constant(array)
        blob.data, blob.shape = array, shape
        return blob

    def numbers(self, blob: Value | None, *shape: int) -> np.ndarray:
        """The learned blob as an array of `shape`; ConversionError if the file has none, or one of another size.

        Caffe's rule (Blob::ShapeEquals): an old file may pad the shape with leading ones. A missing blob becomes zeros
        that take no memory if `placeholders` are allowed (LoadOptions).
        """
        if blob is None:
            return self._placeholder(shape)
        if not blob.is_constant:
            what = f"{self.type} takes fewer bottoms: '{blob.name}' stands in a weight's place"
            raise ConversionError(what, self.origin)
        self.used.add(blob)
        found = blob.sizes
        if prod(found) != prod(shape) or (_unpadded(found) != _unpadded(shape) and blob not in self.permissive):
            what = f"the weights do not fit the prototxt: expected {text(shape)}, found {text(found)}"
            raise ConversionError(what, self.origin, WRONG_FILE)
        return blob.array.reshape(shape)

    def filled(self, blob: Value | None, filler: Message | None, default: float, *shape: int) -> Value:
        """The learned blob or, where the file has none, what its constant filler says (as Caffe starts a network)."""
        value = default if filler is None else filler.get("value", 0.0)
        constant = (filler is None or filler.get("type", "constant") == "constant") and isinstance(value, (int, float))
        if blob is not None or self.placeholders or not constant:
            return self.weight(blob, *shape)
        self.warn(f"no weights for this layer: {text(shape)} numbers are {value}, as its filler says")
        return self.full(shape, value)

    def axis(self, x: Value, axis: int) -> int:
        """`axis` counted from the front; ConversionError where x has no such axis."""
        if not -x.rank <= axis < x.rank:
            raise ConversionError(f"there is no axis {axis} in {text(x.shape)}", self.origin)
        return axis % x.rank

    def full(self, shape: tuple[int, ...], value: float) -> Value:
        """A constant of one number. Raises what `affordable` raises."""
        return self.constant(np.full(self.affordable(*shape), value, np.float32))

    def unsupported(self, what: str, hint: str = "") -> UnsupportedError:
        """The error for a mode of a layer that can't be expressed; all of them are reported together."""
        return UnsupportedError(what, self.origin, hint)

    def _placeholder(self, shape: tuple[int, ...]) -> np.ndarray:
        if self.placeholders:
            return np.broadcast_to(np.float32(0), shape)
        hint = WRONG_FILE if self.has_weights else "The network needs its weights: give the .caffemodel too."
        what = f"no weights for {self.type}: expected a blob of {text(shape)}, found none"
        raise ConversionError(what, self.origin, hint)


def _unpadded(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(dim for dim in shape if dim != 1)
