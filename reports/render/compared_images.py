"""Which test images the page shows of the baseline and the best row, and their pictures.

The rule sees figures only. For every test image whose prediction all trials keep, the score of the best row minus that
of the baseline is averaged over the seeds that both have; shown are the largest gain, the largest loss and the median,
each of the seed whose own difference on that image is the median. Without a baseline the scores of the best row
themselves are compared. Axes: S seeds, N images that are kept.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from orchestrator.errors import DamagedError
from orchestrator.store.attempt_record import AttemptRecord
from orchestrator.store.image_counts import ImageCounts, read_compared_images, read_image_counts
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_results import SweepResults
from reports.stats.image_bootstrap import pixel_accuracy
from reports.tables.aggregate import aggregate, rank_rows
from reports.tables.image_limits import SCORES
from reports.tables.row_headers import row_titles

__all__ = [
    "Choice",
    "ComparedImage",
    "ComparedImages",
    "choose_images",
    "compare_images",
    "compared_rows",
    "median_seed",
]

PARTS = ("image", "truth", "prediction")
TITLES = {
    ("up", 1): "Largest gain",
    ("up", 0): "No gain",
    ("up", -1): "Smallest loss",
    ("down", 1): "Smallest gain",
    ("down", 0): "No loss",
    ("down", -1): "Largest loss",
}
"""Of a difference, by the end of the order and by its sign."""
ALONE = {"up": "Best image", "down": "Worst image"}
"""Of the scores of a single row."""
MEDIAN = "Median"
DECIMALS = 1
"""Of scores in per cent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """An image that is shown."""

    rule: str
    """`up`, `down` or `median`."""
    image: int
    """Its place among the N."""
    seed: int
    """Place of its seed among the S."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """One picture with the text below it."""

    title: str
    uri: str
    score: str = ""
    """`63.2%`; empty of the image and its truth."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ComparedImage:
    """One test image: itself, its truth, and the prediction of each row."""

    title: str
    """`Largest gain`."""
    number: int
    """In the test split, from 0."""
    seed: int
    change: str
    """Mean difference over the seeds with its sign, in points; of a single row the mean score."""
    panels: tuple[Panel, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ComparedImages:
    """The images of one data set with the rule in a sentence and the colours of their classes."""

    data: str
    """Empty where the sweep names no data set."""
    rule: str
    images: tuple[ComparedImage, ...]
    classes: tuple[tuple[str, str], ...]
    """Name and colour (`#804080`) of each class that the images show."""

    @property
    def size(self) -> int:
        """Bytes of all pictures."""
        return sum(len(panel.uri) for image in self.images for panel in image.panels)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Kept:
    """What a trial keeps of its test images."""

    counts: ImageCounts
    files: Mapping[int, Mapping[str, bytes]]


def compared_rows(results: SweepResults) -> tuple[str, ...]:
    """The baseline and the best other row of results on one data set; the best row alone without a baseline."""
    ranking = rank_rows(results.sweep, aggregate(results, results.sweep.metric))
    baseline = results.sweep.baseline
    others = [label for label in ranking if label != baseline]
    return (*(label for label in ranking if label == baseline), *others[:1])


def median_seed(value_by_seed: Mapping[int, float]) -> int:
    """The seed with the median value, the lower one of two; equal values are in the order of the seeds."""
    ordered = sorted(value_by_seed, key=lambda seed: (value_by_seed[seed], seed))
    return ordered[(len(ordered) - 1) // 2]


def choose_images(value_SN: NDArray[np.float64]) -> list[Choice]:
    """The images with the largest, the smallest and the median mean over the seeds, each once.

    Of equal means the first image; of an even number the lower median. Images with a NaN are left out.
    """
    usable = np.flatnonzero(np.isfinite(value_SN).all(axis=0))
    if not len(usable) or not len(value_SN):
        return []
    mean_N = value_SN[:, usable].mean(axis=0)
    order = np.argsort(mean_N, kind="stable")
    places = {"up": int(mean_N.argmax()), "down": int(mean_N.argmin()), "median": int(order[(len(order) - 1) // 2])}
    chosen: dict[int, Choice] = {}
    for rule, place in places.items():
        image = int(usable[place])
        seed = median_seed(dict(enumerate(value_SN[:, image].tolist())))
        chosen.setdefault(image, Choice(rule=rule, image=image, seed=seed))
    return list(chosen.values())


def compare_images(results: SweepResults, directory: RunDirectory) -> ComparedImages | None:
    """The images of results on one data set; None where the rows have no seed whose trials keep the same images."""
    sweep, rows = results.sweep, compared_rows(results)
    titles = row_titles(sweep)
    names = tuple(titles[row] for row in rows)
    trials = {(run.row, run.seed): run.trial_id for run in sweep.cells if run.row in rows}
    kept: dict[tuple[str, int], Kept] = {}
    for key, trial_id in trials.items():
        if trial_id in results.outcomes and (found := read_kept(directory, results.outcomes[trial_id])) is not None:
            kept[key] = found
    seeds = [seed for seed in sweep.seeds if rows and all((row, seed) in kept for row in rows)]
    if not seeds:
        return None
    used = [kept[row, seed] for row in rows for seed in seeds]
    numbers = sorted(set.intersection(*(set(item.files) for item in used)))
    metric = sweep.main_metric
    score, words = (SCORES[metric.counts], metric.words) if metric.counts else (pixel_accuracy, "pixel accuracy")
    if not numbers or any(item.counts.count_NCK.shape != used[0].counts.count_NCK.shape for item in used):
        return None
    score_RSN = np.array(
        [[score(kept[row, seed].counts.count_NCK[numbers].astype(np.float64)) for seed in seeds] for row in rows]
    )
    value_SN = score_RSN[-1] - score_RSN[0] if len(rows) > 1 else score_RSN[0]
    images = list[ComparedImage]()
    for choice in choose_images(value_SN):
        number, seed = numbers[choice.image], seeds[choice.seed]
        scores = [f"{100 * value:.{DECIMALS}f}%" for value in score_RSN[:, choice.seed, choice.image]]
        mean = 100 * float(value_SN[:, choice.image].mean())
        images.append(
            ComparedImage(
                title=title_of_choice(choice.rule, mean, alone=len(rows) == 1),
                number=number,
                seed=seed,
                change=f"{mean:+.{DECIMALS}f} points" if len(rows) > 1 else f"{mean:.{DECIMALS}f}%",
                panels=panels_of([kept[row, seed].files[number] for row in rows], names, scores),
            )
        )
    if not images:
        return None
    shown = [(kept[row, image.seed], image.number) for image in images for row in rows]
    return ComparedImages(
        data=sweep.data_sets[0].name if sweep.data_sets else "",
        rule=rule_in_words(names, seeds, len(numbers), words),
        images=tuple(images),
        classes=classes_shown(shown),
    )


def read_kept(directory: RunDirectory, record: AttemptRecord) -> Kept | None:
    """What a trial keeps; None if it is damaged, which `verify` tells, or lacks counts or complete images."""
    with suppress(DamagedError):
        files = {
            number: parts
            for number, parts in read_compared_images(directory, record).items()
            if all(name in parts for name in PARTS)
        }
        counts = read_image_counts(directory, record) if files else None
        if counts is not None:
            files = {number: parts for number, parts in files.items() if number < len(counts.count_NCK)}
            return Kept(counts=counts, files=files)
    return None


def title_of_choice(rule: str, mean: float, *, alone: bool) -> str:
    """`Largest gain`, or what the end of the order is where all differences have one sign; `mean` in points."""
    if rule == "median":
        return MEDIAN
    if alone:
        return ALONE[rule]
    shown = round(mean, DECIMALS)
    return TITLES[rule, (shown > 0) - (shown < 0)]


def panels_of(files: Sequence[Mapping[str, bytes]], rows: Sequence[str], scores: Sequence[str]) -> tuple[Panel, ...]:
    """Image and truth, of which each trial keeps the same, and the prediction of each row."""
    first = files[0]
    return (
        Panel(title="Image", uri=data_uri(first["image"], "jpeg")),
        Panel(title="Ground truth", uri=data_uri(first["truth"], "png")),
        *(
            Panel(title=row, uri=data_uri(parts["prediction"], "png"), score=score)
            for row, parts, score in zip(rows, files, scores, strict=True)
        ),
    )


def data_uri(content: bytes, kind: str) -> str:
    """A picture as a URI."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def rule_in_words(rows: Sequence[str], seeds: Sequence[int], images: int, score: str) -> str:
    """The rule as the page states it."""
    over = f"averaged over {'seeds' if len(seeds) > 1 else 'seed'} {', '.join(map(str, seeds))}"
    if len(rows) == 1:
        compared = f"the highest, the lowest and the median {score} of “{rows[0]}”"
    else:
        compared = f"the largest gain, the largest loss and the median {score} difference of “{rows[1]}” to “{rows[0]}”"
    one = f"Chosen by figures among the {images} test images that each trial keeps: {compared}, {over}."
    return f"{one} Each is shown of the seed with the median value on that image. Void is transparent."


def classes_shown(shown: Sequence[tuple[Kept, int]]) -> tuple[tuple[str, str], ...]:
    """Names and colours of the classes that are labelled or predicted in the images `shown`, by trial and number."""
    from PIL import Image  # as matplotlib, not imported before there is a picture

    if not shown:
        return ()
    first, number = shown[0]
    with Image.open(BytesIO(first.files[number]["truth"])) as picture:
        palette = picture.getpalette() or []
    present_C = np.any([item.counts.count_NCK[place][:, 1:].sum(axis=1) > 0 for item, place in shown], axis=0)
    return tuple(
        (name, "#{:02x}{:02x}{:02x}".format(*palette[3 * place : 3 * place + 3]))
        for place, name in enumerate(first.counts.classes)
        if present_C[place] and len(palette) >= 3 * place + 3
    )
