"""Quantised tensors: QuantizeLinear and DequantizeLinear pairs."""
