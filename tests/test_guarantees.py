"""The table of guarantees in CONTRIBUTING.md: each test file is in one row, which says whether `make test` runs it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
PAGE = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")
FILES = sorted(path.relative_to(PROJECT).as_posix() for path in (PROJECT / "tests").rglob("test_*.py"))
QUICK, SLOW, BOTH = "`test`", "`test-all`", "both"


def rows() -> Iterator[tuple[str, list[str], str]]:
    """The guarantee, the files and folders with its tests, and what runs them."""
    table = PAGE.split("## Guarantees")[1].split("\n## ")[0]
    lines = [line for line in table.splitlines() if line.startswith("| ")][1:]
    for line in lines:
        guarantee, places, where = (cell.strip() for cell in line.strip("|").split("|"))
        yield guarantee, re.findall(r"`(tests/[^`]+)`", places), where


ROWS = list(rows())
PLACES = [place for _, places, _ in ROWS for place in places]


def files_of(place: str) -> list[str]:
    """The test files of a place: the file itself, or those in the folder that have no place of their own."""
    if not place.endswith("/"):
        return [place]
    inside = [other for other in PLACES if other.startswith(place) and other != place]
    return [name for name in FILES if name.startswith(place) and not name.startswith(tuple(inside))]


def test_every_test_file_is_in_one_row() -> None:
    listed = [name for place in PLACES for name in files_of(place)]
    assert len(PLACES) == len(set(PLACES))
    assert sorted(listed) == FILES, "each once, and none that does not exist"
    assert [place for place in PLACES if not files_of(place)] == []
    assert len({guarantee for guarantee, _, _ in ROWS}) == len(ROWS)


@pytest.mark.parametrize(("guarantee", "places", "where"), ROWS, ids=[guarantee for guarantee, _, _ in ROWS])
def test_a_row_says_where_its_tests_run(guarantee: str, places: list[str], where: str) -> None:
    found = {name: runs_in(ast.parse((PROJECT / name).read_text())) for place in places for name in files_of(place)}
    kinds = set(found.values())
    assert where == (kinds.pop() if len(kinds) == 1 else BOTH), found


def runs_in(module: ast.Module) -> str:
    """What runs the tests of a file: those marked `slow` are left out of `make test`."""
    if any(
        isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark" and is_slow(node)
        for node in module.body
    ):
        return SLOW
    tests = [node for node in module.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    slow = [
        any(ast.unparse(decorator) == "pytest.mark.slow" for decorator in node.decorator_list)
        for node in tests
        if node.name.startswith(("test_", "Test"))
    ]
    return SLOW if all(slow) else BOTH if is_slow(module) else QUICK


def is_slow(node: ast.AST) -> bool:
    """Whether the mark stands anywhere in it."""
    attributes = (part for part in ast.walk(node) if isinstance(part, ast.Attribute) and part.attr == "slow")
    return any(ast.unparse(part) == "pytest.mark.slow" for part in attributes)


def test_a_mark_is_found_where_it_may_stand() -> None:
    test = "def test_a(): pass\n"
    cases = {
        test: QUICK,
        f"pytestmark = pytest.mark.slow\n{test}": SLOW,
        f"pytestmark = [pytest.mark.skipif(True), pytest.mark.slow]\n{test}": SLOW,
        f"@pytest.mark.slow\n{test}": SLOW,
        f"@pytest.mark.slow\n{test}def test_b(): pass\n": BOTH,
        f"@pytest.mark.parametrize('a', [1, pytest.param(2, marks=pytest.mark.slow)])\n{test}": BOTH,
        f"MARKS = [pytest.mark.slow]\n{test}": BOTH,
        "class TestA(Contract):\n    pass\n": QUICK,
        "@pytest.mark.slow\nclass TestA:\n    def test_a(self): pass\n": SLOW,
        "class TestA:\n    @pytest.mark.slow\n    def test_a(self): pass\n": BOTH,
    }
    assert {text: runs_in(ast.parse(text)) for text in cases} == cases
