"""What mkdocs calls while it builds the site (`hooks` in mkdocs.yml)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mkdocs.structure.files import File, InclusionLevel

from website.command_reference import reference
from website.notebook import notebook_page
from website.repository import PAGES, PROJECT, files_in, linked_files, shown_file, site_path, with_site_links

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

__all__ = ["on_files", "on_page_markdown"]

OPTIONS = re.compile(r"^<!-- options of python -m (.+) -->$", re.MULTILINE)
"""On the page of all commands, where the options of a program go."""
NAMED_FENCE = re.compile(r"^( *```\w+) ([\w./-]+)$", re.MULTILINE)
"""The start of a code block with a file name, such as "yaml own.yaml"."""
SOURCES = {uri: file for file, uri in PAGES.items()}
LOGS = ("changelog.md", "benchmark_notes.md", "decisions.md")
"""Pages that the search shows after the others."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie outside docs/, and the files to which pages link."""
    texts = {f"docs/{file.src_uri}": file.content_string for file in files.documentation_pages()}
    for name, uri in PAGES.items():
        path = PROJECT / name
        texts[name] = notebook_page(path) if path.suffix == ".ipynb" else path.read_text(encoding="utf-8")
        files.append(File.generated(config, uri, content=texts[name]))
    waiting = [name for file, text in texts.items() for name in linked_files(text, file)]
    present = {file.src_uri for file in files}
    while waiting:
        name = waiting.pop()
        uri, place = site_path(name), PROJECT / name
        if uri in present or not place.exists():  # mkdocs reports a link to what does not exist
            continue
        present.add(uri)
        if uri.endswith(".md"):
            page = File.generated(config, uri, content=shown_file(name), inclusion=InclusionLevel.NOT_IN_NAV)
            files.append(page)
        else:
            files.append(File.generated(config, uri, abs_src_path=str(place)))
        if place.is_dir():
            waiting += [f"{name}/{item}" for item in files_in(place)]
        elif place.suffix == ".md":
            waiting += linked_files(place.read_text(encoding="utf-8"), name)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill in the options of commands, give code blocks titles, and let links lead to where files are on the site."""
    uri = page.file.src_uri
    if uri.startswith("files/"):  # `shown_file` has made its links
        return markdown
    if uri in LOGS:
        page.meta["search"] = {"boost": 0.5}
    markdown = OPTIONS.sub(lambda mark: reference(mark[1]), markdown)
    markdown = NAMED_FENCE.sub(r'\1 title="\2"', markdown)
    return with_site_links(markdown, SOURCES.get(uri, f"docs/{uri}"))
