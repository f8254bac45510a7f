"""Sliding windows, and what moves between channels and space."""
