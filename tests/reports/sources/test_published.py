"""Every published source can be read and shown."""

from importlib import resources

import pytest

from orchestrator.errors import StoreError
from orchestrator.workload.protocol_record import evaluation_of
from reports.sources.published import read_published
from reports.tables.columns import KNOWN_COLUMNS
from trainer.data import DATASETS

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


@pytest.mark.parametrize("stem", STEMS)
def test_every_figure_names_its_protocol(stem):
    """A stated evaluation has its scales, and these are what it says."""
    published = read_published(stem)
    for row in published.rows:
        protocol = published.protocol_of(row)
        assert protocol.data in DATASETS
        assert protocol.split != "unknown"
        assert protocol.base_size is not None
        assert (protocol.evaluation == "unknown") == (protocol.scales is None)
        if protocol.scales is not None:
            assert protocol.evaluation == evaluation_of(protocol.scales, protocol.evaluation.endswith("flip"))


GOOD = """\
title: T
setting: S
source: R
checked: read
protocol: {data: camvid, split: test}
rows:
  - {label: a, values: {final/miou: 50.5}}
  - label: b
    values: {final/miou: 60}
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("title: T", "titel: T", "1: titel: unknown key"),
        ("protocol: {data", "protcol: {data", "5: protcol: unknown key"),
        ("protocol: {data: camvid, split: test}\n", "", "1: protocol: missing"),
        ("split: test}", "splt: test}", "5: protocol.splt: unknown key"),
        ("split: test}", "split: test, base_size: {shrt: 5}}", "5: protocol.base_size.shrt: unknown key"),
        (
            "split: test}",
            "split: test, evaluation: ms}",
            "5: protocol.evaluation: 'ms' is not one of single_scale, flip, multi_scale, multi_scale_flip, unknown",
        ),
        ("    values: {final/miou: 60}", "    valeus: {}", "9: rows[1].valeus: unknown key"),
        ("    values: {final/miou: 60}\n", "", "8: rows[1].values: missing"),
        ("miou: 60", "miou: '60'", "9: rows[1].values.final/miou: text '60' instead of a number"),
        (GOOD, "", "1: null instead of an object"),
    ],
)
def test_a_mistake_in_a_file_is_one_line_with_its_place(tmp_path, old, new, message):
    (tmp_path / "mine.yaml").write_text(GOOD.replace(old, new))
    with pytest.raises(StoreError) as raised:
        read_published("mine", tmp_path)
    assert str(raised.value) == f"{tmp_path.name}/mine.yaml:{message}; see search_spaces/README.md"


def test_a_file_that_is_not_yaml_is_one_line_with_its_place(tmp_path):
    (tmp_path / "mine.yaml").write_text(GOOD.replace("rows:", "rows: ]"))
    with pytest.raises(StoreError, match=r"/mine.yaml:6: not YAML \(.*\); correct the line$"):
        read_published("mine", tmp_path)
    (tmp_path / "mine.yaml").write_text(f"{GOOD}title: again\n")
    with pytest.raises(StoreError, match=r"/mine.yaml:\d+: not YAML \(found duplicate key .*\); correct the line$"):
        read_published("mine", tmp_path)
