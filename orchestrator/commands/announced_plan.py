"""announced_plan: the plan of a search space for a command, which says what it reads if that takes a moment."""

from __future__ import annotations

from orchestrator.planning.naming import plan_in
from orchestrator.planning.plan import SweepPlan
from orchestrator.spec.sweep_spec import SweepSpec
from orchestrator.store.run_directory import RunDirectory
from orchestrator.tracking.waiting_line import WaitingLine

__all__ = ["announced_plan"]


def announced_plan(directory: RunDirectory, spec: SweepSpec) -> SweepPlan:
    """The plan of `spec` under its name in a run directory. Raises SpecError and StoreError as `plan_in`."""
    with WaitingLine() as waiting:
        return plan_in(directory, spec, waiting)
