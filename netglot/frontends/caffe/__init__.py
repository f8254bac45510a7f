"""Caffe: .prototxt with .caffemodel or .caffemodel.h5 (BVLC Caffe 1.0 and the forks' layers named in docs/)."""

from netglot.frontends.caffe import (  # noqa: F401  (they register their layers)
    activations,
    arithmetic,
    dense,
    detection,
    normalization,
    pooling,
    recurrent,
    reduction,
    resize,
    shape,
    spatial,
)
from netglot.frontends.caffe.builder import CaffeBuilder, caffe_layer
from netglot.frontends.caffe.mean import read_mean
from netglot.frontends.caffe.reader import load

__all__ = ["CaffeBuilder", "caffe_layer", "load", "read_mean"]
