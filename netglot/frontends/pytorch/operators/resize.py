"""Interpolation in every mode."""
