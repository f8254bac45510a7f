"""Reading elements: slices, selections, advanced indexing."""
