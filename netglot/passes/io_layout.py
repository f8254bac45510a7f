"""Inputs and outputs in the layout the user wants: input -> Transpose(input'), output -> Transpose(output)."""

from __future__ import annotations

from netglot.ir.graph import Graph, Node, Value
from netglot.passes.layout import channels_last


def change_io_layout(graph: Graph, io_layout: str) -> bool:
    """With "nhwc" every rank-4 input and output becomes channels-last; "keep" and "nchw" leave the graph as it is.

    All sources so far are channels-first. A channels-last target absorbs these Transposes (see layout.py).
    """
    if io_layout != "nhwc":
        return False
    moved = [_move_input(graph, value) for value in list(graph.inputs) if value.shape is not None and value.rank == 4]
    moved += [
        _move_output(graph, value) for value in list(graph.outputs) if value.shape is not None and value.rank == 4
    ]
    return bool(moved)


def _move_input(graph: Graph, value: Value) -> Value:
    """`value` becomes an inner value, computed from a new input that takes its name."""
    last = channels_last(4)
    assert value.shape is not None
    name = value.name
    graph.rename(value, graph.unique_name(f"{name}/nchw"))
    twin = graph.add_value(name, value.dtype, tuple(value.shape[axis] for axis in last))
    graph.inputs[graph.inputs.index(value)] = twin
    graph.add_node(Node("Transpose", [twin], [value], {"perm": tuple(last.index(axis) for axis in range(4))}))
    return twin


def _move_output(graph: Graph, value: Value) -> Value:
    last = channels_last(4)
    assert value.shape is not None
    name = value.name
    if value in graph.inputs:
        raise ValueError(f"'{name}' is an input and an output at once")
    graph.rename(value, graph.unique_name(f"{name}/nchw"))
    twin = graph.add_value(name, value.dtype, tuple(value.shape[axis] for axis in last))
    graph.add_node(Node("Transpose", [value], [twin], {"perm": last}))
    graph.outputs[graph.outputs.index(value)] = twin
    return twin
