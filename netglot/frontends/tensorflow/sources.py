"""Queues and iterators of TensorFlow 1: what a training graph reads from one is an input of the network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from netglot.frontends.tensorflow.builder import Handle, TFBuilder, tf_op
from netglot.ir.graph import Value
from netglot.ir.types import Shape


def inputs(g: TFBuilder, types: Sequence[Any], shapes: Sequence[Shape | None]) -> tuple[Value, ...]:
    """An input for each component, named after its tensor: "node", "node:1"..."""
    reader = g.reader
    if g.graph is not reader.main.g.graph:
        raise g.unsupported("an input that is read inside of a function")
    if len(types) != len(shapes):
        raise g.unsupported("components whose shapes are not in the graph", "Name them with their shapes: --input")
    names = [g.origin.layer + (f":{index}" if index else "") for index in range(len(types))]
    for name, dtype, shape in zip(names, types, shapes, strict=True):
        reader.add_input(name, name, dtype, shape)
    return tuple(reader.main.arguments[name] for name in names)


@tf_op("Iterator", "IteratorV2", "OneShotIterator")
def iterator(g: TFBuilder, *, output_shapes: Any = (), dataset_factory: Any = None) -> Handle:
    return Handle("iterator", g.origin.layer)


@tf_op("IteratorGetNext", "IteratorGetNextSync", handles=True)
def get_next(g: TFBuilder, source: Handle, *, output_types: Any, output_shapes: Any) -> tuple[Value, ...]:
    return inputs(g, output_types, output_shapes)


@tf_op(
    "FIFOQueue", "FIFOQueueV2", "PaddingFIFOQueue", "PaddingFIFOQueueV2", "RandomShuffleQueue", "RandomShuffleQueueV2",
)  # fmt: skip
def queue(
    g: TFBuilder, *, component_types: Any, shapes: Any = (), capacity: int = -1, min_after_dequeue: int = 0,
    seed: int = 0, seed2: int = 0,
) -> Handle:  # fmt: skip
    """In which order it hands out its elements does not matter for what is computed of one."""
    return Handle("queue", g.origin.layer, extra={"types": component_types, "shapes": shapes})


@tf_op("QueueDequeue", "QueueDequeueV2", handles=True)
def dequeue(g: TFBuilder, source: Handle, *, component_types: Any, timeout_ms: int = -1) -> tuple[Value, ...]:
    return inputs(g, component_types, source.extra["shapes"])


@tf_op("QueueDequeueMany", "QueueDequeueManyV2", "QueueDequeueUpTo", "QueueDequeueUpToV2", handles=True)
def dequeue_many(
    g: TFBuilder, source: Handle, count: Value, *, component_types: Any, timeout_ms: int = -1
) -> tuple[Value, ...]:
    """A batch; how many elements the graph asks for is no property of the network."""
    shapes = [None if shape is None else (None, *shape) for shape in source.extra["shapes"]]
    return inputs(g, component_types, shapes)


@tf_op("IsVariableInitialized", "VarIsInitializedOp", handles=True)
def is_initialized(g: TFBuilder, variable: Any) -> Value:
    """A network that is converted has been trained."""
    return g.constant(np.array(True))
