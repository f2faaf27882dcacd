"""The rows of a sweep on each of its data sets: names, captions, records, and data sets that are the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from orchestrator.planning.build_config import GivenValues, ResolvedRow
from orchestrator.planning.plugin_notes import plugin_notes
from orchestrator.spec.data_sets import DataSetSpec
from orchestrator.spec.settings import quoted
from orchestrator.spec.sweep_spec import SweepSpec
from orchestrator.store.data_set_record import DataSetRecord, data_set_stem
from orchestrator.workload.caption import describe_seeds
from orchestrator.workload.data_record import DataRecord
from orchestrator.workload.extras import PlannedRow
from orchestrator.workload.inputs import Inputs
from orchestrator.workload.protocol_record import ProtocolRecord

if TYPE_CHECKING:
    from orchestrator.planning.plan import RunKey, Trial

__all__ = [
    "RowsOnData",
    "caption_of",
    "captions_of",
    "changes_of",
    "data_set_record",
    "equal_trials",
    "json_value",
    "named_notes",
    "names_of",
    "notes_on",
    "planned_rows",
    "protocols_of",
    "records_of",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class RowsOnData:
    """The rows of a sweep, resolved with the settings of one data set."""

    spec: DataSetSpec
    rows: tuple[ResolvedRow, ...]
    """In the order of the specification."""
    inputs: tuple[Inputs, ...] = ()
    """Of each row."""

    @property
    def pairs(self) -> list[tuple[Any, Inputs]]:
        """Config and inputs of each row."""
        return [(row.config, read) for row, read in zip(self.rows, self.inputs, strict=True)]


def names_of(groups: Sequence[RowsOnData]) -> tuple[str, ...]:
    """The names of the data sets: those of the file, else their titles (`CamVid`) if these tell them apart."""
    titles = tuple(group.spec.name if group.spec.is_named else title_of_data(group) for group in groups)
    distinct = {data_set_stem(title) for title in titles}
    return titles if len(distinct) == len(groups) else tuple(group.spec.name for group in groups)


def title_of_data(group: RowsOnData) -> str:
    """The title of the data that all rows of a group have; what the file calls it where there is none."""
    titles = {read.title for read in group.inputs}
    return (titles.pop() if len(titles) == 1 else "") or group.spec.name


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


def data_caption(spec: SweepSpec, group: RowsOnData, name: str) -> str:
    """`CamVid, test split (233 images, trained on 367)`; empty for a group without a name."""
    describe = spec.workload.extras.describe_data
    return name if describe is None or not name else describe(group.pairs, name)


def captions_of(spec: SweepSpec, groups: Sequence[RowsOnData], names: Sequence[str]) -> str:
    """The captions of all data sets in one phrase."""
    *first, last = (data_caption(spec, group, name) for group, name in zip(groups, names, strict=True))
    return f"{'; '.join(first)} and {last}" if first else last


def caption_of(spec: SweepSpec, pairs: Sequence[tuple[Any, Inputs]], data: str) -> str:
    """How the figures were measured; `data` says what the data is, if the workload does not know better."""
    describe, seeds = spec.workload.workload.describe, describe_seeds(spec.seeds)
    return describe(pairs, seeds, data) if data else describe(pairs, seeds)


def data_set_record(spec: SweepSpec, group: RowsOnData, name: str, settings: Mapping[str, Any]) -> DataSetRecord:
    """The record of a data set called `name`; `settings` are those of all data sets."""
    caption = caption_of(spec, group.pairs, data_caption(spec, group, name))
    values = {key: json_value(setting.value) for key, setting in group.spec.base.items()}
    return DataSetRecord(
        name=name,
        recipe=group.spec.recipe,
        protocol=", ".join((caption, *changes_of(spec))),
        settings={key: value for key, value in values.items() if key not in settings},
        val_overlaps_test=any(item.val_overlaps_test is not None for item in group.inputs),
        data=tuple(replace(item, title=name) for item in records_of(group.inputs)),
        protocols=protocols_of(spec, group.rows),
        notes=notes_on(spec, group),
    )


def records_of(inputs: Sequence[Inputs]) -> tuple[DataRecord, ...]:
    """The records of inputs, each once."""
    distinct = {id(item): item.record for item in inputs}
    return tuple(record for record in distinct.values() if record is not None)


def protocols_of(spec: SweepSpec, rows: Sequence[ResolvedRow]) -> tuple[ProtocolRecord, ...]:
    """The protocols that the figures of rows are measured with, each once."""
    protocol = spec.workload.extras.protocol
    if protocol is None:
        return ()
    return tuple(dict.fromkeys(protocol(row.config, spec.space.table.split) for row in rows))


def planned_rows(spec: SweepSpec, group: RowsOnData) -> tuple[PlannedRow, ...]:
    """The rows on a data set as the workload sees them."""
    found = zip(spec.rows, group.rows, group.inputs, strict=True)
    return tuple(
        PlannedRow(label=item.label, config=row.config, inputs=read, given=GivenValues(row.sources.settings))
        for item, row, read in found
    )


def notes_on(spec: SweepSpec, group: RowsOnData) -> tuple[str, ...]:
    """Settings with less effect on a data set than they say, and which plugins are in use."""
    notes = spec.workload.extras.notes
    idle = () if notes is None else notes(planned_rows(spec, group))
    rows = [(row_spec.label, row) for row_spec, row in zip(spec.rows, group.rows, strict=True)]
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
