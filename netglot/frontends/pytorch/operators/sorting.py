"""Sorting, the largest elements, searching."""
