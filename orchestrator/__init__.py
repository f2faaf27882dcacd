"""From a YAML file to trials on Ray, records on disk and runs in MLflow: `from orchestrator import plan, sweep`.

`sweep` is also a module, the one behind `python -m orchestrator.sweep`; it is callable, so that both names work
whatever was imported before.
"""

from __future__ import annotations

from orchestrator.own_packages import use_installed_packages

use_installed_packages()

from typing import TYPE_CHECKING, Any  # noqa: E402 - of the standard library, not of the current folder

if TYPE_CHECKING:
    from orchestrator.api import plan, sweep

__all__ = ["plan", "sweep"]


def __getattr__(name: str) -> Any:
    """Import planning on demand: workers and reports need the records only, and start sooner without it."""
    if name == "plan":
        from orchestrator.api import plan

        return plan
    if name == "sweep":
        from importlib import import_module

        return import_module("orchestrator.sweep")
    raise AttributeError(f"module 'orchestrator' has no attribute {name!r}")
