"""From a YAML file to trials on Ray, records on disk and runs in MLflow: `from orchestrator import plan, sweep`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.api import plan, sweep

__all__ = ["plan", "sweep"]


def __getattr__(name: str) -> Any:
    """Load planning when it is first asked for: workers and reports need records only, and start sooner without."""
    if name in __all__:
        from orchestrator import api

        return getattr(api, name)
    raise AttributeError(f"module 'orchestrator' has no attribute {name!r}")
