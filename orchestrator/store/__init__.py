"""The run directory: its records, how they are read, and the one writer. Imports nothing of orchestrator but errors."""
