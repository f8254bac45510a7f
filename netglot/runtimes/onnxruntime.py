"""ONNX Runtime: runs .onnx files, and any graph of the IR at any moment."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper

from netglot.errors import ConversionError, Origin
from netglot.ir import types
from netglot.ir.graph import Graph
from netglot.runtimes.base import Arrays, Runtime, Tensor

EXTERNAL_BYTES = 1024  # constants above this are handed over by reference
_NAMES = {"float": "FLOAT", "double": "DOUBLE"}


class OnnxRuntime(Runtime):
    """An .onnx file, its bytes or a Graph, computed by ONNX Runtime on the CPU without its graph optimisations.

    Unoptimised, because it serves as the reference; on one thread, so that sums are always in the same order. A graph
    may have netglot operators (they are expanded in a copy) and be of any size: its constants are not copied.
    """

    def __init__(self, model: Path | bytes | Graph) -> None:
        self.name = f"ONNX Runtime {ort.__version__}"
        self._origin = Origin() if isinstance(model, (bytes, Graph)) else Origin(str(model))
        self._constants: list[ort.OrtValue] = []
        try:
            if isinstance(model, Graph):
                self._session, self._constants = _of_graph(model)
            else:
                self._session = _session(model if isinstance(model, bytes) else str(model), _options())
        except ConversionError:
            raise
        except Exception as error:  # onnxruntime's own exception types have no common public base
            raise ConversionError(f"ONNX Runtime can't load it: {_first_line(error)}", self._origin) from None
        self.inputs = [self._tensor(item) for item in self._session.get_inputs()]
        self.outputs = [self._tensor(item) for item in self._session.get_outputs()]

    def run(self, inputs: Arrays) -> dict[str, np.ndarray]:
        """The outputs by name. ConversionError if an input is missing or does not fit."""
        missing = [tensor.name for tensor in self.inputs if tensor.name not in inputs]
        if missing:
            raise ConversionError(f"no value for the input {', '.join(missing)}", self._origin)
        feed = {tensor.name: inputs[tensor.name] for tensor in self.inputs}
        names = [tensor.name for tensor in self.outputs]
        plain = not any(_is_small(tensor.dtype) for tensor in [*self.inputs, *self.outputs])
        try:
            results = self._session.run(names, feed) if plain else self._run_small_types(names, feed)
        except Exception as error:  # as above
            raise ConversionError(f"ONNX Runtime can't run it: {_first_line(error)}", self._origin) from None
        return dict(zip(names, results, strict=True))

    def _run_small_types(self, names: list[str], feed: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """With bfloat16, float8 or int4, which ONNX Runtime takes and gives only as its own values."""
        values = {name: _ort_value(array) for name, array in feed.items()}
        return [_array(value) for value in self._session.run_with_ort_values(names, values)]

    def _tensor(self, item: ort.NodeArg) -> Tensor:
        if not item.type.startswith("tensor("):
            raise ConversionError(f"'{item.name}' is a {item.type}; only tensors are supported", self._origin)
        return Tensor(item.name, _dtype(item.type), tuple(item.shape))


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _options() -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return options


def _session(model: str | bytes, options: ort.SessionOptions) -> ort.InferenceSession:
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _of_graph(graph: Graph) -> tuple[ort.InferenceSession, list[ort.OrtValue]]:
    """The session, and the constants that it refers to: they must live as long as it does."""
    from netglot.backends.onnx.writer import to_model
    from netglot.passes.expand_extensions import expand_extensions

    graph = graph.copy()
    expand_extensions(graph)
    graph.drop_unneeded()  # a constant that nothing reads can't be handed over
    given = [value for value in graph.constants() if _by_reference(value.array)]
    constants = [_reference(value.array) for value in given]
    options = _options()
    options.add_external_initializers([value.name for value in given], constants)
    return _session(to_model(graph, given).SerializeToString(), options), constants


def _by_reference(array: np.ndarray) -> bool:
    few_bits = _is_small(array.dtype) and array.dtype.itemsize == 1
    return array.nbytes > EXTERNAL_BYTES and array.dtype.kind != "O" and not few_bits


def _reference(array: np.ndarray) -> ort.OrtValue:
    """A value in the array's own memory, or in a copy where that is not contiguous and aligned, as kernels expect."""
    array = np.require(array, requirements=["C", "A"])
    if _is_small(array.dtype):
        return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(array, types.to_onnx(array.dtype))
    return ort.OrtValue.ortvalue_from_numpy(array)


def _is_small(dtype: np.dtype) -> bool:
    """Whether NumPy itself does not have the type."""
    return dtype.isbuiltin == 2


def _ort_value(array: np.ndarray) -> ort.OrtValue:
    """A value to feed; one of a small type is copied."""
    if not _is_small(array.dtype):
        return _reference(array)
    value = ort.OrtValue.ortvalue_from_shape_and_type(array.shape, types.to_onnx(array.dtype))
    raw = numpy_helper.from_array(array).raw_data
    ctypes.memmove(value.data_ptr(), raw, len(raw))
    return value


def _array(value: ort.OrtValue) -> np.ndarray:
    dtype, shape = _dtype(value.data_type()), value.shape()
    if not _is_small(dtype):
        return np.asarray(value.numpy())
    size = value.tensor_size_in_bytes()
    raw = ctypes.string_at(value.data_ptr(), size) if size else b""
    tensor = onnx.TensorProto(data_type=types.to_onnx(dtype), dims=shape, raw_data=raw)
    return np.asarray(numpy_helper.to_array(tensor))


def _dtype(text: str) -> np.dtype:
    """Of ONNX Runtime's name: tensor(float)."""
    kind = text.removeprefix("tensor(").removesuffix(")")
    return types.from_onnx(onnx.TensorProto.DataType.Value(_NAMES.get(kind, kind.upper())))
