"""What people type beside the sweep itself; may import every other room."""
