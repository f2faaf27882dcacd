"""Examines a data set: its census, its broken files, and a sheet of images with their labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from orchestrator.machine.first_few import first_lines
from orchestrator.machine.text_table import Line, Part, TextTable
from trainer.data.census import Census, SplitCensus, SplitCount, describe_sizes, find_duplicates, findings_in
from trainer.data.left_over import left_over
from trainer.data.problems import Problems
from trainer.data.reading.palette import colour_labels
from trainer.data.requirements import unmet
from trainer.data.source import IGNORE_INDEX, Pair, Source
from trainer.data.synthetic.dataset import Synthetic
from trainer.errors import DataError

__all__ = ["Report", "examine", "report_lines", "write_sheet"]

TILE_WIDTH, COLUMNS, LEGEND_ROW, LEGEND_WIDTH = 320, 3, 18, 200
OPACITY = 0.55
"""Of the label's colours over the image."""
SMALLEST_SHARE = 0.001
"""The report marks classes with a smaller share, whose IoU varies strongly between seeds."""
MOST_CLASSES, RAREST = 12, 8
"""Of more than `MOST_CLASSES` classes only the `RAREST` are shown without `--all`."""
MOST_LINES = 5
"""Notes, or broken files, that are shown without `--all`."""


@dataclass(slots=True)
class SplitReport:
    """The findings in one split."""

    split: str
    count: SplitCount
    """Of the intact pairs."""
    problems: Problems = field(default_factory=Problems)
    samples: list[tuple[str, Pair]] = field(default_factory=list)
    """Some pairs for the sheet, with their stems."""

    @property
    def census(self) -> SplitCensus:
        """What the intact pairs hold."""
        return self.count.census()


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """The findings in a data set."""

    source: Source
    splits: tuple[SplitReport, ...]
    refusals: tuple[str, ...]
    """Why a run is refused although all files are intact."""
    left_over: tuple[str, ...]
    """Files that are not used."""

    @property
    def broken(self) -> tuple[str, ...]:
        """What is wrong with files, one sentence each."""
        return tuple(dict.fromkeys(line for split in self.splits for line in split.problems.lines()))

    @property
    def intact(self) -> bool:
        """Whether a run on the data set is not refused."""
        return not (self.broken or self.refusals)

    @property
    def census(self) -> Census:
        """The census of the labelled splits."""
        counts = {report.split: report.count for report in self.splits if report.split not in self.source.unlabelled}
        return Census(
            class_names=self.source.class_names,
            splits={name: count.census() for name, count in counts.items()},
            duplicates=find_duplicates(counts),
        )


def examine(source: Source, *, samples: int, absent_classes: bool = False) -> Report:
    """Decode every pair, and keep `samples` of each split; `absent_classes` are allowed or not."""
    splits = tuple(examine_split(source, split, samples=samples) for split in source.splits)
    report = Report(source=source, splits=splits, refusals=(), left_over=tuple(left_over(source)))
    if report.broken or isinstance(source, Synthetic):  # generated scenes have no labels that could be wrong
        return report
    return replace(report, refusals=tuple(unmet(report.census, source, absent_classes=absent_classes)))


def examine_split(source: Source, split: str, *, samples: int) -> SplitReport:
    """Decode every pair of `split` and keep `samples` evenly spaced ones."""
    report = SplitReport(split, SplitCount(len(source.class_names)))
    wanted = sample_numbers(known_size(source, split), samples)
    for number, (stem, found) in enumerate(source.examine(split)):
        if isinstance(found, DataError):
            report.problems.add(found)
            continue
        report.count.add(stem, found.facts)
        if number in wanted or (not wanted and len(report.samples) < samples):
            report.samples.append((stem, found.pair))
    return report


def known_size(source: Source, split: str) -> int:
    """Number of pairs in `split`, or 0 if its layout is broken."""
    try:
        return source.size(split)
    except DataError:
        return 0


def sample_numbers(count: int, wanted: int) -> set[int]:
    """`wanted` evenly spaced numbers of 0..count-1."""
    return {round(place) for place in np.linspace(0, count - 1, min(wanted, count))} if count else set()


def report_lines(report: Report, *, every: bool = True) -> Iterator[Part]:
    """What the terminal shows: whether a run is refused, splits, classes and findings; in full with `every`."""
    splits = {split.split: split.census for split in report.splits}
    yield Line(summary(report), "bold" if report.intact else "bold red")
    yield ""
    yield split_table(report)
    yield ""
    yield from class_lines(report, splits, every=every)
    if report.source.unlabelled:
        dummies = ", ".join(sorted(report.source.unlabelled))
        yield f"labels of {dummies} are dummies: do not train or evaluate on it"
    census = report.census
    most = None if every else MOST_LINES
    yield from first_lines([f"note: {text}" for text in findings_in(census, census.splits)], most)
    yield from first_lines([f"left over: {text}" for text in report.left_over], most)
    for head, lines in (("broken:", report.broken), ("a run is refused:", report.refusals)):
        if lines:
            yield ""
            yield head
            yield from first_lines([f"  {line}" for line in lines], most)


def summary(report: Report) -> str:
    """`3 splits, 701 pairs, none broken; a run accepts the data set`."""
    pairs = sum(split.census.images for split in report.splits)
    broken = sum(split.problems.count for split in report.splits)
    verdict = "a run accepts the data set" if report.intact else "a run is refused"
    return f"{len(report.splits)} splits, {pairs} pairs, {broken or 'none'} broken; {verdict}"


def split_table(report: Report) -> TextTable:
    """Pairs, broken files, void, sizes and modes of each split."""
    rows = []
    for item in report.splits:
        split = item.census
        void = "-" if split.void_share is None else f"{split.void_share:.1%}"
        modes = ", ".join(f"{mode} ({count})" for mode, count in split.modes.items()) or "-"
        counts = (str(split.images), str(item.problems.count), void)
        rows.append((item.split, *counts, describe_sizes(split.sizes), modes))
    header = ("split", "pairs", "broken", "void", "width x height", "mode")
    return TextTable(header=header, rows=rows, right=frozenset({1, 2, 3}))


def class_lines(report: Report, splits: Mapping[str, SplitCensus], *, every: bool) -> Iterator[Part]:
    """Share and images of each class in each split; of many classes the rarest, unless `every`."""
    names = report.source.class_names
    shown = list(range(len(names)))
    if not every and len(names) > MOST_CLASSES:
        first = next(iter(splits.values()))
        shown = sorted(sorted(shown, key=lambda index: first.pixels[index])[:RAREST])
    header = ["id", "class"]
    for name in splits:
        header += [f"{name} %", "images"]
    rows = [
        (str(index), names[index], *(cell for split in splits.values() for cell in class_cells(split, index)))
        for index in shown
    ]
    yield TextTable(header=header, rows=rows, right=frozenset({0, *range(2, len(header))}))
    if len(shown) < len(names):
        yield f"and {len(names) - len(shown)} classes with more pixels in {next(iter(splits))}; --all lists them"
    yield f"*: below {SMALLEST_SHARE:.1%} of the labelled pixels"


def class_cells(split: SplitCensus, index: int) -> tuple[str, str]:
    """Share of the labelled pixels in percent (`*` if tiny, `-` if none), and number of images with the class."""
    pixels, total = split.pixels[index], split.labelled
    share = "-" if pixels == 0 else f"{'*' if pixels < SMALLEST_SHARE * total else ''}{100 * pixels / total:.3f}"
    return share, str(split.images_with[index])


def write_sheet(report: Report, path: Path) -> None:
    """Write a PNG of images and labels above a legend. Raises DataError without a pair or if it cannot be written."""
    source = report.source
    rows = [sheet_row(source, split, *sample) for split in report.splits for sample in split.samples]
    if not rows:
        raise DataError(f"{path}: not written, because there is no intact pair to show")
    censuses = [split.census for split in report.splits]
    shown = [index for index in range(len(source.class_names)) if any(item.pixels[index] for item in censuses)]
    legend = class_legend(source, shown)
    height = sum(row.height for row in rows) + legend.height
    sheet = Image.new("RGB", (COLUMNS * TILE_WIDTH, height), "white")
    top = 0
    for part in (*rows, legend):
        sheet.paste(part, (0, top))
        top += part.height
    try:
        sheet.save(path, format="PNG")
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error}); pass a PNG file to --out") from error


def sheet_row(source: Source, report: SplitReport, stem: str, pair: Pair) -> Image.Image:
    """One pair as three tiles below its name."""
    image_HW3, label_HW = pair
    colour_HW3 = colour_labels(label_HW, source.palette)
    blend_HW3 = ((1 - OPACITY) * image_HW3 + OPACITY * colour_HW3).astype(np.uint8)
    blend_HW3[label_HW == IGNORE_INDEX] = image_HW3[label_HW == IGNORE_INDEX]
    height = max(1, round(TILE_WIDTH * label_HW.shape[0] / label_HW.shape[1]))
    row = Image.new("RGB", (COLUMNS * TILE_WIDTH, height + LEGEND_ROW), "white")
    row_text(row, 4, 3, f"{report.split}  {stem}")
    for column, pixels in enumerate((image_HW3, blend_HW3, colour_HW3)):
        resample = Image.Resampling.NEAREST if column == 2 else Image.Resampling.BILINEAR
        tile = Image.fromarray(pixels).resize((TILE_WIDTH, height), resample)
        row.paste(tile, (column * TILE_WIDTH, LEGEND_ROW))
    return row


def class_legend(source: Source, shown: list[int]) -> Image.Image:
    """Colours and names of the classes in `shown`."""
    across = max(1, COLUMNS * TILE_WIDTH // LEGEND_WIDTH)
    lines = -(-len(shown) // across)
    legend = Image.new("RGB", (COLUMNS * TILE_WIDTH, (lines + 1) * LEGEND_ROW), "white")
    for place, index in enumerate(shown):
        left, top = place % across * LEGEND_WIDTH + 4, place // across * LEGEND_ROW + LEGEND_ROW // 2
        box = (left, top, left + 24, top + LEGEND_ROW - 4)
        ImageDraw.Draw(legend).rectangle(box, fill=source.palette[index], outline="black")
        row_text(legend, left + 30, top + 1, f"{index} {source.class_names[index]}"[:28])
    return legend


def row_text(image: Image.Image, left: int, top: int, text: str) -> None:
    """Write `text` in Pillow's built-in font."""
    ImageDraw.Draw(image).text((left, top), text, fill="black")
