"""Files: three formats, reproducible bytes, embedded fonts, no trace of the machine or the time."""

import re
from io import BytesIO

import pytest
from PIL import Image

from reports.figures.bars import draw_bars
from reports.figures.formats import render
from reports.figures.plots import BarRow, Bars, Estimate

HOSTILE = r"<script>alert(1)</script> --> $\tau$"


def figure():
    return draw_bars(Bars(name="mIoU", rows=(BarRow(label=HOSTILE, estimate=Estimate(values=(1.0, 2.0))),)))


def test_equal_figures_are_equal_bytes():
    first = render(figure())
    assert sorted(first) == ["pdf", "png", "svg"]
    assert render(figure()) == first


def test_the_files_are_fit_for_a_paper_and_a_page():
    contents = render(figure())
    with Image.open(BytesIO(contents["png"])) as image:
        assert image.width == 990
        assert image.info["dpi"][0] == pytest.approx(300, abs=1)
        assert "Software" not in image.info
    pdf = contents["pdf"]
    assert b"FontFile2" in pdf
    assert b"/Type3" not in pdf
    assert b"CreationDate" not in pdf
    svg = contents["svg"].decode()
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
