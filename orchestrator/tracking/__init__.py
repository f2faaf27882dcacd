"""Trackers show a sweep: in MLflow, in the terminal, as JSON lines, as a table. They may import `running` and below."""
