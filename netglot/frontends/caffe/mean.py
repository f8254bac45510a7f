"""A mean image (.binaryproto), subtracted from the network's input as Caffe's data layers did."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from netglot.errors import ConversionError, Origin
from netglot.frontends.caffe.weights import read_blob
from netglot.frontends.wire import map_file


def read_mean(path: Path) -> np.ndarray:
    """The mean image, float32 [C, H, W]; ConversionError if the file holds none."""
    try:
        mean = read_blob(map_file(path), "the mean")
    except ValueError as error:
        raise ConversionError(f"not a whole .binaryproto: {error}", Origin(str(path))) from None
    if not mean.size or mean.ndim < 3 or mean.size != np.prod(mean.shape[-3:]):
        raise ConversionError(f"not a mean image: its shape is {mean.shape}", Origin(str(path)))
    return mean.reshape(mean.shape[-3:])


def fitted(mean: np.ndarray, shape: tuple[int, ...], origin: Origin) -> np.ndarray:
    """The part of `mean` that a network with input `shape` sees: Caffe crops the middle at test time."""
    extra = [have - want for have, want in zip(mean.shape, shape[1:], strict=False)]
    if len(shape) != 4 or extra[0] or min(extra) < 0:
        raise ConversionError(f"a mean of {mean.shape} does not fit the input of {shape[1:]}", origin)
    top, left = extra[1] // 2, extra[2] // 2
    return mean[:, top : top + shape[2], left : left + shape[3]]
