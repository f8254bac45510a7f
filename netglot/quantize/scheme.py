"""What `--quantize MODE` means for each target: which types, and which operators the target computes on integers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import ml_dtypes
import numpy as np

from netglot.errors import ConversionError

INT8, UINT8, INT16 = (np.dtype(name) for name in ("int8", "uint8", "int16"))
INT4 = np.dtype(ml_dtypes.int4)

BLOCK = 32  # weights that share a scale in blockwise int4: what MatMulNBits, Core ML and GGUF take

SMALLEST = 1024  # elements of weights, as TFLiteConverter has it

# Layers with weights. The others are computed on integers only beside these.
LAYERS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})

# Operators that only move, repeat or choose elements: one grid for what goes in and what comes out.
MOVES = frozenset({
    "Concat", "DepthToSpace", "Expand", "Flatten", "Gather", "GatherElements", "GatherND", "Identity", "MaxPool",
    "Pad", "Reshape", "Resize", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze",
})  # fmt: skip

_EVERYWHERE = LAYERS | {"Add", "AveragePool", "Clip", "GlobalAveragePool", "LeakyRelu", "Mul", "Relu", "Sigmoid"}

_POINTWISE = {"Elu", "Gelu", "HardSigmoid", "HardSwish", "Tanh"}

# What each target computes on integers besides the operators that only move.
COMPUTES: Mapping[str, frozenset[str]] = {
    "tflite": _EVERYWHERE | _POINTWISE | {"PRelu", "ReduceMean", "Softmax", "Sub"},
    "onnx": (_EVERYWHERE - {"ConvTranspose"}) | {"Softmax"},
    "coreml": (_EVERYWHERE - {"LeakyRelu", "Mul", "Sigmoid"}),
    "cpp": (_EVERYWHERE - {"ConvTranspose"}) | _POINTWISE | {"ReduceMean", "Sub"},
}

# Grids of what these give, for 8 bits and for 16: their range is known, and TFLite's kernels take no others.
FIXED: Mapping[str, tuple[float, float]] = {
    "Sigmoid": (0.0, 1.0),
    "Softmax": (0.0, 1.0),
    "Tanh": (-1.0, 1.0),
}


@dataclass(frozen=True)
class Scheme:
    """What is quantised, and to what.

    activations: their type, None where they stay float. dynamic: their grids are measured while the model runs.
    per_channel: weights have a scale for each output channel. block: weights of products that share a scale, 0 for all
    of a channel. smallest: elements that weights have at least to be quantised: where activations stay float, few gain
    little. computes: operators whose inputs and outputs are quantised.
    """

    mode: str
    target: str
    weights: np.dtype
    activations: np.dtype | None = None
    dynamic: bool = False
    per_channel: bool = True
    block: int = 0
    smallest: int = 1

    @property
    def computes(self) -> frozenset[str]:
        return COMPUTES[self.target]

    @property
    def needs_data(self) -> bool:
        """Whether ranges must be seen before the model is written."""
        return self.activations is not None and not self.dynamic

    @property
    def symmetric(self) -> bool:
        """Whether the zero point of activations is 0: 16x8 kernels know no other."""
        return self.activations == INT16


_SCHEMES = {
    (mode, target): one
    for mode, targets, one in (
        ("int8", ("tflite", "onnx", "coreml", "cpp"), {"weights": INT8, "activations": INT8}),
        ("uint8", ("onnx", "coreml", "cpp"), {"weights": INT8, "activations": UINT8}),
        ("uint8", ("tflite",), {"weights": UINT8, "activations": UINT8, "per_channel": False}),  # of its kernels
        ("int16x8", ("tflite", "onnx"), {"weights": INT8, "activations": INT16}),
        ("int8-dynamic", ("tflite", "onnx"), {"weights": INT8, "activations": UINT8, "dynamic": True}),
        ("int8-dynamic", ("coreml", "cpp"), {"weights": INT8}),  # they have no kernels that measure
        ("int4", ("onnx", "coreml", "cpp"), {"weights": INT4, "block": BLOCK}),
        ("int4", ("tflite",), {"weights": INT4}),
    )
    for target in targets
}

MODES = ("fp16", *dict.fromkeys(mode for mode, _ in _SCHEMES))


def modes(target: str) -> frozenset[str]:
    """What `--quantize` can ask of a target (fp16 is the writers' own)."""
    return frozenset(mode for mode, name in _SCHEMES if name == target)


def scheme(mode: str, target: str) -> Scheme:
    """ConversionError for a mode that the target does not have."""
    if (mode, target) not in _SCHEMES:
        raise ConversionError(f"there is no --quantize {mode} for {target}", hint=f"Possible: {_possible(target)}")
    found = Scheme(mode, target, **_SCHEMES[mode, target])
    return found if found.needs_data else replace(found, smallest=SMALLEST)


def _possible(target: str) -> str:
    return ", ".join(sorted({"fp16", *modes(target)}))
