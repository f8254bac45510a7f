"""Control flow, as it was before the pinned opset."""

from __future__ import annotations

from typing import Any

from netglot.frontends.onnx.builder import OnnxBuilder, onnx_op
from netglot.ir.graph import Graph, Value


@onnx_op("Scan", since=8, until=9)
def scan_8(
    g: OnnxBuilder, lengths: Value | None, *inputs: Value, body: Graph, num_scan_inputs: int,
    directions: tuple[int, ...] | None = None,
) -> Any:  # fmt: skip
    """A batch axis came before the one that is scanned: today that is a Scan over the batch around the Scan."""
    if lengths is not None:
        g.refuse("Scan with sequences of different lengths")
    sample = OnnxBuilder(Graph("sample"))
    of_sample = [sample.graph.add_value("x", x.dtype, x.shape and x.shape[1:]) for x in inputs]
    sample.graph.inputs = of_sample
    results = sample.op(
        "Scan", of_sample, outputs=g.outputs, body=body, num_scan_inputs=num_scan_inputs,
        scan_input_directions=directions,
    )  # fmt: skip
    sample.graph.outputs = list(results) if isinstance(results, tuple) else [results]
    return g.op("Scan", inputs, outputs=g.outputs, body=sample.graph, num_scan_inputs=len(inputs))
