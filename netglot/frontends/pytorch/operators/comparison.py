"""Comparisons, logic and operators on bits."""
