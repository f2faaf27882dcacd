"""The journal of a search's study, kept in the run directory beside the sweep's record."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from orchestrator.planning.adaptive.search import SearchPlan
from orchestrator.planning.adaptive.study import Study
from orchestrator.planning.adaptive.trial_builder import TrialBuilder
from orchestrator.planning.plan import SweepPlan
from orchestrator.spec.distributions import Search
from orchestrator.spec.sweep_spec import SweepSpec
from orchestrator.store.backends import LocalFiles
from orchestrator.store.records import sweep_key
from orchestrator.store.run_directory import RunDirectory
from trainer.config import ScheduleConfig

__all__ = ["open_search"]

JOURNAL = "study.journal"


def open_search(spec: SweepSpec, search: Search, plan: SweepPlan, directory: RunDirectory) -> SearchPlan:
    """The search with its study as earlier commands left it; the journal of an object store is copied here first."""
    key = sweep_key(plan.record.name, JOURNAL)
    journal = directory.local_folder / key
    if not isinstance(directory.files, LocalFiles) and (content := directory.files.read(key)) is not None:
        journal.parent.mkdir(parents=True, exist_ok=True)
        journal.write_bytes(content)
    steps = spec.base["schedule.steps"].value if "schedule.steps" in spec.base else ScheduleConfig().steps
    study = Study(search, spec.objectives, spec.scheduler, journal=journal, steps=steps)
    build_trial = TrialBuilder(spec, run_dir=directory.local_folder).build
    return SearchPlan(plan, study, spec.scheduler, build_trial, partial(save_journal, directory, key, journal))


def save_journal(directory: RunDirectory, key: str, journal: Path) -> None:
    """Copy the journal to an object store; a local run directory holds the file itself."""
    if not isinstance(directory.files, LocalFiles):
        directory.files.write(key, journal.read_bytes())
