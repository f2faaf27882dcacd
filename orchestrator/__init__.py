"""From a YAML file to trials on Ray, records on disk and runs in MLflow: `from orchestrator import plan, sweep`."""

from orchestrator.api import plan, sweep

__all__ = ["plan", "sweep"]
