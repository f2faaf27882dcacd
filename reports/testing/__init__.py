"""Conformance suites for the reports: `TableStyleContract` for table styles of your own.

`python -m trainer.plugins check my_style.py` runs it on a plugin. Needs pytest.
"""

from __future__ import annotations

from reports.testing.table_style import TableStyleContract

__all__ = ["TableStyleContract"]
