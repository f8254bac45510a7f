"""Blobs that are one piece of memory in Caffe, where a layer that works in place changes all of them.

Split, Reshape and Flatten give tops that share their bottom's memory (Blob::ShareData in split_layer.cpp and the like).
A network that then works in place on one of them gives other numbers in Caffe than its own prototxt says. The graph
says what the prototxt says; the user is warned.
"""

from __future__ import annotations

from collections.abc import Sequence

from netglot.frontends.caffe.layer import Layer

_SHARING = {"Split", "Reshape", "Flatten"}


class Sharing:
    """Follows the layers in order."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._last_read = {name: i for i, layer in enumerate(layers) for name in layer.bottoms}
        self._groups: dict[str, set[str]] = {}

    def overwritten(self, index: int, layer: Layer) -> list[str]:
        """Blobs that layer `index` overwrites in Caffe while somebody still reads them under another name."""
        if layer.type in _SHARING and layer.bottoms:
            group = self._groups.setdefault(layer.bottoms[0], {layer.bottoms[0]})
            group.update(layer.tops)
            self._groups.update(dict.fromkeys(layer.tops, group))
            return []
        written = set(layer.bottoms[:1]) & set(layer.tops)
        others = {other for name in written for other in self._groups.get(name, ())} - written
        return sorted(name for name in others if self._last_read.get(name, index + 1) > index)
