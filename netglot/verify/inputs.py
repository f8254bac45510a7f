"""Inputs to compare two models on: random, edge-valued, or the user's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from netglot.errors import ConversionError, Origin
from netglot.runtimes.base import Tensor

Arrays = dict[str, np.ndarray]
Sizes = Callable[[int], Mapping[str, int]]

# Kinds of samples, in turn: pixels as 0..1, centred, pixels as 0..255, and the edge that hides most bugs.
KINDS = ("unit", "normal", "pixels", "zero")


def random_inputs(
    tensors: Sequence[Tensor], samples: int, seed: int = 0, sizes: Sizes | None = None
) -> Iterator[Arrays]:
    """`samples` sets of reproducible inputs. Unknown dimensions are 1 for the first axis and 3, 4, 5... for others.

    `sizes` says for every sample what dimensions with names are, as far as it knows (see Runtime.sizes).
    """
    rng = np.random.default_rng(seed)
    for i in range(samples):
        chosen = sizes(i) if sizes else {}
        yield {tensor.name: _sample(rng, tensor, KINDS[i % len(KINDS)], chosen) for tensor in tensors}


def _sample(rng: np.random.Generator, tensor: Tensor, kind: str, sizes: Mapping[str, int]) -> np.ndarray:
    shape = concrete([sizes.get(dim, dim) if isinstance(dim, str) else dim for dim in tensor.shape])
    if tensor.dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if tensor.dtype.kind in "iu":
        return rng.integers(0, 1 if kind == "zero" else 8, shape).astype(tensor.dtype)
    return _values(rng, shape, kind).astype(tensor.dtype)


def _values(rng: np.random.Generator, shape: tuple[int, ...], kind: str) -> np.ndarray:
    if kind == "zero":
        return np.zeros(shape)
    if kind == "pixels":
        return rng.integers(0, 256, shape)
    return rng.random(shape) if kind == "unit" else rng.standard_normal(shape)


def concrete(shape: Sequence[int | str | None]) -> tuple[int, ...]:
    return tuple(dim if isinstance(dim, int) and dim >= 0 else (1 if axis == 0 else 2 + axis)
                 for axis, dim in enumerate(shape))  # fmt: skip


def read_inputs(path: Path, tensors: Sequence[Tensor]) -> Iterator[Arrays]:
    """The one set of inputs in an .npz file, checked against what the model takes."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError) as error:
        raise ConversionError(f"not an .npz file of arrays: {error}", Origin(str(path))) from None
    missing = [tensor.name for tensor in tensors if tensor.name not in arrays]
    if missing:
        raise ConversionError(f"no array named {', '.join(missing)}", Origin(str(path)))
    yield {tensor.name: _checked(arrays[tensor.name], tensor, path) for tensor in tensors}


def _checked(array: np.ndarray, tensor: Tensor, path: Path) -> np.ndarray:
    fits = len(array.shape) == len(tensor.shape) and all(
        want == have for want, have in zip(tensor.shape, array.shape, strict=True) if isinstance(want, int)
    )
    if not fits:
        text = f"'{tensor.name}' has shape {array.shape}, the model takes {tensor.shape}"
        raise ConversionError(text, Origin(str(path)))
    return array.astype(tensor.dtype)
