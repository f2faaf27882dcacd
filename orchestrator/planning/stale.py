"""Stale trials: results and checkpoints of code of the trainer that is neither the present code nor proven equal to it.

A sweep stops when it finds some (`StaleCodeError`). The user either has them run again or accepts them. Accepted ones
stay in the plan and are marked in every table.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from orchestrator.errors import DamagedError, SweepError
from orchestrator.machine.first_few import first_few
from orchestrator.machine.sealed_json import unseal
from orchestrator.planning.adaptive.recorded_study import earlier_plan
from orchestrator.spec.workload_in_use import workload_in_use
from orchestrator.store.attempt_record import AttemptRecord
from orchestrator.store.keys import WORK, code_key, trial_key
from orchestrator.store.record_files import StoredAttempt
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_record import SweepRecord
from orchestrator.workload.script.process import LOG
from orchestrator.workload.source_digest import codes_in

__all__ = [
    "PlanState",
    "StaleCodeError",
    "StaleTrial",
    "StaleTrials",
    "describe_difference",
    "describe_stale",
    "plan_state",
    "refusal",
    "remedy",
]

StaleTrials = Literal["refuse", "rerun", "accept"]
"""What a sweep does with stale trials."""

CHECKPOINTS = frozenset({"last.pt", "previous.pt"})
FILES_NAMED = 6
"""Differing files that a message names."""
TRIALS_NAMED = 3
"""Stale trials that a message names."""


class StaleCodeError(SweepError):
    """A sweep found stale trials, and the user has not said what to do with them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StaleTrial:
    """A trial with a result or a checkpoint of other code."""

    trial_id: str
    code: str
    """Digests of that code, as in `AttemptRecord.code`."""
    finished: bool
    """False: interrupted, with a checkpoint from which it would resume."""
    commit: str = ""
    """Commit of that code, where it is known and had no uncommitted changes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanState:
    """A plan with what the run directory has of it."""

    plan: SweepRecord
    """With the digest of the present code and what the user has accepted."""
    stored: Mapping[str, StoredAttempt]
    """The attempts that count, by trial id; without those of trials that are to run again."""
    stale: tuple[StaleTrial, ...] = ()
    """Stale trials about which the user has not decided."""

    @property
    def outcomes(self) -> dict[str, AttemptRecord]:
        """The records of `stored`."""
        return {trial_id: item.record for trial_id, item in self.stored.items()}


def plan_state(
    plan: SweepRecord, directory: RunDirectory, trial_ids: Collection[str], choice: StaleTrials = "refuse"
) -> PlanState:
    """What `directory` has of the trials `trial_ids`, judged by the present code. Raises StoreError.

    With the choice `rerun`, nothing that was accepted before stands any more.
    """
    accepted = {} if choice == "rerun" else accepted_before(plan, directory)
    plan = replace(plan, code=tuple(workload_in_use().code.digests()), accepted_code=accepted)
    stored = directory.deciding_attempts(trial_ids, plan=plan)
    stale = find_stale(plan, {key: item.record for key, item in stored.items()}, directory, trial_ids)
    if choice == "refuse":
        return PlanState(plan=plan, stored=stored, stale=stale)
    if choice == "accept":
        accepted |= {item.trial_id: item.code for item in stale}
        return PlanState(plan=replace(plan, accepted_code=accepted), stored=stored)
    again = {item.trial_id for item in stale}
    return PlanState(plan=plan, stored={key: item for key, item in stored.items() if key not in again})


def accepted_before(plan: SweepRecord, directory: RunDirectory) -> dict[str, str]:
    """What the recorded plan of this name has accepted; nothing without one, or if it cannot be read."""
    earlier = earlier_plan(directory, plan.name)
    return {} if earlier is None else dict(earlier.accepted_code)


def find_stale(
    plan: SweepRecord, outcomes: Mapping[str, AttemptRecord], directory: RunDirectory, trial_ids: Iterable[str]
) -> tuple[StaleTrial, ...]:
    """The stale ones of `trial_ids`, whose `outcomes` are known; `plan` has the present code."""
    found, unfinished = [], []
    for trial_id in trial_ids:
        record = outcomes.get(trial_id)
        if record is None or not plan.ends_trial(record.state):
            unfinished.append(trial_id)
        elif not plan.accepts_code(trial_id, record.code):
            facts = record.environment
            commit = "" if facts.get("dirty") else facts.get("commit", "")
            found.append(StaleTrial(trial_id=trial_id, code=record.code, finished=True, commit=commit))
    started = set(directory.files.names("trials")) if unfinished else set()
    return (*found, *stale_checkpoints(plan, directory, [key for key in unfinished if key in started]))


def stale_checkpoints(plan: SweepRecord, directory: RunDirectory, trial_ids: Sequence[str]) -> list[StaleTrial]:
    """Those of some started trials that have a checkpoint and ran with other code last."""
    names = directory.files.map(directory.files.names, [trial_key(trial_id) for trial_id in trial_ids])
    found = []
    for trial_id, files in zip(trial_ids, names, strict=True):
        if CHECKPOINTS.isdisjoint(files) and not (WORK in files and has_files(directory, trial_id)):
            continue
        try:
            code = directory.trial_facts(trial_id).get("code", "")
        except DamagedError:  # the checkpoint itself says which code wrote it, and the trainer ignores it if need be
            continue
        if not plan.accepts_code(trial_id, code):
            found.append(StaleTrial(trial_id=trial_id, code=code, finished=False))
    return found


def has_files(directory: RunDirectory, trial_id: str) -> bool:
    """Whether a trainer other than the built-in one has left more in its folder than what a script has printed."""
    names = directory.files.names(trial_key(trial_id, WORK))
    return any(not name.startswith(".") and name != LOG for name in names)


def differing_files(code: str, directory: RunDirectory) -> tuple[str, ...]:
    """Files of the trainer in which `code` (one or several digests) differs from the present code.

    Empty when the run directory does not know them.
    """
    present, names = workload_in_use().code.files(), set()
    for digest in codes_in(code):
        content = directory.files.read(code_key(digest))
        try:
            known: Mapping[str, str] = unseal(content).values["files"] if content else present
            names |= {name for name in known.keys() | present.keys() if known.get(name) != present.get(name)}
        except (ValueError, KeyError, AttributeError):  # damaged: the names are only for the message
            continue
    return tuple(sorted(names))


def describe_difference(code: str, directory: RunDirectory) -> str:
    """`by other code of the trainer (8d1f2a3b4c5d), which differs in contrast/anchors.py`."""
    names = differing_files(code, directory)
    text = f"by other code of the trainer ({code})"
    if not names:
        return text
    return f"{text}, which differs in {first_few(names, FILES_NAMED)}"


def describe_stale(state: PlanState, directory: RunDirectory) -> list[str]:
    """One line for each code and kind: how many trials, what differs, and which they are; then the remedy."""
    groups: dict[tuple[str, bool], list[StaleTrial]] = {}
    for item in state.stale:
        groups.setdefault((item.code, item.finished), []).append(item)
    lines = []
    for (code, finished), items in groups.items():
        kind = "finished" if finished else "interrupted"
        count = f"{len(items)} {kind} trial{'s were' if len(items) > 1 else ' was'} computed"
        trials = [f"{state.plan.label_of(item.trial_id)} [{item.trial_id}]" for item in items]
        lines.append(f"{count} {describe_difference(code, directory)}: {first_few(trials, TRIALS_NAMED, '; ')}")
    return [*lines, remedy(state.stale)] if lines else []


def refusal(state: PlanState, directory: RunDirectory) -> str:
    """Why the sweep stops, in one line."""
    return f"{state.plan.name}: {'; '.join(describe_stale(state, directory))}"


def remedy(stale: Collection[StaleTrial]) -> str:
    """What the user can do."""
    text = "--rerun-stale runs them again, --accept-stale keeps them, marked § in every table"
    if not (proof := workload_in_use().code.proof):
        return text
    commit = next((item.commit for item in stale if item.commit), "REV")
    return f"{text}; if the change cannot alter a figure, {proof.format(commit=commit[:12])}"
