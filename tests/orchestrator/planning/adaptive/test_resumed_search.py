"""A search is what its file says, whatever was killed, deleted, damaged or edited between two commands."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.planning.adaptive.search import open_search
from orchestrator.planning.plan import plan_sweep
from orchestrator.running.driver import Driver
from orchestrator.running.executors.serial import Serial
from orchestrator.running.task import Task
from orchestrator.spec.sweep_spec import SweepSpec
from orchestrator.store.attempt_record import AttemptRecord, Point, State
from orchestrator.store.backends import LocalFiles
from orchestrator.store.record_store import RecordStore
from orchestrator.store.sweep_record import Row
from trainer.config import Runtime, TrainConfig

TRIALS = 6
SPACE: dict[str, str] = {
    "method": "tpe",
    "recipe": "small",
    "trials": str(TRIALS),
    "metric": "{name: val/miou, goal: maximize}",
    "fixed": "{schedule.steps: 10, contrast.warmup_fraction: 0.1}",
    "baseline": "{contrast.source: none}",
    "parameters": "{contrast.temperature: {min: 0.02, max: 1.0, distribution: log_uniform}, "
    "contrast.anchors.kind: {values: [hard, random]}, contrast.anchors.per_class: {min: 5, max: 50}}",
    "when": "{contrast.anchors.per_class: {contrast.anchors.kind: [hard]}}",
}
SCHEDULER = "{kind: asha, grace_fraction: 0.2, reduction_factor: 2}"
EDITS: dict[str, dict[str, str]] = {
    "narrower": {"parameters": SPACE["parameters"].replace("min: 0.02", "min: 0.2")},
    "wider": {"parameters": SPACE["parameters"].replace("max: 1.0", "max: 2.0")},
    "other distribution": {"parameters": SPACE["parameters"].replace(", distribution: log_uniform", "")},
    "fewer choices": {"parameters": SPACE["parameters"].replace("[hard, random]", "[hard]")},
    "more choices": {"parameters": SPACE["parameters"].replace("{min: 5, max: 50}", "{values: [5, 7, 50]}")},
    "one parameter more": {"parameters": SPACE["parameters"][:-1] + ", optim.momentum: {min: 0.5, max: 0.9}}"},
    "one parameter less": {
        "parameters": "{contrast.temperature: {min: 0.02, max: 1.0, distribution: log_uniform}}",
        "when": "{}",
    },
    "no condition": {"when": "{}"},
    "goal": {"metric": "{name: val/miou, goal: minimize}"},
    "metric": {"metric": "{name: val/pixel_accuracy, goal: maximize}"},
    "one objective more": {"metric": "[{name: val/miou, goal: maximize}, {name: cost/train_minutes, goal: minimize}]"},
    "fixed": {"fixed": "{schedule.steps: 10, contrast.warmup_fraction: 0.1, contrast.weight: 0.4}"},
    "steps": {"fixed": "{schedule.steps: 20, contrast.warmup_fraction: 0.1}"},
    "data": {"fixed": "{schedule.steps: 10, contrast.warmup_fraction: 0.1, data.synthetic.seed: 3}"},
    "sampler": {"method": "random"},
    "search_seed": {"search_seed": "9"},
    "scheduler": {"scheduler": SCHEDULER},
    "seeds": {"seeds": "[4]"},
}
"""Edits of the file after which it asks another question."""


class Killed(BaseException):
    """Stands for SIGKILL: no code of ours may catch it."""


def text_of(edits: Mapping[str, str]) -> str:
    return "".join(f"{key}: {value}\n" for key, value in {**SPACE, **edits}.items())


def value_of(config: TrainConfig, step: int) -> float:
    """A quality that depends on all parameters, and grows with the steps."""
    anchors = 0.1 if config.contrast.anchors.kind == "hard" else config.contrast.anchors.per_class / 1000
    return (anchors + 1 / (1 + abs(config.contrast.temperature - 0.3))) * step / (step + 5) / 2


def work(task: Task, report: Callable[[Point], None]) -> AttemptRecord:
    """Stands for a training run: points every second step, then the metrics."""
    state, steps = State.DONE, task.config.schedule.steps
    try:
        for step in range(2, steps + 1, 2):
            value = value_of(task.config, step)
            report(Point(step=step, metrics={"val/miou": value}, time=time.time(), attempt=task.attempt))
    except BaseException as stop:
        if not hasattr(stop, "state"):
            raise
        state = stop.state
    value = value_of(task.config, steps)
    metrics = {"val/miou": value, "val/pixel_accuracy": 1 - value, "final/miou": value, "cost/train_minutes": 1.0}
    now = time.time()
    return AttemptRecord(
        trial_id=task.trial_id,
        attempt=task.attempt,
        state=state,
        started_at=now,
        ended_at=now,
        metrics=metrics if state is State.DONE else {},
    )


def command(spec: SweepSpec, run_dir: str = "runs") -> Driver:
    """What one call of the sweep command does, without locks, tables and MLflow."""
    store = RecordStore(run_dir)
    assert spec.search is not None
    plan = plan_sweep(spec, run_dir=store.local_folder)
    growing_plan = open_search(spec, spec.search, plan, store)
    plan = replace(plan, record=growing_plan.record, trials=tuple(growing_plan.trials.values()))
    store.write_sweep(plan.record)
    outcomes = store.outcomes(growing_plan.candidates)
    driver = Driver(store, [])
    driver.run(plan, outcomes, Runtime(), lambda: Serial(work), growing_plan)
    return driver


def drawn(driver: Driver) -> list[Row]:
    return [row for row in driver.plan.record.rows if row.label != "baseline"]


def finished(driver: Driver) -> dict[str, State]:
    return {trial_id: driver.outcomes[trial_id].state for trial_id in driver.plan.record.trial_ids}


@pytest.fixture
def kill_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, bool], list[str]]:
    """`kill_at(n, after)`: the write number n of the run directory kills the driver, before or after it happened."""
    real = {name: getattr(LocalFiles, name) for name in ("write", "append", "create")}
    written: list[str] = []

    def install(number: int, after: bool) -> list[str]:
        written.clear()

        def patched(name: str) -> Callable[..., Any]:
            def call(self: LocalFiles, key: str, content: bytes) -> Any:
                written.append(key)
                if len(written) == number and not after:
                    raise Killed
                result = real[name](self, key, content)
                if len(written) == number:
                    raise Killed
                return result

            return call

        for name in real:
            monkeypatch.setattr(LocalFiles, name, patched(name))
        return written

    return install


@pytest.mark.slow
@pytest.mark.parametrize(("method", "scheduler"), [("random", None), ("tpe", None), ("tpe", SCHEDULER)])
def test_killed_at_any_write_a_search_ends_with_the_same_trials(
    method: str,
    scheduler: str | None,
    read_space: Callable[..., SweepSpec],
    kill_at: Callable[[int, bool], list[str]],
) -> None:
    edits = {"method": method, **({"scheduler": scheduler} if scheduler else {})}
    spec = read_space(text_of(edits))
    writes = kill_at(0, True)
    whole = command(spec, "whole")
    count = len(writes)
    assert len(drawn(whole)) == TRIALS
    assert count > 5 * TRIALS
    # killed after a write, it leaves what it leaves when killed before the next one
    for number, after in [*((number, False) for number in range(1, count + 1)), (count, True)]:
        run_dir = f"cut{number}{after}"
        kill_at(number, after)
        with pytest.raises(Killed):
            command(spec, run_dir)
        kill_at(0, True)
        resumed = command(spec, run_dir)
        assert drawn(resumed) == drawn(whole), f"write {number} of {writes}"
        assert finished(resumed) == finished(whole)
        attempts = [RecordStore(run_dir).attempts(trial_id) for trial_id in resumed.plan.record.trial_ids]
        assert sum(len(records) for records in attempts) <= len(attempts) + 1, "one attempt was lost at most"


KILLED_EDITS = ("narrower", "goal", "data", "scheduler")
"""One of each kind: of a parameter, of the objective, of all trials, of how they end."""


@pytest.mark.parametrize(
    ("edit", "kill"), [*((edit, None) for edit in EDITS), *itertools.product(KILLED_EDITS, (1, 3))]
)
def test_an_edited_search_is_a_study_of_its_own(
    edit: str,
    kill: int | None,
    read_space: Callable[..., SweepSpec],
    kill_at: Callable[[int, bool], list[str]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    command(read_space(text_of({})))
    spec = read_space(text_of(EDITS[edit]))
    if kill is not None:
        kill_at(kill, False)
        with pytest.raises(Killed):
            command(spec)
        kill_at(0, True)
    driver = command(spec)
    assert spec.search is not None
    rows, search = drawn(driver), driver.plan.record.search
    assert len(rows) == TRIALS == search["drawn"], "the file says how many trials are drawn"
    for row in rows:
        assert row.factors.keys() == spec.search.active_values(row.factors).keys()
        assert all(
            parameter.low is None or parameter.low <= row.factors[parameter.key] <= (parameter.high or 0)
            for parameter in spec.search.parameters
            if parameter.key in row.factors
        )
    assert {driver.outcomes[key].state for key in driver.plan.record.trial_ids} <= {State.DONE, State.STOPPED}
    before = len(list(Path("runs/trials").iterdir()))
    caplog.clear()
    assert finished(command(spec)) == finished(driver), "the same command again runs nothing"
    assert len(list(Path("runs/trials").iterdir())) == before
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("edit", "seeds"),
    [
        ("goal", 6),
        ("metric", 6),
        ("sampler", 6),
        ("wider", 6),
        ("scheduler", 6),
        ("fixed", 0),
        ("data", 0),
        ("seeds", 0),
    ],
)
def test_a_new_study_learns_from_the_finished_trials_that_fit_and_says_so(
    edit: str, seeds: int, read_space: Callable[..., SweepSpec], caplog: pytest.LogCaptureFixture
) -> None:
    command(read_space(text_of({})))
    driver = command(read_space(text_of(EDITS[edit])))
    assert len(driver.plan.record.search["prior"]) == seeds
    assert f"learns from {seeds} finished trials of the recorded one" in caplog.text
    assert "another study than the recorded one" in caplog.text


def test_a_new_study_steered_by_the_other_goal_would_not_go_where_this_one_goes(
    read_space: Callable[..., SweepSpec],
) -> None:
    many = {"trials": "30", "parameters": "{contrast.temperature: {min: 0.02, max: 1.0}}", "when": "{}"}
    command(read_space(text_of(many)))
    driver = command(read_space(text_of({**many, "metric": "{name: val/miou, goal: minimize}"})))
    late = [row.factors["contrast.temperature"] for row in drawn(driver)[15:]]
    assert sum(value > 0.6 for value in late) > len(late) / 2, "the lowest quality is at the highest temperature"


def test_more_trials_continue_the_study_and_fewer_end_it(read_space: Callable[..., SweepSpec]) -> None:
    first = command(read_space(text_of({})))
    more = command(read_space(text_of({"trials": "9"})))
    assert drawn(more)[:TRIALS] == drawn(first)
    assert len(drawn(more)) == 9
    assert more.plan.record.search["prior"] == []
    whole = command(read_space(text_of({"trials": "9"})), "whole")
    assert drawn(more) == drawn(whole)
    assert drawn(command(read_space(text_of({"trials": "3"})))) == drawn(more), "what was drawn is never forgotten"


def test_a_trial_that_a_scheduler_stopped_runs_to_its_end_without_it(read_space: Callable[..., SweepSpec]) -> None:
    stopped = command(read_space(text_of({"method": "random", "scheduler": SCHEDULER})))
    assert State.STOPPED in finished(stopped).values()
    free = command(read_space(text_of({"method": "random"})))
    assert drawn(free) == drawn(stopped), "the same random numbers"
    assert set(finished(free).values()) == {State.DONE}


@pytest.mark.parametrize("content", [None, b"", b"{", b"\x00" * 40, b'{"name": "s"}', b"[]"])
def test_a_plan_that_is_lost_or_damaged_is_drawn_again_and_nothing_is_trained_twice(
    content: bytes | None, read_space: Callable[..., SweepSpec], caplog: pytest.LogCaptureFixture
) -> None:
    spec = read_space(text_of({}))
    first = command(spec)
    plan = Path("runs/sweeps/s/sweep.json")
    whole = plan.read_bytes()
    if content is None:
        plan.unlink()
    else:
        plan.write_bytes(content)
    assert drawn(command(spec)) == drawn(first)
    assert all(len(RecordStore("runs").attempts(trial_id)) == 1 for trial_id in first.plan.record.trial_ids)
    assert plan.read_bytes() == whole
    assert ("the plan is made again" in caplog.text) is (content is not None)


@pytest.mark.parametrize("content", [None, b"{"])
def test_the_draws_of_a_plan_that_is_lost_or_damaged_are_those_of_the_kept_one(
    content: bytes | None, read_space: Callable[..., SweepSpec]
) -> None:
    """The sampler would draw other values: those of the kept plan are of another version of it."""
    spec = read_space(text_of({}))
    first = command(spec)
    store, plan = RecordStore("runs"), Path("runs/sweeps/s/sweep.json")
    record = first.plan.record
    moved = tuple(replace(row, label=f"trial {5 - int(row.label[-1])}") for row in drawn(first)[::-1])
    cells = {run.row: run for run in record.cells}
    runs = (replace(cells[f"trial {5 - number}"], row=f"trial {number}") for number in range(TRIALS))
    store.write_sweep(replace(record, rows=(record.rows[0], *moved), cells=(cells["baseline"], *runs)))
    store.keep_plan("s")
    if content is None:
        plan.unlink()
    else:
        plan.write_bytes(content)
    assert drawn(command(spec)) == list(moved)


@pytest.mark.parametrize("content", [b"", b'{"op_code":0', b"\x00\xff" * 30])
def test_a_journal_of_an_older_version_is_not_read(content: bytes, read_space: Callable[..., SweepSpec]) -> None:
    spec = read_space(text_of({}))
    whole = command(spec, "whole")
    Path("runs/sweeps/s").mkdir(parents=True)
    Path("runs/sweeps/s/study.journal").write_bytes(content)
    assert drawn(command(spec)) == drawn(whole)
    assert Path("runs/sweeps/s/study.journal").read_bytes() == content
