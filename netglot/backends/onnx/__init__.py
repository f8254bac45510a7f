"""ONNX: the IR written out."""

from netglot.backends.onnx.writer import save, to_model

__all__ = ["save", "to_model"]
