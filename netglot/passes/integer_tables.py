"""QuantizeLinear(f(DequantizeLinear(q))) -> netglot.Lookup8(q, table), for every f of one number.

f is any composition of elementwise operators with numbers; x Sigmoid(x), written out, is one. Where the table says no
more than that, the result is q itself, or Clip(q).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from netglot.ir.builder import Builder
from netglot.ir.extension import OPERATORS
from netglot.ir.extension.reference import compute
from netglot.ir.graph import Graph, Node, Value
from netglot.ir.schema import DOMAIN
from netglot.passes.integer_grids import BYTES, FLOAT, Grid, Tensor, tensor
from netglot.passes.integer_moves import discard
from netglot.passes.match import producer, supplant

_POINTWISE = (
    "Abs", "Add", "Ceil", "Celu", "Clip", "Cos", "Div", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid",
    "HardSwish", "Identity", "LeakyRelu", "Log", "Max", "Min", "Mish", "Mul", "Neg", "Pow", "Reciprocal", "Relu",
    "Round", "Selu", "Sigmoid", "Sign", "Sin", "Softplus", "Softsign", "Sqrt", "Sub", "Swish", "Tanh",
    "ThresholdedRelu",
)  # fmt: skip


def pointwise(g: Builder, y: Value, grid: Grid) -> Value | None:
    """`y` as integers of `grid`, if it is a function of one number, by a table; None if it is not."""
    root = _root(g.graph, y)
    if root is None:
        return None
    known: dict[Value, np.ndarray] = {}
    with np.errstate(all="ignore"):
        real = _compute(g.graph, y, root, known)
    return None if np.isnan(real).any() else looked_up(g, root, grid.quantised(real))


def looked_up(g: Builder, x: Tensor, table: np.ndarray) -> Value:
    """table[x.q], by the simplest operator that gives it."""
    levels = x.grid.levels()
    low, high = table.min(), table.max()
    if table.dtype != levels.dtype or not np.array_equal(table, np.clip(levels, low, high)):
        result: Value = g.extension("Lookup8", [x.q, table])
        return result
    limits = [None if limit == end else np.array(limit) for limit, end in ((low, levels.min()), (high, levels.max()))]
    return x.q if limits == [None, None] else g.Clip(x.q, *limits)


def _root(graph: Graph, y: Value) -> Tensor | None:
    """The only 8-bit tensor that `y` is computed from, element by element."""
    roots: set[Value] = set()
    found: Tensor | None = None
    for value in _sources(graph, y):
        x = tensor(graph, value) if value is not None else None
        if x is None or x.q.shape is None or x.q.shape != y.shape or None in x.q.shape or x.q.is_constant:
            return None
        roots.add(x.q)
        found = x
    return found if len(roots) == 1 else None


def _sources(graph: Graph, y: Value) -> Iterator[Value | None]:
    """What the elementwise nodes above `y` read; None for what is not of its shape."""
    waiting, seen = [y], {y}
    while waiting:
        value = waiting.pop()
        node = producer(graph, value, *_POINTWISE)
        if node is None or value.shape != y.shape or value.dtype != FLOAT:
            yield value if value.shape == y.shape else None
            continue
        parts = [part for part in node.inputs if part is not None and not _is_number(part) and part not in seen]
        seen.update(parts)
        waiting += parts


def _is_number(value: Value) -> bool:
    return value.data is not None and value.data.size == 1 and value.dtype == FLOAT


def _compute(graph: Graph, y: Value, root: Tensor, known: dict[Value, np.ndarray]) -> np.ndarray:
    """`y` for each of the 256 integers."""
    if y not in known:
        node = producer(graph, y, *_POINTWISE)
        known[y] = root.grid.real(root.grid.levels()) if node is None else _result(graph, node, root, known)
    return known[y]


def _result(graph: Graph, node: Node, root: Tensor, known: dict[Value, np.ndarray]) -> np.ndarray:
    def argument(value: Value | None) -> np.ndarray | None:
        if value is None or value.data is not None:
            return None if value is None else value.array.reshape(())
        return _compute(graph, value, root, known)

    return compute(node.op, *map(argument, node.inputs), **node.attributes)


# ---------------------------------------------------------------- tables of tables


def merge_tables(graph: Graph) -> bool:
    """IntegerMul(x, Lookup8(x)), Clip(Lookup8(x))... -> Lookup8(x)."""
    return any([_merge(graph, node) for node in graph.nodes() if _computed(node)])


def _computed(node: Node) -> tuple[int, ...]:
    """Which inputs of `node` are 8-bit integers that are computed, if a table can take the place of such nodes."""
    if node.domain == DOMAIN:
        return {"Lookup8": (0,), "IntegerAdd": (0, 3), "IntegerMul": (0, 3)}.get(node.op, ())
    constant = all(value is None or value.is_constant for value in node.inputs[1:])
    return (0,) if node.op == "Clip" and node.output.dtype in BYTES and constant else ()


def _merge(graph: Graph, node: Node) -> bool:
    values = [value for place in _computed(node) if (value := node.inputs[place]) is not None]
    tables = [_table(graph, value) for value in values]
    root = tables[0][0]
    same = all(one is root and value.shape == root.shape for (one, _), value in zip(tables, values, strict=True))
    if not same or all(value is root for value in values) or root.is_constant or root.dtype is None:
        return False
    g, makers = Builder(graph), [graph.producer(value) for value in values]
    with g.at(node.origin):
        supplant(graph, node, g.extension("Lookup8", [root, _run(node, [table for _, table in tables])]))
    for maker in makers:
        if maker is not None:
            discard(graph, maker)
    return True


def _run(node: Node, tables: list[np.ndarray]) -> np.ndarray:
    """What `node` makes of these in the place of what is computed."""
    arguments: list[Any] = [None if value is None else value.data for value in node.inputs]
    for place, table in zip(_computed(node), tables, strict=True):
        arguments[place] = table
    known = OPERATORS[node.op].run(*arguments, **node.attributes) if node.domain else compute(node.op, *arguments)
    return np.asarray(known)


def _table(graph: Graph, value: Value) -> tuple[Value, np.ndarray]:
    """What `value` is looked up from or limited, and the table; other values are their own."""
    levels: np.ndarray = np.arange(256, dtype=np.uint8).view(value.dtype or np.uint8)
    node = graph.producer(value) if value in graph.nx else None
    if node is None or node.inputs[0] is None or _computed(node) != (0,):
        return value, levels
    x = node.inputs[0]
    return x, _run(node, [np.arange(256, dtype=np.uint8).view(x.dtype or np.uint8)])
