"""Equality of outputs, as netglot means it.

Same names, order, shapes and types; no NaN or infinity where there was none; every element, unsorted and untruncated,
within the tolerance relative to the output's scale: the largest finite magnitude that the source computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from netglot.ir.types import text

# By what either side computes in, and how. Where both compute on integers, a sum that one rounds up and the other down
# differs by a step of 256, the steps of the layers before it add up, and a Softmax makes much of them.
# steps: of a network that came quantised, two where 127 make the largest value.
RTOL = {"float32": 1e-5, "rearranged": 1e-4, "float16": 1e-2, "steps": 2 / 127, "integers": 1e-1}
TINY = 1e-30  # the scale of an output that is all zeros

# A target that lacks the left type may give the right one.
NARROWED: dict[np.dtype, np.dtype] = {
    np.dtype(np.int64): np.dtype(np.int32),
    np.dtype(np.float64): np.dtype(np.float32),
}


@dataclass(frozen=True)
class Difference:
    """How one output of the target differs from the source's.

    error: largest absolute difference divided by scale (infinite where the outputs can't be compared).
    why: what is wrong besides the numbers; empty if nothing.
    """

    name: str
    shape: tuple[int, ...]
    scale: float
    error: float
    worst: tuple[int, ...] = ()
    why: str = ""

    def ok(self, rtol: float) -> bool:
        return not self.why and self.error <= rtol


def compare(expected: Mapping[str, np.ndarray], actual: Mapping[str, np.ndarray]) -> list[Difference]:
    """One Difference for each expected output, and one for each that is there too much."""
    order = "" if list(expected) == list(actual) else f"the outputs are {', '.join(actual)}"
    result = [_difference(name, wanted, actual.get(name), order) for name, wanted in expected.items()]
    extra = [name for name in actual if name not in expected]
    return result + [
        Difference(name, actual[name].shape, 0.0, np.inf, why="the source has no such output") for name in extra
    ]


def _difference(name: str, wanted: np.ndarray, found: np.ndarray | None, order: str) -> Difference:
    nothing = Difference(name, wanted.shape, 0.0, np.inf)
    if found is None:
        return replace(nothing, why="the output is missing")
    if wanted.shape != found.shape:
        return replace(nothing, why=f"the shape is {text(found.shape)}, expected {text(wanted.shape)}")
    if found.dtype not in (wanted.dtype, NARROWED.get(wanted.dtype)):
        return replace(nothing, why=f"the type is {found.dtype}, expected {wanted.dtype}")
    return replace(_numbers(name, np.asarray(wanted, np.float64), np.asarray(found, np.float64)), why=order)


def _numbers(name: str, wanted: np.ndarray, found: np.ndarray) -> Difference:
    finite = np.isfinite(wanted)
    scale = max(float(np.abs(wanted[finite]).max(initial=0.0)), TINY)
    with np.errstate(invalid="ignore"):
        distance = np.abs(wanted - found) / scale
    # what is not finite must be the same: NaN for NaN, infinity for infinity of one sign
    same = (wanted == found) | (np.isnan(wanted) & np.isnan(found))
    distance = np.where(finite & np.isfinite(found), distance, np.where(same, 0.0, np.inf))
    if not distance.size:
        return Difference(name, wanted.shape, scale, 0.0)
    worst = tuple(int(i) for i in np.unravel_index(int(distance.argmax()), distance.shape))
    return Difference(name, wanted.shape, scale, float(distance[worst]), worst)


def merge(samples: list[list[Difference]]) -> list[Difference]:
    """The worst of each output over all samples."""
    return [max(outputs, key=lambda d: (bool(d.why), d.error)) for outputs in zip(*samples, strict=True)]
