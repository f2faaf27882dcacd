"""Which files of the repository are pages of the site, and where links to other files lead.

The same Markdown is read in the repository and on the site. A link to a file that is not a page, such as
`../orchestrator/running/failures.py`, leads on the site to a page that shows the file; one to a folder, to a list of
its files.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from pathlib import Path

__all__ = ["PAGES", "PROJECT", "files_in", "linked_files", "shown_file", "site_path", "with_site_links"]

PROJECT = Path(__file__).resolve().parents[1]
DOCS = "docs/"
PAGES = {
    "README.md": "index.md",
    "search_spaces/README.md": "search_spaces.md",
    "deploy/README.md": "clusters.md",
    "deploy/mlflow.md": "mlflow_server.md",
    "examples/sweep.ipynb": "notebook.md",
    "benchmarks/NOTES.md": "benchmark_notes.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
"""Files outside docs/ that are pages -> their paths on the site. The site has no other copy of their text."""
SHOWN = "files/"
"""Folder of the site with the files that pages link to."""
LANGUAGES = {
    ".py": "python",
    ".yaml": "yaml",
    ".json": "json",
    ".sh": "bash",
    ".toml": "toml",
    ".csv": "text",
    "": "text",
}
"""Suffixes of files that are shown as text -> the language of their highlighting. Others are offered as they are."""
LINK = re.compile(r"(?<=\]\()[^)\s]+(?=\))")
FENCE = re.compile(r"^( *)(`{3,})[^`\n]*\n.*?^\1\2 *$", re.MULTILINE | re.DOTALL)


def site_path(file: str) -> str:
    """Path on the site of a file or folder of the repository; both are relative to their roots."""
    file = f"{file}/README.md" if f"{file}/README.md" in PAGES else file
    if file in PAGES:
        return PAGES[file]
    if file.startswith(DOCS):
        return file.removeprefix(DOCS)
    if (PROJECT / file).is_dir():
        return f"{SHOWN}{file}/index.md"
    return f"{SHOWN}{file}.md" if is_text(file) else f"{SHOWN}{file}"


def is_text(file: str) -> bool:
    """Whether the site shows the file on a page of its own."""
    return Path(file).suffix in (*LANGUAGES, ".md")


def with_site_links(text: str, file: str) -> str:
    """The Markdown of `file` with links as they are on the site."""
    folder = posixpath.dirname(site_path(file))

    def on_site(target: str) -> str:
        path, mark, anchor = target.partition("#")
        place = site_path(beside(file, path)) if path else ""
        return (posixpath.relpath(place, folder or ".") if place else "") + mark + anchor

    return outside_fences(text, lambda part: LINK.sub(lambda hit: changed(hit[0], on_site), part))


def changed(target: str, change: Callable[[str], str]) -> str:
    """A link target, changed unless it leads out of the repository."""
    return target if re.match(r"[a-z]+:", target) else change(target)


def linked_files(text: str, file: str) -> set[str]:
    """Files and folders of the repository to which the Markdown of `file` links."""
    found: set[str] = set()

    def note(target: str) -> str:
        if path := target.partition("#")[0]:
            found.add(beside(file, path))
        return target

    outside_fences(text, lambda part: LINK.sub(lambda hit: changed(hit[0], note), part))
    return found


def beside(file: str, path: str) -> str:
    """The file that `path` means in `file`."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(file), path))


def outside_fences(text: str, change: Callable[[str], str]) -> str:
    """The text, changed everywhere but in code blocks."""
    parts, end = [], 0
    for fence in FENCE.finditer(text):
        parts += [change(text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, change(text[end:])])


def shown_file(file: str) -> str:
    """The Markdown page of a file or folder that is linked to; the search leaves it out."""
    head = f"---\nsearch: {{exclude: true}}\n---\n\n# {file}\n\n"
    place = PROJECT / file
    if place.is_dir():
        folder = posixpath.dirname(site_path(file))
        return head + "".join(
            f"- [{name}]({posixpath.relpath(site_path(f'{file}/{name}'), folder)})\n" for name in files_in(place)
        )
    text = place.read_text(encoding="utf-8")
    if place.suffix == ".md":
        return head + with_site_links(text, file)
    fence = "`" * (max([2, *map(len, re.findall("`+", text))]) + 1)
    return f"{head}{fence}{LANGUAGES[place.suffix]}\n{text.rstrip()}\n{fence}\n"


def files_in(folder: Path) -> list[str]:
    """Names of the files of a folder, without those that Python and editors leave."""
    return sorted(path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
