"""Files: three formats, reproducible bytes, embedded fonts, no trace of the machine or the time."""

import re

import pytest
from PIL import Image

from reports.figures.bars import BarRow, Bars, draw_bars
from reports.figures.figure_data import Estimate
from reports.figures.save import save

HOSTILE = r"<script>alert(1)</script> --> $\tau$"


def figure():
    return draw_bars(Bars(name="mIoU", rows=(BarRow(label=HOSTILE, estimate=Estimate(values=(1.0, 2.0))),)))


def test_equal_figures_are_equal_bytes(tmp_path):
    first, second = save(figure(), tmp_path / "a" / "fig"), save(figure(), tmp_path / "b" / "fig")
    assert sorted(first) == ["pdf", "png", "svg"]
    for kind in first:
        assert first[kind].read_bytes() == second[kind].read_bytes()
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["fig.pdf", "fig.png", "fig.svg"]


def test_the_files_are_fit_for_a_paper_and_a_page(tmp_path):
    paths = save(figure(), tmp_path / "v1.2")
    assert paths["png"].name == "v1.2.png"
    with Image.open(paths["png"]) as image:
        assert image.width == 990
        assert image.info["dpi"][0] == pytest.approx(300, abs=1)
        assert "Software" not in image.info
    pdf = paths["pdf"].read_bytes()
    assert b"FontFile2" in pdf
    assert b"/Type3" not in pdf
    assert b"CreationDate" not in pdf
    svg = paths["svg"].read_text(encoding="utf-8")
    assert "<script" not in svg
    assert "<dc:date>" not in svg
    assert set(re.findall(r"https?://[^\s\"'<>]+", svg)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
        "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd",
        "http://purl.org/dc/elements/1.1/",
        "http://creativecommons.org/ns#",
        "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
        "http://purl.org/dc/dcmitype/StillImage",
    }


def test_a_folder_that_cannot_be_made_is_an_os_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        save(figure(), tmp_path / "file" / "fig")
