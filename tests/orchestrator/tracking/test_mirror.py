"""The mirror in MLflow: complete, without doubles, and whole again after a crash."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import ENDPOINT_NOT_FOUND, INVALID_PARAMETER_VALUE, PERMISSION_DENIED

from orchestrator.commands import ui
from orchestrator.running.task import Task
from orchestrator.store.attempt_record import AttemptRecord, ErrorRecord, Point, State
from orchestrator.store.data_set_record import DataSetRecord
from orchestrator.store.sweep_record import Row, SweepRecord
from orchestrator.tracking.mirror import Mirror
from orchestrator.tracking.mlflow_store import EXPERIMENT, Server
from orchestrator.tracking.saved_view import view_key
from reports.sources.mlflow import load_from_mlflow
from tests.orchestrator.tracking.conftest import CONFIG, World

MakeRecord = Callable[..., AttemptRecord]
MakeTask = Callable[..., Task]


def test_a_sweep_is_a_parent_with_a_child_per_row_and_seed(
    world: World, sweep: SweepRecord, make_task: MakeTask, make_record: MakeRecord, tmp_path: Path
) -> None:
    sweep = replace(sweep, settings={"optim.lr": 0.01})
    mirror = world.mirror()
    assert mirror.open(world.results(sweep)) == []
    for cell in sweep.cells:
        record = make_record(cell.trial_id, final__miou=0.5, contrast__purity=1.0, final__iou__sky=0.25)
        world.train(mirror, make_task(cell.trial_id), record, 10, 20)
    table = tmp_path / "out" / "table.md"
    (table.parent / "figures").mkdir(parents=True)
    table.write_text("| a | b |")
    (table.parent / "figures" / "bars.svg").write_text("<svg/>")
    (table.parent / "figures" / ".drawn.json").write_text("{}")
    files = {"markdown": table, "figures": table.parent / "figures"}
    mirror.finish(world.results(sweep), files, completed=True)

    (parent,) = world.runs("sweep")
    assert (parent.info.status, parent.info.run_name) == ("FINISHED", "tiny")
    counts = {key: value for key, value in parent.data.metrics.items() if key.startswith("trials/")}
    expected = {"planned": 4, "done": 4, "failed": 0, "stopped": 0, "running": 0, "missing": 0}
    assert counts == {f"trials/{key}": value for key, value in expected.items()}
    means = {key: value for key, value in parent.data.metrics.items() if key not in counts}
    assert means == {
        "mean/1 without": 0.5,
        "std/1 without": 0.0,
        "seeds/1 without": 2,
        "mean/2 with pipe": 0.5,
        "std/2 with pipe": 0.0,
        "seeds/2 with pipe": 2,
    }
    assert (parent.data.params["metric"], parent.data.params["optim.lr"]) == ("final/miou", "0.01")
    assert parent.data.tags["mlflow.note.content"] == "Does it work?\n\n| a | b |"
    artifacts = {item.path for item in world.client.list_artifacts(parent.info.run_id)}
    documents = {"spec.yaml", "recipe.yaml", "resolved.json", "sweep.json"}
    assert artifacts == documents | {"tables", "figures", "environment"}
    (figure,) = world.client.list_artifacts(parent.info.run_id, "figures")
    assert figure.path == "figures/bars.svg"
    assert [item.path for item in world.client.list_artifacts(parent.info.run_id, "tables")] == ["tables/table.md"]
    assert world.text(parent, "recipe.yaml") == "optim.lr: 0.01\n"
    assert "mlflow==" in world.text(parent, "environment/requirements.txt")
    assert world.json(parent, "environment/machines.json")["trials"] == [{"host": "here", "commit": "abc", "trials": 4}]

    assert len(world.runs("trial")) == 4
    child = world.child("without", 1)
    assert child.info.status == "FINISHED"
    assert child.data.params == {"row": "without", "seed": "1", "source": "none"}
    assert world.json(child, "config.json") == {**CONFIG, "data.crop": [96, 128]}
    assert child.info.run_name == "s1 · without"
    assert "difference/miou" not in child.data.metrics, "it is the baseline"
    assert world.curve(world.child("with | pipe", 1), "difference/miou") == [(30, 0.0)]
    tags = child.data.tags
    assert (tags["recipe"], tags["data_set"], tags["steps"]) == ("synthetic", "camvid", "30")
    assert tags["mlflow.parentRunId"] == parent.info.run_id
    expected = {"factor.contrast.source": "none", "trial_id": "base1", "attempt": "1", "state": "done"}
    assert expected.items() <= tags.items()
    assert (tags["commit"], tags["mlflow.source.git.commit"]) == ("abc", "abc")
    assert "failure" not in tags
    assert world.curve(child, "train/loss") == [(10, 0.1), (20, 0.05)]
    assert world.curve(child, "final/miou") == [(30, 0.5)], "at the last step"
    assert world.json(child, "per_class_iou.json") == {"columns": ["class", "iou"], "data": [["sky", 0.25]]}
    (dataset,) = child.inputs.dataset_inputs
    assert (dataset.dataset.name, dataset.dataset.digest) == ("camvid", "d" * 36)
    assert tags["data_digest"] == "d" * 64


def test_a_killed_driver_leaves_no_double_and_nothing_running(
    world: World, sweep: SweepRecord, make_task: MakeTask, make_record: MakeRecord
) -> None:
    first = world.mirror()
    first.open(world.results(sweep))
    world.train(first, make_task("base0"), make_record("base0", final__miou=0.5), 10, 20)
    world.begin(first, make_task("full0"), 10, 20)
    # killed here; full1 was left RUNNING by it too, and its record reached the store alone
    world.begin(first, make_task("full1"), 10)
    world.store.append("full1", Point(step=20, metrics={"train/loss": 0.05}, time=120.0))
    world.store.end(make_record("full1", final__miou=0.7))

    second, outcomes = world.mirror(), world.results(sweep).outcomes
    assert second.open(world.results(sweep)) == ["full1"]
    assert {run.info.status for run in world.runs("trial")} <= {"FINISHED", "KILLED"}
    second.deliver("full1", outcomes["full1"])
    full1 = world.child("with | pipe", 1)
    assert full1.info.status == "FINISHED"
    assert full1.data.metrics["final/miou"] == 0.7
    assert world.curve(full1, "train/loss") == [(10, 0.1), (20, 0.05)]

    resumed = make_task("full0", attempt=2)
    world.train(second, resumed, make_record("full0", attempt=2, final__miou=0.6), 20, 30)
    world.train(second, make_task("base1"), make_record("base1", final__miou=0.4), 10)
    second.finish(world.results(sweep), {}, completed=True)
    assert len(world.runs("sweep")) == 1
    children = world.runs("trial")
    assert len(children) == 4
    assert {run.info.status for run in children} == {"FINISHED"}
    assert world.curve(world.child("with | pipe", 0), "train/loss") == [(10, 0.1), (20, 0.05), (30, 1 / 30)]


def test_the_difference_comes_when_both_are_done_and_the_tables_do_not_have_it(
    world: World, sweep: SweepRecord, make_task: MakeTask, make_record: MakeRecord
) -> None:
    mirror = world.mirror()
    mirror.open(world.results(sweep))
    world.train(mirror, make_task("full0"), make_record("full0", final__miou=0.75), 10)
    assert "difference/miou" not in world.child("with | pipe", 0).data.metrics
    world.train(mirror, make_task("base0"), make_record("base0", final__miou=0.5), 10)
    assert world.child("with | pipe", 0).data.metrics["difference/miou"] == 0.25
    world.store.end(make_record("base1", final__miou=0.5))
    world.store.end(make_record("full1", final__miou=0.25))
    world.catch_up(sweep)
    assert world.curve(world.child("with | pipe", 1), "difference/miou") == [(0, -0.25)]
    assert world.catch_up(sweep) == []
    metrics = {key: record.metrics for key, record in load_from_mlflow(world.uri, "tiny").outcomes.items()}
    assert metrics == {key: record.metrics for key, record in world.results(sweep).outcomes.items()}


def test_runs_of_earlier_versions_get_name_tags_and_difference_once(
    world: World, sweep: SweepRecord, make_task: MakeTask, make_record: MakeRecord
) -> None:
    """Their parameters, which MLflow does not change, stay."""
    mirror = world.mirror()
    mirror.open(world.results(sweep))
    for trial_id, figure in (("base0", 0.5), ("full0", 0.75)):
        world.train(mirror, make_task(trial_id), make_record(trial_id, final__miou=figure), 10)
    for run in world.runs("trial"):
        world.client.update_run(run.info.run_id, name=f"{run.data.tags['row']} · seed 0")
        world.client.delete_tag(run.info.run_id, "recipe")
    world.client.update_run(world.child("with | pipe", 0).info.run_id, name="my best")
    assert world.catch_up(sweep) == []
    renamed, own = world.child("without", 0), world.child("with | pipe", 0)
    assert (renamed.info.run_name, renamed.data.tags["recipe"]) == ("s0 · without", "synthetic")
    assert own.info.run_name == "my best", "a name that a user gave stays"
    assert len(world.runs("trial")) == 2


def test_the_sweep_has_a_saved_view_that_is_written_once(world: World, sweep: SweepRecord) -> None:
    assert world.catch_up(sweep) == []
    experiment = world.client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    tag = f"mlflow.sharedViewState.{view_key('tiny')}"
    value = experiment.tags[tag]
    assert json.loads(value)["name"] == "tiny"
    world.client.set_experiment_tag(experiment.experiment_id, "mine", "stays")
    server = Server(world.uri)
    changed: list[str] = []
    server.client.set_experiment_tag = lambda *given: changed.append(given[1])
    mirror = Mirror(server, world.store)
    mirror.open(world.results(sweep))
    assert changed == []
    assert mirror.sweep_run.page == ui.page_of(world.uri, "tiny")
    assert f"viewStateShareKey={view_key('tiny')}" in mirror.sweep_run.page
    mirror = Mirror(server, world.store)
    mirror.open(world.results(replace(sweep, goal="minimize")))
    assert changed == [tag]


REFUSALS: dict[str, Exception] = {
    "a server without tags of experiments": MlflowException("no such endpoint", error_code=ENDPOINT_NOT_FOUND),
    "a server with shorter values": MlflowException("exceeded length limit of 250", error_code=INVALID_PARAMETER_VALUE),
    "a user without the right": MlflowException("Permission denied", error_code=PERMISSION_DENIED),
    "a client without tags of experiments": AttributeError("set_experiment_tag"),
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_store_that_refuses_the_view_gets_everything_else(
    world: World, sweep: SweepRecord, make_task: MakeTask, make_record: MakeRecord, refusal: str
) -> None:
    def refuse(*given: object) -> None:
        raise REFUSALS[refusal]

    server = Server(world.uri)
    server.client.set_experiment_tag = refuse
    mirror = Mirror(server, world.store)
    mirror.open(world.results(sweep))
    world.train(mirror, make_task("base0"), make_record("base0", final__miou=0.5), 10)
    assert world.child("without", 0).info.status == "FINISHED"
    assert "searchFilter=tags.sweep" in mirror.sweep_run.page
    mirror.finish(world.results(sweep), {}, completed=False)
    assert "searchFilter=tags.sweep" in ui.page_of(world.uri, "tiny")


def test_of_two_runs_of_a_trial_one_is_superseded(
    world: World, sweep: SweepRecord, make_task: MakeTask, make_record: MakeRecord
) -> None:
    """A driver was suspended before it had created the run, and woke up after another had taken over."""
    first, second = world.mirror(), world.mirror()
    first.open(world.results(sweep))
    second.open(world.results(sweep))
    task, record = make_task("base0"), make_record("base0", final__miou=0.5)
    world.train(second, task, record, 10, 20)
    first.deliver("base0", None)
    assert len(world.runs("trial")) == 2

    assert world.catch_up(sweep) in ([], ["base0"])
    (child,), (other,) = world.runs("trial"), world.runs("superseded")
    assert child.info.status == "FINISHED"
    assert world.curve(child, "train/loss") == [(10, 0.1), (20, 0.05)]
    assert other.info.status != "RUNNING"
    assert world.catch_up(sweep) == []


def test_a_mirror_that_comes_back_in_mid_sweep_leaves_running_trials_running(
    world: World, sweep: SweepRecord, make_task: MakeTask
) -> None:
    first = world.mirror()
    first.open(world.results(sweep))
    world.begin(first, make_task("base0"), 10)
    world.store.append("base0", Point(step=20, metrics={"train/loss": 0.05}, time=120.0))  # while the server was down

    second = world.mirror()
    assert second.open(world.results(sweep), {"base0"}) == []
    assert world.child("without", 0).info.status == "RUNNING"
    second.deliver("base0", None)
    world.store.append("base0", Point(step=30, metrics={"train/loss": 0.03}, time=130.0))
    second.deliver("base0", None)
    assert world.curve(world.child("without", 0), "train/loss") == [(10, 0.1), (20, 0.05), (30, 0.03)]


def test_a_sweep_that_mlflow_never_saw_is_delivered_whole_and_once(
    world: World, sweep: SweepRecord, make_record: MakeRecord
) -> None:
    for cell in sweep.cells:
        world.store.start(cell.trial_id, 1, CONFIG, time=100.0)
        world.store.append(cell.trial_id, Point(step=10, metrics={"val/miou": 0.25}, time=101.0))
        world.store.end(make_record(cell.trial_id, final__miou=0.5, val__miou=0.25))
    assert len(world.catch_up(sweep)) == 4
    assert world.catch_up(sweep) == [], "the second time there is nothing left to deliver"
    assert len(world.runs("trial")) == 4
    child = world.child("without", 0)
    assert world.curve(child, "val/miou") == [(10, 0.25)]
    assert child.info.start_time == 100_000
    assert child.info.end_time == 160_000


def test_the_record_has_the_last_word_where_the_curve_ends_otherwise(
    world: World, sweep: SweepRecord, make_record: MakeRecord
) -> None:
    world.store.start("base0", 1, CONFIG, time=100.0)
    world.store.append("base0", Point(step=30, metrics={"val/miou": 0.25}, time=101.0))
    world.store.end(make_record("base0", val__miou=0.75))
    world.catch_up(sweep)
    assert world.child("without", 0).data.metrics["val/miou"] == 0.75


def test_a_trial_of_another_sweep_appears_here_as_a_link(
    world: World, sweep: SweepRecord, make_task: MakeTask, make_record: MakeRecord
) -> None:
    first = world.mirror()
    first.open(world.results(sweep))
    for cell in sweep.cells:
        world.train(first, make_task(cell.trial_id), make_record(cell.trial_id, final__miou=0.5), 10)
    first.finish(world.results(sweep), {}, completed=True)
    original = world.child("without", 0)

    other = replace(sweep, name="other", cells=sweep.cells[:1])
    assert world.catch_up(other) == ["base0"]
    link = world.child("without", 0, sweep="other")
    assert link.data.tags["reused_from"] == original.info.run_id
    assert link.data.metrics == {"final/miou": 0.5}
    assert link.info.status == "FINISHED"
    assert world.catch_up(other) == []

    world.client.delete_run(original.info.run_id)
    assert world.catch_up(other) == ["base0"], "what it stood for is gone"
    link = world.child("without", 0, sweep="other")
    assert "reused_from" not in link.data.tags
    assert world.curve(link, "train/loss") == [(10, 0.1)]
    assert world.catch_up(sweep) == ["base0"], "and now it is the other way round"
    assert world.child("without", 0).data.tags["reused_from"] == link.info.run_id


def test_rows_that_share_a_trial_share_its_curves(
    world: World, sweep: SweepRecord, make_task: MakeTask, make_record: MakeRecord
) -> None:
    cells = (sweep.cells[0], replace(sweep.cells[1], trial_id="base0"))
    sweep = replace(sweep, cells=cells)
    mirror = world.mirror()
    mirror.open(world.results(sweep))
    world.train(mirror, make_task("base0"), make_record("base0", final__miou=0.5), 10)
    link = world.child("with | pipe", 0)
    assert link.data.tags["reused_from"] == world.child("without", 0).info.run_id
    assert world.catch_up(sweep) == []


def test_the_runs_of_several_data_sets_are_named_after_them(
    world: World, sweep: SweepRecord, make_task: MakeTask, make_record: MakeRecord
) -> None:
    cells = (
        replace(sweep.cells[0], trial_id="a0", data="CamVid"),
        replace(sweep.cells[0], trial_id="b0", data="own data"),
    )
    sweep = replace(sweep, cells=cells, data_sets=(DataSetRecord(name="CamVid"), DataSetRecord(name="own data")))
    mirror = world.mirror()
    mirror.open(world.results(sweep))
    for trial_id, figure in (("a0", 0.5), ("b0", 0.6)):
        world.train(mirror, make_task(trial_id), make_record(trial_id, final__miou=figure), 10)
    runs = {run.data.tags["mlflow.runName"]: run for run in world.runs("trial")}
    assert set(runs) == {"s0 · without on CamVid", "s0 · without on own data"}
    (parent,) = world.runs("sweep")
    assert parent.data.params["data_sets"] == "CamVid, own data"
    run = runs["s0 · without on own data"]
    assert run.data.tags["data_set"] == run.data.params["data_set"] == "own data"
    assert run.data.metrics["final/miou"] == 0.6
    assert world.catch_up(sweep) == []
    loaded = load_from_mlflow(world.uri, sweep.name)
    assert loaded.sweep == sweep
    assert {name: part.outcomes.keys() for name, part in loaded.by_data_set.items()} == {
        "CamVid": {"a0"},
        "own data": {"b0"},
    }


def test_a_failed_trial_says_why_until_it_is_done(
    world: World, sweep: SweepRecord, make_task: MakeTask, make_record: MakeRecord
) -> None:
    mirror = world.mirror()
    mirror.open(world.results(sweep))
    world.train(mirror, make_task("full0"), make_record("full0", state=State.USER_ERROR), 10)
    world.begin(mirror, make_task("full1"), 10)
    world.begin(mirror, make_task("base1"))  # opened, nothing logged yet
    mirror.finish(world.results(sweep), {}, completed=False)
    failed = world.child("with | pipe", 0)
    assert failed.info.status == "FAILED"
    tags = failed.data.tags
    assert (tags["state"], tags["failure"]) == ("user_error", "ValueError: broken")
    assert tags["failure_signature"] == "0ddba11a"
    assert world.text(failed, "failure.txt") == "Traceback"
    assert world.child("with | pipe", 1).info.status == "KILLED", "interrupted in mid-run"
    assert world.child("without", 1).info.status == "KILLED"
    assert world.runs("sweep")[0].info.status == "KILLED"

    again = world.mirror()
    assert again.open(world.results(sweep)) == []
    world.train(again, make_task("full0", attempt=2), make_record("full0", attempt=2, final__miou=0.5), 20)
    tags = world.child("with | pipe", 0).data.tags
    assert (tags["attempt"], tags["state"]) == ("2", "done")
    assert not any(key.startswith("failure") for key in tags)


def test_the_note_shows_a_provisional_table_now_and_then(world: World, sweep: SweepRecord, tmp_path: Path) -> None:
    table = tmp_path / "table.md"
    table.write_text("| one |")
    now = [1000.0]
    mirror = world.mirror()
    mirror.live_table, mirror.clock = table, lambda: now[0]
    mirror.open(world.results(sweep))
    mirror.sweep_run.refresh(world.results(sweep), {"base0"})
    note = "Does it work?\n\n*Provisional: 0 of 4 trials are done.*\n\n| one |"
    assert world.runs("sweep")[0].data.tags["mlflow.note.content"] == note
    table.write_text("| two |")
    now[0] += 1
    mirror.sweep_run.refresh(world.results(sweep), {"base0"})
    assert world.runs("sweep")[0].data.tags["mlflow.note.content"] == note, "not every second"
    now[0] += 60
    mirror.sweep_run.refresh(world.results(sweep), {"base0"})
    (parent,) = world.runs("sweep")
    assert parent.data.tags["mlflow.note.content"].endswith("| two |")
    assert parent.data.metrics["trials/running"] == 1


def test_a_long_table_is_cut_at_a_line(world: World, sweep: SweepRecord, tmp_path: Path) -> None:
    table = tmp_path / "table.md"
    table.write_text("\n".join(f"| row {index} |" for index in range(2000)))
    mirror = world.mirror()
    mirror.open(world.results(sweep))
    mirror.finish(world.results(sweep), {"markdown": table}, completed=False)
    note = world.runs("sweep")[0].data.tags["mlflow.note.content"]
    assert len(note) <= 8000
    *_, last, _, hint = note.splitlines()
    assert last.endswith(" |")
    assert "tables/table.md" in hint


def test_the_pictures_and_checkpoints_of_a_trial_are_found_also_by_sync(
    world: World, sweep: SweepRecord, make_task: MakeTask, make_record: MakeRecord
) -> None:
    mirror = world.mirror()
    mirror.open(world.results(sweep))
    folder = world.store.workdir("base0")
    (folder / "pictures").mkdir(parents=True)
    (folder / "pictures" / "sheet.png").write_bytes(b"png")
    (folder / "best.pt").write_bytes(b"weights")
    world.begin(mirror, make_task("base0"), 1)
    world.store.end(make_record("base0", final__miou=0.5))  # and the driver dies before MLflow hears of it

    world.catch_up(sweep)

    child = world.child("without", 0)
    found = world.client.list_artifacts(child.info.run_id, "pictures")
    assert [item.path for item in found] == ["pictures/sheet.png"]
    assert child.data.tags["checkpoint.best"] == (folder / "best.pt").as_uri()
    assert "checkpoint.last" not in child.data.tags


def test_what_mlflow_finds_too_long_too_many_or_odd_is_logged_whole(
    world: World, sweep: SweepRecord, make_task: MakeTask, make_record: MakeRecord
) -> None:
    long = "x" * 20_000
    knobs = {"notes": long, "c++ (fast)": "yes", **{f"knob.{index}": index for index in range(300)}}
    rows = (Row(label="without", factors=knobs), *sweep.rows[1:])
    sweep = replace(sweep, rows=rows)
    config = {"schedule.steps": 30, **knobs}
    error = ErrorRecord(kind="ValueError", message="m" * 9000)
    mirror = world.mirror()
    mirror.open(world.results(sweep))
    world.begin(mirror, make_task("base0"), config=config)
    name = f"final/iou/{'n' * 300}"
    record = replace(make_record("base0"), metrics={"final/iou/traffic sign (front)": 0.5, name: 0.25}, error=error)
    world.store.end(record)
    mirror.deliver("base0", record)

    child = world.child("without", 0)
    assert len(child.data.params) == 304
    assert world.json(child, "config.json") == config
    assert child.data.params["c:2b::2b: :28:fast:29:"] == "yes"
    assert child.data.params["notes"] == "x" * 4999 + "…"
    assert child.data.metrics["final/iou/traffic sign :28:front:29:"] == 0.5
    assert len(child.data.metrics) == 2
    whole = {
        item["name"]: item["value"]
        for path in world.client.list_artifacts(child.info.run_id, "full_text")
        for item in [world.json(child, path.path)]
    }
    assert whole == {"notes": long, "factor.notes": long, "failure": f"ValueError: {'m' * 9000}", name: ""}
    assert world.catch_up(sweep) == []


def test_a_trial_that_runs_again_with_other_code_gets_a_new_run(
    world: World, sweep: SweepRecord, make_record: MakeRecord
) -> None:
    planned = replace(sweep, cells=sweep.cells[:1])
    for attempt, code in ((1, "aaaa"), (2, "bbbb")):
        plan = replace(planned, code=(code,))
        facts = {"data": "", "code": code}
        world.store.start("base0", attempt, CONFIG, 100.0, facts, resumes_code=lambda before, now=code: before == now)
        point = Point(step=10, metrics={"train/loss": float(attempt)}, time=101.0, attempt=attempt)
        world.store.append("base0", point)
        record = make_record("base0", attempt=attempt, final__miou=attempt / 10)
        world.store.end(replace(record, environment={"code": code}))
        assert world.catch_up(plan) == ["base0"]
        assert world.catch_up(plan) == []
        child = world.child("without", 0)
        assert child.data.tags["environment.code"] == code
        assert world.curve(child, "train/loss") == [(10, float(attempt))]
        assert child.data.metrics["final/miou"] == attempt / 10
    (earlier,) = world.runs("superseded")
    assert earlier.data.tags["environment.code"] == "aaaa"
    assert world.curve(earlier, "train/loss") == [(10, 1.0)]
