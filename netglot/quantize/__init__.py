"""Smaller and still right: quantisation and compression of a graph, with the damage measured (docs/quantization.md)."""
