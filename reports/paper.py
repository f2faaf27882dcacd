"""A folder that goes into a paper as it is: tables and figures of several sweeps, and a document that includes them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.store.records import AttemptRecord, SweepRecord
from reports.render.latex import FLOAT_PAGES, PREAMBLE, escape, render_latex
from reports.tables.class_table import build_class_table
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

Loaded = tuple[SweepRecord, Mapping[str, AttemptRecord]]


def write_paper(sweeps: Sequence[Loaded], out: Path, run_dir: Path | str) -> list[Path]:
    """Write `main.tex`, `tables/*.tex` and `figures/*/*.pdf` into the folder `out`; returns the paths.

    With several sweeps there is also one table of all. Raises StoreError when a file cannot be written.
    """
    from reports.figures.choose import write_figures

    paths: list[Path] = []
    tables: list[Table] = []
    body: list[str] = []
    for sweep, outcomes in sweeps:
        stem = file_stem(sweep.name)
        tables.append(make_table(sweep, outcomes))
        body += [f"\\section{{{escape(sweep.name)}}}", escape(sweep.question), ""]
        paths.append(put(out / "tables" / f"{stem}.tex", render_latex(tables[-1])))
        body.append(f"\\input{{tables/{stem}}}")
        classes = build_class_table(sweep, outcomes)
        if classes is not None:
            paths.append(put(out / "tables" / f"{stem}-classes.tex", render_latex(classes)))
            body.append(f"\\input{{tables/{stem}-classes}}")
        figures = write_figures(sweep, outcomes, run_dir, out / "figures" / stem, importance=tables[-1].importance)
        for name, by_format in figures.items():
            paths.append(by_format["pdf"])
            body += figure_lines(f"figures/{stem}/{by_format['pdf'].name}", sweep.name, name)
        body.append(r"\clearpage")
    if len(tables) > 1:
        paths.append(put(out / "tables" / "all.tex", render_latex(combine_tables(tables))))
        body = [r"\section{All sweeps}", r"\input{tables/all}", r"\clearpage", *body]
    paths.append(put(out / "main.tex", main_document(body)))
    return paths


def put(path: Path, text: str) -> Path:
    """Write a file; returns its path."""
    write(path, text)
    return path


def file_stem(name: str) -> str:
    """A name that TeX takes as that of a file: no dots, which it could read as the start of a suffix."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", name)


def figure_lines(path: str, sweep: str, name: str) -> list[str]:
    """A float with one figure."""
    return [
        r"\begin{figure}[t]",
        r"  \centering",
        f"  \\includegraphics[width=\\columnwidth,height=.6\\textheight,keepaspectratio]{{{path}}}",
        f"  \\caption{{{escape(sweep)}: {escape(CAPTIONS.get(name, name.replace('_', ' ').capitalize() + '.'))}}}",
        f"  \\label{{fig:{file_stem(sweep)}-{name}}}",
        r"\end{figure}",
    ]


def main_document(body: Sequence[str]) -> str:
    """The document that includes everything."""
    return "\n".join(
        [
            r"% Made by `python -m reports --paper`; compiles with pdflatex. Take \input and figures from here.",
            r"\documentclass[10pt,twocolumn]{article}",
            r"\usepackage[a4paper,margin=2cm,columnsep=8mm]{geometry}",
            *PREAMBLE,
            FLOAT_PAGES,
            r"\begin{document}",
            *body,
            r"\end{document}",
            "",
        ]
    )
