"""Examines a data set: its census, its broken files, and a sheet of images with their labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from trainer.data.census import Census, SplitCensus, SplitCount, describe_sizes, find_duplicates, findings_in
from trainer.data.reading.decode import IllegalLabelError
from trainer.data.reading.palette import colour_labels
from trainer.data.source import IGNORE_INDEX, Pair, Source
from trainer.errors import DataError

__all__ = ["SplitReport", "examine_split", "report_lines", "write_sheet"]

TILE_WIDTH, COLUMNS, LEGEND_ROW, LEGEND_WIDTH = 320, 3, 18, 200
OPACITY = 0.55
"""Of the label's colours over the image."""
SMALLEST_SHARE = 0.001
"""The report marks classes with a smaller share, whose IoU varies strongly between seeds."""


@dataclass(slots=True)
class SplitReport:
    """The findings in one split."""

    split: str
    count: SplitCount
    """Of the intact pairs."""
    broken: list[str] = field(default_factory=list)
    """All problems, one line each."""
    samples: list[tuple[str, Pair]] = field(default_factory=list)
    """Some pairs for the sheet, with their stems."""

    illegal: dict[tuple[str, str, str], list[Path]] = field(default_factory=dict)
    """Labels with each illegal id or colour, by what it is, the code and the remedy."""

    def add_broken(self, error: DataError) -> None:
        """Note a problem."""
        if not isinstance(error, IllegalLabelError):
            self.broken.append(str(error))
            return
        for code in error.pixels:
            self.illegal.setdefault((error.what, code, error.remedy), []).append(error.path)

    def lines(self) -> list[str]:
        """All problems; an id that many labels have is one of them."""
        return [
            *self.broken,
            *(
                f"{paths[0]}: {what} {code}{f' (and {len(paths) - 1} more labels)' if paths[1:] else ''}; {remedy}"
                for (what, code, remedy), paths in self.illegal.items()
            ),
        ]

    @property
    def census(self) -> SplitCensus:
        """What the intact pairs hold."""
        return self.count.census()


def examine_split(source: Source, split: str, *, samples: int) -> SplitReport:
    """Decode every pair of `split` and keep `samples` evenly spaced ones."""
    report = SplitReport(split, SplitCount(len(source.class_names)))
    wanted = sample_numbers(known_size(source, split), samples)
    for number, (stem, found) in enumerate(source.examine(split)):
        if isinstance(found, DataError):
            report.add_broken(found)
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


def report_lines(source: Source, reports: Sequence[SplitReport]) -> Iterator[str]:
    """The reports as text."""
    splits = {report.split: report.census for report in reports}
    yield f"{'split':<10}{'pairs':>8}{'broken':>8}{'void':>8}  sizes (width x height), modes"
    for report in reports:
        split = splits[report.split]
        void = "-" if split.void_share is None else f"{split.void_share:.1%}"
        stored = ", ".join(f"{mode} ({count})" for mode, count in split.modes.items()) or "-"
        sizes = describe_sizes(split.sizes)
        yield f"{report.split:<10}{split.images:>8}{len(report.lines()):>8}{void:>8}  {sizes}, {stored}"
    yield ""
    width = max(len("class"), *map(len, source.class_names))
    yield f"{'id':>3} {'class':<{width}}" + "".join(f"{name + ' %':>13}{'images':>8}" for name in splits)
    for index, name in enumerate(source.class_names):
        yield f"{index:>3} {name:<{width}}" + "".join(describe_class(split, index) for split in splits.values())
    yield f"    *: below {SMALLEST_SHARE:.1%} of the labelled pixels"
    if source.unlabelled:
        yield f"    labels of {', '.join(sorted(source.unlabelled))} are dummies: do not train or evaluate on it"
    census = census_of(source, reports, splits)
    yield from (f"note: {text}" for text in findings_in(census, census.splits))
    broken = [line for report in reports for line in report.lines()]
    if broken:
        yield ""
        yield f"{len(broken)} broken:"
        yield from (f"  {line}" for line in broken)


def census_of(source: Source, reports: Sequence[SplitReport], splits: Mapping[str, SplitCensus]) -> Census:
    """The census of the labelled splits."""
    counts = {report.split: report.count for report in reports if report.split not in source.unlabelled}
    return Census(
        class_names=source.class_names,
        splits={name: splits[name] for name in counts},
        duplicates=find_duplicates(counts),
    )


def describe_class(split: SplitCensus, index: int) -> str:
    """Share of the labelled pixels in percent (`*` if tiny, `-` if none), and number of images with the class."""
    pixels, total = split.pixels[index], split.labelled
    share = "-" if pixels == 0 else f"{'*' if pixels < SMALLEST_SHARE * total else ''}{100 * pixels / total:.3f}"
    return f"{share:>13}{split.images_with[index]:>8}"


def write_sheet(source: Source, reports: list[SplitReport], path: Path) -> None:
    """Write a PNG of images and labels above a legend. Raises DataError without a pair or if it cannot be written."""
    rows = [row for report in reports for row in (sheet_row(source, report, *sample) for sample in report.samples)]
    if not rows:
        raise DataError(f"{path}: not written, because there is no intact pair to show")
    censuses = [report.census for report in reports]
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
