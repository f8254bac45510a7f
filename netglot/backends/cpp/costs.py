"""Which algorithm computes a convolution: an estimate of what each costs, in multiplications of the direct kernel.

The constants were measured on one core of a Zen 5 server (runtime/conv.h against runtime/winograd.h, weights coming
from main memory as they do in a whole network). They are ratios, so they hold roughly where everything is slower: a
phone's core multiplies five times slower and its memory is a third as fast, so there weights cost less than is said
here and Winograd wins a little more often than it is chosen.
"""

from __future__ import annotations

from typing import Literal

from netglot.backends.cpp.packing import PANEL, Window
from netglot.backends.cpp.winograd import Output, tiles

Algorithm = Literal["direct", "winograd2", "winograd4"]
OUTPUTS: dict[Algorithm, Output] = {"winograd2": 2, "winograd4": 4}  # of a tile along each axis

_BYTE = 4  # multiplications that take as long as to load a byte of weights (2.5), and what a larger file is worth
_TRANSFORM = 7  # ... as to transform one element of a tile for one channel, to load and to store it
_FEW_ROWS = 4  # a matrix product of fewer rows takes as long: additions wait for each other, or for the weights
_GAIN = 0.85  # of the direct kernel's cost: what Winograd has to reach, as it is less exact and its weights are larger
_LARGEST = 16 << 20  # bytes of one layer's transformed weights: four times the original ones where tiles are 4x4


def choose(window: Window, *, exact: bool = False) -> Algorithm:
    """The algorithm for a layer; "direct" if its sums have to be `exact`, or where Winograd is not possible."""
    if exact or not can_winograd(window):
        return "direct"
    costs: dict[Algorithm, float] = {"direct": _GAIN * direct_cost(window)}
    for name, output in OUTPUTS.items():
        if winograd_bytes(window, output) <= _LARGEST:
            costs[name] = winograd_cost(window, output)
    return min(costs, key=lambda name: costs[name])


def can_winograd(window: Window) -> bool:
    """Whether runtime/winograd.h computes such windows."""
    kernel = (window.kernel_height, window.kernel_width)
    steps = (window.stride_y, window.stride_x, window.dilation_y, window.dilation_x, window.groups)
    return kernel == (3, 3) and steps == (1, 1, 1, 1, 1)


def direct_cost(window: Window) -> float:
    rows = max(window.pixels, _FEW_ROWS)
    return window.depth * _columns(window) * (rows + 4 * _BYTE)


def winograd_cost(window: Window, output: Output) -> float:
    count, elements = tiles(window, output), (output + 2) ** 2
    products = elements * max(count, _FEW_ROWS) * window.channels * _columns(window)
    transformed = elements * count * (_whole(window.channels) + _columns(window))
    return products + _TRANSFORM * transformed + _BYTE * winograd_bytes(window, output)


def winograd_bytes(window: Window, output: Output) -> int:
    """The size of the transformed weights."""
    return 4 * (output + 2) ** 2 * window.channels * _columns(window)


def _columns(window: Window) -> int:
    return _whole(window.out_channels)


def _whole(channels: int) -> int:
    """Channels are computed in whole vectors, or panels."""
    return -(-channels // PANEL) * PANEL
