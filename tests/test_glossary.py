"""Words that docs/glossary.md retires are not used: not in code, messages, help, comments, pages or YAML files."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
GLOSSARY = PROJECT / "docs" / "glossary.md"

HISTORY = ("CHANGELOG.md", "docs/glossary.md", "docs/decisions.md", "tests/test_glossary.py")
"""Files that must name what a thing was called before."""
OUTPUT = (
    "reports/results/",
    "tests/recorded/",
    "tests/reports/golden/",
    "search_spaces/schema.json",
    "search_spaces/recipes/schema.json",
)
"""Files that the program wrote; the words come from the sources, which are read."""
ALLOWED: dict[tuple[str, str], str] = {
    ("door", "trainer/data/files/"): "a class of ADE20K, COCO-Stuff and PASCAL-Context",
    ("portions", "trainer/config/optim.py"): "the name in canonical configurations, which trial ids depend on",
    ("portions", "tests/orchestrator/planning/test_identity.py"): "the same",
    ("portions", "tests/orchestrator/spec/test_renamed_keys.py"): "the old key, which still works",
    ("promised", "docs/reliability.md"): "its plain meaning, in headings",
    ("surroundings", "docs/reliability.md"): "the same",
}
"""(word, start of a path) -> why the word must stay there."""
LITERAL = {
    "card.sh": "the name of a script",
    '"Variant"': "the printed header of a table, which must stay byte-equal",
    "`Variant`": "the same, in comments",
    "| Variant |": "the same, in Markdown",
    'class="stub': "a class of the page, which must stay byte-equal",
    "th.stub": "the same",
    "td.stub": "the same",
    "font-variant-numeric": "a property of CSS",
    "pandas-stubs": "a package",
    "new Promise": "a class of JavaScript",
    "Promise.resolve": "the same",
    "cardHeight": "a key of MLflow's saved views",
}
"""Text -> why it is not read."""


def retired() -> list[str]:
    """The words and phrases in the first columns of the glossary's last two tables."""
    text = GLOSSARY.read_text(encoding="utf-8")
    tables = text[text.index("\n## Retired words") :]
    rows = re.findall(r"^\| (?!retired |-)([^|]+) \|", tables, flags=re.MULTILINE)
    # A comma separates words, except in a phrase that has one itself.
    return [word for row in rows for word in ([row] if row.endswith(", at most") else row.split(", "))]


def pattern(word: str) -> re.Pattern[str]:
    """Matches the word in prose, with any white space between its parts, and as a part of a name in code."""
    return re.compile(r"(?<![a-z])" + r"[\s#]+".join(map(re.escape, word.split())) + r"(?![a-z])")


def as_words(text: str) -> str:
    """Lower case, with names such as `ArmConfig` and `arms_of` taken apart; the number of lines is kept."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text).replace("_", " ").lower()


def sources() -> dict[str, str]:
    """Path -> text in words, of every file of the repository that people or programs read as text."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    found = {}
    for name in filter(None, listed.split("\0")):
        if name.startswith(OUTPUT) or name in HISTORY or not (PROJECT / name).is_file():
            continue
        try:
            text = (PROJECT / name).read_text(encoding="utf-8")
        except UnicodeDecodeError:  # pictures and Parquet files
            continue
        for literal in LITERAL:
            text = text.replace(literal, "")
        found[name] = as_words(text)
    return found


SOURCES = sources()


def is_allowed(word: str, path: str) -> bool:
    """Whether `ALLOWED` names the word for this path."""
    return any(word == entry and path.startswith(start) for entry, start in ALLOWED)


@pytest.mark.parametrize("word", retired())
def test_no_retired_word_is_used(word: str) -> None:
    first, *_ = word.split()
    found = [
        f"{path}:{text.count(chr(10), 0, hit.start()) + 1}"
        for path, text in SOURCES.items()
        if first in text and not is_allowed(word, path)  # to look for plain text takes a twentieth of the time
        for hit in pattern(word).finditer(text)
    ]
    assert not found, f"{word!r} is retired (docs/glossary.md): {', '.join(found)}"


@pytest.mark.parametrize(("word", "start"), ALLOWED)
def test_every_exception_is_needed(word: str, start: str) -> None:
    assert word in retired()
    assert any(pattern(word).search(text) for path, text in SOURCES.items() if path.startswith(start))


def test_the_words_of_the_glossary_are_its_own() -> None:
    """No entry is explained with a retired word, and each word has one entry."""
    text = GLOSSARY.read_text(encoding="utf-8")
    kept = text[: text.index("\n## Retired words")]
    assert not [word for word in retired() if pattern(word).search(as_words(kept))]
    entries = [word for row in re.findall(r"^\| ([^|]+) \|", kept, flags=re.MULTILINE) for word in row.split(", ")]
    words = [word for word in entries if word != "word" and not word.startswith("-")]
    assert len(words) == len(set(words))
