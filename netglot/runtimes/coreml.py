"""Core ML itself, on macOS. Elsewhere a Core ML file is proven by reading it back (netglot.frontends.coreml)."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from netglot.coreml_import import coremltools, proto
from netglot.errors import ConversionError, Origin
from netglot.runtimes.base import Arrays, Runtime, Tensor

NAMES, TYPES = "netglot.names", "netglot.types"  # metadata of the Core ML backend: what the interface can't say


class CoreMLRuntime(Runtime):
    """A .mlpackage or .mlmodel, computed by Core ML on the CPU (in float32, unless the model is float16)."""

    def __init__(self, path: Path) -> None:
        if platform.system() != "Darwin":
            hint = "Elsewhere the file is read back and run by ONNX Runtime."
            raise ConversionError("Core ML runs on macOS only", Origin(str(path)), hint)
        tools = coremltools()
        self.name = f"Core ML (coremltools {tools.__version__})"
        try:
            self._model = tools.models.MLModel(str(path), compute_units=tools.ComputeUnit.CPU_ONLY)
        except Exception as error:  # what the native loader raises has no common type
            raise ConversionError(f"Core ML can't load it: {error}", Origin(str(path))) from None
        self._interface = Interface(self._model.get_spec())
        self.inputs, self.outputs = self._interface.inputs, self._interface.outputs

    def run(self, inputs: Arrays) -> dict[str, np.ndarray]:
        return self._interface.restored(self._model.predict(self._interface.stored(inputs)))


class Interface:
    """Inputs and outputs as the source had them, and as Core ML stores them: other names, int32, no scalars."""

    def __init__(self, spec: Any) -> None:
        metadata = spec.description.metadata.userDefined
        self._names: dict[str, str] = json.loads(metadata.get(NAMES, "{}"))
        self._types: dict[str, Any] = json.loads(metadata.get(TYPES, "{}"))
        self._in, self._out = list(spec.description.input), list(spec.description.output)
        self.inputs, self.outputs = self._tensors(self._in), self._tensors(self._out)

    def stored(self, inputs: Arrays) -> dict[str, np.ndarray]:
        """What Core ML is fed, by its own names."""
        return {
            feature.name: np.asarray(inputs[tensor.name], _dtype(feature)).reshape(_sizes(tensor) or (1,))
            for feature, tensor in zip(self._in, self.inputs, strict=True)
        }

    def restored(self, outputs: Arrays) -> dict[str, np.ndarray]:
        """What Core ML gave, by the source's names and types."""
        return {
            tensor.name: _shaped(np.asarray(outputs[feature.name]).astype(tensor.dtype), tensor)
            for feature, tensor in zip(self._out, self.outputs, strict=True)
        }

    def _tensors(self, features: Iterable[Any]) -> list[Tensor]:
        return [self._tensor(feature) for feature in features]

    def _tensor(self, feature: Any) -> Tensor:
        if feature.type.WhichOneof("Type") != "multiArrayType":
            raise ConversionError(f"'{feature.name}' is no array, so there is nothing to compare it with")
        shape: tuple[int, ...] = tuple(feature.type.multiArrayType.shape)
        dtype, sizes = self._types.get(feature.name, (_dtype(feature), shape))
        return Tensor(self._names.get(feature.name, feature.name), np.dtype(dtype), tuple(sizes))


def _shaped(array: np.ndarray, tensor: Tensor) -> np.ndarray:
    """`array` with the shape of `tensor`, or its own where a size of that is known only when the model runs."""
    return array if None in tensor.shape else array.reshape(_sizes(tensor))


def _sizes(tensor: Tensor) -> tuple[int, ...]:
    return tuple(int(n or 0) for n in tensor.shape)


def _dtype(feature: Any) -> np.dtype:
    kinds = proto("FeatureTypes_pb2").ArrayFeatureType.ArrayDataType
    name = kinds.Name(feature.type.multiArrayType.dataType)
    return np.dtype({"DOUBLE": "float64"}.get(name, name.lower()))
