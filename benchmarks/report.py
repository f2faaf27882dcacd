"""What every benchmark writes: figures side by side, the machine they come from, a table and a JSON file."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

__all__ = ["Figure", "at_least", "at_most", "machine", "publish"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One line of the report; `ours` and `beside` in SI units (seconds, bytes) or shares."""

    figure: str
    ours: float
    beside: float | None = None
    """The alternative, measured in the same run; None where there is none."""
    ratio: float | None = None
    """beside / ours for a gain, ours / beside for an overhead; the goal says which."""
    goal: str = ""
    """Empty for a figure that is given for information."""
    held: bool | None = None
    """None without a goal, and in a quick run, whose sizes are not those of the goal."""


def at_least(figure: str, ours: float, beside: float, factor: float, *, counts: bool = True) -> Figure:
    """Ours is to be at least `factor` times faster (or smaller) than what stands beside it."""
    ratio = beside / ours
    goal = f"at least {factor:g}x faster"
    return Figure(
        figure=figure, ours=ours, beside=beside, ratio=ratio, goal=goal, held=ratio >= factor if counts else None
    )


def at_most(figure: str, ours: float, beside: float, factor: float, *, counts: bool = True) -> Figure:
    """Ours is to be at most `factor` times what stands beside it."""
    ratio = ours / beside
    goal = f"at most {factor:g}x"
    return Figure(
        figure=figure, ours=ours, beside=beside, ratio=ratio, goal=goal, held=ratio <= factor if counts else None
    )


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    facts: dict[str, Any] = {
        "cores": os.cpu_count(),
        "processor": platform.machine(),
        "python": platform.python_version(),
    }
    try:
        import torch

        facts["torch"] = torch.__version__
        if torch.cuda.is_available():
            facts["gpu"] = torch.cuda.get_device_name()
    except ImportError:
        pass
    return facts


def publish(figures: Sequence[Figure], path: Path | None = None) -> bool:
    """Print the figures as a table and write them to `path`; returns whether every goal that counts was held."""
    width = max(len(item.figure) for item in figures)
    print(f"{'figure':<{width}}  {'ours':>10}  {'beside':>10}  {'ratio':>7}  {'goal':<22} held")
    for item in figures:
        beside = "-" if item.beside is None else f"{item.beside:.4g}"
        ratio = "-" if item.ratio is None else f"{item.ratio:.2f}x"
        held = {True: "yes", False: "NO", None: "-"}[item.held]
        print(f"{item.figure:<{width}}  {item.ours:>10.4g}  {beside:>10}  {ratio:>7}  {item.goal or '-':<22} {held}")
    if path is not None:
        content = {"machine": machine(), "figures": [asdict(item) for item in figures]}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return all(item.held is not False for item in figures)
