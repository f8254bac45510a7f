"""Weights of 3x3 convolutions, transformed for Winograd's minimal filtering as runtime/winograd.h computes it.

Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (arXiv:1509.09308): with the matrices AT, G and BT,
the convolution of d with g is AT ((G g GT) * (BT d B)) A. They follow from the points at which polynomials are
evaluated (Toom and Cook). G g GT is computed here, in float64; BT and AT are code in runtime/winograd.h.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.polynomial import polynomial

from netglot.backends.cpp.packing import PANEL, Window

Output = Literal[2, 4]  # outputs of a tile along each axis

# Beside infinity. Those of F(4, 3) are exact in binary, and rounding errors are a third of those of the usual 1 and 2:
# 6e-6 of the largest output instead of 1.5e-5, for 512 channels that are added up one after another.
POINTS = {2: (0.0, 1.0, -1.0), 4: (0.0, 0.625, -0.625, 1.5, -1.5)}

_KERNEL = 3
_PART = 32  # winograd.h: winograd_part
_MEMORY = 384 * 1024  # winograd.h: winograd_memory
_TILES = 28  # winograd.h: winograd_tiles
_LINE = 16  # floats in a cache line


def matrices(output: Output) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """AT [output, n], G [n, 3] and BT [n, n] of F(output, 3), where n = output + 2."""
    points = np.array(POINTS[output])
    powers = np.vander(points, output + _KERNEL - 1, increasing=True)
    others = [np.delete(points, i) for i in range(len(points))]
    a = np.vstack([powers[:, :output], np.eye(output)[-1]]).T
    scales = [np.prod(point - rest) for point, rest in zip(points, others, strict=True)]
    g = np.vstack([powers[:, :_KERNEL] / np.array(scales)[:, None], np.eye(_KERNEL)[-1]])
    b = [np.append(polynomial.polyfromroots(rest), 0) for rest in others] + [polynomial.polyfromroots(points)]
    return a, g, np.array(b)


def pack_winograd(w: np.ndarray, output: Output) -> np.ndarray:
    """Weights [M, C, 3, 3] transformed, flat, in float32.

    The order is that in which they are read: for each 32 output channels, [element of the tile][panel of 16 output
    channels][C][16], with zeros after the last channel.
    """
    _, g, _ = matrices(output)
    m, c = w.shape[:2]
    panels = -(-m // PANEL)
    u = np.zeros(((output + _KERNEL - 1) ** 2, panels * PANEL, c), np.float32)
    u[:, :m] = np.einsum("pk,mckl,ql->pqmc", g, w.astype(np.float64), g, optimize=True).reshape(-1, m, c)
    split = u.reshape(-1, panels, PANEL, c).swapaxes(2, 3)
    step = _PART // PANEL
    return np.concatenate([split[:, i : i + step].ravel() for i in range(0, panels, step)])


def tiles(window: Window, output: Output) -> int:
    """Tiles of outputs in all images."""
    return window.batch * -(-window.out_height // output) * -(-window.out_width // output)


def winograd_floats(window: Window, output: Output) -> int:
    """Working memory of each worker: winograd_scratch of runtime/winograd.h."""
    elements, row = (output + _KERNEL - 1) ** 2, _odd_lines(window.channels)
    fitting = _MEMORY // 4 // (elements * (row + _PART))
    most = max(fitting // _TILES, 1) * _TILES
    blocks = -(-tiles(window, output) // most)
    block = -(-tiles(window, output) // blocks)
    zeros = -(-window.channels // _LINE) * _LINE
    return zeros + elements * (_odd_lines(block * row) + _odd_lines(block * _PART))


def _odd_lines(floats: int) -> int:
    """An odd number of cache lines, in floats."""
    return (-(-floats // _LINE) | 1) * _LINE
