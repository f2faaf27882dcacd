"""LaTeX that compiles, and prints what it was given."""

import re
import shutil
import subprocess

import pytest

from orchestrator.records import TableRecord
from reports.published import read_published
from reports.render.latex import escape, render_latex
from reports.tables import build_table

HOSTILE = r"50% & $x_1$ #2 {a} ~b^c \end{table} <d> | \"e\" --seeds `q` [1] *"
UNICODE = "τ = 0.1 → λ ≥ 2 × 10² ± é ő 中 “q” … – √ 🙂 \u200b"


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("50% & #1_a $", r"50\% \& \#1\_a \$"),
        ("{a}~^", r"\{a\}\textasciitilde{}\textasciicircum{}"),
        ("\\", r"\textbackslash{}"),
        ("--seeds a-b", "{-}{-}seeds a-b"),
        ("[x] *", "{[}x{]} {*}"),
        ("two\n\nlines", "two lines"),
        ("τ ≥ 1", r"$\tau$ $\geq$ 1"),
        ("é ő", "é o"),
        ("中", "U+4E2D"),
        ("“a”", "``a''"),
    ],
)
def test_escape(text, escaped):
    assert escape(text) == escaped


def hostile_table(sweep_of, outcomes_of):
    rows = {"base": {}, HOSTILE: {"x": 1}, f"[{UNICODE}": {"x": 2}, "*starred": {"x": 3}}
    sweep = sweep_of(
        rows,
        name="odd_name@100%",
        columns=("final/miou", "my_own%metric"),
        table=TableRecord(caption=f"{HOSTILE}\n\n{UNICODE}", columns=("final/miou", "my_own%metric")),
    )
    values = {label: [0.40 + 0.01 * place, 0.42, 0.43] for place, label in enumerate(rows)}
    return build_table(sweep, outcomes_of(values), read_published("contrastiveseg_readme"))


def test_braces_balance_and_lines_have_equal_cells(sweep_of, outcomes_of):
    text = render_latex(hostile_table(sweep_of, outcomes_of))
    bare = re.sub(r"\\[{}&%$#_\\]", "", text)
    assert bare.count("{") == bare.count("}")
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    lines = [line for line in body.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
    assert {len(re.findall(r"(?<!\\)&", line)) for line in lines} == {2}
    assert not any(re.search(r"(?<!\\)[%#]", line) for line in text.splitlines()[1:])
    assert text.count(r"\end{table}") == 1


def test_rules_are_booktabs_and_none_is_vertical(example):
    text = render_latex(build_table(*example))
    assert [text.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule", r"\hline")] == [1, 2, 1, 0]
    assert r"\begin{tabular}{lrrrrr}" in text
    assert text.startswith("% Made by `python -m reports`")


def test_cells_are_marked_and_aligned(example):
    text = render_latex(build_table(*example))
    assert r"\textbf{44.00}\,{\scriptsize $\pm$\,0.95}\,$_{+3.05}$" in text
    assert r"\underline{43.20}\,{\scriptsize $\pm$\,0.74}" in text
    assert r"40.95\,{\scriptsize $\pm$\,0.58}\,\phantom{$_{+0.74}$}" in text
    assert r"43.78\,{\scriptsize $\pm$\,1.09}\,$_{+2.52}$\rlap{$^\dagger$}" in text


@pytest.mark.parametrize(
    ("label", "name", "expected"),
    [("", "a_b@c", r"\label{tab:a_b@c}"), ("tab:mine", "x", r"\label{tab:mine}"), ("t{%é", "x", r"\label{t---}")],
)
def test_the_label_can_be_referred_to(sweep_of, label, name, expected):
    sweep = sweep_of({"base": {}}, name=name, table=TableRecord(label=label, columns=("final/miou",)))
    assert expected in render_latex(build_table(sweep, {}))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_an_article_with_booktabs_alone_compiles(tmp_path, example, sweep_of, outcomes_of):
    tables = render_latex(build_table(*example)) + render_latex(hostile_table(sweep_of, outcomes_of))
    (tmp_path / "paper.tex").write_text(
        "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n" + tables + "\\end{document}\n",
        encoding="utf-8",
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=120)
    assert result.returncode == 0, result.stdout[-2000:].decode(errors="replace")
