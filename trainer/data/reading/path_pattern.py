"""Patterns of files below a folder: `leftImg8bit/{split}/**/*_leftImg8bit.png`, `masks/{folder}/{stem}_mask.png`.

`*`, `?` and `[abc]` match within a name, `**` any number of folders, `{png,jpg}` one of several words. Three words
stand for a part of the path, which `find` reports: `{split}`, `{folder}` and `{stem}`. In a pattern without `{folder}`,
the folder is what the wildcards of folders match; without `{stem}`, the stem is what those of the file name match. Only
the ending of a file ignores case. Hidden files and folders are left out.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["IMAGE_ENDINGS", "LABEL_ENDINGS", "Found", "PathPattern"]

LABEL_ENDINGS = ("png", "tif", "tiff", "bmp", "gif", "npy")
"""Of files that keep ids as they are."""
IMAGE_ENDINGS = (*LABEL_ENDINGS, "jpg", "jpeg", "webp")

WORDS = ("split", "folder", "stem")
TOKEN = re.compile(r"\{(\w+)\}|\{([^{}/]*,[^{}/]*)\}|(\*+)|(\?)|(\[[^\]/]+\])|(.)", re.DOTALL)
ENDING = re.compile(r"\.(?:([A-Za-z0-9]+)|\{([A-Za-z0-9]+(?:,[A-Za-z0-9]+)*)\})$")
ANY_ENDING = re.compile(r"(?:\.\*)?$")
WILDCARD = re.compile(r"[*?\[]")
MAX_FOLDERS = 40
"""Depth at which a walk ends; links can form a circle."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file that matches."""

    path: str
    """Relative to the folder, with slashes."""
    split: str
    folder: str
    """Folders joined with slashes; empty if there are none."""
    stem: str

    @property
    def name(self) -> str:
        """Folder and stem."""
        return "/".join(part for part in (self.folder, self.stem) if part)


@dataclass(frozen=True, slots=True)
class PathPattern:
    """A pattern. Raises ValueError `what is wrong; remedy` for text that is none."""

    text: str
    endings: Sequence[str]
    """Endings of files that can be read; a pattern that names none of them matches all."""
    folders: tuple[str, ...] = field(init=False)
    """The components before the file name."""
    file: str = field(init=False)
    """The file name without its ending."""
    own_endings: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        *folders, file = self.text.split("/")
        if not file or any(part in ("", ".", "..") for part in folders):
            raise ValueError(
                f"{self.text!r} is not a path below the data set; write for example images/{{split}}/*.png"
            )
        for word in re.findall(r"\{(\w*)\}", self.text):
            if word not in WORDS:
                raise ValueError(f"unknown word {{{word}}} in {self.text!r}; choose {{split}}, {{folder}} or {{stem}}")
        if re.search(r"[{}]", re.sub(r"\{[^{}/]+\}", "", self.text)):
            raise ValueError(f"a single brace in {self.text!r}; write {{png,jpg}} or {{stem}}")
        own: tuple[str, ...] = ()
        ending = ENDING.search(file)
        if ending is not None:
            own = tuple((ending[1] or ending[2]).lower().split(","))
            if unknown := [name for name in own if name not in self.endings]:
                known = " ".join(f".{name}" for name in sorted(self.endings))
                raise ValueError(f".{unknown[0]} files cannot be read here; convert them, or choose among {known}")
            file = file[: ending.start()]
        else:
            file = ANY_ENDING.sub("", file, count=1)
        object.__setattr__(self, "folders", tuple(folders))
        object.__setattr__(self, "file", file)
        object.__setattr__(self, "own_endings", own or tuple(self.endings))

    def has(self, word: str) -> bool:
        """Whether `{word}` is in the pattern."""
        return f"{{{word}}}" in self.text

    @property
    def without_ending(self) -> str:
        """The text of the pattern that takes files with all endings that can be read."""
        return "/".join((*self.folders, f"{self.file}.*"))

    def find(self, root: Path, split: str | None = None) -> Iterator[Found]:
        """The files below `root` that match, with `split` in the place of `{split}` if it is given."""
        yield from self._walk(root, "", self.folders, split, (), None, 0)

    def split_names(self, root: Path) -> set[str]:
        """What is in the place of `{split}` among folders, also empty ones, or else among files."""
        place = next((place for place, part in enumerate(self.folders) if "{split}" in part), None)
        if place is None:
            return {found.split for found in self.find(root)}
        return {split for split in self._splits(root, self.folders[: place + 1]) if split}

    def _splits(self, folder: Path, components: Sequence[str]) -> Iterator[str]:
        first, *rest = components
        if first == "**":
            if rest:
                yield from self._splits(folder, rest)
            for name in folders_in(folder):
                if not is_circle(folder / name):
                    yield from self._splits(folder / name, components)
            return
        for name in folders_in(folder):
            if (match := self._regex(first, None).fullmatch(name)) is not None:
                yield from self._splits(folder / name, rest) if rest else [match.groupdict().get("split") or ""]

    def place(self, split: str, folder: str, stem: str) -> str:
        """Where a file should be: the words replaced, wildcards of folders too if `folder` has as many names."""
        names = folder.split("/") if folder else []
        wild = [part for part in self.folders if WILDCARD.search(part) and not self.has("folder")]
        parts: list[str] = []
        for part in self.folders:
            count = 1 if part != "**" else max(0, len(names) - len(wild) + 1)
            if part == "{folder}":
                parts += names
            elif part in wild:
                parts += names[:count] or [part]
                names = names[count:]
            else:
                parts.append(part)
        first, last = self._edges()
        file = self.file if "{stem}" in self.file or first < 0 else f"{self.file[:first]}{stem}{self.file[last:]}"
        text = "/".join((*parts, f"{file}.{self.own_endings[0]}"))
        for word, value in (("split", split), ("folder", folder), ("stem", stem)):
            text = text.replace(f"{{{word}}}", value) if value or word != "split" else text
        return text

    def fixed(self, split: str = "") -> str:
        """The folders before the first wildcard."""
        parts: list[str] = []
        for part in self.folders:
            part = part.replace("{split}", split) if split else part
            if WILDCARD.search(part) or "{" in part:
                break
            parts.append(part)
        return "/".join(parts)

    def _walk(
        self,
        root: Path,
        below: str,
        components: Sequence[str],
        split: str | None,
        wild: tuple[str, ...],
        folder: str | None,
        depth: int,
    ) -> Iterator[Found]:
        """The files in `root/below`; `wild` are the names that wildcards have matched, `folder` what `{folder}` has."""
        if not components:
            yield from self._files(root, below, split, wild, folder)
            return
        first, *rest = components
        if first in ("**", "{folder}"):
            yield from self._walk(root, below, rest, split, wild, folder, depth)
            if depth < MAX_FOLDERS:
                for name in folders_in(root / below):
                    if is_circle(root / below / name):
                        continue
                    more = f"{folder}/{name}" if folder else name
                    names, inside = (wild, more) if first == "{folder}" else ((*wild, name), folder)
                    yield from self._walk(root, joined(below, name), components, split, names, inside, depth + 1)
            return
        if not WILDCARD.search(first) and "{" not in first.replace("{split}", "" if split else "{split}"):
            name = first.replace("{split}", split or "")
            if (root / below / name).is_dir():
                yield from self._walk(root, joined(below, name), rest, split, wild, folder, depth)
            return
        regex = self._regex(first, split)
        for name in folders_in(root / below):
            if (match := regex.fullmatch(name)) is not None:
                groups = match.groupdict()
                names = (*wild, name) if WILDCARD.search(first) else wild
                found, inside = groups.get("split") or split, groups.get("folder") or folder
                yield from self._walk(root, joined(below, name), rest, found, names, inside, depth)

    def _files(
        self, root: Path, below: str, split: str | None, wild: tuple[str, ...], folder: str | None
    ) -> Iterator[Found]:
        regex = self._regex(self.file, split, stem=True)
        for name in names_in(root / below, files=True):
            text, _, ending = name.rpartition(".")
            if ending.lower() not in self.own_endings or (match := regex.fullmatch(text)) is None:
                continue
            groups = match.groupdict()
            place = "/".join(wild) if folder is None and not self.has("folder") else folder or ""
            yield Found(
                joined(below, name),
                groups.get("split") or split or "",
                groups.get("folder") or place,
                groups.get("stem") or "",
            )

    def _edges(self) -> tuple[int, int]:
        """Where the first wildcard of the file name begins and the last one ends; -1 if there is none."""
        spans = [match.span() for match in re.finditer(r"\*+|\?|\[[^\]]+\]", self.file)]
        return (spans[0][0], spans[-1][1]) if spans else (-1, -1)

    def _regex(self, text: str, split: str | None, *, stem: bool = False) -> re.Pattern[str]:
        first, last = self._edges() if stem and "{stem}" not in text else (-1, -1)
        parts: list[str] = []
        named: set[str] = set()
        for match in TOKEN.finditer(text):
            word, words, stars, one, chosen, letter = match.groups()
            parts.append("(?P<stem>" if match.start() == first else "")
            if word is not None:
                value = {"split": re.escape(split) if split else "[^/]+?", "folder": "[^/]*?", "stem": ".*?"}[word]
                parts.append(f"(?P={word})" if word in named else f"(?P<{word}>{value})")
                named.add(word)
            elif words is not None:
                parts.append(f"(?:{'|'.join(map(re.escape, words.split(',')))})")
            elif stars is not None or one is not None:
                parts.append(".*" if stars else ".")
            else:
                parts.append(fnmatch.translate(chosen)[4:-3] if chosen else re.escape(letter))
            parts.append(")" if match.end() == last else "")
        return re.compile("".join(parts), re.DOTALL)


def folders_in(folder: Path) -> list[str]:
    """Sorted names of the folders in `folder`."""
    return names_in(folder, files=False)


def names_in(folder: Path, *, files: bool) -> list[str]:
    """Sorted names of the files, or of the folders, in `folder`; none if it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            return sorted(
                entry.name
                for entry in entries
                if not entry.name.startswith(".") and (entry.is_file() if files else entry.is_dir())
            )
    except OSError:
        return []


def is_circle(folder: Path) -> bool:
    """Whether a folder is a link to one that contains it."""
    return folder.is_symlink() and folder.parent.resolve().is_relative_to(folder.resolve())


def joined(below: str, name: str) -> str:
    """`below/name`."""
    return f"{below}/{name}" if below else name
