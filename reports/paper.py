"""A folder to put into a paper: tables and figures of several sweeps, and a document that includes them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_results import SweepResults
from reports.render.latex import document, render_latex
from reports.render.latex_text import escape
from reports.render.provenance import figure_title
from reports.tables.class_table import build_class_tables
from reports.tables.combined_table import combine_tables
from reports.tables.table import Table
from reports.write import make_table, write

__all__ = ["write_paper"]

CAPTIONS = {
    "means": "Means, intervals and seeds.",
    "differences": "Differences to the baseline, paired by seeds.",
    "factor": "Over the factor.",
    "interaction": "Two factors and what they do together.",
    "classes": "Classes that gain and lose against the baseline.",
    "pareto": "Against the cost.",
    "importance": "Importance of the parameters.",
    "curves": "Learning curves.",
    "loss": "Training loss.",
}
FIRST_LINE = r"% Made by `python -m reports --paper`; compiles with pdflatex. Take \input and figures from here."


def write_paper(sweeps: Sequence[SweepResults], out: Path, directory: RunDirectory) -> list[Path]:
    """Write `main.tex`, `tables/*.tex` and `figures/*/*.pdf` into the folder `out`; returns the paths.

    Several sweeps also get one table of all. Raises StoreError when a file cannot be written.
    """
    from reports.figures.choose import write_figures

    paths: list[Path] = []
    tables: list[Table] = []
    body: list[str] = []

    def put(stem: str, table: Table) -> None:
        paths.append(write(out / "tables" / f"{stem}.tex", render_latex(table)))
        body.append(f"\\input{{tables/{stem}}}")

    for results in sweeps:
        name = results.sweep.name
        stem = file_stem(name)
        table = make_table(results, directory=directory)
        tables.append(table)
        body += [f"\\section{{{escape(name)}}}", escape(results.sweep.question), ""]
        put(stem, table)
        for classes, of_classes in build_class_tables(results).items():
            put(f"{stem}-{classes}", of_classes)
        figures = write_figures(results, directory, out / "figures" / stem, importance=table.importance)
        for figure, by_format in figures.items():
            paths.append(by_format["pdf"])
            caption = figure_title(figure, CAPTIONS, results.sweep.data_sets)
            body += figure_lines(f"figures/{stem}/{by_format['pdf'].name}", name, figure, caption)
        body.append(r"\clearpage")
    if len(tables) > 1:
        paths.append(write(out / "tables" / "all.tex", render_latex(combine_tables(tables))))
        body = [r"\section{All sweeps}", r"\input{tables/all}", r"\clearpage", *body]
    text = document("\n".join(body), "10pt,twocolumn", "margin=2cm,columnsep=8mm")
    paths.append(write(out / "main.tex", f"{FIRST_LINE}\n{text}"))
    return paths


def file_stem(name: str) -> str:
    """A name that TeX accepts as a file name: no dots, which would start a suffix."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", name)


def figure_lines(path: str, sweep: str, name: str, caption: str) -> list[str]:
    """A float with one figure."""
    return [
        r"\begin{figure}[t]",
        r"  \centering",
        f"  \\includegraphics[width=\\columnwidth,height=.6\\textheight,keepaspectratio]{{{path}}}",
        f"  \\caption{{{escape(sweep)}: {escape(caption)}}}",
        f"  \\label{{fig:{file_stem(sweep)}-{name}}}",
        r"\end{figure}",
    ]
