"""Writes a graph as a folder of C++17 that compiles by itself and allocates nothing."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import numpy as np

from netglot.backends import lowering
from netglot.backends.composed import compose
from netglot.backends.cpp import files
from netglot.backends.cpp.arena import plan
from netglot.backends.cpp.context import CppBuilder
from netglot.backends.cpp.control import MOST_STEPS
from netglot.backends.cpp.literals import blocks, c_type
from netglot.backends.lowering import NotMappedError
from netglot.errors import ConversionError, Problem
from netglot.ir import types
from netglot.ir.graph import Graph, Value
from netglot.passes.control import lower_control

ELEMENTS = 1 << 18  # numbers in one weights file, about: a compiler takes half a second for them


def save(graph: Graph, path: Path) -> int:
    """Writes `graph` into the folder `path`; returns the number of nodes written.

    ConversionError where a shape is not known or C++ has not the type of an input or output; UnsupportedError with
    every node that can't be written.
    """
    lower_control(graph, MOST_STEPS, select=True, recurrent=False)
    refused = compose(graph, "cpp")
    _check_types(graph)
    m = CppBuilder(graph)
    lowering.lower(graph, "cpp", m.add, refused)
    m.copy_outputs()
    parts = _split(m.constants)
    model = files.Model.of(graph, m, plan(m.buffers()), [f"weights_{i}.cpp" for i in range(len(parts))])
    path.mkdir(parents=True, exist_ok=True)
    for name, text in files.texts(model).items():
        (path / name).write_text(text, encoding="ascii")
    for source in resources.files("netglot.backends.cpp").joinpath("runtime").iterdir():
        if source.name.endswith((".h", ".cpp")):
            (path / source.name).write_bytes(source.read_bytes())
    for old in path.glob("weights_*.cpp"):
        old.unlink()
    for file, names in zip(model.weight_files, parts, strict=True):
        _write_weights(path / file, model.namespace, {name: m.constants[name] for name in names})
    return len(graph.nodes())


def _check_types(graph: Graph) -> None:
    unknown = [value for value in graph.values() if not types.is_static(value.shape)]
    inputs = [value for value in graph.inputs if value in unknown]
    problems = [_unknown_shape(graph, value) for value in inputs or unknown[:1]]
    problems += [problem for value in (*graph.inputs, *graph.outputs) for problem in _unknown_type(value)]
    if problems:
        raise ConversionError(problems)


def _unknown_shape(graph: Graph, value: Value) -> Problem:
    what = f"C++ code is for fixed shapes, and that of '{value.name}' is {types.text(value.shape)}"
    maker = graph.producer(value)
    if maker is None:
        return Problem(what, hint="Give the shape of every input: --input NAME:1x3x224x224")
    return Problem(what, maker.origin, hint="Sizes that the data decide stay open in ONNX, TFLite and Core ML.")


def _unknown_type(value: Value) -> list[Problem]:
    try:
        c_type(value.dtype)
    except NotMappedError as reason:
        return [Problem(f"'{value.name}' can't be an input or output of C++ code: {reason}")]
    return []


def _split(constants: Mapping[str, np.ndarray]) -> list[list[str]]:
    """Names of constants for each file: as many as fit into its size, at least one."""
    parts: list[list[str]] = []
    room = 0
    for name, array in constants.items():
        if array.size > room or not parts:
            parts.append([])
            room = ELEMENTS
        parts[-1].append(name)
        room -= array.size
    return parts


def _write_weights(path: Path, namespace: str, constants: Mapping[str, np.ndarray]) -> None:
    with path.open("wb") as file:
        file.write(files.weights_head(namespace).encode())
        for name, array in constants.items():
            file.write(f"const {c_type(array.dtype)} {name}[{max(1, array.size)}] = {{\n".encode())
            file.writelines(blocks(array))
            file.write(b"};\n")
        file.write(files.weights_tail(namespace).encode())
