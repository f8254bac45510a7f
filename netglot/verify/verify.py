"""Runs two models on the same inputs and compares what they compute."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from netglot.errors import ConversionError
from netglot.ir.types import channels_last, inverse, text
from netglot.runtimes.base import Runtime, Tensor
from netglot.verify.compare import Difference, compare, merge

Arrays = Mapping[str, np.ndarray]


def differences(
    expected: Runtime, actual: Runtime, inputs: Iterable[Arrays], *, tame: bool = False
) -> tuple[list[Difference], int]:
    """The worst Difference of each output over all `inputs` (as `expected` takes them), and how many there were.

    `tame`: of inputs that `expected` can't be run on, small whole numbers are made (see docs/verification.md). Where
    the sizes of its inputs are open, not all need fit together: those that it can't be run with count for nothing, but
    the first, which are those of the example that it was made from.
    """
    pairs = _pair_inputs(expected, actual)
    samples: list[list[Difference]] = []
    for given in inputs:
        try:
            item, wanted = _computed(expected, given, _LIMITS if tame else ())
        except ConversionError:
            if not (tame and samples and expected.is_open):
                raise
            continue
        samples.append(compare(wanted, _run(actual, pairs, expected, item)))
    return merge(samples), len(samples)


_LIMITS = (8, 2, 1)  # numbers below these are rows of nearly any table


def _computed(expected: Runtime, item: Arrays, limits: Sequence[int]) -> tuple[Arrays, Arrays]:
    """The inputs that were run, and the outputs. Networks look up rows by numbers, of which random ones may be none."""
    try:
        return item, expected.run(item)
    except ConversionError:
        if not limits:
            raise
        small = {name: (np.floor(np.abs(array)) % limits[0]).astype(array.dtype) for name, array in item.items()}
        return _computed(expected, small, limits[1:])


def _pair_inputs(expected: Runtime, actual: Runtime) -> list[tuple[Tensor, Tensor]]:
    wanted, found = [t.name for t in expected.inputs], [t.name for t in actual.inputs]
    if wanted != found:
        raise ConversionError(f"the inputs differ: {', '.join(wanted)} and {', '.join(found)}")
    return list(zip(expected.inputs, actual.inputs, strict=True))


def _run(
    actual: Runtime, pairs: Sequence[tuple[Tensor, Tensor]], expected: Runtime, item: Arrays
) -> dict[str, np.ndarray]:
    """Feeds `item` in the order in memory and the type that `actual` wants, and turns its outputs back."""
    fed = {theirs.name: _feed(item[ours.name], ours, theirs) for ours, theirs in pairs}
    outputs = actual.run(fed)
    shapes = {tensor.name: tensor for tensor in expected.outputs}
    return {name: _restore(array, shapes.get(name)) for name, array in outputs.items()}


def _feed(array: np.ndarray, ours: Tensor, theirs: Tensor) -> np.ndarray:
    moved = array.transpose(channels_last(array.ndim)) if _is_moved(array.shape, theirs.shape) else array
    if any(isinstance(want, int) and want != have for want, have in zip(theirs.shape, moved.shape, strict=False)) or (
        len(theirs.shape) != moved.ndim
    ):
        shapes = f"{text(ours.shape)} and {text(theirs.shape)}"
        raise ConversionError(f"the input '{ours.name}' has different shapes in the two models: {shapes}")
    return np.ascontiguousarray(moved, theirs.dtype)


def _restore(array: np.ndarray, wanted: Tensor | None) -> np.ndarray:
    if wanted is None or not _is_moved(wanted.shape, array.shape):
        return array
    return array.transpose(inverse(channels_last(array.ndim)))


def _is_moved(first: Sequence[object], last: Sequence[object]) -> bool:
    """Whether `last` is the channels-last form of `first` (--io-layout) and not just the same.

    A wrong guess can't pass unseen: it makes the models unequal.
    """
    if len(first) != len(last) or len(first) != 4 or tuple(first) == tuple(last):
        return False
    return tuple(first[axis] for axis in channels_last(4)) == tuple(last)
