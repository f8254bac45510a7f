"""Arithmetic of sizes, which the program carries as Python numbers."""
