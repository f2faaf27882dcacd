r"""A folder to put into a paper: tables and figures of several sweeps, and a document that includes them.

Tables are fragments, figures have the font of the document and no text that belongs into a caption, and `main.tex`
shows how each is included: `\input` and `\includegraphics` need no change by hand.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from orchestrator.store.data_set_record import DataSetRecord
from orchestrator.store.sweep_results import SweepResults
from reports.figures.choose import choose
from reports.figures.drawing import PAPER_FONTS, Drawing
from reports.figures.kept import write_drawings
from reports.figures.plots import Bars, Curves, HeatMap, LinePlot, Parallel, Plot, is_wide
from reports.render.latex import document, render_latex, with_math
from reports.render.latex_text import escape
from reports.render.provenance import figure_title
from reports.sources.loaded import LoadedSweep
from reports.tables.class_table import build_class_tables
from reports.tables.combined_table import combine_tables
from reports.tables.table import Table, sentence
from reports.write import make_table, write

__all__ = ["write_paper"]

CAPTIONS = {
    "means": "mean of each row",
    "differences": "differences to the baseline, paired by seed",
    "factor": "mean over the factor",
    "interaction": "means of two factors",
    "classes": "classes that gain and lose against the baseline",
    "pareto": "metric against cost, with the Pareto front",
    "importance": "share of the variation that each parameter explains",
    "parallel": "parameters of the trials",
    "curves": "learning curves, mean over the seeds",
    "loss": "training loss, mean over the seeds",
}
LONGEST_TITLE = 70
"""Characters of a caption that is also the title of a section."""
FONTS = {"computer-modern": (), "times": (r"\usepackage{times}",)}
"""Lines of the preamble for each of `PAPER_FONTS`."""
HEADINGS = (
    r"\makeatletter\renewcommand\section{\@startsection{section}{1}{0pt}{-3ex}{1.5ex}"
    r"{\normalfont\large\bfseries\raggedright}}\makeatother"
)
"""Titles of sections for narrow columns."""
FIRST_LINE = r"% Made by `python -m reports --paper`; compiles with pdflatex. Take \input and figures from here."


def write_paper(loaded: Sequence[LoadedSweep], out: Path, font: str = PAPER_FONTS[0]) -> list[Path]:
    """Write `main.tex`, `tables/*.tex` and `figures/*/*.pdf` into the folder `out`; returns the paths.

    `font` is that of the figures and of `main.tex`, one of `PAPER_FONTS`. Several sweeps also get one table of all.
    Raises StoreError when a file cannot be written.
    """
    paths: list[Path] = []
    tables: list[Table] = []
    body: list[str] = []
    labels: set[str] = set()
    titles = section_titles([sweep.results for sweep in loaded])

    def put(stem: str, table: Table) -> None:
        if table.label and table.label in labels:  # one search space with several recipes
            table = replace(table, label=f"{table.label}-{stem}")
        labels.add(table.label)
        paths.append(write(out / "tables" / f"{stem}.tex", render_latex(table)))
        body.append(f"\\input{{tables/{stem}}}")

    for sweep, title in zip(loaded, titles, strict=True):
        results, directory = sweep.results, sweep.directory
        stem = file_stem(results.sweep.name)
        table = make_table(results, directory=directory)
        tables.append(table)
        body += [f"\\section{{{escape(title)}}}", escape(sentence(results.sweep.question or title)), ""]
        put(stem, table)
        for classes, of_classes in build_class_tables(results).items():
            put(f"{stem}-{classes}", of_classes)
        plots = choose(results, directory, importance=table.importance)
        files = write_drawings(
            [Drawing(figure=name, plot=without_notes(plot), paper=font) for name, plot in plots.items()],
            out / "figures" / stem,
        )
        for name, by_format in files.items():
            paths.append(by_format["pdf"])
            caption = figure_caption(title, name, plots[name], results.sweep.data_sets)
            body += figure_lines(
                f"figures/{stem}/{by_format['pdf'].name}", stem, name, caption, wide=is_wide(plots[name])
            )
        body.append(r"\clearpage")
    if len(tables) > 1:
        combined = combine_tables(tables, titles)
        paths.append(write(out / "tables" / "all.tex", render_latex(combined)))
        first = [r"\tableofcontents", r"\section{All sweeps}", r"\input{tables/all}", r"\clearpage"]
        body = [*first, *body]
    text = document("\n".join(body), "10pt,twocolumn", "margin=2cm,columnsep=8mm", [*FONTS[font], HEADINGS])
    paths.append(write(out / "main.tex", f"{FIRST_LINE}\n{text}"))
    return paths


def section_titles(sweeps: Sequence[SweepResults]) -> list[str]:
    """A title for each sweep: its caption if it is short, else its name in words; the data set where two are equal."""
    found = []
    for results in sweeps:
        caption = " ".join(results.sweep.table.caption.split()).rstrip(".")
        found.append(caption if 0 < len(caption) <= LONGEST_TITLE else words(results.sweep.name))
    found = [
        f"{title} on {data_of(results)}" if found.count(title) > 1 else title
        for title, results in zip(found, sweeps, strict=True)
    ]
    names = [words(results.sweep.name) for results in sweeps]
    return [name if found.count(title) > 1 else title for title, name in zip(found, names, strict=True)]


def words(name: str) -> str:
    """The name of a sweep in words: `Ablation memory` for `ablation_memory`."""
    text = name.replace("_", " ")
    return text[:1].upper() + text[1:]


def data_of(results: SweepResults) -> str:
    """The data sets of a sweep, or the name of its recipe."""
    return ", ".join(dict.fromkeys(data.title for data in results.sweep.data)) or results.sweep.recipe


def without_notes(plot: Plot) -> Plot:
    """A plot without the notes below its axis, which a paper has in the caption."""
    if isinstance(plot, Curves):
        return replace(plot, note="", data="")
    return replace(plot, note="") if isinstance(plot, Bars | HeatMap | LinePlot | Parallel) else plot


def figure_caption(title: str, name: str, plot: Plot, data_sets: Sequence[DataSetRecord]) -> str:
    """What the figure shows, of which sweep, and what its intervals and dots are."""
    notes = [plot.note] if isinstance(plot, Bars | HeatMap | LinePlot | Curves | Parallel) and plot.note else []
    captions = dict(CAPTIONS)
    if isinstance(plot, LinePlot):
        captions["factor"] = f"{plot.y_name} over {lower(plot.x_name)}"
    if isinstance(plot, HeatMap):
        captions["interaction"] = f"{plot.name} over {lower(plot.y_name)} and {lower(plot.x_name)}"
    what = figure_title(name, captions, data_sets)
    return " ".join(sentence(text) for text in (f"{title}: {what}", *(note[:1].upper() + note[1:] for note in notes)))


def lower(name: str) -> str:
    """The name of an axis within a sentence."""
    return name[:1].lower() + name[1:]


def file_stem(name: str) -> str:
    """A name that TeX accepts as a file name: no dots, which would start a suffix."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", name)


def figure_lines(path: str, stem: str, name: str, caption: str, *, wide: bool) -> list[str]:
    """A float with one figure, over both columns if it is `wide`."""
    kind, width = ("figure*", r"\textwidth") if wide else ("figure", r"\columnwidth")
    return [
        f"\\begin{{{kind}}}[t]",
        r"  \centering",
        f"  \\includegraphics[width={width},height=.6\\textheight,keepaspectratio]{{{path}}}",
        f"  \\caption{{{with_math(escape(caption))}}}",
        f"  \\label{{fig:{stem}-{name}}}",
        f"\\end{{{kind}}}",
    ]
