"""ONNX Runtime: runs .onnx files, and any graph of the IR at any moment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

from netglot.errors import ConversionError, Origin
from netglot.ir.graph import Graph, Value
from netglot.runtimes.base import Arrays, Runtime, Tensor

EXTERNAL_BYTES = 1024  # constants above this are handed over by reference


class OnnxRuntime(Runtime):
    """An .onnx file or a Graph, computed by ONNX Runtime on the CPU without its graph optimisations.

    Unoptimised, because it serves as the reference; on one thread, so that sums are always in the same order.
    """

    def __init__(self, model: Path | Graph) -> None:
        self.name = f"ONNX Runtime {ort.__version__}"
        self._session = _of_graph(model) if isinstance(model, Graph) else _of_file(model)
        self.inputs = [_tensor(item) for item in self._session.get_inputs()]
        self.outputs = [_tensor(item) for item in self._session.get_outputs()]

    def run(self, inputs: Arrays) -> dict[str, np.ndarray]:
        names = [tensor.name for tensor in self.outputs]
        return dict(zip(names, self._session.run(names, dict(inputs)), strict=True))


def _options() -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return options


def _of_file(path: Path) -> ort.InferenceSession:
    try:
        return ort.InferenceSession(str(path), _options(), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own exception types have no common public base
        raise ConversionError(f"ONNX Runtime can't load it: {error}", Origin(str(path))) from None


def _of_graph(graph: Graph) -> ort.InferenceSession:
    from netglot.backends.onnx.writer import to_model
    from netglot.passes.expand_extensions import expand_extensions

    graph = graph.copy()
    expand_extensions(graph)
    external = [value for value in graph.constants() if _by_reference(value)]
    options = _options()
    options.add_external_initializers(
        [value.name for value in external], [ort.OrtValue.ortvalue_from_numpy(_contiguous(value)) for value in external]
    )
    model = to_model(graph, external)
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _by_reference(value: Value) -> bool:
    return value.array.nbytes > EXTERNAL_BYTES and value.array.dtype.kind in "fiu"


def _contiguous(value: Value) -> np.ndarray:
    return np.ascontiguousarray(value.array)


def _tensor(item: ort.NodeArg) -> Tensor:
    kind = item.type.removeprefix("tensor(").removesuffix(")")
    code = onnx.TensorProto.DataType.Value({"float": "FLOAT", "double": "DOUBLE"}.get(kind, kind.upper()))
    return Tensor(item.name, np.dtype(onnx.helper.tensor_dtype_to_np_dtype(code)), tuple(item.shape))
