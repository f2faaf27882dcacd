"""A Jupyter notebook as Markdown, with its outputs as it was saved."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["notebook_page"]


def notebook_page(path: Path) -> str:
    """The cells of the notebook at `path`."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n\n".join(part for cell in cells for part in parts_of(cell)) + "\n"


def parts_of(cell: dict[str, Any]) -> Iterator[str]:
    """The text or code of a cell, and what it has printed or shown."""
    source = "".join(cell["source"])
    if cell["cell_type"] != "code":
        yield source
        return
    yield f"```python\n{source}\n```"
    for output in cell["outputs"]:
        if "text" in output:
            yield f"```text\n{''.join(output['text']).rstrip()}\n```"
            continue
        data = output.get("data", {})
        if "image/png" in data:
            yield f"![The output of the cell above](data:image/png;base64,{''.join(data['image/png']).strip()})"
        elif "text/html" in data:
            yield "".join(data["text/html"]).strip()
        elif "text/plain" in data:
            yield f"```text\n{''.join(data['text/plain'])}\n```"
