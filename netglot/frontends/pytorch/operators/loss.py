"""Losses, which some networks compute."""
