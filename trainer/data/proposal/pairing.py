"""Finds which files are images and which their labels, and the two patterns that say so."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.data.proposal.tree import FileGroup, label_score
from trainer.data.reading.path_pattern import LABEL_ENDINGS

__all__ = ["Layout", "find_layout", "split_of"]

SPLIT = re.compile(r"(.*?)(training|train|validation|valid|val|testing|test)(\d*)(.*)", re.IGNORECASE)
CANONICAL = {"training": "train", "validation": "val", "valid": "val", "testing": "test"}
BEFORE_BORDER, AFTER_BORDER = re.compile(r"(?=[_.\- ])"), re.compile(r"(?<=[_.\- ])")
SHARED = "\0"
SAMPLE = 60
"""Images of a group that are compared with labels."""
BORDERS = "_-. "
AFTER_SPLIT = ("annot", "mask", "masks", "labels")
"""What follows a split without a border: `trainannot`."""
ENOUGH = 0.3
"""Score above which files may be labels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """Two patterns, and what stands for `{split}` in them."""

    images: str
    labels: str
    splits: tuple[str, ...]
    pairs: int
    """Pairs in the groups from which the patterns come."""
    score: float


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupPair:
    """A group of images with the group of their labels."""

    image: FileGroup
    label: FileGroup
    image_affix: tuple[str, str]
    """What is before and after the stem."""
    label_affix: tuple[str, str]
    pairs: int
    score: float


def find_layout(root: Path, groups: Sequence[FileGroup]) -> Layout | None:
    """The layout with the most pairs, of equally many the one whose labels look most so; None without pairs."""
    candidates: dict[tuple[tuple[str, ...], tuple[str, ...]], list[Template]] = defaultdict(list)
    for pair in group_pairs(root, groups):
        template = template_of(pair)
        candidates[template.images, template.labels].append(template)
    layouts = [layout_of(found) for found in candidates.values()]
    return max(layouts, key=lambda item: (item.score > ENOUGH, item.pairs, item.score), default=None)


def group_pairs(root: Path, groups: Sequence[FileGroup]) -> Iterator[GroupPair]:
    """Groups that share stems, the one that looks more like labels as labels."""
    scores: dict[tuple[str, ...], float] = {}

    def score(files: tuple[str, ...]) -> float:
        if files not in scores:
            scores[files] = label_score(root, files)
        return scores[files]

    for image in groups:
        for label in groups:
            if label.ending not in LABEL_ENDINGS or not may_belong(image, label):
                continue
            for (image_affix, label_affix), count in affixes(image, label):
                if image is label and image_affix == label_affix:
                    continue
                labels = with_affix(label, label_affix)
                images = tuple(file for file in with_affix(image, image_affix) if file not in labels)
                difference = score(labels) - score(images) if images else 0.0
                if difference > 0:
                    yield GroupPair(
                        image=image,
                        label=label,
                        image_affix=image_affix,
                        label_affix=label_affix,
                        pairs=count,
                        score=difference,
                    )


def may_belong(image: FileGroup, label: FileGroup) -> bool:
    """Whether the folders of two groups name the same splits."""
    first, second = (tuple(split_of(name) for name in group.folder if split_of(name)) for group in (image, label))
    return first == second


def with_affix(group: FileGroup, affix: tuple[str, str]) -> tuple[str, ...]:
    """The files of a group whose stems have an affix."""
    return tuple(
        file
        for stem, file in zip(group.stems, group.files, strict=True)
        if stem.startswith(affix[0]) and stem.endswith(affix[1])
    )


def affixes(image: FileGroup, label: FileGroup) -> list[tuple[tuple[tuple[str, str], tuple[str, str]], int]]:
    """What is around the common stems in the names of images and labels, and the number of stems that fit; best first.

    Names are compared from the front, `a_image` with `a_label`, and from the back, `img_1` with `mask_1`.
    """
    equal = len(set(image.stems) & set(label.stems)) if image is not label else 0
    if equal * 2 >= min(len(image.stems), len(label.stems)):
        return [((("", ""), ("", "")), equal)]
    votes: Counter[tuple[tuple[str, str], tuple[str, str]]] = Counter()
    step = max(1, len(image.stems) // SAMPLE)
    heads, tails = defaultdict(set), defaultdict(set)
    for stem in image.stems[::step]:
        for head, tail in cuts(stem, BEFORE_BORDER):
            heads[head].add(tail)
        for head, tail in cuts(stem, AFTER_BORDER):
            tails[tail].add(head)
    for stem in label.stems:
        seen = set()
        for head, tail in cuts(stem, BEFORE_BORDER):
            seen |= {(("", rest), ("", tail)) for rest in heads.get(head, ()) if head and rest != tail}
        for head, tail in cuts(stem, AFTER_BORDER):
            seen |= {((front, ""), (head, "")) for front in tails.get(tail, ()) if tail and front != head}
        votes.update(seen)
    counted = []
    for (first, second), count in votes.most_common(8):
        stems = {inner(stem, first) for stem in image.stems} & {inner(stem, second) for stem in label.stems} - {None}
        if count and stems:
            counted.append(((first, second), len(stems)))
    most = max((count for _, count in counted), default=0)
    return [item for item in counted if item[1] == most]


def cuts(stem: str, border: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    """A name divided at each border between words, and at its ends."""
    for match in border.finditer(stem):
        yield stem[: match.start()], stem[match.start() :]
    yield stem, ""
    yield "", stem


def inner(stem: str, affix: tuple[str, str]) -> str | None:
    """A name without the affix; None if it has another."""
    before, after = affix
    fits = stem.startswith(before) and stem.endswith(after) and len(stem) > len(before) + len(after)
    return stem[len(before) : len(stem) - len(after)] if fits else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Template:
    """The patterns of a pair of groups, in components; `SHARED` stands for a folder that both have."""

    images: tuple[str, ...]
    labels: tuple[str, ...]
    shared: tuple[str, ...]
    """What `SHARED` stands for."""
    split: str
    pair: GroupPair


def template_of(pair: GroupPair) -> Template:
    """The patterns of a pair of groups."""
    split = next((name for name in map(split_text, pair.image.folder) if name), "")
    both = {name for name in pair.image.folder if not split_text(name)} & set(pair.label.folder)
    (image_before, image_after), (label_before, label_after) = pair.image_affix, pair.label_affix
    image_file = f"{image_before}*{image_after}.{pair.image.ending}"
    label_file = f"{label_before}{{stem}}{label_after}.{pair.label.ending}"
    return Template(
        images=(*(SHARED if name in both else as_split(name, split) for name in pair.image.folder), image_file),
        labels=(*(SHARED if name in both else as_split(name, split) for name in pair.label.folder), label_file),
        shared=tuple(name for name in pair.image.folder if name in both),
        split=split,
        pair=pair,
    )


def layout_of(found: Sequence[Template]) -> Layout:
    """The layout of groups with equal templates: folders in which they differ become wildcards."""
    first = found[0]
    varies = [len({item.shared[place] for item in found}) > 1 for place in range(len(first.shared))]
    fixed = iter(zip(first.shared, varies, strict=True))
    images = [part if part != SHARED else ("*" if (taken := next(fixed))[1] else taken[0]) for part in first.images]
    names = {name for name, varied in zip(first.shared, varies, strict=True) if varied}
    literal = iter(first.shared)
    labels = [
        part if part != SHARED else ("{folder}" if (name := next(literal)) in names else name) for part in first.labels
    ]
    labels = [part for place, part in enumerate(labels) if part != "{folder}" or "{folder}" not in labels[:place]]
    splits = tuple(dict.fromkeys(item.split for item in found if item.split))
    if len(splits) == 1:
        images, labels = ([part.replace("{split}", splits[0]) for part in parts] for parts in (images, labels))
    return Layout(
        images="/".join(images),
        labels="/".join(labels),
        splits=splits if len(splits) > 1 else (),
        pairs=sum(item.pair.pairs for item in found),
        score=max(item.pair.score for item in found),
    )


def split_text(name: str) -> str:
    """The part of a folder's name that says a split, as it stands there; empty if there is none."""
    match = SPLIT.fullmatch(name)
    if match is None or (match[1] and match[1][-1] not in BORDERS):
        return ""
    runs_on = match[4] and match[4][0] not in BORDERS and match[4] not in AFTER_SPLIT
    return "" if runs_on else match[2] + match[3]


def split_of(name: str) -> str:
    """The split that a folder's name says: `val` of `Validation`, `train` of `train2017`; empty if it says none."""
    text = re.sub(r"\d+$", "", split_text(name).lower())
    return CANONICAL.get(text, text)


def as_split(name: str, split: str) -> str:
    """A folder's name with `{split}` in the place of the split."""
    return name.replace(split, "{split}", 1) if split and split_text(name) == split else name
