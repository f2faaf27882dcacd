"""`make docs` builds the site without a warning, and its pages show what the Markdown files say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from website.command_reference import PROGRAMS, reference
from website.repository import PAGES, PROJECT, site_path, with_site_links

COUNTED = ("h1", "h2", "h3", "li", "table", "tr", "pre", "img")
"""Elements of which a page of the site must have as many as its file has where it is shown as GitHub does."""
FILES = (*PAGES, *sorted(path.relative_to(PROJECT).as_posix() for path in (PROJECT / "docs").glob("*.md")))
MARKDOWN = [name for name in FILES if name.endswith(".md") and name != "docs/commands.md"]


class Elements(HTMLParser):
    """Counts the elements of a page below its `article`, and what the page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = False
        self.counts: Counter[str] = Counter()
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.inside |= tag == "article"
        if self.inside and tag in COUNTED:
            self.counts[tag] += 1
        source = given.get("src") or (given.get("href") if tag == "link" else None)
        self.loaded += [source] if source else []

    def handle_endtag(self, tag: str) -> None:
        self.inside &= tag != "article"


def elements(html: str) -> Elements:
    """What a page has."""
    parser = Elements()
    parser.feed(html)
    return parser


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site. mkdocs is strict: a link that leads nowhere, or a page without a place, is an error."""
    if find_spec("mkdocs") is None:
        pytest.skip("mkdocs is not installed: pip install '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    line = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(folder)]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(line, cwd=PROJECT, env=quiet, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def page_of(site: Path, file: str) -> str:
    """The HTML of a page."""
    return (site / site_path(file)).with_suffix(".html").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("file", MARKDOWN)
def test_a_page_has_what_its_file_has(file: str, site: Path) -> None:
    """Headings, list items, tables, code and pictures: the site's Markdown parser differs from GitHub's."""
    rendered = MarkdownIt("commonmark", {"html": True}).enable("table")
    expected = elements(f"<article>{rendered.render((PROJECT / file).read_text(encoding='utf-8'))}</article>").counts
    assert elements(page_of(site, file)).counts == expected


@pytest.mark.slow
def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 40
    for page in pages:
        loaded = elements(page.read_text(encoding="utf-8")).loaded
        assert not [source for source in loaded if re.match(r"(https?:)?//", source)], page


@pytest.mark.slow
def test_links_to_files_of_the_repository_show_them(site: Path) -> None:
    page = page_of(site, "docs/daily_use.md")
    assert 'href="files/orchestrator/running/failures.py.html"' in page
    shown = (site / "files/orchestrator/running/failures.py.html").read_text(encoding="utf-8")
    source = (PROJECT / "orchestrator/running/failures.py").read_text(encoding="utf-8")
    assert source.splitlines()[0].strip('"') in shown
    listed = (site / "files/examples/own_method/index.html").read_text(encoding="utf-8")
    assert 'href="my_sampler.py.html"' in listed
    assert (site / "files/reports/results/camvid_memory/differences.png").is_file()


@pytest.mark.slow
def test_the_api_pages_have_the_docstrings(site: Path) -> None:
    api = (site / "api" / "orchestrator.html").read_text(encoding="utf-8")
    assert "A folder, or a URL such as s3://bucket/prefix." in api
    config = (site / "api" / "config.html").read_text(encoding="utf-8")
    assert "Divides the cosine similarities." in config


def test_every_program_is_on_the_page_of_commands() -> None:
    """Whatever parses a command line that starts with `python -m`."""
    sources = [path for package in ("orchestrator", "trainer", "reports") for path in (PROJECT / package).rglob("*.py")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    assert set(re.findall(r'prog="python -m ([\w. ]+)"', text)) == set(PROGRAMS)
    page = (PROJECT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert re.findall(r"^<!-- options of python -m (.+) -->$", page, re.MULTILINE) == list(PROGRAMS)
    named = {*re.findall(r"^\| `python -m ([\w. ]+)`", page, re.MULTILINE)}
    assert named == set(PROGRAMS)


def test_the_page_of_commands_has_every_option_with_its_meaning() -> None:
    sweep = reference("orchestrator.sweep")
    assert "| `--max-concurrent N` | run at most N trials at once |" in sweep
    assert "| `SPEC.yaml` | search space file |" in sweep
    several = reference("orchestrator")
    assert "## python -m orchestrator status" in several
    assert "## python -m orchestrator doctor" in several
    assert "(default: runs)" in several
    assert "%(default)s" not in reference("reports")


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("README.md", "[a](docs/trust.md#files)", "[a](trust.md#files)"),
        ("docs/trust.md", "[a](../search_spaces/README.md)", "[a](search_spaces.md)"),
        ("docs/trust.md", "[a](../deploy)", "[a](clusters.md)"),
        ("docs/api/plugins.md", "[a](../own_data.md)", "[a](../own_data.md)"),
        ("docs/trust.md", "[a](../trainer/run.py)", "[a](files/trainer/run.py.md)"),
        ("docs/trust.md", "[a](../reports/results/camvid_memory)", "[a](files/reports/results/camvid_memory/index.md)"),
        ("docs/trust.md", "[a](#files) [b](https://x.org/y)", "[a](#files) [b](https://x.org/y)"),
        ("deploy/README.md", "```\n[a](x.py)\n```\n[b](mlflow.md)", "```\n[a](x.py)\n```\n[b](mlflow_server.md)"),
    ],
)
def test_a_link_leads_to_the_same_place_on_the_site(file: str, before: str, after: str) -> None:
    assert with_site_links(before, file) == after
