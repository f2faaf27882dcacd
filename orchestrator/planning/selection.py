"""Refuse a plan whose reported figures would be those of the split on which something was chosen."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.errors import SpecErrorCollector
from orchestrator.spec.selection import ALLOWED, criteria
from orchestrator.spec.sweep_spec import SweepSpec
from orchestrator.store.sweep_record import SEARCHES
from orchestrator.workload.inputs import Inputs

__all__ = ["check_selection"]

BEST = "val/best_"
"""Metrics of the best checkpoint, which is chosen on the validation split."""


def check_selection(spec: SweepSpec, inputs: Inputs) -> None:
    """Raise SpecError if the sweep would choose on the split of `inputs` that it reports or, if a search, trains on."""
    errors = SpecErrorCollector()
    chosen_by = [(where, name) for where, name in criteria(spec.space) if name.startswith("val/")]
    if (overlap := inputs.val_overlaps_train) is not None:
        for where, name in chosen_by:
            text = f"a search must not choose on images that it trains on, and {name} {overlap.text}"
            errors.messages.append(f"{where}: {text}; {overlap.remedy}")
    if (overlap := inputs.val_overlaps_test) is not None and not spec.space.table.allow_selection_on_test:
        remedy = f"{overlap.remedy}, or {ALLOWED}"
        for where, name in chosen_by:
            text = f"a search must not choose on the reported split: {name} {overlap.text}"
            errors.messages.append(f"{where}: {text}; {remedy}")
        for where, name in best_figures(spec):
            text = f"{name} is chosen on the reported split: it {overlap.text}"
            errors.messages.append(f"{where}: {text}; {remedy}")
    errors.raise_any()


def best_figures(spec: SweepSpec) -> Iterator[tuple[str, str]]:
    """Place in the file and name of each metric of a best checkpoint that the table shows or ranks by."""
    space = spec.space
    columns = space.table.record().columns
    for position, name in enumerate(columns):
        if name.startswith(BEST):
            yield f"{space.origin('table', 'columns', position)}: table.columns", name
    if space.method not in SEARCHES:
        for objective in space.metric:
            if objective.name.startswith(BEST):
                yield f"{space.origin('metric')}: metric", objective.name
