"""What a Keras layer function sees: the graph builder with the layer's weights and masks, and the decorators."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from netglot.errors import ConversionError, UnsupportedError
from netglot.frontends.folding import FoldingBuilder
from netglot.ir.graph import Graph, Value
from netglot.ir.types import channels_last, inverse, text
from netglot.registry import registry

if TYPE_CHECKING:
    from netglot.registry import Function

Mask = Literal["keep", "drop", "own"]


def keras_layer(*classes: str, mask: Mask = "keep", override: bool = False) -> Callable[[Function], Function]:
    """Registers a function for Keras layer classes.

    Its positional parameters are the tensors the layer is called with; its keyword-only ones are the layer's
    configuration and its other call arguments by Keras' own names, with Keras' defaults. What only training needs
    (initializers, regularizers, seeds...) is taken away before. Learned variables are asked for with `g.weight`, in
    the order in which Keras creates them. `mask` says what becomes of the input's mask: "keep" hands it on, "drop" ends
    it, "own" leaves it to the function (g.mask_of, g.set_mask).
    """
    return registry.add("keras", *classes, override=override, mask=mask)


def keras_op(*names: str) -> Callable[[Function], Function]:
    """Registers a function for operations of `keras.ops` in a functional graph, by class name ("Einsum").

    Its parameters are those of the operation's own call() and __init__: tensors first, the rest keyword-only.
    """
    return registry.add("keras", *(f"ops.{name}" for name in names), mask="drop")


def tf_function(*names: str) -> Callable[[Function], Function]:
    """Registers a function for tf.keras' TFOpLambda nodes, by TensorFlow's name ("math.add").

    Positional parameters are the tensor arguments in TensorFlow's order, keyword-only ones the rest.
    """
    return registry.add("keras", *(f"tf.{name}" for name in names), mask="drop")


class Weights(Protocol):
    """The learned variables of one layer, in the order of creation, and those of its parts."""

    def next(self, trainable: bool) -> np.ndarray | None: ...
    def part(self, name: str) -> Weights: ...
    def left(self) -> int: ...


class KerasBuilder(FoldingBuilder):
    """A FoldingBuilder that knows the layer it is called for: its class, its weights, the masks of tensors.

    `call` runs another serialised layer (see `layer`). `compute_dtype` is what the layer's dtype policy computes in:
    its float inputs and its variables come in it. `data_format` is the default where a layer does not say
    (keras.config.image_data_format() of whoever wrote the file; channels_last unless the file says otherwise).
    `era` is the generation of Keras that wrote the file (1, 2 or 3): some names changed their meaning between them.
    `hint` is what may help where variables are missing.
    """

    data_format = "channels_last"
    era = 3
    hint = "Does the weights file belong to this model?"

    def __init__(self, graph: Graph | None = None) -> None:
        super().__init__(graph)
        self.type = ""
        self.compute_dtype = np.dtype(np.float32)
        self.weights: Weights | None = None
        self.masks: dict[Value, Value] = {}
        self.call: Callable[..., Any] | None = None
        self.constants: dict[tuple[int, np.dtype], Value] = {}  # shared layers read their variables once

    # ------------------------------------------------------------------ weights

    def weight(self, *shape: int | None, trainable: bool = True, name: str = "", autocast: bool = True) -> Value:
        """The layer's next variable as a constant; it must have `shape` (None: any size).

        Its element type is the policy's compute dtype, or that of the file where Keras creates the variable with
        `autocast=False` (BatchNormalization's). ConversionError where the file has none left, or one of another shape.
        """
        array = self.weights.next(trainable) if self.weights is not None else None
        wanted = text(shape)
        if array is None:
            raise ConversionError(
                f"{self.type} needs a variable of {wanted}; the file has none", self.origin, self.hint
            )
        if len(array.shape) != len(shape) or any(w not in (None, n) for w, n in zip(shape, array.shape, strict=True)):
            what = f"{self.type}: a variable has {text(array.shape)}, not {wanted}"
            raise ConversionError(what, self.origin, self.hint)
        is_half = array.dtype.name == "bfloat16"  # which nothing computes in here
        dtype = self.compute_dtype if is_half or (autocast and array.dtype.kind == "f") else array.dtype
        key = (id(array), dtype)
        if key not in self.constants:
            data = array.astype(dtype, copy=False)
            self.constants[key] = self.constant(data, name=f"{self.origin.layer}/{name or 'variable'}")
        return self.constants[key]

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Inside, `weight` gives the variables of the sublayer kept in the attribute `name`."""
        before = self.weights
        self.weights = before.part(name) if before is not None else None
        try:
            yield
        finally:
            self.weights = before

    def layer(self, config: Mapping[str, Any], inputs: Sequence[Value], *, part: str = "", **arguments: Any) -> Any:
        """Runs a serialised layer ({"class_name", "config"}) inside of this one; `part` as in `part`."""
        assert self.call is not None
        if not part:
            return self.call(config, inputs, arguments)
        with self.part(part):
            return self.call(config, inputs, arguments)

    # -------------------------------------------------------------------- masks

    def mask_of(self, x: Value) -> Value | None:
        """The boolean mask that belongs to `x` (True: real, False: padding), or None."""
        return self.masks.get(x)

    def set_mask(self, y: Value, mask: Value | None) -> None:
        if mask is not None:
            self.masks[y] = mask

    # ------------------------------------------------------------------- layout

    def to_first(self, x: Value, data_format: str | None) -> Value:
        """`x` with its channels first, whatever the layer's data_format is."""
        if (data_format or self.data_format) == "channels_first":
            return x
        return self.Transpose(x, perm=inverse(channels_last(x.rank)))

    def from_first(self, y: Value, data_format: str | None) -> Value:
        """The inverse of `to_first`."""
        return y if (data_format or self.data_format) == "channels_first" else self._last(y)

    def _last(self, y: Value) -> Value:
        return self.Transpose(y, perm=channels_last(y.rank))

    def channel_axis(self, x: Value, data_format: str | None) -> int:
        return 1 if (data_format or self.data_format) == "channels_first" else x.rank - 1

    # ------------------------------------------------------------------- others

    def activate(self, x: Value, activation: Any) -> Value:
        """`x` through a layer's `activation`: None, a name ("relu") or a serialised function or layer."""
        from netglot.frontends.keras.activations import activate

        return activate(self, x, activation)

    def unsupported(self, what: str, hint: str = "") -> UnsupportedError:
        """The error for a mode of a layer that can't be expressed; all of them are reported together."""
        return UnsupportedError(f"{self.type}: {what}", self.origin, hint)
