"""Writing elements: scatter, index_put and their kin."""
