"""Convolutions of every rank, transposed ones too."""
