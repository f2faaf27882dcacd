"""The commands on the pages: those of fenced shell blocks, and one-liners in backticks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from website.command_reference import PROGRAMS

__all__ = ["PAGES", "PROJECT", "SHELLS", "Command", "commands", "fences"]

PROJECT = Path(__file__).resolve().parents[2]
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "search_spaces/README.md",
    "deploy/README.md",
    "deploy/mlflow.md",
    *sorted(path.relative_to(PROJECT).as_posix() for path in (PROJECT / "docs").rglob("*.md")),
)
"""All but the logs (CHANGELOG.md, benchmarks/NOTES.md), whose commands are those of their dates."""
SHELLS = ("sh", "bash", "console")
FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^`\n]*)\n(?P<body>.*?)^(?P=indent)``` *$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`((?:python -m [^\s`]+|make|pip) [^`]+)`")
STARTS = re.compile(r"(?:[A-Z_]+=\S+ )*(?:\S*/)?(?:python3?|make|pip|mlflow|bash|ray|sbatch|export|createuser)\s")
"""How a command begins."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command on a page."""

    text: str
    """One line, without its comment."""
    page: str


def fences(page: str) -> Iterator[tuple[str, str]]:
    """The language and the text of each code block of a page."""
    for block in FENCE.finditer((PROJECT / page).read_text(encoding="utf-8")):
        indent = block["indent"]
        yield block["info"], re.sub(rf"^{indent}", "", block["body"], flags=re.MULTILINE)


def commands() -> list[Command]:
    """All commands of all pages, each once, in their order."""
    found = (Command(text, page) for page in PAGES for text in commands_of(page))
    return list({command.text: command for command in found}.values())


def commands_of(page: str) -> Iterator[str]:
    """The commands of a page; the name of a program alone is not one."""
    for language, text in fences(page):
        if language.partition(" ")[0] in SHELLS:
            for line in text.replace("\\\n", " ").splitlines():
                if command := " ".join(re.sub(r"(^|\s)#.*$", "", line).split()):
                    yield command
    prose = FENCE.sub("", (PROJECT / page).read_text(encoding="utf-8"))
    found = INLINE.findall(" ".join(prose.split()))
    yield from (text for text in found if text.removeprefix("python -m ") not in PROGRAMS)
