"""Failures: every class has a policy, and the same bug the same signature."""

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.running.failures import (
    RETRY_POLICIES,
    ConsecutiveFailures,
    RetryHistory,
    sign,
)
from orchestrator.running.worker import describe
from orchestrator.spec.blocks import Retries
from orchestrator.store.attempt_record import AttemptRecord, ErrorRecord, State


def test_every_state_but_done_has_a_policy_and_every_retry_a_key() -> None:
    assert set(RETRY_POLICIES) == set(State) - {State.DONE}
    for policy in RETRY_POLICIES.values():
        assert policy.retries is None or isinstance(getattr(Retries(), policy.retries), int)
        assert policy.cause
        assert policy.action


def test_the_readme_has_the_table() -> None:
    readme = (Path(__file__).resolve().parents[3] / "search_spaces" / "README.md").read_text(encoding="utf-8")
    for state, policy in RETRY_POLICIES.items():
        assert f"| `{state.value}` | {policy.cause} | {policy.action} |" in readme


def fail_here(text: str) -> Exception:
    try:
        raise ValueError(text)
    except ValueError as failure:
        return failure


def fail_there(text: str) -> Exception:
    try:
        raise ValueError(text)
    except ValueError as failure:
        return failure


def test_the_signature_depends_on_the_place_and_not_on_the_message() -> None:
    first, second, other = describe(fail_here("row 1")), describe(fail_here("row 2")), describe(fail_there("row 1"))
    assert first.signature == second.signature
    assert first.signature != other.signature
    assert len(first.signature) == 8
    assert sign(ErrorRecord(kind="WorkerLost", message="node a")) == sign(
        ErrorRecord(kind="WorkerLost", message="node a")
    )


def record(state: State, signature: str = "a") -> AttemptRecord:
    error = None if state is State.DONE else ErrorRecord(kind="E", message="m", signature=signature)
    return AttemptRecord(trial_id="t", attempt=1, state=state, started_at=0, ended_at=1, error=error)


@pytest.mark.parametrize(
    ("ends", "ends_sweep"),
    [
        ([(State.USER_ERROR, "a")] * 2, False),
        ([(State.USER_ERROR, "a")] * 3, True),
        ([(State.USER_ERROR, "a"), (State.USER_ERROR, "b"), (State.USER_ERROR, "a")], False),
        ([(State.USER_ERROR, "a"), (State.DONE, ""), (State.USER_ERROR, "a"), (State.USER_ERROR, "a")], False),
        ([(State.LOST, "a")] * 9, False),
        ([(State.USER_ERROR, "a"), (State.LOST, "x"), (State.USER_ERROR, "a"), (State.USER_ERROR, "a")], True),
        ([(State.OUT_OF_MEMORY, "a")] * 9, False),
        ([(State.STOPPED, "a")] * 9, False),
    ],
)
def test_only_consecutive_failures_with_one_signature_end_a_sweep(
    ends: list[tuple[State, str]], ends_sweep: bool
) -> None:
    failures = ConsecutiveFailures(3)
    reasons = [failures.add(record(state, signature)) for state, signature in ends]
    assert bool(reasons[-1]) is ends_sweep


def test_zero_is_no_limit() -> None:
    failures = ConsecutiveFailures(0)
    assert {failures.add(record(State.USER_ERROR)) for _ in range(50)} == {""}


def test_retries_end_and_back_off_doubles_only_where_the_node_may_be_at_fault() -> None:
    history, retries = RetryHistory(), Retries(lost=2, out_of_memory=1, back_off_seconds=10)
    lost = replace(record(State.LOST), environment={"node": "n1"})
    assert [history.add(lost, retries) for _ in range(3)] == [10, 20, None]
    assert history.lost_nodes == ("n1",)
    assert [history.add(record(State.OUT_OF_MEMORY), retries) for _ in range(2)] == [0, None]
    assert history.add(record(State.TIMED_OUT), retries) is None
    assert history.add(record(State.DONE), retries) is None
