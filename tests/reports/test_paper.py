"""Several sweeps in one table, and a folder that compiles."""

import re
import shutil
import subprocess

import pytest

from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_record import TableRecord
from reports.figures.drawing import PAPER_FONTS
from reports.paper import write_paper
from reports.render.markdown import render_markdown
from reports.sources.loaded import LoadedSweep
from reports.tables.combined_table import combine_tables
from reports.tables.table import build_table
from tests.reports.conftest import results_of

FULL = {"base": [0.1, 0.2, 0.3], "a & b_1": [0.2, 0.3, 0.4]}


def two_sweeps(sweep_of, outcomes_of):
    rows = {"base": {}, "a & b_1": {"x": 1}}
    first = sweep_of(rows, name="first_one", columns=("final/miou", "cost/step_ms"))
    second = sweep_of(rows, name="second@recipe", columns=("final/miou", "val/miou"), protocol="Another data set")
    return [results_of(first, outcomes_of(FULL)), results_of(second, outcomes_of(FULL))]


def loaded(sweeps, folder):
    """Results with an empty run directory, for `write_paper`."""
    return [LoadedSweep(results=results, directory=RunDirectory(folder / "runs")) for results in sweeps]


def test_a_combined_table_keeps_sweeps_apart(sweep_of, outcomes_of):
    tables = [build_table(results) for results in two_sweeps(sweep_of, outcomes_of)]
    combined = combine_tables(tables)
    assert [line.heading for line in combined.layout.lines if line.heading] == ["first_one", "second@recipe"]
    assert [header.key for header in combined.layout.headers] == ["final/miou", "cost/step_ms", "val/miou"]
    text = render_markdown(combined)
    assert text.count("**30.00** ± 10.00 <sub>+10.00</sub>") == 2
    assert "Protocol of second@recipe: Another data set." in text
    assert "The protocols differ: compare within a sweep only." in text
    with pytest.raises(ValueError, match="no table"):
        combine_tables([])


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize("font", PAPER_FONTS)
def test_the_folder_compiles_without_a_complaint(tmp_path, sweep_of, outcomes_of, font):
    paths = write_paper(loaded(two_sweeps(sweep_of, outcomes_of), tmp_path), tmp_path, font)
    names = {path.relative_to(tmp_path).as_posix() for path in paths}
    assert {"main.tex", "tables/all.tex", "tables/first_one.tex", "figures/second-recipe/means.pdf"} <= names
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "main.tex"]
    for _ in range(3):  # the pages of the table of contents, then the references
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=120)
        assert result.returncode == 0, result.stdout[-2000:].decode(errors="replace")
    log = (tmp_path / "main.log").read_text(encoding="utf-8", errors="replace")
    assert re.findall(r"Overfull|Float too large|LaTeX Warning|Missing character", log) == []


def test_a_section_has_a_title_and_a_figure_a_caption_with_its_notes(tmp_path, sweep_of, outcomes_of):
    caption = TableRecord(caption="Memory of the loss.", label="tab:m", columns=("final/miou",))
    recipes = [
        sweep_of({"base": {}, "a & b_1": {"x": 1}}, name=name, table=caption, recipe=recipe)
        for name, recipe in (("memory", "small"), ("memory@large", "large"))
    ]
    write_paper(loaded([results_of(item, outcomes_of(FULL)) for item in recipes], tmp_path), tmp_path)
    main = (tmp_path / "main.tex").read_text()
    assert r"\section{Memory of the loss on small}" in main
    assert r"\section{Memory of the loss on large}" in main
    assert r"\caption{Memory of the loss on small: mean of each row. 95\% interval of the mean; dots: seeds.}" in main
    assert r"\label{tab:m}" in (tmp_path / "tables" / "memory.tex").read_text()
    assert r"\label{tab:m-memory-large}" in (tmp_path / "tables" / "memory-large.tex").read_text()
    assert "Memory of the loss on large" in (tmp_path / "tables" / "all.tex").read_text()


def test_the_rows_of_a_combined_table_have_titles(sweep_of, outcomes_of):
    rows = {"baseline": {"contrast.source": "none"}, "temperature=0.1": {"contrast.temperature": 0.1}}
    table = build_table(
        results_of(sweep_of(rows, method="grid"), outcomes_of({label: [0.1, 0.2, 0.3] for label in rows}))
    )
    combined = combine_tables([table, table], ["One", "Two"])
    assert [line.heading or line.row_headers[0].text for line in combined.layout.lines] == [
        *("One", "baseline", "temperature 0.1"),
        *("Two", "baseline", "temperature 0.1"),
    ]


def test_wide_figures_stand_over_both_columns(tmp_path, sweep_of, outcomes_of):
    rows = {f"trial {number}": {"x": number} for number in range(4)}
    values = {
        label: [{"final/miou": 0.4 + place / 50, "cost/train_minutes": 1.0 + place}] for place, label in enumerate(rows)
    }
    sweep = sweep_of(rows, method="random", baseline=None, seeds=(0,))
    write_paper(loaded([results_of(sweep, outcomes_of(values, seeds=(0,)))], tmp_path), tmp_path)
    main = (tmp_path / "main.tex").read_text()
    assert main.count(r"\begin{figure*}") == 1
    assert r"width=\textwidth,height=.6\textheight,keepaspectratio]{figures/ablation_memory/pareto.pdf}" in main


def test_sweeps_without_label_question_and_caption_have_some_of_their_own(tmp_path, sweep_of, outcomes_of):
    table = TableRecord(columns=("final/miou",), caption="Memory.")
    rows = {"base": {}, "a & b_1": {"x": 1}}
    sweeps = [sweep_of(rows, name=name, question="", table=table) for name in ("memory", "memory@other")]
    write_paper(loaded([results_of(item, outcomes_of(FULL)) for item in sweeps], tmp_path), tmp_path)
    main = (tmp_path / "main.tex").read_text()
    assert re.findall(r"\\section{(.*)}\n(.*)\n", main)[1:] == [
        ("Memory", "Memory."),
        ("Memory@other", "Memory@other."),
    ]
    for name in ("memory", "memory-other"):
        text = (tmp_path / "tables" / f"{name}.tex").read_text()
        assert r"\label{tab:memory" in text
