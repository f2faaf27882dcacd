"""What the figures of a quick run must have, whichever benchmark it was of."""

from __future__ import annotations

import json
from pathlib import Path

__all__ = ["FACTS", "require_quick_figures"]

FACTS = {"processor", "cores", "memory_bytes", "load_at_start", "python", "torch", "ray", "mlflow"}
"""What a file with figures says of the machine."""


def require_quick_figures(path: Path, printed: str) -> None:
    """The file has figures, each of which was printed, and no goal is held or missed."""
    content = json.loads(path.read_text(encoding="utf-8"))
    assert set(content["machine"]) >= FACTS
    assert content["figures"]
    for line in content["figures"]:
        assert set(line) >= {"figure", "ours", "beside", "ratio", "goal", "held", "unit"}
        assert line["ours"] >= 0
        assert line["held"] is None, "no goal counts at a quick size"
        assert line["figure"] in printed
    assert any(line["goal"] for line in content["figures"])
