"""Cross-layer equalisation: neighbouring layers trade factors of channels until each channel of a layer needs the same
range, so that one scale for all weights of a layer fits all.

Nagel, van Baalen, Blankevoort, Welling, "Data-Free Quantization Through Weight Equalization and Bias Correction", 2019,
section 4.1, for any number of layers that make or read the same channels (residual sums, several branches). What a
bounded activation (Relu6) lies between stays as it is: with limits of its own for each channel it would be another
operator. Their absorption of high biases, which is not exact, is not done.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from netglot.ir.graph import Graph, Node
from netglot.quantize.channels import Group, groups, rescale, weights_of

SWEEPS = 100
SETTLED = 1e-2  # of the logarithm of the largest factor that is left: a tenth of a dB
DEAD = 1e-6  # what of the largest product of weights around a channel makes it one that carries nothing


def equalize(graph: Graph) -> list[str]:
    """Equalises the weights of `graph` in place; returns the names of the layers that changed.

    The function stays, up to one rounding of each weight. Ranges of activations change, for better or worse: whether it
    helps is a matter of measuring.
    """
    found = groups(graph)
    factors = _solve(found)
    changed = [name for group, factor in zip(found, factors, strict=True) for name in rescale(graph, group, factor)]
    return list(dict.fromkeys(changed))


class _Layer(NamedTuple):
    """magnitudes: the largest weight for each pair of an output and an input channel, [groups, a, b] of Blocks.
    outputs, inputs: which of the axes 1 and 2 counts which."""

    magnitudes: np.ndarray
    outputs: int
    inputs: int

    def ranges(self, axis: int) -> np.ndarray:
        """The largest weight of each channel of `axis`."""
        return self.magnitudes.max(axis=3 - axis).ravel()

    def scale(self, axis: int, factors: np.ndarray) -> None:
        count, *shape = self.magnitudes.shape
        along = np.repeat(factors, count * shape[axis - 1] // factors.size)
        np.multiply(
            self.magnitudes, along.reshape(count, *(-1 if i == axis else 1 for i in (1, 2))), out=self.magnitudes
        )


def _layer(node: Node, size: int | None) -> _Layer:
    """Of a layer that reads a group of `size` channels, if it does: neighbours of one channel count as one."""
    blocks, w = weights_of(node)
    magnitudes = np.abs(w.reshape(blocks[:4]))
    largest = magnitudes[..., 0] if blocks.rest == 1 else magnitudes.max(axis=3, initial=0)  # one by one, NumPy is slow
    if size is not None and blocks.groups == 1:
        moved = np.moveaxis(largest, blocks.inputs, 2)
        largest = np.moveaxis(moved.reshape(1, -1, size, moved.shape[2] // size).max(axis=3), 2, blocks.inputs)
    return _Layer(largest.astype(np.float64), blocks.outputs, blocks.inputs)


def _solve(found: Sequence[Group]) -> list[np.ndarray]:
    """The factors of each group, by turns until they settle: a layer may be in two groups."""
    sizes = {node: group.size for group in found for node in group.readers}
    layers = {node: _layer(node, sizes.get(node)) for group in found for node in (*group.makers, *group.readers)}
    factors = [np.ones(group.size) for group in found]
    for _ in range(SWEEPS):
        steps = [_step(group, layers, total) for group, total in zip(found, factors, strict=True)]
        if max(steps, default=0.0) < SETTLED:
            break
    return factors


def _step(group: Group, layers: dict[Node, _Layer], total: np.ndarray) -> float:
    """Equalises one group, multiplies `total`; returns how far it went, as a logarithm."""
    made = np.max([layers[node].ranges(layers[node].outputs) for node in group.makers], axis=0)
    read = np.max([_read(layers[node], group.size) for node in group.readers], axis=0)
    step = _balance(made, read)
    for node in group.makers:
        layers[node].scale(layers[node].outputs, 1 / step)
    for node in group.readers:
        layers[node].scale(layers[node].inputs, step)
    total *= step
    return float(np.abs(np.log(step)).max(initial=0))


def _balance(made: np.ndarray, read: np.ndarray) -> np.ndarray:
    """sqrt(made / read). Channels that carry nothing, of which decay in training leaves many with weights of 1e-30,
    would take enormous factors, and their biases with them: they get the mean of the others."""
    product = made * read
    alive = product > DEAD * product.max(initial=0)
    step = np.ones_like(made)
    if alive.any():
        step[alive] = np.sqrt(made[alive] / read[alive])
        step[~alive] = np.exp(np.log(step[alive]).mean())
    return step


def _read(layer: _Layer, size: int) -> np.ndarray:
    """The largest weight that each channel of the group meets."""
    return layer.ranges(layer.inputs).reshape(size, -1).max(axis=1)
