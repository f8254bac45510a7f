"""Inputs and outputs in the layout the user wants: input -> Transpose(input'), output -> Transpose(output)."""

from __future__ import annotations

from netglot.ir.graph import Graph, Node, Value
from netglot.ir.types import channels_last, inverse


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
    """`value` is computed from a new input that takes its name (and its place as an output)."""
    twin = _twin(graph, value)
    graph.inputs[graph.inputs.index(value)] = twin
    graph.outputs = [twin if out is value else out for out in graph.outputs]
    graph.add_node(Node("Transpose", [twin], [value], {"perm": inverse(channels_last(4))}))


def _move_output(graph: Graph, value: Value) -> None:
    """A new output, computed from `value`, takes its name."""
    twin = _twin(graph, value)
    graph.add_node(Node("Transpose", [value], [twin], {"perm": channels_last(4)}))
    graph.outputs[graph.outputs.index(value)] = twin


def _twin(graph: Graph, value: Value) -> Value:
    """A channels-last value under the name of `value`, which gives it up."""
    assert value.shape is not None
    name = value.name
    graph.rename(value, graph.unique_name(f"{name}/nchw"))
    return graph.add_value(name, value.dtype, tuple(value.shape[axis] for axis in channels_last(4)))
