"""From the records of a sweep to a table in all formats, which shows what is missing.

In a notebook: `reports.styled("ablation_memory")` is the table, `reports.frame` its figures, `reports.runs` all runs.
"""

from __future__ import annotations

import orchestrator.own_packages  # noqa: F401 - first, because it takes the current folder off the path of a command

# isort: split
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reports.notebook import frame, runs, styled

__all__ = ["frame", "runs", "styled"]


def __getattr__(name: str) -> Any:
    """Load the notebook functions on first use, not with every part of the package."""
    if name in __all__:
        from reports import notebook

        return getattr(notebook, name)
    raise AttributeError(f"module 'reports' has no attribute {name!r}")
