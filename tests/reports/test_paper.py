"""Several sweeps in one table, and a folder that compiles."""

import re
import shutil
import subprocess

import pytest

from orchestrator.store.run_directory import RunDirectory
from reports.paper import write_paper
from reports.render.markdown import render_markdown
from reports.tables.combined_table import combine_tables
from reports.tables.table import build_table
from tests.reports.conftest import results_of

FULL = {"base": [0.1, 0.2, 0.3], "a & b_1": [0.2, 0.3, 0.4]}


def two_sweeps(sweep_of, outcomes_of):
    rows = {"base": {}, "a & b_1": {"x": 1}}
    first = sweep_of(rows, name="first_one", columns=("final/miou", "cost/step_ms"))
    second = sweep_of(rows, name="second@recipe", columns=("final/miou", "val/miou"), protocol="Another data set")
    return [results_of(first, outcomes_of(FULL)), results_of(second, outcomes_of(FULL))]


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
def test_the_folder_compiles_without_a_complaint(tmp_path, sweep_of, outcomes_of):
    paths = write_paper(two_sweeps(sweep_of, outcomes_of), tmp_path, RunDirectory(tmp_path / "runs"))
    names = {path.relative_to(tmp_path).as_posix() for path in paths}
    assert {"main.tex", "tables/all.tex", "tables/first_one.tex", "figures/second-recipe/means.pdf"} <= names
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "main.tex"]
    for _ in range(2):
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=120)
        assert result.returncode == 0, result.stdout[-2000:].decode(errors="replace")
    log = (tmp_path / "main.log").read_text(encoding="utf-8", errors="replace")
    assert re.findall(r"Overfull|Float too large|LaTeX Warning|Missing character", log) == []
