"""LaTeX that compiles, and prints what it was given."""

import re
import shutil
import subprocess

import pytest

from orchestrator.store.sweep_record import TableRecord
from reports.render.latex import document, render_latex, render_preview
from reports.render.latex_fit import header_lines
from reports.render.latex_text import escape
from reports.sources.published import read_published
from reports.tables.table import build_table
from tests.reports.conftest import results_of

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
    return build_table(results_of(sweep, outcomes_of(values)), read_published("contrastiveseg_readme"))


def test_braces_balance_and_lines_have_equal_cells(sweep_of, outcomes_of):
    text = render_latex(hostile_table(sweep_of, outcomes_of))
    bare = re.sub(r"\\[{}&%$#_\\]", "", text)
    assert bare.count("{") == bare.count("}")
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    lines = [line for line in body.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
    assert {len(re.findall(r"(?<!\\)&", line)) for line in lines} == {2}
    table = text[text.index(r"\begin{table") :]  # before it, comments and commands
    assert not any(re.search(r"(?<!\\)[%#]", line) for line in table.splitlines())
    assert text.count(r"\end{table*}") == 1


def test_rules_are_booktabs_and_none_is_vertical(example):
    text = render_latex(build_table(example))
    assert [text.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule", r"\hline")] == [1, 2, 1, 0]
    assert r"\begin{tabular}{@{}lccccc@{}}" in text
    assert text.startswith("% Made by `python -m reports`")


def test_cells_are_marked_and_aligned(example):
    text = render_latex(build_table(example))
    space, star, alike = r"\hspace*{0.5em}", r"\makebox[0.7em][l]{$_{^{*}}$}", r"\makebox[0.7em][l]{$_{^{\approx}}$}"
    assert rf"\sweepbold{{44.00}}~{{\scriptsize$\pm$0.95}}{space}\,$_{{+3.05}}${star}" in text
    assert r"\underline{43.20}~{\scriptsize$\pm$0.74}\makebox[0.5em][l]{$^{\S}$}\,$_{+2.25}$" in text
    assert rf"41.69~{{\scriptsize$\pm$0.54}}{space}\,$_{{+0.74}}${alike}" in text
    assert r"43.78~{\scriptsize$\pm$1.09}\makebox[0.5em][l]{$^{\dagger}$}\,$_{+2.52}$\hspace*{0.7em}" in text
    assert r"40.95~{\scriptsize$\pm$0.58}\hspace*{0.5em}\phantom{\,$_{+0.00}$}" in text, "of the baseline"


def test_numbers_of_unequal_length_are_padded(sweep_of, outcomes_of):
    values = {"base": [-0.001, -0.002, -0.003], "a": [0.09, 0.101, 0.11], "b": [1.0, 1.0, 1.0]}
    text = render_latex(
        build_table(results_of(sweep_of({label: {"x": label} for label in values}), outcomes_of(values)))
    )
    assert r"\phantom{00}$-$0.20" in text
    assert r"\phantom{$-$}\phantom{0}\underline{10.03}" in text
    assert r"\phantom{$-$}\sweepbold{100.00}" in text
    assert r"\,$_{\phantom{0}+10.23}$" in text


def test_what_only_a_checker_needs_is_a_comment(example):
    head, begin, table = render_latex(build_table(example)).partition(r"\begin{table")
    assert "% Not printed: Smallest difference to" in head
    assert begin
    assert "Smallest difference" not in table
    assert (
        table.count(r"\textbf{Bold}: best so far; \underline{underlined}: second best; subscript: difference to") == 1
    )


@pytest.mark.parametrize(
    ("label", "name", "expected"),
    [("", "a_b@c", r"\label{tab:a_b@c}"), ("tab:mine", "x", r"\label{tab:mine}"), ("t{%é", "x", r"\label{t---}")],
)
def test_the_label_can_be_referred_to(sweep_of, label, name, expected):
    sweep = sweep_of({"base": {}}, name=name, table=TableRecord(label=label, columns=("final/miou",)))
    assert expected in render_latex(build_table(results_of(sweep, {})))


def compile_document(folder, text):
    """Run pdflatex until the references are settled; returns its log. `text` is a whole document."""
    (folder / "paper.tex").write_text(text, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    for _ in range(2):
        result = subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=120)
        assert result.returncode == 0, result.stdout[-2000:].decode(errors="replace")
    return (folder / "paper.log").read_text(encoding="utf-8", errors="replace")


COMPLAINT = re.compile(r"^.*(?:Overfull|Float too large|LaTeX Warning|Missing character|Package .* Warning).*$", re.M)
needs_latex = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
TYPED = r"50% & $\tau$_{a} #1 ~ \alpha <b>"


def table_of_forty(sweep_of, outcomes_of):
    """Rows whose labels are long, or one long word."""
    rows = {TYPED: {}} | {f"{TYPED} number {n} of a great many rows with a long label": {"x": n} for n in range(38)}
    rows["contrast.memory.pixels_per_class=5000,contrast.memory.kind=pixel_region" + "x" * 60] = {"x": 99}
    values = {label: [0.1 + 0.01 * n, 0.2, 0.3] for n, label in enumerate(rows)}
    columns = ("final/miou", "final/pixel_accuracy", "final/mean_accuracy", "val/miou", "val/best_miou")
    return build_table(results_of(sweep_of(rows, columns=columns, name="forty"), outcomes_of(values)))


def grouped_table(sweep_of, outcomes_of, **changes):
    rows = {
        f"b={b}, t={t}, w={w}": {"model.backbone": b, "contrast.temperature": t, "contrast.weight": w}
        for b in ("resnet18", "resnet50")
        for t in (0.05, 0.1)
        for w in (0.1, 1.0)
    }
    sweep = sweep_of(rows, method="grid", baseline=None, **changes)
    return build_table(results_of(sweep, outcomes_of({label: [0.1, 0.2, 0.3] for label in rows})))


def matrix_table(sweep_of, outcomes_of):
    rows = {"w/o contrast": {"contrast.source": "none"}} | {
        f"t={t}, k={k}": {"contrast.temperature": t, "contrast.memory.pixels_per_class": k}
        for t in (0.05, 0.1, 0.3)
        for k in (50, 5000)
    }
    sweep = sweep_of(rows, method="grid", columns=("final/miou", "final/pixel_accuracy", "cost/train_minutes"))
    return build_table(results_of(sweep, outcomes_of({label: [0.1, 0.2, 0.3] for label in rows})))


@pytest.mark.slow
@needs_latex
@pytest.mark.parametrize("columns", ["", "twocolumn"])
def test_an_article_of_all_our_tables_compiles_without_a_complaint(tmp_path, example, sweep_of, outcomes_of, columns):
    tables = [
        build_table(example, read_published("contrastiveseg_readme")),
        hostile_table(sweep_of, outcomes_of),
        table_of_forty(sweep_of, outcomes_of),
        grouped_table(sweep_of, outcomes_of, name="groups"),
        matrix_table(sweep_of, outcomes_of),
    ]
    body = "\n\\clearpage\n".join(map(render_latex, tables))
    text = document(body).replace("[10pt]", f"[10pt,{columns}]")
    log = compile_document(tmp_path, text)
    own_labels = [line for line in COMPLAINT.findall(log) if "multiply" not in line]
    assert own_labels == []


@pytest.mark.slow
@needs_latex
def test_the_preview_compiles_by_itself(tmp_path, example):
    assert COMPLAINT.findall(compile_document(tmp_path, render_preview(build_table(example)))) == []


def test_equal_neighbours_are_merged(sweep_of, outcomes_of):
    text = render_latex(grouped_table(sweep_of, outcomes_of))
    assert r"\multirow{4}{*}{resnet18} & \multirow{2}{*}{0.05} & 0.1 &" in text
    assert "\n     &  & 1.0 &" in text
    assert text.count(r"\midrule") == 2


def test_a_matrix_has_a_header_above_the_levels(sweep_of, outcomes_of):
    text = render_latex(matrix_table(sweep_of, outcomes_of))
    assert r" & \multicolumn{2}{c}{mIoU (\%) $\uparrow$} & \multicolumn{2}{c}{Pixel acc. (\%) $\uparrow$} \\" in text
    assert r"\cmidrule(lr){2-3} \cmidrule(lr){4-5}" in text
    assert "w/o contrast & \\multicolumn{2}{c}{" in text


def test_a_table_of_many_rows_continues_in_a_second_float(sweep_of):
    rows = {f"row {n}": {"x": n} for n in range(60)}
    text = render_latex(build_table(results_of(sweep_of(rows), {})))
    assert text.count(r"\begin{table") == 2
    assert text.count(r"\label") == 1
    assert "(continued)." in text
    assert text.count("row 44 &") == text.count("row 45 &") == 1


def test_a_table_too_wide_for_a_page_continues_with_its_other_columns(sweep_of, outcomes_of):
    columns = tuple(f"final/measured_{letter}" for letter in "abcdefghijkl")
    sweep = sweep_of({"base": {"x": 0}, "other": {"x": 1}}, columns=columns)
    metrics = dict.fromkeys(columns, 0.5) | {"final/miou": 0.5}
    text = render_latex(
        build_table(results_of(sweep, outcomes_of({label: [metrics] * 3 for label in ("base", "other")})))
    )
    assert text.count(r"\begin{table*}") == text.count("\n    base & ") > 1
    assert all(text.count(f"measured\\_{letter} ") == 1 for letter in "abcdefghijkl")


@pytest.mark.parametrize(
    ("header", "lines"),
    [("mIoU (%) ↑", ("mIoU (%) ↑",)), ("Positives per anchor", ("Positives", "per anchor")), ("word", ("word",))],
)
def test_a_header_wider_than_its_cells_has_two_lines(header, lines):
    assert header_lines(header, 60.0, 9) == lines
