"""SmoothQuant: outliers of a few channels of activations move into the weights that read them.

Xiao, Lin, Seznec, Wu, Demouth, Han, "SmoothQuant: Accurate and Efficient Post-Training Quantization for Large Language
Models", 2022, section 4: channel j of what a product reads is divided by s_j = max|X_j|^alpha / max|W_j|^(1 - alpha),
and row j of its weights multiplied. The division costs nothing: the normalisation, layer or product with a constant in
front takes it in; all that read the same tensor (queries, keys, values) share s.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from netglot.ir.graph import Graph, Value
from netglot.quantize.channels import LINEAR, NORMS, Group, groups, largest_read, rescale

if TYPE_CHECKING:
    from netglot.quantize.observe import Observation

PRODUCTS = {"Gemm", "MatMul"}
LARGEST = 2.0**12  # of a factor


def channels_to_observe(graph: Graph) -> dict[str, int]:
    """The tensors whose largest magnitudes in each channel `smooth` must know, and the axis of their channels."""
    return {value.name: group.tensors[value] for group in _groups(graph) for value in _read(group)}


def smooth(graph: Graph, observations: Mapping[str, Observation], alpha: float = 0.5) -> list[str]:
    """Smooths what products in `graph` read, in place; returns the names of the nodes whose constants changed.

    observations: of the tensors of `channels_to_observe`, with peaks; where one is missing, nothing is done. alpha: how
    much of the difficulty goes into the weights, 0 to 1. The function stays, up to roundings of constants;
    whether it helps is a matter of measuring.
    """
    changed: list[str] = []
    for group in _groups(graph):
        peaks = _peaks(group, observations)
        if peaks is not None:
            changed += rescale(graph, group, _factors(group, peaks, alpha))
    return list(dict.fromkeys(changed))


def _groups(graph: Graph) -> list[Group]:
    """Those that only products read."""
    found = groups(graph, (*LINEAR, *NORMS, "Mul"))
    return [group for group in found if all(node.op in PRODUCTS for node in group.readers)]


def _read(group: Group) -> list[Value]:
    return list(dict.fromkeys(node.inputs[0] for node in group.readers if node.inputs[0] is not None))


def _peaks(group: Group, observations: Mapping[str, Observation]) -> np.ndarray | None:
    """[size]: the largest magnitude of each channel in all that is read."""
    seen = [observations[value.name].peaks if value.name in observations else None for value in _read(group)]
    known = [peaks.reshape(group.size, -1).max(axis=1) for peaks in seen if peaks is not None]
    return np.max(known, axis=0).astype(np.float64) if len(known) == len(seen) else None


def _factors(group: Group, peaks: np.ndarray, alpha: float) -> np.ndarray:
    weights = np.max([largest_read(node, group.size) for node in group.readers], axis=0)
    alive = (peaks > 0) & (weights > 0)
    factors = np.ones(group.size)
    factors[alive] = peaks[alive] ** alpha / weights[alive] ** (1 - alpha)
    return np.clip(factors, 1 / LARGEST, LARGEST)
