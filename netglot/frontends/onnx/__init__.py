"""ONNX: .onnx files of opset 7 and newer, with external data beside them."""

# They register their operators.
from netglot.frontends.onnx import blocks, control, elementwise, quantized, shape, spatial  # noqa: F401
from netglot.frontends.onnx.builder import OnnxBuilder, onnx_op
from netglot.frontends.onnx.reader import load

__all__ = ["OnnxBuilder", "load", "onnx_op"]
