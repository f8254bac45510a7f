"""A Core ML model to the graph: finds out which kind it is, and names inputs and outputs as the source did."""

from __future__ import annotations

from pathlib import Path

from netglot.errors import Origin, UnsupportedError
from netglot.frontends.coreml.interface import Interface
from netglot.frontends.coreml.network import read_network
from netglot.frontends.coreml.package import Blobs, read_model
from netglot.frontends.coreml.program import read_program
from netglot.frontends.options import LoadOptions
from netglot.ir.graph import Graph

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
