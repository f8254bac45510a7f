"""Random numbers, and dropout, which is nothing at inference."""
