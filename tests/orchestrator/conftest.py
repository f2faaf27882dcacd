"""Small sweeps and records that the orchestrator's tests share."""

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from orchestrator import api
from orchestrator.api import RunOptions
from orchestrator.running.task import StopTrial, Task
from orchestrator.running.tracker import Tracker
from orchestrator.spec.sweep_spec import SweepSpec, read_spec
from orchestrator.store.attempt_record import AttemptRecord, ErrorRecord, Point, State
from orchestrator.store.backends.base import SCRATCH_FOLDER
from orchestrator.store.sweep_record import PlannedRun, Row, SweepRecord
from reports.figures import choose as figures_chosen
from reports.figures.choose import choose
from tests.end_to_end.conftest import write_tiny
from trainer.config import Runtime, ScheduleConfig, TrainConfig


@pytest.fixture
def sweep() -> SweepRecord:
    """Two rows, two seeds, four trials."""
    rows = (Row(label="without", factors={"contrast.source": "none"}), Row(label="with | pipe", factors={}))
    ids = {"without": "base", "with | pipe": "full"}
    cells = tuple(
        PlannedRun(row=row.label, seed=seed, trial_id=f"{ids[row.label]}{seed}") for seed in (0, 1) for row in rows
    )
    return SweepRecord(
        name="tiny",
        question="Does it work?",
        method="ablation",
        recipe="synthetic",
        metric="final/miou",
        goal="maximize",
        baseline="without",
        rows=rows,
        seeds=(0, 1),
        cells=cells,
        spec="name: tiny\n",
    )


@pytest.fixture
def make_record() -> Callable[..., AttemptRecord]:
    def make(trial_id: str, *, state: State = State.DONE, attempt: int = 1, **metrics: float) -> AttemptRecord:
        error = (
            None
            if state is State.DONE
            else ErrorRecord(kind="ValueError", message="broken", traceback="Traceback", signature="0ddba11a")
        )
        return AttemptRecord(
            trial_id=trial_id,
            attempt=attempt,
            state=state,
            started_at=100.0,
            ended_at=160.0,
            metrics={key.replace("__", "/"): value for key, value in metrics.items()},
            error=error,
            environment={"commit": "abc", "host": "here"},
        )

    return make


@pytest.fixture
def make_task(tmp_path: Path) -> Callable[..., Task]:
    def make(trial_id: str, *, attempt: int = 1, steps: int = 100) -> Task:
        config = TrainConfig(schedule=ScheduleConfig(steps=steps))
        return Task(trial_id=trial_id, attempt=attempt, config=config, runtime=Runtime(), workdir=tmp_path / trial_id)

    return make


class NoFollower(Tracker):
    """A tracker that mirrors nothing."""

    failure = None
    lacking = page = ""

    def admit(self) -> None:
        pass

    close = stop = admit


def log_and_draw_nothing(patch: pytest.MonkeyPatch) -> None:
    """Sweeps in this process log to no MLflow and draw no figures, each of which takes seconds."""
    patch.setattr(api, "open_follower", lambda options, name: NoFollower())
    patch.setattr(figures_chosen, "choose", lambda *given, **named: {})


@pytest.fixture
def tiny_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Search space of two rows and two seeds in the current folder of the test."""
    write_tiny(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "tiny.yaml"


@pytest.fixture
def quick_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunOptions:
    """Runs a sweep in this process: no trial trains, seed 1 of the row with a memory fails, nothing goes to MLflow.

    No figures are drawn, which takes seconds, unless the test has the fixture `figures`.
    """

    def work(task: Task, report: Callable[[Point], None]) -> AttemptRecord:
        fails = task.config.seed == 1 and task.config.contrast.source != "none"
        state = State.USER_ERROR if fails else State.DONE
        try:
            report(Point(step=1, metrics={"val/miou": 0.25}, time=time.time(), attempt=task.attempt))
        except StopTrial as stop:
            state = stop.state
        error = ErrorRecord(kind="E", message="m", traceback="Traceback", signature="0ddba11a")
        return AttemptRecord(
            trial_id=task.trial_id,
            attempt=task.attempt,
            state=state,
            started_at=100.0,
            ended_at=160.0,
            metrics={"final/miou": 0.5} if state is State.DONE else {},
            error=error if state is State.USER_ERROR else None,
        )

    monkeypatch.setattr("orchestrator.running.worker.run_trial", work)
    log_and_draw_nothing(monkeypatch)
    return RunOptions(run_dir="runs", out=tmp_path / "out", executor="serial")


@pytest.fixture
def figures(quick_options: RunOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sweeps with `quick_options` draw their figures."""
    monkeypatch.setattr(figures_chosen, "choose", choose)


@pytest.fixture
def s3_settings(tmp_path: Path) -> Iterator[pytest.MonkeyPatch]:
    """Credentials of a server of ours, from the environment alone; change them before the first request."""
    s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed: no object store to test")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"):
            patch.delenv(name, raising=False)
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            patch.setenv(name, str(tmp_path / "none"))
        patch.setenv("AWS_ACCESS_KEY_ID", "somebody")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "verysecret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv(SCRATCH_FOLDER, str(tmp_path / "scratch"))
        s3fs.S3FileSystem.clear_instance_cache()
        yield patch
        s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Endpoint of an S3 server in this process."""
    moto = pytest.importorskip("moto.server", reason="moto[server] is not installed: no object store to test")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_server: str, s3_settings: pytest.MonkeyPatch) -> str:
    """An empty bucket: `s3://bucket-...`."""
    s3_settings.setenv("AWS_ENDPOINT_URL", s3_server)
    name = f"s3://bucket-{uuid4().hex}"
    pytest.importorskip("s3fs").S3FileSystem(use_listings_cache=False).mkdir(name)
    return name


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A run directory in fsspec's memory."""
    monkeypatch.setenv(SCRATCH_FOLDER, str(tmp_path / "scratch"))
    return f"memory://{uuid4().hex}/runs"


@pytest.fixture
def read_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., SweepSpec]:
    """`read_space("method: ...")`: the text as `s.yaml` in the current folder, beside a recipe `small`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "small.yaml").write_text("data: {crop: [64, 64]}\nschedule.steps: 10\n")

    def read(text: str, **options: object) -> SweepSpec:
        Path("s.yaml").write_text(text, encoding="utf-8")
        return read_spec(Path("s.yaml"), **options)

    return read
