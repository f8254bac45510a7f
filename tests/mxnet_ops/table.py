"""The table of MXNet operators: one row is one node, written as symbol.json and .params by MXNet itself."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.ops.table import In, random
from tests.rows import rows_of


@dataclass(frozen=True)
class P(In):
    """A parameter: random as an In, but saved with the model. Variances are P(shape, low=0.1)."""


@dataclass(frozen=True)
class Row:
    """One node `op(inputs, attributes)`.

    `inputs`, by position: an In is fed, a P or an array is a parameter, a str is a variable that is given nothing (a
    label). They are called data0, data1...; `names` gives them other names. `attributes` become text as Python writes
    them. `outputs`: which outputs are compared. `values`: what is fed or saved, where random numbers will not do, by
    name. `dynamic`: the first axis of what is fed is not known to the converter. `np_shape`: MXNet has NumPy's shapes
    (for operators beginning with _np). `targets`: which targets run the row besides ONNX Runtime ("tflite").
    """

    op: str
    attributes: Mapping[str, Any]
    inputs: Sequence[In | np.ndarray | str]
    name: str = ""
    rtol: float = 1e-5  # of the output's largest value
    outputs: tuple[int, ...] = (0,)
    values: Mapping[str, np.ndarray] = field(default_factory=dict)
    names: Sequence[str] = ()
    dynamic: bool = False
    np_shape: bool = False
    targets: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return f"{self.op}-{self.name}" if self.name else self.op

    def variables(self) -> dict[str, In | np.ndarray | str]:
        names = self.names or [f"data{i}" for i in range(len(self.inputs))]
        return dict(zip(names, self.inputs, strict=True))

    def arrays(self) -> dict[str, np.ndarray]:
        """What is fed and what is saved, by name."""
        rng = np.random.default_rng(zlib.crc32(self.id.encode()))
        found = {}
        for name, item in self.variables().items():
            made = random(rng, item) if isinstance(item, In) else item
            if not isinstance(made, str):
                found[name] = self.values.get(name, made)
        return found

    def fed(self) -> list[str]:
        return [name for name, item in self.variables().items() if isinstance(item, In) and not isinstance(item, P)]

    def symbol(self) -> str:
        names = list(self.variables())
        node = (self.op, "node", self.attributes, [(i, 0) for i in range(len(names))])
        return symbol_json([*names, node], [(len(names), output) for output in self.outputs])


Node = str | tuple[str, str, Mapping[str, Any], Sequence[tuple[int, int]]]


def symbol_json(nodes: Sequence[Node], heads: Sequence[tuple[int, int]]) -> str:
    """symbol.json of `nodes`, which are variables (text) or (operator, name, attributes, inputs as (node, output))."""
    described = [
        {"op": "null", "name": node, "inputs": []} if isinstance(node, str)
        else {
            "op": node[0], "name": node[1], "attrs": {key: str(item) for key, item in node[2].items()},
            "inputs": [[*entry, 0] for entry in node[3]],
        }
        for node in nodes
    ]  # fmt: skip
    variables = [i for i, node in enumerate(nodes) if isinstance(node, str)]
    return json.dumps(
        {
            "nodes": described,
            "arg_nodes": variables,
            "node_row_ptr": list(range(len(nodes) + 1)),
            "heads": [[*entry, 0] for entry in heads],
            "attrs": {"mxnet_version": ["int", 10901]},
        }
    )


def all_rows() -> list[Row]:
    return rows_of("tests.mxnet_ops")
