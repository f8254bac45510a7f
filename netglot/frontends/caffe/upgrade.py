"""Old forms of a Caffe network in today's: V0 and V1 layers, `padding` layers (upgrade_proto.cpp)."""

from __future__ import annotations

import re
from dataclasses import replace

from netglot.errors import ConversionError
from netglot.frontends.caffe.layer import Layer, make_layer
from netglot.frontends.textproto import Message

# V1LayerParameter.LayerType -> today's name, where CamelCase of the parts is not already it.
_V1_NAMES = {
    "ABSVAL": "AbsVal", "ARGMAX": "ArgMax", "BNLL": "BNLL", "HDF5_DATA": "HDF5Data", "HDF5_OUTPUT": "HDF5Output",
    "LRN": "LRN", "MVN": "MVN", "RELU": "ReLU", "SOFTMAX_LOSS": "SoftmaxWithLoss", "TANH": "TanH",
}  # fmt: skip

# V0LayerParameter.type -> (today's name, today's parameter message)
_V0_TYPES = {
    "accuracy": ("Accuracy", ""), "bnll": ("BNLL", ""), "concat": ("Concat", "concat_param"),
    "conv": ("Convolution", "convolution_param"), "data": ("Data", ""), "dropout": ("Dropout", "dropout_param"),
    "euclidean_loss": ("EuclideanLoss", ""), "flatten": ("Flatten", ""), "hdf5_data": ("HDF5Data", ""),
    "hdf5_output": ("HDF5Output", ""), "im2col": ("Im2col", "convolution_param"), "images": ("ImageData", ""),
    "infogain_loss": ("InfogainLoss", ""), "innerproduct": ("InnerProduct", "inner_product_param"),
    "lrn": ("LRN", "lrn_param"), "multinomial_logistic_loss": ("MultinomialLogisticLoss", ""),
    "padding": ("padding", ""), "pool": ("Pooling", "pooling_param"), "relu": ("ReLU", ""),
    "sigmoid": ("Sigmoid", ""), "softmax": ("Softmax", ""), "softmax_loss": ("SoftmaxWithLoss", ""),
    "split": ("Split", ""), "tanh": ("TanH", ""), "window_data": ("WindowData", ""),
}  # fmt: skip
_V0_FIELDS = {"biasterm": "bias_term", "kernelsize": "kernel_size"}
_V0_OUTER = {"name", "type", "blobs", "blobs_lr", "weight_decay"}


def old_layer(message: Message, file: str) -> Layer:
    """A layer from a `layers` entry, V1 or V0."""
    nested = message.messages("layer")
    if nested:
        return make_layer(_v0_message(message, nested[-1]), file)
    layer = make_layer(message, file)
    return replace(layer, type=v1_type(layer.type), shared=[str(name) for name in message.all("param")])


def v1_type(name: str) -> str:
    return _V1_NAMES.get(name, re.sub(r"(?:^|_)([A-Z])([A-Z0-9]*)", lambda m: m[1] + m[2].lower(), name))


def _v0_message(outer: Message, inner: Message) -> Message:
    """Today's message: the V0 fields go to the parameter message of the layer's type."""
    old = str(inner.get("type", ""))
    kind, param = _V0_TYPES.get(old, (old, ""))
    fields = [field for field in outer.fields if field[0] != "layer"]
    fields += [("name", inner.get("name", ""), inner.line), ("type", kind, inner.line)]
    given = [(_V0_FIELDS.get(key, key), value, line) for key, value, line in inner.fields if key not in _V0_OUTER]
    fields += [(param, Message(inner.line, given), inner.line)] if param else given
    return Message(outer.line, fields)


def merge_padding(layers: list[Layer]) -> list[Layer]:
    """V0's `padding` layers become the pad of the convolution or pooling that reads them."""
    if not any(layer.type == "padding" for layer in layers):
        return layers
    padding: dict[str, Layer] = {}
    kept = []
    for layer in layers:
        if layer.type == "padding":
            padding.update(dict.fromkeys(layer.tops, layer))
            continue
        kept.append(_padded(layer, padding))
        for top in layer.tops:
            padding.pop(top, None)
    return kept


def _padded(layer: Layer, padding: dict[str, Layer]) -> Layer:
    source = next((padding[name] for name in layer.bottoms if name in padding), None)
    if source is None:
        return layer
    param = {"Convolution": "convolution_param", "Pooling": "pooling_param"}.get(layer.type)
    if param is None or len(source.bottoms) != 1:
        raise ConversionError("a padding layer goes before a convolution or a pooling only", source.origin)
    pad = ("pad", source.message.get("pad", 0), source.message.line)
    old = layer.message.get(param, Message())
    fields = [field for field in old.fields if field[0] != "pad"]
    message = Message(layer.message.line, [*layer.message.fields, (param, Message(old.line, [*fields, pad]), old.line)])
    return replace(layer, bottoms=source.bottoms, message=message)
