"""Caffe layers that act on each element."""

from __future__ import annotations

from netglot.frontends.caffe.builder import CaffeBuilder, caffe_layer
from netglot.ir.graph import Value


@caffe_layer("ReLU")
def relu(g: CaffeBuilder, x: Value, *, negative_slope: float = 0.0) -> Value:
    return g.LeakyRelu(x, alpha=negative_slope) if negative_slope else g.Relu(x)


@caffe_layer("Softmax")
def softmax(g: CaffeBuilder, x: Value, *, axis: int = 1) -> Value:
    return g.Softmax(x, axis=axis % x.rank)


@caffe_layer("Dropout")
def dropout(g: CaffeBuilder, x: Value, *, dropout_ratio: float = 0.5) -> Value:
    """Caffe scales while training, so at inference nothing remains (dropout_layer.cpp)."""
    return g.Identity(x)
