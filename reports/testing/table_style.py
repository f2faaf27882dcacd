"""What every table style must do, as tests to inherit."""

from __future__ import annotations

import pytest

from orchestrator.plugins.table_style import TableStyle
from reports.tables.table import Table
from reports.testing.tables import TABLES

__all__ = ["TableStyleContract"]


class TableStyleContract:
    """Inherit, and give the fixture `style`."""

    @pytest.fixture
    def style(self) -> TableStyle:
        """The style."""
        raise NotImplementedError("give the fixture `style`")

    @pytest.fixture(params=TABLES)
    def table(self, request: pytest.FixtureRequest) -> Table:
        """A table to draw."""
        return TABLES[request.param]()

    def test_it_returns_text_that_a_file_can_hold(self, style: TableStyle, table: Table) -> None:
        text = style.code(table)
        assert isinstance(text, str), f"returns {type(text).__name__}, not str"
        assert text.strip(), "the text is empty"
        text.encode("utf-8")

    def test_every_mean_is_in_the_text(self, style: TableStyle, table: Table) -> None:
        """As printed, or in full."""
        text = style.code(table)
        cells = [slot.cell_text for line in table.layout.lines for slot in line.slots if slot.cell_text is not None]
        lacking = [cell.mean for cell in cells if cell.mean not in text and repr(cell.cell.mean) not in text]
        assert not lacking, f"these means of the table are not in the text: {', '.join(lacking)}"

    def test_every_row_is_in_the_text(self, style: TableStyle, table: Table) -> None:
        text = style.code(table)
        words = [header.text for line in table.layout.lines for header in line.row_headers if header.lines]
        lacking = [label for label in words if label.isalnum() and label not in text]
        assert not lacking, f"these labels are not in the text: {', '.join(lacking)}"

    def test_the_same_table_gives_the_same_text(self, style: TableStyle, table: Table) -> None:
        assert style.code(table) == style.code(table)
