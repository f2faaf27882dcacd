"""Every published source can be read and shown."""

from importlib import resources

import pytest

from orchestrator.errors import StoreError
from reports.sources.published import read_published
from reports.tables.columns import KNOWN_COLUMNS

STEMS = [path.name.removesuffix(".yaml") for path in (resources.files("reports") / "published").iterdir()]


@pytest.mark.parametrize("stem", STEMS)
def test_a_source_names_itself_and_gives_percentages_of_known_metrics(stem):
    published = read_published(stem)
    assert published.title
    assert published.source
    assert published.setting
    assert published.checked
    for row in published.rows:
        assert set(row.values) <= set(KNOWN_COLUMNS)
        assert all(1 < value <= 100 for value in row.values.values())


def test_an_unknown_source_lists_the_known_ones():
    with pytest.raises(StoreError, match="no source 'nobody'; there are: cirkd_camvid, contrastiveseg_readme"):
        read_published("nobody")
