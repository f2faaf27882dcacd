"""Refuse a plan whose reported figures would be those of the split on which something was chosen."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.errors import SpecErrorCollector
from orchestrator.planning.build_config import ResolvedRow
from orchestrator.planning.datasets import DataFacts
from orchestrator.spec.selection import ALLOWED, criteria
from orchestrator.spec.sweep_spec import SweepSpec
from orchestrator.store.records import SEARCHES

__all__ = ["check_selection"]

BEST = "val/best_"
"""Metrics of the best checkpoint, which is chosen on the validation split."""
REMEDY = (
    "set data.val_split to another split (a recipe may do so for searches: `search: {data.train_split: "
    f"train_without_search, data.val_split: search}}`), or {ALLOWED}"
)


def check_selection(spec: SweepSpec, row: ResolvedRow, facts: DataFacts) -> None:
    """Raise SpecError if the sweep would choose on the split of `row` that it reports or, if a search, trains on."""
    data, errors = row.config.data, SpecErrorCollector()
    for where, name in criteria(spec.space):
        if name.startswith("val/") and facts.val_overlaps_train:
            text = f"a search must not choose on images that it trains on, and {name} is measured on {data.val_split!r}"
            remedy = f"write another data.val_split or data.train_split than {data.train_split!r}"
            errors.messages.append(f"{where}: {text}; {remedy}")
    if facts.val_overlaps_test and not spec.space.table.allow_selection_on_test:
        text = f"is measured on {data.val_split!r} (data.val_split), and data.test_split is {data.test_split!r}"
        for where, name in criteria(spec.space):
            if name.startswith("val/"):
                errors.messages.append(
                    f"{where}: a search must not choose on the reported split: {name} {text}; {REMEDY}"
                )
        for where, name in best_figures(spec):
            errors.messages.append(f"{where}: {name} is chosen on the reported split: it {text}; {REMEDY}")
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
