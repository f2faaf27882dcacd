"""Pictures that trials have drawn, for the page: confusion matrix and embedding of the baseline and the best row."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from orchestrator.errors import DamagedError
from orchestrator.store.image_counts import read_pictures
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_record import title_of
from orchestrator.store.sweep_results import SweepResults
from reports.render.compared_images import ComparedImages, compare_images, compared_rows, data_uri, median_seed
from reports.tables.aggregate import aggregate

__all__ = ["Picture", "find_pictures"]

MOST_PICTURE_BYTES = 1_500_000
"""Of all pictures of a page together; those that exceed it are counted, not shown."""
SHEET = "sheet"
PICTURES = {
    SHEET: "Test images, labels and predictions",
    "confusion": "Confusion matrix",
    "embedding": "Embedding, first two principal components",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A picture of a trial as a data URI."""

    name: str
    """`sheet`, `confusion` or `embedding`."""
    title: str
    row: str
    seed: int
    uri: str


def find_pictures(results: SweepResults, directory: RunDirectory) -> tuple[list[ComparedImages], list[Picture], int]:
    """Compared images and pictures of the baseline and the best row; and how many pictures were too large.

    The sheet of a trial is shown only where its images cannot be compared, as of trials of before.
    """
    compared: list[ComparedImages] = []
    found: list[Picture] = []
    size, left_out = 0, 0
    for part in results.parts:
        images = compare_images(part, directory)
        if images is not None:
            compared.append(images)
            size += images.size
        for label, seed, trial_id in pictured_runs(part):
            drawn: Mapping[str, bytes] = {}
            with suppress(DamagedError):  # `verify` names the file
                drawn = read_pictures(directory, results.outcomes[trial_id])
            for stem, title in PICTURES.items():
                content = drawn.get(f"{stem}.png")
                if content is None or (stem == SHEET and images is not None):
                    continue
                size += len(content)
                if size > MOST_PICTURE_BYTES:
                    left_out += 1
                    continue
                found.append(Picture(name=stem, title=title, row=label, seed=seed, uri=data_uri(content, "png")))
    return compared, found, left_out


def pictured_runs(results: SweepResults) -> list[tuple[str, int, str]]:
    """Row, seed and trial of the runs whose pictures are shown of one data set: all of the same seed where possible.

    It is the seed with the median difference of the best row to the baseline; without a shared seed, that with the
    median value of each row.
    """
    sweep, rows = results.sweep, compared_rows(results)
    values = {label: cell.values for label, cell in aggregate(results, sweep.metric).items() if label in rows}
    first, last = values.get(rows[0], {}) if rows else {}, values.get(rows[-1], {}) if rows else {}
    changes = {seed: value - first[seed] for seed, value in last.items() if seed in first} if len(rows) > 1 else {}
    trials = {(run.row, run.seed): run.trial_id for run in sweep.cells}
    data = sweep.data_sets[0].name if sweep.data_sets else ""
    runs = []
    for label in rows:
        seed = median_seed(changes or values[label])
        runs.append((title_of(label, data), seed, trials[label, seed]))
    return runs
