"""The notebook in examples/ runs from its first cell to its last, in a kernel as in Jupyter, and shows what it says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from website.notebook import notebook_page

NOTEBOOK = Path(__file__).resolve().parents[2] / "examples" / "sweep.ipynb"


def test_the_notebook_is_small_and_unused() -> None:
    """Neither outputs nor counts of executions are committed."""
    content = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    cells = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
    assert cells
    assert not [cell for cell in cells if cell["outputs"] or cell["execution_count"]]
    assert NOTEBOOK.stat().st_size < 10_000


@pytest.mark.slow
def test_the_notebook_runs(tmp_path: Path, migrated: Path) -> None:
    client = pytest.importorskip("nbclient", reason="nbclient and ipykernel are not installed: pip install '.[docs]'")
    import nbformat

    shutil.copy(migrated, tmp_path / "mlflow.db")
    notebook: Any = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    client.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = {cell["id"]: cell["outputs"] for cell in notebook.cells if cell["cell_type"] == "code"}
    assert len(outputs["plan"][0]["text"].splitlines()) == 9
    assert "True 9 trials" in "".join(item.get("text", "") for item in outputs["sweep"])
    shown = outputs["table"][-1]["data"]["text/html"]
    assert all(label in shown for label in ("w/o contrast", "pixel memory", "region memory", "mIoU (%)"))
    assert "image/png" in outputs["curve"][-1]["data"]
    assert (tmp_path / "notebook_out" / "notebook" / "table.md").exists()
    executed = tmp_path / "executed.ipynb"
    nbformat.write(notebook, executed)  # type: ignore[no-untyped-call]
    page = notebook_page(executed)
    assert "data:image/png;base64," in page
    assert "<table" in page
