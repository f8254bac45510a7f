"""Keras 1 in the terms of Keras 2: names of classes and options, and the form of variables.

The names are those of Keras 1.2's documentation and of keras/legacy/interfaces.py of Keras 2, the variables those of
preprocess_weights_for_loading in Keras 2's saving code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from netglot.errors import Origin, UnsupportedError

_CLASSES = {
    "Convolution1D": "Conv1D", "Convolution2D": "Conv2D", "Convolution3D": "Conv3D", "AtrousConvolution1D": "Conv1D",
    "AtrousConvolution2D": "Conv2D", "SeparableConvolution2D": "SeparableConv2D", "TimeDistributedDense": "Dense",
}  # fmt: skip
_KINDS = {
    *_CLASSES, *_CLASSES.values(), "Activation", "ActivityRegularization", "AveragePooling1D", "AveragePooling2D",
    "AveragePooling3D", "BatchNormalization", "Cropping1D", "Cropping2D", "Cropping3D", "Dropout", "ELU", "Embedding",
    "Flatten", "GaussianDropout", "GaussianNoise", "GlobalAveragePooling1D", "GlobalAveragePooling2D",
    "GlobalAveragePooling3D", "GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D", "GRU", "LeakyReLU",
    "LSTM", "Masking", "MaxPooling1D", "MaxPooling2D", "MaxPooling3D", "Permute", "PReLU", "RepeatVector", "Reshape",
    "SimpleRNN", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "ThresholdedReLU", "UpSampling1D",
    "UpSampling2D", "UpSampling3D", "ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D",
}  # fmt: skip
_MERGES = {"sum": "Add", "mul": "Multiply", "ave": "Average", "max": "Maximum", "concat": "Concatenate", "dot": "Dot"}
_NAMES = {
    "nb_filter": "filters", "filter_length": "kernel_size", "subsample_length": "strides", "subsample": "strides",
    "border_mode": "padding", "dim_ordering": "data_format", "bias": "use_bias", "atrous_rate": "dilation_rate",
    "pool_length": "pool_size", "stride": "strides", "length": "size", "inner_activation": "recurrent_activation",
}  # fmt: skip
_SIZES = ("nb_row", "nb_col"), ("kernel_dim1", "kernel_dim2", "kernel_dim3")
_FORMATS = {"th": "channels_first", "tf": "channels_last"}
_UNITS = {"Dense", "LSTM", "GRU", "SimpleRNN"}  # whose output_dim is `units` now; Embedding's is still its own
_TRAINING = {"init", "inner_init", "forget_bias_init", "p", "sigma", "dropout_W", "dropout_U", "W_learning_rate"}


def upgraded(item: Mapping[str, Any], origin: Origin) -> Mapping[str, Any]:
    """A serialised layer with Keras 2's names; what has them already is returned as it is."""
    kind, config = item.get("class_name"), item.get("config")
    if not isinstance(kind, str) or not isinstance(config, dict) or "module" in item:
        return item
    if kind == "Merge":
        return _merge(item, config, origin)
    inner = config.get("layer")
    if isinstance(inner, dict) and "class_name" in inner:
        item = {**item, "config": {**config, "layer": upgraded(inner, origin)}}
    return _renamed(item, kind, item["config"], origin) if kind in _KINDS else item


def _renamed(item: Mapping[str, Any], kind: str, config: Mapping[str, Any], origin: Origin) -> Mapping[str, Any]:
    kind = _CLASSES.get(kind, kind)
    new = {_NAMES.get(key, key): value for key, value in config.items() if key not in _TRAINING}
    for names in _SIZES:
        if names[0] in new:
            new["kernel_size"] = [new.pop(name) for name in names]
    if kind in _UNITS and "output_dim" in new:
        new["units"] = new.pop("output_dim")
    if new.get("data_format") in _FORMATS:
        new["data_format"] = _FORMATS[new["data_format"]]
    if kind == "GRU":
        new.setdefault("reset_after", False)
    if kind == "BatchNormalization" and new.pop("mode", 0) != 0:
        raise UnsupportedError("BatchNormalization with statistics of the batch itself (mode 1 or 2)", origin)
    if kind == "ZeroPadding2D" and isinstance(new.get("padding"), list) and len(new["padding"]) == 4:
        new["padding"] = [new["padding"][:2], new["padding"][2:]]
    return {**item, "class_name": kind, "config": new}


def _merge(item: Mapping[str, Any], config: Mapping[str, Any], origin: Origin) -> Mapping[str, Any]:
    """Merge was one layer with a mode for what are classes now."""
    mode = config.get("mode")
    if not isinstance(mode, str) or mode not in _MERGES or config.get("layers"):
        raise UnsupportedError(f"Merge with mode={str(mode)[:40]!r}, or of branches inside a Sequential", origin)
    new = {"name": config.get("name")}
    if mode == "concat":
        new["axis"] = config.get("concat_axis", -1)
    if mode == "dot":
        new["axes"] = config.get("dot_axes", -1)
    return {**item, "class_name": _MERGES[mode], "config": new}


# ------------------------------------------------------------------ variables

_CONVOLUTIONS = {"Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "ConvLSTM2D"}


def converted(
    kind: str, config: Mapping[str, Any], arrays: Sequence[np.ndarray], *, is_old: bool, is_flipped: bool
) -> list[np.ndarray]:
    """The variables of a layer as Keras 2 on TensorFlow has them.

    `is_old`: Keras 1 wrote them; `is_flipped`: Theano did, which computes true convolutions.
    """
    while kind in ("TimeDistributed", "Bidirectional") and isinstance(config.get("layer"), Mapping):
        inner = config["layer"]
        parts = 2 if kind == "Bidirectional" else 1
        kind, config = str(inner.get("class_name")), inner.get("config") or {}
        if parts == 2:
            half = len(arrays) // 2
            both = (arrays[:half], arrays[half:])
            return [a for part in both for a in converted(kind, config, part, is_old=is_old, is_flipped=is_flipped)]
    found = list(arrays)
    if is_old:
        found = _gates(kind, found)
    if kind in _CONVOLUTIONS and found:
        found[0] = _kernel(kind, found[0], config, is_old)
        axes = tuple(range(found[0].ndim - 2))
        found[0] = np.flip(found[0], axes) if is_flipped else found[0]
    return found


def _gates(kind: str, arrays: list[np.ndarray]) -> list[np.ndarray]:
    """The gates of a recurrent layer in one kernel, one recurrent kernel and one bias, in Keras 2's order."""
    order = {("LSTM", 12): (0, 2, 1, 3), ("GRU", 9): (0, 1, 2)}.get((kind, len(arrays)))
    if order is None:
        return arrays
    return [np.concatenate([arrays[3 * gate + i] for gate in order], axis=-1) for i in range(3)]


def _kernel(kind: str, kernel: np.ndarray, config: Mapping[str, Any], is_old: bool) -> np.ndarray:
    """A kernel as [size..., in, out]; Theano's order was [out, in, size...], and a 1D kernel had two sizes."""
    if not is_old:
        return kernel
    if kind == "Conv1D" and kernel.ndim == 4:
        size = config.get("kernel_size")
        length = size[0] if isinstance(size, list) else size
        first = kernel if kernel.shape[:2] == (length, 1) else kernel.transpose(2, 3, 1, 0)
        return first[:, 0]
    if kind in ("Conv2D", "Conv3D") and config.get("data_format") == "channels_first":
        return kernel.transpose(*range(2, kernel.ndim), 1, 0)
    return kernel
