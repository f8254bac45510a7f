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
    inputs = [value for value in graph.inputs if _is_image(value)]
    outputs = [value for value in graph.outputs if _is_image(value) and value not in graph.inputs]
    for value in inputs:
        _move_input(graph, value)
    for value in outputs:
        _move_output(graph, value)
    return bool(inputs or outputs)


def _is_image(value: Value) -> bool:
    return value.shape is not None and value.rank == 4


def _move_input(graph: Graph, value: Value) -> None:
    """`value` becomes an inner value, computed from a new input that takes its name (and its place as an output)."""
    last = channels_last(4)
    assert value.shape is not None
    name = value.name
    graph.rename(value, graph.unique_name(f"{name}/nchw"))
    twin = graph.add_value(name, value.dtype, tuple(value.shape[axis] for axis in last))
    graph.inputs[graph.inputs.index(value)] = twin
    graph.outputs = [twin if out is value else out for out in graph.outputs]
    graph.add_node(Node("Transpose", [twin], [value], {"perm": tuple(last.index(axis) for axis in range(4))}))


def _move_output(graph: Graph, value: Value) -> None:
    last = channels_last(4)
    assert value.shape is not None
    name = value.name
    graph.rename(value, graph.unique_name(f"{name}/nchw"))
    twin = graph.add_value(name, value.dtype, tuple(value.shape[axis] for axis in last))
    graph.add_node(Node("Transpose", [value], [twin], {"perm": last}))
    graph.outputs[graph.outputs.index(value)] = twin
