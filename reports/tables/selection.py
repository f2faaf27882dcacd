"""What was chosen, and on which split: the mark on such figures, and the notes that a search needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from orchestrator.store.sweep_record import SweepRecord
from reports.tables.cell_text import CellText, Mark

__all__ = ["explain_chosen", "mark_chosen", "mark_row", "prior_notes"]

BEST = "val/best_"


def mark_chosen(sweep: SweepRecord, metric: str, texts: Mapping[str, CellText]) -> dict[str, CellText]:
    """The cells of a column of `metric`, by label, with `Mark.CHOSEN` where something was chosen on its split."""
    return {
        label: replace(text, marks=(*text.marks, Mark.CHOSEN))
        if text.mean and is_chosen(sweep, metric, label)
        else text
        for label, text in texts.items()
    }


def mark_row(sweep: SweepRecord, metric: str, row: str, texts: Mapping[str, CellText]) -> dict[str, CellText]:
    """The cells of `row` in a table of classes, marked as those of `metric`."""
    return {name: mark_chosen(sweep, metric, {row: text})[row] for name, text in texts.items()}


def is_chosen(sweep: SweepRecord, metric: str, row: str) -> bool:
    """Whether `metric` of `row` is measured on a split on which that row, or its checkpoint, was chosen.

    The baseline of a search was not chosen. The best value on a validation split that is not reported says by its name
    what it is.
    """
    split = split_of(sweep, metric)
    if metric.startswith(BEST) and split == "test":
        return True
    return split is not None and row != sweep.baseline and split in splits_chosen_on(sweep)


def splits_chosen_on(sweep: SweepRecord) -> set[str | None]:
    """Splits on which a search chose its trials, and its scheduler those that were to end."""
    if not sweep.is_search:
        return set()
    names = [objective["name"] for objective in sweep.search.get("objectives", ())] or [sweep.metric]
    if sweep.search.get("scheduler"):
        names.append(names[0].replace("final/", "val/", 1))
    return {split_of(sweep, name) for name in names} - {None}


def split_of(sweep: SweepRecord, metric: str) -> str | None:
    """`test` or `val`, or None for a metric of neither; `test` as well where the two share images."""
    group = metric.partition("/")[0]
    if group == "final" or (group == "val" and val_overlaps_test(sweep)):
        return "test"
    return "val" if group == "val" else None


def val_overlaps_test(sweep: SweepRecord) -> bool:
    """Whether the two splits share images; of a plan of version 0.1 their names tell."""
    if sweep.val_overlaps_test is not None:
        return sweep.val_overlaps_test
    return bool(sweep.settings.get("data.val_split", "val") == sweep.settings.get("data.test_split", "test"))


def explain_chosen(sweep: SweepRecord) -> str:
    """What the mark means."""
    if not sweep.is_search:
        return "chosen on this split: the best checkpoint of each run, so the figure is too good."
    stopped = " and stopped others early" if sweep.search.get("scheduler") else ""
    return f"chosen on this split: the search chose its trials by it{stopped}, so the figures of the best are too good."


def prior_notes(sweep: SweepRecord) -> Iterator[str]:
    """That the sampler of a search knew trials which it had not drawn."""
    count = len(sweep.search.get("prior", ()))
    if count:
        trials = f"{count} finished trials" if count > 1 else "one finished trial"
        yield f"Before its first draw, the sampler knew {trials} of an earlier version of this search."
