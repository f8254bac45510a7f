"""Inputs and outputs of a quantised graph as integers, where the app wants to hand over its bytes as they are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from netglot.errors import ConversionError
from netglot.ir.builder import Builder
from netglot.ir.graph import Graph, Node, Value
from netglot.passes.integer_grids import BYTES, DEQUANTIZE, QUANTIZE, Grid, grid_of

SHIFT = 128  # between the zero points of int8 and uint8

KINDS = ("float", "int8", "uint8")


class End(NamedTuple):
    """An input or output that is integers: real = scale (q - zero)."""

    name: str
    grid: Grid


def integer_ends(graph: Graph, dtype: np.dtype) -> list[End]:
    """Inputs that are quantised first, and outputs that are dequantised last, become `dtype`; others stay float."""
    ends = [*_inputs(graph, dtype), *_outputs(graph, dtype)]
    if not ends:
        raise ConversionError(
            "no input or output is quantised, so none can be integers", hint="Leave --quantize-io away."
        )
    graph.drop_unneeded()
    return ends


def _inputs(graph: Graph, dtype: np.dtype) -> list[End]:
    return [_as_input(graph, x, dtype) for x in list(graph.inputs) if _pair_of(graph, x)]


def _pair_of(graph: Graph, x: Value) -> Node | None:
    """The one node that reads the input x and quantises it to 8 bits."""
    readers = graph.consumers(x)
    pair = readers[0] if len(readers) == 1 and graph.uses(x) == 1 and readers[0].op == QUANTIZE else None
    grid = grid_of(pair) if pair else None
    return pair if grid and grid.dtype in BYTES else None


def _as_input(graph: Graph, x: Value, dtype: np.dtype) -> End:
    node = _pair_of(graph, x)
    assert node is not None
    grid = grid_of(node)
    assert grid is not None
    graph.rename(x, graph.unique_name(f"{x.name}/float"))
    given = graph.add_value(node.inputs[0].name.removesuffix("/float") if node.inputs[0] else "", dtype, x.shape)
    graph.inputs = [given if value is x else value for value in graph.inputs]
    graph.replace_uses(node.output, _shifted(graph, given, grid, dtype, node))
    graph.remove_node(node)
    graph.remove_value(x)
    return End(given.name, _like(grid, dtype))


def _outputs(graph: Graph, dtype: np.dtype) -> list[End]:
    nodes = [graph.producer(y) for y in dict.fromkeys(graph.outputs)]
    grids = {node: grid_of(node) for node in nodes if node is not None and node.op == DEQUANTIZE and not node.domain}
    return [_as_output(graph, node, grid, dtype) for node, grid in grids.items() if grid and grid.dtype in BYTES]


def _as_output(graph: Graph, node: Node, grid: Grid, dtype: np.dtype) -> End:
    y, q = node.output, node.inputs[0]
    assert q is not None
    name = y.name
    given = q if grid.dtype == dtype and q not in graph.inputs else None
    if given is None:
        g = Builder(graph)
        given = g.op(QUANTIZE, [y, *_like(grid, dtype).constants(g)])
    graph.rename(y, graph.unique_name(f"{name}/float"))
    graph.rename(given, name)
    graph.outputs = [given if value is y else value for value in graph.outputs]
    return End(name, _like(grid, dtype))


def _like(grid: Grid, dtype: np.dtype) -> Grid:
    """The same numbers, one by one, as the other type of 8 bits."""
    step = 0 if dtype == grid.dtype else SHIFT if dtype == np.uint8 else -SHIFT
    return Grid(grid.scale, grid.zero + step, dtype)


def _shifted(graph: Graph, given: Value, grid: Grid, dtype: np.dtype, node: Node) -> Value:
    if dtype == grid.dtype:
        return given
    g = Builder(graph)
    with g.at(node.origin):
        real = g.op(DEQUANTIZE, [given, *_like(grid, dtype).constants(g)])
        result: Value = g.op(QUANTIZE, [real, *grid.constants(g)])
    return result
