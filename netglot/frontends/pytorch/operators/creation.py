"""Tensors from nothing: zeros, ranges, identity matrices."""
