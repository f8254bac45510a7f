"""What the function of a MIL operation or a neural network layer sees, and `mil_op` and `nn_layer` to register it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from netglot.ir.builder import Builder
from netglot.ir.graph import Value
from netglot.registry import registry

if TYPE_CHECKING:
    from netglot.registry import Function

MIL, NN = "coreml-mil", "coreml-nn"  # the registry's names of the two kinds of model

Ints = tuple[int, ...]

# What arithmetic on the numbers of a hostile file raises: sizes that do not fit, choices that do not exist, no stride.
NONSENSE = (ArithmeticError, LookupError, TypeError, ValueError, MemoryError)


def mil_op(*ops: str, override: bool = False) -> Callable[[Function], Function]:
    """Registers a function for MIL operations.

    Its keyword-only parameters are the operation's own, with MIL's defaults. One annotated Value gets a tensor,
    list[Value] several; any other is a constant of the program, converted to the annotated type.
    """
    return registry.add(MIL, *ops, override=override)


def nn_layer(*types: str, override: bool = False) -> Callable[[Function], Function]:
    """Registers a function for layers of a neural network.

    Its positional parameters are the layer's inputs; its keyword-only ones are fields of the layer's message, converted
    to the annotated types (Weights: the numbers of a WeightParams message, flat or quantised).
    """
    return registry.add(NN, *types, override=override)


class CoreMLBuilder(Builder):
    """A Builder with the shorthands that the operations share."""

    def rename(self, value: Value, name: str) -> Value:
        """`value` under `name` (with a number where that is taken). Its node is called as it is, now and later."""
        if value.name != name:
            self.graph.rename(value, self.graph.unique_name(name))
        return value

    def add_output(self, value: Value, name: str) -> None:
        """Makes `value` the next output of the graph, called `name`; an inner value that has the name gives it up."""
        graph = self.graph
        if value.is_constant or value in graph.inputs or value in graph.outputs:
            value = self.Identity(value)
        taken = graph[name] if name in graph else value  # noqa: SIM401  (a Graph is no dict)
        if taken is not value and taken not in graph.inputs:
            self.rename(taken, f"{name}/inner")
        graph.outputs.append(self.rename(value, name))

    def like(self, x: Value, number: float) -> Value:
        """A scalar constant of the type of `x`."""
        return self.constant(np.asarray(number, x.dtype))

    def reshape(self, x: Value, shape: tuple[int, ...]) -> Value:
        """x with `shape`, sizes all known."""
        return x if x.sizes == tuple(shape) else self.Reshape(x, np.array(shape, np.int64))

    def vector(self, data: np.ndarray, rank: int, axis: int) -> Value:
        """A vector that is broadcast along `axis` of a tensor of `rank`."""
        shape = [1] * rank
        shape[axis] = data.size
        return self.constant(data.reshape(shape))
