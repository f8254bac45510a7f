"""float32 -> float16: weights and computation, with inputs and outputs as they were."""

from __future__ import annotations

import numpy as np

from netglot.backends.lowering import problem
from netglot.errors import UnsupportedError
from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Node, Value
from netglot.ir.schema import OPSET, infer
from netglot.ir.types import to_onnx
from netglot.ir.versions import Formal, signature, type_text

FLOAT, HALF = np.dtype(np.float32), np.dtype(np.float16)
LARGEST = float(np.finfo(HALF).max)


def to_half(graph: Graph) -> None:
    """Makes `graph` compute in float16 wherever the operator's schema lets it.

    A node stays in float32 if it has a constant that float16 can't hold (a mask of -1e9, say), or if ONNX Runtime has
    no kernel for it; Casts stand between.
    Raises UnsupportedError with every If, Loop and Scan.
    """
    nodes = graph.nodes()
    problems = [problem(node, f"float16 does not reach into the body of {node.op} yet") for node in nodes
                if any(node.subgraphs())]  # fmt: skip
    if problems:
        raise UnsupportedError(problems)
    halver = _Halver(graph)
    for node in nodes:
        halver.convert(node)
    graph.outputs = [halver.output(value) for value in graph.outputs]
    graph.drop_unneeded()


class _Halver:
    """Converts node by node; `halves` and `fulls` are the twins of values, made once."""

    def __init__(self, graph: Graph) -> None:
        self.g = Builder(graph)
        self.halves: dict[Value, Value] = {}
        self.fulls: dict[Value, Value] = {}
        self.changed: set[Value] = set()

    def convert(self, node: Node) -> None:
        with self.g.at(node.origin):
            to = self.half if _has_half(node) and all(map(_fits_half, node.inputs)) else self.full
            inputs = [value if value is None else to(value, formal) for value, formal in _with_formals(node)]
        self.g.graph.set_inputs(node, inputs)
        results = infer(node.op, node.domain, node.attributes, inputs, len(node.outputs), node.origin)
        for value, (dtype, _) in zip(node.outputs, results, strict=True):
            if value.dtype == FLOAT and dtype == HALF:
                self.changed.add(value)
                value.dtype = dtype

    def half(self, value: Value, formal: Formal) -> Value:
        if type_text(HALF) not in formal.types:
            return self.full(value, formal)
        if value.dtype != FLOAT:
            return value
        if value not in self.halves:
            self.halves[value] = (
                self.g.Cast(value, to=to_onnx(HALF)) if value.data is None
                else self.g.constant(value.data.astype(HALF), name=value.name)
            )  # fmt: skip
        return self.halves[value]

    def full(self, value: Value, formal: Formal | None = None) -> Value:
        """What was float32 in the source, as float32 again."""
        if value not in self.changed:
            return value
        if value not in self.fulls:
            self.fulls[value] = self.g.Cast(value, to=to_onnx(FLOAT))
        return self.fulls[value]

    def output(self, value: Value) -> Value:
        """The output in its own type and under its own name."""
        full, name = self.full(value), value.name
        if full is not value:
            self.g.graph.rename(value, self.g.graph.unique_name(f"{name}/half"))
            self.g.graph.rename(full, name)
        return full


def _with_formals(node: Node) -> list[tuple[Value | None, Formal]]:
    found = signature(node.op, node.domain, OPSET)
    assert found is not None
    return [(value, found.inputs[min(i, len(found.inputs) - 1)]) for i, value in enumerate(node.inputs)]


def _has_half(node: Node) -> bool:
    """ONNX Runtime's scatters reduce no halves."""
    return not node.op.startswith("Scatter") or node.attributes.get("reduction", "none") in ("none", b"none")


def _fits_half(value: Value | None) -> bool:
    if value is None or value.data is None or value.dtype != FLOAT:
        return True
    finite = value.data[np.isfinite(value.data)]
    return bool(np.abs(finite).max(initial=0) <= LARGEST)
