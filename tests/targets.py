"""Writes a graph to a target and runs the file with somebody else's runtime."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from netglot.ir.graph import Graph

Arrays = Mapping[str, np.ndarray]


def run_onnx(graph: Graph, inputs: Arrays, folder: Path) -> dict[str, np.ndarray]:
    from netglot.backends.onnx import save
    from netglot.runtimes.onnxruntime import OnnxRuntime

    save(graph, folder / "model.onnx")
    return OnnxRuntime(folder / "model.onnx").run(inputs)


def run_tflite(graph: Graph, inputs: Arrays, folder: Path) -> dict[str, np.ndarray]:
    from netglot.backends.tflite import save
    from netglot.runtimes.litert import LiteRT

    save(graph, folder / "model.tflite")
    return LiteRT(folder / "model.tflite").run(inputs)


TARGETS: dict[str, Callable[[Graph, Arrays, Path], dict[str, np.ndarray]]] = {"onnx": run_onnx, "tflite": run_tflite}


def has(target: str, op: str, domain: str = "") -> bool:
    """Whether the backend of `target` has a function for `op`. ONNX needs none: the IR's operators are its own."""
    from netglot.registry import registry

    importlib.import_module(f"netglot.backends.{target}")
    return target == "onnx" or registry.find(target, f"{domain}.{op}" if domain else op) is not None
