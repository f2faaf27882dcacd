"""What the pages name exists: files, links, modules and names in code; and so does every page that the source names."""

from __future__ import annotations

import importlib
import re
import subprocess
from collections.abc import Iterator
from itertools import chain, product
from pathlib import Path

import pytest

from website.repository import PAGES as SITE_PAGES

PROJECT = Path(__file__).resolve().parents[1]
PACKAGES = ("orchestrator", "trainer", "reports", "benchmarks")
OUTPUT = ("table.md", "classes.md", "tables/table.md", "reports/out/", "files/", *SITE_PAGES.values())
"""Files that a sweep writes, and pages of the site."""
HISTORY = ("CHANGELOG.md", "benchmarks/NOTES.md")
"""Logs, which name modules as they were called at their date."""

FOREIGN = {"InvalidAuthToken", "ResultGrid"}
"""Names of Ray that pages explain and our code does not use."""

TRACKED = frozenset(
    filter(
        None,
        subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split("\0"),
    )
)
FOLDERS = frozenset(parent.as_posix() for name in TRACKED for parent in Path(name).parents) - {"."}
PAGES = sorted(name for name in TRACKED if name.endswith(".md") and not name.startswith("tests/"))
TEXTS = sorted(
    name for name in TRACKED if name.endswith((".py", ".yaml", ".toml", ".md", ".sh", ".jinja")) or name == "Makefile"
)
CODE = [name for name in TRACKED if name.endswith((".py", ".sh", ".yaml"))]
WORDS = frozenset(
    chain.from_iterable(re.findall(r"\w+", (PROJECT / name).read_text(encoding="utf-8")) for name in CODE)
)
"""All names and words in the code."""


def read(name: str) -> str:
    """A file of the repository."""
    return (PROJECT / name).read_text(encoding="utf-8")


def exists(path: str) -> bool:
    """Whether the repository has this file or folder; `*` and `{a,b}` as in a shell."""
    parts = [re.split(r",", part[1:-1]) if part.startswith("{") else [part] for part in re.split(r"(\{[^}]*\})", path)]
    return all(is_one("".join(choice).rstrip("/")) for choice in product(*parts))


def is_one(path: str) -> bool:
    """Whether a file or folder of the repository has this path, in which `*` stands for anything but a slash."""
    if "*" not in path:
        return path in TRACKED or path in FOLDERS
    matching = re.compile("[^/]*".join(map(re.escape, path.split("*"))))
    return any(matching.fullmatch(name) for name in TRACKED | FOLDERS)


def test_every_page_that_a_file_names_exists() -> None:
    missing = {}
    for name in TEXTS:
        named = set(re.findall(r"(?<![\w./:-])(?:[\w-][\w.-]*/)*[\w-]+\.md\b", read(name)))
        gone = [page for page in named if not is_page(page, Path(name).parent) and not page.startswith(OUTPUT)]
        missing.update({name: gone} if gone else {})
    assert not missing


def test_no_file_refers_to_a_numbered_issue() -> None:
    """Readers of the repository cannot look it up; the published figures name issues of the released repository."""
    found = {
        name: re.findall(r"\bissue \d+", read(name)) for name in TEXTS if not name.startswith("reports/published/")
    }
    assert not {name: issues for name, issues in found.items() if issues}


def is_page(page: str, folder: Path) -> bool:
    """Whether a page has this path, from the root or from `folder`, or this name, as in `DEPLOY / "mlflow.md"`."""
    return page in TRACKED or (folder / page).as_posix() in TRACKED or page in {Path(name).name for name in PAGES}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", read(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (PROJECT / page).parent / path if path else PROJECT / page
        assert found.exists(), f"{page}: {target}"
        assert not anchor or anchor in headings(found), f"{page}: {target}"


def headings(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    lines = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}


def code_words(page: str) -> Iterator[str]:
    """What stands in single backticks on a page."""
    prose = re.sub(r"^```.*?^```$", "", read(page), flags=re.MULTILINE | re.DOTALL)
    yield from re.findall(r"`([^`\n]+)`", prose)


@pytest.mark.parametrize("page", [page for page in PAGES if page not in HISTORY])
def test_every_file_that_a_page_names_exists(page: str) -> None:
    roots = "|".join(re.escape(folder) for folder in FOLDERS if "/" not in folder)
    missing = []
    for word in code_words(page):
        if not re.fullmatch(rf"(?:{roots})/[\w./*{{}},:-]*", word) or word.startswith(OUTPUT):
            continue
        path, _, name = word.partition("::")
        if not exists(path) or (name and not re.search(rf"\b(def|class) {re.escape(name)}\b", read(path))):
            missing.append(word)
    assert not missing, page


@pytest.mark.parametrize("page", [page for page in PAGES if page not in HISTORY])
def test_every_module_and_attribute_that_a_page_names_exists(page: str) -> None:
    words = [word.removesuffix("()") for word in code_words(page)]
    dotted = [word for word in words if re.fullmatch(rf"({'|'.join(PACKAGES)})(\.\w+)+", word)]
    assert not [word for word in dotted if not resolves(word)], page


def test_the_new_names_in_the_changelog_exist() -> None:
    rows = re.findall(r"^ *\| before \| now \|\n(?: *\|.*\n)+", read("CHANGELOG.md"), flags=re.MULTILINE)
    now = [row.split("|")[2] for table in rows for row in table.splitlines()]
    names = re.findall(rf"`((?:{'|'.join(PACKAGES)})[\w.]+)`", "\n".join(now))
    assert len(names) > 10
    assert not [name for name in names if not resolves(name)]


def resolves(name: str) -> bool:
    """Whether `package.module.attribute.attribute` exists."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for attribute in parts[length:]:
            fields = getattr(found, "__dataclass_fields__", {})
            if not hasattr(found, attribute) and attribute not in fields:
                return False
            found = getattr(found, attribute, None)
        return True
    return False


@pytest.mark.parametrize("page", [page for page in PAGES if page not in HISTORY])
def test_every_class_and_constant_that_a_page_names_is_in_the_code(page: str) -> None:
    names = {
        word for word in code_words(page) if re.fullmatch(r"[A-Z][a-z]+(?:[A-Z][a-z]+)+|[A-Z]{3,}(?:_[A-Z]+)*", word)
    }
    assert names <= WORDS, page


def test_the_map_of_the_files_names_files_that_exist() -> None:
    block = read("docs/architecture.md").split("## Map of the files")[1].split("```")[1]
    folders: list[tuple[int, str]] = []
    checked = 0
    for line in filter(None, block.splitlines()):
        indent = len(line) - len(line.lstrip())
        while folders and folders[-1][0] >= indent:
            folders.pop()
        columns = re.match(r"\s*((?:\S+  ?)*\S+)(?:\s{2,}|$)", line)
        assert columns
        folder = "".join(name for _, name in folders)
        for name in columns[1].split():
            if not re.fullmatch(r"[\w./*]+(/|\.py|\.yaml|\.md)", name):
                break
            assert exists(f"{folder}{name}"), f"{folder}{name}"
            checked += 1
            if name.endswith("/"):
                folders.append((indent, name))
    assert checked > 30


QUOTED = re.compile(r"<!-- lines of (\S+) -->\n(.*?)\n<!-- /lines -->", re.DOTALL)


def test_the_tables_of_results_on_the_pages_are_those_of_their_files() -> None:
    """Between `<!-- lines of FILE -->` and `<!-- /lines -->` each line stands in the file, in the same order."""
    quoted = [(page, *block) for page in PAGES for block in QUOTED.findall(read(page))]
    assert {"README.md", "docs/results.md"} <= {page for page, _, _ in quoted}
    for page, file, text in quoted:
        lines = iter(read(file).splitlines())
        assert [line for line in text.splitlines() if line not in lines] == [], f"{page}: not in {file}"


def test_every_published_result_is_on_the_page_of_results() -> None:
    page = read("docs/results.md")
    published = [path.relative_to(PROJECT).as_posix() for path in (PROJECT / "reports/results").glob("*/*.zip")]
    assert published
    assert [path for path in published if f"(../{path})" not in page] == []


def test_the_readme_is_short() -> None:
    assert len(read("README.md").splitlines()) <= 100
