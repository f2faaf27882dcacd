"""The tables of docs/benchmarks.md and of the README, made from the files with the figures.

`python -m benchmarks.page` writes them again. A table stands between `<!-- KIND of FILE.json -->` and `<!-- /KIND -->`.
Benchmarks that write FILE write its table, too.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.peers.table import SHORT, peers_table
from benchmarks.process import PROJECT
from benchmarks.report import amount

__all__ = ["PAGES", "goals_table", "refresh", "refreshed"]

PAGES = (PROJECT / "docs" / "benchmarks.md", PROJECT / "README.md")
BLOCK = re.compile(r"<!-- (?P<kind>\w+) of (?P<file>\S+\.json) -->\n.*?<!-- /(?P=kind) -->", re.DOTALL)
PEERS = "peers"
OURS = "ours, store and MLflow"


def main() -> int:
    """Write all tables again."""
    for page in PAGES:
        page.write_text(refreshed(page.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


def refresh(written: Path | None) -> None:
    """Write all tables of the pages that have one of this file again."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        files = {(PROJECT / block["file"]).resolve() for block in BLOCK.finditer(text)}
        if written is not None and written.resolve() in files:
            page.write_text(refreshed(text), encoding="utf-8")


def refreshed(text: str) -> str:
    """The page with the tables of the present files. Raises KeyError for a kind of table that does not exist."""
    return BLOCK.sub(lambda block: table_of(block["kind"], block["file"]), text)


def table_of(kind: str, file: str) -> str:
    """A table with its marks; a line that says so if the file does not exist yet."""
    path = PROJECT / file
    lines = [f"Not measured yet: there is no `{path.name}`."]
    if path.exists():
        content = json.loads(path.read_text(encoding="utf-8"))
        lines = [machine_line(content), "", *TABLES[kind](content["figures"])]
    return "\n".join([f"<!-- {kind} of {file} -->", *lines, f"<!-- /{kind} -->"])


def machine_line(content: dict[str, Any]) -> str:
    """The machine of the figures, and the code if the file says it."""
    machine = content["machine"]
    versions = ", ".join(f"{name} {machine[name]}" for name in ("torch", "ray", "mlflow") if name in machine)
    place = machine.get("gpu", f"{machine['processor']}, {machine['cores']} cores")
    commit = content.get("code", {}).get("commit", "")[:7]
    load = f"load {machine['load_at_start']} before" + (f", at commit `{commit}`" if commit else "")
    return f"{place}, Python {machine['python']}, {versions}, {load}:"


def goals_table(figures: Sequence[dict[str, Any]]) -> list[str]:
    """A Markdown table of all figures that have a goal."""
    lines = ["| figure | ours | beside | ratio | goal | held |", "| --- | ---: | ---: | ---: | --- | --- |"]
    for item in figures:
        if item["goal"]:
            ours, beside = (amount(item[side], item["unit"]) for side in ("ours", "beside"))
            ratio = "-" if item["ratio"] is None else f"{item['ratio']:.2f}x"
            held = {True: "yes", False: "**no**", None: "-"}[item["held"]]
            lines.append(f"| {item['figure']} | {ours} | {beside} | {ratio} | {item['goal']} | {held} |")
    return lines


def of_peers(figures: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of `benchmarks.peers`, which are all where it wrote the file itself."""
    return [item for item in figures if item.get("benchmark", PEERS) == PEERS]


TABLES: dict[str, Callable[[Sequence[dict[str, Any]]], list[str]]] = {
    "goals": goals_table,
    "peers": lambda figures: peers_table(of_peers(figures), OURS),
    "peers_short": lambda figures: peers_table(of_peers(figures), OURS, SHORT),
}


if __name__ == "__main__":
    sys.exit(main())
