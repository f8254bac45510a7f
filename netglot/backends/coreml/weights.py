"""What stored weights need before they are written: a form that Core ML has, and the order that its operations want.

Gemm(a, DequantizeLinear(w)) -> Gemm(a, DequantizeLinear(w^T), transB);
DequantizeLinear(DynamicQuantizeLinear(x)) -> x; everything that Core ML must have dense -> a dense constant.
"""

from __future__ import annotations

from math import prod

import numpy as np

from netglot.errors import Problem
from netglot.ir.graph import Graph, Node, Value
from netglot.passes.dead_code import remove_dead_code
from netglot.passes.decompress import COMPRESSED, decompress
from netglot.passes.fold_constants import fold_constants
from netglot.passes.pipeline import run

DEQUANTIZE, QUANTIZE = "DequantizeLinear", "QuantizeLinear"
INTEGERS = ("int8", "uint8", "int4", "uint4")  # what constexpr operations hold

# Which inputs may be weights that Core ML decompresses itself; all others must be dense constants.
_READERS = {
    "Conv": (1,), "ConvTranspose": (1,), "Gemm": (1,), "MatMul": (0, 1), "Gather": (0,), "Add": (0, 1), "Mul": (0, 1),
}  # fmt: skip


def prepare_weights(graph: Graph) -> None:
    """Rewrites stored weights and quantised activations of `graph`, in place, into what Core ML has."""
    _leave_dynamic(graph)
    for node in graph.nodes():
        if node.op == "Gemm":
            _turn(graph, node)
        elif node.op == QUANTIZE:
            _centre(graph, node)
    if decompress(graph, DEQUANTIZE, *COMPRESSED, where=lambda holder, node: not _is_written(holder, node)):
        run(graph, [fold_constants])  # what moves or computes with them
    run(graph, [remove_dead_code])


def is_stored(node: Node | None) -> bool:
    """Whether `node` decompresses constants."""
    if node is None or node.op not in (DEQUANTIZE, *COMPRESSED):
        return False
    return all(value is None or value.is_constant for value in node.inputs)


def _is_written(graph: Graph, node: Node) -> bool:
    """Whether Core ML can hold what `node` decompresses, and everything that reads it can do with that."""
    data = node.inputs[0]
    if not node.output.shape or data is None or 0 in node.output.shape or node.output in graph.outputs:
        return False
    if node.op == DEQUANTIZE and (data.dtype is None or data.dtype.name not in INTEGERS or not _is_smaller(node)):
        return False
    return all(_takes(reader, node.output) for reader in graph.consumers(node.output))


def _takes(reader: Node, weight: Value) -> bool:
    allowed = () if reader.domain else _READERS.get(reader.op, ())
    return all(i in allowed for i, value in enumerate(reader.inputs) if value is weight)


def _is_smaller(node: Node) -> bool:
    """Whether it pays: not where blocks that do not fit the axis must become single elements (see blocks_of)."""
    data, scale = node.inputs[0], node.inputs[1]
    block = int(node.attributes.get("block_size", 0))
    if data is None or scale is None or not block:
        return True
    return block_of(data.sizes[int(node.attributes.get("axis", 1))], block) > 1


def block_of(size: int, block: int) -> int:
    """The largest blocks that Core ML can have along an axis: of equal size, and none across two scales."""
    return block if block >= size else int(np.gcd(size, block))


# ------------------------------------------------------------------ activations


def _leave_dynamic(graph: Graph) -> None:
    """Core ML has no quantisation by the range that is seen: x stays as it is."""
    found = [node for node in graph.nodes() if node.op == "DynamicQuantizeLinear"]
    for node in found:
        for reader in graph.consumers(node.output):
            if reader.op == DEQUANTIZE and reader.inputs == node.outputs and reader.output not in graph.outputs:
                assert node.inputs[0] is not None
                graph.replace_uses(reader.output, node.inputs[0])
                graph.remove_node(reader)
    remove_dead_code(graph)
    if found:
        what = "Core ML does not quantise activations by the range that is seen when it runs; they stay float"
        graph.warnings.append(Problem(what, found[0].origin))


def _centre(graph: Graph, node: Node) -> None:
    """A zero point of 128 in uint8 is one of 0 in int8, and -128 in int8 one of 0 in uint8: Core ML's faster case.

    (coremltools' pass nullify_redundant_quantization_zero_point does the same.)
    """
    scale, zero, readers = node.inputs[1], node.input(2), graph.consumers(node.output)
    if zero is None or zero.data is None or node.output in graph.outputs:
        return
    wanted = {"uint8": (128, "int8"), "int8": (-128, "uint8")}.get(zero.data.dtype.name)
    if wanted is None or not (zero.data == wanted[0]).all():
        return
    if not all(r.op == DEQUANTIZE and r.inputs == (node.output, scale, zero) for r in readers):
        return
    kind = np.dtype(wanted[1])
    centre = graph.add_constant(np.zeros(zero.sizes, kind), zero.name)
    node.attributes.pop("output_dtype", None)
    node.output.dtype = kind
    for one in (node, *readers):
        graph.set_inputs(one, [one.inputs[0], scale, centre])


# ---------------------------------------------------------------- transposition


def _turn(graph: Graph, gemm: Node) -> None:
    """MIL's linear has the weights by rows."""
    weight = gemm.inputs[1]
    source = graph.producer(weight) if weight is not None else None
    if gemm.attributes.get("transB") or weight is None or source is None or not is_stored(source):
        return
    gemm.attributes["transB"] = 1
    graph.set_inputs(gemm, [gemm.inputs[0], _transposed(graph, source), *gemm.inputs[2:]])


def _transposed(graph: Graph, node: Node) -> Value:
    """The matrix that `node` decompresses, its rows and columns exchanged, from constants that are."""
    arrays = [value.array for value in node.inputs if value is not None]
    attributes = dict(node.attributes)
    if node.op == DEQUANTIZE:
        attributes["axis"] = 1 - int(attributes.get("axis", 1)) % 2
        arrays = [np.ascontiguousarray(array.T) if array.ndim > 1 else array for array in arrays]
    elif node.op == "Palette":
        arrays[0] = np.ascontiguousarray(arrays[0].T)
    else:
        arrays, attributes = _transposed_sparse(node)
    constants = [graph.add_constant(array, f"{node.output.name}/T") for array in arrays]
    rows, columns = node.output.sizes
    output = graph.add_value(f"{node.output.name}/T", node.output.dtype, (columns, rows))
    graph.add_node(Node(node.op, constants, [output], attributes, domain=node.domain, origin=node.origin))
    return output


def _transposed_sparse(node: Node) -> tuple[list[np.ndarray], dict[str, object]]:
    mask, values = (value.array for value in node.inputs if value is not None)
    rows, columns = node.output.sizes
    is_set = np.unpackbits(mask, count=prod(node.output.sizes), bitorder="little").view(bool).reshape(rows, columns)
    dense = np.zeros((rows, columns), values.dtype)
    dense[is_set] = values
    turned = np.ascontiguousarray(is_set.T)
    return [np.packbits(turned, bitorder="little"), dense.T[turned]], {"shape": (columns, rows)}
