"""What a Caffe layer function sees: the graph builder, and `caffe_layer` to register it."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from netglot.errors import ConversionError
from netglot.ir.builder import Builder
from netglot.ir.graph import Value
from netglot.ir.types import text
from netglot.registry import registry

if TYPE_CHECKING:
    from netglot.registry import Function


def caffe_layer(
    *types: str, param: str = "", each_bottom: bool = False, override: bool = False
) -> Callable[[Function], Function]:
    """Registers a function for Caffe layer types.

    Its positional parameters are the bottoms and then the learned blobs; its keyword-only ones are the fields of the
    layer's parameter message `param` (by default the type's name in snake case + `_param`), converted to the annotated
    types. With `each_bottom` it is called once for each bottom, with the same blobs.
    """
    return registry.add("caffe", *types, override=override, param=param, each_bottom=each_bottom)


class CaffeBuilder(Builder):
    """A Builder that also checks blobs."""

    def weight(self, blob: Value | None, *shape: int) -> Value:
        """The learned blob with `shape`; ConversionError names the layer where the file's blob has another size.

        Caffe's rule (Blob::ShapeEquals): an old file may pad the shape with leading ones. A blob that is None (no
        weights file, see LoadOptions.placeholders) becomes zeros that take no memory.
        """
        if blob is None:
            return self.constant(np.broadcast_to(np.float32(0), shape))
        found = blob.sizes
        if prod(found) != prod(shape) or _unpadded(found) != _unpadded(shape):
            raise ConversionError(
                f"the weights do not fit the prototxt: expected {text(shape)}, found {text(found)}", self.origin,
                hint="Is this the .caffemodel that belongs to this prototxt?",
            )  # fmt: skip
        blob.data, blob.shape = blob.array.reshape(shape), shape
        return blob


def _unpadded(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(dim for dim in shape if dim != 1)


