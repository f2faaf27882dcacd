"""The plan of a search space in a run directory: data and weights given by `--set` enter its name by their content."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from orchestrator.planning.digests import file_digest
from orchestrator.planning.plan import SweepPlan, plan_sweep
from orchestrator.spec.sweep_names import short_hash
from orchestrator.spec.sweep_spec import SweepSpec
from orchestrator.store.run_directory import RunDirectory

__all__ = ["plan_in"]

WEIGHTS = "model.weights"


def plan_in(directory: RunDirectory, spec: SweepSpec, preparing: Callable[[str], None] = lambda _: None) -> SweepPlan:
    """The plan of `spec` under its name in a run directory.

    Another data set than the one that the sweep of the plain name holds gives another name, `...+data=folder-1a2b3c`;
    a data set that has moved does not. `preparing` as for `plan_sweep`. Raises SpecError as that, and StoreError.
    """
    plan = plan_sweep(spec, run_dir=directory.local_folder, preparing=preparing)
    name = spec.sweep_name.with_changes(weights_changes(spec))
    data = tuple(data_changes(spec, plan))
    if data and (name.by_hand or holds_other_data(directory, name.text, plan)):
        name = name.with_changes(data)
    if name == spec.sweep_name:
        return plan
    further = [change for change in name.changes if change not in spec.sweep_name.changes]
    protocol = ", ".join((plan.record.protocol, *further))
    data_sets = tuple(replace(item, protocol=", ".join((item.protocol, *further))) for item in plan.record.data_sets)
    return replace(plan, record=replace(plan.record, name=name.text, protocol=protocol, data_sets=data_sets))


def weights_changes(spec: SweepSpec) -> Iterator[str]:
    """`weights=file-1a2b3c` for a weight file of `--set`."""
    for setting in spec.sweep_name.contents:
        if setting.key == WEIGHTS:
            yield f"weights=file-{file_digest(Path(setting.resolved()))[:6]}"


def data_changes(spec: SweepSpec, plan: SweepPlan) -> Iterator[str]:
    """`data=folder-1a2b3c` where `--set` says where the data is."""
    if any(setting.key != WEIGHTS for setting in spec.sweep_name.contents):
        names = "-".join(dict.fromkeys(item.name for item in plan.record.data))
        digests = list(dict.fromkeys(item.digest for item in plan.record.data))
        yield f"data={names}-{digests[0][:6] if len(digests) == 1 else short_hash(' '.join(digests))}"


def holds_other_data(directory: RunDirectory, name: str, plan: SweepPlan) -> bool:
    """Whether the sweep `name` is planned already, and on other data than `plan`."""
    if name not in directory.sweep_names():
        return False
    recorded = directory.sweep(name)
    known = {item.digest for item in recorded.data if item.digest}
    if not known:  # of an earlier version: its trials know
        facts = directory.files.map(directory.trial_facts, recorded.trial_ids)
        known = {str(item["data"]) for item in facts if item.get("data")}
    return bool(known) and known != {item.digest for item in plan.record.data}
