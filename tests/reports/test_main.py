"""`python -m reports` as a user meets it: output, exit codes, one-line errors."""

import io
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from reports import __main__ as command
from tests.reports.conftest import results_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "memory.yaml").write_text("name: ablation_memory\nrecipe: synthetic\n", encoding="utf-8")
    return tmp_path


def test_an_incomplete_sweep_is_shown_and_counts_as_unfinished(project, store, example, capsys):
    store(project / "runs", example)
    assert command.main(["memory.yaml"]) == 1
    output = capsys.readouterr()
    assert "| w/o contrast¶ | 40.95 ± 0.58 |" in output.out
    assert "region memory, seed 1: failed: DivergedError" in output.out
    folder = "reports/out/ablation_memory"
    assert output.out.endswith(f"\npage: {folder}/table.html; all files: {folder}\n"), "one line instead of ten paths"
    assert output.err == ""
    assert sorted(path.name for path in (project / "reports/out/ablation_memory").iterdir()) == [
        "figures",
        "preview.tex",
        "runs.parquet",
        "table.csv",
        "table.html",
        "table.md",
        "table.tex",
    ]


class FakeTerminal(io.StringIO):
    """Standard output that is a terminal."""

    def isatty(self):
        return True


@pytest.mark.parametrize(("term", "drawn"), [("xterm-256color", True), ("dumb", False)])
def test_a_terminal_gets_a_table_and_a_link_to_the_page(project, store, example, monkeypatch, term, drawn):
    store(project / "runs", example)
    monkeypatch.setattr("reports.figures.choose.choose", lambda *given, **named: {})  # they take seconds
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("sys.stdout", FakeTerminal())
    assert command.main(["memory.yaml"]) == 1
    shown = sys.stdout.getvalue()
    assert ("| Variant |" in shown) != drawn
    assert ("\x1b[1m43.91" in shown or "\x1b[1m44.00" in shown) == drawn, "the best in bold"
    assert (f"file://{project}/reports/out/ablation_memory/table.html" in shown) == drawn
    assert "page: " in shown


def test_a_complete_sweep_exits_with_zero(project, store, sweep_of, outcomes_of, capsys):
    store(project / "elsewhere", results_of(sweep_of({"base": {}}), outcomes_of({"base": [0.1, 0.2, 0.3]})))
    arguments = ["memory.yaml", "--run-dir", "elsewhere", "--out", "tables", "--style", "latex", "--style", "csv"]
    assert command.main(arguments) == 0
    names = sorted(path.name for path in (project / "tables/ablation_memory").iterdir())
    assert names == ["figures", "table.csv", "table.tex"]
    line = "tables: tables/ablation_memory (table.tex, table.csv, figures)\n"
    assert capsys.readouterr().out.endswith(f"\n{line}")


def test_another_recipe_is_another_sweep(project, store, sweep_of, outcomes_of, capsys, monkeypatch):
    def name(spec, options):
        return "ablation_memory" + (f"@{options.recipe}" if options.recipe else ""), options.recipe is not None

    monkeypatch.setattr(command, "chosen_name", name)
    for recipe, value in (("lite0", 0.25), ("big", 0.75)):
        sweep = sweep_of({"base": {}}, name=f"ablation_memory@{recipe}")
        store(project / "runs", results_of(sweep, outcomes_of({"base": [value] * 3})))
        assert command.main(["memory.yaml", "--recipe", recipe]) == 0
        assert f"{value * 100:.2f} ± 0.00" in capsys.readouterr().out
    assert command.main(["memory.yaml"]) == 2
    assert "several sweeps of 'ablation_memory'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["memory.yaml"], "no sweep 'ablation_memory'"),
        (["absent.yaml"], "absent.yaml"),
        ([], "SPEC.yaml"),
        (["memory.yaml", "--style", "word"], "--style word: no such style; choose markdown, "),
        (["memory.yaml", "--with", "absent.py"], "--with: plugins: no such file "),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(project, arguments, message, capsys):
    try:
        code = command.main(arguments)
    except SystemExit as ended:  # by argparse
        code = ended.code
    written = capsys.readouterr()
    assert code == 2
    assert message in written.err
    assert written.err.count("\n") == 1
    assert written.out == ""


def test_a_process_says_the_same(project):
    """What Python itself prints would be seen too."""
    line = [sys.executable, "-m", "reports", "absent.yaml"]
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    result = subprocess.run(line, cwd=project, env=environment, capture_output=True, encoding="utf-8", timeout=60)
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert result.stderr.startswith("absent.yaml: ")


def test_reports_load_neither_torch_nor_ray_nor_mlflow():
    code = "import sys, reports.__main__; print([n for n in ('torch', 'ray', 'mlflow') if n in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert result.stdout.strip() == "[]"


STYLE = """from reports.render import TableStyle
def draw(table): return "".join(f"{row.label}\\n" for row in table.rows)
TABLE_STYLES = {"labels": TableStyle(code=draw, file="table.txt")}
"""


def test_styles_of_plugins(project, store, example, capsys, monkeypatch):
    """Those that the search space names, and others by --with; one that raises loses no other table."""
    monkeypatch.setattr("reports.figures.choose.choose", lambda *given, **named: {})  # they take seconds
    store(project / "runs", example)
    (project / "style.py").write_text(STYLE, encoding="utf-8")
    (project / "other.py").write_text(
        STYLE.replace("labels", "other").replace("table.txt", "table_2.txt"), encoding="utf-8"
    )
    with (project / "memory.yaml").open("a", encoding="utf-8") as file:
        file.write("plugins: [style.py]\n")
    folder = project / "reports/out/ablation_memory"
    assert command.main(["memory.yaml", "--style", "labels", "--style", "other", "--with", "other.py"]) == 1
    assert sorted(path.name for path in folder.iterdir()) == ["table.txt", "table_2.txt"]
    assert (folder / "table.txt").read_text(encoding="utf-8").startswith("w/o contrast\nmini-batch, no memory\n")

    named = replace(example.sweep, table=replace(example.sweep.table, styles=("html", "other")))
    store(project / "elsewhere", replace(example, sweep=named))
    capsys.readouterr()
    assert command.main(["memory.yaml", "--run-dir", "elsewhere", "--out", "again"]) == 1
    assert "the table style other is of a plugin that is not named any more; add it" in capsys.readouterr().err
    names = {path.name for path in (project / "again/ablation_memory").iterdir()}
    assert names == {"table.html", "table.md"}

    (project / "style.py").write_text(STYLE.replace("return", "return 1 /"), encoding="utf-8")
    capsys.readouterr()
    assert command.main(["memory.yaml", "--style", "labels", "--style", "markdown"]) == 2
    output = capsys.readouterr()
    assert output.out.endswith("tables: reports/out/ablation_memory/table.md\n")
    assert output.err.startswith(f"{project}/style.py:2: TypeError: ")
    assert output.err.endswith("; the table style labels wrote no table.txt\n")
