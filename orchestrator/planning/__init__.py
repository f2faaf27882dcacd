"""From a search space to its trials; may import the rooms spec and store, and no torch."""
