"""The conformance suite for the table styles of a plugin, which `python -m trainer.plugins check` collects with pytest.

The environment variable `CONTRAST_PLUGIN` names the file or the module.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestrator.plugins.source import read_source
from orchestrator.plugins.table_style import TableStyle, read_styles
from reports.testing.table_style import TableStyleContract

__all__ = ["styles"]

PLUGIN = "CONTRAST_PLUGIN"


def styles() -> dict[str, TableStyle]:
    """The table styles of the plugin."""
    return read_styles(read_source(os.environ[PLUGIN], Path())) if PLUGIN in os.environ else {}


class TestTableStyle(TableStyleContract):
    @pytest.fixture(params=styles())
    def style(self, request: pytest.FixtureRequest) -> TableStyle:
        return styles()[request.param]
