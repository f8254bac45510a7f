"""A Core ML model to the graph: finds out which kind it is, and names inputs and outputs as the source did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from netglot.errors import ConversionError, Origin, UnsupportedError
from netglot.frontends.coreml.network import read_network
from netglot.frontends.coreml.package import Blobs, read_model
from netglot.frontends.coreml.program import read_program
from netglot.frontends.options import LoadOptions
from netglot.ir.graph import Graph

NAMES, TYPES = "netglot.names", "netglot.types"  # metadata of our own: see the Core ML backend

_NETWORKS = ("neuralNetwork", "neuralNetworkClassifier", "neuralNetworkRegressor")


def load(path: Path, weights: Path | None = None, options: LoadOptions = LoadOptions()) -> Graph:
    """Reads `path` (.mlpackage or .mlmodel) into a Graph.

    Images are float tensors 1xCxHxW of 0 to 255, in the channel order that the model declares. The label of a
    classifier is left out: its output is the tensor of probabilities.
    """
    model, root = read_model(path)
    kind = model.WhichOneof("Type")
    interface = Interface(model.description, path)
    if kind == "mlProgram":
        graph = read_program(model, Blobs(root), options, interface)
    elif kind in _NETWORKS:
        graph = read_network(model, getattr(model, kind), options, interface)
    else:
        hint = "ML Programs and neural networks are."
        raise UnsupportedError(f"the model type '{kind}' is not supported", Origin(str(path)), hint)
    graph.drop_unneeded()  # constants that were transposed on the way in
    return graph


class Interface:
    """What the model's description says of its inputs and outputs, with the true names and types where we wrote it."""

    def __init__(self, description: Any, path: Path) -> None:
        self.description, self.file = description, str(path)
        self.names: dict[str, str] = self._metadata(NAMES)
        self.types: dict[str, Any] = self._metadata(TYPES)

    def name(self, feature: str) -> str:
        return str(self.names.get(feature, feature))

    def _metadata(self, key: str) -> dict[str, Any]:
        text = self.description.metadata.userDefined.get(key, "{}")
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise ConversionError(f"the metadata '{key}' is broken", Origin(self.file))
        return found
