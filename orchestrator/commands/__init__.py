"""The commands beside the sweep itself; may import every other room."""
