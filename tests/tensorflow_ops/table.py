"""The table of TensorFlow operators: one row is one call of `tf.raw_ops`, written as a frozen graph by TensorFlow."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tests.ops.table import In, random
from tests.rows import rows_of

Argument = Any  # In: fed; np.ndarray: a constant; a list of these; a Python number or text: an attribute


@dataclass(frozen=True)
class Row:
    """One call `tf.raw_ops.<op>(**arguments)`.

    `dynamic`: the sizes of what is fed are not in the graph. `targets`: which targets run the row besides ONNX Runtime
    ("tflite"). `exact`: results are compared bit by bit (integers and booleans always are). `setup` makes what is fed,
    where random numbers will not do: name -> array. `outputs`: which outputs are compared (all by default).
    """

    op: str
    arguments: Mapping[str, Argument]
    name: str = ""
    rtol: float = 1e-5  # of the output's largest value
    dynamic: bool = False
    targets: tuple[str, ...] = ()
    values: Mapping[str, np.ndarray] = field(default_factory=dict)
    outputs: tuple[int, ...] | None = None

    @property
    def id(self) -> str:
        return f"{self.op}-{self.name}" if self.name else self.op

    def feed(self) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(zlib.crc32(self.id.encode()))
        return {name: self.values.get(name, random(rng, item)) for name, item in fed(self.arguments).items()}


def fed(arguments: Mapping[str, Argument]) -> dict[str, In]:
    """What is fed, by name; the parts of a list argument are name_0, name_1..."""
    found = {}
    for name, item in arguments.items():
        parts = item if isinstance(item, list) else [item]
        for index, part in enumerate(parts):
            if isinstance(part, In):
                found[f"{name}_{index}" if isinstance(item, list) else name] = part
    return found


def build(row: Row, feed: Mapping[str, np.ndarray], path: Path) -> tuple[list[str], list[np.ndarray]]:
    """Writes the row's frozen graph; returns its outputs' names and what TensorFlow computes for `feed`."""
    import tensorflow as tf

    specs = [
        tf.TensorSpec([None] * array.ndim if row.dynamic else array.shape, array.dtype, name=name)
        for name, array in feed.items()
    ]

    @tf.function(autograph=False, input_signature=specs)
    def run(*tensors: Any) -> Any:
        by_name = dict(zip(feed, tensors, strict=True))
        arguments = {name: _argument(name, item, by_name) for name, item in row.arguments.items()}
        results = getattr(tf.raw_ops, row.op)(**arguments)
        results = list(results) if isinstance(results, (tuple, list)) else [results]
        results = [results[i] for i in row.outputs] if row.outputs is not None else results
        return [tf.identity(result, name=f"result_{i}") for i, result in enumerate(results)]

    concrete = run.get_concrete_function()
    definition = concrete.graph.as_graph_def()
    path.write_bytes(definition.SerializeToString())
    names = [tensor.name.removesuffix(":0") for tensor in concrete.outputs]
    results = concrete(**{k: tf.constant(v) for k, v in feed.items()})
    return names, [_plain(np.asarray(item)) for item in results]


def _plain(array: np.ndarray) -> np.ndarray:
    """Strings as text: TensorFlow's are bytes."""
    return np.vectorize(bytes.decode, otypes=[object])(array) if array.dtype.kind == "O" else array


def _argument(name: str, item: Argument, fed: Mapping[str, Any]) -> Any:
    if isinstance(item, In):
        return fed[name]
    if isinstance(item, list) and any(isinstance(part, (In, np.ndarray)) for part in item):
        return [fed[f"{name}_{i}"] if isinstance(part, In) else part for i, part in enumerate(item)]
    return item


def all_rows() -> list[Row]:
    return rows_of("tests.tensorflow_ops")
