"""The rows of a sweep on each of its data sets: names, captions, records, and data sets that are the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from orchestrator.planning.build_config import ResolvedRow
from orchestrator.planning.caption import caption_sentence, images_text
from orchestrator.planning.datasets import DataFacts, DataKey, data_key, distinct_data_sets
from orchestrator.planning.describe_data import data_record
from orchestrator.planning.idle_settings import idle_notes
from orchestrator.planning.plugin_notes import plugin_notes
from orchestrator.planning.protocols import protocols_of
from orchestrator.spec.data_sets import DataSetSpec
from orchestrator.spec.settings import quoted
from orchestrator.spec.sweep_spec import SweepSpec
from orchestrator.store.data_set_record import DataSetRecord, data_set_stem
from trainer.data import UNNAMED

if TYPE_CHECKING:
    from orchestrator.planning.plan import RunKey, Trial

__all__ = [
    "RowsOnData",
    "captions_of",
    "changes_of",
    "data_set_record",
    "equal_trials",
    "json_value",
    "named_notes",
    "names_of",
    "notes_on",
]

Facts = Mapping[DataKey, DataFacts]


@dataclass(frozen=True, kw_only=True, slots=True)
class RowsOnData:
    """The rows of a sweep, resolved with the settings of one data set."""

    spec: DataSetSpec
    rows: tuple[ResolvedRow, ...]
    """In the order of the specification."""


def names_of(groups: Sequence[RowsOnData], facts: Facts) -> tuple[str, ...]:
    """The names of the data sets: those of the file, else their titles (`CamVid`) if these tell them apart."""
    titles = tuple(group.spec.name if group.spec.is_named else title_of_data(group, facts) for group in groups)
    distinct = {data_set_stem(title) for title in titles}
    return titles if len(distinct) == len(groups) else tuple(group.spec.name for group in groups)


def title_of_data(group: RowsOnData, facts: Facts) -> str:
    """The title of the data that all rows of a group have; what the file calls it where there is none."""
    data_sets = distinct_data_sets(group.rows)
    titles = {data_record(row.config.data, facts[key]).title for key, row in data_sets.items()}
    return titles.pop() if len(titles) == 1 and UNNAMED not in titles else group.spec.name


def equal_trials(spec: SweepSpec, names: Sequence[str], trials: Mapping[RunKey, Trial]) -> Iterator[str]:
    """One line for each data set on which a row has the trial that it has on an earlier one."""
    origins = {name: item.origin for name, item in zip(names, spec.data_sets, strict=True)}
    first: dict[tuple[str, str], str] = {}
    told: set[str] = set()
    for (row, name, _), trial in trials.items():
        earlier = first.setdefault((row, trial.trial_id), name)
        if earlier != name and name not in told:
            told.add(name)
            text = f"row {quoted(row)} has the same trials on {quoted(name)} and on {quoted(earlier)}"
            yield f"{origins[name]}: data: {text}; remove one of the two, or what makes them equal in this row"


def data_caption(group: RowsOnData, name: str, facts: Facts) -> str:
    """`CamVid, test split (233 images, trained on 367)`; empty for a group without a name."""
    if not name:
        return ""
    known = [(row.config, facts[data_key(row.config.data)]) for row in group.rows]
    splits = {config.data.test_split for config, _ in known}
    return f"{name}, {splits.pop() if len(splits) == 1 else 'varied'} split{images_text(known)}"


def captions_of(groups: Sequence[RowsOnData], names: Sequence[str], facts: Facts) -> str:
    """The captions of all data sets in one phrase."""
    *first, last = (data_caption(group, name, facts) for group, name in zip(groups, names, strict=True))
    return f"{'; '.join(first)} and {last}" if first else last


def data_set_record(
    spec: SweepSpec, group: RowsOnData, name: str, facts: Facts, settings: Mapping[str, Any]
) -> DataSetRecord:
    """The record of a data set called `name`; `settings` are those of all data sets."""
    data = [data_record(row.config.data, facts[key]) for key, row in distinct_data_sets(group.rows).items()]
    known = [(row.config, facts[data_key(row.config.data)]) for row in group.rows]
    caption = caption_sentence(known, spec.seeds, data_caption(group, name, facts))
    values = {key: json_value(setting.value) for key, setting in group.spec.base.items()}
    return DataSetRecord(
        name=name,
        recipe=group.spec.recipe,
        protocol=", ".join((caption, *changes_of(spec))),
        settings={key: value for key, value in values.items() if key not in settings},
        val_overlaps_test=any(item.val_overlaps_test for _, item in known),
        data=tuple(replace(item, title=name) for item in data),
        protocols=protocols_of((config for config, _ in known), spec.space.table.split),
        notes=notes_on(spec, group, facts),
    )


def notes_on(spec: SweepSpec, group: RowsOnData, facts: Facts) -> tuple[str, ...]:
    """Settings with less effect on a data set than they say, and which plugins are in use."""
    rows = [(row_spec.label, row) for row_spec, row in zip(spec.rows, group.rows, strict=True)]
    idle = idle_notes((label, row, facts[data_key(row.config.data)]) for label, row in rows)
    return (*idle, *plugin_notes(spec.extension, rows))


def named_notes(records: Sequence[DataSetRecord]) -> tuple[str, ...]:
    """The notes on all data sets once, and those on some of them after their names."""
    common = set(records[0].notes).intersection(*(item.notes for item in records))
    named = (note if note in common else f"{item.name}: {note}" for item in records for note in item.notes)
    return tuple(dict.fromkeys(named))


def changes_of(spec: SweepSpec) -> tuple[str, ...]:
    """What the command line changes and the caption does not say otherwise."""
    return tuple(item for item in spec.sweep_name.changes if not item.startswith(("seeds=", "data=")))


def json_value(value: Any) -> Any:
    """A setting's value in the form that JSON gives back: a tuple as a list."""
    return list(value) if isinstance(value, tuple) else value
