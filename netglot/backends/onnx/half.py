"""float32 -> float16: weights and computation, with inputs and outputs as they were."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Node, Value
from netglot.ir.half import HALF, constant_misfit
from netglot.ir.schema import OPSET, infer
from netglot.ir.types import to_onnx
from netglot.ir.versions import Formal, signature, type_text

FLOAT = np.dtype(np.float32)


def to_half(graph: Graph, keep: Collection[str] = (), inside: Collection[str] = ()) -> None:
    """Makes `graph` compute in float16 wherever the operator's schema lets it.

    A node stays in float32 if it computes or reads a value that `keep` names, if it has a constant that float16 can't
    hold (a mask of -1e9, an epsilon of 1e-12), or if ONNX Runtime has no kernel for it; Casts stand between. What
    `inside` names of `keep` is only computed in float32. Bodies of If, Loop and Scan take and give what they did, and
    compute in float16 in between.
    """
    halver = _Halver(graph, frozenset(keep), frozenset(keep).difference(inside))
    halver.convert_all()
    graph.outputs = [halver.output(value) for value in graph.outputs]
    graph.drop_unneeded()


class _Halver:
    """Converts node by node; `halves` and `fulls` are the twins of values, made once.

    `changed` are the values that were float32, those of the graphs around this one too.
    """

    def __init__(
        self, graph: Graph, made: frozenset[str], read: frozenset[str], changed: Collection[Value] = ()
    ) -> None:
        """made, read: values whose producers and whose readers stay in float32."""
        self.g, self.made, self.read = Builder(graph), made, read
        self.halves: dict[Value, Value] = {}
        self.fulls: dict[Value, Value] = {}
        self.changed: set[Value] = set(changed)

    def convert_all(self) -> None:
        for node in self.g.graph.nodes():
            with self.g.at(node.origin):
                if any(node.subgraphs()):
                    self.convert_bodies(node)
                else:
                    self.convert(node)

    def convert(self, node: Node) -> None:
        to = self.half if self.is_halved(node) else self.full
        inputs = [value if value is None else to(value, formal) for value, formal in _with_formals(node)]
        self.g.graph.set_inputs(node, inputs)
        results = infer(node.op, node.domain, node.attributes, inputs, len(node.outputs), node.origin)
        for value, (dtype, _) in zip(node.outputs, results, strict=True):
            if value.dtype == FLOAT and dtype == HALF:
                self.changed.add(value)
                value.dtype = dtype

    def convert_bodies(self, node: Node) -> None:
        """Their inputs and outputs stay, as do those of the node; what they read from around them may be halves."""
        for body in node.subgraphs():
            inner = _Halver(body, self.made, self.read, self.changed)
            inner.convert_all()
            body.outputs = [inner.full(value) for value in body.outputs]
            body.drop_unneeded()
        self.g.graph.set_inputs(node, [value if value is None else self.full(value) for value in node.inputs])

    def is_halved(self, node: Node) -> bool:
        if any(value.name in self.made for value in node.outputs) or not _has_half(node):
            return False
        given = [value for value in node.inputs if value is not None]
        return all(value.name not in self.read and _fits_half(value) for value in given)

    def half(self, value: Value, formal: Formal) -> Value:
        if type_text(HALF) not in formal.types:
            return self.full(value, formal)
        if value.dtype != FLOAT:
            return value
        if value not in self.halves:
            self.halves[value] = (
                self.g.Cast(value, to=to_onnx(HALF)) if value.data is None
                else self.g.constant(value.data.astype(HALF), name=f"{value.name}/half")
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


def _fits_half(value: Value) -> bool:
    return value.data is None or value.dtype != FLOAT or not constant_misfit(value.data)
