"""Changes of the element type, and copies."""
