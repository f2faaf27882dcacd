"""`python -m trainer.plugins check my_sampler.py`: runs the conformance suite of each entry of a plugin.

Prints one line per entry. The exit code is 0 if all conform, 1 if one does not, and 2 if the plugin cannot be loaded.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from orchestrator.machine.streams import prepare_streams
from orchestrator.plugins.error import PluginError
from orchestrator.plugins.table_style import TABLE_STYLES, read_styles
from trainer.plugins.loading import Plugin, read_plugin
from trainer.plugins.tables import TABLES

__all__ = ["main"]

OF_ENTRIES, OF_STYLES = "trainer/testing/plugin_suite.py", "reports/testing/style_suite.py"
SUITES = {
    "ANCHOR_SAMPLERS": (OF_ENTRIES, "TestAnchorSampler"),
    "MINERS": (OF_ENTRIES, "TestMiner"),
    "LOSSES": (OF_ENTRIES, "TestLoss"),
    "HEADS": (OF_ENTRIES, "TestHead"),
    "BACKBONES": (OF_ENTRIES, "TestBackbone"),
    "DATASETS": (OF_ENTRIES, "TestDataset"),
    "METRICS": (OF_ENTRIES, "TestMetric"),
    TABLE_STYLES: (OF_STYLES, "TestTableStyle"),
}
"""The suite of each table: its file, which pytest collects, and its class in it."""

PLUGIN, ROOT = "CONTRAST_PLUGIN", "CONTRAST_PLUGIN_ROOT"
"""Environment variables by which the suite knows the plugin and the folder of its data set."""

LONGEST_REASON = 200


@dataclass(slots=True)
class Outcomes:
    """A pytest plugin that keeps the outcome of each test, by class and parameters."""

    passed: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    """Name of the test -> the last line of its error."""

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Keep what pytest reports of a phase of a test."""
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            text = crash.message if crash is not None else str(report.longrepr)
            self.failed[report.nodeid] = " ".join(text.split())[:LONGEST_REASON]
        elif report.when == "call" and report.passed:
            self.passed.append(report.nodeid)


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    prepare_streams()
    parser = argparse.ArgumentParser(prog="python -m trainer.plugins", description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="run the conformance suites of trainer.testing on a plugin")
    check.add_argument("plugin", help="a .py file, or an installed module")
    check.add_argument("--root", type=Path, help="folder of the data set, for an entry of DATASETS that needs one")
    given = parser.parse_args(arguments)
    try:
        plugin = read_plugin(given.plugin, Path.cwd())
        tables = {**plugin.tables, TABLE_STYLES: read_styles(plugin.source)}
    except PluginError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if find_spec("pytest") is None:
        sys.stderr.write("the suites need pytest; pip install pytest\n")
        return 2
    tables = {table: entries for table, entries in tables.items() if entries}
    return 0 if report(tables, run_suites(plugin, tables, given.root)) else 1


def run_suites(plugin: Plugin, tables: Iterable[str], root: Path | None) -> Outcomes:
    """Run the suites of the tables `tables` of the plugin, in this process."""
    import pytest

    os.environ |= {PLUGIN: plugin.source.path} | ({} if root is None else {ROOT: str(root)})
    # collected by pytest and not imported here, so that it can rewrite the assertions and show what differs
    folder = Path(__file__).parents[2]
    outcomes = Outcomes()
    nodes = [f"{folder / file}::{name}" for file, name in (SUITES[table] for table in tables)]
    options = ["-q", "-p", "no:cacheprovider", "-c", os.devnull, f"--rootdir={folder}", "--import-mode=importlib"]
    with contextlib.redirect_stdout(io.StringIO()) as text:
        code = pytest.main([*options, *nodes], plugins=[outcomes])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        outcomes.failed["the suites"] = " ".join(text.getvalue().split())[-LONGEST_REASON:]
    return outcomes


def report(tables: Mapping[str, Mapping[str, Any]], outcomes: Outcomes) -> bool:
    """Print a line for each entry, and one for each test that it fails; returns whether all conform."""
    for table, entries in tables.items():
        key = "table.styles" if table == TABLE_STYLES else TABLES[table].prefix + TABLES[table].chosen_by
        for name in entries:
            failed = {test: why for test, why in outcomes.failed.items() if is_about(test, table, name)}
            passed = [test for test in outcomes.passed if is_about(test, table, name)]
            verdict = (
                f"{len(failed)} of {len(failed) + len(passed)} tests fail" if failed else f"{len(passed)} tests pass"
            )
            sys.stdout.write(f"{table}[{name!r}] ({key}: {name}): {verdict}\n")
            for test, why in failed.items():
                sys.stdout.write(f"  {test.rpartition('::')[2]}: {why}\n")
    if unknown := outcomes.failed.get("the suites"):
        sys.stdout.write(f"the suites did not run: {unknown}\n")
    return not outcomes.failed


def is_about(test: str, table: str, name: str) -> bool:
    """Whether a test, by its pytest name, is one of an entry."""
    parts = test.partition("[")[2].rstrip("]").split("-")
    return f"::{SUITES[table][1]}::" in test and (name in parts or f"[{name}" in test)


if __name__ == "__main__":
    sys.exit(main())
