"""Which metric or row of a sweep a user means: by its name, or by the words of the table."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence

from orchestrator.errors import StoreError, shortened
from orchestrator.store.sweep_record import SweepRecord
from orchestrator.store.sweep_results import SweepResults
from orchestrator.workload.metric import metric_named
from reports.tables.aggregate import DERIVED
from reports.tables.columns import Column
from reports.tables.table import table_columns

__all__ = ["find_metric", "find_row"]

SUGGESTED = 3
LIKENESS = 0.5
"""From 0 to 1, for a suggestion."""
MARGIN = 0.2
"""By which others may be less like it than the most similar one."""


def find_row(sweep: SweepRecord, word: str) -> str:
    """The label of the row that `word` names, in any case. Raises StoreError, with the nearest labels."""
    labels = [row.label for row in sweep.rows]
    if word in labels:
        return word
    same = [label for label in labels if normalised(label) == normalised(word)]
    if len(same) == 1:
        return same[0]
    words = {label: [label] for label in labels}
    raise StoreError(f"sweep {sweep.name!r}: no row {shortened(word)!r}; {suggestion(word, words, {})}")


def find_metric(results: SweepResults, word: str) -> str:
    """The name of the metric that `word` names: `final/miou`, `mIoU`, `miou`, or `mIoU (%)`, in any case.

    Words of the table's columns count before those of other metrics. Raises StoreError, with the nearest names.
    """
    sweep = results.sweep
    columns = {column.key: column for column in table_columns(sweep)}
    reported = {key for record in results.outcomes.values() for key in record.metrics}
    declared = {metric.name for metric in sweep.declared_metrics if not metric.is_family}
    known = dict.fromkeys((*columns, sweep.metric, *sorted(reported), *sorted(declared), *DERIVED))
    if word in known or any(metric.covers(word) for metric in sweep.declared_metrics if not reported):
        return word
    words = {key: words_for(key, columns.get(key), sweep) for key in known}
    for keys in (columns, reported, known):
        found = [key for key in known if key in keys and normalised(word) in map(normalised, words[key])]
        if found:
            return found[0]
    titles = {key: found[1] for key, found in words.items()}
    shown = {key: words[key] for key in known if key in columns or key in reported}
    raise StoreError(f"sweep {sweep.name!r}: no metric {shortened(word)!r}; {suggestion(word, shown, titles)}")


def words_for(key: str, column: Column | None, sweep: SweepRecord) -> list[str]:
    """What a metric is called: its name, the title and header of its column, the last part of its name."""
    metric = metric_named(key, sweep.declared_metrics)
    title = metric.title or metric.name
    header = column.header if column is not None else title
    return [key, title, header, key.rpartition("/")[2]]


def normalised(word: str) -> str:
    """In lower case, with single spaces, without arrows, marks and a full stop at the end."""
    return " ".join(word.casefold().replace("_", " ").strip("↑↓¶†‡§ .").split())


def suggestion(word: str, words: Mapping[str, Iterable[str]], titles: Mapping[str, str]) -> str:
    """`did you mean 'final/miou' (mIoU)?`: up to three names of which a word is like `word`, else the first ones."""
    wanted = normalised(word)
    likeness = {
        name: max(difflib.SequenceMatcher(None, wanted, normalised(other)).ratio() for other in its_words)
        for name, its_words in words.items()
    }
    least = max(LIKENESS, max(likeness.values()) - MARGIN)
    if near := sorted((name for name in words if likeness[name] >= least), key=lambda name: -likeness[name]):
        return f"did you mean {' or '.join(named(near[:SUGGESTED], titles))}?"
    more = len(words) - SUGGESTED
    rest = f" or one of {more} others" if more > 0 else ""
    return f"choose {', '.join(named(list(words)[:SUGGESTED], titles))}{rest}"


def named(names: Sequence[str], titles: Mapping[str, str]) -> list[str]:
    """`'final/miou' (mIoU)`: names with their titles, where these say more."""
    return [repr(name) + (f" ({titles[name]})" if titles.get(name, name) != name else "") for name in names]
