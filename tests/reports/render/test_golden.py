"""Each format of the example, byte by byte. `UPDATE_GOLDEN=1` rewrites the files: review the diff."""

import os
from pathlib import Path

import pytest

from orchestrator.plugins.table_style import FILES
from reports.render import STYLES
from reports.tables.table import build_table
from reports.testing import TableStyleContract
from reports.write import FORMATS, PARQUET
from tests.reports.conftest import results_of

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


def test_a_specification_knows_the_styles_of_the_reports():
    """`table.styles` chooses among the names of one table, and the reports draw those of the other."""
    assert tuple(FILES) == FORMATS
    assert {name: style.file for name, style in STYLES.items()} == {
        name: file for name, file in FILES.items() if name != PARQUET
    }


@pytest.mark.parametrize("style", STYLES)
def test_rendering_equals_the_golden_file(style, example):
    path = GOLDEN / STYLES[style].file.replace("table", "example")
    text = STYLES[style].code(build_table(example))
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8", newline="\n")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("style", STYLES)
def test_rendering_is_a_pure_function(style, example):
    assert STYLES[style].code(build_table(example)) == STYLES[style].code(build_table(example))


@pytest.mark.parametrize("style", STYLES)
def test_a_sweep_without_runs_can_be_shown(style, sweep_of):
    assert "nothing yet" in STYLES[style].code(build_table(results_of(sweep_of({"nothing yet": {}}), {})))


class TestOurStyles(TableStyleContract):
    """Ours conform to what plugins are checked for."""

    @pytest.fixture(params=STYLES)
    def style(self, request):
        return STYLES[request.param]
