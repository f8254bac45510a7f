"""Weights in the order in which the kernels of runtime/conv.h read them, and what memory those work in.

Output channels lie in panels of 16, as runtime/tile.h reads them: [group][panel][element of the window][16], with zeros
after the last channel. The order is the same for every level of processor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from netglot.ir.graph import Graph, Node
from netglot.ir.half import HALF, constant_misfit

PANEL = 16  # simd.h: panel
_TILE_ROWS = 14  # tile.h: the most rows that a tile has on any level
_TILE_PANELS = 2  # tile.h: the most panels that a tile is wide
_NEAR = 1 << 16  # conv.h: near_floats
_SAME_SETS = 1024  # conv.h: same_sets


@dataclass(frozen=True)
class Window:
    """The numbers of runtime/shapes.h, in its order."""

    batch: int
    height: int
    width: int
    channels: int
    out_height: int
    out_width: int
    out_channels: int
    kernel_height: int = 1
    kernel_width: int = 1
    stride_y: int = 1
    stride_x: int = 1
    pad_top: int = 0
    pad_left: int = 0
    dilation_y: int = 1
    dilation_x: int = 1
    groups: int = 1

    @property
    def pixels(self) -> int:
        return self.batch * self.out_height * self.out_width

    @property
    def depth(self) -> int:
        """Elements of one window."""
        return self.kernel_height * self.kernel_width * self.channels // self.groups

    @property
    def is_padded(self) -> bool:
        """Whether any window reaches out of the image."""
        bottom = (self.out_height - 1) * self.stride_y - self.pad_top + (self.kernel_height - 1) * self.dilation_y
        right = (self.out_width - 1) * self.stride_x - self.pad_left + (self.kernel_width - 1) * self.dilation_x
        return self.pad_top > 0 or self.pad_left > 0 or bottom >= self.height or right >= self.width


def pack(w: np.ndarray, groups: int = 1) -> np.ndarray:
    """Weights [M, C / groups, kernel_height, kernel_width] as [groups, panels, kernel_height, kernel_width, C / groups,
    16]."""
    channels = w.shape[0] // groups
    panels = -(-channels // PANEL)
    packed = np.zeros((groups, panels * PANEL, *w.shape[1:]), w.dtype)
    packed[:, :channels] = w.reshape(groups, channels, *w.shape[1:])
    split = packed.reshape(groups, panels, PANEL, *w.shape[1:])
    return np.ascontiguousarray(split.transpose(0, 1, 4, 5, 3, 2))


def pack_channels(values: np.ndarray, groups: int = 1) -> np.ndarray:
    """One number for each output channel [M] as [groups, whole panels], with zeros after the last channel of each."""
    channels = values.shape[0] // groups
    packed = np.zeros((groups, -(-channels // PANEL) * PANEL), values.dtype)
    packed[:, :channels] = values.reshape(groups, channels)
    return packed


def merged(w: np.ndarray, groups: int) -> tuple[np.ndarray, int]:
    """The same weights with fewer groups, so that these fill a panel; zeros where groups do not see each other.

    A panel is computed as a whole, however few of its channels a group has: so the zeros cost nothing.
    """
    channels = w.shape[0] // groups
    together = max(n for n in range(1, groups + 1) if groups % n == 0 and (n == 1 or n * channels <= PANEL))
    if together == 1:
        return w, groups
    depth = w.shape[1]
    wide = np.zeros((groups // together, together, channels, together, *w.shape[1:]), w.dtype)
    split = w.reshape(groups // together, together, channels, *w.shape[1:])
    for i in range(together):
        wide[:, i, :, i] = split[:, i]
    return wide.reshape(w.shape[0], together * depth, *w.shape[2:]), groups // together


def to_halves(w: np.ndarray) -> np.ndarray | None:
    """Weights as float16, or None if it can't hold them: some are beyond its range, or most vanish."""
    return None if constant_misfit(w) else w.astype(HALF)


def to_exact_halves(w: np.ndarray) -> np.ndarray | None:
    """Weights as float16, or None if that would round some."""
    halves = to_halves(w)
    return halves if halves is not None and np.array_equal(halves, w) else None


def to_bytes(w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights as int8, and the factor of each output channel [M] that gives them back: the largest is 127."""
    largest = np.abs(w).max(axis=tuple(range(1, w.ndim)), initial=0)
    scales = np.where(largest > 0, largest / np.float32(127), 1).astype(np.float32)
    return np.round(w / scales.reshape(-1, *(1,) * (w.ndim - 1))).astype(np.int8), scales


def to_exact_bytes(w: np.ndarray, candidates: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray] | None:
    """Weights as int8 and the factor of each output channel [M] that gives them back exactly.

    `candidates`: factors to try, [M] or [1]. None if with none of them all weights are such integers.
    """
    found = (
        _exact_bytes(w, np.broadcast_to(scales, w.shape[:1])) for scales in candidates if scales.size in (1, len(w))
    )
    return next(filter(None, found), None)


def _exact_bytes(w: np.ndarray, scales: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    for part in (slice(1), slice(None)):  # most that do not fit show it in their first channel
        factors = scales[part].reshape(-1, *(1,) * (w.ndim - 1))
        q = np.round(w[part] / factors)
        if not np.array_equal(q * factors, w[part]) or np.abs(q + 0.5).max(initial=0) > 127.5:
            return None
    return q.astype(np.int8), np.array(scales)


def scales_of_weights(graph: Graph) -> list[np.ndarray]:
    """The scales [n] (or [1]) of all constant integers that are dequantised, each once."""
    scales = [node.inputs[1] for node in graph.nodes() if node.op == "DequantizeLinear" and _is_weight(node)]
    flat = [scale.array.reshape(-1) for scale in scales if scale is not None and scale.dtype == np.float32]
    positive = [scale for scale in flat if np.all((scale > 0) & np.isfinite(scale))]
    return list({scale.tobytes(): scale for scale in positive}.values())


def _is_weight(node: Node) -> bool:
    q, scale = node.inputs[0], node.inputs[1]
    is_known = q is not None and scale is not None and q.is_constant and scale.is_constant
    return is_known and q is not None and q.rank >= 2 and not node.attributes.get("block_size")


def widened_floats(window: Window) -> int:
    """Working memory of each worker for the panels of a tile, where weights are not stored as floats."""
    return window.depth * min(_TILE_PANELS, -(-window.out_channels // window.groups // PANEL)) * PANEL


def scratch_floats(window: Window, *, is_widened: bool = False) -> int:
    """Working memory of each worker with which runtime/conv.h is faster: it copies windows there before it reads them.

    That pays where neighbouring windows are so far apart that they compete for the same lines of the fast cache, and
    where windows of few channels reach into the padding. Zero where it does not pay.
    """
    pitch = window.depth + PANEL - window.depth % PANEL
    pitch += PANEL if pitch % (2 * PANEL) == 0 else 0
    least, most = min(_TILE_ROWS, window.pixels + window.pixels % 2) * pitch, 2 * _NEAR
    is_crowded = window.stride_x * window.channels % _SAME_SETS == 0 and window.pixels > 1
    has_few_channels = window.is_padded and window.channels // window.groups < PANEL
    if least > most or not (is_crowded or has_few_channels):
        return 0
    fit = window.depth * window.out_channels // window.groups <= 2 * _NEAR
    if fit and not is_widened:  # then tiles are multiplied one by one
        return least
    return min(most // (_TILE_ROWS * pitch), -(-window.pixels // _TILE_ROWS)) * _TILE_ROWS * pitch
