"""Table styles of plugins in a sweep: written, logged, chosen, and harmless when they raise; for any workload."""

from __future__ import annotations

from pathlib import Path

from orchestrator import api
from orchestrator.api import RunOptions
from orchestrator.spec.sweep_spec import read_spec

STYLE = """from reports.render import TableStyle
def draw(table): return f"{table.name}\\n"
TABLE_STYLES = {"mine": TableStyle(code=draw, file="table.txt")}
"""


def test_a_sweep_writes_styles_of_plugins_and_loses_no_other(tiny_space: Path, quick_options: RunOptions) -> None:
    Path("style.py").write_text(STYLE, encoding="utf-8")
    plain = api.sweep(tiny_space, options=quick_options)
    with tiny_space.open("a", encoding="utf-8") as file:
        file.write("plugins: [style.py]\n")
    done = api.sweep(tiny_space, options=quick_options)
    assert done.files.keys() - plain.files.keys() == {"mine"}
    assert done.files["mine"].read_text(encoding="utf-8") == "tiny\n"
    assert [record.attempt for record in done.outcomes.values()] == [
        record.attempt + (record.state != "done") for record in plain.outcomes.values()
    ], "no trial runs again because of a style"

    Path("style.py").write_text(STYLE.replace("return", "return 1 / 0 or"), encoding="utf-8")
    broken = api.sweep(tiny_space, options=quick_options)
    place = Path("style.py").resolve()
    assert broken.failures == (
        f"tables: {place}:2: ZeroDivisionError: division by zero; the table style mine wrote no table.txt",
    )
    assert broken.files.keys() == plain.files.keys(), "the others are written, and logged to MLflow"
    assert not broken.fulfilled


def test_a_workload_without_plugins_takes_table_styles(tmp_path: Path) -> None:
    (tmp_path / "style.py").write_text(STYLE, encoding="utf-8")
    (tmp_path / "script.yaml").write_text(
        "workload: {command: 'echo {lr} {seed}', settings: {lr: 0.1}, metrics: {final/a: {direction: max}}}\n"
        "method: ablation\nplugins: [style.py]\nrows: {a: {lr: 0.2}}\ntable: {styles: [mine]}\n",
        encoding="utf-8",
    )
    spec = read_spec(tmp_path / "script.yaml")
    assert spec.extension is None
    assert spec.styles["mine"].file == "table.txt"
