"""Sampling at positions that the network computes."""
