"""Figures for papers: in the font of LaTeX, whatever the labels are."""

import logging

import pytest

from reports.figures.computer_modern import INSTEAD, to_mathtext
from reports.figures.draw import draw_files
from reports.figures.drawing import PAPER_FONTS, Drawing
from reports.figures.style import DARK, LIGHT, PAPERS
from tests.reports.figures.conftest import visible_texts
from tests.reports.figures.test_figures import EXAMPLES, LONG, bars, estimate


@pytest.mark.parametrize(
    ("text", "set_as"),
    [
        ("w/o contrast, 50% & more", "w/o contrast, 50% & more"),
        ("a_b {c} $x$ <d>", r"a$\_$b $\{$c$\}$ \$x\$ $<$d$>$"),
        ("−0.5 ± 2 × τ ↑", r"$-$0.5 $\pm$ 2 $\times$ $\tau$ $\uparrow$"),
        ("Δ to “base” – both", "$\\Delta$ to ``base'' { both"),
        ("naïve", None),
        ("中", None),
    ],
)
def test_characters_in_the_encoding_of_tex(text, set_as):
    assert to_mathtext(text) == set_as


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_figure_can_be_drawn_for_a_paper(name, caplog):
    draw, data = EXAMPLES[name]
    with caplog.at_level(logging.WARNING):
        figure = draw(data, style=PAPERS["computer-modern"])
    assert caplog.messages == [], "of letters that a font lacks"
    width, height = figure.bbox.size
    for text in visible_texts(figure):
        box = text.get_window_extent(figure.canvas.get_renderer())
        assert min(box.x0, box.y0, width - box.x1, height - box.y1) >= -1, text.get_text()


def test_a_label_with_an_accent_is_in_another_font():
    draw, _ = EXAMPLES["bars"]
    figure = draw(bars(("naïve", estimate(45.0)), ("plain", estimate(44.0))), style=PAPERS["computer-modern"])
    families = {text.get_text(): text.get_fontfamily()[0] for text in figure.axes[0].get_yticklabels()}
    assert families == {"naïve": INSTEAD, "plain": "cmr10"}


def test_a_figure_of_a_paper_is_a_pdf_in_computer_modern():
    plot = bars(("base", estimate(45.0)), (LONG, estimate(45.5)))
    files = draw_files(Drawing(figure="means", plot=plot, paper="computer-modern"))
    assert list(files) == ["pdf"]
    assert b"Cmr10" in files["pdf"]
    assert b"DejaVu" not in files["pdf"]
    assert (
        Drawing(figure="means", plot=plot, paper="computer-modern").digest != Drawing(figure="means", plot=plot).digest
    )


def test_other_styles_stay_in_the_font_of_pages():
    assert LIGHT.font == DARK.font == "DejaVu Sans"


def test_every_font_of_papers_has_a_style():
    assert tuple(PAPERS) == PAPER_FONTS
    files = draw_files(Drawing(figure="means", plot=bars(("naïve", estimate(45.0))), paper="times"))
    assert b"STIXGeneral" in files["pdf"]
