"""The line below a table that says how far other test images would move its differences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.errors import DamagedError
from orchestrator.machine.first_few import first_few
from orchestrator.store.attempt_record import AttemptRecord, State
from orchestrator.store.image_counts import read_image_counts
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_results import SweepResults
from orchestrator.workload.metric import Metric
from reports.stats.image_bootstrap import (
    class_accuracy,
    class_iou,
    mean_accuracy,
    mean_iou,
    pixel_accuracy,
    resampled,
    standard_error,
)
from reports.tables.columns import Column
from reports.tables.layout import TableRow

__all__ = ["image_notes"]

Array = NDArray[np.float64]

SCORES: dict[str, Callable[[Array], Array]] = {
    "mean_iou": mean_iou,
    "accuracy": pixel_accuracy,
    "mean_accuracy": mean_accuracy,
}
"""How a metric follows from the counts, by `Metric.counts`."""
CLASS_SCORES: dict[str, Callable[[Array], Array]] = {"iou": class_iou, "accuracy": class_accuracy}
"""The same of a family of metrics, all classes at once."""

FEWEST_IMAGES = 10
"""Of fewer images nothing is said: their spread is hardly known."""
NORMAL = 1.96
"""Half the width of a 95% interval in standard errors."""
TOLERANCE = 1e-6


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Resampled:
    """The scores of one trial on resamples of its test images."""

    score_R: Mapping[str, Array]
    """By metric."""
    images: int


def image_notes(
    results: SweepResults, directory: RunDirectory, columns: Sequence[Column], rows: Sequence[TableRow]
) -> list[str]:
    """The line, and what cannot be used; empty without a baseline or where no trial has counts per image.

    The difference of a row is the mean over the seeds that it shares with the baseline, as in the table.
    """
    baseline = results.sweep.baseline
    declared = {column.key: metric_of(column, results.sweep.declared_metrics) for column in columns}
    metrics = {key: metric for key, metric in declared.items() if metric is not None and metric.counts}
    places = {place: column for place, column in enumerate(columns) if column.ranked and column.key in metrics}
    if baseline is None or not places:
        return []
    labels = {row.label for row in rows} | {baseline}
    trials, damaged = resample_trials(results, directory, labels, metrics)
    sizes, weak, images = [], [], set()
    examples = next((data.examples for data in results.sweep.data), "images")
    for place, column in places.items():
        errors = []
        for row in rows:
            pairs = pairs_of(trials, row.label, baseline, column.key) if row.label != baseline else []
            if not pairs:
                continue
            error = standard_error(
                np.mean([mine.score_R[column.key] - other.score_R[column.key] for mine, other in pairs], axis=0)
            )
            errors.append(error)
            images.add(pairs[0][0].images)
            text = row.cell_texts[place]
            if text.significant and abs(text.cell.delta or 0.0) < NORMAL * error:
                weak.append(f"{row.label} ({column.name})")
        if errors:
            sizes.append(f"{column.name} {span(column, errors)}")
    notes = []
    if sizes:
        notes.append(
            f"Other test {examples} would also move the differences: standard error over the {max(images)} test "
            f"{examples} {', '.join(sizes)}, in the unit of the column (paired bootstrap; the tests are over seeds)."
        )
    if weak:
        notes.append(f"Significant over seeds, but less than {NORMAL} such standard errors: {', '.join(weak)}.")
    if damaged:
        notes.append(f"Without the counts per test {examples} of {first_few(damaged, 1)}.")
    return notes


def metric_of(column: Column, metrics: Sequence[Metric]) -> Metric | None:
    """The metric or the family of metrics that a column shows; None for one that nobody has declared."""
    return next((metric for metric in metrics if metric.covers(column.key)), None)


def score_of(metric: Metric, key: str, classes: Sequence[str]) -> Callable[[Array], Array] | None:
    """How `key`, which is `metric` or one of this family, follows from the counts; None where it does not."""
    if not metric.is_family:
        return SCORES.get(metric.counts)
    score, name = CLASS_SCORES.get(metric.counts), key.removeprefix(metric.name)
    if score is None or name not in classes:
        return None
    place = classes.index(name)
    return lambda count_CK: score(count_CK)[..., place]


def resample_trials(
    results: SweepResults, directory: RunDirectory, labels: set[str], metrics: Mapping[str, Metric]
) -> tuple[dict[tuple[str, int], Resampled], list[str]]:
    """By row and seed, the finished trials with counts; and why those of others cannot be used, one text per trial."""
    by_trial: dict[str, Resampled | None] = {}
    damaged: list[str] = []
    found = {}
    for run in results.sweep.cells:
        record = results.outcomes.get(run.trial_id)
        if run.row not in labels or record is None or record.state is not State.DONE:
            continue
        if run.trial_id not in by_trial:
            try:
                by_trial[run.trial_id] = resample_trial(directory, record, metrics)
            except DamagedError as error:
                by_trial[run.trial_id] = None
                damaged.append(f"{run.row}, seed {run.seed}: {error}")
        if (trial := by_trial[run.trial_id]) is not None:
            found[run.row, run.seed] = trial
    return found, damaged


def resample_trial(directory: RunDirectory, record: AttemptRecord, metrics: Mapping[str, Metric]) -> Resampled | None:
    """One trial; None without counts, or with those of few images. Raises DamagedError."""
    counts = read_image_counts(directory, record)
    if counts is None or len(counts.count_NCK) < FEWEST_IMAGES:
        return None
    found = {key: score_of(metric, key, counts.classes) for key, metric in metrics.items() if key in record.metrics}
    scores = {key: score for key, score in found.items() if score is not None}
    for key, score in scores.items():
        if not np.isclose(score(counts.count_NCK.sum(axis=0)), record.metrics[key], rtol=0, atol=TOLERANCE):
            raise DamagedError(f"{directory}: the counts of trial {record.trial_id} do not give its {key}")
    return Resampled(score_R=resampled(counts.count_NCK, scores), images=len(counts.count_NCK))


def pairs_of(
    trials: Mapping[tuple[str, int], Resampled], label: str, baseline: str, key: str
) -> list[tuple[Resampled, Resampled]]:
    """The trials of a row and of the baseline with the same seed, the same number of images and the metric."""
    return [
        (mine, other)
        for (row, seed), mine in trials.items()
        if row == label and (other := trials.get((baseline, seed))) is not None
        if mine.images == other.images and key in mine.score_R and key in other.score_R
    ]


def span(column: Column, errors: Sequence[float]) -> str:
    """`0.31`, or `0.31 to 0.52` over the rows."""
    least, most = column.text(min(errors)), column.text(max(errors))
    return least if least == most else f"{least} to {most}"
